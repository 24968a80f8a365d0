"""What the probes find is told in sentences that name host, account and thing."""

from __future__ import annotations

import pytest

from otapgate.cli import probe_words as words

KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (("host-key", "t1", "p1", KEY, KEY), f"t1 and p1 have the same SSH host key: {KEY}"),
        (("host-key", "t1", "p1", "ssh-ed25519", "ssh-ed25519"),
         "t1 and p1 have the same SSH host key, by their descriptions (ssh-ed25519)"),
        (("database", "agenda-T", "agenda-P", "databases", "url"),
         "agenda-T and agenda-P use the same database, by their descriptions (databases, url)"),
        (("database", "t1", "p1", "/srv/a", "/srv/b"),
         "t1 and p1 use the same database: /srv/a, /srv/b"),
        (("something", "t1", "p1", "this", ""), "t1, p1: something: this"),
    ],
)  # fmt: skip
def test_what_is_on_both_sides_is_said_once(found: tuple[str, ...], text: str) -> None:
    one = dict(zip(("kind", "from", "to", "what", "there"), found, strict=True))
    assert words.shared("agenda-T", one) == text


def test_who_gets_in_and_shouldnt_is_said_by_account_and_way() -> None:
    one = {"host": "t1", "account": "stray", "what": "root", "detail": "sudo", "who": ""}
    assert words.stray(one) == "t1: the account stray may become root, by sudo, and the rules" \
                               " don't say so"  # fmt: skip
    one |= {"what": "key", "detail": "SHA256:x", "who": "Bram"}
    assert words.stray(one).endswith("opens the account stray (SHA256:x): the key of Bram")
    assert "isn't there" in words.missing({**one, "what": "account"})
