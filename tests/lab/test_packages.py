"""Packages from a repository of this test's own, unpacked and not installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lab.labs import Lab

FETCH = [sys.executable, "-m", "otapgate.lab.packages"]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """An environment in which apt knows one package, old-style, that needs another."""
    repository = tmp_path / "repository"
    listed = ""
    for name, needs in (("tool-of-ours", "library-of-ours"), ("library-of-ours", "")):
        files = tmp_path / name
        (files / "DEBIAN").mkdir(parents=True)
        control = (
            f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <n@example.nl>\n"
            f"{f'Depends: {needs}' if needs else 'Section: libs'}\nDescription: of the test\n"
        )
        (files / "DEBIAN/control").write_text(control, "utf-8")
        for place in ("lib/ours", "bin"):
            (files / place).mkdir(parents=True)
        (files / "lib/ours" / name).write_text(name, "utf-8")
        (files / "bin" / name).write_text("#!/bin/sh\n", "utf-8")
        (files / "bin" / name).chmod(0o4755)
        repository.mkdir(exist_ok=True)
        archive = repository / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", str(files), str(archive)],
                       check=True, capture_output=True)  # fmt: skip
        data = archive.read_bytes()
        listed += f"{control}Filename: ./{archive.name}\nSize: {len(data)}\n"
        listed += f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    (repository / "Packages").write_text(listed, "utf-8")
    apt = tmp_path / "apt"
    (apt / "state/lists/partial").mkdir(parents=True)
    (apt / "cache/archives/partial").mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n", "utf-8")
    (apt / "apt.conf").write_text(
        f'Dir::State "{apt}/state"; Dir::State::status "{apt}/status"; Dir::Cache "{apt}/cache";'
        f' Dir::Etc::sourcelist "{apt}/sources.list"; Dir::Etc::sourceparts "/dev/null";'
        ' APT::Sandbox::User "";\n',
        "utf-8",
    )
    found = os.environ | {
        "APT_CONFIG": str(apt / "apt.conf"),
        "XDG_CACHE_HOME": str(tmp_path / "c"),
    }
    subprocess.run(["apt-get", "-q", "update"], env=found, check=True, capture_output=True)
    return found


def fetch(settings: dict[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FETCH, *names], env=settings, capture_output=True, text=True, check=False
    )


def test_a_package_comes_with_what_it_needs_below_usr_and_without_setuid(
    settings: dict[str, str],
) -> None:
    done = fetch(settings, "tool-of-ours")
    assert done.returncode == 0, done.stderr
    made = Path(done.stdout.strip())
    for name in ("tool-of-ours", "library-of-ours"):
        assert (made / "tree/usr/lib/ours" / name).read_text("utf-8") == name
        assert (made / "tree/lib/ours" / name).read_text("utf-8") == name
        assert (made / "tree/usr/bin" / name).stat().st_mode & 0o6000 == 0
        assert f"4755 usr/bin/{name}\n" in (made / "setuid").read_text("utf-8")
        assert f"Package: {name}\nStatus: install ok installed\n" in (made / "status").read_text()
    assert (made / "tree/lib").is_symlink()
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700


def test_the_second_time_nothing_is_fetched(settings: dict[str, str], tmp_path: Path) -> None:
    first = fetch(settings, "tool-of-ours")
    shutil.rmtree(tmp_path / "repository")
    again = fetch(settings | {"PATH": "/nowhere"}, "tool-of-ours")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    other = fetch(settings, "library-of-ours")
    assert other.returncode == 1
    assert "→" in other.stderr


def test_two_at_once_fetch_one_set(settings: dict[str, str]) -> None:
    both = [
        subprocess.Popen([*FETCH, "tool-of-ours"], env=settings, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = {x.communicate(timeout=60)[0] for x in both}
    assert [x.returncode for x in both] == [0, 0]
    assert len(told) == 1
    kept = Path(told.pop().strip()).parent
    assert len([path for path in kept.iterdir() if path.is_dir()]) == 1


def test_what_is_no_name_and_what_is_not_there_is_told(settings: dict[str, str]) -> None:
    assert fetch(settings, "--option").returncode == 2
    absent = fetch(settings, "no-such-package")
    assert absent.returncode == 1
    assert "no-such-package" in absent.stderr


def test_what_is_unpacked_counts_as_installed_on_a_host(lab: Lab) -> None:
    done = lab.ssh("t1", ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "sudo"])
    assert done.stdout.strip() == "ii"
    assert lab.ssh("t1", ["sudo", "nft", "list", "ruleset"]).returncode == 0
