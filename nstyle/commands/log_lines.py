"""nstyle's log as lines on standard output, above a progress bar if there is one."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nstyle.commands.terminal import accept_any_name, discard_output, for_terminal


class _LineHandler(logging.Handler):
    """Writes log lines to standard output, above the progress bar if there is one, until the output fails."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        # Made on first use: if a signal came then within `write`, tqdm would raise an AttributeError.
        tqdm.get_lock()  # type: ignore[no-untyped-call]
        try:
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()
        except OSError:
            discard_output()


class _Lines(logging.Formatter):
    """Formats a record as its message; a warning starts with "warning: "."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Its control characters are spelled out: it may name files."""
        return ("warning: " if record.levelno >= logging.WARNING else "") + for_terminal(super().format(record))


@contextmanager
def printed_log(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Print nstyle's log on standard output while the command runs."""
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
