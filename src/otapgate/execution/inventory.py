"""What Ansible is given: the inventory of exactly one environment, and its settings.

The inventory is static and generated, and the process environment is built from nothing,
so no `ANSIBLE_*` variable, `~/.ansible.cfg` or inventory plugin of whoever runs otapgate
can change where a playbook goes. Running Ansible is the runner's.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otapgate.landscape import host_keys
from otapgate.landscape.model import Environment

LIBRARY = Path(__file__).parent / "ansible" / "library"
ACTIONS = Path(__file__).parent / "ansible" / "action"
GO = Path(__file__).parent / "ansible" / "go.yml"
"""The playbook in which Ansible waits for otapgate to have recorded what came before."""
GO_ON = Path(__file__).parent / "ansible" / "go-on.yml"
"""The same between two cases of a rehearsal."""
WAITS = (GO, GO_ON)
GO_WORD = "go"
"""Name of the file, in the scratch folder, for which it waits."""
MODULE_UTILS = Path(__file__).parent / "ansible" / "module_utils"
LOCALE = "C.UTF-8"
LARGEST_RESULT = 1 << 30
"""Characters of one task's result that ansible-runner passes on; its own limit of
700,000 would drop the fingerprint of a large installation."""


def connection_variables(environment: Environment, host: str) -> dict[str, Any]:
    """Where and how Ansible reaches `host`: the variables that decide it, as the
    environment's description gives them, defaults filled in."""
    own = next(item for item in environment.hosts if item.name == host)
    merged = {**environment.variables, **own.variables}
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


def unset_variables(environment: Environment) -> dict[str, None]:
    """Extra variables, which no fact overrides, that leave unset what the environment
    doesn't set: a module's answer, or a host's, can't name a program to run here, or a
    socket that leads to another machine."""
    given = {*environment.variables, *(x for host in environment.hosts for x in host.variables)}
    return dict.fromkeys(sorted(_LEFT_BY_ANSIBLE - given))


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


SSH_ARGUMENTS = "-F /dev/null -C -o ControlMaster=auto -o ControlPersist=60s"
"""What ssh is given. Without `-F`, a `HostName` or `ProxyJump` in the configuration of
whoever runs otapgate would send one environment to another's machines, unseen: the way to
a host is the environment's to describe."""
_PINNED = (
    "-o UserKnownHostsFile={path} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes"
    " -o UpdateHostKeys=no -o VerifyHostKeyDNS=no -o NoHostAuthenticationForLocalhost=no"
    " -o IgnoreUnknown=KnownHostsCommand -o KnownHostsCommand=none"
)
"""For ssh the first that it is told counts, and these come before whatever else says how a
host is reached: the keys that the description pins are the only ones that are believed."""


def ssh_arguments(scratch: Path, environment: Environment) -> str:
    """What ssh is given; writes the environment's host keys below `scratch`, in a path
    that may hold spaces."""
    path = scratch / "known_hosts"
    path.write_text(host_keys.known_hosts(environment))
    # Ansible splits this as a shell would, ssh then reads the option's value by words
    quoted = shlex.quote(f'UserKnownHostsFile="{path}"')
    pinned = _PINNED.replace("UserKnownHostsFile={path}", quoted)
    return f"{SSH_ARGUMENTS} {pinned}"


def process_environment(
    scratch: Path, environment: Environment, *, forks: int, collections: Sequence[Path] = ()
) -> dict[str, str]:
    """Environment variables for Ansible's processes, all of them; makes the empty
    `ansible.cfg` below `scratch` that keeps every other one from being read, and the list
    of host keys. Raises BadInput when a host over SSH has none."""
    host_keys.require(environment)
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
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(
            _control_folder(scratch, (reached, environment.host_keys))
        ),
        "ANSIBLE_COLLECTIONS_PATH": ":".join(str(path) for path in collections)
        or str(scratch / "collections"),
        "ANSIBLE_LIBRARY": str(LIBRARY),
        "ANSIBLE_ACTION_PLUGINS": str(ACTIONS),
        "OTAPGATE_GO": str(scratch / GO_WORD),
        "OTAPGATE_PID": str(os.getpid()),
        "ANSIBLE_MODULE_UTILS": str(MODULE_UTILS),
        # a role that isn't in the release would be one that nobody has read
        "ANSIBLE_ROLES_PATH": str(scratch / "roles"),
        "ANSIBLE_FORKS": str(forks),
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_ARGS": ssh_arguments(scratch, environment),
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
    }


def _control_folder(scratch: Path, reached: Any) -> Path:
    """A private folder with a short name for ssh's control sockets: a socket's path
    holds at most 108 bytes, so it can't lie below the run's own folder. Ansible names a
    socket by address, port and user, which two environments behind different jump hosts
    may share; so each way to reach an environment, host keys included, has a folder of
    its own."""
    how = hashlib.sha256(json.dumps(reached, sort_keys=True, default=str).encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / f"otapgate-{getpass.getuser()}"
    for one in (folder, folder / how[:8]):
        try:
            one.mkdir(mode=0o700, exist_ok=True)
            found = one.lstat()
        except OSError:
            return scratch
        private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
        # somebody else's folder in /tmp could hold sockets that lead elsewhere
        if not private or found.st_uid != os.getuid():
            return scratch
    return folder / how[:8]
