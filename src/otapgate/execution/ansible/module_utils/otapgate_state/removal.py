# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""Removes the snapshots of runs that nothing needs any more.

Below one folder, by the names of runs, and nowhere else: no link is followed, also when
somebody puts one there meanwhile, and no mounted file system entered.
"""

import os
import re
import stat

RUN = re.compile(r"[a-z]{1,20}-[0-9a-f]{4,64}\Z")
_HERE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(root, runs):
    """What could not be removed, as texts; a run that isn't there is no failure."""
    left = []
    try:
        folder = os.open(root, _HERE)
    except FileNotFoundError:
        return left
    except OSError as error:
        return ["%s: %s" % (root, error.strerror)]
    try:
        mounts = _mounts()
        real = os.readlink("/proc/self/fd/%d" % folder)
        for run in runs:
            if not RUN.match(run):
                left.append("%s: no name of a run" % run)
                continue
            path = "%s/%s" % (real.rstrip("/"), run)
            try:
                if any(one == path or one.startswith(path + "/") for one in mounts):
                    raise OSError(0, "something is mounted in it")
                if not stat.S_ISDIR(os.stat(run, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise OSError(0, "it is no folder")
                _remove(folder, run)
            except FileNotFoundError:
                continue
            except (OSError, RecursionError) as error:
                why = getattr(error, "strerror", None) or str(error)
                left.append("%s: %s" % (path, why))
    except OSError as error:
        left.append("%s: %s" % (root, error.strerror))
    finally:
        os.close(folder)
    return left


def _remove(parent, name):
    """One entry of an open folder."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    folder = os.open(name, _HERE, dir_fd=parent)
    try:
        if stat.S_IMODE(os.fstat(folder).st_mode) & 0o700 != 0o700:
            os.fchmod(folder, 0o700)
        for entry in os.listdir(folder):
            _remove(folder, entry)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        found = [line.split(" ")[4] for line in file]
    return [re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), one) for one in found]
