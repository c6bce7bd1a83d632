"""The interface of a feature extractor."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor


class Features(Protocol):
    """A network that computes feature maps of an image."""

    def __call__(self, image: Tensor, layers: Iterable[str]) -> Mapping[str, Tensor]:
        """Return {layer: 1 x C x h x w feature map} for a 1 x 3 x H x W image in model space."""
