"""Parts of a picture, as the terms of the objective see them. The whole picture is a part too."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

PIXELS = "pixels"
"""Names the image itself in place of a layer."""

MARGIN = 2
"""Positions below and to the right of its own that a part sees, up to the edge of the whole map. Patches need it."""


class Image(Protocol):
    """An image, 1 x 3 x H x W in model space, of which parts are taken: a tensor, or what makes each part anew."""

    def __getitem__(self, index: Any, /) -> Tensor:
        """Return the part `[..., rows, columns]`, two slices."""


class _Owned(torch.autograd.Function):
    """Some rows and columns of a map, as a view. Unlike that of a slice, its gradient has the map's memory layout."""

    @staticmethod
    def forward(ctx: Any, feature_map: Tensor, rows: slice, columns: slice) -> Tensor:
        is_last = feature_map.is_contiguous(memory_format=torch.channels_last)
        ctx.layout = torch.channels_last if is_last else torch.contiguous_format
        ctx.rows, ctx.columns, ctx.shape = rows, columns, feature_map.shape
        return feature_map[..., rows, columns]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        whole = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=ctx.layout).zero_()
        whole[..., ctx.rows, ctx.columns] = gradient
        return whole, None, None


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

    @property
    def is_empty(self) -> bool:
        """Whether the part owns no position of this layer."""
        return bool(self.rows.start == self.rows.stop or self.columns.start == self.columns.stop)

    def cut(self, whole: Tensor) -> Tensor:
        """Return the owned positions of a tensor (... x h x w) that covers the whole map, as a view."""
        return whole[..., self.rows, self.columns]

    def owned(self, feature_map: Tensor, after: int = 0) -> Tensor:
        """Return the owned positions of the part's own map, as a view; for `after`, see `Part.owned`."""
        height, width = self.size
        rows = min(self.rows.stop + after, height) - self.rows.start
        columns = min(self.columns.stop + after, width) - self.columns.start
        owned: Tensor = _Owned.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            feature_map, slice(self.top, self.top + rows), slice(self.left, self.left + columns)
        )
        return owned


@dataclass(frozen=True)
class Part:
    """A picture, or a part of one with a margin around the positions that it owns.

    Attributes:
        image: 1 x 3 x H x W, model space.
        maps: {layer: 1 x C x h x w}, the image's feature maps in the network's precision.
        windows: {layer: its window}, with one for `PIXELS`; empty if this is the whole picture.
        memo: results that the parts of one picture share while the picture stays the same; see `remembered`.

    """

    image: Tensor
    maps: Mapping[str, Tensor]
    windows: Mapping[str, Window] = field(default_factory=dict)
    memo: dict[Hashable, Any] = field(default_factory=dict)

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returns; the parts of one picture call it once for each key."""
        if key not in self.memo:
            self.memo[key] = make()
        made: T = self.memo[key]
        return made

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
            after: number of extra rows and columns below and to the right, up to the edge of the whole map; at most
                `MARGIN`.

        """
        whole = self._map(layer)
        return self.windows[layer].owned(whole, after) if layer in self.windows else whole

    def clear_halo(self, layer: str, feature_map: Tensor) -> None:
        """Set what the part does not own of a map, which has the size of the layer's, to 0."""
        if layer not in self.windows:
            return
        own = self.windows[layer].owned(feature_map)
        top, left = self.windows[layer].top, self.windows[layer].left
        bottom, right = top + own.shape[-2], left + own.shape[-1]
        for halo in (slice(0, top), slice(bottom, None)):
            feature_map[..., halo, :] = 0
        for halo in (slice(0, left), slice(right, None)):
            feature_map[..., halo] = 0

    def cut(self, layer: str, whole: Tensor) -> Tensor:
        """Return the owned positions of a tensor (... x h x w) that covers the layer's whole map."""
        return self.windows[layer].cut(whole) if layer in self.windows else whole

    def _map(self, layer: str) -> Tensor:
        return self.image if layer == PIXELS else self.maps[layer]
