"""SSH signatures, both ways against stock ssh-keygen, and what must never verify."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from hypothesis import given
from hypothesis import strategies as st

from otapgate.ledger import keys, sshkey, sshsig, wire
from otapgate.ledger.sshsig import BadSignature

NAMESPACE = "acceptance@otapgate"
MESSAGE = b'{"what":"a statement"}'
VECTORS = Path(__file__).parent / "vectors" / "openssh"
KINDS = {
    "ed25519": ["-t", "ed25519"],
    "p256": ["-t", "ecdsa", "-b", "256"],
    "p384": ["-t", "ecdsa", "-b", "384"],
    "p521": ["-t", "ecdsa", "-b", "521"],
    "rsa2048": ["-t", "rsa", "-b", "2048"],
    "rsa3072": ["-t", "rsa", "-b", "3072"],
}
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"


@pytest.fixture(scope="session")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A private key file of every software kind, made by ssh-keygen."""
    folder = tmp_path_factory.mktemp("keys")
    for kind, options in KINDS.items():
        command = ["ssh-keygen", "-q", *options, "-N", "", "-C", "a comment", "-f", folder / kind]
        subprocess.run(command, check=True)
    return {kind: folder / kind for kind in KINDS}


def keygen_sign(key: Path, message: bytes = MESSAGE, *options: str) -> str:
    command = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, *options, "-f", str(key)]
    done = subprocess.run(command, input=message, capture_output=True, check=True)
    return done.stdout.decode()


def keygen_accepts(tmp_path: Path, public: sshsig.PublicKey, armored: str, message: bytes) -> bool:
    (tmp_path / "signature").write_text(armored)
    (tmp_path / "signers").write_text(f"tester {public.line}\n")
    common = ["-n", NAMESPACE, "-s", str(tmp_path / "signature")]
    results = [
        subprocess.run(
            ["ssh-keygen", "-Y", *command], input=message, capture_output=True, check=False
        )
        for command in (
            ["verify", "-f", str(tmp_path / "signers"), "-I", "tester", *common],
            ["check-novalidate", *common],
        )
    ]
    return all(one.returncode == 0 for one in results)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_by_ssh_keygen_verifies(key_files: dict[str, Path], kind: str) -> None:
    public = sshsig.parse_public_key(key_files[kind].with_suffix(".pub").read_text())
    armored = keygen_sign(key_files[kind])
    assert sshsig.verify(armored, MESSAGE, NAMESPACE) == public
    assert sshsig.signer_fingerprint(armored) == public.fingerprint


@pytest.mark.parametrize("kind", ["ed25519", "rsa2048"])
def test_a_signature_with_sha256_verifies(key_files: dict[str, Path], kind: str) -> None:
    armored = keygen_sign(key_files[kind], MESSAGE, "-O", "hashalg=sha256")
    assert sshsig.parse(armored).hash == "sha256"
    sshsig.verify(armored, MESSAGE, NAMESPACE)


