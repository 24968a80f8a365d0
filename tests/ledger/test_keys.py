"""Signing with files, a real agent and security keys, and every way it can go wrong."""

from __future__ import annotations

import base64
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519

from otapgate import errors
from otapgate.ledger import keys, sshsig, wire

NAMESPACE = "acceptance@otapgate"
MESSAGE = b"a statement"
PASSPHRASE = "correct horse"


def keygen(path: Path, *options: str, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", *(options or ("-t", "ed25519")), "-N", passphrase, "-f", path]
    subprocess.run(command, check=True)
    return path


def never(_prompt: str) -> str:
    raise AssertionError("nobody should be asked")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    keygen(folder / "ed25519")
    keygen(folder / "locked", passphrase=PASSPHRASE)
    keygen(folder / "p384", "-t", "ecdsa", "-b", "384")
    keygen(folder / "rsa", "-t", "rsa", "-b", "2048")
    keygen(folder / "pem", "-t", "rsa", "-b", "2048", "-m", "PEM")
    keygen(folder / "pem-locked", "-t", "ecdsa", "-b", "256", "-m", "PKCS8", passphrase=PASSPHRASE)
    return folder


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A real ssh-agent; called with key files, it takes them in."""
    told = subprocess.run(
        ["ssh-agent", "-s", "-a", str(tmp_path / "agent")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"SSH_AGENT_PID=(\d+)", told.stdout)
    assert found
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))

    def add(*paths: Path, options: tuple[str, ...] = ()) -> None:
        command = ["ssh-add", "-q", *options, *map(str, paths)]
        subprocess.run(command, check=True, capture_output=True)

    yield add
    os.kill(int(found[1]), signal.SIGTERM)


@pytest.mark.parametrize("name", ["ed25519", "p384", "rsa", "pem"])
def test_a_key_file_signs(made: Path, name: str) -> None:
    signer = keys.from_file(made / name, never)
    assert sshsig.verify(signer.sign(MESSAGE, NAMESPACE), MESSAGE, NAMESPACE) == signer.public
    assert signer.public == sshsig.parse_public_key((made / f"{name}.pub").read_text())


def test_rsa_signs_with_sha512(made: Path) -> None:
    armored = keys.from_file(made / "rsa", None).sign(MESSAGE, NAMESPACE)
    assert sshsig.parse(armored).algorithm == "rsa-sha2-512"


@pytest.mark.parametrize("name", ["locked", "pem-locked"])
def test_a_locked_key_asks_once_and_signs(made: Path, name: str) -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return PASSPHRASE

    signer = keys.from_file(made / name, ask)
    assert sshsig.verify(signer.sign(MESSAGE, NAMESPACE), MESSAGE, NAMESPACE) == signer.public
    assert len(asked) == 1
    assert str(made / name) in asked[0]


def refusal(act: Callable[[], object]) -> errors.Identity:
    with pytest.raises(errors.Identity) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("name", ["locked", "pem-locked"])
@pytest.mark.parametrize("wrong", ["", "wrong horse"])
def test_a_wrong_passphrase_says_so_without_repeating_it(made: Path, name: str, wrong: str) -> None:
    error = refusal(lambda: keys.from_file(made / name, lambda _prompt: wrong))
    assert error.code == "passphrase-wrong"
    assert "horse" not in error.message + (error.remedy or "")
    assert "ssh-add" in (error.remedy or "")


def test_a_locked_key_with_nobody_to_ask_says_what_to_do(made: Path) -> None:
    error = refusal(lambda: keys.from_file(made / "locked", None))
    assert error.code == "passphrase-needed"
    assert "ssh-add" in (error.remedy or "")


def test_without_a_terminal_nobody_is_asked(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123 - as a shell gives it
        monkeypatch.setattr(sys, "stdin", nothing)
        error = refusal(lambda: keys.from_file(made / "locked", keys.ask_passphrase))
    assert error.code == "passphrase-needed"


def test_on_a_terminal_the_passphrase_is_asked_for_and_not_shown(made: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from otapgate.ledger import keys;"
        "s = keys.from_file(Path(sys.argv[1]), keys.ask_passphrase); print(s.public.fingerprint)"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", code, str(made / "locked")])
    shown = b""
    answered = False
    while True:
        try:
            piece = os.read(terminal, 1024)
        except OSError:
            break
        shown += piece
        if not piece:
            break
        if not answered and b"Passphrase of" in shown:
            os.write(terminal, PASSPHRASE.encode() + b"\n")
            answered = True
    os.close(terminal)
    assert os.waitpid(child, 0)[1] == 0, shown
    assert b"SHA256:" in shown
    assert b"horse" not in shown


def test_on_a_terminal_getpass_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        # getpass would take the terminal of whoever runs the tests.
        monkeypatch.setattr("getpass.getpass", lambda prompt: f"answer to {prompt}")
        assert keys.ask_passphrase("What?") == "answer to What?"
    os.close(ours)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_a_private_key_that_others_can_read_is_refused(
    made: Path, tmp_path: Path, mode: int
) -> None:
    copy = Path(shutil.copy(made / "ed25519", tmp_path / "key"))
    copy.chmod(mode)
    error = refusal(lambda: keys.from_file(copy, never))
    assert error.code == "key-permissions"
    assert error.remedy == f"chmod 600 {copy}"
    copy.chmod(0o400)
    keys.from_file(copy, never)


def test_a_key_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert refusal(lambda: keys.from_file(tmp_path / "no", never)).code == "key-missing"
    assert refusal(lambda: keys.from_file(tmp_path, never)).code == "key-unreadable"


def openssh(blob: bytes) -> bytes:
    text = base64.b64encode(blob).decode()
    return (
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n".encode()
    )


PREFIX = b"openssh-key-v1\0" + wire.string(b"none") * 2 + wire.string(b"") + wire.uint32(1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n!!!\n-----END OPENSSH PRIVATE KEY-----\n",
        openssh(b""),
        openssh(b"another-magic!!" + b"\0" * 20),
        openssh(PREFIX + wire.string(b"")),
        openssh(PREFIX + wire.string(wire.string(b"ssh-ed25519") + wire.string(b"x" * 32))),
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        b"x" * (keys.MAX_FILE + 1),
    ],
)
def test_a_file_that_is_no_key_says_so(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(data)
    file.chmod(0o600)
    error = refusal(lambda: keys.from_file(file, never))
    assert error.code == "key-invalid"
    assert str(file) in error.message


@pytest.mark.parametrize(
    "private",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP256K1()),
        ed448.Ed448PrivateKey.generate(),
        x25519.X25519PrivateKey.generate(),
    ],
)
def test_a_key_of_a_kind_that_is_not_accepted_says_so(
    tmp_path: Path, private: ed25519.Ed25519PrivateKey
) -> None:
    file = tmp_path / "key"
    file.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    file.chmod(0o600)
    error = refusal(lambda: keys.from_file(file, never))
    assert error.code == "key-type"
    assert error.remedy == "ssh-keygen -t ed25519"


# The agent


@pytest.mark.parametrize("name", ["ed25519", "p384", "rsa"])
def test_the_agent_signs_for_a_public_key_file(
    made: Path, agent: Callable[..., None], name: str
) -> None:
    agent(made / "ed25519", made / "p384", made / "rsa")
    signer = keys.from_file(made / f"{name}.pub", never)
    armored = signer.sign(MESSAGE, NAMESPACE)
    assert sshsig.verify(armored, MESSAGE, NAMESPACE) == signer.public
    assert sshsig.parse(armored).algorithm in {signer.public.type, "rsa-sha2-512"}


def test_a_key_that_the_agent_lacks_says_so(made: Path, agent: Callable[..., None]) -> None:
    agent(made / "ed25519")
    error = refusal(lambda: keys.from_file(made / "rsa.pub", never))
    assert error.code == "key-not-in-agent"
    assert "ssh-add" in (error.remedy or "")
    signer = keys.from_file(made / "ed25519.pub", never)
    subprocess.run(["ssh-add", "-q", "-D"], check=True, capture_output=True)
    assert refusal(lambda: signer.sign(MESSAGE, NAMESPACE)).code == "key-not-in-agent"


def test_the_only_key_in_the_agent_is_taken(made: Path, agent: Callable[..., None]) -> None:
    assert refusal(keys.from_agent).code == "agent-empty"
    agent(made / "rsa")
    assert keys.from_agent().public == keys.from_file(made / "rsa.pub", never).public
    agent(made / "ed25519")
    error = refusal(keys.from_agent)
    assert error.code == "key-ambiguous"
    for one in keys.agent_keys():
        assert one.public.fingerprint in error.message


def test_the_only_enrolled_key_in_the_agent_is_taken(
    made: Path, agent: Callable[..., None]
) -> None:
    agent(made / "rsa", made / "ed25519")
    mine = keys.from_file(made / "ed25519.pub", never).public
    assert keys.only_enrolled({mine.fingerprint}).public == mine
    assert refusal(lambda: keys.only_enrolled({"SHA256:x"})).code == "key-unknown"
    assert refusal(lambda: keys.only_enrolled(set())).code == "key-unknown"


def test_keys_in_the_agent_that_are_not_accepted_are_passed_over(
    tmp_path: Path, agent: Callable[..., None]
) -> None:
    agent(keygen(tmp_path / "short", "-t", "rsa", "-b", "1024"))
    assert keys.agent_keys() == []
    assert refusal(keys.from_agent).code == "agent-empty"


def test_without_an_agent_it_says_how_to_start_one(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    error = refusal(keys.from_agent)
    assert error.code == "agent-missing"
    assert "ssh-agent" in (error.remedy or "")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert refusal(lambda: keys.from_file(made / "rsa.pub", never)).code == "agent-missing"
    error = refusal(lambda: keys.from_file(made / "rsa.pub", never))
    assert "rsa.pub is a public key" in error.message
    assert f"--key {made / 'rsa'}," in (error.remedy or "")


def test_another_trouble_with_the_agent_is_told_as_it_is(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> list[object]:
        raise errors.Identity("agent-failed", "It is locked.")

    monkeypatch.setattr(keys, "_listed", locked)
    error = refusal(lambda: keys.from_file(made / "rsa.pub", never))
    assert (error.code, error.message) == ("agent-failed", "It is locked.")


def test_an_agent_that_refuses_to_sign_is_told(made: Path, agent: Callable[..., None]) -> None:
    agent(made / "ed25519")
    signer = keys.from_agent()
    # A locked agent shows no keys; one that must confirm and can't, refuses.
    subprocess.run(["ssh-add", "-q", "-D"], check=True, capture_output=True)
    agent(made / "ed25519", options=("-c",))
    assert refusal(lambda: signer.sign(MESSAGE, NAMESPACE)).code == "agent-failed"


@pytest.fixture
def false_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """An agent that gives the answers that the test puts in the list, then hangs up."""
    answers: list[bytes] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "false"))
    server.listen()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "false"))

    def serve() -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            with connection:
                for answer in answers:
                    if not connection.recv(4096):
                        break
                    connection.sendall(wire.string(answer))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield answers
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(timeout=5)


def test_an_agent_that_answers_nonsense_is_told(false_agent: list[bytes]) -> None:
    false_agent.append(b"\xff nonsense")
    assert refusal(keys.agent_keys).code == "agent-failed"
    false_agent[:] = []
    assert refusal(keys.agent_keys).code == "agent-failed"


@pytest.mark.parametrize("how", ["garbage", "other message"])
def test_a_false_signature_of_an_agent_is_never_handed_out(
    made: Path, false_agent: list[bytes], how: str
) -> None:
    real = keys.from_file(made / "ed25519", never)
    listed = b"\x0c" + wire.uint32(1) + wire.string(real.public.blob) + wire.string(b"comment")
    body = b"garbage"
    if how == "other message":
        other = sshsig.parse(real.sign(b"something else", NAMESPACE))
        body = wire.string(b"ssh-ed25519") + other.body
    false_agent[:] = [listed, b"\x0e" + wire.string(body)]
    signer = keys.from_agent()
    error = refusal(lambda: signer.sign(MESSAGE, NAMESPACE))
    assert error.code == "signing-failed"


# Security keys: ssh-keygen is the one that talks to the token.


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A handle file as ssh-keygen -t ed25519-sk writes it, of a token that isn't here."""
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    name = b"sk-ssh-ed25519@openssh.com"
    public = wire.string(name) + wire.string(raw) + wire.string(b"ssh:")
    private = wire.uint32(7) * 2 + public + b"\x01" + wire.string(b"handle") + wire.string(b"")
    private += wire.string(b"a comment")
    private += bytes(range(1, 1 + -len(private) % 8))
    file = tmp_path / "token"
    body = openssh(PREFIX + wire.string(public) + wire.string(private))
    text = body.decode().splitlines()
    wrapped = "\n".join(text[1][i : i + 70] for i in range(0, len(text[1]), 70))
    file.write_text(f"{text[0]}\n{wrapped}\n{text[2]}\n")
    file.chmod(0o600)
    return file


def test_a_security_key_that_is_not_plugged_in_says_so(token: Path) -> None:
    signer = keys.from_file(token, never)
    assert signer.public.type == "sk-ssh-ed25519@openssh.com"
    error = refusal(lambda: signer.sign(MESSAGE, NAMESPACE))
    assert error.code == "signing-failed"
    assert "plugged in" in (error.remedy or "")


def test_a_security_key_needs_ssh_keygen(
    token: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signer = keys.from_file(token, never)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(lambda: signer.sign(MESSAGE, NAMESPACE)).code == "ssh-keygen-missing"


def test_a_signature_by_another_key_than_asked_is_refused(
    token: Path, made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signer = keys.from_file(token, never)
    real = shutil.which("ssh-keygen")
    wrapper = tmp_path / "bin" / "ssh-keygen"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {real} -Y sign -n "$4" -f {made / "ed25519"}\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent))
    assert refusal(lambda: signer.sign(MESSAGE, NAMESPACE)).code == "signing-failed"
