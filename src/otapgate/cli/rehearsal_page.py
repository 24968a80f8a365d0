"""A rehearsal as a page: a table of every task and every fault. Plain HTML, no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otapgate.i18n import _, language

_PAGE = """<!doctype html>
<html lang="{{ lang }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; padding: .5rem 0 }
th, td { border: 1px solid #767676; padding: .3rem .6rem; text-align: left; vertical-align: top }
td.good { background: #e3f4e3 } td.bad { background: #fbe3e3 }
ul { margin: 0; padding-left: 1.1rem }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p>{{ message }}</p>
<dl>
{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl>
<table>
<caption>{{ caption }}</caption>
<thead><tr><th scope="col">{{ task_word }}</th>
{% for kind, word in kinds %}<th scope="col">{{ word }}</th>
{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}<tr><th scope="row">{{ row.name }}</th>
{% for kind, word in kinds %}{% set case = row.cases.get(kind) %}{% if case is none %}<td>–</td>
{% elif case.restored %}<td class="good">{{ restored }}</td>
{% else %}<td class="bad"><strong>{{ not_restored }}</strong><ul>
{% for item in case.left %}<li>{{ item }}</li>
{% endfor %}</ul></td>
{% endif %}{% endfor %}</tr>
{% endfor %}</tbody>
</table>
</main>
</body>
</html>
"""


def page(release: str, found: Mapping[str, Any]) -> str:
    """HTML of a rehearsal as `rehearse --json` has it; everything in it is escaped."""
    from jinja2 import Environment

    rows: dict[int, dict[str, Any]] = {}
    for case in found["cases"]:
        name = f"{case['index']}. {case['task']}" if case["index"] else _("whole deployment")
        row = rows.setdefault(case["index"], {"name": name, "cases": {}})
        row["cases"][case["fault"]] = case
    kinds = [
        ("none", _("not cut")), ("kill", _("Ansible killed")), ("fail", _("task fails")),
        ("unreachable", _("host unreachable")),
    ]  # fmt: skip
    return (
        Environment(autoescape=True)
        .from_string(_PAGE)
        .render(
            lang=language(),
            title=_("Rollback rehearsal of {release}").format(release=release),
            message=found["message"],
            facts=[
                (
                    _("Outcome"),
                    _("restored") if found["outcome"] == "restored" else _("NOT restored"),
                ),
                (_("Environment"), found["environment"]),
                (_("Longest rollback"), f"{found['seconds_rollback']:.1f} s"),
                (_("Rehearsal"), found["id"]),
                (_("Evidence"), found["evidence"]),
            ],
            caption=_("Instead of which task the deployment was cut, and what came back."),
            task_word=_("Task"),
            kinds=kinds,
            rows=[rows[index] for index in sorted(rows)],
            restored=_("restored"),
            not_restored=_("NOT restored"),
        )
    )
