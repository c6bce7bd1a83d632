"""The flags of the command `nstyle`: one for each setting, and those of the command itself."""

import argparse
import dataclasses
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import nstyle
from nstyle.commands import completion
from nstyle.commands.parser import Parser
from nstyle.errors import Kind, OptionError
from nstyle.settings.config import Config
from nstyle.settings.film import FilmSettings
from nstyle.settings.groups import EVERYDAY, OUTPUT
from nstyle.settings.options import flag, is_repeatable, option
from nstyle.settings.presets import PRESETS

DESCRIPTION = f"""\
{nstyle.__doc__}

examples:
  nstyle photo.jpg painting.jpg --preset painterly
  nstyle --content-image photos/ --style-image oil.jpg ink.jpg                every photo in both styles
  nstyle --recipe output/final.jpg --max-long-edge 2000 --output-dir large    the same picture, larger

Without arguments, nstyle paints a pair of sample pictures.
"""

EPILOG = """\
The output folder has snapshots (e_50.jpg, e_100.jpg ...) and the losses of each epoch (epochs.csv) while nstyle
works, and at the end the picture (final.jpg) and the record of the run (run.json). Ctrl-C stops early and saves the
picture so far as final.jpg; the same command continues.

With several contents or styles, each pair has its own folder, output/<content>_<style>/, and its picture is also
output/<content>_<style>.jpg. The same command again paints only what is not finished.

exit codes: 0 done, 1 a problem with a file or the machine (one line says which), 2 wrong usage, 130 after Ctrl-C,
143 after SIGTERM, 129 after SIGHUP (the terminal was closed)
"""

COMMAND_FLAGS = (
    "quiet",
    "verbose",
    "print_completion",
    "recipe",
    "pair",
    "fail_fast",
    "sweep",
    "cluster",
    "estimate",
)
"""The flags of the command that are not settings of a painting, by their names in the parsed arguments."""


def build_parser() -> Parser:
    """Make the parser. Of the settings, only those that are given appear in its result."""
    parser = Parser(
        prog="nstyle",
        usage="nstyle [CONTENT STYLE] [--flag VALUE ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    groups: dict[str, Any] = {EVERYDAY: parser.add_argument_group(EVERYDAY)}
    groups[EVERYDAY].add_argument(
        "pictures",
        nargs="*",
        metavar="CONTENT STYLE",
        help="the same as --content-image CONTENT --style-image STYLE",
    )
    for field in (*dataclasses.fields(Config), *dataclasses.fields(FilmSettings)):
        group = option(field).group
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        add_setting(groups[group], field)
    groups[OUTPUT].add_argument(
        "--recipe",
        metavar="PATH",
        help="take all flags that are not given from a picture that nstyle wrote, or from a run.json",
    )
    _add_flags_for_many(parser.add_argument_group("several pictures"))
    _add_flags_for_messages(parser.add_argument_group("messages"))
    return parser


def add_setting(group: Any, field: "dataclasses.Field[Any]") -> None:
    """Add the flag of a setting. `Config` checks the value, so that the command and the library refuse it alike."""
    declared = option(field)
    common: dict[str, Any] = {
        "dest": field.name,
        "default": argparse.SUPPRESS,
        "help": declared.help.replace("%", "%%"),
    }
    if field.type is bool:
        action = argparse.BooleanOptionalAction if field.default is True else "store_true"
        group.add_argument(flag(field.name), action=action, **common)
        return
    if is_repeatable(field.type):
        common |= {"action": "append", "nargs": 2}
    if declared.several:
        common |= {"action": "extend", "nargs": "+"}
    kind = int if field.type in (int, int | None) else float if field.type in (float, float | None) else str
    metavar = declared.metavar or "|".join(declared.choices)
    group.add_argument(flag(field.name), type=_if_possible(kind), metavar=metavar, **common)


def _add_flags_for_many(many: Any) -> None:
    """Add the flags that are about several pictures."""
    many.add_argument(
        "--pair", action="store_true", help="paint the first content in the first style, the second in the second ..."
    )
    on_failure = many.add_mutually_exclusive_group()
    on_failure.add_argument(
        "--keep-going",
        action="store_false",
        default=False,
        dest="fail_fast",
        help="if a picture fails, paint the others and list the failures at the end (default)",
    )
    on_failure.add_argument("--fail-fast", action="store_true", help="stop if a picture fails")
    many.add_argument(
        "--sweep",
        action="append",
        metavar="NAME=V1,V2,...",
        help="paint one pair with each of these values of a flag, small; output/sweep.png shows all. Semicolons "
        "separate values that contain commas. Repeatable, for all combinations",
    )
    many.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="let the workers of this Dask scheduler paint; they must see the same files as this machine",
    )


