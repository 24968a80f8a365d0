"""One command line from arguments to exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from otapgate import i18n
from otapgate.cli import failure, language
from otapgate.cli.options import from_environment, use
from otapgate.cli.output import render
from otapgate.errors import OtapgateError


def run(argv: Sequence[str] | None = None) -> int:
    """Parse `argv` (None: this process's), make the call, print, return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What must be known even when parsing fails: how to say so.
    before = words[: words.index("--")] if "--" in words else words
    i18n.use(language.choose(words))
    use(
        from_environment(
            landscape=language.value_of(words, "--landscape"),
            key=None,
            json="--json" in before,
            yes=False,
            debug="--debug" in before,
        )
    )
    try:
        from otapgate.cli.parsing import Call, parse

        call = parse(words)
        if not isinstance(call, Call):
            return failure.tell_interrupted() if call == failure.INTERRUPTED else call
        use(call.options)
        return int(render(call.function(**call.arguments)))
    except OtapgateError as error:
        return failure.tell(error)
    except KeyboardInterrupt:
        return failure.tell_interrupted()
    except Exception as error:  # noqa: BLE001 - the last place where anything can be told
        return failure.tell_unexpected(error, words)
