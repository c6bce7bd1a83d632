"""The painted images of a shot in a folder, from one pass to the next."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nstyle.errors import Kind, RecipeError
from nstyle.files import delete_leftovers, replacing
from nstyle.storage.archive import READING_ERRORS

_NAME = re.compile(r"(?:even|odd)_[0-9]{6,}\.npy")
"""Names of the images."""


@dataclass(frozen=True)
class PaintingsFolder:
    """The images of two passes as .npy files, as `sequence.Paintings`. Each pass replaces the one before the last.

    A shot can go on from the last frame of which both the image and the state are saved, the image first.

    Attributes:
        folder: an existing folder, for this shot only.
        size: height and width of the images; None: any.

    """

    folder: Path
    size: tuple[int, int] | None = None

    def put(self, pass_number: int, number: int, image: Tensor) -> None:
        """Save the image of a frame, 1 x 3 x H x W, float32. The write is atomic.

        Raises:
            OutputError: the file cannot be written.

        """
        with replacing(self._path(pass_number, number)) as file:
            np.save(file, image.detach().cpu().numpy())

    def get(self, pass_number: int, number: int) -> Tensor:
        """Return the image of a frame, on the CPU. Reading runs no code.

        Raises:
            RecipeError: the file is missing or damaged.

        """
        path = self._path(pass_number, number)
        try:
            image = torch.from_numpy(np.load(path, allow_pickle=False))
            if image.dtype != torch.float32 or image.ndim != 4 or image.shape[:2] != (1, 3):
                raise ValueError("not an image")
            if self.size is not None and tuple(image.shape[2:]) != self.size:
                raise ValueError("an image of another size")
        except READING_ERRORS as error:
            raise RecipeError(
                f"{path} is missing or damaged, so the film cannot resume; start again with --overwrite",
                path=path,
                kind=Kind.DAMAGED,
            ) from error
        return image

    def clear(self) -> None:
        """Delete all images, whole and half-written, and the folder if nothing else is in it."""
        delete_leftovers(self.folder)
        for path in sorted(self.folder.iterdir()):
            if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                path.unlink()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, pass_number: int, number: int) -> Path:
        return self.folder / f"{'even' if pass_number % 2 == 0 else 'odd'}_{number:06d}.npy"
