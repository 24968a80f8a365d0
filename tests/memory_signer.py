"""A signer for tests: an Ed25519 key in memory that signs as the key files of `keys` do."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from otapgate.ledger import sshsig, wire


class MemorySigner:
    """One key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        raw = self._key.public_key().public_bytes_raw()
        self.public = sshsig.from_blob(wire.string(b"ssh-ed25519") + wire.string(raw))

    def sign(self, message: bytes, namespace: str) -> str:
        raw = self._key.sign(sshsig.to_be_signed(namespace, message))
        signature = wire.string(b"ssh-ed25519") + wire.string(raw)
        return sshsig.assemble(self.public, namespace, signature)
