"""The objective of a painting, for each crop of a photo: what a painter learns from."""

import hashlib
from collections.abc import Hashable, Mapping
from functools import partial

import torch
from cachetools import LRUCache
from torch import Tensor

from nstyle.errors import ImageError, Kind
from nstyle.losses.objective import Objective, Style
from nstyle.lru import made_once
from nstyle.networks.model_space import to_model_space
from nstyle.painting.inputs import hash_inputs, inputs_of
from nstyle.painting.layers import ChosenLayers
from nstyle.painting.prepare import ObjectiveMaker, model_options
from nstyle.painting.session import Session
from nstyle.painting.sizes import longest_edge
from nstyle.pictures.decode import read_picture
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.style_fit import Frame, frame_style
from nstyle.settings.config import Config

CACHE_BYTES = 256_000_000
"""Bytes of the crops' targets in memory. They depend on the layers; by default, a crop has 0.3 MB in bfloat16."""


class CropObjectives:
    """Maker of objectives: that of a crop is that of the painting of a photo in its shape.

    So each style picture is framed (`style_fit`, `style_scale`) for a painting in the crop's shape whose longer edge
    is `max_long_edge`, and its strokes have the size that they have in such a painting, however small the crops are.

    Targets are computed once, those of a style for each shape. Weights other than the original VGG-19's are adapted
    to each crop (see `Model.adapt`), and everything is computed anew with them.

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
        self._session = Session() if session is None else session
        loaded = self._session.load(config.model, model_options(config, device, dtype))
        self.weights = loaded.model.provenance
        self._maker = ObjectiveMaker(config, loaded, ChosenLayers.chosen(config, loaded.model))
        self._kept: LRUCache[Hashable, Objective] = LRUCache(CACHE_BYTES, _bytes_held)

    def __call__(self, crop: Tensor) -> Objective:
        """Return the objective whose content is a crop, 1 x 3 x H x W, model space.

        Raises:
            ImageError: see `styles`; or a picture is too small for the style loss.

        """
        if self._maker.loaded.model.adapt is not None:  # each objective has a network of its own
            return self._make(crop)
        key = crop.shape, hashlib.sha256(crop.cpu().contiguous().numpy().data).digest()
        return made_once(self._kept, key, partial(self._make, crop))

    def _make(self, crop: Tensor) -> Objective:
        height, width = crop.shape[-2:]
        return self._maker.make(crop, self.styles(height, width), None, keeps_grey=False, tiling=None)

    def styles(self, height: int, width: int) -> list[Style]:
        """Return the styles for a crop of this shape. Their weights add up to 1; transparent pixels do not count.

        Raises:
            ImageError: a style picture becomes too small.

        """
        total, styles = sum(style.weight for style in self._sources), []
        for style in self._sources:
            source, picture = style.picture, self._pictures[style.picture]
            frame = self._frame(picture.size, height, width)
            if min(frame.window) < SHORTEST_EDGE:
                raise ImageError(
                    f"{source.path} becomes {frame.window[1]}x{frame.window[0]} pixels at --max-long-edge "
                    f"{self.config.max_long_edge}, --style-fit {self.config.style_fit} and --style-scale "
                    f"{self.config.style_scale:g}, but each edge needs {SHORTEST_EDGE}; raise one of the numbers",
                    flag="--max-long-edge",
                    path=source.path,
                    kind=Kind.OUT_OF_RANGE,
                )
            key = self.inputs[source.name]["sha256"], source.crop, picture.size, frame
            framed = self._session.style_picture(key, partial(frame.picture, picture))
            mask = None if framed.alpha is None else torch.from_numpy(framed.alpha)[None, None].to(self.device)
            styles.append(Style(to_model_space(framed.rgb).to(self.device), style.weight / total, mask))
        return styles

    def _frame(self, style: tuple[int, int], height: int, width: int) -> Frame:
        """Return how a style picture of a size is framed for a crop of this height and width."""
        longest, edge = max(height, width), self.config.max_long_edge
        box = round(height * edge / longest), round(width * edge / longest)
        return frame_style(style, box, self.config.style_fit, self.config.style_scale)


def _bytes_held(objective: Objective) -> int:
    """Return the bytes that an objective has for itself: the targets of its styles are shared."""
    return sum(term.target.nbytes for term in objective.content_terms)
