"""What each act says: the predicate of every kind of entry, as typed values.

One class an act; `ACTS` ties the act's name (and so its signature namespace and its
predicateType) to its class and to the roles that may sign it. Fields common to all
(`at`, `log`, `detail`) belong to the statement and aren't repeated here. Free text and
names of people never stand here: they are details, present as commitments only.
A field is never renamed or given another meaning; a new version gets a new act version.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from otapgate.landscape.model import Level, Priority, Role, Stage, TestKind
from otapgate.ledger import naming
from otapgate.ledger.naming import Id, Name

Outcome: TypeAlias = Literal["passed", "failed"]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class Predicate(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """Base: strict in what it reads, silent about defaults in what it writes.

    Out of sight of the garbage collector: a state holds tens of thousands of these, and
    values that are made of JSON never refer to themselves."""


class Founder(Predicate, frozen=True):
    """A role administrator from the beginning."""

    person: Name
    keys: tuple[str, ...]
    """OpenSSH public key lines without comments."""


class Genesis(Predicate, frozen=True):
    """The first entry: whose ledger, who administers roles, how many it takes (F12)."""

    origin: str
    founders: tuple[Founder, ...]
    threshold: int
    """How many role administrators a change of people or roles takes: 1 or 2."""
    policy: str
    """Digest of the policy in force at the start."""


class PersonEnrolled(Predicate, frozen=True):
    """A person and the keys that prove them. Detail: `name`."""

    person: Name
    keys: tuple[str, ...]


class PersonRevoked(Predicate, frozen=True):
    """A person, or one key of theirs by fingerprint, no longer signs."""

    person: Name
    key: str | None = None


class RoleGranted(Predicate, frozen=True):
    """A role, everywhere or on one street, until a day (exclusive) or without end."""

    person: Name
    role: Role
    street: Name | None = None
    until: str | None = None


class RoleRevoked(Predicate, frozen=True):
    """The role is withdrawn from the person, on that street or everywhere."""

    person: Name
    role: Role
    street: Name | None = None


class Confirmed(Predicate, frozen=True):
    """A second role administrator agrees to the entries at these positions (F12)."""

    entries: tuple[int, ...]


class PolicyApproved(Predicate, frozen=True):
    """This policy is in force from here on (CH01-01). Detail: `because`."""

    policy: str


class EnvironmentAccepted(Predicate, frozen=True):
    """The owner takes responsibility for the environment as described (CH04-06)."""

    environment: Name
    description: str
    """Digest of the environment's description."""


class Completeness(Predicate, frozen=True):
    """What runs on the hosts against what the release says (CH06-09)."""

    outcome: Literal["complete", "incomplete", "unknown"]
    missing: tuple[str, ...] = ()
    different: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


class EnvironmentAdopted(Predicate, frozen=True):
    """An environment was looked at, and found to hold this release wholly.

    One that ran before otapgate came, and so has no history here; or one in which going
    back failed: the release before is there, and somebody takes what else was left for
    granted. Detail, in the second case: `because`."""

    environment: Name
    release: str
    completeness: Completeness


class ChangeSubmitted(Predicate, frozen=True):
    """A request for change (VTW). Detail: `vtw`, the whole form."""

    change: Name
    kind: Literal["regular", "standard", "emergency"]
    object: str
    street: Name | None
    vtw: str
    """Digest of the form's canonical JSON."""
    security: bool = False
    privacy: bool = False
    parallel_run: bool = False
    rollback_minutes: Count | None = None
    """How long a rollback may take, as the form promises."""


class ChangeClassified(Predicate, frozen=True):
    """Impact and urgency, and the priority that the policy's matrix makes of them."""

    change: Name
    impact: Level
    urgency: Level
    priority: Priority
    policy: str


class ChangeAuthorised(Predicate, frozen=True):
    """One person's authorisation, or refusal, in one role. Detail: `because`."""

    change: Name
    role: Role
    verdict: Literal["authorised", "rejected"]


class ChangeScheduled(Predicate, frozen=True):
    """When the change may enter production; ISO 8601 with zone, end exclusive."""

    change: Name
    start: str
    end: str


