"""Options that hold for every command, wherever they stand on the line.

They are taken off the arguments before the command is parsed, so `otapgate --json status`
and `otapgate status --json` are the same. A bare `--` ends that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from otapgate import errors
from otapgate.i18n import N_, _

FLAGS = {"--json": "json", "--yes": "yes", "-y": "yes", "--debug": "debug"}
VALUES = {"--landscape": "landscape", "--key": "key", "--lang": "lang"}

HELP: tuple[tuple[str, str], ...] = (
    ("--landscape DIR", N_("The landscape; else the nearest otapgate.yml upward.")),
    ("--key FILE", N_("Who acts: a private key, or the .pub of an agent key.")),
    ("--json", N_("One JSON object on standard output, nothing else.")),
    ("--lang nl|en", N_("Language of messages.")),
    ("--yes, -y", N_("Answer yes where a person would be asked.")),
    ("--version", N_("Which otapgate this is.")),
    ("--debug", N_("Show where an unexpected error came from.")),
)


@dataclass(frozen=True)
class Options:
    """What was asked for on the whole of the command line."""

    landscape: str | None = None
    key: str | None = None
    lang: str | None = None
    json: bool = False
    yes: bool = False
    debug: bool = False

    @property
    def start(self) -> Path:
        """Where looking for the landscape begins."""
        return Path(self.landscape or ".")


_current = Options()


def options() -> Options:
    """The options in force."""
    return _current


def use(found: Options) -> None:
    """Put options in force; for the entry point."""
    global _current  # noqa: PLW0603 - one command line per process
    _current = found


def from_environment() -> Options:
    """What the environment variables say."""
    return Options(
        landscape=os.environ.get("OTAPGATE_LANDSCAPE") or None,
        key=os.environ.get("OTAPGATE_KEY") or None,
        lang=os.environ.get("OTAPGATE_LANG") or None,
        debug=os.environ.get("OTAPGATE_DEBUG", "") not in ("", "0"),
    )


def _nothing_asks(_words: Sequence[str], _option: str) -> bool:
    return False


def split(
    argv: Sequence[str], asks: Callable[[Sequence[str], str], bool] = _nothing_asks
) -> tuple[Options, list[str]]:
    """The options, and the arguments without them; raises Usage for a value left out.

    `asks` says whether an option of the command that the words before it name takes the
    next argument as its value: in `--because --json`, that is a reason and no option.
    """
    found = from_environment()
    rest: list[str] = []
    waiting = list(argv)
    while waiting:
        argument = waiting.pop(0)
        name, equals, value = argument.partition("=")
        if argument == "--":
            return found, [*rest, argument, *waiting]
        ours = argument in FLAGS or name in VALUES
        if ours and rest and rest[-1].startswith("-") and asks(rest[:-1], rest[-1]):
            rest.append(argument)
            continue
        if argument in FLAGS:
            given: dict[str, Any] = {FLAGS[argument]: True}
            found = replace(found, **given)
        elif name in VALUES:
            if not equals:
                if not waiting:
                    use(found)  # so that --json holds for this answer too
                    raise errors.Usage(
                        "option-empty", _("{option} needs a value.").format(option=name)
                    )
                value = waiting.pop(0)
            given = {VALUES[name]: value}
            found = replace(found, **given)
        else:
            rest.append(argument)
    return found, rest


def find_landscape() -> Path:
    """The landscape's folder; raises BadInput when there is none."""
    from otapgate.landscape.load import find_root

    asked = options().landscape
    if asked is not None and not (Path(asked) / "otapgate.yml").is_file():
        raise errors.BadInput(
            "landscape-not-found",
            _("There is no landscape in {directory}: it has no otapgate.yml.").format(
                directory=asked
            ),
            remedy="otapgate init DIR --role-admin NAME=KEY.pub --key KEY",
            where=asked,
        )
    return find_root(options().start)
