"""Landscapes from files: what is wrong is told at once, with file and line."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.landscape.conftest import problems_of, told

from otapgate import canonical
from otapgate.errors import BadInput
from otapgate.landscape import approval
from otapgate.landscape import load as loading
from otapgate.landscape.load import cached, check_all, find_root, load, with_people
from otapgate.landscape.model import ROLES, STAGES, Landscape


def edit(path: Path, old: str, new: str) -> int:
    """Replace text once; the line it stands on."""
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_a_sound_landscape_is_what_its_files_say(root: Path) -> None:
    landscape = load(root)
    assert landscape.name == "Stichting De Linde"
    assert [env.name for env in landscape.environments()] == ["agenda-T", "agenda-A", "agenda-P"]
    assert landscape.streets[0].production.data.data_class == "production"
    assert landscape.policy.matrix["high"]["high"] == "P1"
    assert landscape.policy.digest.startswith("sha256:")
    assert landscape.streets[0].file == "environments/agenda.yml"
    assert landscape.environments()[0].hosts[0].variables["ansible_connection"] == "local"


def test_the_digest_of_an_environment_follows_its_description_only(root: Path) -> None:
    before = load(root)
    street = root / "environments/agenda.yml"
    street.write_text("# a remark\n" + street.read_text())
    street.rename(root / "environments/other.yml")
    moved = load(root)
    assert [e.digest for e in moved.environments()] == [e.digest for e in before.environments()]
    assert moved.environments()[0].file != before.environments()[0].file
    edit(root / "environments/other.yml", "owner: Daan Jansen", "owner: Daan Janssen")
    after = load(root)
    # Who accepts is compared with the owner of now, so the owner isn't in the digest.
    assert [e.digest for e in after.environments()] == [e.digest for e in before.environments()]
    edit(root / "environments/other.yml", "class: anonymised", "class: none")
    after = load(root)
    assert after.environments()[0].digest != before.environments()[0].digest
    assert after.environments()[1].digest == before.environments()[1].digest


@pytest.mark.parametrize(
    ("old", "new"),
    [("agenda-t:", "agenda-t2:"), ("{deploy: [administrator]}", "{deploy: [tester]}"),
     ("{class: anonymised}", "{class: synthetic}"), ('network: ""', "network: vlan 7"),
     ('network: ""', 'network: ""\n    retention_days: 30'),
     ("        ansible_connection: local", "        ansible_connection: ssh")],
)  # fmt: skip
def test_every_part_of_a_description_is_in_its_digest(root: Path, old: str, new: str) -> None:
    before = load(root).environments()[0].digest
    edit(root / "environments/agenda.yml", old, new)
    assert load(root).environments()[0].digest != before


def test_the_digest_of_the_policy_follows_its_content_only(root: Path) -> None:
    before = load(root).policy.digest
    edit(root / "policy.yml", "matrix:", "# remark\nmatrix:")
    assert load(root).policy.digest == before
    edit(root / "policy.yml", "P4: {change-manager: 1}", "P4: {change-manager: 2}")
    assert load(root).policy.digest != before


def test_all_files_are_told_about_at_once(root: Path) -> None:
    one = edit(root / "otapgate.yml", "language: en", "langauge: en")
    two = edit(root / "policy.yml", "P1: {change-manager: 1,", "P1: {changemanager: 1,")
    three = edit(root / "environments/agenda.yml", "stage: A", "stage: X")
    (root / "calendar.yml").write_text("freezes:\n  - {name: x, start: 2026-13-01, end: nu}\n")
    found = told(root)
    assert (f"otapgate.yml:{one}", "'langauge' is not known here.") in found
    assert any(
        where == f"policy.yml:{two}" and "changemanager" in message for where, message in found
    )
    assert (
        f"environments/agenda.yml:{three}",
        "'environments[2].stage' is the text \"X\", which is not possible.",
    ) in found
    assert ("calendar.yml:2", "'2026-13-01' is not a date.") in found
    assert ("calendar.yml:2", "'nu' is not a date.") in found


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "'version' is the number 2, which is not possible."),
        ("Europe/Amsterdam", "Europe/Utrecht", "'Europe/Utrecht' is not a time zone."),
        ("Europe/Amsterdam", "../../etc/passwd", "'../../etc/passwd' is not a time zone."),
        ("language: en", "language: fr", "'language' is the text \"fr\", which is not possible."),
        ("origin: ", "origin: a b ", "can't be the ledger's name."),
        ("language: en", "ledger: postgresql://a:s3cret@db/x\nlanguage: en",
         "A password stands in the ledger's URL."),
        ("name: Stichting De Linde", 'name: "De\\nLinde"', "This must be one line of text"),
    ],
)  # fmt: skip
def test_a_wrong_root_file_is_told_with_its_line(
    root: Path, old: str, new: str, message: str
) -> None:
    line = edit(root / "otapgate.yml", old, new)
    [problem] = problems_of(root)
    assert message in problem.message
    assert problem.where == f"otapgate.yml:{line}"
    assert problem.remedy
    assert "s3cret" not in problem.message + problem.remedy


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stage: A", "stage: T", "Stage T stands in street 'agenda' twice."),
        ("stage: T", "stage: P", "Stage P stands in street 'agenda' twice."),
        ("{class: anonymised}", "{class: production}", "Production data may not live in agenda-T."),
        ("{class: production}", "{class: none}", "class production, not none"),
        ("owner: Daan Jansen", "owner: ' '", "This is empty."),
        ("agenda-t:", "'a t':", "'a t' can't be a name."),
        ("{deploy: [administrator]}", "{deploy: [admin]}", "is the text \"admin\""),
        ("network:", "otapgate: x\n    network:", "'otapgate' is not known here."),
        ('network: ""', 'network: ""\n    variables: {otapgate_release: 1}',
         "'otapgate_release' is set by otapgate itself."),
        ('network: ""', 'network: ""\n    variables: {otapgate_snapshot_root: /srv/../etc}',
         "'otapgate_snapshot_root' is not a folder on the hosts."),
        ('network: ""', 'network: ""\n    secrets: [otapgate_snapshot_root]',
         "'otapgate_snapshot_root' is not a folder on the hosts."),
        ("stage: T", "stage: T\n    name: P", "can't be called 'P', like a stage"),
        ("agenda-a:", "Agenda-T:", "The host 'Agenda-T' is defined twice"),
        ("stage: A", "stage: A\n    name: AGENDA-T", "'AGENDA-T' is defined twice"),
    ],
)  # fmt: skip
def test_a_wrong_street_is_told_with_its_line(root: Path, old: str, new: str, message: str) -> None:
    first = edit(root / "environments/agenda.yml", old, new)
    found = [p for p in problems_of(root) if message in p.message]
    assert found, told(root)
    assert found[0].file == "environments/agenda.yml"
    assert found[0].line is not None
    assert first <= found[0].line <= first + 20
    assert found[0].remedy


def test_a_street_without_production_or_in_the_wrong_order_is_refused(root: Path) -> None:
    (root / "environments/agenda.yml").write_text(
        "street: agenda\n"
        "environments:\n"
        "  - {stage: A, owner: Daan Jansen, hosts: {h1: }}\n"
        "  - {stage: T, owner: Daan Jansen, hosts: {h2: }}\n"
    )
    assert told(root) == [
        ("environments/agenda.yml:4", "Stage T stands after A in street 'agenda'."),
        ("environments/agenda.yml:2", "Street 'agenda' has no production (P)."),
    ]


def test_production_alone_is_no_street(root: Path) -> None:
    (root / "environments/agenda.yml").write_text(
        "street: agenda\nenvironments:\n  - {stage: P, owner: Daan Jansen, hosts: {h1: }}\n"
    )
    [problem] = problems_of(root)
    assert problem.line == 2
    assert "at least 2" in problem.message


def test_two_files_that_define_the_same_are_both_named(root: Path) -> None:
    shutil.copy(root / "environments/agenda.yml", root / "environments/copy.yml")
    found = told(root)
    assert found[0] == (
        "environments/copy.yml:5",
        "The street 'agenda' is defined twice; the first is in environments/agenda.yml:5.",
    )
    assert {message.split("'")[1] for _where, message in found} == {
        "agenda", "agenda-T", "agenda-A", "agenda-P", "agenda-t", "agenda-a", "agenda-p",
    }  # fmt: skip


def street(name: str, **hosts: str) -> str:
    rows = "".join(
        f"  - {{stage: {stage}, owner: Daan Jansen, hosts: {{{host}}}}}\n"
        for stage, host in hosts.items()
    )
    return f"street: {name}\nenvironments:\n{rows}"


def test_production_and_test_on_one_address_are_refused(root: Path) -> None:
    (root / "environments/agenda.yml").write_text(
        street("agenda", T="t1: {ansible_host: 192.0.2.7}", P="p1: {ansible_host: 192.0.2.7}")
    )
    [(where, message)] = told(root)
    assert where == "environments/agenda.yml:4"
    assert "192.0.2.7 port 22" in message
    assert "agenda-T too (environments/agenda.yml:3)" in message


def test_two_hosts_of_a_stage_on_ports_of_their_own_are_fine(root: Path) -> None:
    (root / "environments/agenda.yml").write_text(
        street(
            "agenda",
            T="t1: {ansible_host: 192.0.2.7, ansible_port: 2201}",
            P="p1: {ansible_host: 192.0.2.7, ansible_port: 2202}",
        )
    )
    assert len(load(root).environments()) == 2


def test_two_streets_may_share_a_machine_within_production(root: Path) -> None:
    (root / "environments/agenda.yml").write_text(
        street("agenda", T="t1: {ansible_host: 192.0.2.7}", P="p1: {ansible_host: 192.0.2.8}")
    )
    other = root / "environments/portal.yml"
    other.write_text(
        street("portal", T="t2: {ansible_host: 192.0.2.7}", P="p2: {ansible_host: 192.0.2.8}")
    )
    assert len(load(root).streets) == 2
    edit(other, "192.0.2.8", "192.0.2.7")
    assert "is of agenda-T too" in told(root)[0][1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  low: {high: P3, medium: P4, low: P4}", "  low: {high: P3, medium: P4}",
         "no priority for impact low with urgency low"),
        ("  P4: {change-manager: 1}", "", "Nobody authorises changes of priority P4."),
        ("  P4: {change-manager: 1}", "  P4: {}", "Nobody authorises changes of priority P4."),
        ("  P4: {change-manager: 1}", "  P4: {change-manager: 0}", "must be at least 1"),
        ("matrix:", "rehearsal: {P1: some}\nmatrix:", "'some' doesn't say where"),
        ("matrix:", "rules: {OG301: {severity: off}}\nmatrix:", "set to off without 'because'"),
        ("matrix:", "rules: {OG301: {severity: warn, because: x}}\nmatrix:", "without 'owner'"),
        ("  P: [process-owner, change-manager]", "  P: [process-owner, process-owner]",
         "'process-owner' stands in the list twice."),
        ("tests: 30", "tests: 0", "must be at least 1"),
        ("[ibp-officer]", "[ibp]", "is the text \"ibp\""),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_told_with_its_line(root: Path, old: str, new: str, message: str) -> None:
    edit(root / "policy.yml", old, new)
    found = [p for p in problems_of(root) if message in p.message]
    assert found, told(root)
    assert found[0].where is not None
    assert found[0].where.startswith("policy.yml:")
    assert found[0].remedy


def test_a_rule_turned_off_needs_reason_owner_and_end(root: Path) -> None:
    line = edit(root / "policy.yml", "matrix:", "rules:\n  OG301: {severity: off}\nmatrix:")
    assert [problem.line for problem in problems_of(root)] == [line + 1] * 3


def test_dates_in_the_calendar_are_whole_days_in_the_landscapes_zone(root: Path) -> None:
    (root / "calendar.yml").write_text(
        "freezes:\n"
        "  - {name: Exams, start: 2026-05-07, end: 2026-05-28}\n"
        "  - {name: Evening, start: '2026-03-29T18:00:00+02:00', end: '2026-03-29T23:00:00+02:00',"
        " streets: [agenda]}\n"
    )
    exams, evening = load(root).freezes
    assert (exams.start, exams.end) == ("2026-05-07T00:00:00+02:00", "2026-05-29T00:00:00+02:00")
    assert evening.start == "2026-03-29T18:00:00+02:00"
    assert evening.streets == ("agenda",)


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("{name: x, start: 2026-02-02, end: 2026-02-01}", "'x' ends before it begins."),
        ("{name: x, start: 2026-02-01, end: 2026-02-01, streets: [agnda]}",
         "There is no street 'agnda'."),
        ("{name: x, start: '2026-02-01T10:00:00', end: 2026-02-03}",
         "is not a date, nor a time with zone"),
        ("{name: x, start: 2026-02-01}", "'end' is missing in 'freezes[1]'."),
        ("{name: x, start: 2026-02-01, end: 9999-12-31}", "is too far away"),
    ],
)  # fmt: skip
def test_a_wrong_freeze_is_told_with_its_line(root: Path, freeze: str, message: str) -> None:
    (root / "calendar.yml").write_text(f"freezes:\n  - {freeze}\n")
    [problem] = problems_of(root)
    assert message in problem.message
    assert problem.where == "calendar.yml:2"


def test_a_day_of_freeze_is_no_empty_period(root: Path) -> None:
    (root / "calendar.yml").write_text(
        "freezes:\n  - {name: x, start: 2026-02-01, end: 2026-02-01}\n"
    )
    assert len(load(root).freezes) == 1


def test_files_that_are_missing_are_named(root: Path) -> None:
    (root / "policy.yml").unlink()
    shutil.rmtree(root / "environments")
    assert {problem.file for problem in problems_of(root)} == {"policy.yml", "environments"}


def test_a_file_with_the_other_ending_is_not_passed_over_in_silence(root: Path) -> None:
    (root / "environments/portal.yaml").write_text("street: portal\n")
    [(where, message)] = told(root)
    assert where == "environments/portal.yaml"
    assert "'.yaml'" in message


def test_the_root_is_found_from_below(root: Path) -> None:
    assert find_root(root / "environments") == root
    assert find_root(root / "not" / "there") == root


def test_no_landscape_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        find_root(tmp_path)
    assert caught.value.code == "landscape-missing"
    assert "otapgate init" in (caught.value.remedy or "")


def test_check_asks_every_subject_about_its_files(root: Path) -> None:
    assert check_all(root) == []
    for name in ("plans/a.yml", "releases/a.yml", "releases/b/release.yml", "anonymizers/a.yml",
                 "changes/a.yml", "otapgate.yml"):  # fmt: skip
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("nonsense: 1\n")
    (root / "plans/b.yaml").write_text("")
    (root / "plans/.draft.yml").write_text("nonsense: 1\n")
    files = {problem.file for problem in check_all(root)}
    assert files == {
        "plans/a.yml", "releases/a.yml", "releases/b/release.yml", "anonymizers/a.yml",
        "changes/a.yml", "otapgate.yml", "plans/b.yaml",
    }  # fmt: skip


def test_a_checker_that_is_missing_is_not_taken_for_approval(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "plans/a.yml").write_text("plan: a\n")
    monkeypatch.setattr(loading, "CHECKS", (("plans/*.yml", "otapgate.nowhere:check_file"),))
    with pytest.raises(ImportError):
        check_all(root)


# People


def test_owners_become_people_whatever_the_case(root: Path) -> None:
    landscape = with_people(load(root), [("daan JANSEN", "p-1"), ("Iemand Anders", "p-2")])
    assert {env.owner for env in landscape.environments()} == {"p-1"}
    assert [e.digest for e in landscape.environments()] == [
        e.digest for e in load(root).environments()
    ]


def test_an_owner_nobody_or_two_people_are_enrolled_as_is_nobody(root: Path) -> None:
    landscape = load(root)
    two = [("Daan Jansen", "p-1"), ("DAAN JANSEN", "p-2")]
    same = [("Daan Jansen", "p-1"), ("Daan Jansen", "p-2")]
    for ids in ([], [("Daan", "p-1")], two, same):
        assert {env.owner for env in with_people(landscape, ids).environments()} == {""}


# The cache


def test_the_cache_says_the_same_as_the_files(root: Path, tmp_path: Path) -> None:
    fresh = load(root)
    assert cached(root, tmp_path / "cache") == fresh
    assert cached(root, tmp_path / "cache") == fresh
    mode = (tmp_path / "cache/landscape.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_the_cache_is_what_is_used_while_nothing_changed(root: Path, tmp_path: Path) -> None:
    cached(root, tmp_path)
    file = tmp_path / "landscape.json"
    content = json.loads(file.read_text())
    content["landscape"]["name"] = "from the cache"
    file.write_text(json.dumps(content))
    assert cached(root, tmp_path).name == "from the cache"


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename"])
def test_the_cache_is_not_used_once_a_file_changed(root: Path, tmp_path: Path, change: str) -> None:
    (root / "environments/portal.yml").write_text(
        street("portal", T="t1: {ansible_host: t}", P="p1: {ansible_host: p}")
    )
    cached(root, tmp_path / "cache")
    if change == "edit":
        edit(root / "otapgate.yml", "Stichting De Linde", "De Linde")
    elif change == "add":
        (root / "environments/extra.yml").write_text(
            street("extra", T="t2: {ansible_host: t2}", P="p2: {ansible_host: p2}")
        )
    elif change == "remove":
        (root / "environments/portal.yml").unlink()
    else:
        (root / "environments/portal.yml").rename(root / "environments/z.yml")
    assert cached(root, tmp_path / "cache") == load(root)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"tool": 1}'])
def test_a_damaged_cache_is_passed_over_and_renewed(
    root: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "landscape.json").write_bytes(content)
    assert cached(root, tmp_path) == load(root)
    assert (tmp_path / "landscape.json").read_bytes() != content


def test_a_cache_of_another_version_is_not_used(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(root, tmp_path)
    before = (tmp_path / "landscape.json").read_bytes()
    monkeypatch.setattr(loading, "__version__", "99")
    assert cached(root, tmp_path) == load(root)
    assert (tmp_path / "landscape.json").read_bytes() != before


def test_a_cache_that_cannot_be_written_stops_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would come")
    assert cached(root, tmp_path / "cache") == load(root)


def test_a_broken_landscape_is_told_from_the_cache_too(root: Path, tmp_path: Path) -> None:
    cached(root, tmp_path)
    (root / "policy.yml").write_text("x")
    with pytest.raises(BadInput):
        cached(root, tmp_path)


def test_a_warm_cache_needs_neither_yaml_nor_pydantic(root: Path, tmp_path: Path) -> None:
    cached(root, tmp_path)
    program = (
        "import sys, pathlib\n"
        "from otapgate.landscape.load import cached, find_root\n"
        f"cached(find_root(pathlib.Path({str(root)!r})), pathlib.Path({str(tmp_path)!r}))\n"
        "print([m for m in ('yaml', 'pydantic', 'sqlalchemy') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# Any landscape

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
TEXT = st.from_regex(r"[A-Z][a-zé]{1,8} [A-Z][a-z]{1,8}", fullmatch=True)
PLAIN_VALUE = st.booleans() | st.integers(-(10**6), 10**6) | st.text(
    st.characters(codec="ascii", exclude_categories=["C"]), max_size=8
) | st.from_regex(r"[0-9]{1,3}[eE][0-9]{1,3}|0[0-9]{1,3}|[0-9]_[0-9]", fullmatch=True)  # fmt: skip
VARIABLES = st.dictionaries(
    st.from_regex(r"[a-n][a-z_]{0,8}", fullmatch=True).filter(lambda n: n[:8] != "ansible_"),
    PLAIN_VALUE, max_size=3,
)  # fmt: skip


class Quoting(yaml.SafeDumper):
    """Quotes text that looks like a number, as people must: PyYAML knows no 1e100."""


def _text(dumper: Quoting, text: str) -> yaml.ScalarNode:
    looks_like = re.fullmatch(r"[-+]?[0-9.][0-9._]*([eE][-+]?[0-9]+)?", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if looks_like else None)


Quoting.add_representer(str, _text)


@st.composite
def street_files(draw: st.DrawFn, number: int) -> dict[str, object]:
    before = draw(st.sets(st.sampled_from(STAGES[:3]), min_size=1))
    stages = [stage for stage in STAGES if stage in before or stage == "P"]
    return {
        "street": f"s{number}-{draw(NAMES)}",
        "title": draw(TEXT),
        "environments": [
            {
                "stage": stage,
                "owner": draw(TEXT),
                "hosts": {f"h{number}-{stage}-{i}": draw(VARIABLES) for i in range(draw(
                    st.integers(1, 3)))},
                "variables": draw(VARIABLES),
                "access": draw(st.dictionaries(
                    NAMES, st.lists(st.sampled_from(ROLES), unique=True, max_size=3), max_size=2)),
                "retention_days": draw(st.integers(1, 3660)),
                "data": {"max_age_days": draw(st.integers(1, 3660))},
            }
            for stage in stages
        ],
    }  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture],
          deadline=None)  # fmt: skip
@given(data=st.data())
def test_any_sound_landscape_comes_back_whole(root: Path, data: st.DataObject) -> None:
    for file in (root / "environments").iterdir():
        file.unlink()
    written = [data.draw(street_files(n)) for n in range(data.draw(st.integers(1, 2)))]
    for number, file in enumerate(written):
        (root / f"environments/{number}.yml").write_text(
            yaml.dump(file, Dumper=Quoting, sort_keys=False, allow_unicode=True)
        )
    landscape = load(root)
    for file, made in zip(written, landscape.streets, strict=True):
        assert made.name == file["street"]
        for entry, env in zip(file["environments"], made.environments, strict=True):  # type: ignore[call-overload]
            assert {host.name: host.variables for host in env.hosts} == entry["hosts"]
            assert env.variables == entry["variables"]
            assert {k: list(v) for k, v in env.access.items()} == entry["access"]
            assert env.digest == approval.description(env)
    encoded = msgspec.json.encode(landscape)
    assert msgspec.json.decode(encoded, type=Landscape) == landscape
    canonical.encode(msgspec.to_builtins(landscape, str_keys=True))
    shutil.rmtree(root / ".otapgate/cache", ignore_errors=True)
    assert cached(root, root / ".otapgate/cache") == landscape
    assert cached(root, root / ".otapgate/cache") == landscape


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture],
          deadline=None)  # fmt: skip
@given(
    name=st.sampled_from(["otapgate.yml", "policy.yml", "calendar.yml", "environments/agenda.yml"]),
    cut=st.integers(0, 3000),
    soup=st.binary(max_size=40),
)
def test_no_damage_to_a_file_crashes_the_loader(
    root: Path, name: str, cut: int, soup: bytes
) -> None:
    path = root / name
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:cut] + soup + whole[cut + len(soup) :])
        problems = check_all(root)
        assert all(problem.message and problem.file for problem in problems)
    finally:
        path.write_bytes(whole)


def test_zones_are_known_where_the_system_has_none(root: Path) -> None:
    """Debian's Python doesn't ask for the system's zone data, and small images lack it."""
    done = subprocess.run(
        [sys.executable, "-m", "otapgate", "--landscape", str(root), "check"],
        env={**os.environ, "PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


# Secrets


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("        ansible_connection: local",
         "        ansible_connection: local\n        ansible_become_password: hunter2",
         "ansible_become_password"),
        ('network: ""', 'network: ""\n    variables: {db: {API_Token: abc}}', "API_Token"),
        ('network: ""', 'network: ""\n    variables: {secrets_of_app: [1, 2]}', "secrets_of_app"),
        ('network: ""', "network: \"\"\n    variables: {private_key: \"{{ 'abc' }}\"}",
         "private_key"),
    ],
)  # fmt: skip
def test_a_secret_written_out_is_refused_without_repeating_it(
    root: Path, old: str, new: str, word: str
) -> None:
    file = root / "environments/agenda.yml"
    line = edit(file, old, new) + new.count("\n")
    ((where, message),) = told(root)
    assert where == f"environments/agenda.yml:{line}"
    assert word in message or "secrets_of_app" in new
    for value in ("hunter2", "abc"):
        assert value not in message


