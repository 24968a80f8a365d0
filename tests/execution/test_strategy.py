"""What Mitogen can't do as otapgate wants it is refused by its name, with a remedy."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from otapgate.errors import BadInput, Failed
from otapgate.execution import control, inventory, strategy
from otapgate.landscape.model import Environment, Host
from otapgate.landscape.security import weakened


def environment(variables: Mapping[str, Any]) -> Environment:
    hosts = (Host("web", {"ansible_connection": "local", **variables}),)
    return Environment(name="demo-A", stage="A", street="demo", owner="Fenna", hosts=hosts)


def test_these_versions_were_tried_together() -> None:
    """The tests of the lab are what tries them: add a pair once they have passed with it."""
    assert strategy.was_tried(*strategy.installed())
    strategy.check("mitogen", environment({}))


@pytest.mark.parametrize(
    "variables",
    [
        {"ansible_host_key_checking": False},
        {"ansible_ssh_host_key_checking": True},
        {"mitogen_via": "web2"},
        {"mitogen_kind": "docker"},
        {"ansible_connection": "community.docker.docker"},
        {"ansible_become_method": "runas"},
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    tmp_path: Path, variables: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match="can't be reached by Mitogen") as said:
        inventory.process_environment(tmp_path, environment(variables), forks=1, strategy="mitogen")
    (problem,) = said.value.problems
    assert next(iter(variables)) in problem.message
    assert problem.remedy


@pytest.mark.parametrize(("versions", "code"), [
    ({"ansible-core": "2.19.14"}, "mitogen-missing"),
    ({"ansible-core": "2.19.14", "mitogen": "0.3.99"}, "mitogen-untried"),
    ({"ansible-core": "2.99.0", "mitogen": "0.3.54"}, "mitogen-untried"),
])  # fmt: skip
def test_versions_that_were_never_tried_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], code: str
) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(Failed) as said:
        strategy.check("mitogen", environment({}))
    assert said.value.code == code
    assert "mitogen==" in str(said.value.remedy)
    strategy.check("linear", environment({}))  # nobody asked for it


def test_its_socket_needs_a_folder_with_a_short_path(tmp_path: Path) -> None:
    with pytest.raises(Failed) as said:
        strategy.require_folder("mitogen", None)
    assert said.value.code == "mitogen-folder"
    strategy.require_folder("linear", None)
    strategy.require_folder("mitogen", tmp_path)
    assert control.LONGEST + len("/mitogen_unix_12345678.sock") <= 107
    assert strategy.variables("mitogen", tmp_path)["TMPDIR"] == str(tmp_path)


def test_no_fact_of_a_host_sets_what_mitogen_reads() -> None:
    """Whatever name Mitogen reads, the extra variables leave it unset."""
    import ansible_mitogen.transport_config as read

    named = {name for name in vars(read.Spec) if name.startswith("mitogen_")}
    assert named
    unset = inventory.unset_variables(environment({}), "mitogen")
    assert named <= unset.keys()
    assert not [name for name in inventory.unset_variables(environment({})) if "mitogen" in name]


def test_an_environment_may_not_describe_a_way_of_mitogen_s() -> None:
    assert [name for name, _why, _remedy in weakened({"mitogen_via": "x"})] == ["mitogen_via"]
