# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""What systemd says of a service, and which packages a host has."""

import fnmatch
import os
import shutil
import subprocess

from .paths import file_digest

ASKED = ("LoadState", "ActiveState", "SubState", "UnitFileState", "FragmentPath", "DropInPaths",
         "NeedDaemonReload")  # fmt: skip
LISTS = (
    ("dpkg-query", "-W", "-f", "${binary:Package}\t${Version} ${db:Status-Status}\n"),
    ("rpm", "-qa", "--qf", "%{NAME}.%{ARCH}\t%{EPOCH}:%{VERSION}-%{RELEASE}\n"),
)


def output(command):
    """What a command writes; raises OSError when it fails or takes a minute."""
    clean = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean, timeout=60, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OSError("%s gave no answer" % command[0]) from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise OSError("%s: %s" % (command[0], said or "failed"))
    return done.stdout.decode("utf-8", "backslashreplace")


def service(name):
    """State of a unit, and digests of the files that define it."""
    if not os.path.isdir("/run/systemd/system"):
        return {"error": "systemd doesn't run on this host"}
    try:
        lines = output(["systemctl", "show", "-p", ",".join(ASKED), "--", name]).splitlines()
        seen = dict(line.partition("=")[::2] for line in lines)
        files = [seen.get("FragmentPath", ""), *seen.get("DropInPaths", "").split()]
        digests = {path: file_digest(os.path.realpath(path)) for path in files if path}
    except OSError as error:
        return {"error": error.strerror or str(error)}
    return {
        "load": seen.get("LoadState", ""),
        "active": seen.get("ActiveState", ""),
        "sub": seen.get("SubState", ""),
        "enabled": seen.get("UnitFileState", ""),
        "reload": seen.get("NeedDaemonReload", ""),
        "files": digests,
    }


def packages(patterns):
    """Name → version and state of the packages that match, by Debian's or Red Hat's list."""
    for command in LISTS:
        if shutil.which(command[0]):
            try:
                lines = output(list(command)).splitlines()
            except OSError as error:
                return {"error": error.strerror or str(error)}
            found = {}
            for line in lines:
                name, _tab, version = line.partition("\t")
                # Debian says libc6:amd64 where Red Hat says glibc.x86_64
                bare = name.partition(":")[0] if command[0] == LISTS[0][0] else name
                names = (name, bare, name.rpartition(".")[0] or name)
                wanted = any(fnmatch.fnmatchcase(one, item) for item in patterns for one in names)
                if wanted and not version.endswith(" not-installed"):
                    # several versions of one package may be there (kernels)
                    found[name] = found[name] + ", " + version if name in found else version
            return {"found": found}
    return {"error": "neither dpkg-query nor rpm is on this host"}
