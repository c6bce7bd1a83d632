"""What the runs of one process share: the network, and what was made of the style pictures.

Nothing here changes a bit of any picture: a thing is found again only by all that it was made of.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

from cachetools import LRUCache

from nstyle.losses.objective import StyleTargets
from nstyle.lru import made_once
from nstyle.networks.model import Model, ModelOptions, load_model
from nstyle.pictures.picture import Picture

MODELS = 2
"""So many are kept: a batch has one, and may be followed by another in the same process."""

STYLE_BYTES = 64_000_000
"""Of style pictures in the size that they are looked at; there is one for each style and size of painting."""


@dataclass(frozen=True)
class Loaded:
    """A network, and what it has made of styles; one that is fitted to each pair's pictures makes nothing of them."""

    model: Model
    targets: StyleTargets


class Session:
    """Hand one to several runs (`stylize.run`), one after the other: what it keeps is made once, and is bounded.

    Args:
        owns_process: whether the process is nstyle's own, so that its memory may be tuned while a run paints.

    """

    def __init__(self, *, owns_process: bool = False) -> None:
        self.owns_process = owns_process
        self._models: LRUCache[Hashable, Loaded] = LRUCache(MODELS)
        self._pictures: LRUCache[Hashable, Picture] = LRUCache(STYLE_BYTES, _bytes_of)

    def load(self, name: str, options: ModelOptions) -> Loaded:
        """Return a network: see `model.load_model`."""
        return made_once(self._models, (name, options), partial(_load, name, options))

    def style_picture(self, key: Hashable, make: Callable[[], Picture]) -> Picture:
        """Return a style picture in its size; the key tells of the file's content and of the size."""
        return made_once(self._pictures, key, make)


def _load(name: str, options: ModelOptions) -> Loaded:
    model = load_model(name, options)
    return Loaded(model, StyleTargets(model.features))


def _bytes_of(picture: Picture) -> int:
    return picture.rgb.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
