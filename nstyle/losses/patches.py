"""Patches of feature maps, and which is most like which: the Markov random field of Li and Wand (CVPR 2016)."""

from typing import Any

import torch
from torch import Tensor

from nstyle.numerics import at_least_float32, sum_of_squares

EDGE = 3
"""Positions along each edge of a patch, as in the paper."""

BLOCK = 2**22
"""Correlations that are held at once; they are there three times over, so that the matching of two maps takes some
50 MB in float32 however many patches they have, up to rows of a thousand."""


def rows_of(feature_map: Tensor) -> Tensor:
    """Return a 1 x C x H x W map as H x W x C, in at least float32."""
    return at_least_float32(feature_map[0].permute(1, 2, 0))


def nearest_patches(image: Tensor, style: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Find the style's patch that is most like each patch of the image, by normalised cross-correlation.

    Of a patch p of the image it is the q that maximises <p, q> / (|p| |q|) (Li and Wand, eq. 3); |p| is the same for
    all q, and left out. A patch's product with another is the sum of nine products of positions, which neighbouring
    pairs share: so each pair of positions is multiplied once, by a matrix product, and the products are summed along
    the diagonals, columns first. That is a ninth of the multiplications that patches laid out as vectors take.

    Args:
        image: H x W x C, each edge at least 3.
        style: H' x W' x C, likewise.
        allowed: (H' - 2) x (W' - 2), which of the style's patches are looked at; None: all. At least one must be.

    Returns:
        (H - 2) x (W - 2): where in the style's map, its rows laid end to end, the upper left corner of the patch is.

    """
    (height, width, channels), (style_height, style_width, _) = image.shape, style.shape
    margin = EDGE - 1
    norms = squared_norms(style).sqrt()
    inverse_norms = 1 / norms.clamp(min=torch.finfo(norms.dtype).tiny)
    edge = max(EDGE, int((BLOCK / (width * style_width)) ** 0.5))
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


def squared_norms(style: Tensor) -> Tensor:
    """Return |q|^2 of each patch q of a map (H x W x C): (H - 2) x (W - 2)."""
    plane = style.square().sum(-1)
    return plane.unfold(0, EDGE, 1).sum(-1).unfold(1, EDGE, 1).sum(-1)


def _sum_along_diagonals(products: Tensor, dim: int) -> Tensor:
    """Return the sums of products[..., i + d, ..., j + d, ...] over d = 0, 1, 2; i in `dim`, j two dimensions on."""
    count, style_count = products.shape[dim] - EDGE + 1, products.shape[dim + 2] - EDGE + 1
    shifted = [products.narrow(dim, d, count).narrow(dim + 2, d, style_count) for d in range(EDGE)]
    total = shifted[0] + shifted[1]
    total += shifted[2]
    return total


def patch_distance(feature_map: Tensor, style: Tensor, nearest: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the sum over the patches p of ||p - q||^2, q being the style's patch chosen for p (the paper's eq. 2).

    Args:
        feature_map: 1 x C x H x W. Half precision is allowed.
        style: H' x W' x C, in at least float32.
        nearest: (H - 2) x (W - 2), as `nearest_patches` returns it.
        weights: (H - 2) x (W - 2), of each patch; None: all 1. They get no gradient.

    Returns:
        A scalar in at least float32, differentiable in `feature_map`, the choice of patches being held.

    """
    distance: Tensor = _PatchDistance.apply(feature_map, style, nearest, weights)  # type: ignore[no-untyped-call]
    return distance


class _PatchDistance(torch.autograd.Function):
    """Each of a patch's nine positions by itself, of all patches at once: nothing is held nine times over."""

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
