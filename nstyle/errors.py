"""Errors that a user can cause and fix. Each message is one line that names the cause and the way out.

Any other exception is a bug in nstyle and shows its traceback.
"""

from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What is wrong, as a word that programs can compare. The message is for people."""

    MISSING = "missing"
    """It does not exist, is not installed, or holds nothing of the kind that was asked for."""

    UNREADABLE = "unreadable"
    """The system refuses to read it, or it is a folder where a file is needed."""

    UNWRITABLE = "unwritable"
    """The system refuses to write it, or the disk is full."""

    DAMAGED = "damaged"
    """It is truncated, corrupted, or not what it should be."""

    UNSUPPORTED = "unsupported"
    """It is valid, but nstyle cannot use it."""

    OUT_OF_RANGE = "out of range"
    """A value, size or amount is too small or too large."""

    CONFLICT = "conflict"
    """Two requests exclude each other."""

    IN_THE_WAY = "in the way"
    """The run would overwrite a file that it must keep."""

    BUSY = "busy"
    """Another run is using it."""

    UNKNOWN = "unknown"
    """Nothing has that name."""


class NStyleError(Exception):
    """Base class of all errors that a user can cause and fix.

    Args:
        message: one line for people.
        flag: the flag with the faulty value, such as "--max-long-edge"; None if no flag is at fault.
        path: the faulty file or folder; None if none is at fault.
        kind: what is wrong.

    """

    def __init__(
        self, message: str, *, flag: str | None = None, path: Path | None = None, kind: Kind | None = None
    ) -> None:
        super().__init__(message)
        self.flag = flag
        self.path = path
        self.kind = kind


class OptionError(NStyleError, ValueError):
    """A setting has an invalid value. The command exits with 2."""


class ImageError(NStyleError):
    """A picture cannot be read or painted."""


class WeightsError(NStyleError):
    """A file of network weights cannot be read, or holds another network than it should."""


class DeviceError(NStyleError):
    """The chosen device is missing or has too little memory."""


class ClusterError(NStyleError):
    """No scheduler or worker answers."""


class OutputError(NStyleError):
    """A result cannot be written."""


class RecordError(NStyleError):
    """A folder holds no run to view."""


class DivergenceError(NStyleError):
    """The descent diverged: the image's values are not finite, or far outside the range of pictures."""


class RecipeError(NStyleError):
    """A recipe, or the checkpoint of an earlier run, is missing, damaged, or belongs to another run."""
