"""Keeps what a run takes in by a name that is known only then within the release.

A role may include `{{ ansible_facts['os_family'] }}.yml`. The guard reads every file that
lies beside the playbooks, and the callback plugin `otapgate_includes` ends Ansible before
it uses anything of a file that lies elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from otapgate.errors import Failed
from otapgate.i18n import _
from otapgate.secrets_filter import SecretsFilter

if TYPE_CHECKING:
    from otapgate.execution.runner import PlaybookResult


def variables(playbooks: Sequence[Path], scratch: Path) -> dict[str, str]:
    """Environment variables that tell the plugin in which folders files have been read:
    those of the playbooks themselves."""
    told = {
        "folders": sorted({str(path.absolute().parent) for path in playbooks}),
        "ready": str(_ready(scratch)),
        "mark": str(_mark(scratch)),
    }
    return {"OTAPGATE_INCLUDES": json.dumps(told)}


def require(scratch: Path) -> None:
    """Raises Failed (`includes-unwatched`) when Ansible runs without the plugin."""
    if not _ready(scratch).exists():
        raise Failed(
            "includes-unwatched",
            _("Ansible began without otapgate's watch over what is included."),
            remedy="pip install --force-reinstall otapgate",
        )


def judged(result: PlaybookResult, scratch: Path, mask: SecretsFilter) -> PlaybookResult:
    """The result of a run, or that it was ended for what it took in (`file-outside`)."""
    import msgspec

    if not _mark(scratch).exists():
        return result
    try:
        told = json.loads(_mark(scratch).read_text("utf-8"))
    except ValueError:  # killed by somebody else while it wrote
        told = {}
    task, where, path = (mask(str(told.get(x) or "?")) for x in ("task", "where", "path"))
    message = _(
        "{task} ({where}) took in {path}, which isn't a file of variables or tasks beside the"
        " release's playbooks. Ansible was stopped before it was used."
    ).format(task=task, where=where, path=path)
    return msgspec.structs.replace(result, ok=False, code="file-outside", message=message)


def _ready(scratch: Path) -> Path:
    return scratch / "includes-watched"


def _mark(scratch: Path) -> Path:
    return scratch / "included-elsewhere"
