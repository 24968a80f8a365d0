"""The shell commands of docs/explanation/ledger-format.md, run as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from otapgate.ledger import checkpoint, keys
from otapgate.ledger.storage import Ledger

from .conftest import ORIGIN, write

DOCUMENT = Path(__file__).parents[2] / "docs" / "explanation" / "ledger-format.md"


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    signer = keys.from_file(key, None)
    with Ledger.create(f"sqlite:///{tmp_path / 'ledger.db'}", ORIGIN) as ledger:
        write(ledger, signer, notes="Zoë agrees")
        write(ledger, signer, act="signoff")
        text = checkpoint.make(ledger.head(), ORIGIN, signer)
    (tmp_path / "checkpoint.txt").write_text(text)
    (tmp_path / "signers").write_text(f"sanne {signer.public.line}\n")
    return tmp_path


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 6
    script = "set -eu\n" + "\n".join(blocks)
    return subprocess.run(
        ["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_stranger_can_check_a_ledger_with_the_commands_of_the_document(prepared: Path) -> None:
    done = run(prepared)
    assert done.returncode == 0, done.stderr
    assert 'Good "acceptance@otapgate" signature for sanne' in done.stdout
    assert 'committed to: "Zoë agrees"' in done.stdout
    assert 'Good "checkpoint@otapgate" signature for sanne' in done.stdout
    assert done.stdout.endswith("the checkpoint holds\n")


def test_the_commands_fail_on_a_checkpoint_of_another_log(prepared: Path) -> None:
    signer = keys.from_file(prepared / "key", None)
    with Ledger.create(f"sqlite:///{prepared / 'other.db'}", ORIGIN) as other:
        write(other, signer)
        write(other, signer)
        (prepared / "checkpoint.txt").write_text(checkpoint.make(other.head(), ORIGIN, signer))
    done = run(prepared)
    assert done.returncode != 0
    assert "the checkpoint holds" not in done.stdout
