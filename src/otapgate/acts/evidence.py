"""Acceptance and sign-off: the acts of the test lead and the stakeholders.

Norms CH06-03, CH06-08; segregation F01, F02.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from otapgate import errors
from otapgate.acts import changes
from otapgate.acts.drafts import draft
from otapgate.acts.gatekeeping import release as find_release
from otapgate.acts.people import check_role
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.model import Environment, Role, Stage
from otapgate.ledger import predicates as p
from otapgate.ledger.state import Release
from otapgate.ledger.statement import Draft


def _not_builder(workspace: Workspace, release: Release, rule: str) -> str:
    me = workspace.me
    if me in release.builders:
        raise errors.Identity(
            "builder",
            _("You built {release}; somebody else does this ({rule}).").format(
                release=release.name, rule=rule
            ),
        )
    return me


def accept(
    workspace: Workspace, name: str, env: str, change: str, criteria: Sequence[str]
) -> Draft:
    """The test lead's verdict, criterion by criterion: `ID=pass` or `ID=fail:NOTE`.

    Raises BadInput when a criterion is unknown or left out, when a plan isn't
    registered, or when the environment doesn't run this release.
    """
    release = find_release(workspace, name)
    environment = workspace.environment(env, street=release.latest.street)
    changes.get(workspace, change)
    workspace.require("test-lead", street=environment.street)
    _not_builder(workspace, release, "F01")
    running = workspace.state.environment(environment.name).running
    if running is None or running.release != release.digest:
        raise errors.BadInput(
            "not-running-there",
            _("{environment} doesn't run {release}, so it can't be accepted there.").format(
                environment=environment.name, release=workspace.state.called(release.digest)
            ),
            remedy=f"otapgate promote {release.name} --to {environment.name} --change {change}",
        )
    plans, wanted = _criteria(workspace, release)
    verdicts, notes = _verdicts(criteria)
    problems = [
        errors.Problem(_("no criterion {id} in the registered plans").format(id=x))
        for x in verdicts
        if x not in wanted
    ]
    problems += [
        errors.Problem(_("no verdict on {id}").format(id=x), remedy=f"--criterion {x}=pass")
        for x in wanted
        if x not in verdicts
    ]
    if problems:
        raise errors.BadInput(
            "criteria-mismatch",
            _("An acceptance judges every criterion of the registered plans, and no other."),
            problems=tuple(problems),
        )
    predicate = p.Acceptance(
        release.digest, environment.name, environment.digest, change, plans, verdicts
    )
    return draft("acceptance", predicate, [(release.name, release.digest)], notes=notes)


def _criteria(workspace: Workspace, release: Release) -> tuple[dict[str, str], list[str]]:
    plans: dict[str, str] = {}
    wanted: list[str] = []
    for name in release.latest.plans:
        registered = workspace.state.plan(name, release.latest.app)
        if registered is None:
            raise errors.BadInput(
                "plan-unregistered",
                _("The test plan {plan} is not registered.").format(plan=name),
                remedy=f"otapgate test plan register plans/{name}.yml",
            )
        plans[name] = registered.act.digest
        wanted += [c.id for c in registered.act.criteria if c.id not in wanted]
    return plans, wanted


def _verdicts(
    criteria: Sequence[str],
) -> tuple[dict[str, Literal["pass", "fail"]], dict[str, str]]:
    verdicts: dict[str, Literal["pass", "fail"]] = {}
    notes: dict[str, str] = {}
    for text in criteria:
        name, equals, rest = text.partition("=")
        verdict, colon, note = rest.partition(":")
        if not equals or verdict not in ("pass", "fail") or not name:
            raise errors.Usage(
                "criterion-malformed",
                _("Write a criterion as ID=pass or ID=fail:NOTE, not {text}.").format(text=text),
            )
        if name in verdicts:
            raise errors.Usage("criterion-twice", _("{id} is judged twice.").format(id=name))
        verdicts[name] = "pass" if verdict == "pass" else "fail"
        if colon and note:
            notes[name] = note
    return verdicts, notes


def sign_off(
    workspace: Workspace,
    name: str,
    to: str,
    change: str,
    *,
    role: str | None,
    reject: bool,
    because: str,
) -> Draft:
    """A stakeholder's signature, or refusal, on this release for this transition."""
    release = find_release(workspace, name)
    environment = workspace.environment(to, street=release.latest.street)
    changes.get(workspace, change)
    me = _not_builder(workspace, release, "F02")
    if reject and not because:
        raise errors.Usage("because-missing", _("A refusal needs a reason: --because TEXT."))
    checked = _sign_off_role(workspace, environment.street, environment.stage, role, me)
    if environment.stage == "P" and not reject:
        _accepted_before(workspace, release, environment, change)
    predicate = p.SignOff(
        release.digest,
        environment.name,
        environment.digest,
        change,
        checked,
        "rejected" if reject else "agreed",
    )
    return draft("signoff", predicate, [(release.name, release.digest)], because=because)


def _accepted_before(
    workspace: Workspace, release: Release, environment: Environment, change: str
) -> None:
    """Raises BadInput unless there is an acceptance that a sign-off can rest on."""
    undone = workspace.state.environment(environment.name).undone.get(release.digest)
    since = undone.position if undone is not None else -1
    if any(a.act.change == change and a.position > since for a in release.acceptances):
        return
    before = workspace.street_of(environment).before(environment)
    _plans, wanted = _criteria(workspace, release)
    words = " ".join(f"--criterion {c}=pass" for c in wanted) or "--criterion ID=pass"
    raise errors.BadInput(
        "not-accepted-yet",
        _("{release} isn't accepted yet for {change}; a sign-off rests on the acceptance.").format(
            release=release.name, change=change
        )
        if undone is None
        else _("{release} wasn't accepted anew for {change} since it came back from"
               " {environment}; a sign-off rests on the acceptance.").format(
                   release=release.name, change=change, environment=environment.name),
        remedy=f"otapgate accept {release.name} --env {before.name if before else 'ENV'}"
        f" --change {change} {words}",
    )  # fmt: skip


def _sign_off_role(
    workspace: Workspace, street: str, stage: str, role: str | None, me: str
) -> Role:
    if role is not None:
        checked = check_role(role)
        workspace.require(checked, street=street)
        return checked
    day = workspace.now().date().isoformat()
    mine = workspace.state.directory.roles(me, day, street)
    asked: tuple[Role, ...] = workspace.landscape.policy.sign_off.get(cast(Stage, stage), ())
    fitting = [r for r in asked if r in mine]
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) > 1:
        raise errors.Usage(
            "role-ambiguous",
            _("You hold several roles that sign off: say which with --role."),
            remedy=" | ".join(f"--role {r}" for r in fitting),
        )
    if not asked:
        raise errors.BadInput(
            "no-sign-off-asked",
            _("The policy asks for no sign-off there."),
            remedy="policy.yml: sign_off",
        )
    workspace.require(*asked, street=street)
    raise AssertionError("require raises")  # pragma: no cover - none of them is held
