"""What git knows of the folder that a release was built from (CH01-07).

The only place where git is called. Its answer is told in the entry; nothing rests on it,
because a release is its bytes.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from otapgate.i18n import _
from otapgate.ledger.predicates import Source

SECONDS = 30
"""How long git may take."""

_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
# Nothing of the repository's own configuration gets to run a program.
_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat")


def git_source(path: Path, notes: list[str] | None = None) -> Source | None:
    """Commit and cleanliness of the git work tree that holds file `path`.

    None outside a work tree, and when git is absent, doesn't trust the folder or knows
    no commit yet; `notes` then gets a sentence that says so. The work tree is clean when
    nothing in it differs from the commit and nothing is untracked, `.otapgate` aside.
    """
    source, note = _ask(path)
    if note and notes is not None:
        notes.append(note)
    return source


def _ask(path: Path) -> tuple[Source | None, str]:
    folder = path.absolute().parent
    try:
        commit = _git(folder, "rev-parse", "--verify", "HEAD^{commit}")
        if commit.returncode != 0:
            return None, _why(folder, commit.stderr)
        status = _git(
            folder,
            "status",
            "--porcelain",
            "--untracked-files=normal",
            "--",
            ":(top)",
            ":(top,exclude,glob)**/.otapgate/**",
        )
    except FileNotFoundError:
        return None, _("git is not installed, so the release doesn't say what commit it is of.")
    except (OSError, subprocess.TimeoutExpired):
        return None, _("git didn't answer, so the release doesn't say what commit it is of.")
    name = commit.stdout.strip()
    if status.returncode != 0 or _COMMIT.match(name) is None:
        return None, _("git can't tell whether the folder is as committed.")
    return Source(commit=name, clean=not status.stdout.strip()), ""


def _why(folder: Path, said: str) -> str:
    if "dubious ownership" in said:
        return _(
            "git doesn't trust {folder}, which belongs to somebody else, so the release "
            "doesn't say what commit it is of. Trust it with: "
            "git config --global --add safe.directory {folder}"
        ).format(folder=folder)
    if "not a git repository" in said:
        return ""
    return _("There is no commit yet, so the release doesn't say what commit it is of.")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # GIT_DIR and its like would make git answer about another repository.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    return subprocess.run(
        ["git", "-C", str(folder), *_QUIET, *arguments],  # noqa: S607 - found on PATH, as ssh is
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
        env=environment,
    )
