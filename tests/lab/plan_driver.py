"""Carries out a test plan in a process of its own, on the administrator's side of a lab.

Argument: the pickled landscape's folder, plan, and promotion's plan. Prints how each case
came out, as JSON.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from otapgate.execution.testing import host_access, playbook_runner
from otapgate.release.manifest import decode
from otapgate.release.store import Store
from otapgate.testing.plan import bundle
from otapgate.testing.run import Hands, run


def main() -> None:
    folder, name, plan, release = pickle.loads(Path(sys.argv[1]).read_bytes())
    store = Store(folder / "store")
    runs, work = folder / ".otapgate" / "runs" / f"tests-{name}", folder / f"work-{name}"
    work.mkdir()
    manifest = decode(release)
    hands = Hands(
        ansible=playbook_runner(folder, plan.environment, runs, plan.secrets, manifest.variables),
        hosts=host_access(plan.environment, runs, plan.secrets, manifest.variables),
    )
    result = run(
        bundle(folder / "plans" / f"{name}.yml", folder, store),
        manifest=manifest,
        environment=plan.environment,
        workdir=work,
        store=store,
        hands=hands,
        secrets=list(plan.secrets.values()),
    )
    print(json.dumps({"outcome": result.outcome, "messages": dict(result.messages)}))


if __name__ == "__main__":
    main()
