# Runs on hosts by whatever Python from 3.8 they have: old forms on purpose.
# mypy: ignore-errors
"""A database's own command-line client, asked one thing after the other in one session."""

import fnmatch
import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.parse

from .rows import Rows

BLOCK = 2000  # lines of a table that are held at a time


class ClientError(Exception):
    """The client isn't there, or the server said no."""


def parsed(url):
    """User, host, port, name and options of a database's URL. A password in it is refused:
    it would be on the client's command line, and in what is kept."""
    parts = urllib.parse.urlsplit(url)
    options = dict(urllib.parse.parse_qsl(parts.query))
    if parts.password is not None or "password" in options:
        raise ClientError("a password doesn't belong in the URL: name a secret")
    name = urllib.parse.unquote(parts.path.lstrip("/"))
    if not name or name.startswith("-"):
        raise ClientError("the URL names no database")
    user = urllib.parse.unquote(parts.username or "")
    return user, urllib.parse.unquote(parts.hostname or ""), parts.port, name, options


def unwanted(patterns, *names):
    """Whether one of the names (a table's, with and without its schema) may differ."""
    return any(fnmatch.fnmatchcase(name, one) for name in names for one in patterns)


class Client:
    """A running client. `ask` sends statements and yields lines of bytes up to the mark,
    which no row can look like."""

    def __init__(self, program, arguments, environment, mark):
        path = shutil.which(program[0]) or shutil.which(program[-1])
        if path is None:
            raise ClientError("%s isn't installed on this host" % program[0])
        kept = ("PATH", "HOME", "USER", "LOGNAME")
        clean = {name: os.environ[name] for name in kept if name in os.environ}
        clean.update(environment, LC_ALL="C")
        self.errors = tempfile.TemporaryFile()
        self.mark = mark[0]
        self.tail = mark[1]
        self.process = subprocess.Popen(
            [path] + arguments,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            env=clean, bufsize=1 << 18,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()

    def ask(self, text):
        """Lines without their line end. Raises ClientError when the client gives up."""
        try:
            self.process.stdin.write(text.encode("utf-8", "surrogateescape") + self.tail)
            self.process.stdin.flush()
        except OSError:
            pass  # why is in its errors
        for line in self.process.stdout:
            if line == self.mark:
                return
            yield line[:-1]
        raise ClientError(self.complaint())

    def complaint(self):
        """What the client wrote about it, on one line."""
        self.process.wait()
        self.errors.seek(0)
        said = " ".join(self.errors.read(4000).decode("utf-8", "replace").split())
        return said or "the client ended with %d" % self.process.returncode

    def rows(self, text, budget):
        """The rows of one table as `Rows.said` says them, in constant memory."""
        rows, block, sha = Rows(budget), [], hashlib.sha256
        for line in self.ask(text):
            block.append(sha(line).digest())
            if len(block) == BLOCK:
                rows.add(block)
                block = []
        rows.add(block)
        return rows.said()
