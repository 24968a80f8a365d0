"""A folder as the files of a release."""

from __future__ import annotations

import hashlib
from pathlib import Path

from otapgate.release.manifest import ReleaseFile


def release_files(tree: Path) -> tuple[ReleaseFile, ...]:
    """Every file below it, by path."""
    return tuple(
        ReleaseFile(
            str(path.relative_to(tree)),
            "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
        )
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    )
