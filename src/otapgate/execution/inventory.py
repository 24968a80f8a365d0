"""What Ansible is given: the inventory of exactly one environment, and its settings.

The inventory is static and generated, and the process environment is built from nothing,
so no `ANSIBLE_*` variable, `~/.ansible.cfg` or inventory plugin of whoever runs otapgate
can change where a playbook goes. Running Ansible is the runner's.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otapgate.execution import ssh_config
from otapgate.execution import strategy as strategies
from otapgate.landscape import host_keys
from otapgate.landscape.model import Environment, Strategy

LIBRARY = Path(__file__).parent / "ansible" / "library"
ACTIONS = Path(__file__).parent / "ansible" / "action"
GO = Path(__file__).parent / "ansible" / "go.yml"
"""The playbook in which Ansible waits for otapgate to have recorded what came before."""
GO_ON = Path(__file__).parent / "ansible" / "go-on.yml"
"""The same between two cases of a rehearsal."""
WAITS = (GO, GO_ON)
GO_WORD = "go"
"""Name of the file, in the scratch folder, for which it waits."""
FINGERPRINT_FILE = "fingerprint.json"
"""Name of the file, in the scratch folder, that says what to look at on hosts."""
MODULE_UTILS = Path(__file__).parent / "ansible" / "module_utils"
LOCALE = "C.UTF-8"
LARGEST_RESULT = 1 << 30
"""Characters of one task's result that ansible-runner passes on; its own limit of
700,000 would drop the fingerprint of a large installation."""


def connection_variables(environment: Environment, host: str) -> dict[str, Any]:
    """Where and how Ansible reaches `host`: the variables that decide it, as the
    environment's description gives them, defaults filled in."""
    merged = environment.variables_of(environment.host(host))
    connection = merged.get("ansible_connection", "ssh")
    python = sys.executable if connection == "local" else "/usr/bin/python3"
    chosen = {key: value for key, value in merged.items() if str(key).startswith("ansible_")}
    return {
        **chosen,
        "ansible_connection": connection,
        "ansible_host": merged.get("ansible_host", host),
        "ansible_python_interpreter": merged.get("ansible_python_interpreter", python),
    }


_LEFT_BY_ANSIBLE = frozenset(
    {f"ansible_{name}" for name in ("control_path", "control_path_dir", "host_key_checking")}
    | {f"ansible_{name}" for name in ("sftp_executable", "scp_executable", "sftp_batch_mode")}
    | {f"ansible_{name}" for name in ("private_key", "private_key_passphrase", "sshpass_prompt")}
    | {f"ansible_paramiko_{name}" for name in ("host", "port", "user", "proxy_command")}
    | {f"ansible_paramiko_{name}" for name in ("host_key_checking", "private_key_file")}
)
"""Connection variables that Ansible lets a module's facts set."""


def unset_variables(environment: Environment, strategy: Strategy = "linear") -> dict[str, None]:
    """Extra variables, which no fact overrides, that leave unset what the environment
    doesn't set: a module's answer, or a host's, can't name a program to run here, or a
    socket that leads to another machine."""
    given = {*environment.variables, *(x for host in environment.hosts for x in host.variables)}
    return {**dict.fromkeys(sorted(_LEFT_BY_ANSIBLE - given)), **strategies.unset(strategy)}


