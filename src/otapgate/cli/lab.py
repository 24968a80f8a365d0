"""`otapgate lab`: hosts on this machine to try things out on."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from otapgate import errors
from otapgate.cli.output import Reply, progress, table
from otapgate.i18n import _

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help=_("Where the lab is noted."))]


def up(
    folder: Folder,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help=_("lab.yml; else the usual lab."))
    ] = None,
    tied: Annotated[
        int | None,
        typer.Option("--while", metavar="PID", help=_("End when that process does.")),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=_("Only say what would be started."))
    ] = False,
) -> Reply:
    from otapgate.lab import running

    if dry_run:
        hosts = running.foresee(file)
        rows = [[host.name, host.stage, host.address] for host in hosts]
        return Reply(
            {"hosts": {host.name: host.address for host in hosts}},
            lambda: table([_("host"), _("stage"), _("address")], rows),
        )
    lab, seconds = running.up(folder, file, tied)
    if threading.current_thread() is threading.main_thread():
        # an interrupt comes too late now: it would seem that no lab was left
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    data = _data(lab) | {"seconds": round(seconds, 2)}
    head = _("The lab in {folder} is up, after {seconds:.1f} s.").format(
        folder=lab.folder, seconds=seconds
    )
    return Reply(data, lambda: f"{head}\n{_hosts(lab)}\n{_ways(lab)}")


def down(folder: Folder) -> Reply:
    from otapgate.lab import running

    ended = running.down(folder)
    text = _("The lab in {folder} is gone.") if ended else _("No lab runs in {folder}.")
    return Reply({"folder": str(folder.resolve()), "ended": ended}, text.format(folder=folder))


def status(folder: Folder) -> Reply:
    from otapgate.lab import running

    lab = running.find(folder)
    return Reply(_data(lab), lambda: _hosts(lab))


def execute(
    folder: Folder,
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND…", help=_("What to run, and its arguments."))
    ],
) -> Reply:
    from otapgate.lab import running

    if not command:
        raise errors.Usage("usage", _("A command is missing."))
    running.execute(running.find(folder), command)


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="PACKAGE…", help=_("Debian packages; else what a lab needs.")),
    ] = None,
) -> Reply:
    from otapgate.lab import packages

    progress(_("fetching what isn't there yet"))
    place = packages.fetch(names or packages.NEEDED)
    return Reply({"folder": str(place)}, _("Unpacked in {folder}.").format(folder=place))


def _data(lab: Any) -> dict[str, Any]:
    from otapgate.lab import material

    return {
        "folder": str(lab.folder),
        "lab": lab.state,
        "key": str(lab.folder / "keys" / "lab"),
        "known_hosts": str(lab.folder / material.KNOWN_HOSTS),
        "street": str(lab.folder / material.STREET),
    }


def _hosts(lab: Any) -> str:
    rows = [
        [name, host["stage"], host["address"], " ".join(str(port) for port in host["ports"]),
         " ".join(host["accounts"]), _("runs") if host["pid"] else _("stopped")]
        for name, host in lab.state["hosts"].items()
    ]  # fmt: skip
    return table([_("host"), _("stage"), _("address"), _("ports"), _("accounts"), _("now")], rows)


def _ways(lab: Any) -> str:
    from otapgate.lab import material

    name, host = next(iter(lab.state["hosts"].items()))
    user = material.connection(lab.folder, lab.state, name)["ansible_user"]
    known = lab.folder / material.KNOWN_HOSTS
    return (
        f"   → otapgate lab exec {lab.folder} -- ssh -i {lab.folder}/keys/lab"
        f" -o UserKnownHostsFile={known} {user}@{host['address']}\n"
        f"   → otapgate lab down {lab.folder}"
    )
