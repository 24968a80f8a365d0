"""Asking the gate: explain, record, replay. Norms CH01-03, CH01-08."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec

from otapgate import canonical, errors
from otapgate.acts import policy
from otapgate.acts.drafts import new_id
from otapgate.acts.workspace import Workspace
from otapgate.gate.decide import Undecidable, decide
from otapgate.gate.finding import Action, Decision, Finding, Seen, Waiver
from otapgate.gate.registry import RULE_SET, load_extensions, rules, rules_of
from otapgate.i18n import _
from otapgate.landscape import approval
from otapgate.landscape.model import Environment, Landscape
from otapgate.ledger import predicates as p
from otapgate.ledger.sshsig import signer_fingerprint
from otapgate.ledger.state import Release, State, fold
from otapgate.ledger.statement import Draft, Subject, parse


def release(workspace: Workspace, name: str) -> Release:
    """A release by `app@version` or digest prefix; raises BadInput with what there is."""
    from otapgate.release.resolve import resolve

    found = resolve(name, workspace.state.names())
    return workspace.state.releases[found.digest]


def see(workspace: Workspace, release: Release, ledger_problems: tuple[str, ...] = ()) -> Seen:
    """What is so outside the ledger: store, working files, other builds."""
    from otapgate.acts.releases import differences, drift, store_problems

    return Seen(
        store_problems=store_problems(workspace, release.digest),
        ledger_problems=ledger_problems,
        drift=drift(workspace, release),
        plan_files=plan_files(workspace, release),
        differences=differences(workspace, release),
        policy_changes=policy.changes(workspace),
    )


def plan_files(workspace: Workspace, release: Release) -> dict[str, str]:
    """The digest of each of the release's plans as its file is now; a plan whose file
    is gone or broken has none."""
    from otapgate.acts.testing import digest_now

    found = {}
    for name in release.latest.plans:
        digest = digest_now(workspace, name)
        if digest is not None:
            found[name] = digest
    return found


def ask(
    workspace: Workspace,
    release: Release,
    environment: Environment,
    change: str,
    *,
    actor: str,
    landscape: Landscape,
    state: State,
    seen: Seen,
    at: datetime | None = None,
    action: Literal["promote", "resume"] = "promote",
) -> Decision:
    """The gate's answer; nothing is recorded. `landscape` has owners by name."""
    load_extensions()
    people = workspace.with_people(landscape)
    asked = Action(release.digest, environment.name, change, actor, action)
    try:
        return decide(people, state, seen, asked, at or workspace.now())
    except Undecidable as error:  # pragma: no cover - callers resolved both already
        raise errors.BadInput("undecidable", str(error)) from error


def explain(
    workspace: Workspace, name: str, to: str, change: str, at: datetime | None = None
) -> Decision:
    """What the gate would say, to anybody who asks."""
    found = release(workspace, name)
    environment = workspace.environment(to, street=found.latest.street)
    try:
        actor = workspace.me
    except errors.Identity:
        actor = ""  # explaining takes no key; rules about the actor then say nothing
    return ask(
        workspace,
        found,
        environment,
        change,
        actor=actor,
        landscape=workspace.landscape,
        state=workspace.state if at is None else state_at(workspace, at),
        seen=see(workspace, found),
        at=at,
    )


def state_at(workspace: Workspace, at: datetime) -> State:
    """What the ledger amounted to at a moment."""
    from otapgate.ledger import peek

    state = State()
    for position, data, signature in peek.since(workspace.ledger_path, 0):
        statement = parse(data)
        if datetime.fromisoformat(statement.at) > at:
            break
        fold(state, position, statement, signer_fingerprint(signature))
    state.root = peek.peek(workspace.ledger_path, state.size).root
    return state


def to_draft(
    workspace: Workspace, decision: Decision, landscape: Landscape, seen: Seen, release: Release
) -> tuple[str, Draft]:
    """The entry that holds a decision, and its id; landscape and what was seen go to
    the store, so that it can be replayed."""
    people = workspace.with_people(landscape)
    environment = landscape.environment(decision.action.environment)
    assert environment is not None, "the decision was made on this landscape"
    kept = workspace.store.put(canonical.encode(msgspec.to_builtins(people, str_keys=True)))
    kept_seen = workspace.store.put(canonical.encode(msgspec.to_builtins(seen, str_keys=True)))
    name = new_id("dec")
    predicate = p.Decision(
        decision=name,
        action=decision.action.action,
        outcome=decision.outcome,
        release=decision.action.release,
        environment=decision.action.environment,
        stage=environment.stage,
        change=decision.action.change,
        actor=decision.action.actor,
        now=decision.now,
        landscape=kept,
        policy=decision.policy,
        seen=kept_seen,
        size=decision.size,
        root=decision.root,
        tool=decision.tool,
        rules=decision.rules,
        findings=tuple(f.recorded for f in decision.findings),
        rule_set=decision.rule_set,
    )
    subjects = (Subject(release.name, release.digest), Subject("policy", decision.policy))
    return name, Draft("decision", subjects, p.to_predicate(predicate))


