"""Sums and norms of tensors, bit-identical for any number of CPU threads."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

_ONE_THREADS_WORK = 16384  # elements a piece; from 32768 on, PyTorch splits a full reduction among threads

STRIP = 2**22
"""Most values of a strip of an image, unless a row has more: 16 MB in float32. A smaller image is one strip."""


def strips(image: Tensor) -> Iterator[Any]:
    """Yield the index of each strip of an image (... x H x W): some of its rows, from top to bottom.

    What is computed value by value needs no temporary copy of the image, if it is computed strip by strip.
    """
    if image.numel() <= STRIP or image.ndim < 2:
        yield ...
        return
    rows = max(1, STRIP * image.shape[-2] // image.numel())
    for top in range(0, image.shape[-2], rows):
        yield (..., slice(top, top + rows), slice(None))


def sum_of_squares(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor's squared elements as a scalar, bit-identical for any number of CPU threads.

    PyTorch splits the sum of a whole tensor among its threads, so the rounding depends on their number. It never
    splits a sum along one dimension, so this sums one dimension after the other.
    """
    return _sum(tensor.square())


def inner_product(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum of the elementwise products of two tensors as a scalar, summed as in `sum_of_squares`."""
    if first.numel() <= STRIP or first.ndim < 2:
        return _sum(first * second)
    rows = [(first[strip] * second[strip]).sum(dim=-1) for strip in strips(first)]
    return _sum(torch.cat(rows, dim=-1))


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
    return _norm(lambda piece: flat[piece], flat.numel())


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Return `euclidean_norm(first - second)`, to the bit, without a copy of a large difference."""
    flat, other = first.reshape(-1), second.reshape(-1)
    return _norm(lambda piece: flat[piece] - other[piece], flat.numel())


def _norm(values: Callable[[slice], Tensor], length: int) -> Tensor:
    """Return the norm of a vector of this length, of which `values` makes any part."""
    whole = length // _ONE_THREADS_WORK * _ONE_THREADS_WORK
    starts = range(0, whole, STRIP)  # each strip is a multiple of a piece
    pieces = (values(slice(start, min(start + STRIP, whole))).reshape(-1, _ONE_THREADS_WORK) for start in starts)
    norms = [torch.linalg.vector_norm(rows, dim=1) for rows in pieces]
    rest = torch.linalg.vector_norm(values(slice(whole, length)))
    norm: Tensor = torch.linalg.vector_norm(torch.cat([*norms, rest.reshape(1)]))
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
    if weight is None:
        length, whole = distance(old, new), euclidean_norm(new)
    else:
        length, whole = euclidean_norm(weight * (old - new)), euclidean_norm(weight * new)
    return torch.where(length == 0, length, length / whole)
