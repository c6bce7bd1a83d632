"""Read a run's record, `run.json`, whoever wrote it: all code that asks what a folder holds begins here."""

import json
from pathlib import Path
from typing import Any

from nstyle.files import open_regular
from nstyle.storage.layout import RECORD

MOST_BYTES = 1_000_000
"""Size in bytes of the largest record that is read. A record has about 3,000."""

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
