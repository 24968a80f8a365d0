"""What is committed beside the code says what the code says."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "otapgate").rglob("*.py"))


def tool(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["catalogue", "reference"])
def test_translations_and_reference_are_those_of_the_code(name: str):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / f"{name}.py"), "check"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_sentence_without_dutch_is_reported():
    catalogue = tool("catalogue")
    template = catalogue.Catalog()
    template.add("Never said before: {name}.", locations=[("src/x.py", 0)])
    assert catalogue.gaps(catalogue.dutch(template)) == [
        "src/x.py: no Dutch for: Never said before: {name}."
    ]


def test_a_placeholder_lost_or_invented_in_the_dutch_is_reported():
    catalogue = tool("catalogue")
    template = catalogue.Catalog()
    template.add("{a} and {b}", "{a} en {c}", locations=[("src/x.py", 0)])
    assert len(catalogue.gaps(template)) == 2


def test_no_sentence_is_filled_in_before_it_is_translated():
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("_", "N_", "ngettext")
        and node.args
        and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
    ]
    assert wrong == []


def test_no_sentence_is_marked_within_an_f_string():
    """Before Python 3.12 an f-string is one token, so that what is marked in it isn't
    gathered and has no Dutch."""
    wrong = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr)
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in ("_", "N_", "ngettext")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    ]
    assert wrong == []


def test_only_files_that_import_ansible_are_under_the_gpl_and_they_all_say_so():
    """ansible-core is GPL-3.0-or-later; ansible-runner, which we call, is Apache-2.0."""
    imports, say = set(), set()
    places = [ROOT / "src", ROOT / "playbooks", ROOT / "environments"]
    for file in (f for place in places for f in place.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if re.search(r"^\s*(from|import) ansible(\.|\s|$)", text, re.MULTILINE):
            imports.add(file)
        if "SPDX-License-Identifier: GPL-3.0-or-later" in text:
            say.add(file)
    assert imports == say


def test_every_locked_package_has_a_hash_and_no_lock_names_a_machine():
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text(encoding="utf-8")
        for block in re.split(r"\n(?=[A-Za-z0-9])", text)[1:]:
            assert "--hash=sha256:" in block, (lock.name, block.splitlines()[0])
        assert not re.search(r"https?://|/home/|/work/|/tmp/|--index|--find-links", text), lock.name


def test_every_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "base.txt": project["dependencies"],
        "demo.txt": project["dependencies"] + extras["anonymize"],
        "dev.txt": project["dependencies"] + extras["anonymize"] + extras["dev"],
    }
    for name, dependencies in wanted.items():
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        locked = {m.lower() for m in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}
        names = {re.split(r"[<>=!\[ ;]", d, maxsplit=1)[0].lower() for d in dependencies}
        assert names - locked == set(), name


def test_the_licence_is_the_whole_eupl():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("EUROPEAN UNION PUBLIC LICENCE v. 1.2\n")
    assert [n for n in range(1, 16) if not re.search(rf"^{n}\.", text, re.MULTILINE)] == []
    assert text.endswith("All other changes or additions to this Appendix require the production"
                         " of a new EUPL version.\n")  # fmt: skip


def test_the_arrows_of_the_architecture_hold():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
