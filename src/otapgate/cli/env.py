"""`otapgate env`: environments, their owners, what they run."""

from __future__ import annotations

from typing import Annotated

import typer

from otapgate.cli.acting import DryRun, open_for_reading, open_workspace, recorded
from otapgate.cli.output import Reply, progress, table
from otapgate.i18n import _

Env = Annotated[str, typer.Argument(metavar="ENV", help=_("The environment, or its stage letter."))]


def env_list(
    street: Annotated[str | None, typer.Option("--street", help=_("Only this street."))] = None,
) -> Reply:
    from otapgate.acts import environments

    with open_for_reading() as workspace:
        found = [
            environments.summary(workspace, e)
            for e in workspace.outline.environments()
            if street in (None, e.street)
        ]
    rows = [[e["name"], e["stage"], e["owner"], e["status"], e["called"] or "-",
             e["data_class"], ", ".join(e["hosts"])] for e in found]  # fmt: skip
    heads = [_("environment"), _("stage"), _("owner"), _("status"), _("release"), _("data"),
             _("hosts")]  # fmt: skip
    return Reply({"environments": found}, table(heads, rows))


def show(env: Env) -> Reply:
    from otapgate.acts import environments

    with open_for_reading() as workspace:
        environment = workspace.environment(env)
        found = {
            **environments.summary(workspace, environment),
            "description": environment.digest,
            "access": {k: list(v) for k, v in environment.access.items()},
            "network": environment.network,
            "retention_days": environment.retention_days,
            "max_age_days": environment.data.max_age_days,
            "probes": environments.probes(workspace, environment),
        }
    probes = found.pop("probes")
    words = {"proven": _("proven"), "violated": _("violated"), "unknown": _("unknown")}
    lines = [f"{key}: {value}" for key, value in found.items() if value not in (None, "", {}, [])]
    lines += [
        _("probed ({kind}): {outcome}, {at}").format(
            kind=kind, outcome=words.get(probe["outcome"], "?"), at=probe["at"]
        )
        for kind, probe in probes.items()
    ]
    found["probes"] = probes
    return Reply({"environment": found}, "\n".join(lines))


def accept(env: Env, dry_run: DryRun = False) -> Reply:
    from otapgate.acts import environments

    with open_workspace() as workspace:
        draft = environments.accept(workspace, env)
        name = draft.predicate["environment"]
        text = _("You accepted {environment} as described in {file}.").format(
            environment=name, file=workspace.environment(name).file
        )
        return recorded(workspace, draft, {"environment": {"name": name}}, text, dry_run)


def adopt(
    env: Env,
    release: Annotated[str, typer.Argument(metavar="REL", help=_("What should be running there."))],
    because: Annotated[
        str,
        typer.Option("--because", help=_("After going back failed: why what was left may stay.")),
    ] = "",
    dry_run: DryRun = False,
) -> Reply:
    from otapgate.acts import environments

    with open_workspace() as workspace:
        found = environments.adopt(
            workspace, env, release, because=because, dry_run=dry_run, progress=progress
        )
    text = _("{environment} runs {release}: looked at on every host, and {outcome}.").format(
        environment=found["environment"], release=found["release"], outcome=_("complete")
    )
    data = {
        "environment": {"name": found["environment"]},
        "completeness": {"outcome": found["completeness"]},
        "entry": found["entry"],
    }
    if dry_run:
        text = _("Nothing was recorded (--dry-run). Would say: {text}").format(text=text)
        return Reply({**data, "dry_run": True}, text)
    return Reply(data, f"{text}\n" + _("Entry {n}.").format(n=found["entry"]))
