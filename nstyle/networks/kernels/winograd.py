"""Winograd's minimal filtering F(4x4, 3x3): 3x3 convolutions of stride 1 with a quarter of the multiplications.

From Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (CVPR 2016): a 6x6 tile d of the input and a
kernel g give a 4x4 tile of the output, A' ((G g G') * (B' d B)) A, where * is elementwise and A' is A transposed.
Over all tiles and channels, a convolution becomes 36 matrix products. It rounds differently from direct convolution.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

MOST_VALUES = 3_000_000
"""Limit on the values in an intermediate result; rows of tiles are processed in groups of at most this size."""

WORKING_BYTES = 5 * 4 * MOST_VALUES
"""Bytes of intermediate results that a convolution has at a time: four, and one that malloc keeps, as measured."""


def _both_ways(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return the matrix that transforms flattened tiles along both axes."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix)


_OF_INPUT = _both_ways(  # B'
    (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    )
)
_OF_KERNEL = _both_ways(  # G
    (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    )
)
_OF_OUTPUT = _both_ways(((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)))  # A'


def transform_kernels(weight: Tensor) -> Tensor:
    """Transform kernels (C_out x C_in x 3 x 3) for `convolve`: 36 x C_in x C_out."""
    channels_out, channels_in, _, _ = weight.shape
    flat = weight.permute(2, 3, 1, 0).reshape(9, -1)
    return (_OF_KERNEL.to(flat) @ flat).reshape(36, channels_in, channels_out)


def convolve(maps: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
    """Compute `conv2d` with padding 1; differentiable with respect to the maps.

    Args:
        maps: 1 x C_in x H x W, float32.
        kernels: 36 x C_in x C_out, from `transform_kernels`.
        bias: C_out.

    Returns:
        1 x C_out x H x W, in channels_last.

    """
    convolved: Tensor = _Convolution.apply(maps, kernels, bias)  # type: ignore[no-untyped-call]  # so are PyTorch's stubs
    return convolved


def convolve_back(gradient: Tensor, kernels: Tensor) -> Tensor:
    """Return the gradient with respect to the maps of `convolve`, from that with respect to its result."""
    _, channels, height, width = gradient.shape
    rows, columns = -(-height // 4), -(-width // 4)
    padded = gradient.new_zeros(4 * rows, 4 * columns, channels)
    padded[:height, :width] = gradient[0].permute(1, 2, 0)
    result = gradient.new_zeros(4 * rows + 2, 4 * columns + 2, kernels.shape[1])
    of_input, of_output = _OF_INPUT.to(gradient).T, _OF_OUTPUT.to(gradient).T
    for some in _some_rows(rows, columns, kernels):
        tiles = _tiles(padded, some, columns, 0, 0, 4, 4).reshape(16, -1)
        transformed = (of_output @ tiles).reshape(36, -1, channels)
        products = (transformed @ kernels.transpose(1, 2)).reshape(36, -1)
        whole = (of_input @ products).reshape(6, 6, len(some), columns, -1)
        for top, tall in ((0, 4), (4, 2)):  # the tiles overlap by two
            for left, wide in ((0, 4), (4, 2)):
                part = whole[top : top + tall, left : left + wide]
                _tiles(result, some, columns, top, left, tall, wide).add_(part)
    return result[1 : height + 1, 1 : width + 1].permute(2, 0, 1)[None]


class _Convolution(torch.autograd.Function):
    """The convolution, with its adjoint as the gradient: the transposed steps in reverse order."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(kernels)
        _, channels, height, width = maps.shape
        rows, columns = -(-height // 4), -(-width // 4)
        padded = maps.new_zeros(4 * rows + 2, 4 * columns + 2, channels)
        padded[1 : height + 1, 1 : width + 1] = maps[0].permute(1, 2, 0)
        result = maps.new_empty(4 * rows, 4 * columns, kernels.shape[2])
        of_input, of_output = _OF_INPUT.to(maps), _OF_OUTPUT.to(maps)
        for some in _some_rows(rows, columns, kernels):
            tiles = _tiles(padded, some, columns, 0, 0, 6, 6).reshape(36, -1)
            transformed = (of_input @ tiles).reshape(36, -1, channels)
            products = (transformed @ kernels).reshape(36, -1)
            whole = of_output @ products
            target = _tiles(result, some, columns, 0, 0, 4, 4)
            target.copy_(whole.reshape(target.shape))
        result += bias
        return result[:height, :width].permute(2, 0, 1)[None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (kernels,) = ctx.saved_tensors
        return convolve_back(gradient, kernels), None, None


def _some_rows(rows: int, columns: int, kernels: Tensor) -> Iterator[range]:
    """Split the rows of tiles into groups of at most `MOST_VALUES` intermediate values, or into single rows."""
    at_a_time = max(1, MOST_VALUES // (36 * columns * max(kernels.shape[1:])))
    for first in range(0, rows, at_a_time):
        yield range(first, min(first + at_a_time, rows))


def _tiles(maps: Tensor, rows: range, columns: int, top: int, left: int, tall: int, wide: int) -> Tensor:
    """Return a view of part of each tile in these rows of tiles: tall x wide x rows x columns x C.

    In the maps (H x W x C), a tile begins every four positions. The part begins at `top` and `left` of its tile.
    """
    down, right, _ = maps.stride()
    return maps.as_strided(
        (tall, wide, len(rows), columns, maps.shape[2]),
        (down, right, 4 * down, 4 * right, 1),
        (4 * rows.start + top) * down + left * right,
    )
