"""Errors of a training: they name its flags, where those of a painting would name others or none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from nstyle.devices import out_of_memory_as_error
from nstyle.errors import ImageError, Kind, OptionError, OutputError
from nstyle.painter.objectives import CropObjectives
from nstyle.painter.photos import Photos


def check_crops(objectives: CropObjectives, photos: Photos) -> None:
    """Check that the objective can be evaluated at the narrowest crop.

    Raises:
        OptionError: crops can be too small for the style loss.

    """
    height, width = photos.narrowest
    crop = torch.zeros(1, 3, height, width, device=objectives.device)
    try:
        objectives(crop).gradient(crop)
    except ImageError as error:
        raise OptionError(
            f"--crop-edge {photos.crop_edge} is too small for the style loss at these layers, because crops can have "
            f"{width}x{height} pixels; raise it",
            flag="--crop-edge",
            kind=Kind.OUT_OF_RANGE,
        ) from error


@contextmanager
def about_validation_photo(path: Path, max_long_edge: int, device: torch.device) -> Iterator[None]:
    """Let errors say that the validation photo is too small for the objective, or too large for the memory."""
    try:
        with out_of_memory_as_error(
            device,
            "--max-long-edge",
            f" painting and evaluating the validation photo; lower --max-long-edge (now {max_long_edge})",
        ):
            yield
    except ImageError as error:
        raise ImageError(
            f"{path} is too small at --max-long-edge {max_long_edge} for the style loss at these layers; raise that, "
            "or choose a --validation-photo that is less narrow",
            flag="--validation-photo",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        ) from error


@contextmanager
def naming_output() -> Iterator[None]:
    """Let errors about files that are written name the flag of this command."""
    try:
        yield
    except OutputError as error:
        message = str(error).replace("--output-dir", "--output")
        raise OutputError(message, flag="--output", path=error.path, kind=error.kind) from error
