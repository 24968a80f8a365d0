"""Two hosts with a real SSH server each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.probe.sshd import Server, servers

from otapgate.landscape import model as m


@dataclass
class Hosts:
    key: Path
    servers: list[Server]

    def environment(self, stage: m.Stage, *numbers: int, **fields: Any) -> m.Environment:
        """An environment whose hosts are these servers, keys pinned."""
        names = {number: f"{stage.lower()}{number}" for number in numbers}
        given: dict[str, Any] = {
            "name": f"agenda-{stage}",
            "stage": stage,
            "street": "agenda",
            "owner": "",
            "hosts": tuple(
                m.Host(name, self.servers[number].variables(self.key))
                for number, name in names.items()
            ),
            "host_keys": {name: (self.servers[number].host_key,) for number, name in names.items()},
            "digest": f"sha256:{ord(stage):064x}",
            "file": "environments/agenda.yml",
        }
        return m.Environment(**{**given, **fields})


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    folder = tmp_path / "servers"
    folder.mkdir()
    key, started = servers(folder, 2)
    yield Hosts(key, started)
    for server in started:
        server.stop()
