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


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_form_and_every_field_is_explained(name: str) -> None:
    schema: dict[str, Any] = schemas()[name]()
    unexplained = [
        (form["title"], key)
        for form in (schema, *schema.get("$defs", {}).values())
        for key, field in [("", form), *form["properties"].items()]
        if not field.get("description")
    ]
    assert unexplained == []


def test_the_schema_knows_what_may_be_written_short() -> None:
    """A bare path, a port as a number and a bare transform are accepted, so editors that
    check by the schema must not call them wrong."""
    release, anonymise = schemas()["release"](), schemas()["anonymize-plan"]()
    artifact = release["properties"]["artifacts"]["items"]["anyOf"]
    port = release["$defs"]["StateForm"]["properties"]["ports"]["items"]["anyOf"]
    column = anonymise["properties"]["every_table"]["additionalProperties"]["anyOf"]
    assert [one.get("type") for one in artifact] == ["string", None]
    assert [one["type"] for one in port] == ["string", "integer"]
    assert "keep" in column[0]["enum"]


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
