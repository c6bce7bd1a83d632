"""A bank of fixed filters at five scales: a fast network without trained weights, as an alternative to VGG-19.

It sees colors, edges and lines at five sizes, but no objects. That is enough for palette, grain and strokes. Gram
matrices of one such layer give textures nearly as good as those of a trained network (Ustyuzhaninov, Brendel, Gatys
and Bethge, "Texture Synthesis Using Shallow Convolutional Networks with Random Filters", 2016). Oriented filters at
several scales go back to Heeger and Bergen (SIGGRAPH 1995); these are Gabor filters. This module is also the example
of how to write a `Model`.
"""

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.errors import Kind, OptionError
from nstyle.networks.blocks import run_blocks
from nstyle.networks.model import Model, ModelOptions
from nstyle.networks.vgg19 import POOLING

LAYERS = ("scale1", "scale2", "scale3", "scale4", "scale5")
"""From the picture's full size to a sixteenth of it."""

ORIENTATIONS = 6
EDGE = 7  # pixels, of a filter
WAVELENGTH = 4.0  # pixels
GAIN = 3.0  # fits the default weights; style losses grow with its 4th power, content losses with its 2nd
DEVIATION = 1.5  # pixels, of the Gaussian window of each filter

_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (1 / 2, -1 / 2, 0.0), (1 / 4, 1 / 4, -1 / 2))
"""Rows: light, red-green, yellow-blue. Columns: their factors on red, green, blue."""


def _filters() -> Tensor:
    """Return a Gaussian, and a line and an edge filter (sum 0) in each orientation: N x 7 x 7, each of norm GAIN."""
    reach = torch.arange(EDGE, dtype=torch.float64) - EDGE // 2
    y, x = torch.meshgrid(reach, reach, indexing="ij")
    window = torch.exp(-(x**2 + y**2) / (2 * DEVIATION**2))
    kernels = [window]
    for k in range(ORIENTATIONS):
        angle = math.pi * k / ORIENTATIONS
        phase = 2 * math.pi / WAVELENGTH * (x * math.cos(angle) + y * math.sin(angle))
        line = window * (phase.cos() - (window * phase.cos()).sum() / window.sum())
        kernels += [line, window * phase.sin()]
    return torch.stack([kernel / kernel.norm() for kernel in kernels]) * GAIN


class FilterBank:
    """Convolutions of each color with each filter at each scale, split into their positive and negative parts."""

    def __init__(self, pooling: str, device: torch.device, dtype: torch.dtype) -> None:
        colors = torch.tensor(_OPPONENT, dtype=torch.float64)
        kernels = torch.einsum("ci,nyx->cniyx", colors, _filters()).flatten(0, 1)
        self.kernels = torch.cat([kernels, -kernels]).to(device, dtype)
        self.pooling = pooling

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return {layer: 1 x 78 x h x w feature map} for a 1 x 3 x H x W image."""
        return run_blocks(self.blocks, image, layers)

    @property
    def blocks(self) -> "tuple[FilterBlock, ...]":
        """One block for each scale, from the image upwards."""
        poolings = (*POOLING[self.pooling], None)
        return tuple(FilterBlock(self.kernels, *both) for both in zip(LAYERS, poolings, strict=True))


@dataclass(frozen=True)
class FilterBlock:
    """One scale of the bank, as a `blocks.Block`: its filters see the pooled image of the scale before.

    Attributes:
        kernels: 78 x 3 x 7 x 7.
        layer: the name of its feature map.
        pool: the pooling of the image for the next scale; None at the last.

    """

    kernels: Tensor
    layer: str
    pool: Callable[[Tensor, int], Tensor] | None

    @property
    def reach(self) -> dict[str, int]:
        """Half of a filter."""
        return {self.layer: EDGE // 2}

    @property
    def reach_of_pooled(self) -> int:
        """The image itself is pooled."""
        return 0

    @property
    def pooled_channels(self) -> int:
        """Those of the image."""
        return self.kernels.shape[1]

    @property
    def widest(self) -> int:
        """The number of filters."""
        return self.kernels.shape[0]

    @property
    def kept(self) -> float:
        """The feature map and the image."""
        return self.widest + self.pooled_channels

    def __call__(
        self, x: Tensor, layers: Collection[str], *, pooled: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the feature map, if it is in `layers`, and the pooled image."""
        x = x.to(self.kernels.dtype)
        maps = {self.layer: F.conv2d(x, self.kernels, padding=EDGE // 2).relu()} if self.layer in layers else {}
        return maps, self.pool(x, 2) if pooled and self.pool is not None else None


def filter_bank(options: ModelOptions) -> Model:
    """Load the filter bank.

    Raises:
        OptionError: weights are chosen, but this network has none.

    """
    if options.weights != "embedded":
        raise OptionError(
            f"--model filters has no weights: leave out --weights {options.weights}",
            flag="--weights",
            kind=Kind.CONFLICT,
        )
    return Model(
        FilterBank(options.pooling, options.device, options.dtype),
        LAYERS,
        content_layers=("scale3",),
        style_layers=LAYERS,
        mrf_layers=("scale3", "scale4"),
    )
