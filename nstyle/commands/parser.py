"""The parser of nstyle's commands: one-line errors, the nearest flag for an unknown one, flags with underscores."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from nstyle.commands.terminal import complain
from nstyle.settings.suggestions import nearest_flag


class Last(argparse.Action):
    """Stores the value of a flag. A later value replaces it, as scripts and aliases want it, and is noted."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Store the value."""
        earlier = getattr(namespace, self.dest, self.default)
        if option_string is not None and earlier not in (self.default, values):
            parser.replaced.append(f"{self.option_strings[0]} is given as {earlier} and as {values}: the last counts")
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line.

    Attributes:
        replaced: a line for each value that a later value of the same flag replaced.

    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.replaced: list[str] = []
        for action in (None, "store"):
            self.register("action", action, Last)

    def parse(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse the arguments (None: the process's own). Flags and names may come in any order.

        Underscores in a flag count as hyphens. Words after "--" are file names, whatever they begin with. Wrong usage
        exits with 2 after one line on standard error.
        """
        words = list(sys.argv[1:] if argv is None else argv)
        end = words.index("--") if "--" in words else len(words)
        flags = [self._with_hyphens(word) for word in words[:end]]
        for word in flags:  # argparse would take "-help" for "-h" with a value
            if word[:2] in self._option_string_actions and word[1:2] != "-" and len(word) > 2:
                self.error(f"there is no flag {word}{nearest_flag(word, self._long_flags())}")
        # argparse forgets the "--" when it collects the names: `-a.jpg` would be a flag, `./-a.jpg` is none.
        names = [f"./{word}" if word.startswith("-") else word for word in words[end + 1 :]]
        arguments, unknown = self.parse_known_intermixed_args([*flags, *words[end : end + 1], *names])
        for word in unknown:
            name = word.partition("=")[0]
            if name.startswith("-"):
                self.error(f"there is no flag {name}{nearest_flag(name, self._long_flags())}")
        if unknown:
            self.error(f"unexpected: {' '.join(map(repr, unknown))}")
        return arguments

    def _long_flags(self) -> list[str]:
        """Return the flags of more than one letter."""
        return [flag for flag in self._option_string_actions if flag.startswith("--")]

    def _with_hyphens(self, word: str) -> str:
        """Return a flag with hyphens instead of underscores, `--style_image=a_b.jpg` as `--style-image=a_b.jpg`.

        Words that are no flag of this parser stay as typed.
        """
        name, equals, value = word.partition("=")
        hyphenated = name.replace("_", "-")
        return hyphenated + equals + value if hyphenated in self._option_string_actions else word

    def error(self, message: str) -> NoReturn:
        """Exit with 2 after a line that says what is wrong."""
        hint = f"({self.prog} --help lists the flags)"
        sys.exit(complain(self.prog, f"{message.removeprefix('argument ')} {hint}", 2))
