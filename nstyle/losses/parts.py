"""Parts of a picture, as the terms of the objective see them. The whole picture is a part too."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

PIXELS = "pixels"
"""Names the image itself in place of a layer."""


@dataclass(frozen=True)
class Window:
    """The positions of a layer's whole map that a part owns. Each position belongs to exactly one part.

    Attributes:
        rows: the rows of the whole map that the part owns.
        columns: the columns of the whole map that the part owns.
        top: margin in the part's own map: the number of rows above the owned ones.
        left: likewise, the number of columns left of the owned ones.
        size: height and width of the whole map.

    """

    rows: slice
    columns: slice
    top: int
    left: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Part:
    """A picture, or a part of one with a margin around the positions that it owns.

    Attributes:
        image: 1 x 3 x H x W, model space.
        maps: {layer: 1 x C x h x w}, the image's feature maps in the network's precision.
        windows: {layer: its window}, with one for `PIXELS`; empty if this is the whole picture.

    """

    image: Tensor
    maps: Mapping[str, Tensor]
    windows: Mapping[str, Window] = field(default_factory=dict)

    def size(self, layer: str) -> tuple[int, int]:
        """Return the height and width of the layer's whole map."""
        if layer in self.windows:
            return self.windows[layer].size
        height, width = self._map(layer).shape[-2:]
        return height, width

    def owned(self, layer: str, after: int = 0) -> Tensor:
        """Return the owned positions of the layer's map, as a view.

        Args:
            layer: name of a layer, or `PIXELS`.
            after: number of extra rows and columns below and to the right, up to the edge of the whole map.

        """
        if layer not in self.windows:
            return self._map(layer)
        window = self.windows[layer]
        height, width = window.size
        rows = min(window.rows.stop + after, height) - window.rows.start
        columns = min(window.columns.stop + after, width) - window.columns.start
        return self._map(layer)[..., window.top : window.top + rows, window.left : window.left + columns]

    def cut(self, layer: str, whole: Tensor) -> Tensor:
        """Return the owned positions of a tensor (... x h x w) that covers the layer's whole map."""
        if layer not in self.windows:
            return whole
        return whole[..., self.windows[layer].rows, self.windows[layer].columns]

    def _map(self, layer: str) -> Tensor:
        return self.image if layer == PIXELS else self.maps[layer]
