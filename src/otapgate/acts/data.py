"""Anonymised test data: run a plan, load the target, record the dataset. Norm CH04-07."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from otapgate import canonical, errors
from otapgate.acts.drafts import new_id
from otapgate.acts.workspace import Workspace
from otapgate.i18n import _
from otapgate.landscape.model import Environment
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft, Subject


def target_environment(workspace: Workspace, env: str | None) -> Environment | None:
    """Where the data goes; production is refused."""
    if env is None:
        return None
    known = workspace.environment(env)
    environment = workspace.landscape.environment(known.name)
    assert environment is not None, "names come from the same files"
    if environment.stage == "P":
        raise errors.BadInput(
            "target-is-production",
            _("{environment} is production; anonymised data never goes there.").format(
                environment=environment.name
            ),
            remedy=_("name a test or acceptance environment with --env"),
        )
    return environment


def _not_production(workspace: Workspace, target: str) -> None:
    """Refuse a target below a folder that a production host calls its own."""
    from otapgate.anonymize.schema import location

    path = location(target).resolve()
    for environment in workspace.landscape.environments():
        if environment.stage != "P":
            continue
        for host in environment.hosts:
            for value in environment.variables_of(host).values():
                if not isinstance(value, str) or not value.startswith("/"):
                    continue
                theirs = Path(value).resolve()
                if path == theirs or theirs in path.parents:
                    raise errors.BadInput(
                        "target-is-production",
                        _("{target} belongs to {environment}, which is production.").format(
                            target=target, environment=environment.name
                        ),
                        where=environment.file,
                    )


def _not_ours(workspace: Workspace, target: str) -> None:
    """Refuse a target that is the ledger, or anything else of otapgate's."""
    from otapgate.anonymize.schema import location

    path = location(target).resolve()
    ledger = workspace.ledger_path.resolve()
    hidden = workspace.hidden.resolve()
    same = path.exists() and ledger.exists() and path.samefile(ledger)
    beside = path.parent == ledger.parent and path.name.startswith(ledger.name)
    if same or beside or path == hidden or hidden in path.parents:
        raise errors.BadInput(
            "target-is-otapgate",
            _("{target} is otapgate's own: the ledger and the content store are there.").format(
                target=target
            ),
            remedy=_("name the test environment's database with --to"),
            where=str(path),
        )


def run(
    workspace: Workspace,
    plan_file: Path,
    source: str,
    target: str,
    env: str | None,
    progress: Callable[..., None] | None = None,
) -> tuple[dict[str, Any], Draft]:
    """Anonymise `source` into `target` by the plan; returns the dataset for `--json` and
    the entry's draft. Raises Failed on a leak, with the target left as it was."""
    from otapgate.anonymize.plan import load_plan
    from otapgate.anonymize.run import anonymize

    workspace.require("administrator")
    environment = target_environment(workspace, env)
    _not_production(workspace, target)
    _not_ours(workspace, target)
    plan = load_plan(plan_file)
    plan_digest, _size = workspace.store.put_file(plan_file)
    result = anonymize(plan, plan_digest, source, target, progress=progress)
    about = cast("dict[str, Any]", result.manifest)
    manifest = workspace.store.put(canonical.encode(result.manifest))
    days = environment.data.max_age_days if environment is not None else 90
    expires = workspace.now() + timedelta(days=days)
    dataset = new_id("data")
    predicate = p.DatasetLoaded(
        dataset=dataset,
        environment=environment.name if environment else None,
        label=cast(Any, result.label),
        manifest=manifest,
        plan=plan_digest,
        source=about["source"]["digest"],
        rows=result.rows,
        bytes=result.bytes,
        leaks=len(result.leaks),
        k=result.k or 0,
        expires=expires.isoformat(timespec="seconds"),
    )
    answer = {
        "id": dataset,
        "label": result.label,
        "environment": predicate.environment,
        "rows": result.rows,
        "bytes": result.bytes,
        "seconds": {k: v / 1000 for k, v in result.milliseconds.items()},
        "leaks": list(result.leaks),
        "k": result.k,
        "manifest": manifest,
        "expires": predicate.expires,
    }
    subjects = (Subject(dataset, manifest),)
    return answer, Draft("dataset-loaded", subjects, p.to_predicate(predicate))


def listing(workspace: Workspace) -> list[dict[str, Any]]:
    """Every dataset on record, oldest first."""
    return [
        {
            "id": d.act.dataset,
            "environment": d.act.environment,
            "label": d.act.label,
            "rows": d.act.rows,
            "leaks": d.act.leaks,
            "k": d.act.k,
            "by": workspace.name(d.by),
            "at": d.at,
            "expires": d.act.expires,
            "manifest": d.act.manifest,
        }
        for d in workspace.state.datasets
    ]