class ChangeClosed(Predicate, frozen=True):
    """The change's end and how it went (CH02-06). Detail: `evaluation`."""

    change: Name
    outcome: Literal["succeeded", "failed", "withdrawn", "rejected"]


class Source(Predicate, frozen=True):
    """The working copy that a release was built from, where git knows it (CH01-07)."""

    commit: str
    clean: bool


class ReleaseBuilt(Predicate, frozen=True):
    """A release came to be. Subject: `app@version` with the manifest's digest."""

    app: Name
    version: Name
    street: Name
    change: str | None
    files: Count
    bytes: Count
    plans: tuple[Name, ...]
    """Names of the test plans that cover it."""
    file: str = ""
    """The release file, relative to the landscape: where to look for later edits."""
    source: Source | None = None


class Criterion(Predicate, frozen=True):
    """One acceptance criterion of a test plan."""

    id: Name
    kind: TestKind


class PlanRegistered(Predicate, frozen=True):
    """A test plan as it stood before the tests (CH05-03)."""

    plan: Name
    digest: str
    app: Name
    criteria: tuple[Criterion, ...]
    cases: tuple[Name, ...]


class CaseOutcome(Predicate, frozen=True):
    """What became of one planned case."""

    id: Name
    criterion: Name
    kind: TestKind
    outcome: Literal["passed", "failed", "skipped"]
    milliseconds: Count
    reason: Literal["", "flaky"] = ""
    """`flaky`: repetitions of it came out differently, so it has failed."""


class TestRun(Predicate, frozen=True):
    """A plan carried out on a release in an environment (CH05-05)."""

    run: Id
    release: str
    environment: Name
    description: str
    plan: str
    """Digest of the plan."""
    outcome: Outcome
    cases: tuple[CaseOutcome, ...]
    evidence: str
    """Digest of the evidence kept in the store."""


class EvidencePurged(Predicate, frozen=True):
    """Evidence of test runs whose time is over was deleted; this keeps what it was
    (CH05-06)."""

    environment: Name
    runs: tuple[Id, ...]
    digests: tuple[str, ...]
    """Of every object that was deleted."""
    bytes: Count
    reason: Literal["retention"]
    days: Count
    """How long the environment's description says that evidence is kept."""


class RehearsalCase(Predicate, frozen=True):
    """One way of cutting the deployment, and whether the state came back."""

    fault: Literal["none", "kill", "fail", "unreachable"]
    task: str
    index: Count
    restored: bool
    left: tuple[str, ...] = ()


class Rehearsal(Predicate, frozen=True):
    """Deployed, rolled back, compared (CH05-07)."""

    rehearsal: Id
    release: str
    previous: str | None
    environment: Name
    description: str
    faults: str
    outcome: Literal["restored", "not-restored"]
    milliseconds_rollback: Count
    cases: tuple[RehearsalCase, ...]
    evidence: str


class DatasetLoaded(Predicate, frozen=True):
    """Data brought into an environment, or made for it (CH04-07)."""

    dataset: Id
    environment: Name | None
    label: Literal["pseudonymised", "anonymised", "synthetic"]
    manifest: str
    plan: str
    source: str
    rows: Count
    bytes: Count
    leaks: Count
    k: Count
    expires: str
    """ISO 8601 time with zone after which the data must be gone."""


class Acceptance(Predicate, frozen=True):
    """The test lead's verdict on each criterion (CH06-08). Detail: `notes`."""

    release: str
    environment: Name
    description: str
    change: Name
    plans: dict[Name, str]
    """Plan name → digest that the criteria come from."""
    criteria: dict[Name, Literal["pass", "fail"]]


class SignOff(Predicate, frozen=True):
    """A stakeholder's signature on a release for one transition (CH06-03).
    Detail: `because`."""

    release: str
    environment: Name
    description: str
    change: Name
    role: Role
    verdict: Literal["agreed", "rejected"]


