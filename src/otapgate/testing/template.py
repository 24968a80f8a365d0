"""Templates in test plans: `{{ port }}` over an environment's variables.

Jinja as Ansible has it, sandboxed, and an undefined variable is an error instead of an
empty text: a check of `http://127.0.0.1:/` would prove something else.
"""

from __future__ import annotations

from collections.abc import Mapping
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
