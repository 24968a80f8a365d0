"""Who can log in to a host, with what, and who may become root there."""

from __future__ import annotations

import base64
import grp
import hashlib
import os
import pwd
import re
from typing import Any

from otapgate.probe.on_host.reading import listed, matching, read, text, unknown

ROOT_BY_GROUP = ("sudo", "wheel", "admin", "docker", "lxd", "incus", "libvirt", "disk", "shadow",
                 "root")  # fmt: skip
"""Groups whose members are root, or are it with one command more."""
_NO_SHELL = ("nologin", "false", "sync", "halt", "shutdown")


def accounts() -> list[dict[str, Any]]:
    """Every account that can log in or may become root: `name`, `groups`, `keys` (fingerprints),
    `password`, `login` and `root` (why it may become root, "" where it may not)."""
    hashes = _hashes()
    groups = _groups()
    rules = _sudo_rules()
    if read("/etc/doas.conf", needed=True).strip():
        unknown("doas has rules, which aren't looked at")
    found = []
    for entry in pwd.getpwall():
        member = groups.get(entry.pw_name, set()) | _primary(entry.pw_gid)
        shell = os.path.basename(entry.pw_shell or "sh") not in _NO_SHELL
        keys = _keys(entry) if shell else []
        secret = hashes.get(entry.pw_name)
        password = shell and secret is not None and _opens(secret)
        login = bool(keys) or password
        root = _root(entry, member, rules)
        if login or (root and entry.pw_uid):
            found.append(
                {
                    "name": entry.pw_name,
                    "groups": sorted(member),
                    "keys": keys,
                    "password": password,
                    "login": login,
                    "root": root,
                }
            )
    return sorted(found, key=lambda one: str(one["name"]))[:5000]


def _hashes() -> dict[str, str]:
    """The second field of the shadow file by account."""
    lines = text("/etc/shadow", needed=True).splitlines()
    return {line.split(":")[0]: line.split(":")[1] for line in lines if line.count(":") > 1}


def _opens(shadow: str) -> bool:
    """Whether some password fits: an empty one, or one with a hash."""
    return not shadow or (shadow[0] not in "!*" and shadow != "x")


def _groups() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for group in grp.getgrall():
        for member in group.gr_mem:
            found.setdefault(member, set()).add(group.gr_name)
    return found


def _primary(gid: int) -> set[str]:
    try:
        return {grp.getgrgid(gid).gr_name}
    except KeyError:
        return set()


def _keys(entry: pwd.struct_passwd) -> list[str]:
    """Fingerprints of the keys that log in to the account."""
    found = set()
    for pattern in _key_files():
        path = pattern.replace("%%", "\0").replace("%h", entry.pw_dir).replace("%u", entry.pw_name)
        path = path.replace("%U", str(entry.pw_uid)).replace("\0", "%")
        path = path if path.startswith("/") else os.path.join(entry.pw_dir, path)
        for line in text(path, needed=True).splitlines():
            key = re.search(r"(?:^|\s)(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+\s+(AAAA[A-Za-z0-9+/=]+)", line)
            if key is None or line.lstrip().startswith("#"):
                continue
            try:
                digest = hashlib.sha256(base64.b64decode(key.group(1))).digest()
            except ValueError:
                unknown(f"{path}: a key can't be read")
                continue
            found.add("SHA256:" + base64.b64encode(digest).decode().rstrip("="))
    return sorted(found)


def _key_files() -> list[str]:
    """Where sshd looks for keys, as far as its configuration says."""
    said = []
    for path in ["/etc/ssh/sshd_config", *matching("/etc/ssh/sshd_config.d/*.conf")]:
        for line in text(path).splitlines():
            words = line.split("#")[0].replace("=", " ").split()
            if len(words) > 1 and words[0].lower() == "authorizedkeysfile":
                said += [word for word in words[1:] if word != "none"]
            elif len(words) > 1 and words[0].lower() in (
                "authorizedkeyscommand", "trustedusercakeys", "authorizedprincipalsfile",
            ) and words[1] != "none":  # fmt: skip
                unknown(f"sshd also lets in by {words[0]}, which isn't looked at")
    return sorted({*said, ".ssh/authorized_keys", ".ssh/authorized_keys2"})


def _sudo_rules() -> tuple[set[str], set[str], str]:
    """Users and groups (lower case) that sudo's files name, and all of their text."""
    users: set[str] = set()
    groups: set[str] = set()
    content = "\n".join(_sudoers("/etc/sudoers", 0)).replace("\\\n", " ")
    aliases = {}
    for line in content.splitlines():
        alias = re.match(r"\s*User_Alias\s+(.*)", line)
        for part in alias.group(1).split(":") if alias else ():
            name, _equals, members = part.partition("=")
            aliases[name.strip()] = [one.strip() for one in members.split(",")]
    for whole in content.splitlines():
        line = whole if re.match(r"\s*#\d", whole) else whole.split("#")[0]
        words = line.split()
        if not words or words[0].startswith(("Defaults", "@")) or "_Alias" in words[0]:
            continue
        subject = line.partition("=")[0].rsplit(None, 1)[0] if "=" in line else ""
        names = [one.strip().strip('"') for one in subject.split(",") if one.strip()]
        for name in [member for one in names for member in aliases.get(one, [one])]:
            if name.startswith(("%#", "%:", "+", "#", "!")):
                unknown(f"sudo's rule for {name} isn't understood")
            elif name.startswith("%"):
                groups.add(name[1:])
            else:
                users.add(name)
    return users, groups, content


def _sudoers(path: str, depth: int) -> list[str]:
    """The file and what it includes."""
    content = text(path, needed=True)
    found = []
    for line in content.splitlines():
        include = re.match(r"\s*[#@]include(dir)?\s+(\S+)", line)
        if include is None:
            found.append(line)
        elif depth > 9:
            unknown("sudo's files include each other too deep")
        elif include.group(1):
            for name in listed(include.group(2), needed=True):
                if "." not in name and not name.endswith("~"):
                    found += _sudoers(os.path.join(include.group(2), name), depth + 1)
        else:
            found += _sudoers(os.path.join("/etc", include.group(2)), depth + 1)
    return found


def _root(entry: pwd.struct_passwd, member: set[str], rules: tuple[set[str], set[str], str]) -> str:
    """Why the account may become root; "" where it may not."""
    users, groups, _content = rules
    if entry.pw_uid == 0:
        return "uid 0"
    if entry.pw_name in users or "ALL" in users:
        return "sudo"
    by_group = sorted(member & groups)
    if by_group:
        return f"sudo by group {by_group[0]}"
    by_group = sorted(member & set(ROOT_BY_GROUP))
    # sudo and its like give nothing where no rule speaks of them
    by_group = [name for name in by_group if name not in ("sudo", "wheel", "admin")]
    if by_group:
        return f"group {by_group[0]}"
    return ""
