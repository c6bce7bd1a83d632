"""The mathematics of the method: pure functions of tensors."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

_ONE_THREADS_WORK = 16384  # elements; PyTorch splits a reduction to one number from 32768 on


def gram_matrix(feature_map: Tensor) -> Tensor:
    """Return the Gram matrix G = F F^T of a feature map, not normalised (Gatys et al., CVPR 2016, eq. 3).

    Args:
        feature_map: 1 x C x H x W; F is its C x (H W) matrix. Half precision is allowed.

    Returns:
        C x C, symmetric, positive semi-definite; summed in at least float32 and returned so.

    """
    gram: Tensor = _GramMatrix.apply(feature_map)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return gram


class _GramMatrix(torch.autograd.Function):
    """G = F F^T with dL/dF = (dL/dG + dL/dG^T) F: one matrix product, where autograd would take two."""

    @staticmethod
    def forward(ctx: Any, feature_map: Tensor) -> Tensor:
        ctx.save_for_backward(feature_map)
        rows = at_least_float32(_positions_by_channels(feature_map))
        return rows.T @ rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (feature_map,) = ctx.saved_tensors
        _, channels, height, width = feature_map.shape
        symmetric = (gradient + gradient.T).to(feature_map.dtype)
        rows = _positions_by_channels(feature_map) @ symmetric
        return rows.reshape(1, height, width, channels).permute(0, 3, 1, 2)


def _positions_by_channels(feature_map: Tensor) -> Tensor:
    """Return a 1 x C x H x W map as (H W) x C: without a copy when the map is channels_last."""
    return feature_map.permute(0, 2, 3, 1).reshape(-1, feature_map.shape[1])


def sum_of_squares(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor's squares as a scalar, the same to the bit on any number of CPU threads.

    PyTorch splits the sum of a whole tensor among its threads, and so rounds otherwise with each number of them. It
    never splits a sum along one dimension: so the sum is taken one dimension after the other.
    """
    total = tensor.square()
    while total.ndim > 0:
        total = total.sum(dim=-1)
    return total


def euclidean_norm(tensor: Tensor) -> Tensor:
    """Return ||tensor||_2 as a scalar, the same to the bit on any number of CPU threads.

    It is taken of pieces that PyTorch does not split among its threads, then of the pieces' norms; a small tensor is
    one such piece.
    """
    flat = tensor.reshape(-1)
    whole = flat.numel() // _ONE_THREADS_WORK * _ONE_THREADS_WORK
    rows = torch.linalg.vector_norm(flat[:whole].reshape(-1, _ONE_THREADS_WORK), dim=1)
    rest = torch.linalg.vector_norm(flat[whole:])
    norm: Tensor = torch.linalg.vector_norm(torch.cat([rows, rest.reshape(1)]))
    return norm


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return the tensor as it is, or, in half precision, as float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def gram_scale(feature_map: Tensor) -> int:
    """Return C^2 M of a 1 x C x H x W feature map, M = H W: the reference divides a layer's style loss by it."""
    _, channels, height, width = feature_map.shape
    return channels**2 * height * width


def total_variation_gradient(image: Tensor) -> Tensor:
    """Return the gradient of the (quadratic) total variation of an image.

    It is conv(image, K) with K = [[0,-1,0],[-1,4,-1],[0,-1,0]] / 8, each channel by itself, zero padding 1: the
    gradient of 1/16 times the sum of squared differences between neighbours, outside of the image being 0.

    Args:
        image: 1 x C x H x W.

    Returns:
        1 x C x H x W.

    """
    channels = image.shape[1]
    kernel = image.new_tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]]) / 8.0
    return F.conv2d(image, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels)


def clip_to_norm(gradient: Tensor, max_norm: float) -> tuple[Tensor, Tensor]:
    """Shorten a gradient to a Euclidean norm of at most `max_norm`; never lengthen it.

    Returns:
        The clipped gradient, and the norm before clipping as a scalar tensor. Where the norm is beyond the range of
        the numbers, and so unknown, the gradient is NaN.

    """
    norm = euclidean_norm(gradient)
    scale = (max_norm / norm).clamp(max=1.0)
    return gradient * torch.where(norm.isfinite(), scale, torch.nan), norm


def relative_change(old: Tensor, new: Tensor) -> Tensor:
    """Return ||old - new||_2 / ||new||_2 as a scalar tensor; 0 where nothing changed."""
    change = euclidean_norm(old - new)
    return torch.where(change == 0, change, change / euclidean_norm(new))