def as_json(workspace: Workspace, decision: Decision, name: str | None) -> dict[str, Any]:
    """A decision as scripts get it; see the command line's reference."""
    known = workspace.state.releases.get(decision.action.release)
    return {
        "id": name,
        "outcome": decision.outcome,
        "action": decision.action.action,
        "release": {
            "name": known.name if known else None,
            "digest": decision.action.release,
        },
        "to": decision.action.environment,
        "change": decision.action.change,
        "at": decision.now,
        "policy": decision.policy,
        "log": {"size": decision.size, "root": decision.root},
        "findings": [finding_json(workspace, f) for f in decision.findings],
    }


def finding_json(workspace: Workspace, finding: Finding) -> dict[str, Any]:
    """A finding with its sentence and its remedy, people by name."""
    remedy = finding.gap.remedy
    return {
        "code": finding.code,
        "slug": finding.slug,
        "severity": finding.severity,
        "norms": list(finding.norms),
        "subject": finding.gap.subject,
        "message": finding.sentence(),
        "remedy": None
        if remedy is None
        else {
            "command": remedy.command,
            "role": remedy.role,
            "who": [workspace.name(x) for x in remedy.who],
        },
        **({} if finding.waiver is None else {"waiver": _waiver_json(workspace, finding.waiver)}),
    }


def _waiver_json(workspace: Workspace, waiver: Waiver) -> dict[str, Any]:
    """A waiver: who, until when, and why as far as that detail is still kept."""
    from otapgate.ledger import peek

    return {
        "by": workspace.name(waiver.by),
        "until": waiver.until,
        "because": peek.details_at(workspace.ledger_path, waiver.entry).get("because"),
        "entry": waiver.entry,
    }


def recorded(
    workspace: Workspace,
    *,
    environment: str | None = None,
    since: datetime | None = None,
    refused: bool = False,
) -> Iterator[dict[str, Any]]:
    """The decisions on record, oldest first, in the form of `as_json` (CH01-08)."""
    for position, found in _decisions(workspace):
        if environment is not None and environment not in (found.environment, found.stage):
            continue
        if since is not None and datetime.fromisoformat(found.now) < since:
            continue
        if refused and found.outcome != "refused":
            continue
        again = remake(workspace, found)
        known = workspace.state.releases.get(found.release)
        yield {
            "id": found.decision,
            "outcome": found.outcome,
            "action": found.action,
            "release": {"name": known.name if known else None, "digest": found.release},
            "to": found.environment,
            "change": found.change,
            "at": found.now,
            "policy": found.policy,
            "log": {"size": found.size, "root": found.root},
            "actor": workspace.name(found.actor),
            "entry": position,
            "findings": [_recorded_json(workspace, f, again) for f in found.findings],
        }


def _decisions(workspace: Workspace) -> Iterator[tuple[int, p.Decision]]:
    """Every decision that counts, oldest first, with its position."""
    void = {*workspace.state.void, *workspace.state.dismissed}
    for position, statement, _by in workspace.statements("decision"):
        if position not in void:
            found = p.from_predicate("decision", statement.predicate)
            assert isinstance(found, p.Decision), "ACTS ties the act to this class"
            yield position, found


def _recorded_json(
    workspace: Workspace, finding: p.RecordedFinding, again: Decision | None
) -> dict[str, Any]:
    for f in again.findings if again else ():
        if f.recorded == finding:
            return finding_json(workspace, f)
    rule = {r.code: r for r in rules()}.get(finding.code)
    return {
        "code": finding.code,
        "slug": rule.slug if rule else None,
        "severity": finding.severity,
        "norms": list(rule.norms) if rule else [],
        "subject": finding.subject,
        "message": f"{finding.subject}: {finding.params}",
        "remedy": None,
    }


