"""The image that a scale starts from."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nstyle.networks.model_space import from_model_space, to_model_space
from nstyle.pictures.color_transfer import grey, luminance
from nstyle.pictures.picture import Rgb

NOISE = 0.1
"""Amplitude of the start noise in model space: the reference draws it uniformly from (-0.1, 0.1)."""


def shown_content(rgb: Rgb, preserve_colors: str) -> Rgb:
    """Return the content as the network sees it: with "luma" in grey, since the finished picture gets its colors."""
    return grey(luminance(rgb)) if preserve_colors == "luma" else rgb


def noise(height: int, width: int, seed: int) -> Tensor:
    """Return the reference's start noise, 1 x 3 x H x W; drawn on the CPU, it is the same on every device."""
    uniform = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return uniform.mul_(2).sub_(1).mul_(NOISE)


def grain(height: int, width: int, levels: float, seed: int) -> Tensor:
    """Return Gaussian noise, 1 x 1 x H x W, with a standard deviation of `levels` grey levels (0 to 255).

    It is the same for all colors, so grey stays grey. Drawn on the CPU, it is the same on every device.
    """
    generator = np.random.default_rng([seed, height, width])
    return torch.from_numpy(generator.standard_normal((1, 1, height, width), np.float32)).mul_(levels)


def fitted_start(
    start: Tensor | Callable[[], Tensor],
    shown: NDArray[np.float32],
    mask: Tensor | None,
    device: torch.device,
    *,
    keeps_grey: bool,
) -> Tensor:
    """Return a scale's start, in grey if that is kept; outside of the mask it is the content as it is shown.

    `start` is an image in model space, or paints one.
    """
    image = start if isinstance(start, Tensor) else start()
    if keeps_grey:
        image = to_model_space(grey(luminance(from_model_space(image))))
    image = image.to(device)
    return image if mask is None else mask * image + (1 - mask) * to_model_space(shown).to(device)