class ParallelStarted(Predicate, frozen=True):
    """Old and new run side by side from here on, and are compared by a plan (CH06-07)."""

    parallel: Id
    plan: Name
    digest: str
    """Digest of the comparison plan (canonical JSON, in the store)."""
    release: str
    """What is to come."""
    previous: str | None
    """What it is compared with; None where the ledger doesn't know what runs there."""
    change: Name
    old: Name
    new: Name
    """The two environments; one and the same where both systems run in it."""
    old_description: str
    new_description: str
    days: Count
    comparisons: Count


class ParallelCompared(Predicate, frozen=True):
    """One comparison of all outputs: how much was the same, tolerated, different."""

    parallel: Id
    release: str
    digest: str
    """Digest of the plan that it was made by."""
    same: Count
    tolerated: Count
    different: Count
    evidence: str


class ParallelConcluded(Predicate, frozen=True):
    """The process owner's verdict on a parallel run. Detail: `because`."""

    parallel: Id
    release: str
    verdict: Literal["agreed", "rejected"]


class Waived(Predicate, frozen=True):
    """A rule doesn't hold this release back for a time (CH05-04). Detail: `because`."""

    release: str
    rule: Name
    """Its code: `OG304`."""
    until: str
    """ISO date; from that day on the rule holds again."""


class RecordedFinding(Predicate, frozen=True):
    """A finding as the decision holds it: no sentence, so no language."""

    code: str
    severity: Literal["block", "warn"]
    subject: str
    params: dict[str, Any] = {}
    waiver: int | None = None
    """Position of the waiver that made it a warning."""


class Decision(Predicate, frozen=True):
    """What the gate said, on what, and everything needed to say it again."""

    decision: Id
    action: Literal["promote", "resume"]
    outcome: Literal["allowed", "refused"]
    release: str
    environment: Name
    stage: Stage
    change: str
    actor: str
    now: str
    landscape: str
    """Digest of the landscape (canonical JSON, in the store) that was decided on."""
    policy: str
    seen: str
    """Digest of what was observed outside the ledger (canonical JSON, in the store)."""
    size: int
    root: str
    tool: str
    rules: dict[str, Literal["passed", "warned", "blocked", "off", "not-applicable"]]
    findings: tuple[RecordedFinding, ...]
    rule_set: int = 1
    """Number of the set that otapgate's own rules were (`gate.registry`)."""


class PromotionStarted(Predicate, frozen=True):
    """Written, durably, before anything is touched."""

    promotion: Id
    decision: Id
    release: str
    previous: str | None
    environment: Name
    change: str


class PromotionFinished(Predicate, frozen=True):
    """How it ended; `rolled-back` means the state before was restored and compared."""

    promotion: Id
    environment: Name
    release: str
    outcome: Literal["succeeded", "rolled-back", "failed"]
    completeness: Completeness
    hosts: dict[str, Literal["ok", "failed", "unreachable"]]
    milliseconds: Count
    evidence: str
    left: tuple[str, ...] = ()
    """What is not as it was before, where going back failed."""
    touched: bool = True
    """Whether anything that may change a host was begun."""


class RollbackStarted(Predicate, frozen=True):
    """Going back to the previous release after a promotion that had succeeded."""

    rollback: Id
    promotion: Id
    environment: Name
    release: str
    to: str | None


class RollbackFinished(Predicate, frozen=True):
    """How going back ended."""

    rollback: Id
    environment: Name
    to: str | None
    outcome: Literal["restored", "failed"]
    left: tuple[str, ...]
    milliseconds: Count
    evidence: str


class Probed(Predicate, frozen=True):
    """An environment's hosts were looked at (CH04-03, CH04-04, CH04-05). Details:
    `findings`, which may name accounts, and so people."""

    probe: Id
    environment: Name
    description: str
    kind: Literal["isolation", "access", "fingerprint", "representativeness", "drift"]
    outcome: Literal["proven", "violated", "unknown"]
    counts: dict[Name, Count]
    evidence: str
    """Digest of everything that was seen, in the store."""
    against: dict[Name, str] = {}
    """The environments it was compared with, each with its description's digest."""


class EntriesDismissed(Predicate, frozen=True):
    """Entries that came to nothing were looked into, and stand in nobody's way any more.
    Detail: `because`."""

    entries: tuple[Count, ...]


