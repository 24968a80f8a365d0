"""What of Linux Python 3.11 has no function for: namespaces, mounts, capabilities.

Every function raises OSError with the kernel's reason.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys

NEW_NS = 0x00020000
NEW_UTS = 0x04000000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PID = 0x20000000
NEW_NET = 0x40000000

READ_ONLY, NO_SUID, NO_DEV, NO_EXEC = 1, 2, 4, 8
REMOUNT, BIND, RECURSIVE, PRIVATE = 32, 4096, 16384, 1 << 18
_DETACH = 2
_NO_NEW_BOUND = 24  # PR_CAPBSET_DROP
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_CAPABILITIES = 0x20080522  # the third form of capset's arguments
_NETWORK_COOKIE = 71  # SO_NETNS_COOKIE
_LAST_CAPABILITY = 63

KEPT = frozenset(
    (
        0,  # chown
        1,  # dac_override
        3,  # fowner
        4,  # fsetid
        5,  # kill
        6,  # setgid
        7,  # setuid
        8,  # setpcap
        10,  # net_bind_service
        12,  # net_admin, of its own network
        13,  # net_raw
        14,  # ipc_lock
        18,  # sys_chroot
        23,  # sys_nice
        24,  # sys_resource
        29,  # audit_write
        31,  # setfcap
    )
)
"""What root on a host may. Not: mounting, making devices, loading modules, the clock,
restarting the machine."""

_libc = ctypes.CDLL(None, use_errno=True)


def _ask(name: str, *arguments: object) -> int:
    answer: int = getattr(_libc, name)(*arguments)
    if answer == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return answer


def unshare(flags: int) -> None:
    """Leave namespaces for new ones; NEW_PID holds for children from now on."""
    _ask("unshare", ctypes.c_int(flags))


def join(handle: int, kind: int = 0) -> None:
    """Enter the namespace that the open file `handle` is of."""
    _ask("setns", ctypes.c_int(handle), ctypes.c_int(kind))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """As mount(2)."""
    _ask(
        "mount", os.fsencode(source), os.fsencode(target), os.fsencode(kind) or None,
        ctypes.c_ulong(flags), os.fsencode(data) or None,
    )  # fmt: skip


def bind(source: str, target: str, read_only: bool = False) -> None:
    """The same file or folder in a second place."""
    mount(source, target, flags=BIND)
    if read_only:
        mount("", target, flags=BIND | REMOUNT | READ_ONLY)


def become_root_of(folder: str) -> None:
    """Make `folder`, a mount, this process's whole view; what was there before is gone."""
    os.chdir(folder)
    _ask("pivot_root", b".", b".")
    _ask("umount2", b".", ctypes.c_int(_DETACH))
    os.chdir("/")


def keep_capabilities(kept: frozenset[int] = KEPT) -> None:
    """Neither this process nor any that it begins has another from here on."""
    for number in range(_LAST_CAPABILITY + 1):
        if number not in kept:
            try:
                _ask("prctl", ctypes.c_int(_NO_NEW_BOUND), ctypes.c_ulong(number), 0, 0, 0)
            except OSError:
                break  # the first that this kernel doesn't know
    head, sets = (ctypes.c_uint32 * 2)(_CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    _ask("capget", head, sets)
    for half in (0, 1):
        mask = sum(1 << n % 32 for n in kept if n // 32 == half)
        allowed = sets[half * 3 + 1] & mask  # this process needn't have had all of them
        sets[half * 3 : half * 3 + 3] = [allowed, allowed, 0]
    _ask("capset", head, sets)


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` when the process that started this one ends."""
    _ask("prctl", ctypes.c_int(_DEATH_SIGNAL), ctypes.c_ulong(signal), 0, 0, 0)


def network_cookie() -> int:
    """The number of this process's network, of which there is never another; 0 where the
    kernel (before 5.14) has none."""
    with socket.socket() as any_one:
        try:
            told = any_one.getsockopt(socket.SOL_SOCKET, _NETWORK_COOKIE, 8)
        except OSError:
            return 0
    return int.from_bytes(told, sys.byteorder)


def reason(error: BaseException) -> str:
    """What went wrong, without the number that the kernel has for it."""
    said: str | None = getattr(error, "strerror", None)
    return said or str(error) or type(error).__name__


def hashed(password: str, salt: str) -> str:
    """The password as /etc/shadow holds it (SHA-512); raises OSError without libcrypt."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    made = library.crypt(password.encode(), f"$6${salt}".encode())
    if not made:
        raise OSError("libcrypt makes no SHA-512 hashes")
    return str(made.decode())
