"""The parser of nstyle's commands: one-line errors, the nearest flag for an unknown one, flags with underscores."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from nstyle.commands.terminal import complain
from nstyle.settings.options import nearest


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def parse(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse the arguments (None: the process's own). Flags and names may come in any order.

        Underscores in a flag count as hyphens. Wrong usage exits with 2 after one line on standard error.
        """
        words = sys.argv[1:] if argv is None else argv
        arguments, unknown = self.parse_known_intermixed_args([_with_hyphens(word) for word in words])
        for word in unknown:
            name = word.partition("=")[0]
            if name.startswith("-"):
                self.error(f"there is no flag {name}{nearest(name, self._option_string_actions)}")
        if unknown:
            self.error(f"unexpected: {' '.join(unknown)}")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Exit with 2 after a line that says what is wrong."""
        hint = f"({self.prog} --help lists the flags)"
        sys.exit(complain(self.prog, f"{message.removeprefix('argument ')} {hint}", 2))


def _with_hyphens(word: str) -> str:
    """Return a flag with hyphens instead of underscores, `--style_image=a_b.jpg` as `--style-image=a_b.jpg`."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if word.startswith("--") else word
