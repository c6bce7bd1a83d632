"""The mathematics of the losses, as pure functions of tensors."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.numerics import at_least_float32, sum_of_squares

STRIP = 2**18
"""Pixels whose total variation is computed at once: PyTorch's convolution makes copies of 40 bytes a pixel."""


def gram_matrix(feature_map: Tensor, guidance: Tensor | None = None) -> Tensor:
    """Return the Gram matrix G = F F^T of a feature map, not normalized (Gatys et al., CVPR 2016, eq. 3).

    A guidance channel T gives the guided Gram matrix, that of T o F (elementwise; Gatys et al., CVPR 2017,
    "Controlling Perceptual Factors in Neural Style Transfer", section 5). Each position counts by the square of its
    guidance.

    Args:
        feature_map: 1 x C x H x W; F is this map as a C x (H W) matrix. Half precision is allowed.
        guidance: T, 1 x 1 x H x W; None means all ones. It gets no gradient.

    Returns:
        C x C, symmetric, positive semi-definite; computed and returned in at least float32.

    """
    gram: Tensor = _GramMatrix.apply(feature_map, guidance)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return gram


class _GramMatrix(torch.autograd.Function):
    """G = F F^T with the gradient dL/dF = (dL/dG + dL/dG^T) F: one matrix product; autograd would need two.

    With guidance, T o F replaces F in G, and dL/dF gets the factor T^2. The guided map is not stored.
    """

    @staticmethod
    def forward(ctx: Any, feature_map: Tensor, guidance: Tensor | None) -> Tensor:
        ctx.save_for_backward(feature_map, guidance)
        rows = at_least_float32(_positions_by_channels(feature_map))
        if guidance is not None:
            rows = rows * guidance.reshape(-1, 1)
        return rows.T @ rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        feature_map, guidance = ctx.saved_tensors
        return gram_gradient(feature_map, guidance, gradient), None


def gram_gradient(feature_map: Tensor, guidance: Tensor | None, gradient: Tensor) -> Tensor:
    """Return dL/dF of a loss L of `gram_matrix(feature_map, guidance)`, from `gradient`, dL/dG (C x C)."""
    _, channels, height, width = feature_map.shape
    symmetric = (gradient + gradient.T).to(feature_map.dtype)
    rows = _positions_by_channels(feature_map) @ symmetric
    if guidance is not None:
        rows *= guidance.square().reshape(-1, 1).to(rows.dtype)
    return rows.reshape(1, height, width, channels).permute(0, 3, 1, 2)


def _positions_by_channels(feature_map: Tensor) -> Tensor:
    """Return a 1 x C x H x W map as (H W) x C; a view if the map is channels_last."""
    return feature_map.permute(0, 2, 3, 1).reshape(-1, feature_map.shape[1])


def sum_over_positions(feature_map: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the sum of a feature map's vectors over all positions: shape C, in at least float32.

    Args:
        feature_map: 1 x C x H x W.
        weights: 1 x 1 x H x W, one for each position; None means all 1.

    """
    rows = at_least_float32(_positions_by_channels(feature_map))
    return rows.sum(dim=0) if weights is None else rows.T @ weights.reshape(-1).to(rows)


def gram_scale(channels: int, positions: int) -> int:
    """Return C^2 M, by which the reference divides a layer's style loss; M is the map's number of positions."""
    return channels**2 * positions


def region_at(region: Tensor, height: int, width: int) -> Tensor:
    """Average a region of a picture (1 x 1 x H x W) down to a layer's size: 1 x 1 x height x width.

    It applies 2 x 2 average pooling, rounded down, as often as the network pools. So each position gets the mean of
    the pixels below it. If a network's maps have other sizes, it averages over equal parts.
    """
    while region.shape[-2] // 2 >= height and region.shape[-1] // 2 >= width:
        region = F.avg_pool2d(region, kernel_size=2)
    if region.shape[-2:] != (height, width):
        region = F.adaptive_avg_pool2d(region, (height, width))
    return region


def guidance_at(region: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return a region's guidance channel T at a layer of the network, and the region's share of the picture.

    T is the square root of the region, so each position counts by the region itself. Gatys et al. (CVPR 2017) use the
    region as T, so a position counts by its square. If two regions cross-fade (r and 1 - r), their squares sum to
    only a half in the middle, and both styles would be weak there; the regions themselves sum to 1.

    Args:
        region: 1 x 1 x H x W, 0..1: how much each pixel of the picture belongs to the region.
        height: height of the layer's map.
        width: width of the layer's map.

    Returns:
        T, 1 x 1 x height x width, scaled so that its sum of squares is the number M of positions. If the region is
        the whole picture, that makes the guided Gram matrix equal the ordinary one; if it is smaller, it keeps that
        magnitude. (Gatys et al. scale the sum to 1.)
        The share, a scalar: sum(T^2) / M before scaling.
        Both are 0 if nothing of the region is left at the layer.

    """
    guidance = region_at(region, height, width).sqrt()
    share = sum_of_squares(guidance) / guidance.numel()
    return guidance / share.clamp(min=torch.finfo(guidance.dtype).tiny).sqrt(), share


def total_variation_gradient(image: Tensor) -> Tensor:
    """Return the gradient of the (quadratic) total variation of an image.

    It is conv(image, K) with K = [[0,-1,0],[-1,4,-1],[0,-1,0]] / 8, for each channel separately, with zero padding 1.
    It is the gradient of 1/16 times the sum of squared differences between neighbors, if the image is 0 beyond its
    edges. That loss is half the inner product of the image and this gradient.

    Args:
        image: 1 x C x H x W.

    Returns:
        1 x C x H x W.

    """
    channels, height, width = image.shape[1:]
    kernel = image.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]) / 8.0
    gradient, rows = torch.empty_like(image), max(1, STRIP // width)
    for top in range(0, height, rows):
        above = max(top - 1, 0)  # a row of the strip before, unless there is none
        strip = image[:, :, above : top + rows + 1]
        found = F.conv2d(strip, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels)
        gradient[:, :, top : top + rows] = found[:, :, top - above : top - above + rows]
    return gradient


def bounded_range(values: Tensor, half_range: float = 127.5, alpha: int = 6) -> Tensor:
    """Return the bounded-range prior of Mahendran and Vedaldi (CVPR 2015).

    It is half_range / alpha * sum(|v / half_range|^alpha).

    Args:
        values: any shape, centered in their range: 0 is mid-grey.
        half_range: distance from the center to the edge of the range.
        alpha: an even exponent; the paper uses 6.

    Returns:
        A scalar.

    """
    return half_range / alpha * sum_of_squares((values / half_range) ** (alpha // 2))


def bounded_range_gradient(values: Tensor, half_range: float = 127.5, alpha: int = 6) -> Tensor:
    """Return the gradient of `bounded_range`; the arguments are the same.

    Its magnitude is 1 at the edge of the range, almost 0 in the middle, and grows steeply beyond the edge.
    """
    return (values / half_range) ** (alpha - 1)
