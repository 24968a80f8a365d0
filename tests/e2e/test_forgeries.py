"""Entries made by hand with one's own key, or with none: what they bring about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from otapgate import canonical
from otapgate.acts.workspace import Workspace
from otapgate.gate.finding import Seen
from otapgate.ledger import keys
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft, Sealed, Subject, namespace, seal
from otapgate.ledger.storage import Ledger

from .school import ANNA, BRAM, BY_NAME, CHANGE, DAAN, NEW, OLD, Person, School

pytestmark = pytest.mark.slow


def forge(
    school: School,
    by: Person,
    act: str,
    predicate: p.Predicate,
    about: tuple[str, str],
    at: datetime | None = None,
) -> int:
    """Append an act with one's own key, past every check of the command line."""
    signer = keys.from_file(school.keys / by.key, lambda _path: "")
    with Ledger.open(f"sqlite:///{school.ledger}") as ledger:
        draft = Draft(act, (Subject(*about),), p.to_predicate(predicate))
        sealed = seal(draft, ledger.head(), at or datetime.now(UTC))
        return ledger.append(sealed, signer.sign(sealed.statement, namespace(act)))


def problems(school: School) -> dict[int | None, str]:
    """What `log verify` says is wrong, by entry."""
    said = school(None, "log", "verify", expect=5)
    return {found["entry"]: found["what"] for found in said["problems"]}


def digest_of(school: School, name: str) -> str:
    (found,) = [r for r in school(None, "release", "list")["releases"] if r["name"] == name]
    return str(found["digest"])


def decided(school: School, outcome: str = "allowed", **said: Any) -> p.Decision:
    """A decision as otapgate would make it, with what somebody would like it to say."""
    with Workspace(school.root, key=str(school.keys / DAAN.key)) as workspace:
        landscape = workspace.with_people(workspace.landscape)
        head, me = workspace.state, workspace.me
        given = {
            "decision": "dec-000000000000", "action": "promote", "outcome": outcome,
            "release": digest_of(school, NEW), "environment": "agenda-P", "stage": "P",
            "change": CHANGE, "actor": me, "now": datetime.now(UTC).isoformat(timespec="seconds"),
            "landscape": workspace.store.put(
                canonical.encode(msgspec.to_builtins(landscape, str_keys=True))),
            "policy": landscape.policy.digest,
            "seen": workspace.store.put(canonical.encode(msgspec.to_builtins(Seen()))),
            "size": head.size, "root": head.root, "tool": "0", "rules": {}, "findings": (),
        }  # fmt: skip
        return p.Decision(**{**given, **said})


def started(decision: p.Decision, school: School) -> p.PromotionStarted:
    return p.PromotionStarted(
        "prom-000000000000", decision.decision, decision.release, digest_of(school, OLD),
        decision.environment, CHANGE,
    )  # fmt: skip


def test_an_agreement_put_in_once_more_after_a_refusal_changes_nothing(accepted: School) -> None:
    words = ("sign-off", NEW, "--to", "P", "--change", CHANGE, "--role", "process-owner")
    agreed = accepted(ANNA, *words)["entry"]
    accepted(ANNA, *words, "--reject", "--because", "a fault was found")
    assert "OG511" in accepted.codes()
    with Ledger.open(f"sqlite:///{accepted.ledger}") as ledger:
        old = ledger.entry(agreed)
        again = ledger.append(Sealed(old.statement), old.signature)
    assert "held back" in problems(accepted)[again]
    assert accepted.promote("P", expect=5)["error"]["code"] == "ledger-damaged"
    # A role administrator looks into it; the refusal stands all the same.
    why = ("--because", "somebody wrote in the file; access taken away")
    assert accepted(DAAN, "log", "dismiss", str(again), *why, expect=7)["ok"] is False
    said = accepted(ANNA, "log", "dismiss", "3", *why, expect=4)
    assert said["error"]["code"] == "entry-not-void"
    accepted(BRAM, "log", "dismiss", str(again), *why)
    assert accepted(None, "log", "verify")["problems"] == []
    said = accepted.promote("P", expect=3)
    assert "OG511" in {f["code"] for f in said["decision"]["findings"]}
    assert accepted.answers("P") == "1.0"