def _add_flags_for_messages(messages: Any) -> None:
    """Add the flags that are about what the command prints."""
    add_loudness(messages, "print every epoch and every file that is written")
    messages.add_argument(
        "--estimate",
        action="store_true",
        help="print the size of each picture, and the memory and time that it needs here, painted from its "
        "beginning; paint nothing",
    )
    messages.add_argument(
        completion.FLAG,
        metavar="bash|zsh|fish|tcsh",
        help="print a completion script for this shell; needs pip install 'nstyle[completion]'",
    )
    messages.add_argument(
        "--version", action="version", version=f"nstyle {nstyle.__version__}", help="print the version"
    )
    messages.add_argument("-h", "--help", action="help", help="print this help")


def add_loudness(messages: Any, verbose: str) -> None:
    """Add --quiet and --verbose; `verbose` says what that one prints."""
    loudness = messages.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="print only errors")
    loudness.add_argument("--verbose", action="store_true", help=verbose)


def _if_possible(kind: type) -> Callable[[str], Any]:
    """Return a function that converts text to a number; other text stays as it is, for `Config` to refuse."""

    def convert(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            return text

    return convert


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Adds each setting's default to its help."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def defaults(self) -> Mapping[str, str]:
        """Return each setting's default in words."""
        return DEFAULTS

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Wrap the help without breaking a flag at its hyphens."""
        return textwrap.wrap(text, width, break_on_hyphens=False)

    def _get_help_string(self, action: argparse.Action) -> str:
        """Return the help with the default; the hook of `argparse.ArgumentDefaultsHelpFormatter`."""
        default = self.defaults().get(action.dest, "")
        return (action.help or "") + (f" (default: {default.replace('%', '%%')})" if default else "")


def default_text(field: "dataclasses.Field[Any]") -> str:
    """Return a setting's default in words: "10; painterly: 1; fast: 0.15" if presets differ; "" if it has none."""
    if words := option(field).default_words:
        return words
    if field.name in PRESETS["reference"]:
        presets: dict[str, list[str]] = {}
        for preset, values in PRESETS.items():
            presets.setdefault(_value_text(values[field.name]), []).append(preset)
        (reference, _), *others = presets.items()
        return "; ".join([reference, *(f"{', '.join(names)}: {value}" for value, names in others)])
    return "" if field.type is bool or field.default in (None, ()) else _value_text(field.default)


def _value_text(value: Any) -> str:
    """Return a value in words: "off" for None, and numbers rounded to three digits."""
    if isinstance(value, tuple):
        return ",".join(map(_value_text, value))
    return "off" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


DEFAULTS = {field.name: default_text(field) for one in (Config, FilmSettings) for field in dataclasses.fields(one)}
"""Each setting's default in words."""


_WITHOUT_CONTENT = {
    "size": "nstyle painting.jpg --size 512x512 --content-weight 0",
    "film": "nstyle painting.jpg --film clip.mp4",
}
"""Settings beside which a single picture without a flag is the style, and an example of each."""


def take_names(arguments: dict[str, Any]) -> None:
    """Turn the pictures that are named without flags into the two settings, in place.

    Raises:
        OptionError: there are not two of them (with --size: one), or flags name pictures as well.

    """
    names = arguments.pop("pictures")
    if not names:
        return
    example = "nstyle photo.jpg painting.jpg"
    if given := [flag(name) for name in ("content_image", "style_image") if name in arguments]:
        raise OptionError(
            f"{' '.join(map(repr, names))} and {' and '.join(given)} do not go together; "
            f"name both pictures with flags, or both without: {example}",
            flag=given[0],
            kind=Kind.CONFLICT,
        )
    for name, usage in _WITHOUT_CONTENT.items():
        if arguments.get(name) is not None:
            if len(names) > 1:
                raise OptionError(
                    f"{flag(name)} needs no content picture; name one picture, the style: {usage}",
                    flag=flag(name),
                    kind=Kind.CONFLICT,
                )
            arguments["style_image"] = names[0]
            return
    if len(names) == 1 and arguments.get("painter") is not None:
        arguments["content_image"] = names[0]  # a painter needs no style
        return
    if len(names) == 1:
        raise OptionError(
            f"{names[0]!r} is only one picture; name a content and a style: {example}",
            flag="--style-image",
            kind=Kind.MISSING,
        )
    if len(names) > 2:
        raise OptionError(
            f"{' '.join(map(repr, names))}: these are {len(names)} names without flags, and nstyle takes two, a "
            "content and a style; for more, write --content-image A B --style-image C",
            flag="--content-image",
            kind=Kind.UNSUPPORTED,
        )
    arguments["content_image"], arguments["style_image"] = names
