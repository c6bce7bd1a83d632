"""The objective of a painting, for each crop of a photo: what a painter learns from."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from nstyle.errors import ImageError, Kind
from nstyle.losses.objective import Objective, Style
from nstyle.networks.model_space import to_model_space
from nstyle.painting.inputs import hash_inputs, inputs_of
from nstyle.painting.layers import ChosenLayers
from nstyle.painting.prepare import ObjectiveMaker, model_options
from nstyle.painting.session import Session
from nstyle.pictures.decode import read_picture
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.style_fit import frame_style
from nstyle.settings.config import Config


class CropObjectives:
    """Maker of objectives: the style's targets are computed once, the content's for each crop.

    Weights other than the original VGG-19's are adapted to each crop (see `Model.adapt`), and the style's targets are
    computed anew with them.

    Each style picture keeps its aspect ratio; its longer edge becomes `max_long_edge` times `style_scale`, as for a
    texture. So its strokes have the size that they have in a painting of that size, however small the crops are.

    Args:
        config: the settings.
        device: the device of the images.
        dtype: that of the network.
        session: the cache of networks; None: a new one.

    Attributes:
        inputs: "path" and "sha256" of the validation photo and the style pictures, by the names of their settings.
        weights: the source of the network's weights; see `Model.provenance`.

    Raises:
        NStyleError: a file cannot be used, or a style picture becomes too small for the network.

    """

    def __init__(
        self, config: Config, device: torch.device, dtype: torch.dtype, session: Session | None = None
    ) -> None:
        self.config = config
        self.device = device
        styles = list(self._read_styles())  # before the network, because bad files should fail at once
        self.inputs: Mapping[str, Mapping[str, str]] = hash_inputs(inputs_of(config))
        session = Session() if session is None else session
        loaded = session.load(config.model, model_options(config, device, dtype))
        self.weights = loaded.model.provenance
        self._maker = ObjectiveMaker(config, loaded, ChosenLayers.chosen(config, loaded.model))
        self._styles = styles

    def __call__(self, crop: Tensor) -> Objective:
        """Return the objective whose content is a crop, 1 x 3 x H x W, model space."""
        return self._maker.make(crop, self._styles, None, keeps_grey=False, tiling=None)

    def _read_styles(self) -> Iterator[Style]:
        """Read the style pictures. Their weights add up to 1, and transparent pixels do not count."""
        config, sources = self.config, inputs_of(self.config).styles
        total = sum(style.weight for style in sources)
        box = (config.max_long_edge, config.max_long_edge)
        for style in sources:
            path, source = style.picture.path, style.picture
            edge = None if source.crop else round(config.max_long_edge * max(1, config.style_scale))
            picture = source.cropped(read_picture(path, edge))
            frame = frame_style(picture.size, box, "contain", config.style_scale)
            if min(frame.window) < SHORTEST_EDGE:
                height, width = frame.window
                raise ImageError(
                    f"{path} becomes {width}x{height} pixels at --max-long-edge {config.max_long_edge} and "
                    f"--style-scale {config.style_scale:g}, but each edge needs {SHORTEST_EDGE}; raise one of them",
                    flag="--max-long-edge",
                    path=path,
                    kind=Kind.OUT_OF_RANGE,
                )
            framed = frame.picture(picture)
            mask = None if framed.alpha is None else torch.from_numpy(framed.alpha)[None, None].to(self.device)
            yield Style(to_model_space(framed.rgb).to(self.device), style.weight / total, mask)
