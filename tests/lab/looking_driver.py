"""Carries out one test plan on hosts, as `otapgate test run` does; for `lab exec`.

Arguments: a folder with `plans/agenda.yml`, a pickled environment, and JSON of secrets.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from otapgate.execution.testing import host_access, playbook_runner
from otapgate.release.manifest import Manifest, State
from otapgate.release.store import Store
from otapgate.testing.plan import bundle
from otapgate.testing.run import Hands, run


def main(folder: Path, pickled: Path, secrets: dict[str, str]) -> None:
    environment = pickle.loads(pickled.read_bytes())
    manifest = Manifest(
        app="agenda", version="2.0", street="agenda", plans=("agenda",), state=State(),
        variables={}, installs=(), files=(),
    )  # fmt: skip
    store = Store(folder / "store")
    (folder / "work").mkdir(exist_ok=True)
    result = run(
        bundle(folder / "plans/agenda.yml", folder, store),
        manifest=manifest, environment=environment, workdir=folder / "work", store=store,
        hands=Hands(
            ansible=playbook_runner(folder, environment, folder / "run", secrets, {}),
            hosts=host_access(environment, folder / "run", secrets, {}),
        ),
        secrets=list(secrets.values()),
    )  # fmt: skip
    kept = store.get(result.evidence).decode()
    said = {"outcome": result.outcome, "messages": dict(result.messages), "kept": kept}
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
