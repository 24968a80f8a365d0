"""From a release file to a release."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from otapgate.errors import BadInput, Problem
from otapgate.release import manifest as manifests
from otapgate.release.build import build, check_file, read, source_drift
from otapgate.release.manifest import DatabaseState, HttpState, Install
from otapgate.release.store import Store

from .conftest import RELEASE, application, write


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def test_a_release_holds_its_files_by_digest_and_its_values(
    release_file: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    made = build(read(release_file, tmp_path), store)
    assert [file.path for file in made.files] == [
        "artifacts/site/css/a.css",
        "artifacts/site/index.html",
        "artifacts/site/run.sh",
        "artifacts/wheels/agenda-3.5.4-py3-none-any.whl",
        "artifacts/wheels/extra-1.0-py3-none-any.whl",
        "playbooks/deploy.yml",
        "playbooks/roles/x/tasks/main.yml",
        "playbooks/rollback.yml",
        "playbooks/verify.yml",
    ]
    assert [file.path for file in made.files if file.executable] == ["artifacts/site/run.sh"]
    assert made.name == "agenda@3.5.4"
    assert made.variables == {"port": 8000, "words": ["één", "twee"]}
    assert made.state.databases == (DatabaseState("sqlite:///{{ root }}/db.sqlite", ("session",)),)
    assert made.state.http == (HttpState("http://127.0.0.1:{{ port }}/", compare="body"),)
    assert made.state.ports == ("8000",)
    assert made.installs[1] == Install("{{ root }}/venv", "wheels", "artifacts/wheels", ("*.pyc",))
    assert manifests.decode(store.get(made.digest)) == made
    assert store.verify_all(file.digest for file in made.files) == []


def test_the_digest_depends_on_neither_time_order_nor_umask(tmp_path: Path) -> None:
    one = application(tmp_path / "one")
    before = os.umask(0o077)
    try:
        other = application(tmp_path / "other", order=-1)
    finally:
        os.umask(before)
    for path in (tmp_path / "other").rglob("*"):
        os.utime(path, (1, 1))
    store = Store(tmp_path / "store")
    first = build(read(one, tmp_path / "one"), store)
    second = build(read(other, tmp_path / "other"), store)
    assert first.digest == second.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda root: write(root / "build/site/index.html", "<h1>Agenda!</h1>"),
        lambda root: write(root / "playbooks/agenda/deploy.yml", "- hosts: all \n"),
        lambda root: (root / "build/site/run.sh").chmod(0o644),
        lambda root: write(root / "build/site/new"),
        lambda root: edit(root / "releases/agenda.yml", "port: 8000", "port: 8001"),
    ],
)
def test_any_change_gives_another_digest(release_file: Path, tmp_path: Path, change) -> None:
    store = Store(tmp_path / "store")
    before = build(read(release_file, tmp_path), store).digest
    change(tmp_path)
    assert build(read(release_file, tmp_path), store).digest != before


def test_what_programs_leave_beside_playbooks_is_no_part_of_them(
    release_file: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    before = build(read(release_file, tmp_path), store).digest
    write(tmp_path / "playbooks/agenda/__pycache__/x.pyc")
    write(tmp_path / "playbooks/agenda/.git/config")
    assert build(read(release_file, tmp_path), store).digest == before


def test_how_a_role_is_tried_out_by_its_makers_is_no_part_of_a_release(
    release_file: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    playbooks, collection = tmp_path / "playbooks/agenda", "collections/ansible_collections/a/b"
    write(playbooks / "roles/x/tasks/main.yml")
    before = build(read(release_file, tmp_path), store).digest
    for left in ("roles/x", f"{collection}/roles/y", collection):
        write(playbooks / left / "tests/test.yml")
        write(playbooks / left / "molecule/default/converge.yml")
    assert build(read(release_file, tmp_path), store).digest == before
    # of other folders by that name nobody knows what they are, so they are kept, and read
    others = ("tests/a.yml", "roles/tests/tasks/main.yml", "roles/x/tests/tasks/main.yml")
    for kept in (*others, "group_vars/all/tests/a.yml", "roles/x/vars/tests/a.yml"):
        write(playbooks / kept)
        paths = {file.path for file in build(read(release_file, tmp_path), store).files}
        assert f"playbooks/{kept}" in paths


def test_a_missing_artifact_is_named_with_file_and_line(release_file: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "build")
    problems = check_file(release_file, tmp_path)
    missing = problems[0]
    assert missing.where == "releases/agenda.yml:6"
    assert "../build/site" in missing.message
    assert missing.remedy
    with pytest.raises(BadInput) as error:
        read(release_file, tmp_path)
    assert error.value.code == "release-invalid"
    assert error.value.problems == tuple(problems)


def test_a_glob_without_matches_is_a_missing_artifact(release_file: Path, tmp_path: Path) -> None:
    edit(release_file, "wheels/*.whl", "wheels/*.zip")
    assert "wheels/*.zip" in check_file(release_file, tmp_path)[0].message


def test_every_problem_is_told_at_once(release_file: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "build")
    (tmp_path / "playbooks/agenda/rollback.yml").unlink()
    edit(release_file, "source: artifacts/wheels", "source: artifacts/weels")
    lines = [problem.line for problem in check_file(release_file, tmp_path)]
    assert lines == [6, 7, 20, 21]


@pytest.mark.parametrize("version", ["3.10", "8"])
def test_a_version_that_is_a_number_must_be_quoted(
    release_file: Path, tmp_path: Path, version: str
) -> None:
    edit(release_file, '"3.5.4"', version)
    problem = only(check_file(release_file, tmp_path))
    assert problem.line == 2
    assert "quotes" in (problem.remedy or "")


def test_an_unknown_key_gets_a_suggestion(release_file: Path, tmp_path: Path) -> None:
    edit(release_file, "artifacts:\n", "artefacts:\n")
    problem = only(check_file(release_file, tmp_path))
    assert problem.where == "releases/agenda.yml:4"
    assert "artifacts" in (problem.remedy or "")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("app: agenda", "app: ../agenda", 1),
        ('"3.5.4"', '"3@5"', 2),
        ("port: 8000", "ansible_connection: local", 9),
        ("port: 8000", "otapgate_release: x", 9),
        ("port: 8000", "po-rt: x", 9),
        ("plans: [agenda]", "plans: [agenda, agenda]", 11),
        ("compare: body", "compare: all", 17),
        ("kind: files", "kind: file", 20),
    ],
)
def test_a_wrong_value_is_refused_at_its_line(
    release_file: Path, tmp_path: Path, old: str, new: str, line: int
) -> None:
    edit(release_file, old, new)
    assert only(check_file(release_file, tmp_path)).line == line


@pytest.mark.parametrize("name", ["deploy.yml", "verify.yml", "rollback.yml"])
def test_every_release_can_deploy_verify_and_roll_back(
    release_file: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "playbooks/agenda" / name).unlink()
    problem = only(check_file(release_file, tmp_path))
    assert name in problem.message
    assert problem.line == 7


def test_two_artifacts_can_not_land_at_the_same_path(release_file: Path, tmp_path: Path) -> None:
    edit(release_file, "  - wheels/*.whl\n", "  - wheels/*.whl\n  - wheels\n")
    problems = check_file(release_file, tmp_path)
    assert len(problems) == 2
    assert "artifacts/wheels/extra-1.0-py3-none-any.whl" in problems[1].message


def test_a_file_that_must_have_a_digest_is_held_to_it(release_file: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"wheel").hexdigest()
    wheel = "wheels/agenda-3.5.4-py3-none-any.whl"
    line = f"  - {{path: {wheel}, sha256: {digest}}}\n"
    edit(release_file, "  - wheels/*.whl\n", line)
    spec = read(release_file, tmp_path)
    write(tmp_path / "releases" / wheel, b"wheeI")
    with pytest.raises(BadInput) as error:
        build(spec, Store(tmp_path / "store"))
    assert error.value.code == "release-changed"
    problem = only(check_file(release_file, tmp_path))
    assert problem.line == 5
    assert hashlib.sha256(b"wheeI").hexdigest() in problem.message


def test_a_digest_of_several_files_is_refused(release_file: Path, tmp_path: Path) -> None:
    edit(release_file, "as: site}", f"as: site, sha256: {'0' * 64}}}")
    assert only(check_file(release_file, tmp_path)).line == 6


def test_a_link_out_of_the_folder_is_refused(release_file: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret")
    (tmp_path / "build/site/link").symlink_to("../../secret")
    problem = only(check_file(release_file, tmp_path))
    assert problem.line == 6
    assert "leads out" in problem.message


def test_a_link_out_of_the_landscape_is_refused(release_file: Path, tmp_path: Path) -> None:
    shutil.move(tmp_path / "build", tmp_path / "elsewhere")
    (tmp_path / "build").symlink_to(tmp_path / "elsewhere")
    assert check_file(release_file, tmp_path) == []
    landscape = tmp_path / "inner"
    file = application(landscape)
    shutil.rmtree(landscape / "build")
    (landscape / "build").symlink_to(tmp_path / "elsewhere")
    assert "leads out of the landscape" in check_file(file, landscape)[0].message


def test_an_artifact_outside_the_landscape_may_be_named_as_such(tmp_path: Path) -> None:
    file = application(tmp_path / "inner")
    shutil.move(tmp_path / "inner/build", tmp_path / "build")
    edit(file, "../build/site", "../../build/site")
    assert check_file(file, tmp_path / "inner") == []


def test_a_link_to_a_file_within_counts_as_that_file(release_file: Path, tmp_path: Path) -> None:
    (tmp_path / "build/site/start.html").symlink_to("index.html")
    made = build(read(release_file, tmp_path), Store(tmp_path / "store"))
    digests = {file.path: file.digest for file in made.files}
    assert digests["artifacts/site/start.html"] == digests["artifacts/site/index.html"]


def test_loops_and_broken_links_are_refused(release_file: Path, tmp_path: Path) -> None:
    (tmp_path / "build/site/loop").symlink_to("loop")
    (tmp_path / "build/site/self").symlink_to(".")
    (tmp_path / "build/site/gone").symlink_to("nowhere")
    assert len(check_file(release_file, tmp_path)) == 3


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"a\\b", b"tab\there"])
def test_a_name_that_is_not_portable_is_refused(
    release_file: Path, tmp_path: Path, name: bytes
) -> None:
    (tmp_path / "build/site" / os.fsdecode(name)).touch()
    problem = only(check_file(release_file, tmp_path))
    assert "can't be in a release" in problem.message
    assert problem.message.isprintable()


def test_a_named_pipe_is_refused_and_does_not_hang(release_file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "build/site/pipe")
    assert "not a regular file" in only(check_file(release_file, tmp_path)).message


def test_names_that_differ_in_case_only_are_refused(release_file: Path, tmp_path: Path) -> None:
    write(tmp_path / "build/site/INDEX.html")
    assert "side by side" in only(check_file(release_file, tmp_path)).message


@pytest.mark.parametrize("landing", ["../x", "/x", "a/../../x", "a\\b"])
def test_nothing_lands_outside_of_artifacts(
    release_file: Path, tmp_path: Path, landing: str
) -> None:
    edit(release_file, "as: site}", f"as: {landing}}}")
    assert check_file(release_file, tmp_path)[0].line == 6


def test_an_absolute_path_must_say_where_it_lands(release_file: Path, tmp_path: Path) -> None:
    edit(release_file, "{path: ../build/site, as: site}", str(tmp_path / "build/site"))
    assert "as:" in (check_file(release_file, tmp_path)[0].remedy or "")


def test_globs_go_deep_and_pass_over_hidden_files(release_file: Path, tmp_path: Path) -> None:
    write(tmp_path / "build/site/.hidden.css")
    edit(release_file, "{path: ../build/site, as: site}", '{path: "../build/**/*.css", as: site}')
    found = [source.path for source in read(release_file, tmp_path).sources]
    assert [path for path in found if "site" in path] == ["artifacts/site/site/css/a.css"]


@pytest.mark.parametrize("content", ["", "[]", "a: [", "\x00", "app: agenda\napp: agenda\n", "- x"])
def test_what_is_no_release_file_gives_problems_and_no_traceback(
    tmp_path: Path, content: str
) -> None:
    file = write(tmp_path / "release.yml", content)
    assert check_file(file, tmp_path)
    with pytest.raises(BadInput):
        read(file, tmp_path)


def test_a_release_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert check_file(tmp_path / "absent.yml", tmp_path)[0].file == "absent.yml"


def test_nothing_drifts_until_something_changes(release_file: Path, tmp_path: Path) -> None:
    made = build(read(release_file, tmp_path), Store(tmp_path / "store"))
    assert source_drift(made, release_file, tmp_path) == []
    write(tmp_path / "build/site/index.html", "<h1>Agenda?</h1>")
    (tmp_path / "build/site/css/a.css").unlink()
    write(tmp_path / "build/site/new.css")
    assert source_drift(made, release_file, tmp_path) == [
        "artifacts/site/css/a.css",
        "artifacts/site/index.html",
        "artifacts/site/new.css",
    ]


def test_a_release_file_that_says_otherwise_has_drifted(release_file: Path, tmp_path: Path) -> None:
    made = build(read(release_file, tmp_path), Store(tmp_path / "store"))
    release_file.write_text(RELEASE + "# a remark changes nothing\n")
    assert source_drift(made, release_file, tmp_path) == []
    edit(release_file, "port: 8000", "port: 8001")
    assert source_drift(made, release_file, tmp_path) == ["agenda.yml"]
    release_file.write_text("broken: [")
    assert source_drift(made, release_file, tmp_path) == ["agenda.yml"]


@pytest.mark.permissions
def test_a_file_that_may_not_be_read_is_told(release_file: Path, tmp_path: Path) -> None:
    (tmp_path / "build/site/index.html").chmod(0)
    assert "may not be read" in only(check_file(release_file, tmp_path)).message


def test_pydantic_is_not_loaded_before_a_file_is_read() -> None:
    code = (
        "import sys, otapgate.release.build, otapgate.release.unpack, otapgate.testing.run;"
        "print([m for m in ('pydantic', 'jinja2', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("oracle://u@h/x", "no database that can be compared"),
        ("postgresql://u:geheim@h/x", "may hold no password"),
        ("mariadb://u@h/x?password=geheim", "may hold no password"),
    ],
)
def test_a_database_that_cant_be_compared_is_named_by_line(
    release_file: Path, tmp_path: Path, url: str, message: str
) -> None:
    edit(release_file, "sqlite:///{{ root }}/db.sqlite", url)
    line = next(n for n, one in enumerate(release_file.read_text().splitlines(), 1) if url in one)
    problem = only(check_file(release_file, tmp_path))
    assert message in problem.message
    assert problem.line == line
    if "geheim" in url:
        assert "geheim" not in str(problem)


@pytest.mark.parametrize(
    ("artifacts", "playbooks"),
    [
        ("{path: .., as: all}", "../playbooks"),
        ("{path: ../.otapgate, as: ours}", "../playbooks"),
        ("{path: ../.otapgate/ledger.sqlite, as: ours}", "../playbooks"),
        ("{path: ../linked, as: ours}", "../playbooks"),
        ("../**", "../playbooks"),
        ("../.otapgate/*", "../playbooks"),
        ("one.txt", ".."),
    ],
)
def test_the_ledger_is_part_of_no_release(tmp_path: Path, artifacts: str, playbooks: str) -> None:
    for name in ("deploy", "verify", "rollback"):
        for folder in ("playbooks", "."):
            path = tmp_path / folder / f"{name}.yml"
            path.parent.mkdir(exist_ok=True)
            path.write_text("[]\n")
    (tmp_path / ".otapgate").mkdir()
    (tmp_path / ".otapgate/ledger.sqlite").write_text("x")
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases/one.txt").write_text("x")
    (tmp_path / "linked").symlink_to(".otapgate")
    file = tmp_path / "releases/agenda.yml"
    file.write_text(
        f"app: agenda\nversion: '1.0'\nstreet: agenda\nartifacts:\n  - {artifacts}\n"
        f"playbooks: {playbooks}\nplans: [agenda]\nstate: {{paths: [/x]}}\n"
    )
    with pytest.raises(BadInput) as caught:
        read(file, tmp_path)
    assert any("otapgate's own" in p.message for p in caught.value.problems), caught.value.problems


def test_a_pattern_that_does_not_reach_the_ledger_is_fine(tmp_path: Path) -> None:
    for name in ("deploy", "verify", "rollback"):
        path = tmp_path / "playbooks" / f"{name}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("[]\n")
    (tmp_path / ".otapgate").mkdir()
    (tmp_path / ".otapgate/x.txt").write_text("x")
    (tmp_path / "one.txt").write_text("x")
    (tmp_path / "releases").mkdir()
    file = tmp_path / "releases/agenda.yml"
    file.write_text(
        "app: agenda\nversion: '1.0'\nstreet: agenda\nartifacts: [../*.txt]\n"
        "playbooks: ../playbooks\nplans: [agenda]\nstate: {paths: [/x]}\n"
    )
    found = read(file, tmp_path)
    assert "artifacts/one.txt" in {source.path for source in found.sources}
