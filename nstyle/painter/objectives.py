"""The objective of a painting, for each crop of a photo: what a painter learns from."""

import hashlib
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
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
from nstyle.painting.inputs import Inputs, hash_inputs, inputs_of
from nstyle.painting.layers import ChosenLayers
from nstyle.painting.prepare import ObjectiveMaker, model_options
from nstyle.painting.session import Session
from nstyle.painting.sizes import longest_edge, scale_sizes
from nstyle.pictures.decode import read_picture
from nstyle.settings.config import Config

CACHE_BYTES = 1_000_000_000
"""Limit on the content targets of the cached objectives. By default, those of `photos.POOL` steps have 67 MB in
bfloat16; those of MXNet's chain have 604 MB in float32."""

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
        inputs = inputs_of(config)
        # Before the network, because bad files should fail at once.
        self._styles = list(_framed(config, inputs, photo_size, device))
        self.inputs: Mapping[str, Mapping[str, str]] = hash_inputs(inputs)
        session = Session() if session is None else session
        loaded = session.load(config.model, model_options(config, device, dtype))
        is_adapted = loaded.model.adapt is not None
        limit = 0 if is_adapted else math.inf  # all objectives hold the styles' targets
        loaded = replace(loaded, targets=StyleTargets(loaded.model.features, limit))
        self.weights = loaded.model.provenance
        self._maker = ObjectiveMaker(config, loaded, ChosenLayers.chosen(config, loaded.model))
        # Adapted weights: each objective has a network of its own, which is too large to keep.
        self._kept: LRUCache[Hashable, Objective] = LRUCache(0 if is_adapted else CACHE_BYTES, _bytes_held)
        self._check_styles([style.picture.path for style in inputs.styles])

    @torch.no_grad()
    def _check_styles(self, paths: Sequence[Path]) -> None:
        """Compute the styles' targets. Raises `ImageError` if a style picture is too small for the style loss."""
        config = self._maker.config
        layers = [layer for layer, weight in self._maker.layers.style.items() if config.style_weight * weight > 0]
        for path, style in zip(paths, self._styles, strict=True):
            try:
                self._maker.loaded.targets.of(style, layers, config.style_loss)
            except ImageError as error:
                height, width = style.image[..., :, :].shape[-2:]
                raise ImageError(
                    f"{path} becomes {width}x{height} pixels, too small for the style loss at these layers; raise "
                    "--max-long-edge or --style-scale, choose lower --style-layers, or a --validation-photo that is "
                    "less narrow",
                    flag="--max-long-edge",
                    path=path,
                    kind=Kind.OUT_OF_RANGE,
                ) from error

    def __call__(self, crop: Tensor) -> Objective:
        """Return the objective whose content is a crop, 1 x 3 x H x W, model space.

        Raises:
            ImageError: the crop is too small for the style loss.

        """
        make = partial(self._maker.make, crop, self._styles, None, keeps_grey=False, tiling=None)
        key = crop.shape, hashlib.sha256(crop.cpu().contiguous().numpy().data).digest()
        return made_once(self._kept, key, make)


def _framed(config: Config, inputs: Inputs, photo_size: tuple[int, int], device: torch.device) -> Iterator[Style]:
    """Read the style pictures. Their weights add up to 1, and transparent pixels do not count."""
    edge = longest_edge(config)
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
