"""publiccode.yml says what the publiccode.yml standard, version 0.5, demands.

No validator of it is published as a package for Python, so its rules stand here: those of
the core standard, as far as this file uses them.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from otapgate import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

MANDATORY = {
    "publiccodeYmlVersion", "name", "url", "platforms", "categories", "developmentStatus",
    "softwareType", "description", "legal", "maintenance", "localisation",
}  # fmt: skip
OPTIONAL = {
    "applicationSuite", "landingURL", "isBasedOn", "softwareVersion", "releaseDate", "logo",
    "organisation", "fundedBy", "usedBy", "roadmap", "intendedAudience", "dependsOn",
}  # fmt: skip
"""Without the keys that are deprecated."""
DESCRIPTION = {
    "localisedName", "shortDescription", "longDescription", "documentation", "apiDocumentation",
    "features", "screenshots", "videos", "awards",
}  # fmt: skip
STATUSES = {"concept", "development", "beta", "stable", "obsolete"}
TYPES = {
    "standalone/mobile", "standalone/iot", "standalone/desktop", "standalone/web",
    "standalone/backend", "standalone/other", "addon", "library", "configurationFiles",
}  # fmt: skip
CATEGORIES = {
    "application-development", "business-process-management", "compliance-management",
    "it-asset-management", "it-development", "it-management", "it-security",
    "it-service-management", "task-management", "test-management", "workflow-management",
}  # fmt: skip
SCOPES = {"education", "local-authorities", "security", "society"}
"""Of the standard's lists, what could be said of this software."""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    text = (ROOT / "publiccode.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def released() -> tuple[str, str] | None:
    """Version and date of the newest release in the changelog; None before the first."""
    heads = re.findall(r"^## \[?v?(\d+\.\d+\.\d+)\]? - (\S+)$", CHANGELOG, re.MULTILINE)
    return heads[0] if heads else None


def test_every_key_is_one_of_the_standard_and_none_is_lacking(found: dict[str, Any]) -> None:
    assert set(found) >= MANDATORY
    assert set(found) <= MANDATORY | OPTIONAL
    assert found["publiccodeYmlVersion"] == "0.5"
    assert found["name"] == PROJECT["name"]
    assert urlsplit(found["url"]).scheme == "https"


def test_the_words_are_those_of_the_standard(found: dict[str, Any]) -> None:
    assert found["developmentStatus"] in STATUSES
    assert found["softwareType"] in TYPES
    assert set(found["platforms"]) <= {"web", "windows", "mac", "linux", "ios", "android"}
    assert found["categories"]
    assert set(found["categories"]) <= CATEGORIES
    audience = found["intendedAudience"]
    assert set(audience) <= {"countries", "unsupportedCountries", "scope"}
    assert set(audience["scope"]) <= SCOPES
    # Lower case is deprecated since 0.5.
    assert audience["countries"] == ["NL"]


def test_the_descriptions_have_the_length_they_may_have(found: dict[str, Any]) -> None:
    assert found["localisation"]["localisationReady"] is True
    assert set(found["description"]) == set(found["localisation"]["availableLanguages"])
    for text in found["description"].values():
        assert set(text) <= DESCRIPTION
        assert len(text["shortDescription"]) <= 150
        assert "\n" not in text["shortDescription"]
        assert 150 <= len(text["longDescription"]) <= 10_000
        assert text["features"]
        assert all(isinstance(feature, str) for feature in text["features"])


def test_the_licence_is_that_of_the_project(found: dict[str, Any]) -> None:
    assert found["legal"]["license"] == PROJECT["license"]
    assert set(found["legal"]) <= {"license", "mainCopyrightOwner"}


def test_who_maintains_it_is_told_as_the_kind_of_maintenance_demands(
    found: dict[str, Any],
) -> None:
    maintenance = found["maintenance"]
    needed = {"internal": "contacts", "community": "contacts", "contract": "contractors"}
    assert maintenance["type"] in {*needed, "none"}
    keys = {"type", *filter(None, [needed.get(maintenance["type"])])}
    assert set(maintenance) == keys
    for person in maintenance.get("contacts", []):
        assert person["name"]
    for firm in maintenance.get("contractors", []):
        assert firm["name"]
        assert dt.date.fromisoformat(str(firm["until"]))


def test_what_it_depends_on_has_names_and_versions(found: dict[str, Any]) -> None:
    assert set(found["dependsOn"]) <= {"open", "proprietary", "hardware"}
    for needs in found["dependsOn"].values():
        for need in needs:
            assert set(need) <= {"name", "version", "versionMin", "versionMax", "optional"}
            assert all(isinstance(need[key], str) for key in need if key != "optional")
    python = next(need for need in found["dependsOn"]["open"] if need["name"] == "Python")
    assert f">={python['versionMin']}" == PROJECT["requires-python"]


def test_version_and_date_are_those_of_the_newest_release(found: dict[str, Any]) -> None:
    """Both may be left out, and must be, as long as nothing was released."""
    said = (found.get("softwareVersion"), found.get("releaseDate"))
    if released() is None:
        assert said == (None, None)
    else:
        assert said == released()
        assert dt.date.fromisoformat(said[1] or "")
        assert said[0] == __version__ or "## Unreleased" in CHANGELOG
