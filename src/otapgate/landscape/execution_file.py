"""How playbooks are run and rehearsed: the form of those parts of `otapgate.yml` and policy."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

from otapgate.i18n import _
from otapgate.landscape.model import Strategy
from otapgate.landscape.sentences import Wrong
from otapgate.landscape.yaml_positions import shown

_FAULTS = re.compile(r"none\Z|all\Z|sample:[1-9][0-9]{0,3}\Z")


def check_faults(value: str) -> str:
    """Where a rehearsal cuts the deployment short."""
    if not _FAULTS.match(value):
        raise Wrong(
            _("'{text}' doesn't say where the deployment is cut.").format(text=shown(value)),
            remedy=_("Write none, all, or sample:5 for five of its tasks."),
        )
    return value


class ExecutionFile(BaseModel):
    """How playbooks are run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Strategy = Field(
        default="linear",
        description="linear is Ansible's own; mitogen is faster, and takes Mitogen.",
    )