class ClockCorrected(Predicate, frozen=True):
    """An entry was dated in the future; from here on the time is this entry's. Detail:
    `because`."""


class LedgerMoved(Predicate, frozen=True):
    """The landscape lives in another place from here on. Detail: `because`."""

    place: str
    """Digest that identifies the new place."""


class Act(msgspec.Struct, frozen=True):
    """How an act is read and who may sign it."""

    predicate: type[Predicate]
    roles: frozenset[Role] | None
    """None: anybody who is enrolled (or, for genesis, who is named in it)."""


WAIVERS: tuple[Role, ...] = ("board", "change-manager", "ibp-officer")
"""Who may waive: roles that answer for the whole, and that earn no release its way."""


def _act(predicate: type[Predicate], *roles: Role) -> Act:
    return Act(predicate, frozenset(roles) or None)


ACTS: dict[str, Act] = {
    "genesis": _act(Genesis),
    "person-enrolled": _act(PersonEnrolled, "role-admin"),
    "person-revoked": _act(PersonRevoked, "role-admin"),
    "role-granted": _act(RoleGranted, "role-admin"),
    "role-revoked": _act(RoleRevoked, "role-admin"),
    "confirmed": _act(Confirmed, "role-admin"),
    "policy-approved": _act(PolicyApproved, "board", "change-manager"),
    "environment-accepted": _act(EnvironmentAccepted, "environment-owner"),
    "environment-adopted": _act(EnvironmentAdopted, "administrator"),
    "change-submitted": _act(ChangeSubmitted),
    "change-classified": _act(ChangeClassified, "change-manager"),
    "change-authorised": _act(
        ChangeAuthorised, "change-manager", "process-owner", "cab-member", "board", "ibp-officer"
    ),
    "change-scheduled": _act(ChangeScheduled, "change-manager"),
    "change-closed": _act(ChangeClosed, "change-manager"),
    "release-built": _act(ReleaseBuilt, "builder", "supplier"),
    "plan-registered": _act(PlanRegistered, "test-lead", "tester"),
    "test-run": _act(TestRun, "test-lead", "tester"),
    "rehearsal": _act(Rehearsal, "administrator", "test-lead", "tester"),
    "dataset-loaded": _act(DatasetLoaded, "administrator"),
    "acceptance": _act(Acceptance, "test-lead"),
    "signoff": _act(
        SignOff,
        "board",
        "change-manager",
        "ibp-officer",
        "dpo",
        "process-owner",
        "environment-owner",
        "cab-member",
        "test-lead",
    ),
    "parallel-started": _act(ParallelStarted, "administrator", "test-lead"),
    "parallel-compared": _act(ParallelCompared, "administrator", "robot", "test-lead", "tester"),
    "parallel-concluded": _act(ParallelConcluded, "process-owner"),
    "decision": _act(Decision, "administrator", "robot"),
    "promotion-started": _act(PromotionStarted, "administrator", "robot"),
    "promotion-finished": _act(PromotionFinished, "administrator", "robot"),
    "rollback-started": _act(RollbackStarted, "administrator", "robot"),
    "rollback-finished": _act(RollbackFinished, "administrator", "robot"),
    "probed": _act(Probed, "administrator", "test-lead", "tester"),
    "waived": _act(Waived, *WAIVERS),
    "evidence-purged": _act(EvidencePurged, "administrator", "test-lead", "environment-owner"),
    "entries-dismissed": _act(EntriesDismissed, "role-admin"),
    "clock-corrected": _act(ClockCorrected, "role-admin"),
    "ledger-moved": _act(LedgerMoved, "role-admin"),
}


def to_predicate(value: Predicate) -> dict[str, Any]:
    """Plain JSON of a predicate, ready for a draft."""
    plain: dict[str, Any] = msgspec.to_builtins(value, str_keys=True)
    return plain


def from_predicate(act: str, predicate: dict[str, Any]) -> Predicate:
    """The typed predicate; raises msgspec.ValidationError, or KeyError for an unknown
    act. Common fields must have been taken off."""
    kind = ACTS[act].predicate
    found = msgspec.convert(predicate, kind)
    naming.check(predicate, kind)
    return found
