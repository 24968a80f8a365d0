"""The JSON Schema of every file format, for editors and for `otapgate schema NAME`.

Made from the pydantic models, so that it can't differ from what is checked. The models of
other subjects are looked up by name, when asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, cast

FORMATS: dict[str, str] = {
    "landscape": "otapgate.landscape.files:LandscapeFile",
    "policy": "otapgate.landscape.files:PolicyFile",
    "calendar": "otapgate.landscape.files:CalendarFile",
    "street": "otapgate.landscape.files:StreetFile",
    "change": "otapgate.change.vtw_file:VtwFileModel",
    "release": "otapgate.release.release_file:ReleaseFileModel",
    "plan": "otapgate.testing.plan_file:PlanFileModel",
    "lab": "otapgate.lab.lab_file:LabFile",
    "parallel": "otapgate.parallel.plan_file:ParallelFileModel",
    "anonymize-plan": "otapgate.anonymize.plan_file:PlanFile",
}
"""Name of the format, and its model as `module:class`."""


def schemas() -> dict[str, Callable[[], dict[str, Any]]]:
    """For each format by name: a function that gives its JSON Schema (2020-12)."""
    return {name: partial(_schema, name, model) for name, model in FORMATS.items()}


def _schema(name: str, model: str) -> dict[str, Any]:
    module, kind = model.split(":")
    form = getattr(importlib.import_module(module), kind)
    made = cast("dict[str, Any]", form.model_json_schema(by_alias=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:otapgate:schema:{name}:1",
        **made,
    }
