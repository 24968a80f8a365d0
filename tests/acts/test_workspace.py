"""The caches: believed by who only reads, where they fit this program and this ledger, and
never by an act."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.memory_signer import MemorySigner

from otapgate import errors
from otapgate.acts import gatekeeping
from otapgate.acts.drafts import draft
from otapgate.acts.founding import found
from otapgate.acts.people import grant
from otapgate.acts.workspace import Workspace
from otapgate.ledger import peek
from otapgate.ledger import predicates as p
from otapgate.ledger.statement import Draft, Subject

from .conftest import Office

ONE, TWO = ("sha256:" + digit * 64 for digit in "12")


@pytest.fixture
def key() -> MemorySigner:
    return MemorySigner()


@pytest.fixture
def root(tmp_path: Path, key: MemorySigner) -> Path:
    made = found(tmp_path / "linde", stages=("T", "P"), admins={"Anna": key.public.line},
                 signer=key, name="De Linde", street="agenda", language="en")  # fmt: skip
    made.close()
    return made.root


def test_the_warm_state_is_the_state(root: Path):
    cold = Workspace(root, reading=True).state
    assert (root / ".otapgate/cache/state.json").exists()
    warm = Workspace(root, reading=True).state
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
    right = Workspace(root, reading=True).state.policy
    cache = root / ".otapgate/cache/state.json"
    kept = json.loads(cache.read_text())
    kept["state"]["policy"] = "sha256:" + "0" * 64
    cache.write_text(json.dumps(kept))
    assert Workspace(root, reading=True).state.policy != right, (
        "what is warm is what is in the cache"
    )
    spoil(kept)
    cache.write_text(json.dumps(kept))
    assert Workspace(root, reading=True).state.policy == right


# Who acts believes no cache


@pytest.fixture
def poisoned(office: Office) -> Office:
    """Two releases; a cache says of each that it is the other, and that Chantal is the
    board; another says that the ledger is elsewhere and that environments changed."""
    office.enrol("Chantal Mulder", "builder")
    for version, digest in (("1.0", ONE), ("2.0", TWO)):
        office.forge("Chantal Mulder", "release-built",
                     p.ReleaseBuilt("agenda", version, "agenda", None, 1, 1, ()),
                     (f"agenda@{version}", digest))  # fmt: skip
    shutil.copy(office.root / ".otapgate/ledger.sqlite", office.root / ".otapgate/other.sqlite")
    with Workspace(office.root, reading=True) as workspace:
        assert workspace.state.releases[ONE].name == "agenda@1.0"
        assert workspace.outline
    cache = office.root / ".otapgate/cache"
    kept = json.loads((cache / "state.json").read_text())
    releases = kept["state"]["releases"]
    releases[ONE]["name"], releases[TWO]["name"] = "agenda@2.0", "agenda@1.0"
    for seat in kept["state"]["directory"]["seats"]:
        seat["role"] = "board"
    (cache / "state.json").write_text(json.dumps(kept))
    kept = json.loads((cache / "landscape.json").read_text())
    kept["landscape"]["ledger"] = ".otapgate/other.sqlite"
    for environment in kept["landscape"]["streets"][0]["environments"]:
        environment["digest"] = ONE
    (cache / "landscape.json").write_text(json.dumps(kept))
    return office


def test_what_is_signed_is_what_the_ledger_and_the_files_say(poisoned: Office):
    with Workspace(poisoned.root, reading=True) as fooled:
        assert gatekeeping.release(fooled, "agenda@2.0").digest == ONE
    with poisoned.open("Anna de Wit") as workspace:
        assert gatekeeping.release(workspace, "agenda@2.0").digest == TWO
        assert workspace.environment("agenda-T").digest != ONE
        assert workspace.outline == workspace.landscape


def test_an_act_goes_to_the_ledger_that_the_files_name(poisoned: Office):
    def entries() -> dict[str, int]:
        return {name: peek.peek(poisoned.root / f".otapgate/{name}.sqlite").size
                for name in ("ledger", "other")}  # fmt: skip

    before = entries()
    with poisoned.open("Anna de Wit") as workspace:
        workspace.record(grant(workspace, "Chantal Mulder", "tester", None, None))
    assert entries() == {"ledger": before["ledger"] + 1, "other": before["other"]}


def test_a_role_that_only_the_cache_knows_is_none(poisoned: Office):
    with poisoned.open("Chantal Mulder") as workspace:
        with pytest.raises(errors.Identity) as refused:
            workspace.record(policy_draft())
        assert refused.value.code == "role-missing"


def policy_draft() -> Draft:
    return Draft("policy-approved", (Subject("policy", ONE),),
                 p.to_predicate(p.PolicyApproved(ONE)))  # fmt: skip


def test_nothing_is_recorded_by_who_opened_for_reading(office: Office):
    with Workspace(office.root, reading=True) as workspace:
        workspace._signer = office.keys["Anna de Wit"]
        for way in (lambda: workspace.record(policy_draft()),
                    lambda: workspace.require("role-admin")):  # fmt: skip
            with pytest.raises(AssertionError, match="reading"):
                way()


def test_a_state_that_was_handed_out_stays_as_it_was(office: Office):
    office.enrol("Chantal Mulder")
    with office.open("Anna de Wit") as workspace:
        before = workspace.state
        size = before.size
        workspace.record(grant(workspace, "Chantal Mulder", "tester", None, None))
        assert workspace.state.size == size + 1
        assert before.size == size
        assert workspace.state.root != before.root
        # A ledger that was put back under our hands is folded anew.
        workspace.state.root = "00" * 32
        workspace._stale = True
        assert workspace.state == office.open().state


opened: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and opened is not None and isinstance(arguments[0], str | bytes):
        opened.append(os.fsdecode(arguments[0]))


def test_nothing_but_sqlite_opens_the_ledger_while_it_is_held(root: Path, key: MemorySigner):
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
        read = [name for name in opened if name.endswith(".yml")]
    finally:
        opened = None
    assert found == []
    assert read, "the hook sees what is opened"


# Who worked long


def built(version: str, digest: str) -> Draft:
    return draft("release-built", p.ReleaseBuilt("agenda", version, "agenda", None, 1, 1, ()),
                 [(f"agenda@{version}", digest)])  # fmt: skip


def test_what_took_long_is_recorded_whatever_its_signer_recorded_meanwhile(office: Office) -> None:
    office.enrol("Chantal Mulder", "builder")
    with office.open("Chantal Mulder") as long:
        size = long.state.size
        office.act("Chantal Mulder", built("1.0", ONE))
        with pytest.raises(errors.BadInput, match="signed before entry"):
            long.record(built("2.0", TWO))
        assert long.record_late(built("2.0", TWO)) == size + 1
        assert {"agenda@1.0", "agenda@2.0"} == {r.name for r in long.state.releases.values()}


def test_what_would_have_no_effect_anyhow_is_refused_then_too(office: Office) -> None:
    office.enrol("Chantal Mulder", "builder", "tester")
    with office.open("Chantal Mulder") as long:
        assert long.state.size
        office.act("Chantal Mulder", built("1.0", ONE))
        never = p.Rehearsal(
            "rehearsal-000000000001", TWO, None, "agenda-T", TWO, "none", "restored", 1,
            (p.RehearsalCase("none", "", 0, True),), TWO,
        )  # fmt: skip
        with pytest.raises(errors.BadInput, match="never built here"):
            long.record_late(draft("rehearsal", never, [("agenda@2.0", TWO)]))
