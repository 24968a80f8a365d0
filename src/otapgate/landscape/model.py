"""What a landscape is, once its files have been read: streets, environments, policy.

Plain immutable values without I/O; `landscape.load` makes them from files and the gate
reads them. They encode to canonical JSON, so a decision can name by digest exactly the
landscape that it was made on, and be replayed from it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import msgspec

Stage: TypeAlias = Literal["O", "T", "A", "P"]
STAGES: tuple[Stage, ...] = ("O", "T", "A", "P")

Level: TypeAlias = Literal["low", "medium", "high"]
LEVELS: tuple[Level, ...] = ("low", "medium", "high")
Priority: TypeAlias = Literal["P1", "P2", "P3", "P4"]
Severity: TypeAlias = Literal["block", "warn", "off"]
DataClass: TypeAlias = Literal["none", "synthetic", "anonymised", "production"]
Aspect: TypeAlias = Literal[
    "workload", "operating-system", "application-software", "database", "management",
    "network", "infrastructure",
]  # fmt: skip
ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
"""In what an environment represents production (CH04-03)."""
Strategy: TypeAlias = Literal["linear", "mitogen"]
"""How Ansible goes over the tasks of a playbook: its own way, or Mitogen's."""
TestKind: TypeAlias = Literal["function", "security", "performance", "data", "rollback"]
TEST_KINDS: tuple[TestKind, ...] = ("function", "security", "performance", "data", "rollback")

Role: TypeAlias = Literal[
    "board",
    "change-manager",
    "ibp-officer",
    "dpo",
    "administrator",
    "test-lead",
    "tester",
    "builder",
    "process-owner",
    "environment-owner",
    "cab-member",
    "supplier",
    "auditor",
    "role-admin",
    "robot",
]
ROLES: tuple[Role, ...] = get_args(Role)


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the immutable values: unknown fields are errors.

    Defaults are written too: msgspec tells whether text is the default by identity, so
    leaving them out would give equal values different bytes."""


class Host(Value, frozen=True):
    """One machine of an environment, as Ansible will address it."""

    name: str
    variables: dict[str, Any] = {}
    """Ansible host variables, `ansible_host` and `ansible_connection` among them."""


class DataRule(Value, frozen=True):
    """What data may live in an environment (CH04-07)."""

    data_class: DataClass = "none"
    max_age_days: int = 90
    """How old a loaded dataset may be before it must be renewed or deleted."""


class Difference(Value, frozen=True):
    """A difference with production that is known and accepted until a day (CH04-03)."""

    aspect: Aspect
    item: str
    """As the probe names it; `*` for everything of the aspect."""
    because: str
    until: str
    """ISO date, exclusive."""


class Receptor(Value, frozen=True):
    """A node of a Receptor mesh that can be given work."""

    socket: str
    """Of the Receptor that runs beside otapgate: its control socket."""
    node: str
    work_type: str = "otapgate"
    """What the node calls the command `otapgate worker`."""


class Worker(Value, frozen=True):
    """The machine near an environment's hosts on which Ansible runs for otapgate; exactly
    one of the two says how it is reached."""

    command: tuple[str, ...] = ()
    """Starts `otapgate worker` there, and is spoken to through standard input and output."""
    receptor: Receptor | None = None


class Environment(Value, frozen=True):
    """One stage of one street: hosts, owner, access rules, data class (CH04-02)."""

    name: str
    stage: Stage
    street: str
    owner: str
    """The owner's name as enrolled; in a `Landscape` given to the gate, their person id,
    or "" when nobody of that name is enrolled."""
    hosts: tuple[Host, ...]
    data: DataRule = DataRule()
    variables: dict[str, Any] = {}
    """Ansible group variables for all hosts of the environment."""
    secrets: tuple[str, ...] = ()
    """Names of variables whose values are kept outside the landscape."""
    access: dict[str, tuple[str, ...]] = {}
    """Which roles may have which account: `{"deploy": ["administrator"]}` (CH04-05)."""
    network: str = ""
    retention_days: int = 365
    """How long test results of this environment are kept (CH05-06)."""
    host_keys: dict[str, tuple[str, ...]] = {}
    """Host → its SSH host keys, `type base64`: the only ones that are believed."""
    ports: tuple[int, ...] = ()
    """TCP ports that the hosts serve on, besides SSH's (CH04-04)."""
    names: tuple[str, ...] = ()
    """DNS names or addresses under which it is reached, besides the hosts' own."""
    relays: tuple[str, ...] = ()
    """`host:port` of the mail servers by which real mail would leave."""
    databases: tuple[str, ...] = ()
    """URLs of its databases, without passwords."""
    sudo: tuple[str, ...] = ()
    """Accounts that may become root (CH04-05)."""
    access_keys: dict[str, tuple[str, ...]] = {}
    """Account → fingerprints of keys that may log in, besides those of people."""
    differences: tuple[Difference, ...] = ()
    worker: Worker | None = None
    """Where Ansible runs, if not beside otapgate."""
    digest: str = ""
    """`sha256:…` over this description, the owner left out: what the owner accepts by
    signing, and what lapses when the file changes."""
    file: str = ""
    """Where it is described, relative to the landscape."""

    def host(self, name: str) -> Host:
        """The host of that name. Raises StopIteration where there is none."""
        return next(host for host in self.hosts if host.name == name)

    def variables_of(self, host: Host) -> dict[str, Any]:
        """What Ansible knows of a host: its own variables over the environment's."""
        return {**self.variables, **host.variables}


