"""The request for change (VTW): reading a filled-in form, and an empty one to fill in.

`parse` and `template` are pure. A form that isn't clear is sent back with all its gaps at
once. The fields stand in `vtw_file.py`; the life of a change after submission doesn't
belong here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _

WITHOUT_STREET = ("procedure", "process")
"""Kinds of object that no release moves for, but that take the same decisions (CH01-02)."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse(text: str | bytes, file: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The request in a form's text, as data with a canonical form, or None and every gap.

    Fields left out and answers of null aren't in the result, so that the digest stays the
    same when a later version adds an optional field.
    """
    from otapgate.landscape import yaml_positions

    return _judged(yaml_positions.load(text, file))


def load_vtw(path: Path, file: str | None = None) -> dict[str, Any]:
    """The request in a file. Raises BadInput `vtw-incomplete` with every gap."""
    from otapgate.landscape import yaml_positions

    vtw, problems = _judged(yaml_positions.load(path, file or str(path)))
    if vtw is None:
        raise BadInput(
            "vtw-incomplete",
            _("The request can't be taken in yet; it is sent back with every gap."),
            remedy=_("Fill in what is listed, and submit it again."),
            where=file or str(path),
            problems=tuple(problems),
        )
    return vtw


def check_file(path: Path, root: Path) -> list[Problem]:
    """Everything wrong with the form in `path`, a file of the landscape at `root`."""
    from otapgate.landscape import yaml_positions

    file = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return _judged(yaml_positions.load(path, file))[1]


def _judged(document: Any) -> tuple[dict[str, Any] | None, list[Problem]]:
    from otapgate.change.vtw_file import VtwFileModel
    from otapgate.landscape import yaml_positions

    form, problems = yaml_positions.validate(document, VtwFileModel)
    if isinstance(document.data, dict):
        # On the raw answers, so that one gap doesn't hide another.
        problems = problems + [
            document.problem(message, [key], _("Add '{name}: …'.").format(name=key))
            for key, message in _follow_up(document.data)
            if document.data.get(key) is None
        ]
        problems += _untimely(document)
        problems.sort(key=lambda problem: problem.line or 0)
    if form is None or problems:
        return None, problems
    return form.model_dump(mode="json", exclude_none=True), []


def _follow_up(answers: dict[str, Any]) -> list[tuple[str, str]]:
    """Fields that other answers make compulsory, each with why."""
    needed: list[tuple[str, str]] = []
    kind, about = answers.get("kind"), answers.get("object")
    if isinstance(about, str) and about not in WITHOUT_STREET:
        needed += [
            ("street", _("Through which street the change moves is not said.")),
            ("rollback_minutes", _("How long a rollback may take is not said.")),
        ]
    if kind == "emergency":
        needed.append(
            ("emergency", _("An emergency must say its reason and the threat that it averts."))
        )
    if kind == "standard":
        needed.append(("template", _("Which standard change this follows is not said.")))
    if answers.get("security") is True:
        needed.append(
            ("security_consequences", _("What it means for security is not said, but it does."))
        )
    if answers.get("privacy") is True:
        needed += [
            ("privacy_consequences", _("Which personal data it touches, and whose, is not said.")),
            ("dpia", _("Personal data are touched, but whether a DPIA is needed is not said.")),
        ]
    if answers.get("dpia") == "not-needed":
        needed.append(("dpia_because", _("Why no DPIA is needed is not said.")))
    if answers.get("by_supplier") is True:
        needed.append(("supplier", _("A supplier does part of it, but which one is not said.")))
    return needed


def _untimely(document: Any) -> list[Problem]:
    """Answers that contradict each other."""
    answers = document.data
    problems = []
    wanted, latest = answers.get("wanted"), answers.get("latest")
    dates = all(isinstance(d, str) and _DATE.fullmatch(d) for d in (wanted, latest))
    if dates and wanted > latest:
        problems.append(
            document.problem(
                _("The latest date, {latest}, is before the date wanted, {wanted}.").format(
                    latest=latest, wanted=wanted
                ),
                ["latest"],
                _("Check both dates."),
            )
        )
    if answers.get("emergency") is not None and answers.get("kind") in ("regular", "standard"):
        problems.append(
            document.problem(
                _("'emergency' is filled in, but the kind of change is {kind}.").format(
                    kind=answers["kind"]
                ),
                ["emergency"],
                _("Write kind: emergency, or delete 'emergency'."),
            )
        )
    return problems


def template(language: str) -> str:
    """An empty form with explanation, in Dutch ("nl") or English."""
    from otapgate.change.vtw_template import DUTCH, ENGLISH

    return DUTCH if language == "nl" else ENGLISH
