"""Models: feature extractors, each with the names of its layers and with defaults for the losses.

The reference loads `model_<name>`, a file that names its style and content layers; here such a file is a function
from `ModelOptions` to `Model`, found by `registry`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nstyle.networks import registry
from nstyle.networks.features import Features
from nstyle.networks.layers import CONTENT_LAYER, MRF_LAYERS, STYLE_LAYERS
from nstyle.networks.padding import Padded
from nstyle.networks.vgg19 import VGG19, match_activations
from nstyle.networks.weights import load_vgg19, read_weights


@dataclass(frozen=True)
class ModelOptions:
    """What a model is loaded with.

    Attributes:
        weights: the setting of that name: "embedded" unless the user says otherwise, else "torchvision" or a file.
        weights_input: the setting of that name: what images the weights in a file were trained for.
        pooling: "avg" or "max".
        device: where the images are.
        precision: of its arithmetic; the images come in float32.
        convolution: "direct" or "winograd": see `VGG19`.
        padding: what it sees beyond the edges of a picture: "zero", or one of `padding.PADDINGS`.

    """

    weights: str = "embedded"
    weights_input: str = "auto"
    pooling: str = "avg"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: torch.dtype = torch.float32
    convolution: str = "direct"
    padding: str = "zero"


@dataclass(frozen=True)
class Model:
    """A network, ready to look at pictures, and what is known of it.

    Attributes:
        features: the network, on the device and in the precision asked for.
        layers: the names of all its feature maps, from the image upwards.
        content_layers: at which to be like the content, unless the user names others.
        style_layers: at which to be like the style's Gram matrices, likewise.
        mrf_layers: at which to be like the style's patches, likewise; empty: `style_layers`.
        provenance: for the run record: "path" and "sha256" of its weights ("": none), whether "original".
        bytes_per_pixel: memory that a descent takes for each pixel of the painting; None: as VGG-19.
        adapt: returns a network that suits content and style (1 x 3 x H x W each, model space) better; None: this one
            suits all pictures.

    """

    features: Features
    layers: tuple[str, ...]
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    mrf_layers: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=lambda: {"path": "", "sha256": "", "original": True})
    bytes_per_pixel: int | None = None
    adapt: Callable[[tuple[Tensor, ...]], Features] | None = None


def load_model(name: str, options: ModelOptions) -> Model:
    """Load a network by its name: one of nstyle's own, a registered one, or `module:function`.

    Raises:
        OptionError: there is none of that name.
        WeightsError: it cannot be made of the weights chosen.
        TypeError: the function returns something else than a `Model`: a bug of its author's.

    """
    model = registry.find(name)(options)
    if not isinstance(model, Model):
        raise TypeError(f"{name} returned a {type(model).__name__}, not a nstyle.Model")
    return model if options.padding == "zero" else _padded(model, options.padding)


def _padded(model: Model, padding: str) -> Model:
    """Return the model with a network that sees pictures go on beyond their edges."""
    adapt = model.adapt
    return replace(
        model,
        features=Padded(model.features, padding),
        adapt=None if adapt is None else lambda images: Padded(adapt(images), padding),
    )


def vgg19(options: ModelOptions) -> Model:
    """Load the reference's network. Weights of another scale than the original's are rescaled on the pictures."""
    weights = read_weights(options.weights, options.weights_input)
    network = VGG19(weights.tensors, options.pooling, options.convolution).to(options.device)

    @cache
    def original() -> VGG19:
        return load_vgg19(device=options.device, pooling=options.pooling)

    def adapt(images: tuple[Tensor, ...]) -> VGG19:
        return match_activations(network, original(), images).to(options.precision)

    return Model(
        network.to(options.precision) if weights.original else network,
        network.layers,
        (CONTENT_LAYER,),
        STYLE_LAYERS,
        MRF_LAYERS,
        {"path": str(weights.source), "sha256": weights.sha256, "original": weights.original},
        adapt=None if weights.original else adapt,
    )
