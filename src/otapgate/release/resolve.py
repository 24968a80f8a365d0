"""Which release is meant by `app@version` or by the beginning of a digest. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from otapgate.errors import BadInput, Problem
from otapgate.i18n import _
from otapgate.landscape.model import Value

SHORTEST = 6
"""Hexadecimal digits that a digest prefix needs at least."""

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-fA-F]{1,64})\Z")


class Resolved(Value, frozen=True):
    """The release that is meant."""

    name: str
    digest: str
    superseded: tuple[str, ...] = ()
    """Digests of earlier, other builds under the same name, oldest first: worth telling
    when the release was named by name."""


def resolve(argument: str, known: Sequence[tuple[str, str]]) -> Resolved:
    """The release that `argument` names among `known`, pairs of name (`app@version`) and
    digest in the order in which they were built; the latest build of a name wins.

    Raises BadInput: `release-unknown` with what may have been meant, or
    `release-ambiguous` with the candidates as problems.
    """
    wanted = argument.strip()
    if "@" in wanted:
        digests = list(dict.fromkeys(reversed([d for name, d in known if name == wanted])))
        if digests:
            return Resolved(wanted, digests[0], tuple(reversed(digests[1:])))
        raise _unknown(wanted, known)
    match = _PREFIX.match(wanted)
    if match is None:
        raise _unknown(wanted, known)
    prefix = "sha256:" + match.group(1).lower()
    hits = {digest: name for name, digest in known if digest.startswith(prefix)}
    if len(match.group(1)) < SHORTEST:
        if any(name.partition("@")[0] == wanted for name, _digest in known):
            raise _unknown(wanted, known)
        raise BadInput(
            "release-ambiguous",
            _("{argument} is too short to name a release.").format(argument=repr(wanted)),
            remedy=_("Give app@version, or at least {n} digits of the digest.").format(n=SHORTEST),
        )
    if len(hits) > 1:
        raise BadInput(
            "release-ambiguous",
            _("{argument} may be {n} different releases.").format(argument=wanted, n=len(hits)),
            remedy=_("Give more digits of the digest."),
            problems=tuple(Problem(f"{name} {digest}") for digest, name in sorted(hits.items())),
        )
    for digest, name in hits.items():
        return Resolved(name, digest)
    raise _unknown(wanted, known)


def _unknown(argument: str, known: Sequence[tuple[str, str]]) -> BadInput:
    names = list(dict.fromkeys(name for name, _digest in known))
    app = argument.partition("@")[0]
    same_app = [name for name in names if name.partition("@")[0] == app]
    likely = difflib.get_close_matches(argument, names, n=3, cutoff=0.5)
    meant = list(dict.fromkeys([*same_app[-3:][::-1], *likely]))[:3]
    if meant:
        remedy = _("Did you mean {names}?").format(names=", ".join(meant))
    elif names:
        remedy = _("See the releases with: otapgate release list")
    else:
        remedy = _("No release was built yet. Build one with: otapgate release build FILE")
    return BadInput(
        "release-unknown",
        _("There is no release {argument}.").format(argument=repr(argument)[1:-1]),
        remedy=remedy,
    )
