"""Sees to it that a user has a password: `set_password.py USERS NAME`, the password on stdin.

USERS is a file as Apache's htpasswd writes it; other users in it are left alone. Says
`changed` or `same`. Run by the Python that Radicale is installed in, which has passlib.
"""

import os
import sys
from pathlib import Path

from passlib.hash import sha512_crypt


def main() -> None:
    file, name, password = Path(sys.argv[1]), sys.argv[2], sys.stdin.read().strip("\n")
    if not password:
        sys.exit("there is no password on stdin")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    users = dict(line.split(":", 1) for line in lines if ":" in line)
    known = users.get(name, "")
    if sha512_crypt.identify(known) and sha512_crypt.verify(password, known):
        sys.stdout.write("same\n")
        return
    users[name] = sha512_crypt.hash(password)
    aside = file.with_suffix(".new")
    aside.write_text("".join(f"{who}:{what}\n" for who, what in users.items()), "utf-8")
    aside.chmod(0o640)
    owner = file.parent.stat()
    os.chown(aside, owner.st_uid, owner.st_gid)
    aside.replace(file)
    sys.stdout.write("changed\n")


main()
