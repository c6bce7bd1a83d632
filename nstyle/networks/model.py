"""Models: feature extractors with the names of their layers and with defaults for the losses.

The reference loads `model_<name>`, a file that names its style and content layers. Here, that is a function from
`ModelOptions` to `Model`, which `registry` finds by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nstyle.errors import Kind, OptionError
from nstyle.networks import registry
from nstyle.networks.features import Features
from nstyle.networks.layers import CONTENT_LAYER, MRF_LAYERS, STYLE_LAYERS
from nstyle.networks.padding import Padded
from nstyle.networks.vgg19 import VGG19, match_activations
from nstyle.networks.weights import load_vgg19, read_weights


@dataclass(frozen=True)
class ModelOptions:
    """Options for loading a model.

    Attributes:
        weights: value of --weights: "embedded" (the default), "torchvision" or a file.
        weights_input: value of --weights-input: the images that the weights in a file were trained for.
        pooling: "avg", "max" or "mixed".
        device: device of the images and the network.
        dtype: that of the network's arithmetic; the images are float32.
        convolution: "direct" or "winograd"; see `VGG19`.
        padding: what the network sees beyond the edges of a picture: "zero", or one of `padding.PADDINGS`.

    """

    weights: str = "embedded"
    weights_input: str = "auto"
    pooling: str = "avg"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    convolution: str = "direct"
    padding: str = "zero"


@dataclass(frozen=True)
class Model:
    """A loaded network and its properties.

    Attributes:
        features: the network, on the device and in the dtype of the `ModelOptions`.
        layers: the names of all its feature maps, from the image upwards.
        content_layers: default layers of the content loss.
        style_layers: default layers of the style loss.
        mrf_layers: default layers of the style loss "mrf"; if empty, `style_layers`.
        provenance: for the run record: "path" and "sha256" of the weights ("" if there are none), and "original",
            whether they are the reference's.
        bytes_per_pixel: memory that a descent takes for each pixel of the painting, if the network does not tell its
            blocks (`blocks.Blockwise`); None means the same as VGG-19.
        adapt: function from the content and style images (1 x 3 x H x W each, model space) to a network adapted to
            them; None if the network needs no adapting.

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
    """Load a network by name: one of nstyle's, a registered one, or `module:function`.

    Raises:
        OptionError: no network has that name, or the function does not return a `Model`. Other errors of a user's
            function are not caught: their tracebacks show where they are.
        WeightsError: the chosen weights are missing or do not fit the network.

    """
    model = registry.find(name)(options)
    if not isinstance(model, Model):
        raise OptionError(
            f"--model {name} returned a {type(model).__name__}, not an nstyle.Model; let it return one",
            flag="--model",
            kind=Kind.UNSUPPORTED,
        )
    return model if options.padding == "zero" else _padded(model, options.padding)


def _padded(model: Model, padding: str) -> Model:
    """Return a copy of the model whose network sees pictures continue beyond their edges; see `padding.Padded`."""
    adapt = model.adapt
    return replace(
        model,
        features=Padded(model.features, padding),
        adapt=None if adapt is None else lambda images: Padded(adapt(images), padding),
    )


def vgg19(options: ModelOptions) -> Model:
    """Load VGG-19, the reference's network. `Model.adapt` rescales weights other than the original ones."""
    weights = read_weights(options.weights, options.weights_input)
    network = VGG19(weights.tensors, options.pooling, options.convolution).to(options.device)

    @cache
    def original() -> VGG19:
        return load_vgg19(device=options.device, pooling=options.pooling)

    def adapt(images: tuple[Tensor, ...]) -> VGG19:
        return match_activations(network, original(), images).to(options.dtype)

    return Model(
        network.to(options.dtype) if weights.original else network,
        network.layers,
        (CONTENT_LAYER,),
        STYLE_LAYERS,
        MRF_LAYERS,
        {"path": str(weights.source), "sha256": weights.sha256, "original": weights.original},
        adapt=None if weights.original else adapt,
    )
