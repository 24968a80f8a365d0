"""By which strategy Ansible goes over the tasks: its own, or Mitogen's where that is asked for.

Mitogen keeps a Python running on each host instead of starting one for each task. It is a
plugin of others, and ansible-core means to stop loading those; so it is an option, only
pairs of versions that the tests were run with are let through, and what doesn't fit with
how otapgate reaches hosts is refused by its name before anything is sent.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from otapgate.errors import BadInput, Failed, Problem
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Strategy

TRIED = {("2.19", "0.3.54"), ("2.21", "0.3.54")}
"""ansible-core and Mitogen with which the tests of the lab were run."""
CONNECTIONS = ("ssh", "local")
"""The names under which Mitogen takes a connection over."""
METHODS = ("sudo", "su", "doas")
SETTINGS = tuple(
    f"mitogen_{name}"
    for name in ("via", "kind", "mask_remote_name", "ssh_compression", "ssh_debug_level",
                 "ssh_keepalive_count", "ssh_keepalive_interval", "buildah_path", "docker_path",
                 "incus_path", "kubectl_path", "lxc_attach_path", "lxc_info_path", "lxc_path",
                 "machinectl_path", "podman_path")
)  # fmt: skip
"""Variables that Mitogen reads: where a task goes, and which program here takes it there.
Set to nothing as extra variables, so that no fact of a host sets them."""
_UNCHECKED = ("ansible_host_key_checking", "ansible_ssh_host_key_checking")


def installed() -> tuple[str, str]:
    """Versions of ansible-core and Mitogen; "" where it isn't installed."""
    found = []
    for name in ("ansible-core", "mitogen"):
        try:
            found.append(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            found.append("")
    return found[0], found[1]


def was_tried(ansible: str, mitogen: str) -> bool:
    """Whether the tests were run with these two together."""
    return (".".join(ansible.split(".")[:2]), mitogen) in TRIED


def remedy() -> str:
    """The command that installs a Mitogen that was tried with this ansible-core."""
    ansible, _mitogen = installed()
    fits = [m for a, m in sorted(TRIED) if ansible.startswith(f"{a}.")]
    if fits:
        return f"pip install mitogen=={fits[-1]}"
    core, other = sorted(TRIED)[-1]
    return f"pip install 'ansible-core=={core}.*' mitogen=={other}"


def check(strategy: Strategy, environment: Environment) -> None:
    """Raises Failed (`mitogen-missing`, `mitogen-untried`) and BadInput (`mitogen-refused`,
    with everything that doesn't fit)."""
    if strategy != "mitogen":
        return
    ansible, mitogen = installed()
    if not mitogen:
        raise _missing()
    if not was_tried(ansible, mitogen):
        raise Failed(
            "mitogen-untried",
            _("Mitogen {mitogen} was never tried with ansible-core {ansible}.").format(
                mitogen=mitogen, ansible=ansible or "?"
            ),
            remedy=_("{command}, or take 'strategy: mitogen' out of otapgate.yml").format(
                command=remedy()
            ),
            where="otapgate.yml",
        )
    problems = _problems(environment)
    if problems:
        raise BadInput(
            "mitogen-refused",
            _("{environment} can't be reached by Mitogen as it is described.").format(
                environment=environment.name
            ),
            remedy=_("Mend what is listed, or take 'strategy: mitogen' out of otapgate.yml."),
            where=environment.file or None,
            problems=tuple(problems),
        )


def _missing() -> Failed:
    return Failed(
        "mitogen-missing",
        _("The landscape asks for Mitogen's strategy, and Mitogen isn't installed."),
        remedy=remedy(),
        where="otapgate.yml",
    )


def _problems(environment: Environment) -> list[Problem]:
    found = []
    for host in environment.hosts:
        known = environment.variables_of(host)
        refused = [
            # Mitogen puts ssh's options for it before those that pin the keys
            *(name for name in _UNCHECKED if name in known),
            *(name for name in known if name.startswith("mitogen_")),
        ]
        if known.get("ansible_connection", "ssh") not in CONNECTIONS:
            refused.append("ansible_connection")
        if str(known.get("ansible_become_method", "sudo")) not in METHODS:
            refused.append("ansible_become_method")
        found += [
            Problem(
                _("{host}: {name} can't go together with Mitogen.").format(
                    host=host.name, name=name
                ),
                environment.file,
                remedy=_("Connections: {connections}; to become another user: {methods}.").format(
                    connections=", ".join(CONNECTIONS), methods=", ".join(METHODS)
                ),
            )
            for name in sorted(refused)
        ]
    return found


def unset(strategy: Strategy) -> dict[str, None]:
    """Extra variables that leave Mitogen's own settings unset."""
    return dict.fromkeys(SETTINGS) if strategy == "mitogen" else {}


def require_folder(strategy: Strategy, sockets: Path | None) -> None:
    """Raises Failed (`mitogen-folder`) when Mitogen has no place for its socket."""
    if strategy == "mitogen" and sockets is None:
        raise Failed(
            "mitogen-folder",
            _("There is no folder with a short path and for you alone for Mitogen's socket."),
            remedy=_("Set TMPDIR to a short path that is yours alone, such as /tmp."),
        )


def variables(strategy: Strategy, sockets: Path | None) -> dict[str, str]:
    """Environment variables that make Ansible use it, with its socket in the folder for
    ssh's (`control.sockets`); none without one, for what runs no tasks."""
    if strategy != "mitogen" or sockets is None:
        return {}
    spec = importlib.util.find_spec("ansible_mitogen")
    if spec is None or spec.origin is None:
        raise _missing()
    return {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(Path(spec.origin).parent / "plugins" / "strategy"),
        "TMPDIR": str(sockets),
    }
