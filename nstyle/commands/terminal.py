"""What nstyle's commands have in common: complaints of one line, output that may go away, signals."""

import faulthandler
import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, TextIO


class Terminated(KeyboardInterrupt):
    """SIGTERM came: to be treated like Ctrl-C, with another exit code."""


def complain(command: str, message: str, exit_code: int) -> int:
    """Say in one line on standard error what was wrong."""
    print(f"{command}: error: {_one_line(message)}", file=sys.stderr)  # noqa: T201  (the user reads it here)
    return exit_code


def complain_of_interrupt(command: str, interrupt: KeyboardInterrupt) -> int:
    """Say that a signal ended the command, and what is noted of it."""
    what, exit_code = ("terminated", 143) if isinstance(interrupt, Terminated) else ("interrupted", 130)
    return complain(command, "; ".join([what, *getattr(interrupt, "__notes__", [])]), exit_code)


def _one_line(message: str) -> str:
    """Return the message with its line breaks, which a file name may bring along, as blanks."""
    return " ".join(message.splitlines())


def accept_any_name() -> None:
    """Have standard output escape what a terminal has not, but a file's name may have."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Have standard output go nowhere: its reader has gone, or the disk is full; the work goes on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep other packages off standard error while a command runs; what is wrong, nstyle says in one line.

    Their warnings are ignored, and so are log records for which nobody has set up a handler. C libraries such as
    libtiff write to file descriptor 2 itself: it leads nowhere meanwhile, and `sys.stderr` gets a descriptor of its
    own, so that nstyle's errors and the tracebacks of its bugs are seen.
    """
    unheard = logging.NullHandler()  # without a handler, Python prints warnings and errors of any logger
    logging.getLogger().addHandler(unheard)
    try:
        with warnings.catch_warnings(), _only_python_on_standard_error():
            warnings.filterwarnings("ignore", module=r"(?!nstyle\b)")
            yield
    finally:
        logging.getLogger().removeHandler(unheard)


@contextmanager
def _only_python_on_standard_error() -> Iterator[None]:
    """Point file descriptor 2 at nothing, and `sys.stderr`, if it writes there, at a copy of what it was."""
    try:
        shown = os.dup(2)
    except OSError:  # the shell has closed it
        yield
        return
    before, own, had_handler = sys.stderr, None, faulthandler.is_enabled()
    if _descriptor(before) == 2:
        before.flush()
        # It stays open at the end: a logger that was set up meanwhile may keep it.
        own = open(shown, "w", 1, before.encoding, before.errors, closefd=False)  # noqa: SIM115
        sys.stderr = own
        faulthandler.enable(own)  # what a crashing library says is lost: at least it is seen where it crashed
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
            with suppress(OSError):  # the disk that it goes to is full
                own.flush()


def _descriptor(stream: TextIO | None) -> int | None:
    """Return the file descriptor that a stream writes to, or None if it has none."""
    try:
        return None if stream is None else stream.fileno()
    except OSError:  # as of a stream in memory
        return None


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Have the first SIGINT or SIGTERM raise in the main thread; further ones don't disturb the saving."""
    kinds: dict[int, type[KeyboardInterrupt]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        for kind in kinds:
            signal.signal(kind, signal.SIG_IGN)
        raise kinds[number]

    before = {kind: signal.getsignal(kind) for kind in kinds}
    for kind, handler in before.items():
        if handler is not signal.SIG_IGN:  # as a shell sets it for what runs in its background
            signal.signal(kind, interrupt)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
