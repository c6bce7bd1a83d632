"""Patches of feature maps and their nearest neighbors, for the Markov random field of Li and Wand (CVPR 2016)."""

from typing import Any

import torch
from torch import Tensor

from nstyle.numerics import at_least_float32, sum_of_squares

EDGE = 3
"""Positions along an edge of a patch, as in the paper."""

BLOCK = 2**22
"""Number of correlations computed at once. They exist three times over, so matching two maps takes about 50 MB in
float32, for any number of patches in rows of up to a thousand."""

SUMMING = 300
"""Number of products that take about as long as adding up one correlation and comparing it; measured on a CPU."""


def rows_of(feature_map: Tensor) -> Tensor:
    """Return a 1 x C x H x W map as H x W x C, in at least float32."""
    return at_least_float32(feature_map[0].permute(1, 2, 0))


def nearest_patches(image: Tensor, style: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Find the style's patch most like each patch of the image, by normalized cross-correlation.

    For a patch p of the image, that is the q that maximizes <p, q> / (|p| |q|) (Li and Wand, eq. 3). |p| is the same
    for all q, so it is left out. The product of two patches is a sum of nine products of positions, and neighboring
    pairs of patches share these. So a matrix product multiplies each pair of positions once, and the products are
    summed along the diagonals, columns first. Patches laid out as vectors would take nine times the multiplications.

    Args:
        image: H x W x C, each edge at least 3.
        style: H' x W' x C, each edge at least 3.
        allowed: (H' - 2) x (W' - 2), bool: which of the style's patches are candidates; None means all. At least one
            must be.

    Returns:
        (H - 2) x (W - 2), int64: the index of the found patch's upper left corner in the flattened style map.

    """
    (height, width, channels), (style_height, style_width, _) = image.shape, style.shape
    margin = EDGE - 1
    norms = squared_norms(style).sqrt()
    inverse_norms = 1 / norms.clamp(min=torch.finfo(norms.dtype).tiny)
    edge = _edge_of_strips(width, style_width)
    best = image.new_full((height - margin, width - margin), -torch.inf)
    nearest = torch.zeros_like(best, dtype=torch.int64)
    for top in range(0, height - margin, edge - margin):
        strip = image[top : top + edge]
        rows = slice(top, top + len(strip) - margin)
        for style_top in range(0, style_height - margin, edge - margin):
            style_strip = style[style_top : style_top + edge]
            products = (strip.reshape(-1, channels) @ style_strip.reshape(-1, channels).T).reshape(
                len(strip), width, len(style_strip), style_width
            )
            sums = _sum_along_diagonals(_sum_along_diagonals(products, 1), 0)
            style_rows = slice(style_top, style_top + sums.shape[2])
            sums *= inverse_norms[style_rows]
            if allowed is not None:
                sums.masked_fill_(~allowed[style_rows], -torch.inf)
            correlation, position = sums.flatten(2).max(dim=2)
            row, column = position // (style_width - margin), position % (style_width - margin)
            better = correlation > best[rows]
            best[rows] = torch.where(better, correlation, best[rows])
            nearest[rows] = torch.where(better, (style_top + row) * style_width + column, nearest[rows])
    return nearest


def work_of_matching(size: tuple[int, int], style_size: tuple[int, int], channels: int) -> float:
    """Return the number of products that `nearest_patches` takes for maps of these sizes (height and width).

    Strips overlap, so the wider the maps are, the more often it multiplies the same positions.
    """
    edge = _edge_of_strips(size[1], style_size[1])
    pairs = 1
    for height, width in (size, style_size):
        tops = range(0, height - EDGE + 1, edge - EDGE + 1)
        pairs *= width * sum(min(edge, height - top) for top in tops)
    return float(pairs * (channels + SUMMING))


def _edge_of_strips(width: int, style_width: int) -> int:
    """Return the number of rows of both maps that are multiplied at once."""
    return max(EDGE, int((BLOCK / (width * style_width)) ** 0.5))


def squared_norms(style: Tensor) -> Tensor:
    """Return |q|^2 for each patch q of a map (H x W x C): (H - 2) x (W - 2)."""
    plane = style.square().sum(-1)
    return plane.unfold(0, EDGE, 1).sum(-1).unfold(1, EDGE, 1).sum(-1)


def _sum_along_diagonals(products: Tensor, dim: int) -> Tensor:
    """Return the sum of products[..., i + d, ..., j + d, ...] over d = 0, 1, 2; i is in `dim`, j in `dim + 2`."""
    count, style_count = products.shape[dim] - EDGE + 1, products.shape[dim + 2] - EDGE + 1
    shifted = [products.narrow(dim, d, count).narrow(dim + 2, d, style_count) for d in range(EDGE)]
    total = shifted[0] + shifted[1]
    total += shifted[2]
    return total


def patch_distance(feature_map: Tensor, style: Tensor, nearest: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the sum of ||p - q||^2 over the patches p, where q is the style's patch chosen for p (eq. 2).

    Args:
        feature_map: 1 x C x H x W. Half precision is allowed.
        style: H' x W' x C, in at least float32.
        nearest: (H - 2) x (W - 2), as `nearest_patches` returns it.
        weights: (H - 2) x (W - 2), one for each patch; None means all 1. They get no gradient.

    Returns:
        A scalar in at least float32, differentiable with respect to `feature_map`; the choice of patches is fixed.

    """
    distance: Tensor = _PatchDistance.apply(feature_map, style, nearest, weights)  # type: ignore[no-untyped-call]
    return distance


class _PatchDistance(torch.autograd.Function):
    """All patches at once, but one of their nine positions at a time, so no map is copied nine times."""

    @staticmethod
    def forward(ctx: Any, feature_map: Tensor, style: Tensor, nearest: Tensor, weights: Tensor | None) -> Tensor:
        image = rows_of(feature_map)
        positions = style.reshape(-1, style.shape[2])
        total, gradient = image.new_zeros(()), torch.zeros_like(image)
        height, width = nearest.shape
        for row in range(EDGE):
            for column in range(EDGE):
                window = slice(row, row + height), slice(column, column + width)
                difference = image[window] - positions[nearest + row * style.shape[1] + column]
                if weights is None:
                    total = total + sum_of_squares(difference)
                    gradient[window] += difference
                else:
                    total = total + sum_of_squares(difference * weights.sqrt()[..., None])
                    gradient[window] += difference * weights[..., None]
        ctx.save_for_backward(gradient)
        ctx.dtype = feature_map.dtype
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (half,) = ctx.saved_tensors
        return (2 * gradient * half).to(ctx.dtype).permute(2, 0, 1)[None], None, None, None
