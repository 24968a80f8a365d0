from __future__ import annotations

from typing import Any

from otapgate.cli.acting import findings_text, in_order

STEPS = [
    "otapgate env accept agenda-T",
    "otapgate change classify CHG-0001 --impact LEVEL --urgency LEVEL",
    "otapgate change authorise CHG-0001 --role change-manager",
    "otapgate release build FILE --change CHG-0001",
    "otapgate anonymize run PLAN --from URL --to URL --env agenda-T",
    "otapgate test plan register plans/agenda.yml",
    "otapgate rehearse agenda@2.0 --env agenda-T",
    "otapgate promote agenda@2.0 --to agenda-T --change CHG-0001",
    "otapgate test run agenda@2.0 --env agenda-T --plan agenda",
    "otapgate promote agenda@2.0 --to agenda-A --change CHG-0001",
    "otapgate accept agenda@2.0 --env agenda-A --change CHG-0001 --criterion ID=pass",
    "otapgate sign-off agenda@2.0 --to agenda-P --change CHG-0001 --role board",
    "otapgate promote agenda@2.0 --to agenda-P --change CHG-0001",
]


def finding(command: str, code: str) -> dict[str, Any]:
    return {
        "code": code, "slug": "s", "severity": "block", "norms": ["CH01-01"], "subject": "x",
        "message": command.upper(), "remedy": {"command": command, "role": None, "who": []},
    }  # fmt: skip


def test_what_is_missing_stands_in_an_order_in_which_it_can_be_done():
    # Of the same step, the order of the codes stays.
    mixed = [finding(c, str(i)) for i, c in enumerate(STEPS)]
    mixed = sorted(mixed, key=lambda f: (int(f["code"]) * 7 + 3) % 13)
    mixed.sort(key=lambda f: f["remedy"]["command"].split()[1:3] == ["promote", "test"])
    found = [f["remedy"]["command"] for f in in_order(mixed, "agenda-P")]
    together = ("otapgate change", "otapgate promote agenda@2.0 --to agenda-T", "otapgate test run",
                "otapgate promote agenda@2.0 --to agenda-A")  # fmt: skip
    assert [c for c in found if not c.startswith(together)] == [
        c for c in STEPS if not c.startswith(together)
    ]
    assert {found.index(c) for c in STEPS[7:10]} == {7, 8, 9}


def test_the_text_has_that_order_and_json_keeps_the_codes():
    last, first = finding(STEPS[-1], "OG102"), finding(STEPS[0], "OG903")
    decision = {"release": {"name": "agenda@2.0"}, "to": "agenda-P", "findings": [last, first]}
    text = findings_text(decision)
    assert text.index("OG903") < text.index("OG102")
    assert decision["findings"] == [last, first]


def test_what_has_no_remedy_comes_last():
    bare = {**finding("", "OG101"), "remedy": None}
    assert in_order([bare, finding(STEPS[3], "OG9")], "agenda-P")[-1] is bare
