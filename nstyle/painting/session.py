"""A cache that the runs of one process share: networks, resized style pictures and their targets.

Sharing does not change a bit of any painting: each key holds everything that its entry depends on.
"""

from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from cachetools import LRUCache

from nstyle.devices import memory_in_use, return_freed_memory, reusing_freed_memory
from nstyle.errors import WeightsError
from nstyle.files import known_sha256
from nstyle.losses.objective import StyleTargets
from nstyle.losses.rooms import AroundTiles, Room, nothing_between
from nstyle.losses.streamed import Streamed
from nstyle.losses.tiles import Tiling
from nstyle.lru import made_once
from nstyle.networks.model import Model, ModelOptions, load_model
from nstyle.networks.weights import hash_of_weights
from nstyle.offload import FileRoom, MainMemoryRoom
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import Picture

MODELS = 2
"""Networks in the cache. A batch needs one; two allow a second batch in the same process."""

STYLE_BYTES = 64_000_000
"""Bytes of resized style pictures in the cache, one for each style and size; 600 x 600 pixels need 4.3 MB."""

DECODED_BYTES = 128_000_000
"""Bytes of decoded pictures in the cache, if they are kept: one of 10 megapixels, or several smaller ones."""


@dataclass(frozen=True)
class Loaded:
    """A network, and the style targets computed with it.

    Attributes:
        model: the network.
        targets: a cache of style targets; not used by a network that is fitted to each pair of pictures.
        device: the network's device.
        around_stage: makes a context for the tiles of each stage; see `streamed.Streamed`.

    """

    model: Model
    targets: StyleTargets
    device: torch.device
    around_stage: AroundTiles = nothing_between
    _in_tiles: dict[Hashable, StyleTargets] = field(default_factory=dict)

    def targets_in(self, tiling: Tiling | None, folder: Path) -> StyleTargets:
        """Return the network with its cache of targets.

        Args:
            tiling: how the network runs in tiles; None: whole.
            folder: for the files of tiles that offload.

        """
        if tiling is None:
            return self.targets
        room: Room | None = None
        if tiling.offloads:
            room = FileRoom(folder) if self.device.type == "cpu" else MainMemoryRoom()
        make = partial(Streamed, self.model.features, tiling, self.around_stage, room)
        return made_once(self._in_tiles, (tiling, folder if tiling.offloads else None), lambda: StyleTargets(make()))


class Session:
    """A cache for several runs (`stylize.run`) in sequence. It is bounded, and evicts the least recently used.

    Args:
        owns_process: whether the process belongs to nstyle. If so, a run may tune the process's memory allocator.

    Attributes:
        keeps_decoded: whether pictures that are read stay decoded, as the styles and masks of a film, which each
            frame needs.

    """

    def __init__(self, *, owns_process: bool = False) -> None:
        self.owns_process = owns_process
        self.keeps_decoded = False
        self._decoded: LRUCache[Hashable, Picture] = LRUCache(DECODED_BYTES, _bytes_of)
        self._in_use: int | None = None
        self._models: LRUCache[Hashable, Loaded] = LRUCache(MODELS)
        self._pictures: LRUCache[Hashable, Picture] = LRUCache(STYLE_BYTES, _bytes_of)

    def load(self, name: str, options: ModelOptions) -> Loaded:
        """Return a network, from the cache if possible; see `model.load_model`.

        The content of a weights file is part of its key: a changed file under the same name is another network.
        """
        content = None
        with suppress(OSError, WeightsError):  # loading will report it, unless the network needs no such file
            content = hash_of_weights(options.weights)
        key = (name, options, content)
        return made_once(self._models, key, partial(self._load, name, options))

    def around_tiles(self, device: torch.device) -> AroundTiles:
        """Return what makes a context for tiles that run one after the other on a device.

        In a process that belongs to nstyle, they reuse freed memory.
        """
        return reusing_freed_memory if self.owns_process and device.type == "cpu" else nothing_between

    def memory_in_use(self, device: torch.device, pictures: Iterable[Picture]) -> int:
        """Return the bytes that the process uses on the device with the network and these pictures, before it paints.

        The network's part is measured once, before the first painting. What a painting leaves behind does not count:
        the next one uses it again. So each picture of a batch is painted as it would be alone.
        """
        decoded = self._bytes_on(device, pictures)
        if self._in_use is None:
            self._in_use = memory_in_use(device) - decoded
        return self._in_use + decoded

    def decoded_bytes(self, device: torch.device, pictures: Iterable[Picture]) -> int:
        """Return the bytes that these pictures take on the device until nobody uses them; 0 if they are kept."""
        return 0 if self.keeps_decoded else self._bytes_on(device, pictures)

    def _bytes_on(self, device: torch.device, pictures: Iterable[Picture]) -> int:
        return sum(map(_bytes_of, pictures)) if device.type == "cpu" else 0

    def _load(self, name: str, options: ModelOptions) -> Loaded:
        model = load_model(name, options)
        self._in_use = None
        if self.owns_process:
            return_freed_memory()  # of the weights as they were read
        return Loaded(model, StyleTargets(model.features), options.device, self.around_tiles(options.device))

    def read(self, path: Path, edge: int | None) -> Picture:
        """Return `read_picture` of a file, from the cache if `keeps_decoded` and its content is the same."""
        if self.keeps_decoded:
            with suppress(OSError):  # reading reports it
                return made_once(self._decoded, (known_sha256(path), edge), partial(read_picture, path, edge))
        return read_picture(path, edge)

    def style_picture(self, key: Hashable, make: Callable[[], Picture]) -> Picture:
        """Return a resized style picture, from the cache if possible; `key` identifies file content and size."""
        return made_once(self._pictures, key, make)


def _bytes_of(picture: Picture) -> int:
    return picture.rgb.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
