"""Strips of a picture: what is computed pixel by pixel needs no temporary copy of the whole picture."""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = TypeVar("Array", bound=NDArray[Any])

STRIP = 2**20
"""Most values of a strip, unless a row has more: 4 MB in float32. A picture with fewer is one strip."""


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of each strip of an array of this shape, from top to bottom."""
    rows = max(1, STRIP // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


def in_strips(compute: Callable[..., NDArray[Any]], *arrays: NDArray[Any], out: Array) -> Array:
    """Store in `out` what `compute` makes of the arrays, strip by strip, and return it.

    Args:
        compute: a function of as many arrays; each row of its result depends only on the same row of each array.
        arrays: arrays with as many rows as `out`.
        out: the result, cast to its dtype. It may be one of the arrays.

    """
    for rows in strips(out.shape):
        out[rows] = compute(*(array[rows] for array in arrays))
    return out


def whole_numbers(levels: NDArray[np.float32], out: Array) -> Array:
    """Store levels of 0..1 in `out` as whole numbers from 0 to the largest of its dtype, rounded to the nearest."""
    white = np.iinfo(out.dtype).max
    return in_strips(lambda part: np.rint(np.clip(part, 0, 1) * white), levels, out=out)
