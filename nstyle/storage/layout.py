"""File names in a run folder, and the reasons why a run stops. All code that reads or writes a run uses these."""

import re
from enum import StrEnum

from nstyle.pictures.formats import WRITTEN

RECORD = "run.json"
"""The recipe and the progress of the run."""

EPOCHS = "epochs.csv"
"""One line per epoch."""

CHECKPOINT = "state.npz"
"""The checkpoint that `--resume` reads."""

FILM_RECORD = "film.json"
"""The recipe and the settings of a film."""

FRAME_LOG = "frames.csv"
"""One line per painted frame of a film."""

FRAMES, SOURCE_FRAMES, SHOTS = "frames", "source", "shots"
"""Folders of a film: the painted frames, the frames that they were painted from, and the states of the shots."""

OF_A_RUN = frozenset({RECORD, EPOCHS, CHECKPOINT})
"""Names of the files of a run, besides its pictures. The lock is none: it goes when the run ends."""

LOCK = "run.lock"
"""The lock that a run holds on its folder while it lives (see `storage.lock`)."""

STAGING = ".run-"
"""How the name of the hidden folder begins in which a run is written that will replace an earlier one."""

_ENDINGS = "|".join(WRITTEN)
_PICTURE = re.compile(rf"(?:final|e_(?P<epoch>[0-9]+))\.(?P<format>{_ENDINGS})")
_LEFTOVER = re.compile(
    rf"\.(?:{_PICTURE.pattern}|{re.escape(RECORD)}|{re.escape(EPOCHS)}|{re.escape(CHECKPOINT)})\.[0-9a-f]{{16}}\.tmp"
)


_STAGING = re.compile(rf"{re.escape(STAGING)}[0-9a-f]{{16}}")


class StopReason(StrEnum):
    """Why a run stopped; RUNNING if it has not."""

    RUNNING = "running"
    RELATIVE_CHANGE = "relative change"
    """The picture changed by less than `stop_eps` in an epoch."""
    EPOCHS = "epochs"
    """`max_num_epochs` were done."""
    ONE_PASS = "one pass"  # noqa: S105  (no password)
    """A painter painted the picture; there were no epochs."""
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    FAILED = "failed"


FINISHED = (StopReason.RELATIVE_CHANGE, StopReason.EPOCHS, StopReason.ONE_PASS)
"""Reasons of a run that is complete. After any other reason, there is still work to do."""


def final_name(image_format: str) -> str:
    """Return the name of the finished picture."""
    return f"final.{image_format}"


def snapshot_name(epochs: int, image_format: str) -> str:
    """Return the name of the snapshot after `epochs` epochs."""
    return f"e_{epochs}.{image_format}"


def parse_picture_name(name: str) -> tuple[int | None, str] | None:
    """Return (epochs, format) of a picture's file name; epochs is None for the finished picture.

    Returns None if a run never uses this name.
    """
    match = _PICTURE.fullmatch(name)
    return match and ((None if match["epoch"] is None else int(match["epoch"])), match["format"])


def frame_name(number: int) -> str:
    """Return the name of a painted frame, counted from 1."""
    return f"{number:06}.png"


def source_frame_name(number: int) -> str:
    """Return the name of the picture of a source's frame, counted from 1."""
    return f"{number:06}.jpg"


def shot_name(number: int) -> str:
    """Return the name of a shot's state, counted from 1."""
    return f"{number:04}.npz"


def is_of_a_run(name: str) -> bool:
    """Tell whether this is the name of a file that the viewer shows: a run's or film's picture, record or table."""
    return name in (RECORD, EPOCHS, FILM_RECORD, FRAME_LOG) or parse_picture_name(name) is not None


def is_written(name: str) -> bool:
    """Tell whether a run writes a complete file under this name."""
    return name in OF_A_RUN or parse_picture_name(name) is not None


def is_leftover(name: str) -> bool:
    """Tell whether a run writes under this name until the file is complete (see `files.temporary_beside`)."""
    return _LEFTOVER.fullmatch(name) is not None


def is_staging(name: str) -> bool:
    """Tell whether this is the name of a folder in which a run is written that will replace an earlier one."""
    return _STAGING.fullmatch(name) is not None
