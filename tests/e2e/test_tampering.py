"""Tampering by hand: refused, or reported, each time; and copies of a landscape."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from .school import ANNA, BRAM, CHANGE, CHANTAL, DAAN, NEW, School, remove


def object_of(school: School, path: str) -> Path:
    """Where the content store keeps a file of the new release."""
    files: list[dict[str, Any]] = school(None, "release", "show", NEW)["release"]["manifest"]
    (digest,) = [f["digest"].removeprefix("sha256:") for f in files if f["path"] == path]
    (found,) = (school.root / ".otapgate" / "store").rglob(digest)
    return found


def test_one_row_changed_in_the_ledger_is_named_and_stops_everything(prepared: School) -> None:
    before = prepared.picture("T")
    (accepted, *_rest) = prepared.entries("environment-accepted")
    position = accepted["entry"]
    prepared.tamper(
        "UPDATE entry SET statement = replace(statement, 'agenda-T', 'agenda-A')"
        " WHERE position = ?",
        position,
    )
    said = prepared(None, "log", "verify", expect=5)
    assert said["problems"]
    assert position in {p["entry"] for p in said["problems"]}
    assert said["excluded"] == []
    said = prepared.promote("T", expect=5)
    assert said["error"]["code"] == "ledger-damaged"
    assert f"entry {position}" in str(said["problems"])
    assert prepared.picture("T") == before


def test_a_dropped_row_is_seen(prepared: School) -> None:
    prepared.tamper("DELETE FROM entry WHERE position = 12")
    said = prepared(None, "log", "verify", expect=5)
    assert 12 in {p["entry"] for p in said["problems"]}
    prepared.promote("T", expect=5)
    assert prepared.answers("T") == "1.0"


def test_a_signature_of_another_entry_is_seen(prepared: School) -> None:
    prepared.tamper(
        "UPDATE entry SET signature = (SELECT signature FROM entry WHERE position = 4)"
        " WHERE position = 6"
    )
    said = prepared(None, "log", "verify", expect=5)
    assert 6 in {p["entry"] for p in said["problems"]}


def test_a_history_cut_off_is_seen_by_whoever_kept_a_checkpoint(
    founded: School, tmp_path: Path
) -> None:
    backup = tmp_path / "before.sqlite"
    shutil.copyfile(founded.ledger, backup)
    founded(DAAN, "env", "accept", "T")
    founded(BRAM, "log", "checkpoint", "-o", str(tmp_path / "pin.txt"))
    shutil.copyfile(backup, founded.ledger)
    elsewhere = str(tmp_path / "state")
    assert founded(None, "log", "verify", XDG_STATE_HOME=elsewhere)["problems"] == []
    (problem,) = founded(None, "log", "verify", expect=5)["problems"]
    assert "you have seen" in problem["what"]
    said = founded(DAAN, "env", "accept", "T", expect=5)
    assert said["error"]["code"] == "history-cut"
    assert "heads.json" in said["error"]["remedy"]
    said = founded(None, "log", "verify", "--pin", str(tmp_path / "pin.txt"), expect=5)
    assert said["problems"]


def test_one_byte_in_the_content_store_is_named_and_not_deployed(prepared: School) -> None:
    before = prepared.picture("T")
    damaged = object_of(prepared, "artifacts/app/pages/help.html")
    damaged.chmod(0o600)
    data = bytearray(damaged.read_bytes())
    data[20] ^= 1
    damaged.write_bytes(data)
    said = prepared.promote("T", expect=5)
    assert said["error"]["code"] == "store-damaged"
    assert "app/pages/help.html" in said["error"]["message"]
    assert "OG904" in {f["code"] for f in said["decision"]["findings"]}
    assert prepared.picture("T") == before
    assert prepared.entries("promotion-started") == []
    assert "OG904" in prepared.codes()
    # The remedy: the same release, built again from sound files, mends the store.
    prepared(CHANTAL, "release", "build", "releases/agenda-2.0.yml", "--change", CHANGE)
    assert "OG904" not in prepared.codes()


def test_a_file_gone_from_the_content_store_is_named(prepared: School) -> None:
    object_of(prepared, "playbooks/deploy.yml").unlink()
    said = prepared.promote("T", expect=5)
    assert "playbooks/deploy.yml" in said["error"]["message"]


def test_an_edited_playbook_is_told_and_is_not_part_of_the_release(running: School) -> None:
    running.edit("playbooks/agenda/deploy.yml", "Install its files", "Install something else")
    (finding,) = [f for f in running.explain(expect=3) if f["code"] == "OG703"]
    assert finding["severity"] == "warn"
    assert "playbooks/deploy.yml" in finding["message"]


def test_an_edited_policy_has_no_force_until_it_is_approved(accepted: School) -> None:
    accepted.edit("policy.yml", "P: [process-owner, change-manager]", "P: [process-owner]")
    assert "OG902" in accepted.codes()
    assert any("policy approve" in note for note in accepted(None, "status")["notes"])
    assert accepted(None, "policy", "show")["approved"] is False
    said = accepted.promote("P", expect=3)
    (finding,) = [f for f in said["decision"]["findings"] if f["code"] == "OG902"]
    assert finding["remedy"]["command"] == "otapgate policy approve"
    assert finding["remedy"]["who"] == [ANNA.name]
    accepted(DAAN, "policy", "approve", expect=7)
    accepted(ANNA, "policy", "approve", "--because", "Meeting of 12 January.")
    assert accepted(None, "policy", "show")["approved"] is True
    assert accepted.explain(expect=0) == []
    assert accepted.answers("P") == "1.0"


def test_a_freeze_taken_out_and_a_stage_left_out_are_named(accepted: School) -> None:
    (accepted.root / "calendar.yml").write_text(
        "freezes:\n  - {name: Exams, start: 2020-05-01, end: 2020-05-29}\n"
    )
    (finding,) = [f for f in accepted.explain(expect=3) if f["code"] == "OG902"]
    assert "calendar.yml" in finding["message"]
    said = accepted(ANNA, "policy", "approve", "--because", "Meeting of 12 January.")
    assert said["changed"] == ["calendar.yml"]
    assert accepted.explain(expect=0) == []
    (accepted.root / "calendar.yml").unlink()
    accepted.edit("otapgate.yml", "timezone: Europe/Amsterdam", "timezone: Pacific/Auckland")
    street = accepted.root / "environments" / "agenda.yml"
    before, _stage, after = street.read_text("utf-8").partition("  - stage: A")
    street.write_text(before + after[after.index("  - stage: P") :], "utf-8")
    said = accepted(None, "policy", "show")
    assert said["changed"] == [
        "calendar.yml", "otapgate.yml (timezone)", "environments/agenda.yml (stages)"
    ]  # fmt: skip
    assert said["covers"]["streets"] == {"agenda": [["agenda-T", "T"], ["agenda-P", "P"]]}
    (finding,) = [f for f in accepted.explain(expect=3) if f["code"] == "OG902"]
    assert all(file in finding["message"] for file in said["changed"])


def test_an_environment_edited_after_acceptance_lapses(accepted: School) -> None:
    accepted.edit("environments/agenda.yml", "test: [tester, test-lead]", "test: [tester]")
    listed = {e["name"]: e["status"] for e in accepted(None, "env", "list")["environments"]}
    assert listed == {"agenda-T": "changed", "agenda-A": "accepted", "agenda-P": "accepted"}
    findings = {f["code"]: f for f in accepted.explain(expect=3)}
    # What was shown in the environment as it was is shown no longer.
    assert {"OG202", "OG404"} <= set(findings)
    assert findings["OG202"]["subject"] == "agenda-T"
    assert findings["OG202"]["remedy"] == {
        "command": "otapgate env accept agenda-T", "who": [DAAN.name], "role": "environment-owner"
    }  # fmt: skip
    accepted(DAAN, "env", "accept", "agenda-T")
    assert "OG202" not in accepted.codes()


def test_a_copied_landscape_can_be_read_and_not_written(founded: School) -> None:
    copy = founded.home / "copy"
    shutil.copytree(founded.root, copy)
    elsewhere = ("--landscape", str(copy))
    try:
        said = founded(None, "status", *elsewhere)
        assert said["streets"]
        assert any(f"lives in {founded.root}" in note for note in said["notes"])
        assert founded(None, "log", "verify", *elsewhere)["problems"] == []
        said = founded(DAAN, "env", "accept", "T", *elsewhere, expect=5)
        assert said["error"]["code"] == "landscape-copied"
        assert str(founded.root) in said["error"]["message"]
        assert "otapgate log move" in said["error"]["remedy"]
        said = founded(DAAN, "log", "move", "--because", "me", *elsewhere, expect=7)
        assert said["error"]["code"] == "role-missing"
        founded(DAAN, "env", "accept", "T", *elsewhere, expect=5)
        founded(ANNA, "log", "move", "--because", "A new server.", *elsewhere)
        founded(DAAN, "env", "accept", "T", *elsewhere)
        assert founded(None, "log", "verify", *elsewhere)["problems"] == []
    finally:
        remove(copy)


def test_a_ledger_that_is_no_database_is_an_integrity_error(founded: School) -> None:
    founded.ledger.write_bytes(b"not a database at all")
    founded(None, "log", "verify", expect=5)
    founded(DAAN, "env", "accept", "T", expect=5)
    founded.ledger.unlink()
    founded(None, "log", "verify", expect=5)


def test_a_cache_made_up_by_hand_is_not_believed_by_a_promotion(running: School) -> None:
    """The warm state is a convenience; what moves releases folds from the first entry."""
    cache = running.root / ".otapgate" / "cache" / "state.json"
    running(None, "status")
    cache.write_text(cache.read_text().replace('"anonymised"', '"synthetic"'), "utf-8")
    said = running.promote("T", expect=3)
    assert "OG203" in {f["code"] for f in said["decision"]["findings"]}


def test_caches_made_up_by_hand_are_not_believed_by_an_act(founded: School) -> None:
    cache = founded.root / ".otapgate" / "cache"

    def poison(file: str, old: str, new: str) -> None:
        founded(None, "status")
        text = (cache / file).read_text("utf-8")
        assert old in text
        (cache / file).write_text(text.replace(old, new), "utf-8")

    other = founded.ledger.with_name("other.sqlite")
    shutil.copy(founded.ledger, other)
    poison("landscape.json", ".otapgate/ledger.sqlite", ".otapgate/other.sqlite")
    entry = founded(DAAN, "env", "accept", "T")["entry"]
    for file, entries in ((founded.ledger, entry + 1), (other, entry)):
        base = sqlite3.connect(file)
        assert base.execute("SELECT count(*) FROM entry").fetchone() == (entries,)
        base.close()
    poison("state.json", '"role":"administrator"', '"role":"board"')
    founded.edit("policy.yml", "P: [process-owner, change-manager]", "P: [process-owner]")
    said = founded(DAAN, "policy", "approve", expect=7)
    assert said["error"]["code"] == "role-missing"


def test_the_ledger_refuses_edits_while_its_triggers_stand(founded: School) -> None:
    base = sqlite3.connect(founded.ledger)
    try:
        for sql in ("UPDATE entry SET signature = ''", "DELETE FROM entry"):
            try:
                base.execute(sql)
            except sqlite3.IntegrityError:
                continue
            raise AssertionError(sql)
    finally:
        base.close()


def test_the_ledger_is_no_target_for_test_data(prepared: School) -> None:
    source = f"sqlite:///{prepared.stage('P')}/people.sqlite"
    before = prepared.ledger.read_bytes()
    link = prepared.home / "link.sqlite"
    link.unlink(missing_ok=True)
    link.symlink_to(prepared.ledger)
    for target in (
        prepared.ledger, link, Path(f"{prepared.ledger}-wal"), prepared.root / ".otapgate/x.sqlite",
    ):  # fmt: skip
        said = prepared(
            DAAN, "anonymize", "run", "anonymizers/agenda.yml", "--from", source,
            "--to", f"sqlite:///{target}", "--env", "T", expect=4,
        )  # fmt: skip
        assert said["error"]["code"] == "target-is-otapgate", target
    assert prepared.ledger.read_bytes() == before
