"""The read-only view that rules get: landscape, ledger state, action, time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from otapgate.gate.finding import Action, Gap, Remedy, Seen
from otapgate.landscape.model import Environment, Landscape, Policy, Role, Stage, Street
from otapgate.ledger import predicates as p
from otapgate.ledger import state as s

if TYPE_CHECKING:
    from otapgate.gate.registry import Rule


@dataclass(frozen=True)
class Facts:
    """Everything a rule may look at. `now` carries a zone."""

    landscape: Landscape
    state: s.State
    seen: Seen
    action: Action
    now: datetime
    street: Street
    environment: Environment
    release: s.Release
    rules: tuple[Rule, ...]
    """Those that are asked in this decision."""

    @property
    def policy(self) -> Policy:
        return self.landscape.policy

    @property
    def stage(self) -> Stage:
        return self.environment.stage

    @property
    def change(self) -> s.Change | None:
        return self.state.changes.get(self.action.change)

    @property
    def previous(self) -> Environment | None:
        """The environment that the release must come from."""
        return self.street.before(self.environment)

    @property
    def path(self) -> tuple[Environment, ...]:
        """Every environment of the street up to and including the target."""
        return self.street.environments[: self.street.environments.index(self.environment) + 1]

    @property
    def tested_in(self) -> tuple[Environment, ...]:
        """Environments whose evidence may count: all before production, target excluded."""
        return tuple(e for e in self.street.environments if e.stage != "P")

    @cached_property
    def day(self) -> str:
        """Today, where the school is."""
        return self.now.astimezone(ZoneInfo(self.landscape.timezone)).date().isoformat()

    @cached_property
    def plans(self) -> dict[str, s.Signed[p.PlanRegistered] | None]:
        """Every plan the release names → its latest registration."""
        app = self.release.latest.app
        return {name: self.state.plan(name, app) for name in self.release.latest.plans}

    def older_than(self, at: str, days: int) -> bool:
        """Whether a moment lies more than so many days back."""
        return self.now - datetime.fromisoformat(at) > timedelta(days=days)

    def running(self, environment: Environment) -> str | None:
        """Digest of the release that runs in an environment."""
        running = self.state.environment(environment.name).running
        return running.release if running is not None else None

    def called(self, digest: str | None) -> str:
        """A release as sentences name it; a dash for none."""
        return self.state.called(digest) if digest and digest in self.state.releases else "-"

    @property
    def undone(self) -> s.Undone | None:
        """That this release was taken out of the environment again, if it was."""
        return self.state.environment(self.environment.name).undone.get(self.release.digest)

    def entitled(self, signed: s.Signed[Any], role: Role) -> bool:
        """Whether its signer held the role on this street when they signed. A role that
        ended since changes nothing; one that came since doesn't either (F22)."""
        return self.state.directory.held(
            signed.by, role, signed.position, s.day_of(signed.at), self.street.name
        )

    def holders(
        self, role: Role, *, but: frozenset[str] | set[str] = frozenset()
    ) -> tuple[str, ...]:
        """Who may act in a role on this street today, those in `but` left out."""
        people = self.state.directory.holders(role, self.day, self.street.name)
        return tuple(person for person in people if person not in but)

    def by_role(
        self, command: str, role: Role, *, but: frozenset[str] | set[str] = frozenset()
    ) -> Remedy:
        """A remedy for whoever holds the role."""
        return Remedy(command, role, self.holders(role, but=but))

    def gap(
        self, message: str, *, on: str = "", remedy: Remedy | None = None, **params: object
    ) -> Gap:
        """A gap about the release, or about `on`."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in params.items()}
        return Gap(on or self.release.name, message, plain, remedy)

    def date_of(self, at: str) -> date:
        """The local day of a moment."""
        return datetime.fromisoformat(at).astimezone(ZoneInfo(self.landscape.timezone)).date()
