"""The objective of a painting, for each crop of a photo: what a painter learns from."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from cachetools import LRUCache
from torch import Tensor

from nstyle.errors import ImageError, Kind
from nstyle.losses.objective import Objective, Style, StyleTargets
from nstyle.lru import made_once
from nstyle.networks.model_space import to_model_space
from nstyle.painting.inputs import hash_inputs, inputs_of
from nstyle.painting.layers import ChosenLayers
from nstyle.painting.prepare import ObjectiveMaker, model_options
from nstyle.painting.session import Session
from nstyle.painting.sizes import longest_edge
from nstyle.pictures.decode import read_picture
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.style_fit import frame_style
from nstyle.settings.config import Config

CACHE_BYTES = 256_000_000
"""Limit on the targets of the cached objectives. By default, a crop's content has 0.3 MB in bfloat16."""

OBJECTIVE_BYTES = 10_000
"""What a cached objective counts for besides its targets."""

STYLE_BYTES, FRAME_BYTES = 64_000_000, 64_000_000
"""Limits on the cached targets of the styles, and on the cached style pictures. There is one of each for every shape
of crops: a style's Gram matrices take 2.4 MB, its picture at 256 pixels 0.5 MB."""


class CropObjectives:
    """Makes the objective for a crop: the content is the crop, the style is as in the painting of a whole photo.

    That painting has the crop's shape, and its longer edge is `max_long_edge`. The style pictures are framed for it
    (`style_fit`, `style_scale`), so their strokes have the size that they have there, however small the crop is.

    While there is room, targets are computed once: a style's for each shape, a crop's if it comes back. Weights other
    than the original VGG-19's are adapted to each crop (see `Model.adapt`), and all targets are computed anew with
    them.

    Args:
        config: the settings.
        device: the device of the images.
        dtype: that of the network.
        session: the cache of networks; None: a new one.

    Attributes:
        inputs: "path" and "sha256" of the validation photo and the style pictures, by the names of their settings.
        weights: the source of the network's weights; see `Model.provenance`.

    Raises:
        NStyleError: a file cannot be used.

    """

    def __init__(
        self, config: Config, device: torch.device, dtype: torch.dtype, session: Session | None = None
    ) -> None:
        self.config = config
        self.device = device
        self._sources, edge = inputs_of(config).styles, longest_edge(config)
        self._pictures = {  # before the network, because bad files should fail at once
            source: source.cropped(read_picture(source.path, None if source.crop else edge))
            for source in (style.picture for style in self._sources)
        }
        self.inputs: Mapping[str, Mapping[str, str]] = hash_inputs(inputs_of(config))
        loaded = (Session() if session is None else session).load(config.model, model_options(config, device, dtype))
        loaded = replace(loaded, targets=StyleTargets(loaded.model.features, STYLE_BYTES))
        self.weights = loaded.model.provenance
        self._maker = ObjectiveMaker(config, loaded, ChosenLayers.chosen(config, loaded.model))
        self._styles: LRUCache[Hashable, list[Style]] = LRUCache(FRAME_BYTES, _bytes_of_styles)
        self._kept = _Kept(CACHE_BYTES)

    def __call__(self, crop: Tensor) -> Objective:
        """Return the objective whose content is a crop, 1 x 3 x H x W, model space.

        Raises:
            ImageError: a picture is too small for the style loss; see `check_styles`.

        """
        if self._maker.loaded.model.adapt is not None:  # each objective has a network of its own
            return self._make(crop)
        key = crop.shape, hashlib.sha256(crop.cpu().contiguous().numpy().data).digest()
        return self._kept.get(key, partial(self._make, crop))

    def check_styles(self, height: int, width: int) -> None:
        """Compute the targets of the styles for crops of this height and width.

        Raises:
            ImageError: a style picture becomes too small for the network or for the style loss.

        """
        config, maker = self.config, self._maker
        layers = [layer for layer, weight in maker.layers.style.items() if config.style_weight * weight > 0]
        for source, style in zip(self._sources, self._styles_for(height, width), strict=True):
            try:
                maker.loaded.targets.of(style, layers, config.style_loss)
            except ImageError as error:
                size, needed = style.image[..., :, :].shape[-2:], "the style loss needs more at these --style-layers"
                raise self._too_small(source.picture.path, size, (height, width), needed) from error

    def _make(self, crop: Tensor) -> Objective:
        height, width = crop.shape[-2:]
        return self._maker.make(crop, self._styles_for(height, width), None, keeps_grey=False, tiling=None)

    def _styles_for(self, height: int, width: int) -> list[Style]:
        """Return the styles for crops of this shape. Their weights add up to 1; transparent pixels do not count."""
        box = self._painting((height, width))
        return made_once(self._styles, box, lambda: list(self._framed_for(box)))

    def _painting(self, crop: tuple[int, int]) -> tuple[int, int]:
        """Return (height, width) of the painting in the shape of a crop."""
        edge, longest = self.config.max_long_edge, max(crop)
        return round(crop[0] * edge / longest), round(crop[1] * edge / longest)

    def _framed_for(self, box: tuple[int, int]) -> Iterator[Style]:
        total = sum(style.weight for style in self._sources)
        for style in self._sources:
            source, picture = style.picture, self._pictures[style.picture]
            frame = frame_style(picture.size, box, self.config.style_fit, self.config.style_scale)
            if min(frame.window) < SHORTEST_EDGE:
                raise self._too_small(source.path, frame.window, box, f"each edge needs {SHORTEST_EDGE}")
            framed = frame.picture(picture)
            mask = None if framed.alpha is None else torch.tensor(framed.alpha, device=self.device)[None, None]
            yield Style(to_model_space(framed.rgb).to(self.device), style.weight / total, mask)

    def _too_small(self, path: Path, size: Sequence[int], crop: tuple[int, int], needed: str) -> ImageError:
        """Return an error about a style picture that becomes too small, for crops of this height and width."""
        config, (height, width), (rows, columns) = self.config, size, self._painting(crop)
        return ImageError(
            f"{path} becomes {width}x{height} pixels for a painting of {columns}x{rows} with --style-fit "
            f"{config.style_fit} and --style-scale {config.style_scale:g}, but {needed}; raise --max-long-edge or "
            "--style-scale",
            flag="--max-long-edge",
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )


