"""From the files of a landscape to the typed `Landscape`, with every problem on the way.

Imported only when files are really read (`load.load`), because yaml and pydantic take
their time. What one file's values must be stands in `files.py`; here is what takes
several: stages in order, names and hosts that are unique, dates that make a period.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from pathlib import Path
from typing import NamedTuple, TypeVar, get_args

import msgspec

from otapgate.errors import Problem
from otapgate.i18n import _
from otapgate.landscape import approval, files, reach, yaml_positions
from otapgate.landscape.model import (
    LEVELS,
    STAGES,
    DataRule,
    Environment,
    Freeze,
    Host,
    Landscape,
    Policy,
    Priority,
    RuleSetting,
    Street,
)
from otapgate.landscape.yaml_positions import Document

Model = TypeVar("Model", bound=files.FileModel)


class Placed(NamedTuple):
    """A name or address, and where it was first seen."""

    environment: Environment
    problem_at: str


def landscape(root: Path, sources: list[str]) -> tuple[Landscape | None, list[Problem]]:
    """The landscape below `root`, made of `sources` (relative paths), or all problems."""
    reader = _Reader(root)
    for name in sources:
        if name.endswith(".yaml"):
            reader.problems.append(
                Problem(
                    _("This file is not read, because its name ends in '.yaml'."),
                    name,
                    remedy=_("Rename it to '.yml'."),
                )
            )
    head = reader.read("otapgate.yml", files.LandscapeFile)
    policy = reader.policy()
    streets = [
        street
        for name in sources
        if name.startswith("environments/") and name.endswith(".yml")
        if (street := reader.street(name)) is not None
    ]
    if not any(name.startswith("environments/") for name in sources):
        reader.problems.append(
            Problem(
                _("There is no street: 'environments' holds no .yml file."),
                "environments",
                remedy=_("Describe one in environments/STREET.yml."),
            )
        )
    zone = head[1].timezone if head else "UTC"
    freezes: tuple[Freeze, ...] = ()
    if "calendar.yml" in sources:
        freezes = reader.freezes(zone, {street.name for street in streets})
    if head is None or policy is None or reader.problems:
        return None, reader.problems
    _document, top = head
    found = Landscape(
        name=top.name,
        language=top.language,
        timezone=top.timezone,
        origin=top.origin,
        streets=tuple(streets),
        policy=policy,
        freezes=freezes,
        ledger=top.ledger,
        strategy=top.execution.strategy,
    )
    policy = msgspec.structs.replace(policy, digest=approval.digest(found))
    return msgspec.structs.replace(found, policy=policy), []


class _Reader:
    """Reads one landscape's files and remembers what was where."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.streets: dict[str, str] = {}
        self.environments: dict[str, str] = {}
        self.hosts: dict[str, str] = {}
        self.addresses: dict[tuple[str, str], list[Placed]] = {}

    def read(self, name: str, model: type[Model]) -> tuple[Document, Model] | None:
        """One file, validated; None when it is wrong, with its problems kept."""
        document = yaml_positions.load(self.root / name, name)
        value, problems = yaml_positions.validate(document, model)
        self.problems += problems
        return None if value is None else (document, value)

    def policy(self) -> Policy | None:
        found = self.read("policy.yml", files.PolicyFile)
        if found is None:
            return None
        document, file = found
        before = len(self.problems)
        self._whole_policy(document, file)
        if len(self.problems) > before:
            return None
        return Policy(
            matrix=file.matrix,
            authorisation=file.authorisation,
            sensitive_authorisation=tuple(file.sensitive_authorisation),
            sign_off={stage: tuple(roles) for stage, roles in file.sign_off.items()},
            test_kinds={priority: tuple(kinds) for priority, kinds in file.test_kinds.items()},
            rehearsal_faults=dict(file.rehearsal),
            test_max_age_days=file.max_age_days.tests,
            rehearsal_max_age_days=file.max_age_days.rehearsal,
            acceptance_max_age_days=file.max_age_days.acceptance,
            probe_max_age_days=file.max_age_days.probes,
            representativeness=file.representativeness,
            rules={
                name: RuleSetting(
                    severity=rule.severity,
                    because=rule.because or "",
                    owner=rule.owner or "",
                    until=rule.until or "",
                )
                for name, rule in file.rules.items()
            },
            file=document.file,
        )

    def _whole_policy(self, document: Document, file: files.PolicyFile) -> None:
        """The criteria must answer every case, and softened rules have a reason."""
        for impact in LEVELS:
            for urgency in LEVELS:
                if urgency not in file.matrix.get(impact, {}):
                    self.problems.append(
                        document.problem(
                            _("The matrix has no priority for impact {impact} with urgency "
                              "{urgency}.").format(impact=impact, urgency=urgency),
                            ["matrix", impact],
                            _("Add it below matrix: {impact}: {urgency}: P1, P2, P3 or P4.").format(
                                impact=impact, urgency=urgency
                            ),
                        )
                    )  # fmt: skip
        for priority in get_args(Priority):
            if not file.authorisation.get(priority):
                self.problems.append(
                    document.problem(
                        _("Nobody authorises changes of priority {priority}.").format(
                            priority=priority
                        ),
                        ["authorisation", priority],
                        _("Add {priority}: {{change-manager: 1}} below authorisation.").format(
                            priority=priority
                        ),
                    )
                )
        for name, rule in file.rules.items():
            needed = {"block": (), "warn": ("because", "owner")}.get(
                rule.severity, ("because", "owner", "until")
            )
            for key in needed:
                if getattr(rule, key) is None:
                    self.problems.append(
                        document.problem(
                            _("Rule '{name}' is set to {severity} without '{key}'.").format(
                                name=name, severity=rule.severity, key=key
                            ),
                            ["rules", name],
                            _("Add '{name}: …'.").format(name=key),
                        )
                    )

    def street(self, name: str) -> Street | None:
        found = self.read(name, files.StreetFile)
        if found is None:
            return None
        document, file = found
        before = len(self.problems)
        self._once(self.streets, file.street, _("street"), document, ["street"])
        self._stages(document, file)
        environments = tuple(
            self._environment(document, file, index) for index in range(len(file.environments))
        )
        if len(self.problems) > before:
            return None
        return Street(file.street, file.title or file.street, environments, document.file)

    def _stages(self, document: Document, file: files.StreetFile) -> None:
        stages = [environment.stage for environment in file.environments]
        for index, stage in enumerate(stages):
            loc: list[str | int] = ["environments", index, "stage"]
            if stage in stages[:index]:
                self.problems.append(
                    document.problem(
                        _("Stage {stage} stands in street '{street}' twice.").format(
                            stage=stage, street=file.street
                        ),
                        loc,
                        _("Keep one environment a stage."),
                    )
                )
            elif index and STAGES.index(stage) < STAGES.index(stages[index - 1]):
                self.problems.append(
                    document.problem(
                        _("Stage {stage} stands after {other} in street '{street}'.").format(
                            stage=stage, other=stages[index - 1], street=file.street
                        ),
                        loc,
                        _("Put the environments in the order O, T, A, P."),
                    )
                )
        if "P" not in stages:
            self.problems.append(
                document.problem(
                    _("Street '{street}' has no production (P).").format(street=file.street),
                    ["environments"],
                    _("Add an environment with stage: P at the end."),
                )
            )

    def _environment(self, document: Document, file: files.StreetFile, index: int) -> Environment:
        entry = file.environments[index]
        loc: list[str | int] = ["environments", index]
        data_class = entry.data.data_class or ("production" if entry.stage == "P" else "none")
        environment = Environment(
            name=entry.name or f"{file.street}-{entry.stage}",
            stage=entry.stage,
            street=file.street,
            owner=entry.owner,
            hosts=tuple(Host(name, variables or {}) for name, variables in entry.hosts.items()),
            data=DataRule(data_class, entry.data.max_age_days),
            variables=entry.variables,
            secrets=tuple(entry.secrets),
            **reach.described(entry),
            network=entry.network,
            retention_days=entry.retention_days,
            file=document.file,
        )
        self._data(document, environment, [*loc, "data", "class"])
        self.problems += reach.problems(document, entry, loc)
        self._once(self.environments, environment.name, _("environment"), document, [*loc, "name"])
        if environment.name in STAGES:
            self.problems.append(
                document.problem(
                    _("An environment can't be called '{name}', like a stage.").format(
                        name=environment.name
                    ),
                    [*loc, "name"],
                    _("Leave 'name' out, and it becomes {name}.").format(
                        name=f"{file.street}-{entry.stage}"
                    ),
                )
            )
        for host in environment.hosts:
            at = [*loc, "hosts", host.name]
            self._once(self.hosts, host.name, _("host"), document, at)
            self._address(document, environment, host, at)
        return msgspec.structs.replace(environment, digest=approval.description(environment))

    def _data(self, document: Document, environment: Environment, loc: list[str | int]) -> None:
        is_production = environment.data.data_class == "production"
        if environment.stage == "P" and not is_production:
            self.problems.append(
                document.problem(
                    _("The data of production is of class production, not {other}.").format(
                        other=environment.data.data_class
                    ),
                    loc,
                    _("Write class: production, or leave it out."),
                )
            )
        if environment.stage != "P" and is_production:
            self.problems.append(
                document.problem(
                    _("Production data may not live in {name}.").format(name=environment.name),
                    loc,
                    _("Write class: anonymised, and load it with 'otapgate anonymize run'."),
                )
            )

    def _once(
        self,
        seen: dict[str, str],
        name: str,
        what: str,
        document: Document,
        loc: list[str | int],
    ) -> None:
        """Keep where `name` is defined; a second place is a problem that names both.
        Case doesn't count: names become file names on systems where it doesn't either."""
        where = f"{document.file}:{document.line(loc)}"
        first = seen.get(name.casefold())
        if first is None:
            seen[name.casefold()] = where
        else:
            self.problems.append(
                document.problem(
                    _("The {what} '{name}' is defined twice; the first is in {where}.").format(
                        what=what, name=name, where=first
                    ),
                    loc,
                    _("Rename or delete one of the two."),
                )
            )

    def _address(
        self, document: Document, environment: Environment, host: Host, loc: list[str | int]
    ) -> None:
        """One machine must not be production and something else, nor two stages of one
        street (CH04-04). Two streets may share a machine within the same stage."""
        variables = environment.variables_of(host)
        if variables.get("ansible_connection") == "local":
            return
        address = str(variables.get("ansible_host", host.name)).casefold()
        if "{{" in address:
            return
        key = (address, str(variables.get("ansible_port", 22)))
        where = f"{document.file}:{document.line(loc)}"
        for other, first in self.addresses.get(key, []):
            ways = {other.worker, environment.worker}
            if other.street != environment.street and len(ways - {None}) == 2:
                continue  # by different workers: private addresses of different networks
            if other.street == environment.street or (other.stage == "P") != (
                environment.stage == "P"
            ):
                self.problems.append(
                    document.problem(
                        _("Host '{name}' has the address {address} port {port}, which is of "
                          "{other} too ({where}).").format(
                            name=host.name, address=yaml_positions.shown(address),
                            port=yaml_positions.shown(key[1]), other=other.name, where=first,
                        ),
                        loc,
                        _("Give every environment machines of its own."),
                    )
                )  # fmt: skip
                break
        self.addresses.setdefault(key, []).append(Placed(environment, where))

    def freezes(self, zone: str, streets: set[str]) -> tuple[Freeze, ...]:
        found = self.read("calendar.yml", files.CalendarFile)
        if found is None:
            return ()
        document, file = found
        freezes = []
        for index, entry in enumerate(file.freezes):
            loc: list[str | int] = ["freezes", index]
            start = _moment(entry.start, zone, last=False)
            end = _moment(entry.end, zone, last=True)
            if start >= end:
                self.problems.append(
                    document.problem(
                        _("'{name}' ends before it begins.").format(name=entry.name),
                        [*loc, "end"],
                        _("Check start and end."),
                    )
                )
            for place, street in enumerate(entry.streets):
                if streets and street not in streets:
                    self.problems.append(
                        document.problem(
                            _("There is no street '{name}'.").format(name=street),
                            [*loc, "streets", place],
                            _("Known here: {names}.").format(names=", ".join(sorted(streets))),
                        )
                    )
            freezes.append(
                Freeze(entry.name, start.isoformat(), end.isoformat(), tuple(entry.streets))
            )
        return tuple(freezes)


def _moment(text: str, zone: str, *, last: bool) -> dt.datetime:
    """The time that a date or time stands for; a last day ends at the next midnight."""
    if len(text) > 10:
        return dt.datetime.fromisoformat(text)
    day = dt.date.fromisoformat(text) + dt.timedelta(days=int(last))
    return dt.datetime.combine(day, dt.time(), zoneinfo.ZoneInfo(zone))
