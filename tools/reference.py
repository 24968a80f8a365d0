#!/usr/bin/env python3
"""The reference, made from the code: `write` makes the pages, `check` fails when one is
not what the code says now.

`docs/reference/commands.md` from the table of commands and their parameters, `rules.md` from
the gate's registry, `errors.md` from every place that raises an error, `files.md` from the
schemas of the file formats and the reference landscape.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml

from otapgate import errors, i18n

i18n.use("en")  # before the commands are imported: help texts are made on import

from otapgate.anonymize.plan_file import Transform  # noqa: E402
from otapgate.cli.app import load  # noqa: E402
from otapgate.cli.commands import COMMANDS, Command, Group  # noqa: E402
from otapgate.cli.options import HELP  # noqa: E402
from otapgate.gate.norms import NORMS  # noqa: E402
from otapgate.gate.registry import rules  # noqa: E402
from otapgate.landscape.model import Role  # noqa: E402
from otapgate.landscape.schema import schemas  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made from the code by `make docs`; changes here are lost. -->\n"

EXITS = {
    errors.Exit.OK: "done; allowed",
    errors.Exit.FAILED: "tried and failed (playbook, test, probe, rehearsal, leak found)",
    errors.Exit.USAGE: "wrong usage",
    errors.Exit.REFUSED: "refused by the gate",
    errors.Exit.BAD_INPUT: "bad input: landscape, plan, release, data; every error is listed",
    errors.Exit.INTEGRITY: "integrity: ledger or content store does not verify",
    errors.Exit.BUSY: "busy: environment locked, or an unfinished promotion must be ended first",
    errors.Exit.IDENTITY: "identity: no key, unknown key, role missing or lapsed",
}


def commands(
    known: dict[str, Command | Group] = COMMANDS, before: str = "otapgate"
) -> Iterator[tuple[str, Command]]:
    """Every command by its full words."""
    for name, found in known.items():
        words = f"{before} {name}"
        if isinstance(found, Group):
            yield from commands(found.commands, words)
        else:
            yield words, found


def commands_page() -> str:
    lines = [MADE, "# Commands", "",
             "Options that every command takes, before or after it:", "",
             "| option | |", "| --- | --- |"]  # fmt: skip
    lines += [f"| `{cell(name)}` | {cell(text)} |" for name, text in HELP]
    lines += ["", "## Exit codes", "", "| exit | means |", "| --- | --- |"]
    lines += [f"| {int(code)} | {text} |" for code, text in EXITS.items()]
    lines += ["| 130 | broken off with Ctrl-C |"]
    for words, command in commands():
        parser = load(words.rpartition(" ")[2], command)
        arguments = [p for p in parser.params if p.param_type_name == "argument"]
        named = [p for p in parser.params if p.param_type_name == "option"]
        usage = " ".join(
            [words]
            + [f"{p.opts[0]} {value(p)}".strip() for p in named if p.required]
            + (["[OPTIONS]"] if any(not p.required for p in named) else [])
            + [value(p) if p.required else f"[{value(p)}]" for p in arguments]
        )
        lines += ["", f"## {words.removeprefix('otapgate ')}", "", command.help, "",
                  "```", usage, "```"]  # fmt: skip
        if parser.params:
            lines += ["", "| | |", "| --- | --- |"]
            for p in [*arguments, *named]:
                shown = value(p) if p in arguments else ", ".join(p.opts) + f" {value(p)}"
                note = " Required." if p.required else ""
                lines.append(f"| `{cell(shown.strip())}` | {cell((p.help or '') + note)} |")
        lines += ["", "For example:", "", "```sh", command.example, "```"]
    return "\n".join(lines) + "\n"


def value(param: object) -> str:
    """How the value of a parameter is written in help; nothing for a flag."""
    if getattr(param, "is_flag", False):
        return ""
    return str(param.metavar or param.name.upper())  # type: ignore[attr-defined]


def rules_page() -> str:
    found = rules()
    lines = [MADE, "# The gate's rules", "",
             "What each asks, its severity unless the policy says otherwise, and the rows of"
             " the norm that it serves. `otapgate gate rules CODE` says the same.", "",
             "| code | rule | severity | norms |", "| --- | --- | --- | --- |"]  # fmt: skip
    lines += [
        f"| [{r.code}](#{r.code.lower()}-{r.slug}) | {r.slug} | {r.severity}"
        f"{', hard' if r.hard else ''} | {', '.join(r.norms)} |"
        for r in found
    ]
    for r in found:
        text = "\n".join(line.strip() for line in r.explanation.splitlines())
        hard = " No policy can weaken it." if r.hard else ""
        lines += ["", f"## {r.code} {r.slug}", "", text, "", f"Severity: {r.severity}.{hard}", ""]
        lines += [f"- {n}: {NORMS[n]}" for n in r.norms]
    return "\n".join(lines) + "\n"


CLASSES = ("Failed", "Usage", "BadInput", "Integrity", "Busy", "Identity")


def errors_page() -> str:
    found: dict[str, tuple[set[int], set[str], set[str]]] = {}
    for file in sorted((ROOT / "src" / "otapgate").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            code = node.args[0]
            if name not in CLASSES or not isinstance(code, ast.Constant):
                continue
            exit_code = int(getattr(errors, name).exit)
            entry = found.setdefault(str(code.value), (set(), set(), set()))
            entry[0].add(exit_code)
            if len(node.args) > 1:
                entry[1].update(sentence(node.args[1]))
            for keyword in node.keywords:
                if keyword.arg == "remedy":
                    entry[2].update(sentence(keyword.value))
    lines = [MADE, "# Errors", "",
             'The `"code"` of an `"error"` in JSON, the exit code, and what is said. Words in'
             " braces are filled in. Codes don't change between versions without notice. A remedy"
             " of several lines holds several ways out; one of them will do.", "",
             "| code | exit | message | remedy |", "| --- | --- | --- | --- |"]  # fmt: skip
    for code, (exits, messages, remedies) in sorted(found.items()):
        exit_code = ", ".join(map(str, sorted(exits)))
        said = "<br>".join(cell(m) for m in sorted(messages))
        mends = "<br>".join(cell(m) for m in sorted(remedies))
        lines.append(f"| `{code}` | {exit_code} | {said} | {mends} |")
    return "\n".join(lines) + "\n"


def sentence(node: ast.expr) -> Iterator[str]:
    """The marked sentences somewhere in an expression."""
    for inner in ast.walk(node):
        if (
            isinstance(inner, ast.Call)
            and getattr(inner.func, "id", "") in ("_", "N_", "ngettext")
            and inner.args
            and isinstance(inner.args[0], ast.Constant)
        ):
            yield str(inner.args[0].value)


FILES: dict[str, tuple[str, str]] = {
    "landscape": ("`otapgate.yml`", "environments/landscape/otapgate.yml"),
    "policy": ("`policy.yml`", "environments/landscape/policy.yml"),
    "calendar": ("`calendar.yml`, which may be left out", "environments/landscape/calendar.yml"),
    "street": ("`environments/STREET.yml`", "environments/administration.yml"),
    "change": ("`changes/NAME.yml`, by custom", "environments/landscape/changes/upgrade.yml"),
    "release": (
        "`releases/NAME.yml` or `releases/NAME/release.yml`",
        "environments/landscape/releases/tryton-8.0.yml",
    ),
    "plan": ("`plans/NAME.yml`", "environments/landscape/plans/tryton.yml"),
    "lab": ("`labs/NAME.yml`, by custom", "docs/how-to/lab.yml"),
    "parallel": ("`parallel/NAME.yml`", "environments/landscape/parallel/tryton.yml"),
    "anonymize-plan": ("`anonymizers/NAME.yml`", "anonymizers/tryton.yml"),
}
"""For each format: where it lives in a landscape, and which file is the example."""

NAMED: dict[tuple[str, ...], str] = {get_args(Role): "role", get_args(Transform): "transform"}
"""What long lists of words are called in tables; the page gives each of them once."""

SHORT: dict[str, dict[tuple[str, ...], tuple[str | int, ...]]] = {
    "street": {("environments",): (0, 2)},
    "plan": {("criteria",): (0, 3), ("cases",): (0, 3)},
    "anonymize-plan": {
        ("tables",): ("ir_*", "ir_session", "party_party"),
        ("schema", "tables"): ("ir_session", "party_party"),
    },
}
"""What is kept of an example that is long: at a path, these keys or places in the list."""


def files_page() -> str:
    lines = [MADE, "# Files", "",
             "Everything that people write, in a small part of YAML: text, whole numbers, `true`,"
        " `false`, `null`, lists and mappings. `no` and `2026-01-31` are text; a number with a"
        " point, such as a version, must be in quotes. A key that isn't listed here, and a key"
        " that stands twice, are errors. `otapgate check` tells every error of every file at"
        " once.", "",
        "`otapgate schema NAME` gives the same as JSON Schema. `otapgate init` writes the schemas"
        " to `.otapgate/schema/`, where the first line of each file that it makes lets editors"
        " find them.", "",
        "| format | where |", "| --- | --- |"]  # fmt: skip
    lines += [f"| [{name}](#{name}) | {place} |" for name, (place, _file) in FILES.items()]
    lines.append("")
    lines += [
        f"A {called} is {', '.join(f'`{word}`' for word in words)}.\n"
        for words, called in NAMED.items()
    ]
    for name, make in schemas().items():
        schema = make()
        place, file = FILES[name]
        forms = {"": schema, **schema.get("$defs", {})}
        lines += [f"## {name}", "", schema["description"]]
        if place not in schema["description"]:
            lines += ["", f"Lives in {place}."]
        for inner in reached(schema, schema.get("$defs", {})):
            form = forms[inner]
            if inner:
                lines += ["", f"### {name}: {title(inner)}", "", form["description"]]
            needed = form.get("required", ())
            lines += ["", "| key | type | required | default | meaning |",
                      "| --- | --- | --- | --- | --- |"]  # fmt: skip
            lines += [
                f"| `{key}` | {kind(field, name)} | {'yes' if key in needed else ''} |"
                f" {default(field)} | {cell(field['description'])} |"
                for key, field in form["properties"].items()
            ]
        lines += ["", f"For example, from `{file}`:", "", "```yaml",
                  example(name).rstrip("\n"), "```", ""]  # fmt: skip
    return "\n".join(lines).rstrip("\n") + "\n"


def reached(form: Mapping[str, Any], forms: Mapping[str, Any]) -> list[str]:
    """The names of the form itself ("") and of those within it, as a reader meets them."""
    found: list[str] = []

    def visit(name: str, form: Mapping[str, Any]) -> None:
        if name in found:
            return
        found.append(name)
        for inner in references(form.get("properties", {})):
            visit(inner, forms[inner])

    visit("", form)
    return found


def references(part: object) -> Iterator[str]:
    """The names of the forms that are referred to in a part of a schema."""
    if isinstance(part, Mapping):
        if "$ref" in part:
            yield part["$ref"].rpartition("/")[2]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


def title(form: str) -> str:
    """What a model is called on the page: `HttpForm` is http."""
    return form.removesuffix("File").removesuffix("Form").lower()


def kind(field: Mapping[str, Any], name: str) -> str:
    """The type of a field, in words."""
    if "$ref" in field:
        form = title(field["$ref"].rpartition("/")[2])
        return f"[{form}](#{name}-{form})"
    if "anyOf" in field:
        return " or ".join(kind(one, name) for one in field["anyOf"] if one.get("type") != "null")
    if "const" in field:
        return f"`{json.dumps(field['const']).strip(chr(34))}`"
    if tuple(field.get("enum", ())) in NAMED:
        return NAMED[tuple(field["enum"])]
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    match field.get("type"):
        case "string":
            return f"text, `{cell(field['pattern'])}`" if "pattern" in field else "text"
        case "integer":
            low, high = field.get("minimum"), field.get("maximum")
            least = "" if low is None else f", {low} or more" if high is None else f", {low}–{high}"
            return f"whole number{least}"
        case "boolean":
            return "`true`, `false`"
        case "array":
            return f"list of {kind(field['items'], name)}"
        case "object" if isinstance(field.get("additionalProperties"), dict):
            keys = {"type": "string", **field.get("propertyNames", {})}
            return f"mapping of {kind(keys, name)} to {kind(field['additionalProperties'], name)}"
        case "object":
            return "mapping"
    return "anything"


def default(field: Mapping[str, Any]) -> str:
    """What holds when the key is left out; nothing where that is nothing."""
    value = field.get("default")
    if value in (None, "", [], {}) or isinstance(value, dict):
        return ""
    return f"`{cell(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}`"


def example(name: str) -> str:
    """A real file of this format, without remarks, and shortened where `SHORT` says so."""
    text = (ROOT / FILES[name][1]).read_text(encoding="utf-8")
    lines = text.splitlines()
    dropped = {at for at, line in enumerate(lines) if line.lstrip().startswith("#")}
    for path, kept in SHORT.get(name, {}).items():
        node = yaml.compose(text, yaml.SafeLoader)
        for key in path:
            node = dict((k.value, v) for k, v in node.value)[key]  # noqa: C402
        pairs = [(k.value, k) for k, _v in node.value] if isinstance(
            node, yaml.MappingNode) else list(enumerate(node.value))  # fmt: skip
        assert set(kept) <= {key for key, _node in pairs}, (name, path)
        starts = [begin.start_mark.line for _key, begin in pairs] + [node.end_mark.line]
        for at, (key, _node) in enumerate(pairs):
            if key not in kept:
                dropped.update(range(starts[at], starts[at + 1]))
    shown = "\n".join(line for at, line in enumerate(lines) if at not in dropped)
    while "\n\n\n" in shown:
        shown = shown.replace("\n\n\n", "\n\n")
    return shown.strip("\n") + "\n"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


PAGES = {"commands.md": commands_page, "rules.md": rules_page, "errors.md": errors_page,
         "files.md": files_page}  # fmt: skip


def main(what: str) -> int:
    stale = []
    for name, make in PAGES.items():
        page, text = FOLDER / name, make()
        if what == "write":
            FOLDER.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(f"docs/reference/{name} is not what the code says: make docs")
    print("\n".join(stale), end="\n" if stale else "", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
