"""Evidence without secrets, of a bounded size."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otapgate.secrets_filter import MASK, SHORTEST, SecretsFilter
from otapgate.testing.evidence import shorten

SECRET = 'Ge"heim & 123/é'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    text = SecretsFilter([SECRET])(f"before {form} after")
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "heim" not in text
    assert MASK in text


def test_every_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBBCCCC\n-----END KEY-----\n"
    assert "AAAABBBB" not in SecretsFilter([key])("x AAAABBBBCCCC y")


def test_a_secret_within_a_secret_is_masked_whole() -> None:
    assert SecretsFilter(["wachtwoord", "wachtwoord123"])("wachtwoord123") == MASK


def test_empty_secrets_mask_nothing() -> None:
    assert SecretsFilter(["", " ", "\n"])("plain") == "plain"


@given(st.text(), st.lists(st.text(min_size=1) | st.text(min_size=SHORTEST), max_size=3))
def test_no_secret_survives(text: str, secrets: list[str]) -> None:
    mask = SecretsFilter(secrets)
    filtered = mask(text + secrets[0] if secrets else text)
    for secret in secrets:
        if len(secret.strip()) >= SHORTEST and not set(secret) & set(MASK):
            assert secret not in filtered
            assert mask.longest >= len(secret.encode("utf-8", "replace"))


@given(st.text(alphabet=st.characters(), max_size=200), st.integers(2, 50))
@example("\ud800", 2)
def test_shortened_text_is_storable_and_short(text: str, limit: int) -> None:
    short = shorten(text, limit)
    short.encode("utf-8")
    assert len(short) <= limit + 60
    if len(text) <= limit:
        # Half a surrogate pair can't be stored.
        assert short == text.encode("utf-8", "replace").decode()


def test_lone_surrogates_can_be_kept() -> None:
    assert shorten("a\udce9b") == "a?b"
