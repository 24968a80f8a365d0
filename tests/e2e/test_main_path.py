"""The main job from refusal to proof, by the remedies that the gate gives."""

from __future__ import annotations

import itertools
import json
import subprocess

import pytest

from .school import (
    ANNA,
    BRAM,
    CHANGE,
    CHANTAL,
    DAAN,
    ESRA,
    NEW,
    OLD,
    PASSING,
    School,
    blocking,
    window,
)


def shape_of_a_decision(decision: dict[str, object], *, recorded: bool) -> None:
    """What CLI.md promises of a decision."""
    assert {
        "id", "outcome", "action", "release", "to", "change", "at", "policy", "log", "findings"
    } <= set(decision)  # fmt: skip
    assert isinstance(decision["id"], str) is recorded
    assert decision["action"] == "promote"
    release, log = decision["release"], decision["log"]
    assert isinstance(release, dict)
    assert isinstance(log, dict)
    assert set(release) == {"name", "digest"}
    assert release["name"] == NEW
    assert release["digest"].startswith("sha256:")
    assert set(log) == {"size", "root"}


def test_the_refusal_lists_every_gap_with_code_norms_and_a_remedy(accepted: School) -> None:
    said = accepted.told["refused"]
    assert said["ok"] is False
    assert said["decision"]["outcome"] == "refused"
    assert said["decision"]["to"] == "agenda-P"
    shape_of_a_decision(said["decision"], recorded=True)
    findings = blocking(said)
    assert len({f["code"] for f in findings}) >= 8
    for finding in findings:
        assert set(finding) == {
            "code", "slug", "severity", "norms", "subject", "message", "remedy"
        }  # fmt: skip
        assert finding["severity"] == "block"
        assert finding["norms"]
        assert set(finding["remedy"]) == {"command", "who", "role"}
        assert finding["remedy"]["command"].startswith("otapgate ")
        assert finding["remedy"]["who"], finding


def test_each_remedy_run_by_whom_it_names_makes_its_finding_disappear(accepted: School) -> None:
    rounds = accepted.told["rounds"]
    for before, after in itertools.pairwise(rounds):
        mended = before["findings"][0]
        # Gone, or a step on: tests are run where the release runs, so it goes there first.
        left = {(f["code"], f["message"]): f["remedy"] for f in after["findings"]}
        assert left.get((mended["code"], mended["message"])) != mended["remedy"]
    assert accepted.explain(expect=0) == []
    ran = [words[0] for one in rounds for _who, words in one["ran"]]
    assert {"change", "anonymize", "test", "rehearse", "promote", "accept", "sign-off"} <= set(ran)


def test_the_earned_promotion_succeeds_and_is_complete(promoted: School) -> None:
    # The page and the playbook were edited since the release was built, accepted and
    # signed off: said (OG703), and not deployed.
    said = promoted.told["promoted"]
    shape_of_a_decision(said["decision"], recorded=True)
    warnings = {f["code"]: f for f in said["decision"]["findings"]}
    # Hosts that are all one machine, never probed: said, and in nobody's way.
    assert set(warnings) == {"OG205", "OG206", "OG207", "OG703"}
    assert {f["severity"] for f in warnings.values()} == {"warn"}
    warning = warnings["OG703"]
    assert "deploy.yml" in warning["message"]
    assert "index.html" in warning["message"]
    assert "Agenda 2.0" in (promoted.answers("P", "/") or "")
    found = said["promotion"]
    assert found["outcome"] == "succeeded"
    assert found["hosts"] == {"hazelaar-p": "ok"}
    assert found["completeness"] == {
        "outcome": "complete", "missing": [], "different": [], "extra": []
    }  # fmt: skip
    assert 0 < found["seconds"]["ansible"] <= found["seconds"]["total"]
    acts = {entry["entry"]: entry["act"] for entry in promoted.entries()}
    assert [acts[n] for n in found["entries"]] == ["promotion-started", "promotion-finished"]
    assert promoted.told["before"]["version"] == "1.0"
    assert promoted.answers("P") == "2.0"
    before = promoted.told["before"]["rows"]
    assert [list(row[:5]) for row in promoted.rows("P")] == [list(row) for row in before]
    assert len(promoted.rows("P", "appointment")) == len(before)


