"""Write `docs/guide/command-line.md` from the parser: python packaging/write_cli_reference.py."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training_core.cli.main import command_parser

PAGE = Path(__file__).resolve().parent.parent / "docs" / "guide" / "command-line.md"
HEAD = """# Command line

Written by `packaging/write_cli_reference.py` from the parser of `g2g`; `g2g COMMAND --help` says
the same. Exit codes: 0 done, 1 a fault of the program, 2 bad input or usage (one sentence, nothing
written), 3 a batch in which some failed, 130 cancelled (what was finished is kept).
"""


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), "utf-8")
    return 0


def page() -> str:
    """Give the text of the page."""
    parser = command_parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    about = {choice.dest: choice.help for choice in commands._choices_actions}
    sections = [section(name, about[name], sub) for name, sub in commands.choices.items()]
    return "\n".join([HEAD, *sections])


def section(name: str, about: str | None, parser: argparse.ArgumentParser) -> str:
    """Give the section of one command: what it does, and what follows it, in a table."""
    shown = [action for action in parser._actions if action.dest != "help"]
    shown.sort(key=lambda action: (bool(action.option_strings), not action.required))
    rows = [f"| {written(action)} | {explained(action)} |" for action in shown]
    table = ["| option | meaning |", "|---|---|", *rows, ""] if rows else []
    sentence = (about or "").strip()
    whole = f"{sentence[:1].upper()}{sentence[1:]}."
    return "\n".join([f"## g2g {name}", "", whole, "", *table])


def written(action: argparse.Action) -> str:
    """Give how an option is written, with what follows it."""
    formatter = argparse.HelpFormatter("")
    if not action.option_strings:
        return f"`{formatter._format_args(action, action.metavar or action.dest)}`"
    values = "" if action.nargs == 0 else formatter._format_args(action, action.dest.upper())
    return f"`{' '.join([action.option_strings[-1], values]).strip()}`".replace("|", "\\|")


def explained(action: argparse.Action) -> str:
    """Give what an option means, whether it must be given, and its default if it has one."""
    told = [action.help or ""]
    if action.option_strings and action.required:
        told.append("(must be given)")
    default = action.default
    if isinstance(default, str | int) and not isinstance(default, bool):
        told.append("" if default is argparse.SUPPRESS else f"(default: {default})")
    return " ".join(filter(None, told))


if __name__ == "__main__":
    sys.exit(main())
