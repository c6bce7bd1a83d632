"""Read a run's record, `run.json`, whoever wrote it: all code that asks what a folder holds begins here."""

import json
import math
import os
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, RecordError
from nstyle.files import open_regular
from nstyle.storage.layout import RECORD

MOST_BYTES = 1_000_000
"""Size in bytes of the largest record that is read. A record has about 3,000."""

_MOST_LEVELS = 8  # of lists and mappings in a record; nstyle's have four
_MOST_DIGITS = 20  # of a whole number in a record; the largest seed has 19

FORMER = "former_pictures"
"""Name of the record's list of SHA-256: finished pictures without a recipe that were in the folder before."""


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record in a folder, as JSON values; None if there is none, or if it is damaged or not a file.

    Never waits, as opening a pipe may.
    """
    try:
        with open_regular(folder / RECORD, MOST_BYTES) as file:
            facts = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def record_to_show(path: Path, what: str = "run") -> dict[str, Any]:
    """Read a record that anybody may have written, in bounded time and memory; a link is not followed.

    Numbers that are not finite or have more than 20 digits become text.

    Args:
        path: the record.
        what: what it is the record of, for messages.

    Raises:
        RecordError: the file is missing, unreadable or damaged.

    """
    try:
        with open_regular(path, MOST_BYTES, follow=False) as file:
            record = json.loads(
                file.read(), parse_int=_parsed_whole, parse_float=_parsed_float, parse_constant=lambda word: word
            )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RecordError(
            f"{path.parent} contains no {what} (no {path.name}); name a folder that nstyle painted into",
            path=path.parent,
            kind=Kind.MISSING,
        ) from error
    except OSError as error:
        way_out = "check its permissions and those of its folder"
        if path.is_symlink():
            way_out = f"it is a link to {os.path.realpath(path)}: name the folder of that file"
        raise RecordError(
            f"{path} cannot be read: {error.strerror}; {way_out}", path=path, kind=Kind.UNREADABLE
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"{path} is damaged ({error}); paint again, or name another folder", path=path, kind=Kind.DAMAGED
        ) from error
    if not isinstance(record, dict) or not _is_shallow(record, _MOST_LEVELS):
        raise RecordError(
            f"{path} is not a record of a {what}; name a folder that nstyle painted into",
            path=path,
            kind=Kind.DAMAGED,
        )
    return record


def _parsed_whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _parsed_float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _is_shallow(value: Any, levels: int) -> bool:
    """Tell whether lists and mappings are nested in at most this many levels."""
    if not isinstance(value, dict | list):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inside)


def whole(value: Any, least: int, most: int) -> int | None:
    """Return the value if it is a whole number from `least` to `most`, else None."""
    return value if type(value) is int and least <= value <= most else None
