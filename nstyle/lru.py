"""What has been made of late, kept for as long as there is room for it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Makes a thing when it is first asked for, and keeps it until there is no more room.

    Args:
        room: how much is kept, in the unit of `size_of`; what alone takes more is not kept.
        size_of: how much room a thing takes; by default all take 1.

    """

    def __init__(self, room: int, size_of: Callable[[T], int] = lambda thing: 1) -> None:
        self.room = room
        self.size_of = size_of
        self._taken = 0
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under this key, or make it; those goes first that have not been asked for longest."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        thing = make()
        size = self.size_of(thing)
        if size <= self.room:
            self._kept[key] = thing, size
            self._taken += size
            while self._taken > self.room:
                _, (_, freed) = self._kept.popitem(last=False)
                self._taken -= freed
        return thing

    def __len__(self) -> int:
        """Return how many things are kept."""
        return len(self._kept)
