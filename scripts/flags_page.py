"""Write docs/flags.md, the page of all flags, from the parsers of the commands.

`python scripts/flags_page.py` writes the page; a test fails if it is not up to date.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nstyle.commands import flags, train, view
from nstyle.commands.parser import Parser

PAGE = Path(__file__).resolve().parent.parent / "docs" / "flags.md"

INTRODUCTION = """\
# Flags

All flags of `nstyle`, `nstyle-train` and `nstyle-view`, as `--help` lists them. `python scripts/flags_page.py` writes
this page.

Underscores work as well as hyphens: `--style_image`. In Python, the keywords of `nstyle.stylize` are the flags with
underscores: `style_image=`. If a preset has its own default, the table names it; a flag that is given always wins.

Your shell can complete the flags of `nstyle`, but not those of the other commands:
`pip install -c constraints.txt '.[completion]'` in the clone and, for bash,
`mkdir -p ~/.local/share/bash-completion/completions` and
`nstyle --print-completion bash > ~/.local/share/bash-completion/completions/nstyle`.

"""


def page() -> str:
    """Return the page as Markdown: a table for each group of flags, and one for those of `nstyle-view`."""
    viewer = view.build_parser()
    parts = [INTRODUCTION]
    for parser in (flags.build_parser(), train.build_parser()):
        parts += [f"## {parser.prog}\n\n", *_groups(parser)]
    parts += [f"## {viewer.prog}\n\n{viewer.description}\n\n", _table(viewer, viewer._actions)]
    return "".join(parts)


def _groups(parser: Parser) -> Iterator[str]:
    """Yield a heading and a table for each group of flags."""
    for group in parser._action_groups:
        if title := group.title if group._group_actions else None:
            yield f"### {title[0].upper()}{title[1:]}\n\n{_table(parser, group._group_actions)}\n"


def _table(parser: argparse.ArgumentParser, actions: Sequence[argparse.Action]) -> str:
    """Return a table with a line for each flag."""
    formatter = parser._get_formatter()
    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for action in actions:
        metavar = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar or ""
        values = f"{metavar} ..." if action.nargs == "+" else metavar
        names = ", ".join(f"`{f'{name} {values}'.strip()}`" for name in action.option_strings or [""])
        meaning, _, default = (formatter._get_help_string(action) or "").replace("%%", "%").partition(" (default: ")
        cells = [names, default.removesuffix(")"), re.sub(r"(--[a-z]+[a-z-]*)", r"`\1`", meaning)]
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
