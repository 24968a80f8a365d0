"""A promotion to production for which everything has been earned.

Tests take one thing away and look what the gate says. People are ids here: builder,
tester, lead, owner, admin, manager, process, submitter, second.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from otapgate.gate.decide import decide
from otapgate.gate.finding import Action, Decision, Seen
from otapgate.landscape import model as m
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s
from otapgate.ledger.directory import Directory, Key, Person, Seat

ZONE = ZoneInfo("Europe/Amsterdam")
NOW = datetime(2026, 11, 24, 15, 0, tzinfo=ZONE)
NEW, OLD, PLAN, POLICY = ("sha256:" + c * 64 for c in "abcd")
CHANGE = "CHG-0001"
ROLES: dict[str, tuple[m.Role, ...]] = {
    "builder": ("builder",),
    "tester": ("tester",),
    "lead": ("test-lead",),
    "owner": ("environment-owner",),
    "admin": ("administrator", "role-admin"),
    "manager": ("change-manager", "role-admin"),
    "process": ("process-owner",),
    "submitter": (),
}


def ago(**parts: float) -> str:
    """A moment before now, as entries write it."""
    return (NOW - timedelta(**parts)).isoformat(timespec="seconds")


def environment(stage: m.Stage, **fields: Any) -> m.Environment:
    """One of the street's environments, owned by `owner`."""
    data = m.DataRule("production" if stage == "P" else "anonymised", 90)
    given: dict[str, Any] = {
        "name": f"agenda-{stage}",
        "stage": stage,
        "street": "agenda",
        "owner": "owner",
        "hosts": (m.Host("h"),),
        "data": data,
        "digest": f"sha256:{ord(stage):064x}",
        "file": "environments/agenda.yml",
    }
    return m.Environment(**{**given, **fields})


def landscape(**fields: Any) -> m.Landscape:
    """A school with one street of T, A and P."""
    policy = m.Policy(
        matrix={i: dict.fromkeys(m.LEVELS, "P3") for i in m.LEVELS},
        authorisation={
            "P3": {"change-manager": 1, "process-owner": 1},
            "P4": {"change-manager": 1},
        },
        sign_off={"P": ("process-owner",)},
        test_kinds={"P3": ("function", "security")},
        digest=POLICY,
        file="policy.yml",
    )
    street = m.Street("agenda", "Agenda", tuple(environment(x) for x in "TAP"))  # type: ignore[arg-type]
    given: dict[str, Any] = {
        "name": "De Linde",
        "language": "en",
        "timezone": "Europe/Amsterdam",
        "origin": "example/linde",
        "streets": (street,),
        "policy": policy,
    }
    return m.Landscape(**{**given, **fields})


def signed(position: int, by: str, act: Any, at: str | None = None) -> Any:
    """An act by somebody, an hour ago."""
    return s.Signed(position, at or ago(hours=1), by, act)


def probed(described: m.Environment, kind: Any, **fields: Any) -> p.Probed:
    """A probe that found all to be right."""
    given: dict[str, Any] = {"outcome": "proven", "counts": {}, "against": {}, **fields}
    return p.Probed("probe-1", described.name, described.digest, kind, evidence=NEW, **given)


def people() -> Directory:
    """Everybody enrolled, with their roles; two role administrators, founded."""
    found = Directory(origin="example/linde", threshold=2, founded=True, founders=["admin"])
    for person, roles in ROLES.items():
        found.people[person] = Person(person, [Key("ssh-ed25519 x", f"SHA256:{person}", 0)])
        found.owners[f"SHA256:{person}"] = person
        found.seats += [Seat(person, role, None, None, 0, "genesis") for role in roles]
    return found


