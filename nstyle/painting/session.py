"""A cache that the runs of one process share: networks, resized style pictures and their targets.

Sharing does not change a bit of any painting: each key holds everything that its entry depends on.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial

from cachetools import LRUCache

from nstyle.losses.objective import StyleTargets
from nstyle.losses.streamed import Streamed
from nstyle.losses.tiles import Tiling
from nstyle.lru import made_once
from nstyle.networks.model import Model, ModelOptions, load_model
from nstyle.networks.weights_files import weights_content
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config

MODELS = 2
"""Networks in the cache. A batch needs one; two allow a second batch in the same process."""

STYLE_BYTES = 64_000_000
"""Bytes of resized style pictures in the cache, one for each style and size; 600 x 600 pixels need 4.3 MB."""


@dataclass(frozen=True)
class Loaded:
    """A network, and the style targets computed with it.

    Attributes:
        model: the network.
        targets: a cache of style targets; not used by a network that is fitted to each pair of pictures.

    """

    model: Model
    targets: StyleTargets
    _in_tiles: dict[Tiling, StyleTargets] = field(default_factory=dict)

    def targets_in(self, tiling: Tiling | None) -> StyleTargets:
        """Return the network with its cache of targets: the whole network (None), or one that runs in tiles."""
        if tiling is None:
            return self.targets
        return made_once(self._in_tiles, tiling, lambda: StyleTargets(Streamed(self.model.features, tiling)))


class Session:
    """A cache for several runs (`stylize.run`) in sequence. It is bounded, and evicts the least recently used.

    Args:
        owns_process: whether the process belongs to nstyle. If so, a run may tune the process's memory allocator.

    """

    def __init__(self, *, owns_process: bool = False) -> None:
        self.owns_process = owns_process
        self._models: LRUCache[Hashable, Loaded] = LRUCache(MODELS)
        self._pictures: LRUCache[Hashable, Picture] = LRUCache(STYLE_BYTES, _bytes_of)

    def may_tune(self, config: Config) -> bool:
        """Tell whether a run may keep freed memory (`devices.keeping_freed_memory`), which takes more of it."""
        return self.owns_process and config.max_memory is None

    def load(self, name: str, options: ModelOptions) -> Loaded:
        """Return a network, from the cache if possible; see `model.load_model`.

        The content of a weights file is part of its key: a changed file under the same name is another network.
        """
        key = (name, options, weights_content(options.weights))
        return made_once(self._models, key, partial(_load, name, options))

    def style_picture(self, key: Hashable, make: Callable[[], Picture]) -> Picture:
        """Return a resized style picture, from the cache if possible; `key` identifies file content and size."""
        return made_once(self._pictures, key, make)


def _load(name: str, options: ModelOptions) -> Loaded:
    model = load_model(name, options)
    return Loaded(model, StyleTargets(model.features))


def _bytes_of(picture: Picture) -> int:
    return picture.rgb.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
