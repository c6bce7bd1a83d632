"""Where a network that runs in tiles keeps what it needs later."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

AroundTiles: TypeAlias = Callable[[], AbstractContextManager[Callable[[], None]]]
"""Function that makes a context for tiles that run one after the other. It yields a function to call between them."""


def nothing_between() -> AbstractContextManager[Callable[[], None]]:
    """Make a context in which nothing happens between the tiles."""
    return nullcontext(lambda: None)


class Room(Protocol):
    """Memory for what is kept from one stage to another: maps, gates, and the content's maps.

    Its tensors may be on another device than the network. It keeps them bit for bit.
    """

    def empty(self, size: int) -> Tensor:
        """Return this many bytes, undefined, as one row of uint8."""

    def keep(self, tensor: Tensor) -> Tensor:
        """Return a tensor in one row, or a copy of it in this room."""

    def leave(self) -> None:
        """Give back what memory it can, between two tiles."""


@dataclass(frozen=True)
class DeviceRoom:
    """Memory of the network's device."""

    device: torch.device

    def empty(self, size: int) -> Tensor:
        """Return an ordinary tensor."""
        return torch.empty(size, dtype=torch.uint8, device=self.device)

    def keep(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself."""
        return tensor

    def leave(self) -> None:
        """Give nothing back."""


def map_in(room: Room, like: Tensor, size: tuple[int, int]) -> Tensor:
    """Return an undefined map in a room, 1 x C x h x w in channels_last, with the channels and dtype of another map.

    Args:
        room: the room.
        like: the other map.
        size: h and w.

    """
    shape = (1, *size, like.shape[1])
    flat = room.empty(torch.Size(shape).numel() * like.itemsize)
    return flat.view(like.dtype).view(shape).permute(0, 3, 1, 2)
