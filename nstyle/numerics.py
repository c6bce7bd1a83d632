"""Sums and norms of tensors, bit-identical for any number of CPU threads."""

import math

import torch
from torch import Tensor

_ONE_THREADS_WORK = 16384  # elements a piece; from 32768 on, PyTorch splits a full reduction among threads


def sum_of_squares(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor's squared elements as a scalar, bit-identical for any number of CPU threads.

    PyTorch splits the sum of a whole tensor among its threads, so the rounding depends on their number. It never
    splits a sum along one dimension, so this sums one dimension after the other.
    """
    return _sum(tensor.square())


def inner_product(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum of the elementwise products of two tensors as a scalar, summed as in `sum_of_squares`."""
    return _sum(first * second)


def _sum(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor's elements as a scalar, one dimension after the other."""
    while tensor.ndim > 0:
        tensor = tensor.sum(dim=-1)
    return tensor


def euclidean_norm(tensor: Tensor) -> Tensor:
    """Return ||tensor||_2 as a scalar, bit-identical for any number of CPU threads.

    It takes the norm of pieces too small for PyTorch to split among threads, then the norm of those norms. A small
    tensor is one piece.
    """
    flat = tensor.reshape(-1)
    whole = flat.numel() // _ONE_THREADS_WORK * _ONE_THREADS_WORK
    rows = torch.linalg.vector_norm(flat[:whole].reshape(-1, _ONE_THREADS_WORK), dim=1)
    rest = torch.linalg.vector_norm(flat[whole:])
    norm: Tensor = torch.linalg.vector_norm(torch.cat([rows, rest.reshape(1)]))
    return norm


def root_mean_square(tensor: Tensor) -> Tensor:
    """Return the root mean square of a tensor's elements as a scalar."""
    return euclidean_norm(tensor) / math.sqrt(tensor.numel())


def at_least_float32(tensor: Tensor) -> Tensor:
    """Convert a half-precision tensor to float32; return any other unchanged."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def clip_to_norm(gradient: Tensor, max_norm: float) -> tuple[Tensor, Tensor]:
    """Scale a gradient down to a Euclidean norm of at most `max_norm`; never scale it up.

    Returns:
        The clipped gradient, and the norm before clipping as a scalar tensor. If the norm is infinite or NaN, the
        gradient is NaN.

    """
    norm = euclidean_norm(gradient)
    scale = (max_norm / norm).clamp(max=1.0)
    return gradient * torch.where(norm.isfinite(), scale, torch.nan), norm


def relative_change(old: Tensor, new: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return ||w (old - new)||_2 / ||w new||_2 as a scalar tensor; 0 if nothing changed.

    Args:
        old: a tensor.
        new: a tensor of the same shape.
        weight: w, 0..1, how much each element counts; it broadcasts to that shape. None: every element counts.

    """
    change, whole = old - new, new
    if weight is not None:
        change, whole = weight * change, weight * whole
    length = euclidean_norm(change)
    return torch.where(length == 0, length, length / euclidean_norm(whole))
