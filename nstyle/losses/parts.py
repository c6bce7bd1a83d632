"""A part of a picture, as the terms of the objective see it; the whole picture is one, too."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

PIXELS = "pixels"
"""Stands for the image itself where a layer is named."""


@dataclass(frozen=True)
class Window:
    """Which positions of a layer's whole map a part owns. Parts own each position once.

    Attributes:
        rows: the rows of the whole map that the part owns.
        columns: its columns, likewise.
        top: how many rows of the part's own map come before those: its margin.
        left: how many of its columns, likewise.
        size: height and width of the whole map.

    """

    rows: slice
    columns: slice
    top: int
    left: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Part:
    """A picture, or a part of one with a margin around what it owns.

    Attributes:
        image: 1 x 3 x H x W, model space.
        maps: {layer: 1 x C x h x w}, the image's feature maps in the network's precision.
        windows: of each layer, and of `PIXELS`; none at all: this is the whole picture.

    """

    image: Tensor
    maps: Mapping[str, Tensor]
    windows: Mapping[str, Window] = field(default_factory=dict)

    def size(self, layer: str) -> tuple[int, int]:
        """Return height and width of the layer's whole map."""
        if layer in self.windows:
            return self.windows[layer].size
        height, width = self._map(layer).shape[-2:]
        return height, width

    def owned(self, layer: str, after: int = 0) -> Tensor:
        """Return the positions of the layer that the part owns: a view of its map.

        Args:
            layer: its name, or `PIXELS`.
            after: how many more rows and columns, below and to the right, as far as there are any in the whole map.

        """
        if layer not in self.windows:
            return self._map(layer)
        window = self.windows[layer]
        height, width = window.size
        rows = min(window.rows.stop + after, height) - window.rows.start
        columns = min(window.columns.stop + after, width) - window.columns.start
        return self._map(layer)[..., window.top : window.top + rows, window.left : window.left + columns]

    def cut(self, layer: str, whole: Tensor) -> Tensor:
        """Return what belongs to the positions that the part owns, of a tensor (... x h x w) for the whole map."""
        if layer not in self.windows:
            return whole
        return whole[..., self.windows[layer].rows, self.windows[layer].columns]

    def _map(self, layer: str) -> Tensor:
        return self.image if layer == PIXELS else self.maps[layer]
