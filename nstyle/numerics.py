"""Sums and norms of tensors, the same to the bit on any number of threads."""

import math

import torch
from torch import Tensor

_ONE_THREADS_WORK = 16384  # elements; PyTorch splits a reduction to one number from 32768 on


def sum_of_squares(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor's squares as a scalar, the same to the bit on any number of CPU threads.

    PyTorch splits the sum of a whole tensor among its threads, and so rounds otherwise with each number of them. It
    never splits a sum along one dimension: so the sum is taken one dimension after the other.
    """
    return _sum(tensor.square())


def inner_product(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum of the products of two tensors' values as a scalar, summed as the squares are."""
    return _sum(first * second)


def _sum(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor's values, taken along one dimension after the other."""
    while tensor.ndim > 0:
        tensor = tensor.sum(dim=-1)
    return tensor


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


def root_mean_square(tensor: Tensor) -> Tensor:
    """Return the root of the mean of a tensor's squares as a scalar."""
    return euclidean_norm(tensor) / math.sqrt(tensor.numel())


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return the tensor as it is, or, in half precision, as float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


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
