"""Code shared by nstyle's commands: one-line error messages, robust output, signals."""

import faulthandler
import io
import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, TextIO

from nstyle.escaping import visible


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. It is handled like Ctrl-C, with exit code 143."""


class HungUp(Terminated):
    """SIGHUP was received: the terminal was closed. It is handled like SIGTERM, with exit code 129."""


def complain(command: str, message: str, exit_code: int) -> int:
    """Print the error in one line on standard error, if anybody can read it there, and return `exit_code`."""
    with suppress(OSError):  # the terminal was closed, or the disk is full
        print(f"{command}: error: {_one_line(message)}", file=sys.stderr)  # noqa: T201  (the user reads it here)
    return exit_code


def complain_of_interrupt(command: str, interrupt: KeyboardInterrupt) -> int:
    """Print that a signal ended the command, with the exception's notes; return 128 plus the signal's number."""
    what, exit_code = "interrupted", 130
    if isinstance(interrupt, Terminated):
        what, exit_code = ("hung up", 129) if isinstance(interrupt, HungUp) else ("terminated", 143)
    return complain(command, "; ".join([what, *getattr(interrupt, "__notes__", [])]), exit_code)


def complain_of_current_folder(command: str, error: FileNotFoundError) -> int:
    """Print that the current folder was deleted, and return 1; raise the error if that is not its cause."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return complain(command, "the current folder no longer exists; change to another", 1)
    raise error


def _one_line(message: str) -> str:
    """Replace line breaks, which file names may contain, by spaces, and spell out other control characters."""
    return for_terminal(" ".join(message.splitlines()))


def for_terminal(text: str) -> str:
    """Return the text as the commands print it: control characters spelled out, paths in this folder relative.

    Settings hold absolute paths, but a user who names `photo.jpg` reads about `photo.jpg`.
    """
    try:
        here = os.getcwd().rstrip(os.sep)
    except OSError:  # somebody has deleted it
        here = ""
    if here:
        text = re.sub(rf"(?<![^\s'\"(=:]){re.escape(here + os.sep)}(?=\S)", "", text)
    return visible(text)


def accept_any_name() -> None:
    """Make standard output escape characters that its encoding lacks; file names may contain such characters."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Send standard output to the null device, so that a closed pipe or a full disk does not stop the work."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def until_the_terminal_closes() -> Iterator[None]:
    """Write to standard output; if that fails, write no more."""
    try:
        yield
    except OSError:
        discard_output()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep other packages from writing to standard error while a command runs: nstyle reports errors in one line.

    Ignores their warnings, and their log records if no handler is set up. C libraries such as libtiff write directly
    to file descriptor 2. So it points to the null device meanwhile, and `sys.stderr` gets its own descriptor, which
    keeps nstyle's errors and the tracebacks of its bugs visible.
    """
    unheard = logging.NullHandler()  # without any handler, Python prints warnings and errors of all loggers
    logging.getLogger().addHandler(unheard)
    try:
        with warnings.catch_warnings(), _only_python_on_standard_error():
            warnings.filterwarnings("ignore", module=r"(?!nstyle\b)")
            yield
    finally:
        logging.getLogger().removeHandler(unheard)


@contextmanager
def _only_python_on_standard_error() -> Iterator[None]:
    """Point file descriptor 2 to the null device, and `sys.stderr`, if it writes there, to a copy of the original."""
    try:
        shown = os.dup(2)
    except OSError:  # the shell closed it
        yield
        return
    before, own, had_handler = sys.stderr, None, faulthandler.is_enabled()
    if _descriptor(before) == 2:
        before.flush()
        # Never closed, because a logger that was set up meanwhile may still hold it.
        own = open(shown, "w", 1, before.encoding, before.errors, closefd=False)  # noqa: SIM115
        sys.stderr = own
        faulthandler.enable(own)  # a crashing library's own message is lost; this still shows where it crashed
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        os.dup2(shown, 2)
        if own is None:
            os.close(shown)
        else:
            sys.stderr = before
            faulthandler.enable(before) if had_handler else faulthandler.disable()
            with suppress(OSError):  # the disk is full
                own.flush()


def _descriptor(stream: TextIO | None) -> int | None:
    """Return a stream's file descriptor, or None if it has none."""
    try:
        return None if stream is None else stream.fileno()
    except OSError:  # such as a stream in memory
        return None


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into an exception in the main thread; ignore later ones meanwhile.

    A signal that was ignored when the command started stays ignored, such as SIGHUP under `nohup`.
    """
    kinds: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
    if sys.platform != "win32":
        kinds[signal.SIGHUP] = HungUp

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        for kind in kinds:
            signal.signal(kind, signal.SIG_IGN)
        raise kinds[number]

    before = {kind: signal.getsignal(kind) for kind in kinds}
    for kind, handler in before.items():
        if handler is not signal.SIG_IGN:  # a shell ignores SIGINT for background jobs, nohup SIGHUP
            signal.signal(kind, interrupt)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
