"""Crops of photos to train with: drawn at random, and the same for the same seed and step."""

import logging
import math
from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray
from torch import Tensor

from nstyle.errors import ImageError, Kind
from nstyle.lru import made_once
from nstyle.networks.model_space import to_model_space
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import on_white, resize, to_uint8

_log = logging.getLogger(__name__)

ZOOM = math.sqrt(2)
"""Crops come from photos whose longer edge is `edge` divided by this, to `edge` times this."""

LARGEST_RATIO = 2.0
"""Largest ratio of a crop's edges. Of a panorama, crops are parts."""

CACHE_BYTES = 256_000_000
"""Bytes of decoded photos in memory: 900 at an edge of 256. Of more photos, the least recently used is read again."""

POOL, ROUNDS = 128, 3
"""After `POOL` steps, their crops come back in the next ones, in another order, until each step's crops were used
`ROUNDS` times; then new ones are cut. That saves time while they and their targets are cached."""

CROP_BYTES = 256_000_000
"""Bytes of crops in memory: two squares of 128 pixels for `POOL` steps take 50 MB, one of 384 takes 226 MB."""


class Photos:
    """A source of crops. A photo is read when a crop of it is first needed.

    Each crop is a window of a photo, resized to the crop's size and mirrored half of the time. All crops of a step
    have one size, in the shape of the first one's photo (`crop_size`), so a crop can be nearly all of a photo. Photos
    of another shape are enlarged for it, if need be. What is drawn depends on the seed, the step and the photos
    alone, so a resumed training sees the crops that it would have seen. Crops come back (`POOL`).

    A photo that cannot be read is left out, with a warning. A photo smaller than a crop is enlarged, with a warning.
    Transparent parts are white.

    Args:
        paths: the files.
        edge: the longer edge of the photos, in pixels, around which crops are drawn; see `ZOOM`.
        crop_edge: the edge, in pixels, of a square with as many pixels as a crop has.
        squares: whether crops are that square, whatever the shape of their photos.

    """

    def __init__(self, paths: Sequence[Path], *, edge: int, crop_edge: int, squares: bool = False) -> None:
        self.paths = list(paths)
        self.edge = edge
        self.crop_edge = crop_edge
        self.largest_ratio = 1.0 if squares else LARGEST_RATIO
        self._number_of_different = len(set(self.paths))
        self._unreadable: set[Path] = set()
        self._enlarged: set[Path] = set()
        self._cache: LRUCache[Hashable, NDArray[np.uint8]] = LRUCache(CACHE_BYTES, lambda photo: photo.nbytes)
        self._crops: LRUCache[Hashable, Tensor] = LRUCache(CROP_BYTES, lambda crops: crops.nbytes)

    @property
    def narrowest(self) -> tuple[int, int]:
        """Height and width of the crops of a panorama: no crop has a shorter edge."""
        return crop_size(self.crop_edge, (1, math.ceil(self.largest_ratio)), self.largest_ratio)

    def crops(self, seed: int, step: int, count: int) -> Tensor:
        """Return the crops of a step: count x 3 x h x w, model space, float32. Do not change them.

        Raises:
            ImageError: no photo can be read.

        """
        drawing = seed, drawing_of(seed, step), count
        return made_once(self._crops, drawing, partial(self.cut, *drawing))

    def cut(self, seed: int, number: int, count: int) -> Tensor:
        """Return new crops, as `crops` does; `number` is that of the drawing, see `drawing_of`."""
        generator = np.random.default_rng([seed, number])
        first = self._draw_photo(generator)
        size = crop_size(self.crop_edge, first.shape[:2], self.largest_ratio)
        crops = [self._draw(generator, first, size)]
        crops += [self._draw(generator, self._draw_photo(generator), size) for _ in range(count - 1)]
        return torch.cat([to_model_space(crop) for crop in crops])

    def _draw(
        self, generator: np.random.Generator, photo: NDArray[np.uint8], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Draw a crop of this size from a photo: h x w x 3, 0..1.

        The window has the crop's shape. It is as large as the crop or larger, unless a photo of another shape is too
        small for that.
        """
        largest = min(ZOOM**2, *(there / edge for there, edge in zip(photo.shape[:2], size, strict=True)))
        factor = math.exp(generator.uniform(math.log(min(1.0, largest)), math.log(largest)))
        height, width = (max(1, round(factor * edge)) for edge in size)
        top = int(generator.integers(photo.shape[0] - height + 1))
        left = int(generator.integers(photo.shape[1] - width + 1))
        cut = np.multiply(photo[top : top + height, left : left + width], 1 / 255, dtype=np.float32)
        cut = resize(cut, *size)
        return cut[:, ::-1] if generator.random() < 0.5 else cut

    def _draw_photo(self, generator: np.random.Generator) -> NDArray[np.uint8]:
        """Draw a photo that can be read.

        Photos that cannot be read are drawn, too, and thrown away. So a crop does not depend on which of them are
        known already.
        """
        while len(self._unreadable) < self._number_of_different:
            path = self.paths[int(generator.integers(len(self.paths)))]
            if path in self._unreadable:
                continue
            try:
                return made_once(self._cache, path, partial(self._read, path))
            except ImageError as error:
                _log.warning("%s; it is left out", error)
                self._unreadable.add(path)
        raise ImageError(
            f"none of the {len(self.paths)} photos can be read; name other pictures or folders with --photos",
            flag="--photos",
            kind=Kind.UNREADABLE,
        )

    def _read(self, path: Path) -> NDArray[np.uint8]:
        """Read a photo at the size that crops need: H x W x 3, at least as large as a crop of its shape."""
        largest = round(self.edge * ZOOM)
        rgb = on_white(read_picture(path, largest))
        height, width, _ = rgb.shape
        rows, columns = crop_size(self.crop_edge, (height, width), self.largest_ratio)
        factor = max(min(1, largest / max(height, width)), rows / height, columns / width)
        if factor > 1 and path not in self._enlarged:
            self._enlarged.add(path)
            _log.warning(
                "%s has only %dx%d pixels, and crops have %dx%d: it is enlarged", path, width, height, columns, rows
            )
        return to_uint8(resize(rgb, max(rows, round(height * factor)), max(columns, round(width * factor))))


def drawing_of(seed: int, step: int) -> int:
    """Return the number of the drawing whose crops a step has; both count from 0. See `POOL`."""
    pool, place = divmod(step, POOL * ROUNDS)
    turn, place = divmod(place, POOL)
    if turn > 0:
        place = int(np.random.default_rng([seed, pool, turn, 1]).permutation(POOL)[place])
    return pool * POOL + place


def crop_size(edge: int, photo: tuple[int, int], largest_ratio: float = LARGEST_RATIO) -> tuple[int, int]:
    """Return (height, width) of a crop with about edge^2 pixels, in the shape of a photo as far as it may be.

    Args:
        edge: the edge of a square crop.
        photo: height and width of the photo.
        largest_ratio: the largest ratio of the crop's edges.

    """
    height, width = photo
    stretch = math.sqrt(min(max(width / height, 1 / largest_ratio), largest_ratio))
    return round(edge / stretch), round(edge * stretch)
