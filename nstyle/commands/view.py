"""The command `nstyle-view`: flags, what it says, exit codes."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import nstyle
from nstyle.commands.parser import Parser
from nstyle.commands.terminal import (
    accept_any_name,
    complain,
    complain_of_interrupt,
    discard_output,
    quiet_libraries,
    signals_as_interrupts,
)
from nstyle.errors import NStyleError

COMMAND = "nstyle-view"

EPILOG = """\
The page, index.html, holds all that it shows (below 5 MB), needs no network, and opens by a double click. A batch, a
folder of such folders, gets a contact sheet that links to a page for each of its runs.

exit codes: 0 done, 1 something is wrong with a file or the machine (one line says what), 2 wrong usage,
130 after Ctrl-C, 143 after SIGTERM
"""


def build_parser() -> Parser:
    """Make the parser."""
    parser = Parser(
        prog=COMMAND,
        description="Makes a page to look at what nstyle has painted, or is painting: timeline, comparison, curves.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("output"),
        metavar="FOLDER",
        help="the folder that nstyle painted into, or paints into (default: output)",
    )
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="the folder for the page and the films (default: FOLDER)"
    )
    parser.add_argument(
        "--watch", action="store_true", help="keep the page fresh until the run has ended, or Ctrl-C is pressed"
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="how often to look for news, with --watch (default: 5)",
    )
    parser.add_argument("--gif", action="store_true", help="make a film of the snapshots, too: film.gif")
    parser.add_argument("--mp4", action="store_true", help="the same as film.mp4; pip install 'nstyle[video]' first")
    parser.add_argument("--sheet", action="store_true", help="make a contact sheet as a picture, too: sheet.png")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--version", action="version", version=f"{COMMAND} {nstyle.__version__}")
    return parser


def _seconds(text: str) -> float:
    """Read a time span: at least a tenth of a second."""
    seconds = float(text)
    if not 0.1 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be at least 0.1, not {text}")
    return seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's own) and return its exit code."""
    arguments = build_parser().parse(argv)
    with quiet_libraries(), signals_as_interrupts():
        try:
            _view(arguments)
        except NStyleError as error:
            return complain(COMMAND, str(error), 1)
        except KeyboardInterrupt as interrupt:
            return complain_of_interrupt(COMMAND, interrupt)
    return 0


def _view(arguments: argparse.Namespace) -> None:
    """Make what is wanted."""
    # Late, since they bring in arrays and pictures: bad flags and --help answer at once.
    from nstyle.view.films import find_ffmpeg
    from nstyle.view.publish import Gallery, Shown, write_films, write_sheet

    def say(what: str) -> None:
        if not arguments.quiet:
            _say(what)

    def say_where(shown: Shown) -> None:
        say(f"the page: {shown.page.resolve().as_uri()}")

    gallery = Gallery(arguments.folder, arguments.output_dir or arguments.folder)
    if arguments.mp4:
        find_ffmpeg()  # rather now than after the work
    if arguments.watch:
        shown = gallery.watch(arguments.every, on_first=say_where)
        say("the run has ended" if not shown.others else "all runs have ended")
    else:
        shown = gallery.publish()
        say_where(shown)
    written = write_films(shown, gif=arguments.gif, mp4=arguments.mp4) if arguments.gif or arguments.mp4 else []
    if arguments.sheet:
        written.append(write_sheet(shown))
    if written:
        gallery.publish()  # now with links to them
    for path in written:
        say(f"wrote {path}")


def _say(what: str) -> None:
    """Say something on standard output, as long as that can be."""
    accept_any_name()
    try:
        print(what, flush=True)  # noqa: T201  (the user reads it here)
    except OSError:
        discard_output()
