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

CACHE_BYTES = 256_000_000
"""Bytes of decoded photos in memory: 900 at an edge of 256. Of more photos, the least recently used is read again."""


class Photos:
    """A source of crops. A photo is read when a crop of it is first needed.

    Each crop is a square window of a photo, resized to `crop` pixels and mirrored half of the time. What is drawn
    depends on the seed, the step and the photos alone, so a resumed training sees the crops that it would have seen.

    A photo that cannot be read is left out, with a warning. A photo smaller than a crop is enlarged, with a warning.
    Transparent parts are white.

    Args:
        paths: the files.
        edge: the longer edge of the photos, in pixels, around which crops are drawn; see `ZOOM`.
        crop: the edge of a crop, in pixels.

    """

    def __init__(self, paths: Sequence[Path], *, edge: int, crop: int) -> None:
        self.paths = list(paths)
        self.edge = edge
        self.crop = crop
        self._unreadable: set[Path] = set()
        self._enlarged: set[Path] = set()
        self._cache: LRUCache[Hashable, NDArray[np.uint8]] = LRUCache(CACHE_BYTES, lambda photo: photo.nbytes)

    def crops(self, seed: int, step: int, count: int) -> Tensor:
        """Draw the crops of a step: count x 3 x crop x crop, model space, float32.

        Raises:
            ImageError: no photo can be read.

        """
        generator = np.random.default_rng([seed, step])
        return torch.cat([to_model_space(self._draw(generator)) for _ in range(count)])

    def _draw(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """Draw a crop: crop x crop x 3, 0..1."""
        photo = self._draw_photo(generator)
        height, width, _ = photo.shape
        largest = max(self.crop, min(round(self.crop * ZOOM**2), height, width))
        window = round(math.exp(generator.uniform(math.log(self.crop), math.log(largest))))
        top, left = (int(generator.integers(edge - window + 1)) for edge in (height, width))
        cut = np.multiply(photo[top : top + window, left : left + window], 1 / 255, dtype=np.float32)
        cut = resize(cut, self.crop, self.crop)
        return cut[:, ::-1] if generator.random() < 0.5 else cut

    def _draw_photo(self, generator: np.random.Generator) -> NDArray[np.uint8]:
        """Draw a photo that can be read.

        Photos that cannot be read are drawn, too, and thrown away. So a crop does not depend on which of them are
        known already.
        """
        while len(self._unreadable) < len(set(self.paths)):
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
        """Read a photo at the size that crops need: H x W x 3, each edge at least `crop`."""
        largest = round(self.edge * ZOOM)
        rgb = on_white(read_picture(path, largest))
        height, width, _ = rgb.shape
        factor = max(min(1, largest / max(height, width)), self.crop / min(height, width))
        if factor > 1 and path not in self._enlarged:
            self._enlarged.add(path)
            _log.warning(
                "%s has only %dx%d pixels, and crops have %d: it is enlarged", path, width, height, self.crop
            )
        size = (max(self.crop, round(height * factor)), max(self.crop, round(width * factor)))
        return to_uint8(resize(rgb, *size))