@pytest.mark.parametrize("kind", KINDS)
def test_ssh_keygen_verifies_a_signature_made_here(
    key_files: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    signer = keys.from_file(key_files[kind], None)
    armored = signer.sign(MESSAGE, NAMESPACE)
    assert keygen_accepts(tmp_path, signer.public, armored, MESSAGE)
    assert not keygen_accepts(tmp_path, signer.public, armored, MESSAGE + b"!")


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprint_and_line_are_those_of_ssh_keygen(
    key_files: dict[str, Path], kind: str
) -> None:
    pub = key_files[kind].with_suffix(".pub")
    listed = subprocess.run(["ssh-keygen", "-lf", pub], capture_output=True, text=True, check=True)
    key = sshsig.parse_public_key(pub.read_text())
    assert key.fingerprint == listed.stdout.split()[1]
    assert key.fingerprint == sshsig.fingerprint_of_line(pub.read_text())
    assert key.fingerprint == sshsig.fingerprint_of_line(key.line)
    assert pub.read_text() == f"{key.line} a comment\n"
    assert sshsig.parse_public_key(key.line) == key


@pytest.mark.parametrize("kind", KINDS)
def test_another_message_namespace_or_key_does_not_verify(
    key_files: dict[str, Path], kind: str
) -> None:
    armored = keygen_sign(key_files[kind])
    with pytest.raises(BadSignature, match="doesn't match"):
        sshsig.verify(armored, MESSAGE + b" ", NAMESPACE)
    with pytest.raises(BadSignature, match="was made for acceptance@otapgate"):
        sshsig.verify(armored, MESSAGE, "signoff@otapgate")
    body = sshsig.parse(armored).body
    other = keys.from_file(key_files[kind], None).public
    swapped = other.blob[:-1] + bytes([other.blob[-1] ^ 1])
    algorithm = wire.string(sshsig.parse(armored).algorithm.encode())
    forged = sshsig.assemble(sshsig.PublicKey(other.type, swapped), NAMESPACE, algorithm + body)
    with pytest.raises(BadSignature):
        sshsig.verify(forged, MESSAGE, NAMESPACE)


# FIDO keys, whose signatures are put together here as an authenticator would.


def sk_ed25519(application: bytes = b"ssh:") -> tuple[sshsig.PublicKey, Callable[..., str]]:
    private = ed25519.Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes_raw()
    public = sshsig.from_blob(b"".join(map(wire.string, (SK_ED25519.encode(), raw, application))))
    return public, touch(public, application, lambda data: wire.string(private.sign(data)))


def sk_ecdsa(application: bytes = b"ssh:") -> tuple[sshsig.PublicKey, Callable[..., str]]:
    private = ec.generate_private_key(ec.SECP256R1())
    point = private.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    fields = (SK_ECDSA.encode(), b"nistp256", point, application)

    def sign(data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
        return wire.string(wire.mpint(r) + wire.mpint(s))

    public = sshsig.from_blob(b"".join(map(wire.string, fields)))
    return public, touch(public, application, sign)


def touch(
    public: sshsig.PublicKey, application: bytes, sign: Callable[[bytes], bytes]
) -> Callable[..., str]:
    def signed(flags: int = 1, claimed: int | None = None, tail: bytes = b"") -> str:
        counter = (41).to_bytes(4, "big")
        tbs = hashlib.sha256(sshsig.to_be_signed(NAMESPACE, MESSAGE)).digest()
        data = hashlib.sha256(application).digest() + bytes([flags]) + counter + tbs
        said = bytes([flags if claimed is None else claimed]) + counter + tail
        body = wire.string(public.type.encode()) + sign(data) + said
        return sshsig.assemble(public, NAMESPACE, body)

    return signed


@pytest.mark.parametrize("make", [sk_ed25519, sk_ecdsa])
def test_a_touched_security_key_verifies_here_and_with_ssh_keygen(
    make: Callable[[], tuple[sshsig.PublicKey, Callable[..., str]]], tmp_path: Path
) -> None:
    public, signed = make()
    armored = signed()
    assert sshsig.verify(armored, MESSAGE, NAMESPACE) == public
    assert keygen_accepts(tmp_path, public, armored, MESSAGE)


@pytest.mark.parametrize("make", [sk_ed25519, sk_ecdsa])
def test_what_the_authenticator_said_is_read(
    make: Callable[[], tuple[sshsig.PublicKey, Callable[..., str]]],
) -> None:
    _public, signed = make()
    touched = sshsig.check(sshsig.parse(signed(1)), MESSAGE, NAMESPACE)
    assert touched == sshsig.Authenticator(present=True, verified=False, counter=41, flags=1)
    pin = sshsig.check(sshsig.parse(signed(5)), MESSAGE, NAMESPACE)
    assert pin is not None
    assert pin.verified


@pytest.mark.parametrize("make", [sk_ed25519, sk_ecdsa])
def test_a_security_key_that_was_not_touched_is_refused(
    make: Callable[[], tuple[sshsig.PublicKey, Callable[..., str]]],
) -> None:
    _public, signed = make()
    with pytest.raises(BadSignature, match="touched"):
        sshsig.verify(signed(flags=4), MESSAGE, NAMESPACE)
    with pytest.raises(BadSignature, match="doesn't match"):
        sshsig.verify(signed(flags=0, claimed=1), MESSAGE, NAMESPACE)
    with pytest.raises(BadSignature, match="goes on"):
        sshsig.verify(signed(tail=b"\0"), MESSAGE, NAMESPACE)


def test_a_security_key_for_another_application_is_refused() -> None:
    public, signed = sk_ed25519(b"ssh:")
    other = public.blob.removesuffix(wire.string(b"ssh:")) + wire.string(b"web:")
    body = sshsig.parse(signed()).body
    forged = sshsig.assemble(
        sshsig.from_blob(other), NAMESPACE, wire.string(SK_ED25519.encode()) + body
    )
    with pytest.raises(BadSignature, match="doesn't match"):
        sshsig.verify(forged, MESSAGE, NAMESPACE)


def _dummy() -> Path:
    """Where `tools/security-key` unpacks it, or where the package is installed."""
    within = "usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    unpacked = cache / "otapgate" / "openssh-tests" / within
    return unpacked if unpacked.exists() else Path("/", within)


DUMMY = _dummy()


@pytest.mark.skipif(
    not DUMMY.exists() and not os.environ.get("CI"),
    reason="OpenSSH's imitation of a security key isn't there: see tools/security-key",
)
@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_the_dummy_authenticator_of_openssh_signs_what_verifies(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_SK_PROVIDER", str(DUMMY))
    key = tmp_path / "key"
    made = ["ssh-keygen", "-q", "-t", kind, "-w", str(DUMMY), "-N", "", "-f", str(key)]
    subprocess.run(made, check=True, capture_output=True)
    signer = keys.from_file(key, None)
    armored = signer.sign(MESSAGE, NAMESPACE)
    assert sshsig.verify(armored, MESSAGE, NAMESPACE) == signer.public


# OpenSSH's own vectors


@pytest.mark.parametrize("name", ["ed25519", "ecdsa", "rsa", "ed25519_sk", "ecdsa_sk"])
def test_the_signatures_of_openssh_itself_verify(name: str) -> None:
    message, namespace = (VECTORS / "signed-data").read_bytes(), (VECTORS / "namespace").read_text()
    armored = (VECTORS / f"{name}.sig").read_text()
    public = sshsig.parse_public_key((VECTORS / f"{name}.pub").read_text())
    assert sshsig.verify(armored, message, namespace) == public
    with pytest.raises(BadSignature):
        sshsig.verify(armored, message + b"x", namespace)


@pytest.mark.parametrize("name", ["dsa", "ecdsa_sk_webauthn"])
def test_the_kinds_that_are_not_accepted_are_refused(name: str) -> None:
    with pytest.raises(BadSignature, match="aren't accepted"):
        sshsig.parse((VECTORS / f"{name}.sig").read_text())


# Strictness


def rebuilt(armored: str, **changes: bytes) -> str:
    """The signature with fields of its envelope replaced."""
    reader = wire.Reader(sshsig.dearmor(armored))
    fields: dict[str, bytes] = {"magic": reader.take(6), "version": reader.take(4)}
    for name in ("public", "namespace", "reserved", "hash", "signature"):
        fields[name] = reader.string()
    fields["tail"] = b""
    fields |= changes
    strings = (fields[name] for name in ("public", "namespace", "reserved", "hash", "signature"))
    whole = fields["magic"] + fields["version"] + b"".join(map(wire.string, strings))
    return sshsig.armor(whole + fields["tail"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"magic": b"SSHSIX"}, "isn't an SSH signature"),
        ({"version": b"\0\0\0\2"}, "version 2"),
        ({"version": b"\0\0\0\0"}, "version 0"),
        ({"reserved": b"x"}, "reserved"),
        ({"hash": b"sha1"}, "hashes with sha1"),
        ({"hash": b"sha384"}, "hashes with sha384"),
        ({"hash": b"sha256"}, "doesn't match"),
        ({"namespace": b"\xff"}, "printable ASCII"),
        ({"namespace": b"a\x1b[2J"}, "printable ASCII"),
        ({"namespace": b"signoff@otapgate"}, "was made for signoff@otapgate"),
        ({"tail": b"\0"}, "goes on after its end"),
        ({"signature": b""}, "ends too early"),
        ({"signature": wire.string(b"ssh-ed25519")}, "ends too early"),
        ({"signature": wire.string(b"ssh-ed25519") + wire.string(b"x" * 63)}, "doesn't match"),
        ({"signature": wire.string(b"ssh-ed25519") + wire.string(b"x" * 64) + b"!"}, "goes on"),
        ({"signature": wire.string(b"ssh-dss") + wire.string(b"x" * 40)}, "kind ssh-dss"),
        ({"signature": wire.string(b"rsa-sha2-512") + wire.string(b"x")}, "aren't accepted"),
        ({"public": b""}, "ends too early"),
        ({"public": wire.string(b"ssh-ed25519")}, "ends too early"),
        ({"public": wire.string(b"ssh-ed25519") + wire.string(b"x")}, "isn't valid"),
    ],
)
def test_a_signature_with_a_bad_envelope_is_refused(
    key_files: dict[str, Path], changes: dict[str, bytes], sentence: str
) -> None:
    armored = keygen_sign(key_files["ed25519"])
    assert rebuilt(armored) == armored
    with pytest.raises(BadSignature, match=sentence):
        sshsig.verify(rebuilt(armored, **changes), MESSAGE, NAMESPACE)


def test_openssh_ignores_a_filled_reserved_field_and_this_does_not(
    key_files: dict[str, Path], tmp_path: Path
) -> None:
    armored = rebuilt(keygen_sign(key_files["ed25519"]), reserved=b"x")
    public = keys.from_file(key_files["ed25519"], None).public
    assert keygen_accepts(tmp_path, public, armored, MESSAGE)
    with pytest.raises(BadSignature, match="reserved"):
        sshsig.verify(armored, MESSAGE, NAMESPACE)


def test_armour_in_any_other_form_is_refused(key_files: dict[str, Path]) -> None:
    armored = keygen_sign(key_files["ed25519"])
    lines = armored.splitlines()
    one_line = "".join(lines[1:-1])
    for other in (
        "",
        armored.rstrip("\n"),
        armored + "\n",
        " " + armored,
        armored.replace("\n", "\r\n"),
        "\n".join([lines[0], one_line, lines[-1], ""]),
        "\n".join([lines[0], "", *lines[1:], ""]),
        "\n".join([lines[0], lines[1] + "=", *lines[2:], ""]),
        "\n".join([lines[0], "é" + lines[1][1:], *lines[2:], ""]),
        "\n".join([lines[0], lines[-1], ""]),
        armored + armored,
        armored.replace("SSH SIG", "PGP SIG"),
        "x" * (sshsig.MAX_ARMOR + 1),
    ):
        with pytest.raises(BadSignature):
            sshsig.dearmor(other)


def test_rsa_with_sha1_is_refused() -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key()
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    data = sshsig.to_be_signed(NAMESPACE, MESSAGE)
    raw = private.sign(data, padding.PKCS1v15(), hashes.SHA1())
    armored = sshsig.assemble(
        sshsig.parse_public_key(line.decode()),
        NAMESPACE,
        wire.string(b"ssh-rsa") + wire.string(raw),
    )
    with pytest.raises(BadSignature, match="kind ssh-rsa"):
        sshsig.verify(armored, MESSAGE, NAMESPACE)


def openssh_line(public: object) -> str:
    line: bytes = public.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return line.decode()


def line_of(name: bytes, *fields: bytes) -> str:
    blob = b"".join(map(wire.string, (name, *fields)))
    return f"{name.decode()} {base64.b64encode(blob).decode()}"


POINT = ec.generate_private_key(ec.SECP256R1()).public_key()
COMPRESSED = POINT.public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
)
WHOLE = POINT.public_bytes(
    serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
)
ED = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
GOOD = line_of(b"ssh-ed25519", ED)
ODD_MODULUS = (1 << 2047) + 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "one line"),
        ("ssh-ed25519", "one line"),
        (GOOD + "\n" + GOOD, "one line"),
        (GOOD + " comment\0", "one line"),
        ("restrict " + GOOD, "aren't accepted"),
        (" " + GOOD, "aren't accepted"),
        (GOOD.replace(" ", "  "), "base64"),
        (GOOD[:-2], "base64"),
        (GOOD + "=", "base64"),
        ("ssh-ed25519 é", "base64"),
        (GOOD.replace("ssh-ed25519 ", "ssh-rsa "), "another type"),
        (line_of(b"ssh-ed25519", ED, b""), "goes on"),
        (line_of(b"ssh-ed25519", ED + b"\0"), "isn't valid"),
        (line_of(b"ssh-ed25519-cert-v01@openssh.com", ED), "aren't accepted"),
        ("ssh-ed25519 " + base64.b64encode(wire.string(b"ssh-dss")).decode(), "aren't accepted"),
        ((VECTORS / "dsa.pub").read_text(), "aren't accepted"),
        (openssh_line(rsa.generate_private_key(65537, 1024).public_key()), "2048 to 16384"),
        (line_of(b"ssh-rsa", b"\3", b"\x01" * 2049), "2048 to 16384"),
        (line_of(b"ssh-rsa", b"\1" * 9, wire.mpint(ODD_MODULUS)[4:]), "isn't valid"),
        (line_of(b"ssh-rsa", b"\2", wire.mpint(ODD_MODULUS)[4:]), "isn't valid"),
        (line_of(b"ssh-rsa", b"\0\3", wire.mpint(ODD_MODULUS)[4:]), "shortest form"),
        (line_of(b"ssh-rsa", b"", wire.mpint(ODD_MODULUS)[4:]), "positive"),
        (line_of(b"ssh-rsa", b"\xff", wire.mpint(ODD_MODULUS)[4:]), "positive"),
        (line_of(b"ecdsa-sha2-nistp256", b"nistp384", WHOLE), "another curve"),
        (line_of(b"ecdsa-sha2-nistp256", b"nistp256", COMPRESSED), "uncompressed"),
        (line_of(b"ecdsa-sha2-nistp256", b"nistp256", b""), "uncompressed"),
        (line_of(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + b"\1" * 64), "isn't valid"),
        (line_of(b"ecdsa-sha2-nistp384", b"nistp384", WHOLE), "isn't valid"),
        (line_of(SK_ED25519.encode(), ED), "ends too early"),
        (line_of(SK_ECDSA.encode(), b"nistp256", WHOLE), "ends too early"),
    ],
    ids=map(str, range(99)),  # the keys are random, and workers must agree on the names
)
def test_a_public_key_that_is_not_right_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(BadSignature, match=sentence):
        sshsig.parse_public_key(line)


