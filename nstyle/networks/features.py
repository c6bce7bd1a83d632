"""What a feature extractor is."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor


class Features(Protocol):
    """A feature extractor."""

    def __call__(self, image: Tensor, layers: Iterable[str]) -> Mapping[str, Tensor]:
        """Return the 1 x C x h x w feature map of each named layer for a 1 x 3 x H x W image."""
