"""The mathematics of the losses: pure functions of tensors."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.numerics import at_least_float32, sum_of_squares


def gram_matrix(feature_map: Tensor, guidance: Tensor | None = None) -> Tensor:
    """Return the Gram matrix G = F F^T of a feature map, not normalised (Gatys et al., CVPR 2016, eq. 3).

    With a guidance channel T it is the guided one, of T o F (Gatys et al., CVPR 2017, "Controlling Perceptual
    Factors in Neural Style Transfer", section 5): each position counts by the square of its guidance.

    Args:
        feature_map: 1 x C x H x W; F is its C x (H W) matrix. Half precision is allowed.
        guidance: 1 x 1 x H x W, or None: all ones. It gets no gradient.

    Returns:
        C x C, symmetric, positive semi-definite; summed in at least float32 and returned so.

    """
    gram: Tensor = _GramMatrix.apply(feature_map, guidance)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return gram


class _GramMatrix(torch.autograd.Function):
    """G = F F^T with dL/dF = (dL/dG + dL/dG^T) F: one matrix product, where autograd would take two.

    With guidance F is T o F, and dL/dF gets T^2 as a factor. The guided map is not kept.
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
        _, channels, height, width = feature_map.shape
        symmetric = (gradient + gradient.T).to(feature_map.dtype)
        rows = _positions_by_channels(feature_map) @ symmetric
        if guidance is not None:
            rows *= guidance.square().reshape(-1, 1).to(rows.dtype)
        return rows.reshape(1, height, width, channels).permute(0, 3, 1, 2), None


def _positions_by_channels(feature_map: Tensor) -> Tensor:
    """Return a 1 x C x H x W map as (H W) x C: without a copy when the map is channels_last."""
    return feature_map.permute(0, 2, 3, 1).reshape(-1, feature_map.shape[1])


def sum_over_positions(feature_map: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the sum of a feature map's vectors over all positions: C values, in at least float32.

    Args:
        feature_map: 1 x C x H x W.
        weights: 1 x 1 x H x W, of the positions; None: all 1.

    """
    rows = at_least_float32(_positions_by_channels(feature_map))
    return rows.sum(dim=0) if weights is None else rows.T @ weights.reshape(-1).to(rows)


def gram_scale(channels: int, positions: int) -> int:
    """Return C^2 M: the reference divides a layer's style loss by it. M counts the positions of the layer's map."""
    return channels**2 * positions


def region_at(region: Tensor, height: int, width: int) -> Tensor:
    """Average a region of a picture (1 x 1 x H x W) down to a layer's size: 1 x 1 x height x width.

    It is averaged over squares of 2 x 2, rounded down, as often as the network pools: so a position has the mean of
    the pixels below it. For a network of other sizes it is averaged over equal parts.
    """
    while region.shape[-2] // 2 >= height and region.shape[-1] // 2 >= width:
        region = F.avg_pool2d(region, kernel_size=2)
    if region.shape[-2:] != (height, width):
        region = F.adaptive_avg_pool2d(region, (height, width))
    return region


def guidance_at(region: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the guidance channel that a region of a picture is at a layer of the network, and the region's share.

    Args:
        region: 1 x 1 x H x W, 0..1: how much each pixel of the picture belongs to it.
        height: of the layer's map.
        width: of the layer's map.

    Returns:
        T, 1 x 1 x height x width, scaled so that its sum of squares is the number M of positions (Gatys et al., CVPR
        2017, scale it to 1; M makes the guided Gram matrix the ordinary one where the region is everything, and
        as large as that where it is not); and, before scaling, sum(T^2) / M: the part of the picture that it guides.
        Where nothing of the region is left at the layer, both are 0.

        T is the square root of the region, so each position counts by the region itself. Gatys et al. take the
        region for T, so a position counts by its square. Of two regions that cross-fade (r and 1 - r), the squares
        sum to a half in the middle, and both styles would be weak there; the regions themselves sum to 1.

    """
    guidance = region_at(region, height, width).sqrt()
    share = sum_of_squares(guidance) / guidance.numel()
    return guidance / share.clamp(min=torch.finfo(guidance.dtype).tiny).sqrt(), share


def total_variation_gradient(image: Tensor) -> Tensor:
    """Return the gradient of the (quadratic) total variation of an image.

    It is conv(image, K) with K = [[0,-1,0],[-1,4,-1],[0,-1,0]] / 8, each channel by itself, zero padding 1: the
    gradient of 1/16 times the sum of squared differences between neighbours, outside of the image being 0. That sum
    is half the inner product of the image and this gradient.

    Args:
        image: 1 x C x H x W.

    Returns:
        1 x C x H x W.

    """
    channels = image.shape[1]
    kernel = image.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]) / 8.0
    return F.conv2d(image, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels)


def bounded_range(values: Tensor, half_range: float = 127.5, alpha: int = 6) -> Tensor:
    """Return the bounded-range prior of Mahendran and Vedaldi (CVPR 2015).

    It is half_range / alpha * sum(|v / half_range|^alpha).

    Args:
        values: of any shape, centred in their range: 0 is mid-grey.
        half_range: from the centre to the edge of the range.
        alpha: an even exponent; 6 is the paper's.

    Returns:
        A scalar.

    """
    return half_range / alpha * sum_of_squares((values / half_range) ** (alpha // 2))


def bounded_range_gradient(values: Tensor, half_range: float = 127.5, alpha: int = 6) -> Tensor:
    """Return the gradient of `bounded_range`, which takes the same arguments.

    It is 1 for a value at the edge of the range, almost 0 in the middle, and grows steeply beyond the edge.
    """
    return (values / half_range) ** (alpha - 1)