def test_a_public_key_line_may_end_in_a_newline_of_either_kind() -> None:
    key = sshsig.parse_public_key(GOOD)
    assert sshsig.parse_public_key(GOOD + "\n") == key
    assert sshsig.parse_public_key(GOOD + " who@where\r\n") == key


def test_a_line_without_a_key_has_no_fingerprint() -> None:
    for line in ("", "ssh-ed25519", "ssh-ed25519 ???"):
        with pytest.raises(BadSignature):
            sshsig.fingerprint_of_line(line)


def test_ecdsa_numbers_in_a_longer_form_are_refused() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = sshsig.parse_public_key(openssh_line(private.public_key()))
    data = sshsig.to_be_signed(NAMESPACE, MESSAGE)
    r, s = utils.decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
    name = wire.string(b"ecdsa-sha2-nistp256")
    padded = wire.string(b"\0" + wire.mpint(r)[4:]) + wire.mpint(s)
    trailing = wire.mpint(r) + wire.mpint(s) + b"\0"
    good = wire.mpint(r) + wire.mpint(s)
    sshsig.verify(sshsig.assemble(public, NAMESPACE, name + wire.string(good)), MESSAGE, NAMESPACE)
    for bad in (padded, trailing):
        with pytest.raises(BadSignature):
            sshsig.verify(
                sshsig.assemble(public, NAMESPACE, name + wire.string(bad)), MESSAGE, NAMESPACE
            )


