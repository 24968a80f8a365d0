"""Promotions of a real little application with real Ansible, well and badly."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests import ports
from tests.execution.conftest import DEPLOY, ROLLBACK, Stage

from otapgate import canonical
from otapgate.errors import BadInput, Usage
from otapgate.execution.promotion import Promotion, run_state
from otapgate.landscape.model import Host

pytestmark = pytest.mark.slow


def test_a_good_release_is_promoted_complete(stage: Stage) -> None:
    seen = []
    plan = stage.plan(stage.release("2.0"), on_progress=seen.append)
    result = Promotion(plan).run()
    assert (result.outcome, result.message) == ("succeeded", "The release runs, complete.")
    assert result.hosts == {"web": "ok"}
    assert result.completeness.outcome == "complete"
    assert stage.answer() == "2.0 3"
    assert "class" in stage.columns()
    assert any(one.kind == "host" and one.name == "Copy the application" for one in seen)
    evidence = canonical.decode(stage.store[result.evidence])
    assert set(evidence["outputs"]) == {"01-promotion.txt"}
    assert set(evidence["outputs"].values()) <= set(stage.store)
    state = run_state(plan.run_dir)
    assert state is not None
    assert state.result == result
    assert (plan.run_dir.stat().st_mode & 0o777) == 0o700


def test_a_deployment_that_fails_halfway_is_rolled_back_whole(stage: Stage) -> None:
    broken = DEPLOY + "    - name: Break\n      ansible.builtin.fail: {msg: no more}\n"
    result = Promotion(stage.plan(stage.release("2.0", deploy=broken))).run()
    assert result.outcome == "rolled-back"
    assert result.left == ()
    assert result.code == "playbook-failed"
    assert result.failed_task is not None
    assert result.failed_task.name == "Break"
    line = 1 + broken[: broken.index("- name: Break")].count("\n")
    assert result.failed_task.where.endswith(f"playbooks/deploy.yml:{line}")
    assert result.hosts == {"web": "failed"}
    assert stage.answer() == "1.0 3"
    assert stage.columns() == ["id", "name"]
    assert (stage.home / "app/service.py").stat().st_mode & 0o777 == 0o640


def test_a_verification_that_fails_is_rolled_back(stage: Stage) -> None:
    verify = (
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - name: Look\n      ansible.builtin.assert: {that: [1 == 2]}\n"
    )
    result = Promotion(stage.plan(stage.release("2.0", verify=verify))).run()
    assert (result.outcome, result.code, result.left) == ("rolled-back", "playbook-failed", ())
    assert stage.answer() == "1.0 3"


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ("copy: {content: x, dest: '{{ home }}/app/extra'}", "extra"),
        ("file: {path: '{{ home }}/app/version', state: absent}", "missing"),
        ("copy: {content: '2.0!', dest: '{{ home }}/app/version'}", "different"),
    ],
)
def test_what_isnt_the_release_is_named_and_rolled_back(
    stage: Stage, task: str, named: str
) -> None:
    verify = (
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        f"    - name: Spoil\n      ansible.builtin.{task}\n"
    )
    result = Promotion(stage.plan(stage.release("2.0", verify=verify))).run()
    assert (result.outcome, result.code) == ("rolled-back", "incomplete")
    assert result.completeness.outcome == "incomplete"
    items = getattr(result.completeness, named)
    assert len(items) == 1
    assert items[0].startswith(f"web: {stage.home}/app/")
    assert stage.answer() == "1.0 3"


def test_a_rollback_that_forgets_something_fails_and_names_it(stage: Stage) -> None:
    forgetful = ROLLBACK.replace("cp -a {{ otapgate_snapshot }}/data.sqlite", "true").replace(
        "rm -rf {{ home }}/app", "touch {{ home }}/leftover; rm -rf {{ home }}/app"
    )
    broken = DEPLOY + "    - ansible.builtin.fail: {msg: no more}\n"
    result = Promotion(stage.plan(stage.release("2.0", deploy=broken, rollback=forgetful))).run()
    assert result.outcome == "failed"
    assert f"web: path {stage.home}/leftover: file was added" in result.left
    assert "web: column class of table pupil: was added" in result.left


def test_a_rollback_that_changes_a_mode_fails_and_names_it(stage: Stage) -> None:
    careless = ROLLBACK.replace(
        "cp -a {{ otapgate_snapshot }}/data",
        "chmod 600 {{ home }}/app/service.py\n        cp -a {{ otapgate_snapshot }}/data",
    )
    broken = DEPLOY + "    - ansible.builtin.fail: {msg: no more}\n"
    result = Promotion(stage.plan(stage.release("2.0", deploy=broken, rollback=careless))).run()
    assert result.left == (f"web: path {stage.home}/app/service.py: mode 0640 → 0600",), result


def test_what_was_mended_by_hand_is_compared_and_not_gone_over_again(stage: Stage) -> None:
    careless = ROLLBACK.replace("cp -a", "touch {{ home }}/leftover; cp -a", 1)
    broken = DEPLOY + "    - ansible.builtin.fail: {msg: no more}\n"
    plan = stage.plan(stage.release("2.0", deploy=broken, rollback=careless))
    left = (f"web: path {stage.home}/leftover: file was added",)
    assert Promotion(plan).run().left == left
    assert Promotion(plan).go_back().left == left, "nobody mended anything"
    (stage.home / "leftover").unlink()
    result = Promotion(plan).go_back()
    assert (result.outcome, result.left) == ("rolled-back", ())
    assert not (stage.home / "leftover").exists()
    assert stage.answer() == "1.0 3"
    again = Promotion(plan).go_back()
    assert (again.outcome, again.left) == ("rolled-back", ()), "it has ended, and was looked at"


def test_an_unreachable_host_leaves_everything_untouched(stage: Stage) -> None:
    (port,) = ports.free(1)
    far = Host("far", {"ansible_host": "127.0.0.1", "ansible_port": port})
    environment = msgspec.structs.replace(
        stage.environment,
        hosts=(*stage.environment.hosts, far),
        host_keys={"far": ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",)},
    )
    result = Promotion(stage.plan(stage.release("2.0"), environment=environment)).run()
    assert (result.outcome, result.code, result.touched) == (
        "rolled-back",
        "host-unreachable",
        False,
    )
    assert result.hosts["far"] == "unreachable"
    assert "far" in result.message
    assert stage.answer() == "1.0 3"


def test_a_broken_playbook_is_told_by_file_and_line_and_rolled_back(stage: Stage) -> None:
    broken = "- hosts: all\n  tasks:\n    - name: x\n     oops: y\n"
    result = Promotion(stage.plan(stage.release("2.0", deploy=broken))).run()
    assert (result.outcome, result.code) == ("rolled-back", "playbook-broken")
    assert "playbooks/deploy.yml:4" in result.message


def test_state_that_cant_be_looked_at_stops_before_anything_is_touched(stage: Stage) -> None:
    manifest, tree = stage.release("2.0")
    state = msgspec.structs.replace(
        manifest.state, databases=(type(manifest.state.databases[0])("oracle://x"),)
    )
    release = (msgspec.structs.replace(manifest, state=state), tree)
    result = Promotion(stage.plan(release)).run()
    assert (result.code, result.touched) == ("state-unreadable", False)
    assert stage.answer() == "1.0 3"


@pytest.mark.parametrize("name", ["deploy", "verify", "rollback"])
def test_a_release_without_a_needed_playbook_is_refused_at_once(stage: Stage, name: str) -> None:
    plan = stage.plan(stage.release("2.0", **{name: ""}))
    with pytest.raises(BadInput) as caught:
        Promotion(plan).run()
    assert (caught.value.code, caught.value.where) == ("playbook-missing", f"playbooks/{name}.yml")
    assert not plan.run_dir.exists()


def test_a_finished_promotion_can_be_gone_back_from(stage: Stage) -> None:
    plan = stage.plan(stage.release("2.0"))
    assert Promotion(plan).run().outcome == "succeeded"
    result = Promotion(plan).go_back()
    assert (result.outcome, result.left) == ("rolled-back", ())
    assert stage.answer() == "1.0 3"
    assert stage.columns() == ["id", "name"]


def test_what_the_journal_says_of_the_end_is_looked_at_again(stage: Stage) -> None:
    plan = stage.plan(stage.release("2.0"))
    result = Promotion(plan).run()
    again = Promotion(plan).resume()
    assert (again.outcome, again.completeness) == ("succeeded", result.completeness)
    (stage.home / "app" / "version").write_text("9.9")
    spoilt = Promotion(plan).resume()
    assert (spoilt.outcome, spoilt.code) == ("rolled-back", "playbook-failed")
    assert stage.answer() == "1.0 3"


def test_a_run_folder_is_used_once(stage: Stage) -> None:
    plan = stage.plan(stage.release("2.0", deploy="- hosts: nowhere\n"))
    Promotion(plan).run()
    with pytest.raises(Usage, match="There is a run"):
        Promotion(plan).run()


def test_secrets_are_in_no_output_journal_or_evidence(stage: Stage) -> None:
    secret = 'Hedera"helix/2026'
    talkative = DEPLOY + (
        "    - ansible.builtin.debug: {msg: '{{ db_password }}'}\n"
        "    - ansible.builtin.debug: {msg: '{{ db_password | b64encode }}'}\n"
        "    - ansible.builtin.fail: {msg: 'with {{ db_password }}'}\n"
    )
    plan = stage.plan(stage.release("2.0", deploy=talkative), secrets={"db_password": secret})
    result = Promotion(plan).run()
    assert "with ********" in result.message
    written = [path.read_bytes() for path in plan.run_dir.rglob("*") if path.is_file()]
    written += stage.store.values()
    for form in (secret, json.dumps(secret)[1:-1], "SGVkZXJhImhlbGl4LzIwMjY"):
        assert not any(form.encode() in data for data in written)
