"""What runs on the hosts: Python 3.8 and its standard library, nothing else.

Each module is one part of a script: a function that takes what was asked and returns JSON
values, and `UNKNOWN`, to which it adds a sentence in English for what it could not see.
They are sent as text (`script`), never imported there, and change nothing.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

_OWN = re.compile(r"^from otapgate\S* import .*$", re.MULTILINE)
"""What makes sense here only."""
_END = """
import json as _json, sys as _sys
_found = {{}}
for _name, _text, _given in _json.loads({asked!r}):
    _space = dict(globals())
    exec(compile(_text, "otapgate: " + _name, "exec"), _space)
    _found[_name] = _space[_name](**_given)
_found["unknown"] = UNKNOWN
_sys.stdout.write(_json.dumps(_found))
_sys.stdout.flush()
"""


@functools.cache
def _text(name: str) -> str:
    text = (resources.files(__package__) / f"{name}.py").read_text(encoding="utf-8")
    return _OWN.sub("", text)


def script(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """The text that does `parts`: function (and module) name → its arguments."""
    asked = json.dumps([[name, _text(name), dict(given)] for name, given in parts.items()])
    return _text("reading") + _END.format(asked=asked)
