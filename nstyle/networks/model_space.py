"""Model space, the images that VGG-19 sees: 1 x 3 x H x W, RGB order, range 0..255 minus the mean of ImageNet."""

from types import EllipsisType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MEAN_RGB = (123.68, 116.779, 103.939)
"""Mean of ImageNet's training pictures in 0..255, subtracted in VGG-19's training (Simonyan and Zisserman, 2014)."""


def to_model_space(rgb: NDArray[np.floating]) -> Tensor:
    """Convert a picture for display (H x W x 3, range 0..1) to model space (1 x 3 x H x W, float32)."""
    planes = np.asarray(rgb, dtype=np.float32).transpose(2, 0, 1)
    image = np.multiply(planes, np.float32(255), order="C")
    image -= np.array(MEAN_RGB, dtype=np.float32)[:, None, None]
    return torch.from_numpy(image)[None]


class ShownImage:
    """A picture for display as an image in model space, of which only the parts that are asked for take memory.

    `rgb` is H x W x 3, range 0..1. `image[..., rows, columns]` is 1 x 3 x h x w, on the device: the same, to the bit,
    as of the whole image.
    """

    def __init__(self, rgb: NDArray[np.float32], device: torch.device) -> None:
        self.rgb = rgb
        self.device = device

    def __getitem__(self, index: tuple[EllipsisType, slice, slice]) -> Tensor:
        _, rows, columns = index
        return to_model_space(self.rgb[rows, columns]).to(self.device)


def shown_range(like: Tensor) -> tuple[Tensor, Tensor]:
    """Return black and white in model space, 1 x 3 x 1 x 1 each, with the dtype and device of `like`."""
    mean = like.new_tensor(MEAN_RGB).reshape(1, 3, 1, 1)
    return -mean, 255 - mean


def from_model_space(image: Tensor) -> NDArray[np.float32]:
    """Convert an image in model space (1 x 3 x H x W) to a picture for display (H x W x 3, clipped to 0..1)."""
    planes = image.detach().to("cpu", torch.float32)[0].permute(1, 2, 0).numpy()
    rgb = planes + np.array(MEAN_RGB, dtype=np.float32)
    rgb /= np.float32(255)
    return np.clip(rgb, 0, 1, out=rgb)
