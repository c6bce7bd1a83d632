"""`nstyle --estimate`: print what each painting will take, and paint none."""

import time
from collections.abc import Callable, Mapping, Sequence

from nstyle.batch.jobs import Job
from nstyle.commands.importing import importing_torch
from nstyle.commands.terminal import complain, for_terminal
from nstyle.errors import NStyleError
from nstyle.pictures.picture import Picture
from nstyle.wording import counted


def estimate_all(
    jobs: Sequence[Job], show: Callable[[str], object], *, fail_fast: bool, in_memory: Mapping[str, Picture]
) -> int:
    """Show a line for each painting, and the sum of the time if there are several. Return the exit code.

    Args:
        jobs: the paintings; finished ones take no time.
        show: writes a text to standard output.
        fail_fast: whether to stop after a painting that is not possible.
        in_memory: pictures by the names of their settings, to use instead of their files.

    """
    with importing_torch():
        from nstyle.batch.local import finished_picture
        from nstyle.painter.run import estimate_run
        from nstyle.painting.session import Session

    session = Session(owns_process=True)
    start = time.process_time()  # what the process has needed for Python and PyTorch
    seconds, possible, failed = start, 0, 0
    for job in jobs:
        try:
            if (picture := finished_picture(job, session)) is not None:
                show(for_terminal(f"{job.title}: already finished, {picture}") + "\n")
                possible += 1
                continue
            found = estimate_run(job.config, session, in_memory)
        except NStyleError as error:
            failed += 1
            complain("nstyle", str(error) if len(jobs) == 1 else f"{job.title}: {error}", 1)
            if fail_fast:
                break
            continue
        seconds += found.seconds
        possible += 1
        words = [
            "{}x{} pixels".format(*found.size),
            found.way,
            f"{megabytes(found.memory)} of memory",
            f"{'at most ' if found.may_stop else ''}{counted(found.epochs, 'epoch')}" if found.epochs else "one pass",
            f"about {duration(found.seconds + (start if len(jobs) == 1 else 0))}",
        ]
        show(for_terminal(f"{job.title}: {', '.join(words)}") + "\n")
    if len(jobs) > 1:
        show(f"{_share(len(jobs), possible, failed)}: about {duration(seconds)}\n")
    return 1 if failed else 0


def _share(wanted: int, possible: int, failed: int) -> str:
    """Return how many pictures a sum of time counts, and how many not: "2 of 4 pictures (1 failed, 1 not tried)"."""
    if possible == wanted:
        return counted(wanted, "picture")
    left_out = {"failed": failed, "not tried": wanted - possible - failed}
    words = ", ".join(f"{number} {why}" for why, number in left_out.items() if number)
    return f"{possible} of {wanted} pictures ({words})"


def megabytes(size: int) -> str:
    """Return an amount of memory as `--max-memory` takes it, rounded up."""
    return f"{-(-size // 10**6)}MB"


def duration(seconds: float) -> str:
    """Return a length of time in words: "40 s", "5 min", "2.3 h"."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"
