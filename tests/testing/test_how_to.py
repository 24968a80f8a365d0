"""The examples of the how-to guides do what the guides say."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from otapgate.landscape.model import Environment
from otapgate.release import build as building
from otapgate.release.manifest import Manifest, State
from otapgate.release.store import Store
from otapgate.testing import answers as answering
from otapgate.testing.plan import bundle, check_file
from otapgate.testing.run import Hands, PlaybookResult, run

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"


def example(guide: str, name: str, root: Path) -> Path:
    """Write the guide's example with that file name below `root`."""
    text = (GUIDES / guide).read_text()
    found = re.search(rf"```yaml\n(# {re.escape(name)}\n.*?)```", text, re.DOTALL)
    assert found, f"{guide} shows no {name}"
    return write(root / name, found.group(1))


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def release_file(tmp_path: Path) -> Path:
    for name in ("deploy", "verify", "rollback"):
        write(tmp_path / f"playbooks/agenda/{name}.yml", "[]\n")
    write(tmp_path / "releases/wheels/agenda-3.5.4-py3-none-any.whl")
    write(tmp_path / "build/site/index.html")
    return example("build-a-release.md", "releases/agenda.yml", tmp_path)


def test_the_release_of_the_guide_is_built(release_file: Path, tmp_path: Path) -> None:
    made = building.build(building.read(release_file, tmp_path), Store(tmp_path / "store"))
    assert made.name == "agenda@3.5.4"
    assert {file.path.rpartition("/")[0] for file in made.files} == {
        "artifacts/site",
        "artifacts/wheels",
        "playbooks",
    }


def test_the_plan_of_the_guide_is_carried_out(
    release_file: Path, tmp_path: Path, environment: Environment
) -> None:
    store = Store(tmp_path / "store")
    made = building.build(building.read(release_file, tmp_path), store)
    write(
        tmp_path / "plans/agenda/test_login.py",
        "import json, os, pathlib\n"
        "about = json.loads(pathlib.Path(os.environ['OTAPGATE_ENVIRONMENT']).read_text())\n"
        "def test_staff(): assert about['release']['version'] == '3.5.4'\n",
    )
    write(tmp_path / "plans/agenda/count.py", "print('840 pupils')\n")
    write(tmp_path / "plans/agenda/data.yml", "[]\n")
    plan = example("write-a-test-plan.md", "plans/agenda.yml", tmp_path)
    # The service of these tests has no page that asks for a password.
    write(plan, plan.read_text().replace("status: 401", "status: 404"))
    (tmp_path / "work").mkdir()
    variables = {**environment.variables, "database": "/srv/db.sqlite"}
    result = run(
        bundle(plan, tmp_path, store),
        manifest=made,
        environment=msgspec.structs.replace(environment, variables=variables),
        workdir=tmp_path / "work",
        store=store,
        hands=Hands(ansible=lambda _playbook, _stop: PlaybookResult(True, "done")),
    )
    assert result.outcome == "passed", result.messages


def carry(plan: Path, tmp_path: Path, environment: Environment, **given: object) -> str:
    """Carry a guide's plan out; "" when it passed, otherwise what was said."""
    store = Store(tmp_path / "store")
    manifest = Manifest(
        app="agenda", version="3.5.4", street="administration", plans=(), variables={},
        state=State(), installs=(), files=(),
    )  # fmt: skip
    (tmp_path / "work").mkdir()
    result = run(
        bundle(plan, tmp_path, store), manifest=manifest, environment=environment,
        workdir=tmp_path / "work", store=store, hands=Hands(**given),  # type: ignore[arg-type]
    )  # fmt: skip
    return "" if result.outcome == "passed" else str(result.messages)


def test_the_reports_of_the_guide_are_read(tmp_path: Path, environment: Environment) -> None:
    case = '<testcase name="t"/>'
    write(
        tmp_path / "plans/tests.sh",
        'test "$1" = "$OTAPGATE_RESULTS"\n'
        f"echo '<testsuite>{case * 20}</testsuite>' > $1/own.xml\n",
    )
    plan = example("import-test-reports.md", "plans/reports.yml", tmp_path)
    assert carry(plan, tmp_path, environment) == ""


def test_the_question_of_the_guide_is_answered_by_its_file(
    tmp_path: Path, environment: Environment
) -> None:
    plan = example("ask-people-in-a-test.md", "plans/asked.yml", tmp_path)
    answers = example("ask-people-in-a-test.md", "answers.yml", tmp_path)
    write(tmp_path / "report-card.pdf", "%PDF")
    store = Store(tmp_path / "store")
    known = answering.read(answers, bundle(plan, tmp_path, store).plan.questions(), store)
    assert carry(plan, tmp_path, environment, answers=known) == ""


def test_the_budget_of_the_guide_is_kept(tmp_path: Path, environment: Environment) -> None:
    plan = example("set-a-latency-budget.md", "plans/latency.yml", tmp_path)
    assert carry(plan, tmp_path, environment) == ""


def test_the_baseline_of_the_guide_is_valid(tmp_path: Path) -> None:
    write(tmp_path / "plans/ca.pem")
    plan = example("hold-a-service-to-a-baseline.md", "plans/baseline.yml", tmp_path)
    assert check_file(plan, tmp_path) == []
