"""Rules about environments: owner, description, data: OG201 to OG299. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from otapgate.gate.facts import Facts
from otapgate.gate.finding import Gap, Remedy
from otapgate.gate.registry import always, rule
from otapgate.i18n import N_


@rule("environment-unowned", code="OG201", norms=["CH04-06"], applies=always)
def environment_unowned(facts: Facts) -> Iterator[Gap]:
    """Every environment on the way has an owner who is enrolled."""
    for environment in facts.path:
        if not environment.owner:
            yield facts.gap(
                N_("{environment} has no owner among the people enrolled here."),
                on=environment.name,
                remedy=Remedy("otapgate people enrol NAME KEY.pub", "role-admin",
                              facts.holders("role-admin")),
                environment=environment.name,
            )  # fmt: skip


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
        else:
            continue
        yield facts.gap(message, on=environment.name, remedy=remedy, environment=environment.name)


@rule("dataset-missing", code="OG203", norms=["CH04-07"], applies=always)
def dataset_missing(facts: Facts) -> Iterator[Gap]:
    """Test and acceptance environments hold anonymised data, with the record of it.

    An environment whose data class is `none` holds no data of people. One with
    `anonymised` or `synthetic` needs a dataset loaded by otapgate, labelled as such and
    without a leak.
    """
    good = {"anonymised": ("anonymised", "synthetic"), "synthetic": ("synthetic", "anonymised")}
    for environment in facts.path:
        wanted = good.get(environment.data.data_class)
        if wanted is None:
            continue
        remedy = facts.by_role(
            f"otapgate anonymize run PLAN --from URL --to URL --env {environment.name}",
            "administrator",
        )
        datasets = facts.state.environment(environment.name).datasets
        if not datasets:
            yield facts.gap(
                N_("{environment} has no record of anonymised data."),
                on=environment.name,
                remedy=remedy,
                environment=environment.name,
            )
        elif datasets[-1].act.label not in wanted or datasets[-1].act.leaks:
            yield facts.gap(
                N_("The data in {environment} is {label}, with {leaks} leaks found."),
                on=environment.name,
                remedy=remedy,
                environment=environment.name,
                label=datasets[-1].act.label,
                leaks=datasets[-1].act.leaks,
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
