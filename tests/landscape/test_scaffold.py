"""New landscapes and first releases: valid, in one's language, never half or over something."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from otapgate.errors import BadInput
from otapgate.landscape import scaffold
from otapgate.landscape.load import check_all, load
from otapgate.landscape.model import Stage


def made(place: Path, **changes: object) -> list[Path]:
    given: dict[str, object] = {
        "stages": ("T", "A", "P"),
        "name": "Stichting De Linde",
        "street": "agenda",
        "owner": "Daan Jansen",
        "today": dt.date(2026, 2, 1),
    }
    return scaffold.create(place, **(given | changes))  # type: ignore[arg-type]


def tree(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("language", ["en", "nl"])
@pytest.mark.parametrize("stages", [("T", "A", "P"), ("O", "T", "A", "P"), ("A", "P")])
def test_a_new_landscape_is_valid_as_it_is(
    tmp_path: Path, language: str, stages: tuple[Stage, ...]
) -> None:
    place = tmp_path / "new" / "linde"
    files = made(place, stages=stages, language=language)
    assert all(path.is_file() for path in files)
    assert {str(path.relative_to(place)) for path in files} == set(tree(place))
    assert check_all(place) == []
    landscape = load(place)
    assert landscape.language == language
    assert tuple(env.stage for env in landscape.environments()) == stages
    first = landscape.environments()[0].hosts[0].variables
    assert first == {"ansible_connection": "local", "home": f"{place}/hosts/agenda-{stages[0]}"}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["linde"]


@pytest.mark.parametrize("language", ["en", "nl"])
def test_a_first_release_passes_its_checks(tmp_path: Path, language: str) -> None:
    made(tmp_path / "l", language=language)
    files = scaffold.release_skeleton(tmp_path / "l", "portal", "agenda", language)
    assert len(files) == 13
    assert check_all(tmp_path / "l") == []
    from otapgate.execution.redirects import scan_playbooks

    assert list(scan_playbooks(tmp_path / "l/playbooks/portal")) == []


def test_a_first_plan_covers_every_kind_of_test(tmp_path: Path) -> None:
    from otapgate.landscape import yaml_positions
    from otapgate.landscape.model import TEST_KINDS

    made(tmp_path / "l")
    scaffold.release_skeleton(tmp_path / "l", "portal", "agenda")
    plan = yaml_positions.load(tmp_path / "l/plans/portal.yml", "x").data
    assert {criterion["kind"] for criterion in plan["criteria"]} == set(TEST_KINDS)


def test_languages_differ_in_their_comments_only(tmp_path: Path) -> None:
    made(tmp_path / "en", language="en")
    made(tmp_path / "nl", language="nl")
    english, dutch = load(tmp_path / "en"), load(tmp_path / "nl")
    assert english.policy.digest == dutch.policy.digest
    assert "Wie een wijziging" in (tmp_path / "nl/policy.yml").read_text()
    assert "Who authorises" in (tmp_path / "en/policy.yml").read_text()
    for file in (tmp_path / "nl").rglob("*"):
        if file.is_file():
            assert "@nl" not in file.read_text()
            assert "@en" not in file.read_text()


def test_the_examples_in_the_calendar_become_freezes_when_taken_into_use(tmp_path: Path) -> None:
    made(tmp_path / "l")
    calendar = tmp_path / "l/calendar.yml"
    text = calendar.read_text().replace("freezes: []", "freezes:").replace("#   - {", "  - {")
    calendar.write_text(text)
    freezes = load(tmp_path / "l").freezes
    assert len(freezes) == 4
    assert freezes[0].start == "2026-05-07T00:00:00+02:00"


@pytest.mark.parametrize(
    "name",
    ["no", "123", "De 'Linde'", 'A "b" c', "a: b", "# x", "- x", "Ĝis la revido", "@x", "{}"],
)
def test_names_are_kept_as_given_whatever_yaml_thinks_of_them(tmp_path: Path, name: str) -> None:
    made(tmp_path / "l", name=name, owner=name)
    landscape = load(tmp_path / "l")
    assert landscape.name == name
    assert {env.owner for env in landscape.environments()} == {name}


def test_a_directory_with_odd_letters_is_kept_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / 'it\'s {{ a }} "place" # ü'
    made(place)
    assert load(place).environments()[0].hosts[0].variables["home"].startswith(str(place))


def test_a_name_that_cannot_be_one_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        made(tmp_path / "l", street="../x")
    assert caught.value.code == "landscape-invalid"
    assert list(tmp_path.iterdir()) == []


def test_an_existing_landscape_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path / "l")
    before = tree(tmp_path / "l")
    with pytest.raises(BadInput) as caught:
        made(tmp_path / "l", name="Another")
    assert caught.value.code == "directory-occupied"
    assert tree(tmp_path / "l") == before


def test_a_file_in_the_way_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "policy.yml").write_text("mine")
    with pytest.raises(BadInput) as caught:
        made(tmp_path)
    assert [problem.file for problem in caught.value.problems] == ["policy.yml"]
    assert tree(tmp_path) == {"policy.yml": b"mine"}


def test_a_file_where_a_folder_must_come_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("mine")
    with pytest.raises(BadInput) as caught:
        made(tmp_path)
    assert "plans" in caught.value.message
    assert tree(tmp_path) == {"plans": b"mine"}


def test_a_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "l").mkdir()
    (tmp_path / "l/policy.yml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput):
        made(tmp_path / "l")
    assert not (tmp_path / "elsewhere").exists()


def test_other_files_stay_beside_a_new_landscape(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    made(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert check_all(tmp_path) == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".otapgate-init")]


@pytest.mark.parametrize("after", [0, 1, 5, 12])
def test_an_interruption_takes_out_what_was_moved_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    real = Path.rename
    count = 0

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal count
        if count == after:
            raise KeyboardInterrupt
        count += 1
        return real(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_a_kill_left_is_completed_the_next_time(tmp_path: Path) -> None:
    made(tmp_path)
    whole = tree(tmp_path)
    (tmp_path / "otapgate.yml").unlink()
    (tmp_path / "calendar.yml").unlink()
    made(tmp_path)
    assert tree(tmp_path) == whole


@pytest.mark.permissions
def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput) as caught:
        made(tmp_path / "l")
    assert caught.value.code == "directory-unwritable"


def test_a_place_below_a_file_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput) as caught:
        made(tmp_path / "file/l")
    assert caught.value.code == "directory-unwritable"


@pytest.mark.parametrize("app", ["../x", "Portal", "", "a b", "a/b", "-x", "a\n"])
def test_an_application_needs_a_name_that_is_safe(tmp_path: Path, app: str) -> None:
    made(tmp_path / "l")
    before = tree(tmp_path / "l")
    with pytest.raises(BadInput) as caught:
        scaffold.release_skeleton(tmp_path / "l", app, "agenda")
    assert caught.value.code == "name-invalid"
    assert tree(tmp_path / "l") == before


def test_a_release_of_ones_own_is_not_overwritten(tmp_path: Path) -> None:
    made(tmp_path / "l")
    scaffold.release_skeleton(tmp_path / "l", "portal", "agenda")
    (tmp_path / "l/plans/portal.yml").write_text("mine")
    with pytest.raises(BadInput) as caught:
        scaffold.release_skeleton(tmp_path / "l", "portal", "agenda")
    assert [problem.where for problem in caught.value.problems] == ["plans/portal.yml"]
    assert (tmp_path / "l/plans/portal.yml").read_text() == "mine"


def test_an_application_that_is_there_already_gets_no_page(tmp_path: Path) -> None:
    made(tmp_path / "l")
    (tmp_path / "l/releases/portal").mkdir()
    (tmp_path / "l/releases/portal/start.html").write_text("mine")
    scaffold.release_skeleton(tmp_path / "l", "portal", "agenda")
    assert [x.name for x in (tmp_path / "l/releases/portal").iterdir()] == ["start.html"]
    assert (tmp_path / "l/releases/portal.yml").is_file()
