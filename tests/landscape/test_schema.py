"""JSON Schemas: one for every format, and about the same things as the checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otapgate.landscape import yaml_positions
from otapgate.landscape.schema import schemas


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_format_has_a_schema_that_refuses_unknown_keys(name: str) -> None:
    schema = schemas()[name]()
    json.dumps(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["additionalProperties"] is False
    # an empty calendar is a sound one
    assert schema.get("required") or name == "calendar"


def test_every_field_of_a_landscape_and_a_change_is_explained() -> None:
    for name in ("landscape", "policy", "calendar", "street", "change"):
        schema: dict[str, Any] = schemas()[name]()
        for form in (schema, *schema.get("$defs", {}).values()):
            for key, field in form.get("properties", {}).items():
                assert field.get("description"), (name, form["title"], key)


def test_the_schema_names_what_the_reader_reads(root: Path) -> None:
    for name, file in (
        ("landscape", "otapgate.yml"),
        ("policy", "policy.yml"),
        ("street", "environments/agenda.yml"),
    ):
        data = yaml_positions.load(root / file, file).data
        assert set(data) <= set(schemas()[name]()["properties"])
        assert f"schema/{name}.json" in (root / file).read_text().splitlines()[0]
        assert json.loads((root / f".otapgate/schema/{name}.json").read_text()) == schemas()[name]()
