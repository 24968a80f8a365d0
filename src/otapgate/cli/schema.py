"""`otapgate schema`: the JSON Schema of every file format."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from otapgate import errors
from otapgate.cli.output import Reply
from otapgate.i18n import _


def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help=_("The format; none lists them."))
    ] = None,
) -> Reply:
    from otapgate.landscape.schema import schemas

    known = schemas()
    if name is None:
        return Reply({"schemas": sorted(known)}, "\n".join(sorted(known)))
    if name not in known:
        raise errors.BadInput(
            "schema-unknown",
            _("There is no format {name}.").format(name=name),
            remedy=", ".join(sorted(known)),
        )
    found = known[name]()
    return Reply({"schema": found}, json.dumps(found, indent=2, ensure_ascii=False))
