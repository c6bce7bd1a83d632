"""What is made once and kept for as long as there is room."""

from collections.abc import Callable, Hashable, MutableMapping
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def made_once(cache: MutableMapping[Hashable, T], key: Hashable, make: Callable[[], T]) -> T:
    """Return what the cache has under the key; if it has nothing, make it, and keep it unless it is too large.

    `cachetools.cachedmethod` does that, too, but it has an object refer to itself. A network would then stay in
    memory until Python collects garbage, and a GPU that is full does not wait for that.
    """
    with suppress(KeyError):
        return cache[key]
    value = make()
    with suppress(ValueError):  # cachetools' word for too large
        cache[key] = value
    return value
