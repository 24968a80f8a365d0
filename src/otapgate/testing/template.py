"""Templates in test plans: `{{ port }}` over an environment's variables.

Jinja as Ansible has it, sandboxed, and an undefined variable is an error instead of an
empty text: a check of `http://127.0.0.1:/` would prove something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from otapgate.errors import BadInput
from otapgate.i18n import _
from otapgate.landscape.yaml_positions import shown

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

MAX_ROUNDS = 8
"""How deep variables may refer to variables."""
MAX_TEXT = 1 << 20


@cache
def _jinja() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
    )


def fault(text: str) -> str | None:
    """Why `text` can't be read as a template; None when it can."""
    from jinja2 import TemplateSyntaxError

    try:
        _jinja().parse(text)
    except TemplateSyntaxError as error:
        return shown(str(error.message), 120)
    return None


def names(text: str) -> set[str]:
    """The variables that a template asks for; none for one that can't be read."""
    from jinja2 import TemplateSyntaxError, meta

    try:
        asked = meta.find_undeclared_variables(_jinja().parse(text))
    except TemplateSyntaxError:
        return set()
    return asked - set(_jinja().globals)


_ALONE = re.compile(r"\s*\{\{((?:(?!\{\{|\}\}).)*)\}\}\s*", re.DOTALL)


def value(given: Any, variables: Mapping[str, Any]) -> Any:
    """A value with the texts in it filled in; a variable that stands alone keeps what it
    is, so that `{{ port }}` is a number. Raises BadInput as `render` does."""
    if isinstance(given, dict):
        return {key: value(inner, variables) for key, inner in given.items()}
    if isinstance(given, list):
        return [value(inner, variables) for inner in given]
    if not isinstance(given, str):
        return given
    alone = _ALONE.fullmatch(given)
    if alone is not None:
        with suppress(Exception):  # whatever it is, `render` says it below
            found = _jinja().compile_expression(alone[1], undefined_to_none=False)(**variables)
            if found is None or isinstance(found, bool | int | float | list | dict):
                return found
    return render(given, variables)


def render(text: str, variables: Mapping[str, Any]) -> str:
    """`text` with its variables filled in, and theirs in turn, as Ansible does. Raises
    BadInput (`template-unresolved`) that says what is undefined or wrong."""
    # A variable whose text never settles (a: "{{ a }}") must end too.
    for _round in range(MAX_ROUNDS):
        if "{{" not in text and "{%" not in text:
            return text
        try:
            text = _jinja().from_string(text).render(variables)
        except Exception as error:  # whatever a template can make Python raise
            raise BadInput(
                "template-unresolved",
                _("{template} can't be filled in: {reason}.").format(
                    template=shown(text, 200), reason=shown(str(error), 200)
                ),
                remedy=_("Set the variable in the environment's file, or mend the plan."),
            ) from error
        if len(text) > MAX_TEXT:
            break
    raise BadInput(
        "template-unresolved",
        _("{template} can't be filled in: its variables refer to each other without end.").format(
            template=shown(text, 200)
        ),
        remedy=_("Mend the variables in the environment's file."),
    )
