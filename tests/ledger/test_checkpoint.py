"""Checkpoints: made and read in the C2SP form, and never believed without the key."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otapgate.ledger import checkpoint, keys, sshsig
from otapgate.ledger.sshsig import BadSignature
from otapgate.ledger.statement import Head

from .conftest import ORIGIN, MemorySigner

HEAD = Head(ORIGIN, 41, "ab" * 32)
SIGNER = MemorySigner()
TEXT = checkpoint.make(HEAD, ORIGIN, SIGNER)


def test_a_checkpoint_has_the_form_of_c2sp() -> None:
    lines = TEXT.split("\n")
    root = base64.b64encode(bytes.fromhex("ab" * 32)).decode()
    assert lines[:4] == [ORIGIN, "41", root, ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]


def test_the_key_id_is_made_as_the_documentation_says() -> None:
    data = base64.b64decode(TEXT.split("\n")[4].split(" ")[2])
    blob = base64.b64decode(SIGNER.public.line.split(" ")[1])
    expected = hashlib.sha256(
        ORIGIN.encode() + b"\x0a\xff" + b"otapgate.example/sshsig/v1" + blob
    ).digest()
    assert data[:4] == expected[:4]
    assert data[4:10] == b"SSHSIG"


def test_a_checkpoint_verifies_and_gives_its_head() -> None:
    assert checkpoint.verify(TEXT, SIGNER.public) == HEAD
    empty = Head("x", 0, "00" * 32)
    assert checkpoint.verify(checkpoint.make(empty, "x", SIGNER), SIGNER.public) == empty


def test_ssh_keygen_verifies_a_checkpoint(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    signer = keys.from_file(key, None)
    text = checkpoint.make(HEAD, ORIGIN, signer)
    body, line = text.split("\n\n")
    signature = base64.b64decode(line.split(" ")[2])[4:]
    (tmp_path / "sig").write_text(sshsig.armor(signature))
    (tmp_path / "signers").write_text(f"tester {signer.public.line}\n")
    command = ["ssh-keygen", "-Y", "verify", "-I", "tester", "-n", "checkpoint@otapgate"]
    command += ["-f", str(tmp_path / "signers"), "-s", str(tmp_path / "sig")]
    subprocess.run(command, input=f"{body}\n".encode(), check=True, capture_output=True)


def test_another_key_is_refused() -> None:
    with pytest.raises(BadSignature, match="isn't signed by"):
        checkpoint.verify(TEXT, MemorySigner().public)


def test_lines_of_other_keys_are_ignored() -> None:
    other = MemorySigner()
    both = TEXT + checkpoint.make(HEAD, "witness.example", other).split("\n\n")[1]
    assert checkpoint.verify(both, SIGNER.public) == HEAD
    assert checkpoint.verify(both, other.public) == HEAD
    unknown = TEXT + "— somebody.else AAAAAAA=\n"
    assert checkpoint.verify(unknown, SIGNER.public) == HEAD


def test_a_line_that_is_named_as_the_keys_must_verify() -> None:
    other = MemorySigner()
    theirs = sshsig.dearmor(
        other.sign(TEXT.split("\n\n")[0].encode() + b"\n", "checkpoint@otapgate")
    )
    mine = checkpoint.key_id(ORIGIN, SIGNER.public)
    forged = f"— {ORIGIN} {base64.b64encode(mine + theirs).decode()}\n"
    body = TEXT.split("\n\n")[0]
    with pytest.raises(BadSignature, match="another key"):
        checkpoint.verify(f"{body}\n\n{forged}", SIGNER.public)
    broken = f"— {ORIGIN} {base64.b64encode(mine + b'x').decode()}\n"
    with pytest.raises(BadSignature):
        checkpoint.verify(TEXT + broken, SIGNER.public)


def test_a_signature_made_for_an_act_is_no_checkpoint() -> None:
    body, _line = TEXT.split("\n\n")
    signature = sshsig.dearmor(SIGNER.sign(f"{body}\n".encode(), "acceptance@otapgate"))
    data = checkpoint.key_id(ORIGIN, SIGNER.public) + signature
    with pytest.raises(BadSignature, match="was made for"):
        checkpoint.verify(
            f"{body}\n\n— {ORIGIN} {base64.b64encode(data).decode()}\n", SIGNER.public
        )


LINE = TEXT.split("\n\n")[1]
ROOT = TEXT.split("\n")[2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        TEXT.rstrip("\n"),
        TEXT + "\n",
        TEXT.replace("\n", "\r\n"),
        f"{ORIGIN}\n41\n\n{LINE}",
        f"{ORIGIN}\n41\n{ROOT}\nextension\n\n{LINE}",
        f"{ORIGIN}\n041\n{ROOT}\n\n{LINE}",
        f"{ORIGIN}\n-1\n{ROOT}\n\n{LINE}",
        f"{ORIGIN}\n٤١\n{ROOT}\n\n{LINE}",
        f"{ORIGIN}\n{'9' * 17}\n{ROOT}\n\n{LINE}",
        f"two words\n41\n{ROOT}\n\n{LINE}",
        f"\n41\n{ROOT}\n\n{LINE}",
        f"{ORIGIN}\n41\n{ROOT[:-1]}\n\n{LINE}",
        f"{ORIGIN}\n41\nAAAA\n\n{LINE}",
        f"{ORIGIN}\n41\n{ROOT}\n\n",
        f"{ORIGIN}\n41\n{ROOT}\n\n{LINE.replace('—', '-')}",
        f"{ORIGIN}\n41\n{ROOT}\n\n{LINE.replace(' ', '  ')}",
        f"{ORIGIN}\n41\n{ROOT}\n\n— {ORIGIN}\n",
        f"{ORIGIN}\n41\n{ROOT}\n\n— a+b AAAAAAA=\n",
        f"{ORIGIN}\n41\n{ROOT}\n\n—  AAAAAAA=\n",
        f"{ORIGIN}\n41\n{ROOT}\n\n— x AAAAAA==\n",
        f"{ORIGIN}\n41\n{ROOT}\n\n— x ????\n",
        f"{ORIGIN}\n41\n{ROOT}\n\n{LINE * 17}",
        "x" * (checkpoint.MAX_TEXT + 1),
    ],
    ids=map(str, range(99)),  # the key is random, and workers must agree on the names
)
def test_a_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadSignature):
        checkpoint.parse(text)


def test_a_name_that_can_not_be_in_a_note_is_refused() -> None:
    with pytest.raises(ValueError, match="can't name a log"):
        checkpoint.make(HEAD, "two words", SIGNER)


@given(st.data())
def test_a_changed_character_never_verifies(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(TEXT) - 1))
    character = data.draw(st.characters().filter(lambda c: c != TEXT[index]))
    with pytest.raises(BadSignature):
        checkpoint.verify(TEXT[:index] + character + TEXT[index + 1 :], SIGNER.public)
