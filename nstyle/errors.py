"""Errors that a user can cause and mend: every message is one line that names the cause and the way out.

Anything else that is raised is a bug of nstyle's, and shows its traceback.
"""

from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What is wrong, as a word that programs can compare; the message says it to people."""

    MISSING = "missing"
    """It does not exist, is not installed, or holds nothing of the kind asked for."""

    UNREADABLE = "unreadable"
    """The system refuses to read it, or it is a folder where a file is needed."""

    UNWRITABLE = "unwritable"
    """The system refuses to write it, or the disk is full."""

    DAMAGED = "damaged"
    """It is cut off, corrupted, or something else than it should be."""

    UNSUPPORTED = "unsupported"
    """It is valid, and nstyle has no way to use it."""

    OUT_OF_RANGE = "out of range"
    """A value, size or amount is too small or too large."""

    CONFLICT = "conflict"
    """Two things that were asked for exclude each other."""

    IN_THE_WAY = "in the way"
    """The run would overwrite a file that it may not overwrite."""

    UNKNOWN = "unknown"
    """There is nothing of that name."""


class NStyleError(Exception):
    """Base of all errors that a user can cause and mend.

    Args:
        message: one line for people.
        flag: the flag whose value is at fault, such as "--max-long-edge", if it is one.
        path: the file or folder at fault, if it is one.
        kind: what is wrong with it.

    """

    def __init__(
        self, message: str, *, flag: str | None = None, path: Path | None = None, kind: Kind | None = None
    ) -> None:
        super().__init__(message)
        self.flag = flag
        self.path = path
        self.kind = kind


class OptionError(NStyleError, ValueError):
    """A setting has an impossible value. The command exits with 2."""


class ImageError(NStyleError):
    """A picture cannot be read, or cannot be painted."""


class WeightsError(NStyleError):
    """A file of network weights cannot be read, or does not hold a VGG-19."""


class DeviceError(NStyleError):
    """The chosen device is missing, or has too little memory."""


class ClusterError(NStyleError):
    """No scheduler or worker answers."""


class OutputError(NStyleError):
    """A result cannot be written."""


class RecordError(NStyleError):
    """A folder holds no run to look at."""


class DivergenceError(NStyleError):
    """The descent left the range of pictures: its numbers are no longer finite, or absurdly large."""


class RecipeError(NStyleError):
    """A recipe, or the checkpoint of an earlier run, is missing, damaged, or belongs to another run."""