class _Kept:
    """A cache of objectives. It drops the least recently used. Memory that several of them share counts once.

    Args:
        limit: the largest number of bytes that they may hold.

    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._objectives: OrderedDict[Hashable, Objective] = OrderedDict()
        self._uses: Counter[int] = Counter()

    def get(self, key: Hashable, make: Callable[[], Objective]) -> Objective:
        """Return the objective of a key. If it is not cached, make it, and cache it unless it is too large."""
        if key in self._objectives:
            self._objectives.move_to_end(key)
            return self._objectives[key]
        objective = make()
        if sum(_memory_of(objective).values()) + OBJECTIVE_BYTES > self._limit:
            return objective
        self._objectives[key] = objective
        self._count(objective, 1)
        while self._bytes > self._limit:
            _, oldest = self._objectives.popitem(last=False)
            self._count(oldest, -1)
        return objective

    def _count(self, objective: Objective, times: int) -> None:
        """Add the bytes of an objective, or subtract them if `times` is -1."""
        self._bytes += times * OBJECTIVE_BYTES
        for address, size in _memory_of(objective).items():
            others = self._uses[address] - (times < 0)
            self._bytes += times * size * (others == 0)
            self._uses[address] += times
            if self._uses[address] == 0:
                del self._uses[address]


def _memory_of(objective: Objective) -> Mapping[int, int]:
    """Return {address: size in bytes} of each block of memory that an objective's targets are in."""
    found = [value for term in objective.terms for value in vars(term).values() if isinstance(value, Tensor)]
    return {storage.data_ptr(): storage.nbytes() for storage in (tensor.untyped_storage() for tensor in found)}


def _bytes_of_styles(styles: Sequence[Style]) -> int:
    pictures = (style.image[..., :, :] for style in styles)
    return sum(tensor.nbytes for tensor in (*pictures, *(style.mask for style in styles)) if tensor is not None)
