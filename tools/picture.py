"""Draw a piece of a terminal session as SVG: `tools/picture.py TEXT OUT.svg`.

The text is what a command really said; nothing is added to it.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

WIDTH, LINE, MARGIN, FONT = 8.4, 19, 16, 14


def draw(text: str, title: str) -> str:
    """An SVG with a title for screen readers; lines as they are."""
    lines = text.rstrip("\n").split("\n")
    width = int(max(map(len, lines)) * WIDTH) + 2 * MARGIN
    height = len(lines) * LINE + 2 * MARGIN
    rows = "".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (n + 1) - 5}" fill="{_colour(line)}"'
        f' xml:space="preserve">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img"'
        f' aria-label="{escape(title)}" font-family="monospace" font-size="{FONT}">'
        f"<title>{escape(title)}</title>"
        f'<rect width="100%" height="100%" rx="8" fill="#14181f"/>{rows}</svg>\n'
    )


def _colour(line: str) -> str:
    if line.startswith("$"):
        return "#9fd0ff"
    if line.startswith("REFUSED"):
        return "#ff9c8f"
    if line.strip().startswith("→"):
        return "#a5e3a0"
    return "#e6e6e6" if line.startswith("OG") else "#c3c9d1"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(draw(source.read_text("utf-8"), "otapgate promote, refused"), "utf-8")
