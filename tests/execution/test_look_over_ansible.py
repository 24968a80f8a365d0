"""The look at a host as Ansible carries it: a database's password on its way, and back."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from tests import servers
from tests.execution.conftest import Stage

from otapgate.execution.guard import check_release
from otapgate.execution.plan import FINGERPRINT
from otapgate.execution.promotion import Promotion
from otapgate.release.manifest import DatabaseState, State

pytestmark = pytest.mark.slow
PASSWORD = "geheim-woord"


@pytest.fixture
def server() -> Iterator[servers.Server]:
    with servers.postgresql() as found:
        found.psql("postgres", f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        yield found


def test_a_password_gets_to_the_client_and_nowhere_else(
    stage: Stage, server: servers.Server
) -> None:
    url = f"postgresql://reader@127.0.0.1:{server.port}/postgres"
    manifest, tree = stage.old
    manifest = msgspec.structs.replace(
        manifest, state=State(databases=(DatabaseState(url, password="base_key"),))
    )
    plan = stage.plan((manifest, tree), secrets={"base_key": PASSWORD})
    assert any("no secret base_key" in one.message for one in check_release(plan))
    environment = msgspec.structs.replace(stage.environment, secrets=("base_key",))
    plan = msgspec.structs.replace(plan, environment=environment)
    assert check_release(plan) == []
    result = Promotion(plan).playbooks("look", [FINGERPRINT])
    said = result.fingerprints["web"]["databases"][url]
    assert set(said) == {"objects", "sequences", "tables"}
    assert "surroundings" not in result.fingerprints["web"], "this machine isn't the host's alone"
    for path in plan.run_dir.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path
