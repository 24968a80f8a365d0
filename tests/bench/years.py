"""A school's ledger after some years, for measuring: every act signed, every act counts.

Four streets of T, A and P; one change after another goes its whole way, with test runs,
a rehearsal, acceptance, sign-offs and three promotions; some fail their tests first, or
are refused.
The last change has earned production and waits for it.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from otapgate import canonical
from otapgate.acts.founding import found
from otapgate.acts.workspace import Workspace
from otapgate.gate.finding import Action
from otapgate.gate.registry import RULE_SET, rules
from otapgate.landscape.model import Environment, Landscape
from otapgate.ledger import merkle, sshsig
from otapgate.ledger import predicates as p
from otapgate.ledger.state import State, fold
from otapgate.ledger.statement import Draft, Head, Subject, leaf_hash, namespace, parse, seal
from otapgate.ledger.storage import Ledger

sys.path.insert(0, str(Path(__file__).parents[2]))  # scripts run from anywhere
from tests.memory_signer import MemorySigner

STREETS = ("administration", "timetable", "library", "website")
ROLES: dict[str, tuple[str, ...]] = {
    "Anna Visser": ("environment-owner",),
    "Bram de Wit": (),
    "Chris Bakker": ("builder",),
    "Daan Smit": ("administrator",),
    "Esra Yilmaz": ("tester",),
    "Femke Jansen": ("test-lead",),
    "Gijs Mulder": ("process-owner",),
    "Hanna Vos": ("change-manager",),
    "Ilse Meijer": (),
}
KINDS = ("function", "security", "performance", "data")
CASES = 12
"""In each of the two test plans of an application."""
COMPLETE = p.Completeness("complete")
FORM = {"why": "The teachers asked for it. " * 40, "what": "A new version. " * 20}


def digest(*words: object) -> str:
    """A digest that stands for something."""
    return canonical.digest(" ".join(map(str, words)).encode())


class School:
    """The ledger while it is written; `question` is what can be asked at its end."""

    def __init__(self, root: Path, entries: int) -> None:
        self.root = root
        self.keys = {name: MemorySigner() for name in ROLES}
        self.state = State()
        self._tree = merkle.CompactRange()
        self._begin()
        self.landscape: Landscape = Workspace(root).landscape
        with Ledger.open(f"sqlite:///{root / self.landscape.ledger}") as self._ledger:
            for entry in self._ledger.entries():
                statement = parse(entry.statement)
                fold(self.state, entry.position, statement,
                     sshsig.signer_fingerprint(entry.signature))  # fmt: skip
                self._tree.append(entry.leaf)
            self.people = dict(zip(("Anna Visser", "Bram de Wit"),
                                   self.state.directory.founders, strict=True))  # fmt: skip
            self.clock = datetime.fromisoformat(self.state.last_at)
            self._appoint()
            self._settle()
            self._live(entries)

    def _begin(self) -> None:
        admins = {n: self.keys[n].public.line for n in ("Anna Visser", "Bram de Wit")}
        found(self.root, stages=("T", "A", "P"), admins=admins, signer=self.keys["Anna Visser"],
              name="De Linde", street=STREETS[0], language="en").close()  # fmt: skip
        first = self.root / f"environments/{STREETS[0]}.yml"
        for street in STREETS[1:]:
            text = first.read_text().replace(STREETS[0], street)
            first.with_name(f"{street}.yml").write_text(text)

    def do(
        self, by: str, act: str, predicate: p.Predicate, subject: tuple[str, str], **details: Any
    ) -> None:
        """One act, three quarters of an hour after the last; it must count. A decision is
        about the moment at which it is signed, and the promotion follows at once."""
        at_once = act in ("decision", "promotion-started")
        self.clock += timedelta(seconds=30) if at_once else timedelta(minutes=45)
        head = Head(self.landscape.origin, self.state.size, self._tree.root().hex())
        known = {k.replace("_", "-"): v for k, v in details.items()}
        made = Draft(act, (Subject(*subject),), p.to_predicate(predicate), known)
        sealed = seal(made, head, self.clock)
        signature = self.keys[by].sign(sealed.statement, namespace(act))
        position = self._ledger.append(sealed, signature)
        fingerprint = self.keys[by].public.fingerprint
        problem = fold(self.state, position, parse(sealed.statement), fingerprint)
        if problem is not None:
            raise SystemExit(f"{act} doesn't count: {problem}")
        self._tree.append(leaf_hash(sealed.statement, signature))
        self.state.root = self._tree.root().hex()

    def _appoint(self) -> None:
        nothing = (self.landscape.origin, self.landscape.policy.digest)
        self.do("Bram de Wit", "confirmed", p.Confirmed((0,)), nothing)
        for number, (name, roles) in enumerate(ROLES.items()):
            waiting = []
            by, other = "Anna Visser", "Bram de Wit"
            if name == by:
                by, other = other, by
            if name not in self.people:
                self.people[name] = f"p-{number:012x}"
                enrolled = p.PersonEnrolled(self.people[name], (self.keys[name].public.line,))
                self.do(by, "person-enrolled", enrolled, nothing,
                        **{f"name_{self.people[name].replace('-', '_')}": name})  # fmt: skip
                waiting.append(self.state.size - 1)
            for role in roles:
                granted = p.RoleGranted(self.people[name], role)  # type: ignore[arg-type]
                self.do(by, "role-granted", granted, nothing)
                waiting.append(self.state.size - 1)
            if waiting:
                self.do(other, "confirmed", p.Confirmed(tuple(waiting)), nothing)

    def _settle(self) -> None:
        # The other streets came after the first entry, and approving covers their stages.
        policy = self.landscape.policy.digest
        self.do("Hanna Vos", "policy-approved", p.PolicyApproved(policy), ("policy", policy))
        for street in self.landscape.streets:
            for env in street.environments:
                self.do("Anna Visser", "environment-accepted",
                        p.EnvironmentAccepted(env.name, env.digest),
                        (env.name, env.digest))  # fmt: skip

    def _live(self, entries: int) -> None:
        number = 0
        while self.state.size < entries - 25:
            self._change(number)
            number += 1
        self._change(number, through=False)
        street = self.landscape.streets[number % len(STREETS)]
        self.question = Action(
            digest("release", number, 1), street.production.name, f"CHG-{number:04}",
            self.people["Daan Smit"],
        )  # fmt: skip
        self.now = self.clock + timedelta(minutes=10)

    def _change(self, number: int, *, through: bool = True) -> None:
        """A change from form to evaluation, or until production can be asked for."""
        street = self.landscape.streets[number % len(STREETS)]
        change, form = f"CHG-{number:04}", digest("form", number)
        about = (change, form)
        self.do("Ilse Meijer", "change-submitted",
                p.ChangeSubmitted(change, "regular", "application", street.name, form,
                                  rollback_minutes=30), about, vtw=FORM)  # fmt: skip
        self.do("Hanna Vos", "change-classified",
                p.ChangeClassified(change, "medium", "medium", "P3",
                                   self.landscape.policy.digest), about)  # fmt: skip
        for name, role in (("Hanna Vos", "change-manager"), ("Gijs Mulder", "process-owner")):
            self.do(name, "change-authorised",
                    p.ChangeAuthorised(change, role, "authorised"), about)  # type: ignore[arg-type] # fmt: skip
        start, end = (self.clock + timedelta(days=d) for d in (0, 3))
        self.do("Hanna Vos", "change-scheduled",
                p.ChangeScheduled(change, start.isoformat(timespec="seconds"),
                                  end.isoformat(timespec="seconds")), about)  # fmt: skip
        test, accepting, production = street.environments
        plans = (f"{street.name}-main", f"{street.name}-more")
        # Every fourth change fails its tests once and is built again.
        for attempt in (0, 1) if number % 4 == 0 and through else (1,):
            release = digest("release", number, attempt)
            subject = (f"{street.name}@{number}.{attempt}", release)
            self.do("Chris Bakker", "release-built",
                    p.ReleaseBuilt(street.name, subject[0].partition("@")[2], street.name, change,
                                   40, 4_000_000, plans, f"releases/{street.name}.yml"),
                    subject)  # fmt: skip
            if number % 8 < 4:
                for plan in plans:
                    self._register(street.name, plan, number)
            self._load(test, number)
            self._load(accepting, number)
            self._rehearse(subject, test, production)
            self._promote(subject, change, test)
            for plan in plans:
                self._test(subject, test, plan, "passed" if attempt else "failed")
        self._promote(subject, change, accepting)
        registered = [self.state.plan(plan, street.name) for plan in plans]
        agreed = {c.id: "pass" for r in registered if r is not None for c in r.act.criteria}
        self.do("Femke Jansen", "acceptance",
                p.Acceptance(release, accepting.name, accepting.digest, change,
                             {r.act.plan: r.act.digest for r in registered if r is not None},
                             agreed), subject, notes="All of it was tried.")  # type: ignore[arg-type] # fmt: skip
        for name, role in (("Gijs Mulder", "process-owner"), ("Hanna Vos", "change-manager")):
            self.do(name, "signoff",
                    p.SignOff(release, production.name, production.digest, change, role,  # type: ignore[arg-type]
                              "agreed"), subject)  # fmt: skip
        if through:
            if number % 5 == 0:
                self._decide(subject, change, production, "refused")
            self._promote(subject, change, production)
            self.do("Hanna Vos", "change-closed", p.ChangeClosed(change, "succeeded"), about,
                    evaluation="It went as it should.")  # fmt: skip

    def _register(self, app: str, plan: str, number: int) -> None:
        criteria = tuple(p.Criterion(f"{plan}-{k}", k) for k in KINDS)  # type: ignore[arg-type]
        made = p.PlanRegistered(plan, digest(plan, number), app, criteria,
                                tuple(f"{plan}-case-{n}" for n in range(CASES)))  # fmt: skip
        self.do("Femke Jansen", "plan-registered", made, (plan, made.digest))

    def _load(self, env: Environment, number: int) -> None:
        if number % 40 < len(STREETS):  # each environment, now and then
            until = (self.clock + timedelta(days=90)).isoformat(timespec="seconds")
            made = p.DatasetLoaded(
                f"data-{self.state.size}", env.name, "anonymised", digest("data", number),
                digest("anonymizer"), digest("source"), 1_000_000, 900_000_000, 0, 5, until,
            )  # fmt: skip
            self.do("Daan Smit", "dataset-loaded", made, (made.dataset, made.manifest))

    def _test(self, subject: tuple[str, str], env: Environment, plan: str, outcome: str) -> None:
        registered = self.state.plan(plan, subject[0].partition("@")[0])
        assert registered is not None, "the first change of an application registers its plans"
        cases = tuple(
            p.CaseOutcome(case, f"{plan}-{KINDS[n % 4]}", KINDS[n % 4],  # type: ignore[arg-type]
                          "failed" if n == 3 and outcome == "failed" else "passed", 120 + n)
            for n, case in enumerate(registered.act.cases)
        )  # fmt: skip
        run = p.TestRun(f"run-{self.state.size:012x}", subject[1], env.name, env.digest,
                        registered.act.digest, outcome, cases, digest("evidence", self.state.size))  # type: ignore[arg-type] # fmt: skip
        self.do("Esra Yilmaz", "test-run", run, subject)

    def _rehearse(
        self, subject: tuple[str, str], env: Environment, production: Environment
    ) -> None:
        # Going back is tried from where production stands, so that runs there first.
        running = self.state.environment(env.name).running
        previous = running.release if running is not None else None
        faults = ("none", "kill", "fail", "unreachable")
        cases = tuple(
            p.RehearsalCase(fault, f"Task {n}", n, restored=True)  # type: ignore[arg-type]
            for n, fault in enumerate(faults)
        )
        made = p.Rehearsal(f"reh-{self.state.size:012x}", subject[1], previous, env.name,
                           env.digest, "all", "restored", 40_000, cases,
                           digest("evidence", self.state.size))  # fmt: skip
        self.do("Daan Smit", "rehearsal", made, subject)

    def _decide(self, subject: tuple[str, str], change: str, env: Environment, outcome: str) -> str:
        name = f"dec-{self.state.size:012x}"
        findings = (
            p.RecordedFinding("OG105", "block", change,
                              {"change": change, "start": "-", "end": "-"}),
        )  # fmt: skip
        made = p.Decision(
            name, "promote", outcome, subject[1], env.name, env.stage, change,  # type: ignore[arg-type]
            self.people["Daan Smit"], self.clock.isoformat(timespec="seconds"),
            digest("landscape"), self.landscape.policy.digest, digest("seen", self.state.size),
            self.state.size, self.state.root, "0.1.0", {r.code: "passed" for r in rules()},
            findings if outcome == "refused" else (), RULE_SET,
        )  # fmt: skip
        self.do("Daan Smit", "decision", made, subject)
        return name

    def _promote(self, subject: tuple[str, str], change: str, env: Environment) -> None:
        running = self.state.environment(env.name).running
        decision = self._decide(subject, change, env, "allowed")
        made = p.PromotionStarted(f"pro-{self.state.size:012x}", decision, subject[1],
                                  running.release if running is not None else None, env.name,
                                  change)  # fmt: skip
        self.do("Daan Smit", "promotion-started", made, subject)
        self.do("Daan Smit", "promotion-finished",
                p.PromotionFinished(made.promotion, env.name, subject[1], "succeeded", COMPLETE,
                                    {h.name: "ok" for h in env.hosts}, 95_000,
                                    digest("evidence", self.state.size)), subject)  # fmt: skip