def test_a_secret_that_is_named_and_not_written_is_read(root: Path) -> None:
    file = root / "environments/agenda.yml"
    edit(file, 'network: ""',
         'network: ""\n    secrets: [db_password, ansible_become_password]')  # fmt: skip
    edit(file, "        ansible_connection: local",
         '        ansible_connection: local\n        app_secret: "{{ db_password }}"\n'
         "        ansible_ssh_private_key_file: ~/.ssh/id_ed25519\n"
         '        password_needed: true\n        old_token: ""')  # fmt: skip
    before = load(root).environments()[0]
    assert before.secrets == ("db_password", "ansible_become_password")
    edit(file, "[db_password, ", "[db_pass, ")
    assert load(root).environments()[0].digest != before.digest


@pytest.mark.parametrize(
    ("secrets", "word"),
    [("[ansible_host]", "ansible_host"), ("[otapgate_release]", "otapgate"),
     ("[a b]", "a b"), ("[db, db]", "twice"), ("[home]", "variable with a value")],
)  # fmt: skip
def test_a_secret_decides_nothing_else_and_is_given_once(
    root: Path, secrets: str, word: str
) -> None:
    file = root / "environments/agenda.yml"
    edit(file, 'network: ""', f'network: ""\n    secrets: {secrets}')
    edit(file, "        ansible_connection: local",
         "        ansible_connection: local\n        home: /srv")  # fmt: skip
    assert any(word in message for _where, message in told(root))


def test_an_environment_says_where_snapshots_lie(root: Path) -> None:
    edit(root / "environments/agenda.yml", 'network: ""',
         'network: ""\n    variables: {otapgate_snapshot_root: /srv/snap-shots}')  # fmt: skip
    said = [environment.variables for environment in load(root).environments()]
    assert {"otapgate_snapshot_root": "/srv/snap-shots"} in said
