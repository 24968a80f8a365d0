"""The warm state: taken where it fits this program and this ledger, and made anew if not."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from otapgate.acts.founding import found
from otapgate.acts.workspace import Workspace, draft
from otapgate.ledger import predicates as p
from otapgate.ledger import sshsig, wire


class Key:
    """An Ed25519 key in memory."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes_raw()
        self.public = sshsig.from_blob(wire.string(b"ssh-ed25519") + wire.string(raw))

    def sign(self, message: bytes, namespace: str) -> str:
        raw = self._key.sign(sshsig.to_be_signed(namespace, message))
        body = wire.string(b"ssh-ed25519") + wire.string(raw)
        return sshsig.assemble(self.public, namespace, body)


@pytest.fixture
def key() -> Key:
    return Key()


@pytest.fixture
def root(tmp_path: Path, key: Key) -> Path:
    made = found(tmp_path / "linde", stages=("T", "P"), admins={"Anna": key.public.line},
                 signer=key, name="De Linde", street="agenda", language="en")  # fmt: skip
    made.close()
    return made.root


def test_the_warm_state_is_the_state(root: Path):
    cold = Workspace(root).state
    assert (root / ".otapgate/cache/state.json").exists()
    warm = Workspace(root).state
    assert warm == cold
    assert warm.policy == Workspace(root).landscape.policy.digest


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept.update(tool="0"),
        lambda kept: kept.update(shape=kept["shape"] - 1),
        lambda kept: kept.pop("shape"),
        lambda kept: kept["state"].update(root="00" * 32),
        lambda kept: kept["state"].update(size=7),
        lambda kept: kept["state"].update(size="many"),
    ],
)
def test_a_state_of_another_shape_program_or_ledger_is_made_anew(
    root: Path, spoil: Callable[[Any], None]
):
    right = Workspace(root).state.policy
    cache = root / ".otapgate/cache/state.json"
    kept = json.loads(cache.read_text())
    kept["state"]["policy"] = "sha256:" + "0" * 64
    cache.write_text(json.dumps(kept))
    assert Workspace(root).state.policy != right, "what is warm is what is in the cache"
    spoil(kept)
    cache.write_text(json.dumps(kept))
    assert Workspace(root).state.policy == right


opened: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and opened is not None and isinstance(arguments[0], str | bytes):
        opened.append(os.fsdecode(arguments[0]))


def test_nothing_but_sqlite_opens_the_ledger_while_it_is_held(root: Path, key: Key):
    """Closing it anywhere would drop this process's locks, and with them what it wrote."""
    global opened  # noqa: PLW0603 - a hook can't be taken off again
    sys.addaudithook(_note)
    opened = []
    try:
        with Workspace(root) as workspace:
            workspace._signer = key
            for n in (1, 2):
                accepted = p.EnvironmentAccepted("agenda-T", f"sha256:{n:064}")
                about = [("agenda-T", accepted.description)]
                workspace.entitle = lambda _draft: None  # type: ignore[method-assign]
                workspace._trial = lambda *_args: None  # type: ignore[method-assign]
                position = workspace.record(draft("environment-accepted", accepted, about))
                assert workspace.state.size == position + 1
                workspace.verify()
                assert workspace.names
                assert workspace.statement(position).act == "environment-accepted"
        found = [name for name in opened if "ledger.sqlite" in name]
        read = [name for name in opened if name.endswith("state.json")]
    finally:
        opened = None
    assert found == []
    assert read, "the hook sees what is opened"
