"""What is trained: the settings of a training, from options that are the flags with underscores. Imports no torch."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.painting.selection import Names, listed, select
from nstyle.settings.config import Config
from nstyle.settings.training import OF_THE_OBJECTIVE, Training

_log = logging.getLogger(__name__)

_OWN = frozenset(field.name for field in fields(Training))


@dataclass(frozen=True)
class TrainingPlan:
    """A training.

    Attributes:
        training: its settings.
        of_the_objective: the settings of a painting that are given; they say what the painter learns.
        photos: files of the photos.

    """

    training: Training
    of_the_objective: Mapping[str, Any]
    photos: list[Path]

    def painting(self, kind: str | None = None) -> Config:
        """Return the settings of the objective; see `Training.painting`."""
        return self.training.painting(self.of_the_objective, kind)


def plan_training(photos: Names | None, options: Mapping[str, Any]) -> TrainingPlan:
    """Check all settings of a training, and find its photos. Logs which files of folders are not read.

    Args:
        photos: pictures, folders or globs.
        options: settings by name.

    Raises:
        OptionError: a setting is missing or out of range, or two conflict.
        ImageError: a name of photos stands for no file.
        TypeError: an option does not exist.

    """
    if unknown := [name for name in options if name not in _OWN and name not in OF_THE_OBJECTIVE]:
        raise TypeError(f"a training has no option {unknown[0]!r}")
    training = Training(**{name: value for name, value in options.items() if name in _OWN})
    of_the_objective = {name: value for name, value in options.items() if name not in _OWN}
    training.painting(of_the_objective)  # checks them
    return TrainingPlan(training, of_the_objective, _files(photos))


def _files(photos: Names | None) -> list[Path]:
    """Return the files that the names of photos stand for."""
    if not photos:
        raise OptionError(
            "--photos is missing; name photos or folders with photos: --photos photos/",
            flag="--photos",
            kind=Kind.MISSING,
        )
    selection = select("photos", photos)
    for path in selection.paths:
        if not os.path.lexists(path):
            raise ImageError(f"{path} does not exist; check --photos", flag="--photos", path=path, kind=Kind.MISSING)
    if selection.unread:
        _log.info("not read, because nstyle does not know the format: %s", listed(selection.unread))
    return selection.paths
