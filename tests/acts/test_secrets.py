"""Secrets: named in the landscape, kept outside it, and read only as private files."""

from __future__ import annotations

from pathlib import Path

import pytest

from otapgate import errors
from otapgate.acts import runs, secret_values
from otapgate.landscape.model import Environment, Host

VALUE = "Zeer-Geheim-123"


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of secrets with one of them."""
    folder = tmp_path / "vault" / "agenda-P"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "db_password").write_text(f"{VALUE}\n")
    (folder / "db_password").chmod(0o600)
    monkeypatch.setenv("OTAPGATE_SECRETS", str(tmp_path / "vault"))
    return folder


def environment(*secrets: str) -> Environment:
    return Environment("agenda-P", "P", "agenda", "Anna", (Host("p"),), secrets=secrets)


def test_a_secret_is_read_from_its_private_file(vault: Path, tmp_path: Path):
    assert secret_values.read(tmp_path / "linde", environment("db_password")) == {
        "db_password": VALUE
    }


def test_where_there_are_none_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OTAPGATE_SECRETS", raising=False)
    assert secret_values.read(tmp_path, environment()) == {}
    with pytest.raises(errors.BadInput) as refused:
        secret_values.read(tmp_path, environment("db_password"))
    assert refused.value.code == "secrets-missing"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda file: file.unlink(), "secret-missing"),
        (lambda file: file.chmod(0o640), "secret-exposed"),
        (lambda file: file.chmod(0o604), "secret-exposed"),
        (lambda file: file.write_text("abc\n"), "secret-malformed"),
        (lambda file: file.write_bytes(b"\xff\xfe" * 9), "secret-malformed"),
        (lambda file: file.write_text("x" * 70_000), "secret-malformed"),
        (lambda file: (file.rename(file.with_name("b")), file.symlink_to("b")), "secret-missing"),
        (lambda file: (file.unlink(), file.mkdir(mode=0o700)), "secret-m"),
    ],
)
def test_a_secret_that_is_not_kept_as_one_is_refused(vault: Path, tmp_path: Path, spoil, code):
    spoil(vault / "db_password")
    with pytest.raises(errors.BadInput) as refused:
        secret_values.read(tmp_path / "linde", environment("db_password"))
    assert refused.value.code.startswith(code)
    assert VALUE not in str(refused.value)


def test_secrets_within_the_landscape_are_refused(vault: Path, tmp_path: Path):
    with pytest.raises(errors.BadInput) as refused:
        secret_values.read(tmp_path, environment("db_password"))
    assert refused.value.code == "secrets-exposed"


def test_a_missing_secret_stops_a_run_before_there_is_one(
    office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    class Known:
        digest = "sha256:" + "1" * 64

    monkeypatch.delenv("OTAPGATE_SECRETS", raising=False)
    monkeypatch.setattr(runs, "manifest_of", lambda *_: None)
    monkeypatch.setattr("otapgate.release.unpack.unpack", lambda *_: None)
    with (
        office.open() as workspace,
        pytest.raises(errors.BadInput) as refused,
        runs.planned(workspace, environment("db_password"), Known(), None, "r", print),  # type: ignore[arg-type]
    ):
        raise AssertionError("not reached")
    assert refused.value.code == "secrets-missing"