def test_afterwards_the_ledger_verifies_and_every_decision_comes_out_the_same(
    promoted: School,
) -> None:
    said = promoted(None, "log", "verify")
    assert said["problems"] == []
    assert said["entries"] == said["signatures"] == len(promoted.entries())
    assert any("truncation" in text for text in said["not_excluded"])
    said = promoted(None, "gate", "replay", "--all")
    assert said["replayed"] == said["same"] >= 4
    assert said["different"] == []
    decisions = promoted(None, "gate", "log")["decisions"]
    assert [d["outcome"] for d in decisions[:1] + decisions[-1:]] == ["refused", "allowed"]
    assert [d["to"] for d in decisions[-1:]] == ["agenda-P"]
    refused = promoted(None, "gate", "log", "--refused", "--env", "P")["decisions"]
    assert {d["outcome"] for d in refused} == {"refused"}
    assert len(refused) == 1
    one = promoted(None, "gate", "replay", refused[0]["id"])
    assert (one["replayed"], one["same"]) == (1, 1)


def test_status_says_what_runs_where_afterwards(promoted: School) -> None:
    (street,) = promoted(None, "status")["streets"]
    assert [e["release"] for e in street["environments"]] == [NEW] * 3
    assert street["unfinished"] == []
    assert street["waiting"] == []
    assert promoted(None, "env", "show", "P")["environment"]["release"] == NEW
    shown = promoted(None, "release", "show", NEW)["release"]
    assert sorted(shown["runs_in"]) == ["agenda-A", "agenda-P", "agenda-T"]
    assert [a["by"] for a in shown["evidence"]["acceptances"]] == [ESRA.name]
    said = promoted(ANNA, "log", "checkpoint")["checkpoint"]
    (promoted.root / "pin.txt").write_text(said, "utf-8")
    assert promoted(None, "log", "verify", "--pin", "pin.txt")["problems"] == []


def test_what_is_written_is_for_its_owner_only(promoted: School) -> None:
    hidden = promoted.root / ".otapgate"
    assert hidden.stat().st_mode & 0o077 == 0
    kept = list((hidden / "runs").iterdir())
    for run in kept:
        assert run.stat().st_mode & 0o077 == 0
    # What a rollback needs is kept: one run an environment, and nothing of rehearsals.
    assert len(kept) == 3
    assert all(run.name.startswith("prom-") for run in kept)


def test_a_dry_run_says_it_would_and_changes_nothing(accepted: School) -> None:
    accepted(DAAN, "gate", "explain", NEW, "--to", "P", "--change", CHANGE)
    before = accepted.digest(*PASSING)
    said = accepted.promote("P", 0, "--dry-run")
    assert said["dry_run"] is True
    assert "promotion" not in said
    assert said["decision"]["outcome"] == "allowed"
    assert said["decision"]["id"] is None
    assert accepted.digest(*PASSING) == before
    assert accepted.answers("P") == "1.0"


def test_a_refused_dry_run_records_nothing(running: School) -> None:
    before = running.digest(*PASSING)
    said = running.promote("P", 3, "--dry-run")
    assert len(said["decision"]["findings"]) >= 8
    assert running.digest(*PASSING) == before


@pytest.mark.slow
def test_a_finished_promotion_is_undone_after_asking(promoted: School) -> None:
    before = promoted.picture("P")
    said = promoted(DAAN, "rollback", "P", expect=2)
    assert said["error"]["code"] == "unconfirmed"
    said = promoted(DAAN, "rollback", "P", "--dry-run")["rollback"]
    assert (said["from"], said["to"], said["environment"]) == (NEW, OLD, "agenda-P")
    assert said["lost_since"]
    assert promoted.picture("P") == before
    said = promoted(DAAN, "rollback", "P", "--yes")["rollback"]
    assert len(said["entries"]) == 2
    assert said["outcome"] == "restored"
    assert said["left"] == []
    assert promoted.answers("P") == "1.0"
    assert [len(row) for row in promoted.rows("P")] == [5] * 40
    (street,) = promoted(None, "status")["streets"]
    assert [e["release"] for e in street["environments"]] == [NEW, NEW, OLD]
    assert promoted(None, "log", "verify")["problems"] == []
    assert [e["act"] for e in promoted.entries()[-2:]] == ["rollback-started", "rollback-finished"]
    # What was agreed to before doesn't put it back.
    assert promoted.codes() - {"OG703"} == {"OG505"}
    assert {w["code"] for w in street["waiting"]} == {"OG505"}
    refused = blocking(promoted.promote("P", 3))
    assert "rolled back in agenda-P" in refused[0]["message"]


