"""Draw docs/architecture.svg: the folders of both packages in their layers, and who imports whom.

Run: python packaging/draw_architecture.py

The layers are those of the import-linter contracts in pyproject.toml, the lines the real imports,
type-checking ones included: each goes from who imports down to what is used. A line is left out
where others lead there as well, over something in between.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
ROW, BOX, HEIGHT, GAP, EDGE = 58, 112, 26, 18, 30
COLOURS = {"training_core": "#3b6ea5", "g2g_desktop": "#8a5a9e"}


def layers() -> dict[str, list[list[str]]]:
    """Give for each package its layers from the top, each the parts that lie side by side."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found: dict[str, list[list[str]]] = {}
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            rows = [[part.strip() for part in row.split("|")] for row in contract["layers"]]
            found[rows[0][0].split(".")[0]] = rows
    return found


def imports() -> set[tuple[str, str]]:
    """Give which part of a package imports which, both as package.folder or package.module."""
    found = set()
    for package in COLOURS:
        for path in (ROOT / package).rglob("*.py"):
            names = path.relative_to(ROOT).with_suffix("").parts
            mine = ".".join(names[:2])
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    base = ".".join(names[:-1]) if node.level else ""
                    source = ".".join(filter(None, (base, node.module or "")))
                    for alias in node.names:
                        used = ".".join(f"{source}.{alias.name}".split(".")[:2])
                        if used.split(".")[0] in COLOURS and used != mine:
                            found.add((mine, used))
    return found


def drawing() -> str:
    """Give the picture as SVG."""
    places, parts = {}, layers()
    left = EDGE
    for rows in parts.values():
        widest = max(len(row) for row in rows)
        width = widest * (BOX + GAP) - GAP
        for number, row in enumerate(rows):
            start = left + (width - len(row) * (BOX + GAP) + GAP) / 2
            for place, part in enumerate(row):
                places[part] = (start + place * (BOX + GAP), EDGE + 24 + number * ROW)
        left += width + 3 * EDGE
    high = max(y for _, y in places.values()) + HEIGHT + EDGE
    edges = {(a, b) for a, b in imports() if {a, b} <= places.keys()}
    lines = [_line(places[a], places[b]) for a, b in sorted(edges) if not _implied(a, b, edges)]
    boxes = [_box(part, *place) for part, place in sorted(places.items())]
    style = "text{font:12px sans-serif;text-anchor:middle}line{stroke:#777;stroke-opacity:.7}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left:.0f}" height="{high:.0f}" '
        f'viewBox="0 0 {left:.0f} {high:.0f}"><style>{style}</style>'
        '<rect width="100%" height="100%" fill="#fff"/>'
    )
    return "\n".join([head, *lines, *boxes, "</svg>", ""])


def _implied(start: str, end: str, edges: set[tuple[str, str]]) -> bool:
    """Tell whether something that `start` imports imports `end`, at once or in turn."""
    seen, ahead = {end}, [b for a, b in edges if a == start and b != end]
    while ahead:
        here = ahead.pop()
        if here == end or (here, end) in edges:
            return True
        seen.add(here)
        ahead += [b for a, b in edges if a == here and b not in seen]
    return False


def _line(above: tuple[float, float], below: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = above, below
    start, end = (y1 + HEIGHT, y2) if y2 > y1 else (y1 + HEIGHT / 2, y2 + HEIGHT / 2)
    return (
        f'<line x1="{x1 + BOX / 2:.0f}" y1="{start:.0f}" x2="{x2 + BOX / 2:.0f}" y2="{end:.0f}"/>'
    )


def _box(part: str, x: float, y: float) -> str:
    package, _, name = part.partition(".")
    folder = (ROOT / package / name).is_dir()
    fill, ink = (COLOURS[package], "#fff") if folder else ("#fff", "#222")
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX}" height="{HEIGHT}" rx="5" fill="{fill}" '
        f'stroke="{COLOURS[package]}"/><text x="{x + BOX / 2:.0f}" y="{y + 17:.0f}" '
        f'fill="{ink}">{name}{"/" if folder else ""}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(drawing(), "utf-8")
    sys.stdout.write(f"{PICTURE}\n")