def remake(
    workspace: Workspace, was: p.Decision, states: Timeline | None = None
) -> Decision | None:
    """The decision made again on what it was made on; None when the landscape or what
    was seen is no longer in the store, or isn't what it pretends to be."""
    timeline = states or Timeline(workspace)
    try:
        landscape = msgspec.convert(canonical.decode(workspace.store.get(was.landscape)), Landscape)
        seen = msgspec.convert(canonical.decode(workspace.store.get(was.seen)), Seen)
        if approval.digest(landscape) != landscape.policy.digest:
            return None  # it says that it is another policy than it is
    except (errors.OtapgateError, msgspec.ValidationError, ValueError):
        return None
    if not approval.genuine(landscape):
        return None  # it says other things than what was accepted and approved
    state = timeline.at(was.size)
    action = Action(was.release, was.environment, was.change, was.actor, was.action)
    try:
        asked = rules_of(was.rule_set, was.rules)
        return decide(landscape, state, seen, action, datetime.fromisoformat(was.now), asked)
    except Undecidable:
        return None


class Timeline:
    """The state at growing log sizes, each entry folded once."""

    def __init__(self, workspace: Workspace) -> None:
        from otapgate.ledger import peek

        self._workspace = workspace
        self._peek = peek
        self._state = State()

    def at(self, size: int) -> State:
        """What the ledger amounted to at `size` entries."""
        if size < self._state.size:
            self._state = State()
        path = self._workspace.ledger_path
        for position, data, signature in self._peek.since(path, self._state.size, size):
            fold(self._state, position, parse(data), signer_fingerprint(signature))
        self._state.root = self._peek.peek(path, size).root
        return self._state


def replay(workspace: Workspace, only: str | None = None) -> dict[str, Any]:
    """Make every decision on record again, or one of them, and compare.

    Each is made by the rules that there were then: a rule of that set which it left out
    is a difference, one that came later isn't asked. So that nobody leaves rules out by
    naming an old set, a set never goes back, and neither do the rules of others: what an
    earlier decision was asked, a later one is. Returns how many were replayed, how many
    came out the same, and for each difference the decision, the rule, what it was and what
    it is.
    """
    load_extensions()
    timeline = Timeline(workspace)
    replayed = same = 0
    different: list[dict[str, Any]] = []
    history = _History()
    for _position, was in _decisions(workspace):
        back = history.went_back(was)
        if only is not None and not was.decision.startswith(only):
            continue
        replayed += 1
        again = remake(workspace, was, timeline)
        found = [*back, *_compare(was, again)]
        different += found
        same += not found
    if only is not None and not replayed:
        raise errors.BadInput(
            "decision-unknown",
            _("There is no decision {name}.").format(name=only),
            remedy="otapgate gate log",
        )
    return {"replayed": replayed, "same": same, "different": different}


class _History:
    """The rules that the decisions so far were asked, oldest first."""

    def __init__(self) -> None:
        self._newest = 1
        self._others: set[str] = set()

    def went_back(self, was: p.Decision) -> list[dict[str, Any]]:
        """What an earlier decision was asked and this one wasn't; notes this one's."""
        found = []
        if not self._newest <= was.rule_set <= RULE_SET:
            known = RULE_SET if was.rule_set > RULE_SET else self._newest
            found.append({"decision": was.decision, "rule": "rule-set",
                          "was": was.rule_set, "is": known})  # fmt: skip
        own = {r.code for r in rules() if r.own}
        found += [
            {"decision": was.decision, "rule": code, "was": "absent", "is": "asked before"}
            for code in sorted(self._others - was.rules.keys())
        ]
        self._newest = max(self._newest, was.rule_set)
        self._others |= was.rules.keys() - own
        return found


def _compare(was: p.Decision, again: Decision | None) -> list[dict[str, Any]]:
    def entry(rule: str, old: object, new: object) -> dict[str, Any]:
        return {"decision": was.decision, "rule": rule, "was": old, "is": new}

    if again is None:
        gone = "not replayable: what it was made on is gone, or was forged"
        return [entry("-", was.outcome, gone)]
    found = []
    if again.root != was.root:
        found.append(entry("log", was.root, again.root))
    if again.outcome != was.outcome:
        found.append(entry("outcome", was.outcome, again.outcome))
    for code in sorted({*was.rules, *again.rules}):
        old, new = was.rules.get(code, "absent"), again.rules.get(code, "absent")
        if old != new:
            found.append(entry(code, old, new))
    old_findings = [msgspec.to_builtins(f) for f in was.findings]
    new_findings = [msgspec.to_builtins(f.recorded) for f in again.findings]
    if not found and old_findings != new_findings:
        found.append(entry("findings", old_findings, new_findings))
    return found
