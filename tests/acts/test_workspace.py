"""The warm state: taken where it fits this program and this ledger, and made anew if not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otapgate.acts.founding import found
from otapgate.acts.workspace import Workspace

from .conftest import Key


@pytest.fixture
def root(tmp_path: Path) -> Path:
    key = Key()
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
