"""List the sentences of the window that a language lacks, and those that nobody says any more.

    python packaging/sentences.py de

Every text of the window and of the core that can be shown is found in the code: what stands in
quotes, with `{0}`, `{1}`... for what is put in, and with each of its ways where it has several
("1 frame", "3 frames"). `resources/languages/de.json` has each of them in German.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What reaches the terminal or a report of the benchmark only.
NEVER_SHOWN = (
    "training_core/cli/", "training_core/evaluation/", "training_core/pretraining/",
    "training_core/cluster/", "training_core/reporting/bioimageio.py", "training_core/costs.py",
    "training_core/reporting/figures.py", "training_core/draft.py", "training_core/__init__.py",
    "g2g_desktop/napari_widget.py", "g2g_desktop/model/diagnostics.py", "g2g_desktop/app.py",
    "g2g_desktop/language.py", "g2g_desktop/window_check.py",
)  # fmt: skip
GAP = re.compile(r"\{\d+\}")
_MARKUP = re.compile(r"<[^>]+>|&#?\w+;")
_TELLS = {
    "tr", "_safe", "heading", "paragraph", "link_button", "add_tool", "say", "set_text", "confirm",
    "show_summary", "Fold", "CurvePlot", "QualityCard", "ElidedLabel", "set_caption", "show_text",
}  # fmt: skip
_NO_WORDS = re.compile(
    r"[<>_=\\]|%[sd(]|https?:|\w\.\w+\(|^[\w.]*\{\d+\}[\w.]*$|^color: |^body \{|;base64"
    r"|^[\w ]*/|^\*\.|^\[TZCI|^on accent$|\{\*\}|^tuple|^\.?[\w:-]+\{\d+\}[\w.|!/{}-]*$"
    r"|^(un)?signed |^long long$|^(data|line|byte) (file|skip)$|^\{0\} skip$|^space (dir|units)"
    r"|^(PALETTE COLOR|CH Name|circular reference|invalid page offset|can't allocate memory)$"
    r"|^(not enough|out of) memory$|Parameters( Common)?$|[|]"
)
_AROUND = " ,;:·→–—(\n"  # where texts are put together
_ELSEWHERE = {
    "debug", "info", "warning", "error", "exception", "log", "RuntimeError", "compile", "OSError",
    "NotImplementedError", "AttributeError", "draw", "TypeVar", "cast",
}  # fmt: skip


def sentences() -> dict[str, str]:
    """Give every sentence that can be shown, with a place where it is said."""
    found: dict[str, str] = {}
    for package in ("training_core", "g2g_desktop"):
        for path in sorted((ROOT / package).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith(NEVER_SHOWN):
                for line, text in _said_in(ast.parse(path.read_text("utf-8"))):
                    found.setdefault(text, f"{place}:{line}")
    return found


def catalogue(code: str) -> dict[str, str]:
    """Read the sentences of a language."""
    path = ROOT / "resources" / "languages" / f"{code}.json"
    read: dict[str, str] = json.loads(path.read_text("utf-8"))
    return read


def _said_in(tree: ast.Module) -> list[tuple[int, str]]:
    said: list[tuple[int, str]] = []
    _visit(tree, said)
    return said


def _visit(node: ast.AST, said: list[tuple[int, str]], *, tells: bool = False) -> None:
    """Collect the texts below a node, but for docstrings, logs and faults of the program.

    Where a text is handed to what `tells` it, a single word is enough.
    """
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Call) and _name(node.func) in _ELSEWHERE:
        return
    ways = _ways(node)
    if ways is None:
        for child in ast.iter_child_nodes(node):
            _visit(child, said, tells=isinstance(node, ast.Call) and _name(node.func) in _TELLS)
        return
    for text in itertools.chain.from_iterable(map(_MARKUP.split, map(_numbered, ways))):
        if _is_sentence(text, short=tells):
            said.append((getattr(node, "lineno", 0), text))
    for inner in _put_in(node):
        _visit(inner, said)


_HOLE = "\0"


def _ways(node: ast.AST) -> list[str] | None:
    """Give every way in which a text can read, with holes; None for what is no text."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [_ways_of_part(part) for part in node.values]
        return ["".join(way) for way in itertools.product(*parts)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _ways(node.left), _ways(node.right)
        if left is None and right is None:
            return None
        both = itertools.product(left or [_HOLE], right or [_HOLE])
        return ["".join(way) for way in both]
    return None


def _ways_of_part(part: ast.expr) -> list[str]:
    if isinstance(part, ast.FormattedValue):
        return _choices(part.value) or [_HOLE]
    return _ways(part) or [_HOLE]


def _choices(value: ast.expr) -> list[str] | None:
    """Give the ways of a choice between texts: `"s" * (n > 1)`, `"a" if b else "c"`."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        text = _ways(value.left)
        return ["", *text] if text is not None else None
    if isinstance(value, ast.IfExp):
        first = _choices(value.body) or _ways(value.body)
        second = _choices(value.orelse) or _ways(value.orelse)
        return [*first, *second] if first is not None and second is not None else None
    return None


def _put_in(node: ast.AST) -> list[ast.expr]:
    """Give the expressions that fill the holes of a text, which may hold texts themselves."""
    if isinstance(node, ast.JoinedStr):
        values = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        chosen = [v for v in values if _choices(v)]
        inner = [e for c in chosen for e in ast.walk(c) if isinstance(e, ast.JoinedStr)]
        return [v for v in values if not _choices(v)] + [v for e in inner for v in _put_in(e)]
    if isinstance(node, ast.BinOp):
        sides = [side for side in (node.left, node.right) if _ways(side) is None]
        return sides + [v for s in (node.left, node.right) if _ways(s) for v in _put_in(s)]
    return []


def _numbered(way: str) -> str:
    """Give a text with its holes numbered, several side by side as one, and nothing around it."""
    pieces = re.split(f"{_HOLE}+", way)
    text = pieces[0] + "".join(f"{{{n}}}{piece}" for n, piece in enumerate(pieces[1:]))
    text = re.sub(r"^\{0\} ?(?=[A-Z][a-z]+ )", "", text.strip(_AROUND))
    numbers = itertools.count()
    text = GAP.sub(lambda _: f"{{{next(numbers)}}}", text)
    return text.rstrip(")") if text.count(")") > text.count("(") else text


def _is_sentence(text: str, *, short: bool) -> bool:
    """Whether a text has words: two, or one beside what is put in, or one where it is `short`."""
    words = re.search(r"[A-Za-z]{2,}", GAP.sub(" ", text))
    spaced = short or " " in text or "{" in text
    return bool(words) and spaced and not _NO_WORDS.search(text)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def main(code: str) -> int:
    """Print what is missing and what is not needed; 1 where that is anything."""
    said, known = sentences(), catalogue(code)
    missing = {text: place for text, place in said.items() if text not in known}
    for text, place in missing.items():
        sys.stdout.write(f"{place}: {text!r}\n")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