def state() -> s.State:
    """A ledger in which the release has earned production."""
    complete = p.Completeness("complete")
    criteria = (p.Criterion("works", "function"), p.Criterion("safe", "security"))
    cases = tuple(p.CaseOutcome(c.id + "-case", c.id, c.kind, "passed", 5) for c in criteria)
    built = p.ReleaseBuilt("agenda", "2.0", "agenda", CHANGE, 3, 99, ("plan",))
    older = p.ReleaseBuilt("agenda", "1.0", "agenda", None, 3, 99, ("plan",))
    test = environment("T")
    accepting = environment("A")
    release = s.Release(
        "agenda@2.0",
        NEW,
        [signed(30, "builder", built)],
        runs=[signed(50, "tester", p.TestRun(
            "run-1", NEW, test.name, test.digest, PLAN, "passed", cases, NEW))],
        rehearsals=[signed(51, "admin", p.Rehearsal(
            "reh-1", NEW, OLD, test.name, test.digest, "none", "restored", 1000,
            (p.RehearsalCase("none", "", 0, True),), NEW))],
        acceptances=[signed(60, "lead", p.Acceptance(
            NEW, accepting.name, accepting.digest, CHANGE, {"plan": PLAN},
            {"works": "pass", "safe": "pass"}))],
        signoffs=[signed(61, "process", p.SignOff(
            NEW, "agenda-P", environment("P").digest, CHANGE, "process-owner", "agreed"))],
    )  # fmt: skip
    environments = {}
    production = {"agenda-P": environment("P").digest}
    for stage, running in (("T", NEW), ("A", NEW), ("P", OLD)):
        described = environment(stage)  # type: ignore[arg-type]
        accepted = signed(10, "owner", p.EnvironmentAccepted(described.name, described.digest))
        history = s.EnvironmentHistory(accepted, [s.Running(running, ago(hours=2), "x", complete)])
        if stage != "P":
            history.datasets = [signed(20, "admin", p.DatasetLoaded(
                "data-1", described.name, "anonymised", NEW, PLAN, OLD, 10, 10, 0, 5,
                ago(days=-60)))]  # fmt: skip
        history.probes = {"access": signed(21, "admin", probed(described, "access"))}
        if stage != "P":
            apart = probed(described, "isolation", against=production)
            like = probed(described, "representativeness", against=production, counts={"score": 90})
            history.probes |= {
                "isolation": signed(22, "tester", apart),
                "representativeness": signed(23, "lead", like),
            }
        environments[described.name] = history
    change = s.Change(
        signed(11, "submitter", p.ChangeSubmitted(
            CHANGE, "regular", "application", "agenda", NEW, rollback_minutes=5)),
        signed(12, "manager", p.ChangeClassified(CHANGE, "low", "low", "P3", POLICY)),
        [signed(13, who, p.ChangeAuthorised(CHANGE, role, "authorised"))
         for who, role in (("manager", "change-manager"), ("process", "process-owner"))],
        signed(15, "manager", p.ChangeScheduled(CHANGE, ago(hours=1), ago(hours=-1))),
    )  # fmt: skip
    return s.State(
        size=70,
        root="00" * 32,
        last_at=ago(minutes=1),
        directory=people(),
        policy=POLICY,
        environments=environments,
        changes={CHANGE: change},
        releases={OLD: s.Release("agenda@1.0", OLD, [signed(5, "builder", older)]), NEW: release},
        plans={"plan": [signed(40, "lead", p.PlanRegistered(
            "plan", PLAN, "agenda", criteria, tuple(c.id for c in cases)))]},
    )  # fmt: skip


def ask(
    known: s.State,
    where: m.Landscape | None = None,
    *,
    to: str = "agenda-P",
    actor: str = "admin",
    change: str = CHANGE,
    seen: Seen | None = None,
    now: datetime = NOW,
) -> Decision:
    """The gate's answer."""
    return decide(where or landscape(), known, seen or Seen(), Action(NEW, to, change, actor), now)


def codes(decision: Decision) -> list[str]:
    """Codes of what blocks, each once."""
    return sorted({f.code for f in decision.blocking})


def warnings(decision: Decision) -> list[str]:
    """Codes of what is only shown."""
    return sorted({f.code for f in decision.findings if f.severity == "warn"})
