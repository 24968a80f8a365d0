"""One test a norm row, each through the command line: what the row asks is refused when
it is missing, and said with the row's id.

The rows are those of the Normenkader IBP FO, chapter CH, that the gate covers so far;
their texts are in `otapgate.gate.norms`.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any

import pytest

from .school import (
    ANNA,
    BRAM,
    CHANGE,
    CHANTAL,
    CRITERIA,
    DAAN,
    ESRA,
    NEW,
    OLD,
    School,
    blocking,
    bsns,
)


def found(school: School, code: str, norm: str) -> dict[str, Any]:
    """The finding of that code that keeps the new release out of production, after
    checking that it names the row; a promotion is refused for it and nothing moves."""
    hits = [f for f in school.explain(expect=3) if f["code"] == code]
    assert hits, code
    assert all(norm in hit["norms"] for hit in hits)
    assert all(hit["severity"] == "block" for hit in hits)
    before = school.answers("P")
    decision = school.promote("P", expect=3)["decision"]
    assert code in {f["code"] for f in decision["findings"]}
    assert school.answers("P") == before
    assert school.entries()[-1]["act"] == "decision"
    return hits[0]


def test_ch01_03_no_way_to_production_but_the_whole_process(running: School) -> None:
    # Nothing has been done but asking and building: every step of the process is missing.
    said = running.promote("P", expect=3)
    codes = {f["code"] for f in said["decision"]["findings"]}
    assert {"OG103", "OG105", "OG203", "OG301", "OG401", "OG501", "OG511", "OG701"} <= codes
    # And a release without a change asked for it goes nowhere.
    said = running(DAAN, "promote", OLD, "--to", "T", "--change", CHANGE, expect=3)
    (finding,) = [f for f in said["decision"]["findings"] if f["code"] == "OG107"]
    assert "CH01-03" in finding["norms"]


def test_ch02_01_a_change_is_categorised_by_the_policy_s_matrix(running: School) -> None:
    found(running, "OG103", "CH02-01")
    said = running(BRAM, "change", "classify", CHANGE, "--impact", "high", "--urgency", "high")
    assert said["change"]["priority"] == "P1"
    # Priority decides who authorises.
    roles = {f["remedy"]["role"] for f in running.explain(expect=3) if f["code"] == "OG104"}
    assert roles == {"change-manager", "cab-member", "board"}
    said = running(BRAM, "change", "classify", CHANGE, "--impact", "medium", "--urgency", "medium")
    assert said["change"]["priority"] == "P3"
    roles = {f["remedy"]["role"] for f in running.explain(expect=3) if f["code"] == "OG104"}
    assert roles == {"change-manager", "process-owner"}
    assert running(None, "change", "show", CHANGE)["change"]["priority"] == "P3"


def test_ch02_03_a_change_is_formally_authorised_and_one_refusal_stops_it(
    running: School,
) -> None:
    running.here(BRAM, "change", "classify", CHANGE, "--impact", "medium", "--urgency", "medium")
    found(running, "OG104", "CH02-03")
    said = running(ESRA, "change", "authorise", CHANGE, expect=7)
    assert said["error"]["code"] == "submitter-authorises"
    running(BRAM, "change", "authorise", CHANGE)
    running(ANNA, "change", "authorise", CHANGE, "--reject", "--because", "Not now.",
            "--role", "process-owner")  # fmt: skip
    finding = found(running, "OG104", "CH02-03")
    assert "process-owner" in finding["message"]
    running(ANNA, "change", "authorise", CHANGE, "--role", "process-owner")
    assert "OG104" not in running.codes()


def test_ch04_06_every_environment_has_an_owner_who_took_it_on(accepted: School) -> None:
    accepted.edit("environments/agenda.yml", "network: loopback", "network: loopback only")
    finding = found(accepted, "OG202", "CH04-06")
    assert finding["remedy"]["who"] == [DAAN.name]
    for stage in "TAP":
        accepted.here(DAAN, "env", "accept", stage)
    assert "OG202" not in accepted.codes()
    accepted.edit("environments/agenda.yml", DAAN.name, "Nobody Here")
    found(accepted, "OG201", "CH04-06")


def test_ch04_07_data_in_test_are_anonymised_on_record(running: School) -> None:
    finding = found(running, "OG203", "CH04-07")
    assert finding["subject"] in ("agenda-T", "agenda-A")
    real = {str(value) for row in running.rows("P") for value in row[1:5]}
    for stage in "TA":
        said = running(
            DAAN, "anonymize", "run", "anonymizers/agenda.yml",
            "--from", f"sqlite:///{running.stage('P')}/people.sqlite",
            "--to", f"sqlite:///{running.stage(stage)}/people.sqlite", "--env", stage,
        )["dataset"]  # fmt: skip
        assert said["leaks"] == []
        assert said["label"] == "anonymised"
        assert {"id", "rows", "bytes", "k", "manifest"} <= set(said)
        assert {"read", "transform", "write", "check", "total"} <= set(said["seconds"])
        shown = {str(value) for row in running.rows(stage) for value in row[1:2] + row[4:5]}
        assert not shown & real
        assert len(running.rows(stage)) == 40
    assert "OG203" not in running.codes()
    # And never the other way round.
    said = running(
        DAAN, "anonymize", "run", "anonymizers/agenda.yml",
        "--from", f"sqlite:///{running.stage('T')}/people.sqlite",
        "--to", f"sqlite:///{running.stage('P')}/people.sqlite", expect=4,
    )  # fmt: skip
    assert said["error"]["code"] == "target-is-production"
    assert {row[1] for row in running.rows("P")} <= set(bsns())


def test_ch05_03_the_plan_is_there_before_the_tests(accepted: School) -> None:
    said = accepted(None, "log", "list")["entries"]
    acts = [e["act"] for e in said]
    assert acts.index("plan-registered") < acts.index("test-run")
    # Registered anew after the run, the run no longer counts.
    accepted.edit("plans/agenda.yml", "repeat: 10", "repeat: 11")
    accepted(ESRA, "test", "plan", "register", "plans/agenda.yml")
    finding = found(accepted, "OG302", "CH05-03")
    assert "changed after it was run" in finding["message"]


def test_ch05_04_the_plan_covers_security_and_performance(accepted: School) -> None:
    for name, kind in (("closed", "security"), ("quick", "performance")):
        accepted.edit("plans/agenda.yml", f"id: {name}, kind: {kind}", f"id: {name}, kind: data")
    accepted(ESRA, "test", "plan", "register", "plans/agenda.yml")
    accepted(ESRA, "test", "run", NEW, "--env", "A", "--plan", "agenda")
    finding = found(accepted, "OG304", "CH05-04")
    assert "security" in finding["message"]
    assert "performance" in finding["message"]


@pytest.mark.slow
def test_ch05_05_tests_are_carried_out_by_the_plan_and_not_by_the_builder(
    accepted: School,
) -> None:
    said = accepted(CHANTAL, "test", "run", NEW, "--env", "A", "--plan", "agenda", expect=7)
    assert said["error"]["code"] == "role-missing"
    # Even with the role, a run by who built is refused by the gate (F05).
    accepted.here(ANNA, "role", "grant", CHANTAL.name, "tester")
    accepted.here(BRAM, "people", "confirm")
    accepted(CHANTAL, "test", "run", NEW, "--env", "A", "--plan", "agenda")
    found(accepted, "OG605", "CH05-05")
    # And a case that fails keeps the release out, whoever ran it.
    accepted.control("stop", "A")
    said = accepted(ESRA, "test", "run", NEW, "--env", "A", "--plan", "agenda", expect=1)
    outcomes = {c["id"]: c["outcome"] for c in said["test_run"]["cases"]}
    assert outcomes == {
        "version": "failed", "refused": "failed", "speed": "failed", "people": "passed"
    }  # fmt: skip
    finding = found(accepted, "OG303", "CH05-05")
    assert "version" in finding["message"]


def test_ch05_07_the_way_back_was_rehearsed_to_what_runs_in_production(
    running: School,
) -> None:
    finding = found(running, "OG401", "CH05-07")
    assert finding["remedy"]["command"] == f"otapgate rehearse {NEW} --env agenda-T"


def test_ch06_02_environments_are_passed_in_order(prepared: School) -> None:
    said = prepared(DAAN, "promote", NEW, "--to", "A", "--change", CHANGE, expect=3)
    (finding,) = [f for f in said["decision"]["findings"] if f["code"] == "OG701"]
    assert finding["subject"] == "agenda-T"
    found(prepared, "OG701", "CH06-02")
    assert prepared.answers("A") == "1.0"


def test_ch06_03_stakeholders_sign_off_and_may_refuse(accepted: School) -> None:
    accepted(ANNA, "sign-off", NEW, "--to", "P", "--change", CHANGE, "--role", "process-owner",
             "--reject", "--because", "The parents were not told.")  # fmt: skip
    finding = found(accepted, "OG511", "CH06-03")
    assert "process-owner" in finding["message"]
    said = accepted(ANNA, "sign-off", NEW, "--to", "P", "--change", CHANGE, "--reject", expect=2)
    assert said["error"]["code"] == "because-missing"
    said = accepted(DAAN, "sign-off", NEW, "--to", "P", "--change", CHANGE, expect=7)
    assert said["error"]["code"] == "role-missing"
    accepted(ANNA, "sign-off", NEW, "--to", "P", "--change", CHANGE, "--role", "process-owner")
    assert accepted.explain(expect=0) == []


def test_ch06_03_nobody_signs_off_what_was_not_accepted(prepared: School) -> None:
    words = ("sign-off", NEW, "--to", "P", "--change", CHANGE, "--role", "process-owner")
    said = prepared(ANNA, *words, expect=4)
    assert said["error"]["code"] == "not-accepted-yet"
    assert said["error"]["remedy"].startswith(f"otapgate accept {NEW} --env agenda-A")
    assert f"--change {CHANGE} --criterion answers=pass" in said["error"]["remedy"]
    assert prepared.entries("signoff") == []
    prepared(ANNA, *words, "--reject", "--because", "Not in this school.")


def test_ch06_05_who_built_neither_accepts_nor_signs_off_nor_promotes(accepted: School) -> None:
    for role in ("test-lead", "process-owner", "administrator"):
        accepted.here(ANNA, "role", "grant", CHANTAL.name, role)
    accepted.here(BRAM, "people", "confirm")
    criteria = [w for c in CRITERIA for w in ("--criterion", f"{c}=pass")]
    said = accepted(CHANTAL, "accept", NEW, "--env", "A", "--change", CHANGE, *criteria, expect=7)
    assert said["error"]["code"] == "builder"
    said = accepted(CHANTAL, "sign-off", NEW, "--to", "P", "--change", CHANGE, "--role",
                    "process-owner", expect=7)  # fmt: skip
    assert said["error"]["code"] == "builder"
    said = accepted(CHANTAL, "promote", NEW, "--to", "P", "--change", CHANGE, expect=3)
    (finding,) = blocking(said)
    assert finding["code"] == "OG604"
    assert "CH06-05" in finding["norms"]
    # Who accepted doesn't promote either (F06).
    accepted.here(ANNA, "role", "grant", ESRA.name, "administrator")
    accepted.here(BRAM, "people", "confirm")
    said = accepted(ESRA, "promote", NEW, "--to", "P", "--change", CHANGE, expect=3)
    assert {f["code"] for f in blocking(said)} == {"OG606"}
    assert accepted.answers("P") == "1.0"


def test_ch06_08_every_criterion_is_judged_and_logged(accepted: School) -> None:
    some = ("--criterion", "answers=pass", "--criterion", "nice=pass")
    said = accepted(ESRA, "accept", NEW, "--env", "A", "--change", CHANGE, *some, expect=4)
    assert said["error"]["code"] == "criteria-mismatch"
    assert len(said["problems"]) == 4
    verdicts = [w for c in CRITERIA for w in ("--criterion", f"{c}=pass")]
    verdicts[-1] = "complete=fail:two parents are missing"
    accepted(ESRA, "accept", NEW, "--env", "A", "--change", CHANGE, *verdicts)
    finding = found(accepted, "OG503", "CH06-08")
    assert "complete" in finding["message"]
    # Who signed off did so on another verdict, so that has lapsed too.
    assert accepted.codes() == {"OG503", "OG511"}
    entry = accepted.entries("acceptance")[-1]["entry"]
    shown = accepted(None, "log", "show", str(entry))["entry"]
    assert shown["statement"]["predicate"]["criteria"]["complete"] == "fail"
    assert shown["details"]["notes"] == {"complete": "two parents are missing"}


def test_ch06_09_what_was_accepted_is_what_runs_byte_for_byte(promoted: School) -> None:
    shown = promoted(None, "release", "show", NEW)["release"]
    promotion = promoted.entries("promotion-finished")[-1]
    assert promotion["subjects"] == [{"name": NEW, "digest": shown["digest"]}]
    acceptance = promoted.entries("acceptance")[-1]
    assert acceptance["subjects"] == promotion["subjects"]
    statement = promoted(None, "log", "show", str(promotion["entry"]))["entry"]["statement"]
    assert statement["predicate"]["completeness"]["outcome"] == "complete"
    installed = {
        f"artifacts/app/{path.relative_to(promoted.stage('P') / 'app')}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in (promoted.stage("P") / "app").rglob("*")
        if path.is_file()
    }
    wanted = {
        f["path"]: f["digest"].removeprefix("sha256:")
        for f in shown["manifest"]
        if f["path"].startswith("artifacts/app/")
    }
    assert installed == wanted


def test_frz_1_nothing_goes_to_production_in_exams(accepted: School) -> None:
    today = date.today()
    (accepted.root / "calendar.yml").write_text(
        "freezes:\n  - {name: Final examinations, "
        f"start: {today - timedelta(days=1)}, end: {today + timedelta(days=1)}}}\n",
        "utf-8",
    )
    accepted(ANNA, "policy", "approve", "--because", "The exams are fixed.")
    finding = found(accepted, "OG801", "FRZ-1")
    assert "Final examinations" in finding["message"]
    # Test and acceptance go on: nothing but that it runs there already.
    said = accepted(DAAN, "gate", "explain", NEW, "--to", "A", "--change", CHANGE, expect=3)
    assert [f["code"] for f in said["decision"]["findings"]] == ["OG704"]


def test_every_norm_that_a_rule_names_is_a_row_and_every_rule_names_one(founded: School) -> None:
    rules = founded(None, "gate", "rules")["rules"]
    rows = {norm for rule in rules for norm in rule["norms"]}
    covered = {
        "CH01-03", "CH02-01", "CH02-03", "CH04-06", "CH04-07", "CH05-03", "CH05-04", "CH05-05",
        "CH05-07", "CH06-02", "CH06-03", "CH06-05", "CH06-08", "CH06-09", "FRZ-1",
    }  # fmt: skip
    assert covered <= rows