class Street(Value, frozen=True):
    """Ordered environments that one application or system moves through (CH06-02)."""

    name: str
    title: str
    environments: tuple[Environment, ...]
    """In order of stage; the last is P, and at least one stands before it."""
    file: str = ""

    def environment(self, name: str) -> Environment | None:
        """The environment of that name, or of that stage letter."""
        for environment in self.environments:
            if name in (environment.name, environment.stage):
                return environment
        return None

    def before(self, environment: Environment) -> Environment | None:
        """The environment a release must have been in before it may enter this one."""
        index = self.environments.index(environment)
        return self.environments[index - 1] if index else None

    @property
    def production(self) -> Environment:
        return self.environments[-1]


class RuleSetting(Value, frozen=True):
    """A rule whose severity the policy sets, and who answers for that."""

    severity: Severity
    because: str = ""
    owner: str = ""
    until: str = ""
    """ISO date; from that day on the rule's own severity holds again. "" means always."""


class Policy(Value, frozen=True):
    """The board's choices within the norms: criteria, signatures, ages, severities."""

    matrix: dict[Level, dict[Level, Priority]]
    """impact → urgency → priority (CH02-01, CH02-05)."""
    authorisation: dict[Priority, dict[Role, int]]
    """For each priority: how many different people of which role must authorise."""
    sensitive_authorisation: tuple[Role, ...] = ("ibp-officer",)
    """Roles that also authorise a change with security or privacy consequences (IBP-1)."""
    sign_off: dict[Stage, tuple[Role, ...]] = {}
    """Which roles sign off before a release enters an environment of that stage."""
    test_kinds: dict[Priority, tuple[TestKind, ...]] = {}
    """What a test plan must cover, by priority (CH05-04)."""
    rehearsal_faults: dict[Priority, str] = {}
    """At which tasks a rehearsal cuts the deployment at least: none, sample:N or all, by
    priority (CH05-07)."""
    test_max_age_days: int = 30
    rehearsal_max_age_days: int = 30
    acceptance_max_age_days: int = 30
    probe_max_age_days: int = 30
    representativeness: int = 80
    """Percentage of production's make-up that T and A have at least (CH04-03)."""
    rules: dict[str, RuleSetting] = {}
    digest: str = ""
    """`sha256:…` of all that approving it covers, see `landscape.approval`: what is
    approved and what decisions name."""
    file: str = ""


class Freeze(Value, frozen=True):
    """A period in which nothing but emergencies goes to production (FRZ-1)."""

    name: str
    start: str
    end: str
    """ISO 8601 times with zone; the end is exclusive."""
    streets: tuple[str, ...] = ()
    """Empty means all of them."""


class Landscape(Value, frozen=True):
    """Everything that the files below `otapgate.yml` say."""

    name: str
    language: Literal["nl", "en"]
    timezone: str
    origin: str
    """The ledger's name, unique in the world: `otapgate.example/de-linde`."""
    streets: tuple[Street, ...]
    policy: Policy
    freezes: tuple[Freeze, ...] = ()
    ledger: str = ".otapgate/ledger.sqlite"
    """Path relative to the landscape, or a database URL."""
    strategy: Strategy = "linear"

    def street(self, name: str) -> Street | None:
        return next((street for street in self.streets if street.name == name), None)

    def environments(self) -> tuple[Environment, ...]:
        return tuple(env for street in self.streets for env in street.environments)

    def environment(self, name: str) -> Environment | None:
        """The environment of exactly that name."""
        return next((env for env in self.environments() if env.name == name), None)
