"""The command `nstyle-view`: flags, output and exit codes."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import nstyle
from nstyle.commands.parser import Parser
from nstyle.commands.terminal import (
    accept_any_name,
    complain,
    complain_of_current_folder,
    complain_of_interrupt,
    discard_output,
    for_terminal,
    quiet_libraries,
    signals_as_interrupts,
)
from nstyle.errors import NStyleError

COMMAND = "nstyle-view"

MOST_SECONDS = 86_400
"""Longest time between two looks for changes, in seconds: a day. A system cannot wait for any time."""

EPILOG = """\
The page, index.html, is one file below 5 MB with everything in it. It needs no network: double-click to open it.
The page of a film is the exception: it plays the frames' own files, or small copies in previews/, beside it.
For a batch (a folder of run folders), the page is a contact sheet with a link to a page for each run.

exit codes: 0 done, 1 a problem with a file or the machine (one line says what), 2 wrong usage,
130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP
"""


def build_parser() -> Parser:
    """Return the parser of the command's flags."""
    parser = Parser(
        prog=COMMAND,
        description="Make a page that shows what nstyle painted or is painting: timeline, comparison, curves.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("output"),
        metavar="FOLDER",
        help="the folder that nstyle paints into (default: output)",
    )
    parser.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="the folder for the page and the films (default: FOLDER)"
    )
    parser.add_argument(
        "--watch", action="store_true", help="update the page until the run ends or was killed, or you press Ctrl-C"
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="how often --watch looks for changes (default: 5)",
    )
    parser.add_argument("--gif", action="store_true", help="also make a film of the snapshots, film.gif")
    parser.add_argument("--mp4", action="store_true", help="also make film.mp4; needs pip install 'nstyle[video]'")
    parser.add_argument("--sheet", action="store_true", help="also make a contact sheet, sheet.png")
    parser.add_argument("--quiet", action="store_true", help="print only errors")
    parser.add_argument(
        "--version", action="version", version=f"{COMMAND} {nstyle.__version__}", help="print the version"
    )
    parser.add_argument("-h", "--help", action="help", help="print this help")
    return parser


def _seconds(text: str) -> float:
    """Parse a number of seconds, from 0.1 to `MOST_SECONDS`."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0.1 to {MOST_SECONDS}, not {text!r}")
    return seconds


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. `argv` defaults to the process's arguments."""
    parser = build_parser()
    arguments = parser.parse(argv)
    for line in [] if arguments.quiet else parser.replaced:
        _say(f"warning: {line}")
    with quiet_libraries(), signals_as_interrupts():
        try:
            _view(arguments)
        except FileNotFoundError as error:
            return complain_of_current_folder(COMMAND, error)
        except NStyleError as error:
            return complain(COMMAND, str(error), 1)
        except KeyboardInterrupt as interrupt:
            return complain_of_interrupt(COMMAND, interrupt)
    return 0


def _view(arguments: argparse.Namespace) -> None:
    """Write the page, films and sheet that the arguments ask for."""
    # Imported late, because they load numpy and Pillow: --help and bad flags answer at once.
    from nstyle.view.films import find_ffmpeg
    from nstyle.view.publish import Gallery, Shown, write_films, write_sheet

    def say(what: str) -> None:
        if not arguments.quiet:
            _say(what)

    def say_where(shown: Shown) -> None:
        say(f"the page: {shown.page.resolve().as_uri()}")

    gallery = Gallery(arguments.folder, arguments.output_dir or arguments.folder)
    if arguments.mp4:
        find_ffmpeg()  # fail now, not after the work
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
        gallery.publish()  # again, with links to the new files
    for path in written:
        say(f"wrote {path}")


def _say(what: str) -> None:
    """Print a line on standard output; stop printing if that fails."""
    accept_any_name()
    try:
        print(for_terminal(what), flush=True)  # noqa: T201  (the user reads it here)
    except OSError:
        discard_output()
