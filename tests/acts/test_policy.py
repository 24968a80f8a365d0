"""The policy in force, against the files: what changed since, and approving it."""

from __future__ import annotations

import msgspec
import pytest

from otapgate import canonical
from otapgate.acts import gatekeeping, policy
from otapgate.gate.finding import Action, Seen
from otapgate.landscape import approval
from otapgate.ledger import predicates as p

from .conftest import Office


def test_genesis_approves_what_the_files_say_then(office: Office):
    with office.open() as workspace:
        found = policy.show(workspace)
    assert found["approved"]
    assert found["changed"] == []
    assert found["covers"]["streets"] == {
        "agenda": [["agenda-T", "T"], ["agenda-A", "A"], ["agenda-P", "P"]]
    }
    assert found["covers"]["timezone"] == "Europe/Amsterdam"


def test_a_freeze_taken_out_is_a_policy_that_nobody_approved(office: Office):
    calendar = office.root / "calendar.yml"
    calendar.write_text("freezes:\n  - {name: Exams, start: 2026-05-01, end: 2026-05-29}\n")
    with office.open() as workspace:
        assert policy.changes(workspace) == ("calendar.yml",)
        draft = policy.approve(workspace, "")
        policy.keep(workspace)
    office.enrol("Carla Smit", "board")
    office.act("Carla Smit", draft)
    with office.open() as workspace:
        assert policy.show(workspace)["approved"]
    calendar.unlink()
    with office.open() as workspace:
        assert policy.changes(workspace) == ("calendar.yml",)
        (workspace.hidden / "store/sha256" / workspace.state.policy[7:9]
         / workspace.state.policy[7:]).unlink()  # fmt: skip
        assert policy.changes(workspace) == (), "what was approved can't be told any more"
        assert not policy.show(workspace)["approved"]


def test_a_decision_on_a_policy_that_is_not_what_it_says_does_not_replay(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    with office.open() as workspace:
        honest = workspace.landscape
        lax = msgspec.structs.replace(
            honest, policy=msgspec.structs.replace(honest.policy, sign_off={})
        )
        assert approval.digest(lax) != lax.policy.digest

        def decided(landscape: object) -> p.Decision:
            put = workspace.store.put
            kept = put(canonical.encode(msgspec.to_builtins(landscape, str_keys=True)))
            seen = put(canonical.encode(msgspec.to_builtins(Seen())))
            return p.Decision(
                decision="dec-1", action="promote", outcome="allowed",
                release="sha256:" + "0" * 64, environment="agenda-P", stage="P",
                change="CHG-1", actor="", now="", landscape=kept, policy=honest.policy.digest,
                seen=seen, size=0, root="", tool="", rules={}, findings=(),
            )  # fmt: skip

        asked: list[Action] = []

        def decide(landscape, state, seen, action, now, using):
            asked.append(action)
            raise gatekeeping.Undecidable

        monkeypatch.setattr(gatekeeping, "decide", decide)
        for landscape, times in ((honest, 1), (lax, 1)):
            was = msgspec.structs.replace(decided(landscape), now="2026-01-01T00:00:00+01:00")
            assert gatekeeping.remake(workspace, was) is None
            assert len(asked) == times, "with the lax one it doesn't come to asking the gate"
