"""A rehearsal as a page: a table of every task and every fault. Plain HTML, no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otapgate.i18n import _, language

_PAGE = """<!doctype html>
<html lang="{{ lang }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1b; background: #fff; overflow-wrap: anywhere }
h1 { line-height: 1.2 }
.outcome { padding: .6rem 1rem; border-left: .4rem solid; font-weight: 600 }
.outcome.good, td.good { background: #e3f4e3 } .outcome.bad, td.bad { background: #fbe3e3 }
.outcome.good { border-color: #1f6b1f } .outcome.bad { border-color: #a11616 }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .2rem 1rem }
dt { font-weight: 600 } dd { margin: 0 }
.wide { overflow-x: auto } .wide:focus-visible { outline: .2rem solid #1a4fa3 }
table { border-collapse: collapse; width: 100%; min-width: 46rem }
h2 { font-size: 1.1rem }
th, td { overflow-wrap: normal; border: 1px solid #767676; padding: .3rem .6rem; text-align: left;
  vertical-align: top }
thead th { background: #eee } tbody th { font-weight: 400; min-width: 10rem }
thead th { min-width: 7rem } td.bad { min-width: 12rem }
ul { margin: 0; padding-left: 1.1rem; overflow-wrap: anywhere }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .5rem } }
@media print { .wide { overflow: visible } table { min-width: 0 } }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p class="outcome {{ 'good' if good else 'bad' }}">{{ outcome }}</p>
<p>{{ message }}</p>
<dl>
{% for name, value in facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}</dl>
<h2 id="cases">{{ caption }}</h2>
<div class="wide" role="region" aria-labelledby="cases" tabindex="0">
<table aria-labelledby="cases">
<thead><tr><th scope="col">{{ task_word }}</th>
{% for kind, word in kinds %}<th scope="col">{{ word }}</th>
{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}<tr><th scope="row">{{ row.name }}</th>
{% for kind, word in kinds %}{% set case = row.cases.get(kind) %}{% if case is none %}<td>
<span aria-hidden="true">–</span><span class="said">{{ not_asked }}</span></td>
{% elif case.restored %}<td class="good"><span aria-hidden="true">✓</span> {{ restored }}</td>
{% else %}<td class="bad"><strong><span aria-hidden="true">✗</span> {{ not_restored }}</strong>
<ul lang="en">
{% for item in case.left %}<li>{{ item }}</li>
{% endfor %}</ul></td>
{% endif %}{% endfor %}</tr>
{% endfor %}</tbody>
</table>
</div>
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
    good = found["outcome"] == "restored"
    back = sum(1 for case in found["cases"] if case["restored"])
    return (
        Environment(autoescape=True)
        .from_string(_PAGE)
        .render(
            lang=language(),
            title=_("Rollback rehearsal of {release}").format(release=release),
            good=good,
            outcome=(
                _("Restored: {n} of {total} cases came back.")
                if good
                else _("NOT restored: {n} of {total} cases came back.")
            ).format(n=back, total=len(found["cases"])),
            message=found["message"],
            facts=[
                (_("Environment"), found["environment"]),
                (_("Longest rollback"), f"{number(found['seconds_rollback'])} s"),
                *((one["change"], promised(one)) for one in found["limits"]),
                (_("Rehearsal"), found["id"]),
                (_("Evidence"), found["evidence"]),
            ],
            caption=_("Instead of which task the deployment was cut, and what came back."),
            task_word=_("Task"),
            kinds=kinds,
            rows=[rows[index] for index in sorted(rows)],
            restored=_("restored"),
            not_restored=_("NOT restored"),
            not_asked=_("no such case"),
        )
    )


def promised(limit: Mapping[str, Any]) -> str:
    """Whether going back kept within what a change promises."""
    kept = _("at most {minutes} min is promised; kept.")
    broken = _("at most {minutes} min is promised; NOT kept.")
    return (kept if limit["kept"] else broken).format(minutes=limit["minutes"])


def number(seconds: float) -> str:
    """With one decimal, as the language writes it."""
    text = f"{seconds:.1f}"
    return text.replace(".", ",") if language() == "nl" else text
