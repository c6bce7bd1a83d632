"""A first guess of what a painting does not show: copies of what it paints elsewhere."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nstyle.film.reliability import BoolMask

BLOCK = 16
"""Edge of a block in pixels, which is copied at once. As many unknown pixels are the least for which a block is."""

MARGIN = 24
"""How many pixels around a block must be alike, too."""

LEAST, REACH = 48, 128
"""How far away in pixels a copy comes from: at least, since copies of what is beside it would make a pattern, and at
most, in each direction."""

LUMINANCE = 0.75
"""Weight of the squared differences of the content's luminance, if those of the painting's colors weigh 1."""


def filled(image: Tensor, known: BoolMask, content: NDArray[np.float32]) -> Tensor:
    """Return an image whose unknown pixels continue the known ones around them.

    First, they mirror the known pixels at the nearest of these. Thin gaps stay so. But if a picture moves sideways, a
    strip comes in with each frame, and strips that mirror each other make stripes. So each block with more unknown
    pixels than a line is copied from where the painting is most like what is known around the block, and the
    luminance of the content is most like that here (least sum of squared differences). Blocks near the known pixels
    come first.

    This is the texture synthesis of Efros and Leung (ICCV 1999), with blocks instead of pixels and the order of
    Criminisi, Perez and Toyama (CVPR 2003).

    Args:
        image: 1 x 3 x H x W, model space.
        known: which pixels are known, H x W; at least one.
        content: luminance of the content picture, H x W, 0..1.

    Returns:
        1 x 3 x H x W, contiguous.

    """
    if known.all():
        return image
    far = distance_transform_edt(~known)
    out = _mirrored(image, known)
    pictures = torch.cat([out[0], 255 * torch.from_numpy(content).to(image)[None]])
    weights = torch.tensor([1.0, 1.0, 1.0, LUMINANCE], device=image.device)[:, None, None]
    there = torch.from_numpy(known).to(image.device)
    found = there.clone()
    for block in _blocks(far):
        window = tuple(slice(max(side.start - MARGIN, 0), side.stop + MARGIN) for side in block)
        region = tuple(slice(max(side.start - REACH, 0), side.stop + REACH) for side in window)
        template = torch.cat([out[0][:, *window], pictures[3:, *window]])
        relevant = weights.expand_as(template).clone()
        relevant[:3] *= found[window]
        differences = _differences(pictures[:, *region], template, relevant)
        copied = torch.zeros_like(found)
        copied[block] = ~found[block]
        is_known = _correlated((~there[region])[None].float(), copied[window][None].float()) < 0.5
        origin = [part.start - side.start for part, side in zip(region, window, strict=True)]
        down, right = (
            torch.arange(n, device=image.device) + o for n, o in zip(differences.shape, origin, strict=True)
        )
        is_allowed = is_known & (down[:, None] ** 2 + right**2 >= LEAST**2)
        if not is_allowed.any():
            continue
        best = int(torch.where(is_allowed, differences, torch.inf).argmin())
        shift = np.unravel_index(best, differences.shape)
        source = tuple(
            slice(side.start + o + int(s), side.stop + o + int(s))
            for side, o, s in zip(block, origin, shift, strict=True)
        )
        out[0][:, *block] = torch.where(found[block], out[0][:, *block], image[0][:, *source])
        found[block] = True
    return out


def _mirrored(image: Tensor, known: BoolMask) -> Tensor:
    """Return an image whose unknown pixels mirror the known ones at the nearest of these.

    If the mirror image is unknown too, the nearest known pixel is copied.
    """
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    bottom_right = np.array(known.shape)[:, None, None] - 1
    mirrored = np.clip(2 * nearest - np.indices(known.shape), 0, bottom_right)
    rows, columns = np.where(known[tuple(mirrored)], mirrored, nearest)
    places = torch.from_numpy(np.ravel_multi_index((rows, columns), known.shape)).to(image.device)
    return image.flatten(-2)[..., places].contiguous()


def _blocks(far: NDArray[np.float64]) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns of the blocks to copy, those near the known pixels first.

    Args:
        far: how far each pixel is from a known one, H x W.

    """
    height, width = far.shape
    blocks = []
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            block = slice(top, min(top + BLOCK, height)), slice(left, min(left + BLOCK, width))
            if np.count_nonzero(far[block]) >= BLOCK:
                blocks.append((far[block].max(), top, left, block))
    yield from (block for *_, block in sorted(blocks, key=lambda one: one[:3]))


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
    size = region.shape[-2:]
    spectrum = (torch.fft.rfft2(region) * torch.fft.rfft2(template, s=size).conj()).sum(0)
    height, width = (whole - part + 1 for whole, part in zip(size, template.shape[-2:], strict=True))
    products: Tensor = torch.fft.irfft2(spectrum, s=size)
    return products[:height, :width]