def test_an_allowed_decision_made_by_hand_is_not_gone_on_with(prepared: School) -> None:
    decision = decided(prepared)
    forge(prepared, DAAN, "decision", decision, (NEW, decision.release))
    forge(prepared, DAAN, "promotion-started", started(decision, prepared), (NEW, decision.release))
    said = prepared.promote("P", 3, "--resume")
    assert {"OG501", "OG511", "OG701"} <= {f["code"] for f in said["decision"]["findings"]}
    assert prepared.answers("P") == "1.0"
    assert "doesn't come out the same" in problems(prepared)[None]
    # Nothing was touched, and that is how it ends.
    assert prepared(DAAN, "rollback", "P", "--yes")["rollback"]["outcome"] == "restored"
    assert prepared.promote("P", expect=3)["decision"]["outcome"] == "refused"


def test_a_landscape_forged_for_a_decision_is_seen(prepared: School) -> None:
    with Workspace(prepared.root) as workspace:
        landscape = workspace.with_people(workspace.landscape)
        softer = msgspec.json.decode(
            msgspec.json.encode(landscape).replace(b'"stage":"P"', b'"stage":"T"'),
            type=type(landscape),
        )
        kept = workspace.store.put(canonical.encode(msgspec.to_builtins(softer, str_keys=True)))
    decision = decided(prepared, landscape=kept, stage="T")
    forge(prepared, DAAN, "decision", decision, (NEW, decision.release))
    assert "doesn't come out the same" in problems(prepared)[None]
    (different,) = prepared(None, "gate", "replay", "--all", expect=5)["different"]
    assert "forged" in different["is"]


def test_a_refusal_between_decision_and_beginning_stops_it(accepted: School) -> None:
    decision = decided(accepted)
    forge(accepted, DAAN, "decision", decision, (NEW, decision.release))
    accepted(ANNA, "sign-off", NEW, "--to", "P", "--change", CHANGE, "--role", "process-owner",
             "--reject", "--because", "wait")  # fmt: skip
    late = forge(
        accepted, DAAN, "promotion-started", started(decision, accepted), (NEW, decision.release)
    )
    assert "came in after it" in problems(accepted)[late]
    assert accepted.promote("P", 5, "--resume")["error"]["code"] == "ledger-damaged"


def test_an_entry_from_the_future_is_survived(prepared: School) -> None:
    (release,) = [r for r in prepared(None, "release", "list")["releases"] if r["name"] == NEW]
    future = datetime.now(UTC) + timedelta(days=200)
    with Workspace(prepared.root) as workspace:
        builder = workspace.state.releases[release["digest"]].built[-1]
        built = builder.act
        name = workspace.name(builder.by)
    forge(prepared, BY_NAME[name], "release-built", built, (NEW, release["digest"]), at=future)
    said = prepared.promote("T", expect=4)
    assert "set back" in said["error"]["message"]
    prepared(ANNA, "log", "clock", "--because", "the builder's laptop was ahead")
    assert prepared(None, "log", "verify")["problems"] == []
    assert prepared.promote("T")["promotion"]["outcome"] == "succeeded"


def test_a_promotion_cut_off_before_its_first_line_is_ended(accepted: School) -> None:
    before = accepted.picture("P")
    decision = decided(accepted)
    forge(accepted, DAAN, "decision", decision, (NEW, decision.release))
    forge(accepted, DAAN, "promotion-started", started(decision, accepted), (NEW, decision.release))
    assert accepted.promote("P", expect=6)["error"]["code"] == "promotion-unfinished"
    assert accepted(DAAN, "rollback", "P", "--yes")["rollback"]["outcome"] == "restored"
    assert accepted.picture("P") == before
    assert accepted.promote("P")["promotion"]["outcome"] == "succeeded"


def test_an_environment_edited_meanwhile_is_neither_gone_on_nor_back_in(accepted: School) -> None:
    decision = decided(accepted)
    forge(accepted, DAAN, "decision", decision, (NEW, decision.release))
    forge(accepted, DAAN, "promotion-started", started(decision, accepted), (NEW, decision.release))
    accepted.edit("environments/agenda.yml", "hosts/P", "hosts/elsewhere")
    said = accepted.promote("P", 3, "--resume")
    assert "OG202" in {f["code"] for f in said["decision"]["findings"]}
    said = accepted(DAAN, "rollback", "P", "--yes", expect=4)
    assert said["error"]["code"] == "environment-unaccepted"
    assert not (accepted.root / "hosts" / "elsewhere").exists()
