"""A first guess of what a painting does not show."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from nstyle.film.reliability import BoolMask


def filled(image: Tensor, known: BoolMask) -> Tensor:
    """Return an image whose unknown pixels mirror the known ones at the nearest of these.

    So they have the strokes and the colors of the painting around them. If the mirror image is unknown too, the
    nearest known pixel is copied.

    Args:
        image: 1 x C x H x W.
        known: which pixels are known, H x W; at least one.

    Returns:
        1 x C x H x W, contiguous.

    """
    if known.all():
        return image
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    bottom_right = np.array(known.shape)[:, None, None] - 1
    mirrored = np.clip(2 * nearest - np.indices(known.shape), 0, bottom_right)
    rows, columns = np.where(known[tuple(mirrored)], mirrored, nearest)
    places = torch.from_numpy(np.ravel_multi_index((rows, columns), known.shape)).to(image.device)
    return image.flatten(-2)[..., places].contiguous()
