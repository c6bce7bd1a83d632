"""Values that are made once and cached while there is room."""

from collections.abc import Callable, Hashable, MutableMapping
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def made_once(cache: MutableMapping[K, T], key: K, make: Callable[[], T]) -> T:
    """Return the cached value of a key; if there is none, make it and cache it, unless it is too large.

    `cachetools.cachedmethod` does this too, but it makes an object refer to itself. A network would then stay in
    memory until Python's garbage collector runs, and a full GPU does not trigger that.
    """
    with suppress(KeyError):
        return cache[key]
    value = make()
    with suppress(ValueError):  # cachetools raises it if the value is too large
        cache[key] = value
    return value