def test_reading_who_signed_does_not_import_cryptography(key_files: dict[str, Path]) -> None:
    armored = keygen_sign(key_files["ed25519"])
    code = (
        "import sys; from otapgate.ledger import sshsig;"
        "print(sshsig.signer_fingerprint(sys.stdin.read()));"
        "assert 'cryptography' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=armored, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("SHA256:")


# Mutations

_SAMPLES: dict[str, str] = {}


@pytest.fixture(scope="session", autouse=True)
def _samples(key_files: dict[str, Path]) -> None:
    for kind in ("ed25519", "p256", "rsa2048"):
        _SAMPLES[kind] = keygen_sign(key_files[kind])
    _SAMPLES["sk-ed25519"] = sk_ed25519()[1]()
    _SAMPLES["sk-ecdsa"] = sk_ecdsa()[1]()


@given(st.sampled_from(["ed25519", "p256", "rsa2048", "sk-ed25519", "sk-ecdsa"]), st.data())
def test_a_mutated_blob_never_verifies(kind: str, data: st.DataObject) -> None:
    blob = sshsig.dearmor(_SAMPLES[kind])
    index = data.draw(st.integers(0, len(blob) - 1))
    operation = data.draw(st.sampled_from(["flip", "drop", "insert", "cut"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    mutated = {
        "flip": blob[:index] + bytes([blob[index] ^ (byte[0] or 1)]) + blob[index + 1 :],
        "drop": blob[:index] + blob[index + 1 :],
        "insert": blob[:index] + byte + blob[index:],
        "cut": blob[:index],
    }[operation]
    assert mutated != blob
    with pytest.raises(BadSignature):
        sshsig.verify(sshsig.armor(mutated), MESSAGE, NAMESPACE)


@given(st.sampled_from(["ed25519", "p256", "rsa2048"]), st.data())
def test_a_mutated_text_never_verifies(kind: str, data: st.DataObject) -> None:
    text = _SAMPLES[kind]
    index = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters().filter(lambda c: c != text[index]))
    with pytest.raises(BadSignature):
        sshsig.verify(text[:index] + character + text[index + 1 :], MESSAGE, NAMESPACE)


@given(st.binary(max_size=300))
def test_arbitrary_blobs_never_break_the_reader(data: bytes) -> None:
    for text in (sshsig.armor(data), sshsig.armor(b"SSHSIG\0\0\0\1" + data)):
        with pytest.raises(BadSignature):
            sshsig.verify(text, MESSAGE, NAMESPACE)
    with pytest.raises(BadSignature):
        sshkey.from_blob(wire.string(b"ssh-rsa") + data)


def test_ssh_keygen_is_here() -> None:
    assert shutil.which("ssh-keygen"), "these tests compare with stock OpenSSH"
