"""The objective of a painting, for each crop of a photo: what a painter learns from."""

import hashlib
import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial

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
from nstyle.painting.sizes import longest_edge, scale_sizes
from nstyle.pictures.decode import read_picture
from nstyle.settings.config import Config

CACHE_BYTES = 256_000_000
"""Limit on the content targets of the cached objectives. By default, a crop has 0.3 MB in bfloat16."""

OBJECTIVE_BYTES = 10_000
"""What a cached objective counts for besides its content targets."""


class CropObjectives:
    """Makes the objective for a crop: its content is the crop, its style that of a painting of the validation photo.

    The style pictures are framed for that painting (`style_fit`, `style_scale`), and their strokes have the size
    that they have there, however small a crop is. All crops share the style's targets, because a painter cannot see
    the shape of a photo, and would learn a mixture.

    Objectives are cached. Weights other than the original VGG-19's are adapted to each crop (see `Model.adapt`); then
    all is computed anew for each crop.

    Args:
        config: the settings; `content_image` is the validation photo.
        photo_size: height and width of the validation photo.
        device: the device of the images.
        dtype: that of the network.
        session: the cache of networks; None: a new one.

    Attributes:
        inputs: "path" and "sha256" of the validation photo and the style pictures, by the names of their settings.
        weights: the source of the network's weights; see `Model.provenance`.

    Raises:
        NStyleError: a file cannot be used, or a style picture becomes too small for the network or the style loss.

    """

    def __init__(
        self,
        config: Config,
        photo_size: tuple[int, int],
        device: torch.device,
        dtype: torch.dtype,
        session: Session | None = None,
    ) -> None:
        self.device = device
        styles = list(
            _framed(config, photo_size, device)
        )  # before the network, because bad files should fail at once
        self.inputs: Mapping[str, Mapping[str, str]] = hash_inputs(inputs_of(config))
        session = Session() if session is None else session
        loaded = session.load(config.model, model_options(config, device, dtype))
        loaded = replace(loaded, targets=StyleTargets(loaded.model.features, math.inf))  # as all objectives hold them
        self.weights = loaded.model.provenance
        self._maker = ObjectiveMaker(config, loaded, ChosenLayers.chosen(config, loaded.model))
        self._styles = styles
        self._kept: LRUCache[Hashable, Objective] = LRUCache(CACHE_BYTES, _bytes_held)
        self._check_styles()

    def _check_styles(self) -> None:
        """Compute the styles' targets. Raises `ImageError` if a style picture is too small for the style loss."""
        config = self._maker.config
        layers = [layer for layer, weight in self._maker.layers.style.items() if config.style_weight * weight > 0]
        try:
            for style in self._styles:
                self._maker.loaded.targets.of(style, layers, config.style_loss)
        except ImageError as error:
            raise ImageError(
                "a style picture is too small for the style loss at these layers with --max-long-edge "
                f"{config.max_long_edge} and --style-scale {config.style_scale:g}; raise one of them, or choose "
                "lower --style-layers",
                flag="--max-long-edge",
                kind=Kind.OUT_OF_RANGE,
            ) from error

    def __call__(self, crop: Tensor) -> Objective:
        """Return the objective whose content is a crop, 1 x 3 x H x W, model space.

        Raises:
            ImageError: the crop is too small for the style loss.

        """
        make = partial(self._maker.make, crop, self._styles, None, keeps_grey=False, tiling=None)
        if self._maker.loaded.model.adapt is not None:  # each objective has a network of its own
            return make()
        key = crop.shape, hashlib.sha256(crop.cpu().contiguous().numpy().data).digest()
        return made_once(self._kept, key, make)


def _framed(config: Config, photo_size: tuple[int, int], device: torch.device) -> Iterator[Style]:
    """Read the style pictures. Their weights add up to 1, and transparent pixels do not count."""
    inputs, edge = inputs_of(config), longest_edge(config)
    pictures = {
        source: source.cropped(read_picture(source.path, None if source.crop else edge))
        for source in (style.picture for style in inputs.styles)
    }
    sizes = dict.fromkeys(inputs.sources, photo_size) | {source: one.size for source, one in pictures.items()}
    frames = scale_sizes(config, inputs, sizes)[-1].frames
    total = sum(style.weight for style in inputs.styles)
    for style in inputs.styles:
        framed = frames[style.picture].picture(pictures[style.picture])
        mask = None if framed.alpha is None else torch.from_numpy(framed.alpha)[None, None].to(device)
        yield Style(to_model_space(framed.rgb).to(device), style.weight / total, mask)


def _bytes_held(objective: Objective) -> int:
    """Return the bytes that an objective does not share with others. A target may be a view of a larger map."""
    return OBJECTIVE_BYTES + sum(term.target.untyped_storage().nbytes() for term in objective.content_terms)
