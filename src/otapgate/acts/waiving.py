"""Waivers: a signed, temporary exception to one rule for one release (F14)."""

from __future__ import annotations

from datetime import date

from otapgate import errors
from otapgate.acts.drafts import draft
from otapgate.acts.gatekeeping import release as find_release
from otapgate.acts.workspace import Workspace
from otapgate.gate.registry import Rule, load_extensions, rules
from otapgate.i18n import _
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft


def waive(workspace: Workspace, rule: str, name: str, *, because: str, until: str) -> Draft:
    """That a rule doesn't hold a release back until a day (exclusive).

    Raises BadInput for an unknown or a hard rule and for a day that isn't to come, Identity
    for a builder of the release and for somebody without a role that waives.
    """
    found = _rule(rule)
    release = find_release(workspace, name)
    if found.hard:
        raise errors.BadInput(
            "rule-hard",
            _("{rule} can't be waived: without it a promotion proves nothing.").format(
                rule=f"{found.code} {found.slug}"
            ),
            remedy=f"otapgate gate rules {found.code}",
        )  # fmt: skip
    if not because.strip():
        raise errors.Usage("because-missing", _("A waiver needs a reason: --because TEXT."))
    try:
        day = date.fromisoformat(until).isoformat()
    except ValueError as error:
        raise errors.Usage(
            "day-malformed", _("{text} is not a day; write it as 2027-01-31.").format(text=until)
        ) from error
    if day <= workspace.now().date().isoformat():
        raise errors.Usage(
            "day-past",
            _("A waiver ends on a day that is to come; {day} isn't.").format(day=day),
        )
    me = workspace.require(*p.WAIVERS, street=release.latest.street)
    if me in release.builders:
        raise errors.Identity(
            "builder",
            _("You built {release}; somebody else does this ({rule}).").format(
                release=release.name, rule="F14"
            ),
        )
    predicate = p.Waived(release.digest, found.code, day)
    return draft("waived", predicate, [(release.name, release.digest)], because=because)


def _rule(name: str) -> Rule:
    load_extensions()
    for rule in rules():
        if name.casefold() in (rule.code.casefold(), rule.slug):
            return rule
    raise errors.BadInput(
        "rule-unknown", _("There is no rule {code}.").format(code=name),
        remedy="otapgate gate rules",
    )  # fmt: skip
