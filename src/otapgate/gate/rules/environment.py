"""Rules about environments: owner, description, data: OG201 to OG299. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import always, rule
from otapgate.i18n import N_


@rule("environment-unowned", code="OG201", norms=["CH04-06"], applies=always)
def environment_unowned(facts: Facts) -> Iterator[Gap]:
    """Every environment on the way has an owner, who is enrolled and holds that role.

    An owner whose role was withdrawn or has lapsed, or who signs nothing any more, answers
    for nothing (F22).
    """
    owners = facts.holders("environment-owner")
    admins = facts.holders("role-admin")
    for environment in facts.path:
        if not environment.owner:
            message = N_("{environment} has no owner among the people enrolled here.")
            command = "otapgate people enrol NAME KEY.pub"
        elif environment.owner not in owners:
            message = N_("The owner of {environment} doesn't hold the role of environment owner.")
            command = "otapgate role grant NAME environment-owner"
        else:
            continue
        yield facts.gap(
            message,
            on=environment.name,
            remedy=Remedy(command, "role-admin", admins),
            environment=environment.name,
        )


@rule("environment-unaccepted", code="OG202", norms=["CH04-06", "CH04-02", "CH06-02"],
      applies=always)  # fmt: skip
def environment_unaccepted(facts: Facts) -> Iterator[Gap]:
    """Every environment on the way was accepted, as described now, by its owner.

    The owner signs the description's digest: hosts, access rules, data class. When the
    description changes, or the owner does, the acceptance lapses.
    """
    for environment in facts.path:
        if not environment.owner:
            continue
        accepted = facts.state.environment(environment.name).accepted
        remedy = Remedy(
            f"otapgate env accept {environment.name}", "environment-owner", (environment.owner,)
        )
        if accepted is None:
            message = N_("The owner has not accepted {environment}.")
        elif accepted.act.description != environment.digest:
            message = N_("{environment} was changed after its owner accepted it.")
        elif accepted.by != environment.owner:
            message = N_("{environment} was accepted by somebody who isn't its owner now.")
        elif not facts.entitled(accepted, "environment-owner"):
            message = N_("{environment} was accepted by its owner before they held that role.")
        else:
            continue
        yield facts.gap(message, on=environment.name, remedy=remedy, environment=environment.name)


_LABELS = {"anonymised": ("anonymised", "synthetic"), "synthetic": ("synthetic",)}


@rule("dataset-missing", code="OG203", norms=["CH04-07"], applies=always)
def dataset_missing(facts: Facts) -> Iterator[Gap]:
    """Test and acceptance environments hold anonymised data, with the record of it.

    One whose data class is `anonymised` or `synthetic` needs a dataset loaded by otapgate,
    labelled as such and without a leak, by an administrator of this street. One of class
    `none` holds no data of people, and only production holds those of production.
    """
    for environment in facts.path:
        datasets = facts.state.environment(environment.name).datasets
        latest = datasets[-1] if datasets else None
        kind = environment.data.data_class
        params: dict[str, Any] = {}
        if kind == "production":
            if environment.stage == "P":
                continue
            message = N_("{environment} isn't production and is said to hold its data.")
        elif kind == "none":
            if latest is None or latest.act.label != "pseudonymised":
                continue
            message = N_("{environment} is said to hold no data, but {label} data was loaded.")
            params = {"label": latest.act.label}
        elif latest is None:
            message = N_("{environment} has no record of anonymised data.")
        elif latest.act.label not in _LABELS[kind] or latest.act.leaks:
            message = N_("The data in {environment} is {label}, with {leaks} leaks found.")
            params = {"label": latest.act.label, "leaks": latest.act.leaks}
        elif not facts.entitled(latest, "administrator"):
            message = N_("The data in {environment} was loaded by somebody without a role here.")
        else:
            continue
        yield facts.gap(
            message,
            on=environment.name,
            remedy=facts.by_role(
                f"otapgate anonymize run PLAN --from URL --to URL --env {environment.name}",
                "administrator",
            ),
            environment=environment.name,
            **params,
        )


@rule("dataset-expired", code="OG204", norms=["CH04-07"], applies=always)
def dataset_expired(facts: Facts) -> Iterator[Gap]:
    """Test data is fresh: renewed or deleted before it expires."""
    for environment in facts.path:
        datasets = facts.state.environment(environment.name).datasets
        if environment.data.data_class not in ("anonymised", "synthetic") or not datasets:
            continue
        latest = datasets[-1]
        expired = facts.older_than(latest.act.expires, 0)
        if expired or facts.older_than(latest.at, environment.data.max_age_days):
            yield facts.gap(
                N_("The data in {environment} was loaded on {loaded} and has expired."),
                on=environment.name,
                remedy=facts.by_role(
                    f"otapgate anonymize run PLAN --from URL --to URL --env {environment.name}",
                    "administrator",
                ),
                environment=environment.name,
                loaded=facts.date_of(latest.at).isoformat(),
            )
