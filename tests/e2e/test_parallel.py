"""CH06-07 through the command line: two real services side by side, files and databases."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from .school import ANNA, BRAM, CHANTAL, CRITERIA, DAAN, ESRA, NEW, School, blocking, window

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "run-old-and-new-side-by-side.md"
SECOND = "CHG-0002"
SURNAME = "Kloosterziel"


def export(school: School, stage: str, *rows: str, time: str = "12:00:00", last: str = "") -> None:
    """What the application of that environment writes."""
    folder = school.stage(stage) / "export"
    folder.mkdir(exist_ok=True)
    (folder / "invoices.csv").write_text("\n".join(["pupil,amount,printed", *rows, ""]))
    (folder / "summary.txt").write_text(f"made at {time}\n{last or 'end'}\n")


@pytest.fixture
def asked(accepted: School) -> School:
    """All is earned for a second change, which asks for a parallel run."""
    school = accepted
    school.edit("changes/upgrade.yml", "parallel_run: false", "parallel_run: true")
    school.here(ESRA, "change", "new", "--from", "changes/upgrade.yml")
    level = ["--impact", "medium", "--urgency", "medium"]
    school.here(BRAM, "change", "classify", SECOND, *level)
    school.here(BRAM, "change", "authorise", SECOND, "--role", "change-manager")
    school.here(ANNA, "change", "authorise", SECOND, "--role", "process-owner")
    school.here(BRAM, "change", "schedule", SECOND, "--window", window())
    school.here(CHANTAL, "release", "build", "releases/agenda-2.0.yml", "--change", SECOND)
    verdicts = [x for c in CRITERIA for x in ("--criterion", f"{c}=pass")]
    school.here(ESRA, "accept", NEW, "--env", "A", "--change", SECOND, *verdicts)
    for person, role in ((ANNA, "process-owner"), (BRAM, "change-manager")):
        school.here(person, "sign-off", NEW, "--to", "P", "--change", SECOND, "--role", role)
    text = GUIDE.read_text("utf-8")
    found = re.search(r"```yaml\n(# parallel/agenda.yml\n.*?)```", text, re.DOTALL)
    assert found is not None
    (school.root / "parallel").mkdir()
    (school.root / "parallel/agenda.yml").write_text(found[1], "utf-8")
    export(school, "P", "7,10.00,x", "8,20.00,x", time="12:00:00")
    export(school, "A", "8,20.01,y", "7,10.00,y", time="12:00:07", last="the end")
    return school


def gap(school: School) -> dict[str, Any]:
    """The one thing that keeps the release out of production."""
    said = school(DAAN, "promote", NEW, "--to", "P", "--change", SECOND, expect=3)
    (finding,) = blocking(said)
    assert "CH06-07" in finding["norms"]
    found: dict[str, Any] = finding
    return found


def begin(school: School) -> str:
    said = school(DAAN, "parallel", "start", NEW, "--plan", "agenda", "--change", SECOND)
    found: str = said["parallel"]["id"]
    return found


def conclude(school: School, who: Any, run: str, *more: str, expect: int = 0) -> dict[str, Any]:
    return school(who, "parallel", "conclude", run, *more, "--because", "we looked", expect=expect)


def everything_kept(school: School) -> bytes:
    """All that a comparison can have left in the landscape, databases and exports apart."""
    return b"".join(
        path.read_bytes()
        for path in sorted(school.root.rglob("*"))
        if path.is_file() and school.root / "hosts" not in path.parents
    )


def test_ch06_07_old_and_new_run_in_parallel_before_production(asked: School) -> None:
    school = asked
    assert school(None, "check")["problems"] == []
    finding = gap(school)
    assert finding["code"] == "OG521"
    assert finding["remedy"]["command"].startswith(f"otapgate parallel start {NEW} ")
    run = begin(school)
    assert gap(school)["remedy"]["command"] == f"otapgate parallel compare {run}"
    refused = conclude(school, ANNA, run, "--agreed", expect=4)
    assert refused["error"]["code"] == "parallel-period"

    said = school(DAAN, "parallel", "compare", run)["comparison"]
    outputs = {o["id"]: o for o in said["outputs"]}
    assert (said["same"], said["tolerated"], said["different"]) == (6, 2, 0), outputs
    assert outputs["invoices"]["tolerated"] == 1
    assert outputs["summary"]["allowed"].startswith("The new version words")
    assert conclude(school, ANNA, run, "--agreed", expect=4)["error"]["code"] == "parallel-period"

    # One real difference: told, exit 1, and an agreement is refused.
    export(school, "A", "7,11.00,y", "8,20.00,y", time="12:00:09", last="the end")
    said = school(ESRA, "parallel", "compare", run, expect=1)["comparison"]
    assert said["different"] == 1
    (difference,) = next(o for o in said["outputs"] if o["id"] == "invoices")["differences"]
    assert difference["where"] == "column amount"
    refused = conclude(school, ANNA, run, "--agreed", expect=4)
    assert refused["error"]["code"] == "parallel-open"
    assert "aren't tolerated" in gap(school)["message"]

    export(school, "A", "7,10.00,y", "8,20.00,y", time="12:00:11", last="the end")
    school(DAAN, "parallel", "compare", run)
    finding = gap(school)
    assert finding["remedy"]["who"] == [ANNA.name]
    for who in (DAAN, ESRA, BRAM):
        conclude(school, who, run, "--agreed", expect=7)
    (listed,) = school(None, "parallel", "list")["parallels"]
    assert (listed["id"], listed["made"], listed["status"]) == (run, 3, "over")
    conclude(school, ANNA, run, "--agreed")
    assert school(None, "parallel", "show", run)["parallel"]["concluded"]["by"] == ANNA.name
    school(DAAN, "parallel", "compare", run, expect=4)
    # The plan is bound to the run; edited later, it takes nothing back that was concluded.
    said = school(DAAN, "promote", NEW, "--to", "P", "--change", SECOND)
    assert said["promotion"]["outcome"] == "succeeded"
    assert school(None, "log", "verify")["problems"] == []


def test_who_built_concludes_nothing_whatever_their_role(asked: School) -> None:
    run = begin(asked)
    for _time in range(2):
        asked(DAAN, "parallel", "compare", run)
    asked.here(ANNA, "role", "grant", CHANTAL.name, "process-owner")
    asked.here(BRAM, "people", "confirm")
    for verdict in ("--agreed", "--rejected"):
        refused = conclude(asked, CHANTAL, run, verdict, expect=7)
        assert refused["error"]["code"] == "builder"


def test_a_plan_that_was_edited_after_the_start_is_not_compared_by(asked: School) -> None:
    run = begin(asked)
    before = len(asked.entries())
    asked.edit("parallel/agenda.yml", 'absolute: "0.01"', 'absolute: "1000"')
    refused = asked(DAAN, "parallel", "compare", run, expect=4)
    assert refused["error"]["code"] == "parallel-plan-edited"
    (asked.root / "parallel/agenda.yml").unlink()
    assert asked(DAAN, "parallel", "compare", run, expect=4)["error"] == {**refused["error"]}
    assert len(asked.entries()) == before


def test_the_plan_in_the_store_is_the_one_that_was_begun_with(asked: School) -> None:
    run = begin(asked)
    digest = asked(None, "parallel", "show", run)["parallel"]["plan"]["digest"]
    name = digest.removeprefix("sha256:")
    kept = asked.root / ".otapgate/store/sha256" / name[:2] / name
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes().replace(b'"0.01"', b'"9.99"'))
    refused = asked(DAAN, "parallel", "compare", run, expect=5)
    assert refused["error"]["code"] == "store-damaged"


def test_an_environment_that_changed_ends_the_run(asked: School) -> None:
    run = begin(asked)
    asked.edit("environments/agenda.yml", "network: loopback", "network: lo")
    refused = asked(DAAN, "parallel", "compare", run, expect=4)
    assert refused["error"]["code"] == "environment-unaccepted"
    for stage in "TAP":
        asked.here(DAAN, "env", "accept", f"agenda-{stage}")
    refused = asked(DAAN, "parallel", "compare", run, expect=4)
    assert refused["error"]["code"] == "parallel-environment-changed"


def test_nothing_of_what_was_compared_is_kept(asked: School, tmp_path: Path) -> None:
    plan = asked.root / "parallel/agenda.yml"
    plan.write_text(
        "plan: agenda\napp: agenda\nperiod: {comparisons: 1}\n"
        "old: {environment: agenda-P}\nnew: {environment: agenda-A}\noutputs:\n"
        "  - id: people\n    table:\n      database: '{{ home }}/people.sqlite'\n"
        "      query: SELECT bsn, first_name, last_name FROM person\n"
        "    compare: {as: csv, key: [bsn]}\n"
        "  - id: letters\n    files: {folder: '{{ home }}/export', match: ['**/*.txt']}\n"
    )
    (asked.stage("P") / "export" / f"{SURNAME}.txt").write_text(f"Dear family {SURNAME}\n")
    run = begin(asked)
    full = tmp_path / "all.txt"
    said = asked(DAAN, "parallel", "compare", run, "--full", str(full), expect=1)
    people = asked.rows("P")
    assert any(SURNAME in row for row in people)
    assert said["comparison"]["different"] >= len(people)
    assert SURNAME in full.read_text("utf-8")
    assert str(people[0][1]) in full.read_text("utf-8")
    assert full.stat().st_mode & 0o777 == 0o600
    told = json.dumps(said).encode() + everything_kept(asked)
    assert SURNAME.encode() not in told
    for row in people:
        assert str(row[1]).encode() not in told
    again = asked(DAAN, "parallel", "compare", run, "--full", str(full), expect=4)
    assert again["error"]["code"] == "parallel-full-exists"
    inside = asked(DAAN, "parallel", "compare", run, "--full", "all.txt", expect=4)
    assert inside["error"]["code"] == "parallel-full-inside"


def test_a_side_that_does_not_answer_differs(asked: School) -> None:
    run = begin(asked)
    asked.control("stop", "A")
    said = asked(DAAN, "parallel", "compare", run, expect=1)["comparison"]
    (people,) = [o for o in said["outputs"] if o["id"] == "people"]
    assert people["different"] == 1
    assert "gave no answer" in people["differences"][0]["new"]


def test_a_query_can_only_read(asked: School) -> None:
    for query in (
        "DELETE FROM person", "ATTACH '/tmp/x.sqlite' AS x", "PRAGMA query_only = OFF",
        "SELECT load_extension('x')", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1"
        " FROM n) SELECT count(*) FROM n",
    ):  # fmt: skip
        (asked.root / "parallel/agenda.yml").write_text(
            "plan: agenda\napp: agenda\nperiod: {comparisons: 1}\n"
            "old: {environment: agenda-P}\nnew: {environment: agenda-A}\noutputs:\n"
            "  - id: people\n    table:\n      database: '{{ home }}/people.sqlite'\n"
            f'      query: "{query}"\n      timeout_seconds: 1\n    compare: {{as: csv}}\n'
        )
        before = asked.rows("P")
        said = asked(DAAN, "parallel", "compare", begin(asked), expect=1)["comparison"]
        assert said["outputs"][0]["different"] == 1
        assert "can't be run" in said["outputs"][0]["differences"][0]["old"]
        assert asked.rows("P") == before
    with sqlite3.connect(asked.stage("P") / "people.sqlite") as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_new_environment_must_run_the_release(running: School) -> None:
    (running.root / "parallel").mkdir()
    (running.root / "parallel/agenda.yml").write_text(
        "plan: agenda\napp: agenda\nperiod: {days: 1}\nold: {environment: agenda-P}\n"
        "new: {environment: agenda-A}\noutputs:\n"
        "  - id: front\n    http: {url: 'http://127.0.0.1:{{ port }}/'}\n"
    )
    refused = running(
        DAAN, "parallel", "start", NEW, "--plan", "agenda", "--change", "CHG-0001", expect=4
    )
    assert refused["error"]["code"] == "not-running-there"
    assert refused["error"]["remedy"].startswith(f"otapgate promote {NEW} --to agenda-A")
