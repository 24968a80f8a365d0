"""Bad input: each with its exit code, what is said, and what is on disk afterwards."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timedelta

import pytest

from otapgate.acts.workspace import Workspace

from .school import (
    ANNA,
    BRAM,
    CHANGE,
    CHANTAL,
    DAAN,
    ESRA,
    NEW,
    PASSING,
    STRANGER,
    School,
    make_key,
    remove,
    window,
)


def recorded_nothing(school: School, before: dict[str, str]) -> None:
    """No file of ledger or store differs."""
    assert school.digest(*PASSING) == before


# Files


def test_every_error_of_every_file_comes_at_once_with_file_and_line(founded: School) -> None:
    founded.edit("environments/agenda.yml", "max_age_days: 90", "max_age_days: soon")
    founded.edit("environments/agenda.yml", "network: loopback", "netwrok: loopback")
    founded.edit("policy.yml", "P4: {change-manager: 1}", "P4: {change-manger: 1}")
    (founded.root / "calendar.yml").write_text("freezes: [\n", "utf-8")
    said = founded(None, "check", expect=4)
    problems = said["problems"]
    assert {p["file"] for p in problems} == {
        "environments/agenda.yml", "policy.yml", "calendar.yml"
    }  # fmt: skip
    assert all(p["line"] for p in problems)
    assert all(p["message"] for p in problems)
    wrong = [p for p in problems if p["file"] == "environments/agenda.yml"]
    assert len(wrong) == 5
    misspelt = next(p for p in wrong if "netwrok" in p["message"])
    assert "network" in (misspelt["remedy"] or misspelt["message"])
    # Whatever needs the landscape says the same, and does nothing.
    said = founded(DAAN, "env", "accept", "T", expect=4)
    assert len(said["problems"]) == len(problems)


def test_two_files_that_define_the_same_street_are_named_both(founded: School) -> None:
    folder = founded.root / "environments"
    shutil.copyfile(folder / "agenda.yml", folder / "again.yml")
    problems = founded(None, "check", expect=4)["problems"]
    said = " ".join(f"{p['file']} {p['message']} {p['remedy']}" for p in problems)
    assert "agenda.yml" in said
    assert "again.yml" in said


def test_a_release_file_that_names_a_missing_artifact(founded: School) -> None:
    founded.edit("releases/agenda-1.0.yml", "path: app-1.0", "path: app-1.1")
    before = founded.digest(*PASSING)
    said = founded(CHANTAL, "release", "build", "releases/agenda-1.0.yml", expect=4)
    # The artifact, and the install that was to come from it.
    problem = said["problems"][0]
    assert problem["file"] == "releases/agenda-1.0.yml"
    assert problem["line"] == 5
    assert "app-1.1" in problem["message"]
    recorded_nothing(founded, before)


def test_a_release_file_with_wrong_types_and_no_playbooks(founded: School) -> None:
    founded.edit("releases/agenda-1.0.yml", 'version: "1.0"', "version: 1.0")
    founded.edit("releases/agenda-1.0.yml", "street: agenda", "stret: agenda")
    said = founded(CHANTAL, "release", "build", "releases/agenda-1.0.yml", expect=4)
    assert len(said["problems"]) >= 3
    assert all(p["line"] for p in said["problems"])


def test_a_release_that_could_never_get_through_is_told_so_when_it_is_built(
    founded: School,
) -> None:
    file = "releases/agenda-1.0.yml"
    said = founded(CHANTAL, "release", "build", file, "--dry-run")
    assert said["warnings"] == []
    text = (founded.root / file).read_text("utf-8")
    bare = text[: text.index("plans:")]
    (founded.root / file).write_text(bare, "utf-8")
    said = founded(CHANTAL, "release", "build", file, "--dry-run")
    assert [w[-10:] for w in said["warnings"]] == ["vironment.", "(CH05-07).", "(CH05-03)."]
    assert "installs" in said["warnings"][0]


def test_a_playbook_that_reaches_beyond_its_environment_is_not_built(founded: School) -> None:
    founded.edit("playbooks/agenda/deploy.yml", "gather_facts: false", "connection: ssh")
    said = founded(CHANTAL, "release", "build", "releases/agenda-1.0.yml", expect=4)
    assert said["error"]["code"] == "playbook-escapes"
    assert "deploy.yml" in str(said["problems"])
    assert founded(None, "release", "list")["releases"] == []


def test_a_request_with_gaps_is_sent_back_with_all_of_them(founded: School) -> None:
    founded.edit("changes/upgrade.yml", "rollback_minutes: 15\n", "")
    founded.edit("changes/upgrade.yml", "privacy: false", "privacy: true")
    founded.edit("changes/upgrade.yml", "why: Parents ask for appointments by telephone now.",
                 "why: tbd")  # fmt: skip
    said = founded(ESRA, "change", "new", "--from", "changes/upgrade.yml", expect=4)
    assert said["error"]["code"] == "vtw-incomplete"
    text = str(said["problems"])
    for field in ("rollback_minutes", "privacy_consequences", "dpia", "tbd"):
        assert field in text
    assert founded(None, "change", "list")["changes"] == []


def test_a_test_plan_with_errors_is_not_registered(founded: School) -> None:
    founded.edit("plans/agenda.yml", "criterion: closed", "criterion: clsed")
    said = founded(ESRA, "test", "plan", "check", "plans/agenda.yml", expect=4)
    assert {p["file"] for p in said["problems"]} == {"plans/agenda.yml"}
    founded(ESRA, "test", "plan", "register", "plans/agenda.yml", expect=4)
    assert founded.entries("plan-registered") == []


# Names


NOT_THERE = (
    ("env", "show", "agenda-X"),
    ("release", "show", "agenda@9.9"),
    ("change", "show", "CHG-0042"),
    ("gate", "explain", NEW, "--to", "X", "--change", CHANGE),
    ("gate", "explain", "agenda@9.9", "--to", "P", "--change", CHANGE),
    ("promote", NEW, "--to", "agenda-X", "--change", CHANGE),
    ("promote", "nothing@1", "--to", "T", "--change", CHANGE),
    ("rollback", "agenda-X"),
    ("log", "show", "4000"),
    ("gate", "replay", "dec-nothing"),
    ("gate", "rules", "OG000"),
    ("test", "show", "run-nothing"),
    ("status", "library"),
    ("schema", "nothing"),
    ("change", "new", "--from", "changes/none.yml"),
    ("people", "enrol", "Gijs", "none.pub"),
)


def test_what_does_not_exist_is_bad_input_that_says_what_does(running: School) -> None:
    for words in NOT_THERE:
        person = ANNA if words[0] in ("people", "change") else DAAN
        said = running(person, *words, expect=4)
        assert said["error"]["message"]
        assert said["error"]["remedy"], said


def test_a_change_that_was_misspelt_is_no_decision(running: School) -> None:
    before = running.digest(*PASSING)
    for words in (
        ("gate", "explain", NEW, "--to", "P", "--change", "CHG-1"),
        ("promote", NEW, "--to", "P", "--change", "CHG-0042"),
        ("change", "authorise", "CHG-0042"),
    ):
        said = running(DAAN, *words, expect=4)
        assert said["error"]["code"] == "change-unknown"
        assert said["error"]["remedy"] == f"one of: {CHANGE}"
    recorded_nothing(running, before)


def test_a_change_may_be_written_in_lower_case(running: School) -> None:
    said = running(DAAN, "gate", "explain", NEW, "--to", "P", "--change", "chg-0001", expect=3)
    assert said["decision"]["change"] == CHANGE
    assert not {"OG101", "OG107"} & {f["code"] for f in said["decision"]["findings"]}
    assert running(None, "change", "show", "chg-0001")["change"]["id"] == CHANGE
    said = running(CHANTAL, "release", "build", "releases/agenda-2.0.yml", "--change", "chg-0001")
    assert said["release"]["change"] == CHANGE


def test_outside_a_landscape_commands_say_how_to_make_one(founded: School) -> None:
    said = founded(None, "status", "--landscape", "/nowhere", expect=4)
    assert said["error"]["code"] == "landscape-not-found"
    assert "otapgate init" in said["error"]["remedy"]


MISUSED = (
    (("promot",), "command-unknown"),
    (("promote", NEW), "usage"),
    (("status", "--lang", "xx"), "language-unknown"),
    (("change", "schedule", CHANGE, "--window", "tomorrow"), "window-malformed"),
    (("gate", "replay"), "replay-what"),
    (("gate", "explain", NEW, "--to", "P", "--change", CHANGE, "--as-of", "x"), "time-malformed"),
)


def test_wrong_usage_is_exit_2(running: School) -> None:
    for words, code in MISUSED:
        assert running(BRAM, *words, expect=2)["error"]["code"] == code


# Who acts


def test_a_key_that_nobody_enrolled_acts_for_nobody(prepared: School) -> None:
    before = prepared.digest(*PASSING)
    for words in (
        ("env", "accept", "T"),
        ("promote", NEW, "--to", "T", "--change", CHANGE),
        ("change", "authorise", CHANGE),
    ):
        said = prepared(STRANGER, *words, expect=7)
        assert said["error"]["code"] == "key-unknown"
        assert "SHA256:" in said["error"]["message"]
    recorded_nothing(prepared, before)


def test_without_a_key_nobody_acts(prepared: School) -> None:
    before = prepared.digest(*PASSING)
    prepared(None, "promote", NEW, "--to", "T", "--change", CHANGE, expect=7)
    prepared(None, "env", "accept", "T", expect=7)
    recorded_nothing(prepared, before)


def test_there_is_no_way_to_act_by_naming_somebody(founded: School) -> None:
    for option in ("--as", "--user", "--actor", "--name"):
        founded(STRANGER, "env", "accept", "T", option, DAAN.name, expect=2)
    said = founded(STRANGER, "env", "accept", "T", expect=7, OTAPGATE_USER=DAAN.name, USER="daan")
    assert said["error"]["code"] == "key-unknown"


def test_somebody_without_the_role_is_refused_and_told_who_has_it(prepared: School) -> None:
    for person, words, who in (
        (ESRA, ("promote", NEW, "--to", "T", "--change", CHANGE), DAAN),
        (CHANTAL, ("change", "classify", CHANGE, "--impact", "low", "--urgency", "low"), BRAM),
        (DAAN, ("test", "plan", "register", "plans/agenda.yml"), ESRA),
        (BRAM, ("release", "build", "releases/agenda-2.0.yml"), CHANTAL),
        (DAAN, ("role", "grant", ESRA.name, "administrator"), ANNA),
    ):
        said = prepared(person, *words, expect=7)
        assert said["error"]["code"] == "role-missing"
        assert who.name in said["error"]["remedy"]


def test_a_role_that_lapsed_yesterday_is_no_role(
    founded: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The role was given three days ago, until yesterday; what is tested is today.
    began = School(founded.home / "earlier")
    try:
        with monkeypatch.context() as earlier:
            real = Workspace.now
            earlier.setattr(Workspace, "now", lambda self: real(self) - timedelta(days=3))
            began.write()
            began.here(ANNA, "init", str(began.root),
                       "--role-admin", f"{ANNA.name}={began.keys}/anna.pub")  # fmt: skip
            began.here(ANNA, "people", "enrol", ESRA.name, f"{began.keys}/esra.pub")
            yesterday = (datetime.now() - timedelta(days=1)).date().isoformat()
            began.here(ANNA, "role", "grant", ESRA.name, "tester", "--until", yesterday)
        said = began(ESRA, "test", "plan", "register", "plans/agenda.yml", expect=7)
        assert said["error"]["code"] == "role-lapsed"
        (seat,) = [r for r in began(None, "role", "list")["roles"] if r["person"] == ESRA.name]
        assert seat["status"] == "lapsed"
        assert began.entries("plan-registered") == []
    finally:
        remove(founded.home / "earlier")


def test_a_private_key_with_a_passphrase_does_not_hang_without_a_terminal(
    founded: School,
) -> None:
    locked = founded.keys / "locked"
    if not locked.exists():
        make_key(founded.keys, "locked")
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "", "-N", "geheim", "-f", str(locked)], check=True
        )
    said = founded(None, "env", "accept", "T", "--key", str(locked), expect=7)
    assert "geheim" not in str(said)


def test_without_a_terminal_a_question_is_exit_2_and_nothing_is_recorded(founded: School) -> None:
    make_key(founded.keys, "hanna")
    founded(ANNA, "people", "enrol", "Hanna Vos", f"{founded.keys}/hanna.pub")
    before = founded.digest(*PASSING)
    said = founded(BRAM, "people", "confirm", expect=2)
    assert said["error"]["code"] == "unconfirmed"
    assert "--yes" in said["error"]["remedy"]
    recorded_nothing(founded, before)


# Time


def test_a_window_that_has_passed_or_is_empty_is_refused(running: School) -> None:
    for text, code in (
        ("2020-01-12T16:00/2020-01-12T20:00", "window-past"),
        ("2099-01-12T20:00/2099-01-12T16:00", "window-empty"),
        ("2099-01-12/yesterday", "time-malformed"),
    ):
        said = running(BRAM, "change", "schedule", CHANGE, "--window", text, expect=4)
        assert said["error"]["code"] == code
    running(BRAM, "change", "schedule", CHANGE, "--window", window())