def inventory(
    environment: Environment,
    release_variables: Mapping[str, Any],
    host_variables: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The inventory: all hosts in `all` and in a group by the environment's name. The
    release's variables are the weakest, then the environment's, then the host's."""
    hosts = {
        host.name: {
            **host.variables,
            **connection_variables(environment, host.name),
            **host_variables.get(host.name, {}),
        }
        for host in environment.hosts
    }
    return {
        "all": {
            "vars": dict(release_variables),
            "children": {
                environment.name: {"hosts": hosts, "vars": dict(environment.variables)},
            },
        }
    }


SSH_ARGUMENTS = "-F {config} -C"
"""What ssh is given. Without `-F`, a `HostName` or `ProxyJump` in the configuration of
whoever runs otapgate would send one environment to another's machines, unseen: the way to
a host is the environment's to describe."""
_SHARED = "-o ControlMaster=auto -o ControlPersist=60s"
"""One connection for all tasks on a host; its end is `control`'s, at the latest when it has
been idle for so long."""
_PINNED = (
    "-o UserKnownHostsFile={path} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes"
    " -o UpdateHostKeys=no -o VerifyHostKeyDNS=no -o NoHostAuthenticationForLocalhost=no"
    " -o IgnoreUnknown=KnownHostsCommand -o KnownHostsCommand=none"
)
"""For ssh the first that it is told counts, and these come before whatever else says how a
host is reached: the keys that the description pins are the only ones that are believed."""


def ssh_arguments(scratch: Path, environment: Environment, sockets: Path | None) -> str:
    """What ssh is given; writes the environment's host keys, and the way to its hosts alone,
    below `scratch`, in a path that may hold spaces."""
    path = scratch / "known_hosts"
    path.write_text(host_keys.known_hosts(environment))
    # Ansible splits this as a shell would, ssh then reads the option's value by words
    quoted = shlex.quote(f'UserKnownHostsFile="{path}"')
    pinned = _PINNED.replace("UserKnownHostsFile={path}", quoted)
    config = shlex.quote(str(ssh_config.write(scratch, environment)))
    shared = f"{_SHARED} " if sockets else ""
    return f"{SSH_ARGUMENTS.format(config=config)} {shared}{pinned}"


def process_environment(
    scratch: Path,
    environment: Environment,
    *,
    forks: int,
    collections: Sequence[Path] = (),
    sockets: Path | None = None,
    strategy: Strategy = "linear",
) -> dict[str, str]:
    """Environment variables for Ansible's processes, all of them; makes the empty
    `ansible.cfg` below `scratch` that keeps every other one from being read, and the list
    of host keys. `sockets` is the folder for ssh's control sockets (`control.sockets`);
    without it every task connects anew. Raises BadInput when a host over SSH has no key,
    and what `strategy.check` does."""
    host_keys.require(environment)
    strategies.check(strategy, environment)
    reached = {
        host.name: connection_variables(environment, host.name) for host in environment.hosts
    }
    config = scratch / "ansible.cfg"
    config.write_text("# empty: every setting comes from the environment variables\n")
    temporary = scratch / "tmp"
    temporary.mkdir(mode=0o700, exist_ok=True)
    names = ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ"]
    if any(how["ansible_connection"] != "local" for how in reached.values()):
        names.append("SSH_AUTH_SOCK")  # keys that open other machines: only where needed
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    inherited.setdefault("PATH", os.defpath)
    return {
        **inherited,
        "LANG": LOCALE,
        "LC_ALL": LOCALE,
        "TERM": "dumb",
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_HOME": str(scratch),
        "ANSIBLE_LOCAL_TEMP": str(temporary),
        # a name for it even where there are no sockets, or Ansible makes ~/.ansible/cp
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets or scratch / "sockets"),
        "ANSIBLE_COLLECTIONS_PATH": ":".join(str(path) for path in collections)
        or str(scratch / "collections"),
        "ANSIBLE_LIBRARY": str(LIBRARY),
        "ANSIBLE_ACTION_PLUGINS": str(ACTIONS),
        "OTAPGATE_GO": str(scratch / GO_WORD),
        "OTAPGATE_FINGERPRINT": str(scratch / FINGERPRINT_FILE),
        "OTAPGATE_PID": str(os.getpid()),
        "ANSIBLE_MODULE_UTILS": str(MODULE_UTILS),
        # a role that isn't in the release would be one that nobody has read
        "ANSIBLE_ROLES_PATH": str(scratch / "roles"),
        "ANSIBLE_FORKS": str(forks),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_ARGS": ssh_arguments(scratch, environment, sockets),
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_INVENTORY_ENABLED": "ansible.builtin.yaml",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        # environments may have hyphens in their names, and a group bears that name
        "ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS": "ignore",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_NOCOWS": "True",
        "ANSIBLE_CACHE_PLUGIN": "memory",
        "ANSIBLE_STDOUT_CALLBACK": "awx_display",
        "RUNNER_OMIT_EVENTS": "False",
        "RUNNER_ONLY_FAILED_EVENTS": "False",
        "MAX_EVENT_RES": str(LARGEST_RESULT),
        **strategies.variables(strategy, sockets),
    }
