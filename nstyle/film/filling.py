"""A first guess of what a painting does not show: copies of what it paints elsewhere."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nstyle.film.reliability import BoolMask

BLOCK = 16
"""Edge in pixels of the blocks that are copied. Blocks with less than a sixteenth unknown are not."""

MARGIN = 24
"""How many pixels around a block must be alike, too."""

LEAST, REACH = 48, 128
"""How far away in pixels a copy comes from: at least, since copies of what is beside it would make a pattern, and at
most, in each direction."""

LUMINANCE = 0.75
"""Weight of the squared differences of the content's luminance, if those of the painting's colors weigh 1."""


def filled(image: Tensor, known: BoolMask, painted: BoolMask, content: NDArray[np.float32]) -> Tensor:
    """Return an image whose unknown pixels continue the known ones around them.

    First, they mirror the known pixels at the nearest of these. But if a picture moves sideways, a strip comes in
    with each frame, and strips that mirror each other make stripes. So each block of which enough is unknown is
    copied from where the painting is most like what is known around the block, and the luminance of the content is
    most like that here: the place with the least sum of squared differences. Blocks whose farthest unknown pixel is
    nearest to a known one come first. What is farther than `REACH` from all that is known stays a mirror image, and
    so does what no place fits because the picture is small.

    This is the texture synthesis of Efros and Leung (ICCV 1999), with blocks instead of pixels.

    Args:
        image: 1 x 3 x H x W, model space.
        known: which pixels are known, H x W; at least one.
        painted: which pixels are painted, H x W. Only these are copied, and only to these.
        content: luminance of the content picture, H x W, 0..1.

    Returns:
        1 x 3 x H x W, contiguous.

    """
    if known.all():
        return image
    far, nearest = distance_transform_edt(~known, return_indices=True)
    out = _mirrored(image, known, nearest)
    pictures = torch.cat([out[0], 255 * torch.from_numpy(content).to(image)[None]])
    weights = torch.tensor([1.0, 1.0, 1.0, LUMINANCE], device=image.device)[:, None, None]
    useless = torch.from_numpy(~(known & painted)).to(image)[None]
    found = torch.tensor(known, device=image.device)
    for block in _blocks(np.where(painted, far, 0)):
        window = tuple(slice(max(side.start - MARGIN, 0), side.stop + MARGIN) for side in block)
        inner = tuple(_moved(side, -around.start) for side, around in zip(block, window, strict=True))
        region = tuple(slice(max(side.start - REACH, 0), side.stop + REACH) for side in window)
        first = [part.start - side.start for part, side in zip(region, window, strict=True)]
        copied = torch.zeros_like(useless[:, *window])
        copied[:, *inner] = (~found[block]).to(copied)
        is_allowed = _correlated(useless[:, *region], copied) < 0.5
        down, right = (torch.arange(n, device=image.device) + o for n, o in zip(is_allowed.shape, first, strict=True))
        is_allowed &= down[:, None] ** 2 + right**2 >= LEAST**2
        if not is_allowed.any():
            continue
        template = torch.cat([out[0][:, *window], pictures[3:, *window]])
        relevant = weights.expand_as(template).clone()
        relevant[:3] *= found[window]
        differences = _differences(pictures[:, *region], template, relevant)
        best = int(torch.where(is_allowed, differences, torch.inf).argmin())
        shifts = (start + int(n) for start, n in zip(first, np.unravel_index(best, differences.shape), strict=True))
        source = tuple(_moved(side, shift) for side, shift in zip(block, shifts, strict=True))
        out[0][:, *block] = torch.where(found[block], out[0][:, *block], image[0][:, *source])
        found[block] = True
    return out


def _mirrored(image: Tensor, known: BoolMask, nearest: NDArray[np.int32]) -> Tensor:
    """Return an image whose unknown pixels mirror the known ones at the nearest of these.

    If the mirror image is unknown too, the nearest known pixel is copied.

    Args:
        image: 1 x C x H x W.
        known: H x W.
        nearest: row and column of the known pixel nearest to each pixel, 2 x H x W.

    """
    bottom_right = np.array(known.shape)[:, None, None] - 1
    mirrored = np.clip(2 * nearest - np.indices(known.shape), 0, bottom_right)
    rows, columns = np.where(known[tuple(mirrored)], mirrored, nearest)
    places = torch.from_numpy(np.ravel_multi_index((rows, columns), known.shape)).to(image.device)
    return image.flatten(-2)[..., places].contiguous()


def _blocks(far: NDArray[np.float64]) -> list[tuple[slice, slice]]:
    """Return the rows and columns of the blocks to copy, those near the known pixels first.

    Args:
        far: how far each pixel is from a known one, H x W; 0 where nothing is needed.

    """
    height, width = far.shape
    blocks = []
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            block = slice(top, min(top + BLOCK, height)), slice(left, min(left + BLOCK, width))
            farthest = far[block].max()
            if np.count_nonzero(far[block]) * BLOCK >= far[block].size and farthest <= math.hypot(REACH, REACH):
                blocks.append((farthest, top, left, block))
    return [block for *_, block in sorted(blocks, key=lambda one: one[:3])]


def _moved(side: slice, by: int) -> slice:
    return slice(side.start + by, side.stop + by)


def _differences(region: Tensor, template: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted squared difference of a template to each window of a region, less a constant.

    Args:
        region: C x H x W.
        template: C x h x w.
        weights: C x h x w.

    Returns:
        (H - h + 1) x (W - w + 1).

    """
    return _correlated(region.square(), weights) - 2 * _correlated(region, weights * template)


def _correlated(region: Tensor, template: Tensor) -> Tensor:
    """Return the sum of the products of a template and each window of a region, by fast Fourier transforms."""
    size = [n + n % 2 for n in region.shape[-2:]]  # some devices cannot invert the transform of an odd size
    spectrum = (torch.fft.rfft2(region, s=size) * torch.fft.rfft2(template, s=size).conj()).sum(0)
    height, width = (whole - part + 1 for whole, part in zip(region.shape[-2:], template.shape[-2:], strict=True))
    products: Tensor = torch.fft.irfft2(spectrum, s=size)
    return products[:height, :width]
