#!/usr/bin/env python3
"""The translations: `update` gathers the sentences and compiles, `check` fails when
something is untranslated, no longer certain, or not compiled.

Sentences are marked in the source with `_`, `N_` and `ngettext`. The Dutch is in
`src/otapgate/locale/nl/LC_MESSAGES/otapgate.po`; both it and the compiled catalogue are
committed, so that installing needs no build step.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "otapgate"
DUTCH = SOURCE / "locale" / "nl" / "LC_MESSAGES" / "otapgate.po"
HEADER = "# Dutch for otapgate. `make locale` gathers new sentences and compiles."


def gathered() -> Catalog:
    """Every marked sentence of the source, with the files that it is in."""
    found = Catalog(project="otapgate", charset="utf-8")
    rows = extract_from_dir(
        str(SOURCE),
        method_map=[("**.py", "python")],
        keywords={"_": None, "N_": None, "ngettext": (1, 2)},
        comment_tags=["Translators:"],
    )
    for file, _line, message, comments, context in sorted(rows, key=lambda r: (r[0], r[1])):
        # Line numbers would change with every edit and drown what matters in a review.
        found.add(message, None, [(f"src/otapgate/{Path(file).as_posix()}", 0)],
                  auto_comments=comments, context=context)  # fmt: skip
    return found


def dutch(template: Catalog) -> Catalog:
    """The Dutch as it is, brought up to date with the sentences gathered."""
    if DUTCH.exists():
        with DUTCH.open("rb") as file:
            catalogue = read_po(file, locale="nl")
    else:
        catalogue = Catalog(locale="nl", project="otapgate", charset="utf-8")
    # A near match would come out as a wrong sentence rather than as one that is missing.
    catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.header_comment = HEADER
    catalogue.fuzzy = False
    return catalogue


def as_po(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalogue, width=98, omit_header=False, include_lineno=False,
             sort_output=False, ignore_obsolete=True)  # fmt: skip
    # Dates and the version of the tool would make every run a change.
    volatile = (b'"POT-Creation-Date', b'"PO-Revision-Date', b'"Generated-By', b'"Last-Translator',
                b'"Report-Msgid', b'"Language-Team')  # fmt: skip
    lines = [x for x in out.getvalue().splitlines(keepends=True) if not x.startswith(volatile)]
    return b"".join(lines)


def as_mo(po: bytes) -> bytes:
    """Compiled from the file's own bytes, so that the same text gives the same catalogue."""
    out = io.BytesIO()
    catalogue = read_po(io.BytesIO(po), locale="nl")
    # Babel fills in the present moment where the file says none.
    catalogue.creation_date = datetime(2026, 1, 1, tzinfo=UTC)
    write_mo(out, catalogue)
    return out.getvalue()


def gaps(catalogue: Catalog) -> list[str]:
    """What is wrong with the Dutch, one line each."""
    found = []
    for message in catalogue:
        if not message.id:
            continue
        where = ", ".join(sorted({file for file, _line in message.locations}))
        one = message.id if isinstance(message.id, str) else message.id[0]
        texts = [message.string] if isinstance(message.string, str) else [*(message.string or [""])]
        if not all(texts):
            found.append(f"{where}: no Dutch for: {one}")
        elif message.fuzzy:
            found.append(f"{where}: uncertain Dutch for: {one}")
        else:
            ids = [message.id] if isinstance(message.id, str) else list(message.id)
            allowed = set().union(*(placeholders(i) for i in ids))
            for text in texts:
                if extra := placeholders(text) - allowed:
                    found.append(f"{where}: {sorted(extra)} not in the English of: {one}")
                if len(texts) == 1 and (lost := allowed - placeholders(text)):
                    found.append(f"{where}: {sorted(lost)} lost in the Dutch of: {one}")
    return found


def placeholders(text: str) -> set[str]:
    """The names between braces; raises ValueError where the braces are off."""
    import string

    return {name for _text, name, _spec, _conv in string.Formatter().parse(text) if name}


def update() -> int:
    catalogue = dutch(gathered())
    po = as_po(catalogue)
    DUTCH.parent.mkdir(parents=True, exist_ok=True)
    DUTCH.write_bytes(po)
    DUTCH.with_suffix(".mo").write_bytes(as_mo(po))
    missing = gaps(catalogue)
    print("\n".join(missing[:20]))
    print(f"{len(catalogue)} sentences, {len(missing)} to look at in {DUTCH.relative_to(ROOT)}")
    return 0


def check() -> int:
    catalogue = dutch(gathered())
    wrong = gaps(catalogue)
    po = as_po(catalogue)
    if not DUTCH.exists() or DUTCH.read_bytes() != po:
        wrong.append("the catalogue doesn't hold exactly the sentences of the source: make locale")
    mo = DUTCH.with_suffix(".mo")
    if not mo.exists() or mo.read_bytes() != as_mo(po):
        wrong.append("the compiled catalogue is out of date: make locale")
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit({"update": update, "check": check}[sys.argv[1]]())
