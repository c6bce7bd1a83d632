"""The content and style layers of a painting: those in the settings, or the network's defaults."""

from collections.abc import Mapping
from dataclasses import dataclass

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.networks.layers import check_layers, parse_layers
from nstyle.networks.model import Model
from nstyle.settings.config import Config
from nstyle.settings.options import flag


@dataclass(frozen=True)
class ChosenLayers:
    """The content and style layers, with their weights."""

    content: Mapping[str, float]
    style: Mapping[str, float]

    @classmethod
    def chosen(cls, config: Config, model: Model) -> "ChosenLayers":
        """Return the layers in the settings, or the network's defaults.

        Raises:
            OptionError: the network, or the part of it that the weights file holds, has no such layer.

        """
        style_loss = STYLE_LOSSES[config.style_loss]
        own = getattr(model, style_loss.layers_of_model) or model.style_layers
        return cls(
            _chosen("content_layers", config.content_layers, model.content_layers, model),
            _chosen("style_layers", config.style_layers, own, model),
        )


def _chosen(name: str, text: str | None, own: tuple[str, ...], model: Model) -> dict[str, float]:
    if text is None:
        return dict.fromkeys(own, 1.0)
    layers = parse_layers(flag(name), text)
    check_layers(flag(name), layers, model.layers)
    return layers
