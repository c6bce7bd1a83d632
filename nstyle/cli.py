"""The command `nstyle`: flags to settings, log lines, exit codes."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nstyle
from nstyle.command import (
    Parser,
    accept_any_name,
    complain,
    complain_of_interrupt,
    discard_output,
    signals_as_interrupts,
)
from nstyle.config import OUTPUT, Config, flag, is_repeatable, option
from nstyle.errors import NStyleError, OptionError

EPILOG = """\
While it works, look into the output folder: there are snapshots (e_50.jpg, e_100.jpg ...) and the losses of each
epoch (epochs.csv), at the end the picture (final.jpg); run.json says how it was made. Ctrl-C ends a run early and
writes the picture so far as final.jpg; the same command with --resume goes on with it.

exit codes: 0 done, 1 something is wrong with a file or the machine (one line says what), 2 wrong usage,
130 after Ctrl-C, 143 after SIGTERM
"""


def build_parser() -> argparse.ArgumentParser:
    """Make the parser: a flag for each setting of `Config`, with its help and default, and a few of the command's."""
    parser = Parser(
        prog="nstyle",
        description=nstyle.__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(Config):
        declared = option(field)
        if declared.group not in groups:
            groups[declared.group] = parser.add_argument_group(declared.group)
        names = [flag(field.name)]
        if field.name == "output_dir":
            names.append("--output_dir")  # the reference's only flag with an underscore
        if field.type is bool:
            groups[declared.group].add_argument(
                *names, dest=field.name, default=argparse.SUPPRESS, action="store_true", help=declared.help
            )
            continue
        kind = int if field.type in (int, int | None) else float if field.type is float else str
        default = "" if field.default in (None, ()) else f" (default: {field.default})"
        repeatable: dict[str, Any] = {"action": "append", "nargs": 2} if is_repeatable(field.type) else {}
        groups[declared.group].add_argument(
            *names,
            dest=field.name,
            default=argparse.SUPPRESS,
            type=kind,
            choices=declared.choices or None,
            metavar=declared.metavar,
            help=(declared.help + default).replace("%", "%%"),
            **repeatable,
        )
    groups[OUTPUT].add_argument(
        "--recipe",
        metavar="PATH",
        help="a picture that nstyle wrote, or a run.json: every setting is as it was there, but for the flags given",
    )
    talk = parser.add_argument_group("talk")
    loudness = talk.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="say nothing but errors")
    loudness.add_argument("--verbose", action="store_true", help="log every epoch and every file written")
    talk.add_argument("--version", action="version", version=f"nstyle {nstyle.__version__}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's own) and return its exit code."""
    arguments = vars(build_parser().parse_args(argv))
    quiet, verbose, recipe = (arguments.pop(name) for name in ("quiet", "verbose", "recipe"))
    with _logging(quiet=quiet, verbose=verbose), signals_as_interrupts():
        try:
            followed = None
            if recipe is not None:
                from nstyle.recipe import read_recipe, settings_to_repeat  # late: they bring in libraries of pictures

                followed = read_recipe(Path(recipe))
                arguments = settings_to_repeat(followed, arguments)
            config = Config(**arguments)
            # Late, since they bring in torch: bad flags and --help answer at once.
            from nstyle.pipeline import run
            from nstyle.sinks import ProgressBar, ProgressLines

            progress = None if quiet else ProgressBar if _is_watched() and not verbose else ProgressLines
            result = run(config, progress=progress, followed=followed)
            logging.getLogger(__name__).info(
                "done after %d epochs (%s): %s", result.epochs, result.stop_reason, result.path
            )
        except OptionError as error:
            return complain("nstyle", str(error), 2)
        except NStyleError as error:
            return complain("nstyle", str(error), 1)
        except KeyboardInterrupt as interrupt:
            return complain_of_interrupt("nstyle", interrupt)
    return 0


def _is_watched() -> bool:
    """Tell whether a person looks at standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


class _LineHandler(logging.Handler):
    """Writes log lines to standard output, above the progress bar where there is one, as long as that can be."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        try:
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()
        except OSError:
            discard_output()


class _Lines(logging.Formatter):
    """The message; a warning is called one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return ("warning: " if record.levelno >= logging.WARNING else "") + super().format(record)


@contextmanager
def _logging(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Show nstyle's log on standard output for as long as the command runs; Pillow's errors are in ours already."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    accept_any_name()
    logger = logging.getLogger("nstyle")
    handler = _LineHandler()
    handler.setFormatter(_Lines())
    level = logger.level
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    if sys.stdout is not None:  # it is None if the shell has closed it
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
