"""What the gradient needs of rectified maps that no loss looks at: where they are positive, one bit a value."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Backward: TypeAlias = Callable[[Tensor], Tensor]
"""Function from the gradient with respect to a convolution's result to that with respect to its input."""

# For eight bytes of 0 or 1 in an integer of 64 bits, and the eight bits of one byte.
_GATHER = 0x0102040810204080
_COPIES = 0x0101010101010101
_OWN_BIT = 0x8040201008040201 - 2**64


class Gates:
    """Where the gradient passes on its way down through a block's convolutions, above the layers that a loss needs.

    Below a ReLU, the gradient is that above it where the map is positive, and 0 elsewhere. Maximum pooling passes it
    to the largest of four. So the maps themselves are not needed again: bits are enough.

    Args:
        keep: called with bits, in one row; returns what to keep: these, or a copy on any device.

    """

    def __init__(self, keep: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> None:
        self._keep = keep
        self._bits: list[tuple[Tensor, torch.Size]] = []

    @property
    def are_set(self) -> bool:
        """Whether the block has run."""
        return bool(self._bits)

    def add(self, rectified: Tensor, pool: Callable[[Tensor, int], Tensor] | None = None) -> None:
        """Note where a map (1 x C x h x w, at least 0) is positive; the maps come from the lowest upwards.

        Args:
            rectified: the map.
            pool: the pooling that follows, if it passes the gradient to some of the positions only.

        """
        is_open = rectified.to(torch.bool)
        if pool is not None:
            with torch.enable_grad():
                leaf = rectified.detach().requires_grad_()
                pooled = pool(leaf, 2)
                (passed,) = torch.autograd.grad(pooled, leaf, torch.ones_like(pooled))
            is_open &= passed.to(torch.bool)
        flat = is_open.permute(0, 2, 3, 1).reshape(-1)
        if missing := -len(flat) % 8:
            flat = torch.cat([flat, flat.new_zeros(missing)])
        bits = (flat.view(torch.int64) * _GATHER) >> 56
        self._bits.append((self._keep(bits.to(torch.uint8)), rectified.shape))

    def replay(self, x: Tensor, share: float, downwards: Sequence[Backward]) -> Tensor:
        """Return undefined values, 1 x C x h // 2 x w // 2, with the gradient of the pooled map.

        The gates must be set.

        Args:
            x: the input of the lowest convolution that was noted, 1 x C x h x w.
            share: the part of the gradient of a pooled value that each position gets, if it gets any.
            downwards: for each map that was noted, the gradient of its convolution, from the lowest upwards.

        """
        pooled: Tensor = _Replay.apply(x, self, share, downwards)  # type: ignore[no-untyped-call]  # torch's own
        return pooled

    def _is_open(self, number: int, device: torch.device) -> Tensor:
        """Return where the map of this number, from the lowest, is positive: 1 x C x h x w, in channels_last."""
        bits, (_, channels, height, width) = self._bits[number]
        spread = (bits.to(device, torch.int64) * _COPIES).bitwise_and_(_OWN_BIT).view(torch.uint8).to(torch.bool)
        return spread[: height * width * channels].view(1, height, width, channels).permute(0, 3, 1, 2)

    def _spread(self, pooled: Tensor) -> Tensor:
        """Give the value of each pooled position to the four below it; rows and columns that pooling drops get 0."""
        height, width = self._bits[-1][1][-2:]
        channels, rows, columns = pooled.shape[1:]
        last = torch.empty((1, height, width, channels), dtype=pooled.dtype, device=pooled.device)
        one_of_four = pooled.permute(0, 2, 3, 1)
        for row, column in itertools.product(range(2), range(2)):
            last[:, row : 2 * rows : 2, column : 2 * columns : 2] = one_of_four
        last[:, 2 * rows :] = 0
        last[:, :, 2 * columns :] = 0
        return last.permute(0, 3, 1, 2)


class _Replay(torch.autograd.Function):
    """The way down through noted gates."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gates: Gates, share: float, downwards: Sequence[Backward]) -> Tensor:
        ctx.gates, ctx.share, ctx.downwards = gates, share, downwards
        _, channels, height, width = gates._bits[-1][1]
        shape = (1, channels, height // 2, width // 2)
        return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = ctx.gates._spread(gradient * ctx.share)
        for number, downward in reversed(list(enumerate(ctx.downwards))):
            gradient = downward(gradient.mul_(ctx.gates._is_open(number, gradient.device)))
        return gradient, None, None, None
