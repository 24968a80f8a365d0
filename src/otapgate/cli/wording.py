"""The parser's own words in the user's language.

The library that parses says things in English only: headings of the help, and what is
wrong with a call. Here they are said again as sentences of ours.
"""

from __future__ import annotations

import re
from typing import Any

from otapgate.cli.output import fillable
from otapgate.i18n import _


def page(text: str) -> str:
    """A help page with the parser's headings and remarks in the user's language."""
    said = {
        "Usage: ": _("Usage: "),
        "Options:": _("Options:"),
        "Arguments:": _("Arguments:"),
    }
    lines = []
    for line in text.splitlines():
        for english, own in said.items():
            if line.startswith(english):
                line = own + line[len(english) :]  # noqa: PLW2901
                break
        lines.append(line)
    found = "\n".join(lines)
    found = found.replace("[OPTIONS]", _("[OPTIONS]")).replace("[ARGS]...", _("[ARGS]..."))
    found = found.replace("COMMAND", _("COMMAND"))
    found = fillable(found)
    found = found.replace("Show this message and exit.", _("Show this and stop."))
    required, default = _("required"), _("by default")
    found = re.sub(r"\[(?:default: (\S+); )?required\]", f"[{required}]", found)
    return re.sub(r"\[default: ", f"[{default}: ", found)


def usage(error: Any) -> str:
    """What is wrong with a call, from the parser's exception `error`."""
    name = type(error).__name__
    param = getattr(error, "param", None)
    what = _parameter(param) if param is not None else None
    if name == "NoSuchOption":
        text = _("There is no option {option} here.").format(option=error.option_name)
        near = getattr(error, "possibilities", None)
        if near:
            text += " " + _("Did you mean {names}?").format(names=", ".join(sorted(near)))
        return text
    if name == "MissingParameter" and what is not None:
        return _("{what} is missing.").format(what=what)
    if name == "BadParameter" and what is not None:
        return _("{what} is not right: {message}").format(
            what=what, message=_value(str(error.message))
        )
    if name == "BadOptionUsage":
        return _("{option} needs a value.").format(option=error.option_name)
    message = str(error.format_message())
    extra = re.match(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)$", message, re.DOTALL)
    if extra:
        return _("There is more than this command takes: {words}").format(words=extra[1])
    return message


def _value(message: str) -> str:
    """What is wrong with a value, as the library that checks it says."""
    if message.startswith("Input should be a valid integer"):
        return _("a whole number is wanted")
    for english, own in (
        ("less than or equal to", _("at most {limit}")),
        ("greater than or equal to", _("at least {limit}")),
    ):
        found = re.match(rf"Input should be {english} (\S+)$", message)
        if found:
            return own.format(limit=found[1])
    return message


def _parameter(param: Any) -> str:
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.metavar or param.name.upper())
