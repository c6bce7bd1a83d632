"""The names of what stands in the folder of a run, and why a run stops. Everybody who reads or writes asks here."""

import re
from enum import StrEnum

from nstyle.pictures.formats import WRITTEN

RECORD = "run.json"
"""The recipe, and how far the run is."""

EPOCHS = "epochs.csv"
"""A line for each epoch."""

CHECKPOINT = "state.npz"
"""What the run goes on from."""

_ENDINGS = "|".join(WRITTEN)
_PICTURE = re.compile(rf"(?:final|e_(?P<epoch>[0-9]+))\.(?P<format>{_ENDINGS})")
_LEFTOVER = re.compile(
    rf"\.(?:{_PICTURE.pattern}|{re.escape(RECORD)}|{re.escape(EPOCHS)}|{re.escape(CHECKPOINT)})\.(?P<process>[0-9]+)\.tmp"
)


class StopReason(StrEnum):
    """Why a run stopped, or that it has not."""

    RUNNING = "running"
    RELATIVE_CHANGE = "relative change"
    """The picture changed by less than `stop_eps` in an epoch."""
    EPOCHS = "epochs"
    """`max_num_epochs` were done."""
    INTERRUPTED = "interrupted"
    DIVERGED = "diverged"
    FAILED = "failed"


FINISHED = (StopReason.RELATIVE_CHANGE, StopReason.EPOCHS)
"""The run came to its own end; any other reason leaves something to be done."""


def final_name(image_format: str) -> str:
    """Return the name of the finished picture."""
    return f"final.{image_format}"


def snapshot_name(epochs: int, image_format: str) -> str:
    """Return the name of the picture after so many epochs."""
    return f"e_{epochs}.{image_format}"


def parse_picture_name(name: str) -> tuple[int | None, str] | None:
    """Return (epochs, format) of a picture's name; the epochs of the finished picture are None.

    None means that no run gives a picture this name.
    """
    match = _PICTURE.fullmatch(name)
    return match and ((None if match["epoch"] is None else int(match["epoch"])), match["format"])


def is_of_a_run(name: str) -> bool:
    """Tell whether a file has a name that a run gives to what is shown of it: its pictures, record and epochs."""
    return name in (RECORD, EPOCHS) or parse_picture_name(name) is not None


def writer_of_leftover(name: str) -> int | None:
    """Return the number of the process that left this half-written file; None: it is not one of a run's."""
    match = _LEFTOVER.fullmatch(name)
    return match and int(match["process"])
