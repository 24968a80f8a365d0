"""What probes find, in sentences: things on both sides, accounts that aren't as described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otapgate.i18n import _


def shared(environment: str, one: Mapping[str, Any]) -> str:
    """One thing that a host and production have in common."""
    sentences = {
        "machine-id": _("{source} and {to} have the same machine id"),
        "host-key": _("{source} and {to} have the same SSH host key"),
        "disk": _("{source} and {to} have the same disk"),
        "mount": _("{source} and {to} mount the same network folder"),
        "private-key": _("{source} and {to} have the same private key"),
        "opens": _("a private key on {source} opens an account on {to}"),
        "database": _("{source} and {to} use the same database"),
        "password": _("{source} and {to} have the same password"),
        "authorised-key": _("{source} and {to} let the same key in"),
        "connection": _("{source} is connected to {to} at this moment"),
        "secret": _("{source} and {to} have the same value for a secret"),
    }
    kind, what, there = one["kind"], one["what"], one["there"]
    text = sentences.get(kind, f"{{source}}, {{to}}: {kind}").format(
        source=one["from"], to=one["to"]
    )
    told = what if there in ("", what) else f"{what}, {there}"
    described = one["from"] == environment or not what.startswith("/")
    if kind in ("database", "host-key") and described:
        return _("{found}, by their descriptions ({what})").format(found=text, what=told)
    return f"{text}: {told}"


def stray(one: Mapping[str, Any]) -> str:
    """Somebody who gets in, or may do more, than the rules say."""
    sentences = {
        "account": _("{host}: the account {account} isn't in the rules, and one can log in to it"
                     " ({detail})"),
        "key": _("{host}: a key that the rules don't know opens the account {account} ({detail})"),
        "builder-key": _("{host}: the key of {who}, a builder, opens the account {account}"
                         " ({detail})"),
        "root": _("{host}: the account {account} may become root, by {detail}, and the rules don't"
                  " say so"),
    }  # fmt: skip
    text = sentences.get(one["what"], "{host}: {account}: {detail}").format(**one)
    if one["who"] and one["what"] == "key":
        return _("{found}: the key of {who}").format(found=text, who=one["who"])
    return text


def missing(one: Mapping[str, Any]) -> str:
    """What the rules say and a host doesn't have."""
    if one["what"] == "root":
        text = _("{host}: the account {account} may not become root, though the rules say so")
    else:
        text = _("{host}: the account {account} of the rules isn't there, or nobody can log in to"
                 " it")  # fmt: skip
    return text.format(**one)