def test_a_change_ends_with_its_evaluation(promoted: School) -> None:
    said = promoted(DAAN, "change", "close", CHANGE, "--evaluation", "Well.", expect=7)
    assert said["error"]["code"] == "role-missing"


def test_people_read_words_and_nothing_but_words(accepted: School) -> None:
    """Without --json: the same refusal in sentences, on standard output."""
    done = subprocess.run(
        [w for w in accepted.command(DAAN, "gate", "explain", OLD, "--to", "P", "--change", CHANGE)
         if w != "--json"],
        cwd=accepted.root, capture_output=True, text=True, check=False,
        env=accepted.environment(),
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout.startswith("REFUSED: agenda@1.0 may not enter agenda-P yet.")
    assert "OG107 release-of-another-change" in done.stdout
    with pytest.raises(ValueError):  # noqa: PT011 - it is simply no JSON
        json.loads(done.stdout)


def test_an_artifact_changed_after_acceptance_makes_it_lapse(accepted: School) -> None:
    accepted.edit("releases/app-2.0/pages/index.html", "Agenda 2.0", "Agenda 2.0, prettier")
    said = accepted(CHANTAL, "release", "build", "releases/agenda-2.0.yml", "--change", CHANGE)
    (street,) = accepted(None, "status")["streets"]
    ran, built = street["environments"][0]["digest"], said["release"]["digest"]
    assert ran != built
    # From here on the name alone would say two things.
    assert ran[7:15] in said["warnings"][0]
    assert street["environments"][0]["called"] == f"{NEW} ({ran[7:15]})"
    assert {w["called"] for w in street["waiting"]} == {f"{NEW} ({built[7:15]})"}
    refused = accepted(ESRA, "test", "run", NEW, "--env", "A", "--plan", "agenda", expect=4)
    assert f"doesn't run {NEW} ({built[7:15]})" in refused["error"]["message"]
    findings = {f["code"]: f for f in accepted.explain(expect=3)}
    assert (
        f"agenda-A doesn't run this release but: {NEW} ({ran[7:15]})"
        in (findings["OG701"]["message"])
    )
    assert {"OG302", "OG401", "OG501", "OG511", "OG701"} <= set(findings)
    for code in ("OG501", "OG511"):
        assert "lapsed" in findings[code]["message"]
        assert "pages/index.html" in findings[code]["message"]
    before = accepted.picture("P")
    accepted.promote("P", expect=3)
    assert accepted.picture("P") == before


def test_a_plan_edited_after_the_run_is_told_and_asks_for_a_new_run(accepted: School) -> None:
    accepted.edit("plans/agenda.yml", "budget_ms: 500", "budget_ms: 50000")
    (finding,) = accepted.explain(expect=0)
    assert (finding["code"], finding["severity"]) == ("OG306", "warn")
    said = accepted(ESRA, "test", "run", NEW, "--env", "T", "--plan", "agenda", expect=4)
    assert said["error"]["code"] == "plan-edited"
    accepted(ESRA, "test", "plan", "register", "plans/agenda.yml")
    findings = {f["code"]: f for f in accepted.explain(expect=3)}
    assert "changed after it was run" in findings["OG302"]["message"]
    assert "changed after the acceptance" in findings["OG502"]["message"]


def test_a_window_that_has_passed_is_told_with_the_time_it_is(accepted: School) -> None:
    past = "2020-01-12T12:00/2020-01-12T12:41"
    said = accepted(BRAM, "change", "schedule", CHANGE, "--window", past, expect=4)["error"]
    assert said["code"] == "window-past"
    assert "ends 2020-01-12T12:41, and it is now 20" in said["message"]
    assert said["message"].endswith("(Europe/Amsterdam).")
    # What it proposes can be pasted.
    words = said["remedy"].split()
    assert words[:4] == ["otapgate", "change", "schedule", CHANGE]
    accepted(BRAM, *words[1:])


def test_outside_its_window_a_change_waits(accepted: School) -> None:
    accepted.here(BRAM, "change", "schedule", CHANGE, "--window",
                  "2099-01-12T16:00/2099-01-12T20:00")  # fmt: skip
    assert accepted.codes() == {"OG105"}
    accepted.here(BRAM, "change", "schedule", CHANGE, "--window", window())
    assert accepted.explain(expect=0) == []
