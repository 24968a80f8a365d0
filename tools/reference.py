#!/usr/bin/env python3
"""The reference, made from the code: `write` makes the pages, `check` fails when one is
not what the code says now.

`docs/reference/commands.md` from the table of commands and their parameters, `rules.md` from
the gate's registry, `errors.md` from every place that raises an error.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from otapgate import errors, i18n

i18n.use("en")  # before the commands are imported: help texts are made on import

from otapgate.cli.app import load  # noqa: E402
from otapgate.cli.commands import COMMANDS, Command, Group  # noqa: E402
from otapgate.cli.options import HELP  # noqa: E402
from otapgate.gate.norms import NORMS  # noqa: E402
from otapgate.gate.registry import rules  # noqa: E402

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
    found: dict[str, tuple[int, set[str], set[str]]] = {}
    for file in sorted((ROOT / "src" / "otapgate").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            code = node.args[0]
            if name not in CLASSES or not isinstance(code, ast.Constant):
                continue
            exit_code = int(getattr(errors, name).exit)
            entry = found.setdefault(str(code.value), (exit_code, set(), set()))
            if len(node.args) > 1:
                entry[1].update(sentence(node.args[1]))
            for keyword in node.keywords:
                if keyword.arg == "remedy":
                    entry[2].update(sentence(keyword.value))
    lines = [MADE, "# Errors", "",
             'The `"code"` of an `"error"` in JSON, the exit code, and what is said. Words in'
             " braces are filled in. Codes don't change between versions without notice.", "",
             "| code | exit | message | remedy |", "| --- | --- | --- | --- |"]  # fmt: skip
    for code, (exit_code, messages, remedies) in sorted(found.items()):
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


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


PAGES = {"commands.md": commands_page, "rules.md": rules_page, "errors.md": errors_page}


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
