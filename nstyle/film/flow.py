"""Optical flow between two frames of a film, and images carried along it.

A flow is an H x W x 2 array. For each pixel of one frame, it tells where the same point of the scene is in another
frame: how far to the right (x) and down (y), in pixels. It may point out of that frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

Flow = NDArray[np.float32]
"""H x W x 2: x to the right and y down, in pixels."""


@dataclass(frozen=True)
class Motion:
    """How the scene moves between two frames of the same size.

    Attributes:
        forward: flow from the earlier frame: where each of its pixels goes.
        backward: flow from the later frame: where each of its pixels came from.

    """

    forward: Flow
    backward: Flow

    @property
    def reversed(self) -> "Motion":
        """The same motion of the film played backwards, in which the later frame is the earlier one."""
        return Motion(self.backward, self.forward)

    def resized(self, height: int, width: int) -> "Motion":
        """Return the motion between the frames resized to height x width."""
        return Motion(resized(self.forward, height, width), resized(self.backward, height, width))


def resized(flow: Flow, height: int, width: int) -> Flow:
    """Return the flow between two frames that are both resized to height x width: its vectors stretch with them."""
    own_height, own_width, _ = flow.shape
    if (own_height, own_width) == (height, width):
        return flow
    planes = torch.from_numpy(np.ascontiguousarray(flow)).permute(2, 0, 1)[None]
    planes = F.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False, antialias=True)
    stretch = np.array([width / own_width, height / own_height], dtype=np.float32)
    stretched: Flow = planes[0].permute(1, 2, 0).numpy() * stretch
    return stretched


REACH = 3
"""Half the width of the kernel of `SharpWarp`, in pixels."""


def warped(image: Tensor, flow: Flow) -> Tensor:
    """Carry an image along a flow: each pixel gets the value of the place that its flow points to.

    Between pixels, it interpolates bilinearly; a whole number of pixels copies values to the bit. Places out of frame
    have the value of the nearest edge.

    Args:
        image: 1 x C x H x W, the frame that the flow points into; of the earlier frame for a backward flow.
        flow: H x W x 2.

    Returns:
        1 x C x H x W, contiguous, on the image's device.

    """
    height, width = image.shape[-2:]
    columns, rows = (torch.from_numpy(places).to(image.device) for places in places_of(flow))
    columns, rows = columns.clamp(0, width - 1), rows.clamp(0, height - 1)
    left, top = columns.floor(), rows.floor()
    across, down = (columns - left).to(image.dtype), (rows - top).to(image.dtype)
    left, top = left.long(), top.long()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    upper = torch.lerp(image[..., top, left], image[..., top, right], across)
    lower = torch.lerp(image[..., bottom, left], image[..., bottom, right], across)
    return torch.lerp(upper, lower, down).contiguous()


def sharply_warped(image: Tensor, flow: Flow) -> Tensor:
    """Carry an image along a flow like `warped`, but keep its details: see `SharpWarp`."""
    return SharpWarp(flow, image.device)(image)


class SharpWarp:
    """Carries images along a flow like `warped`, but keeps their details: interpolates with Lanczos's kernel.

    The kernel is sinc(t) sinc(t / 3) for |t| < 3, in each direction, and its weights are scaled to a sum of 1. Values
    may be a little beyond the image's. A shift by half a pixel raises the style loss of a painting of 160 pixels by
    15%; with bilinear interpolation, it would be 158%.

    Several images share the weights, which take 64 bytes a pixel.

    Args:
        flow: H x W x 2, as that of `warped`; the images are H x W, too.
        device: the device of the images.

    """

    def __init__(self, flow: Flow, device: torch.device) -> None:
        columns, rows = (torch.from_numpy(places).to(device) for places in places_of(flow))
        self._rows, self._columns = _Taps(rows, flow.shape[0]), _Taps(columns, flow.shape[1])

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image carried along the flow, contiguous; both are 1 x C x H x W."""
        total = torch.zeros_like(image)
        for down, row in self._rows:
            for across, column in self._columns:
                total += down.to(image.dtype) * across.to(image.dtype) * image[..., row, column]
        return total


class _Taps:
    """The pixels around places in one direction: 2 REACH times their weights and indices, H x W each.

    Args:
        places: columns or rows between pixels, H x W.
        length: the number of columns or rows of the image.

    """

    def __init__(self, places: Tensor, length: int) -> None:
        places = places.clamp(0, length - 1)
        first = places.floor()
        offsets = torch.arange(1 - REACH, REACH + 1, device=places.device)[:, None, None]
        distances = places - first - offsets
        taps = torch.sinc(distances) * torch.sinc(distances / REACH)
        self._weights = torch.where(places == first, (offsets == 0).to(taps), taps / taps.sum(dim=0))
        self._first, self._last = first.long(), length - 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for weight, offset in zip(self._weights, range(1 - REACH, REACH + 1), strict=True):
            yield weight, (self._first + offset).clamp(0, self._last)


def places_of(flow: Flow) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the columns and the rows that a flow points to, H x W each."""
    height, width, _ = flow.shape
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.add(flow[..., 0], columns, dtype=np.float32), np.add(flow[..., 1], rows[:, None], dtype=np.float32)
