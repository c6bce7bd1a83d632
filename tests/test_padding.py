"""Padding, which is what a network sees beyond a picture's edges: sizes, positions, borders."""

from collections.abc import Iterable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.networks.filter_bank import LAYERS as SCALES
from nstyle.networks.layers import STYLE_LAYERS
from nstyle.networks.model import Model, ModelOptions, load_model
from nstyle.networks.padding import PADDINGS, Padded
from nstyle.networks.vgg19 import VGG19

WITHIN_MARGIN = ("relu1_1", "relu2_1", "relu3_1")
"""Layers of VGG-19 whose positions see no further than a mirror's margin beyond their own."""

STRIDES = {"relu1_1": 1, "relu2_1": 2, "relu3_1": 4, "relu4_1": 8, "relu5_1": 16}


def assert_close(map_: Tensor, expected: Tensor) -> None:
    """Tolerance for features of about a hundred: maps of a different size are summed in a different order."""
    torch.testing.assert_close(map_, expected, rtol=1e-4, atol=0.01)


def noise(height: int, width: int) -> Tensor:
    return 60 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


class Halvings:
    """A network that only halves the image, four times, like VGG-19."""

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        maps = {}
        for layer in STYLE_LAYERS:
            image = image if layer == STYLE_LAYERS[0] else F.avg_pool2d(image, 2)
            maps[layer] = image
        return {layer: maps[layer] for layer in layers}


@pytest.mark.parametrize(("padding", "mode"), [("mirror", "symmetric"), ("wrap", "wrap")])
@pytest.mark.parametrize("margin", [1, 4, 7])
def test_goes_on_as_numpy_pads(margin: int, padding: str, mode: str) -> None:
    image = noise(7, 9)
    expected = np.pad(image.numpy(), ((0, 0), (0, 0), (margin, margin), (margin, margin)), mode=mode)  # type: ignore[call-overload]
    np.testing.assert_array_equal(PADDINGS[padding](image, margin).numpy(), expected)


@settings(deadline=None)
@given(st.integers(16, 80), st.integers(16, 80), st.sampled_from(list(PADDINGS)))
def test_maps_have_the_sizes_that_they_have_without(height: int, width: int, padding: str) -> None:
    image = noise(height, width)
    plain, padded = (network(image, STYLE_LAYERS) for network in (Halvings(), Padded(Halvings(), padding)))
    for layer in STYLE_LAYERS:
        # A position contains only the pixels below it, so this also checks that positions do not move.
        torch.testing.assert_close(padded[layer], plain[layer])


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(16, 31), (47, 80)])
@pytest.mark.parametrize("model", ["vgg19", "filters"])
def test_so_do_those_of_the_networks(model: str, size: tuple[int, int], padding: str) -> None:
    layers = STYLE_LAYERS if model == "vgg19" else SCALES
    plain, padded = (load_model(model, ModelOptions(padding=how)).features for how in ("zero", padding))
    sizes = [
        {layer: map_.shape for layer, map_ in network(noise(*size), layers).items()} for network in (plain, padded)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("padding", PADDINGS)
def test_far_from_the_edges_nothing_changes(padding: str, vgg19: VGG19) -> None:
    """For positions with their receptive field inside the picture. That of relu5_1 is too large: about 70 pixels."""
    image = noise(96, 112)
    plain, padded = (network(image, STYLE_LAYERS[:4]) for network in (vgg19, Padded(vgg19, padding)))
    for layer, pixels in zip(STYLE_LAYERS[:4], (16, 16, 16, 40), strict=True):
        edge = pixels // STRIDES[layer]
        inside, expected = (network[layer][..., edge:-edge, edge:-edge] for network in (padded, plain))
        assert inside.numel() > 0
        assert_close(inside, expected)
        assert (padded[layer] - plain[layer]).abs().max() > 1  # at the edges it does


def spread(map_: Tensor) -> float:
    """The largest difference between the features of a picture of one color, relative to the largest feature."""
    middle = map_[..., map_.shape[-2] // 2, map_.shape[-1] // 2][..., None, None]
    return float((map_ - middle).abs().max() / map_.abs().max())


def test_a_mirrored_picture_of_one_color_has_no_border(vgg19: VGG19) -> None:
    """In layers whose receptive field is within the margin. In the next layer the border is weaker than without."""
    white = torch.full((1, 3, 80, 64), 131.0)
    plain, mirrored = (network(white, STYLE_LAYERS) for network in (vgg19, Padded(vgg19, "mirror")))
    for layer in WITHIN_MARGIN:
        assert spread(plain[layer]) > 0.1, layer
        assert spread(mirrored[layer]) < 1e-5, layer
    assert spread(mirrored["relu4_1"]) < 0.9 * spread(plain["relu4_1"])


def test_a_wrapped_picture_has_no_beginning(vgg19: VGG19) -> None:
    """A circular shift of the image by a multiple of a layer's stride shifts the layer's map in the same way."""
    image = noise(64, 48)
    wrapped = Padded(vgg19, "wrap")
    maps, shifted = (wrapped(x, WITHIN_MARGIN) for x in (image, image.roll((16, 32), (-2, -1))))
    for layer in WITHIN_MARGIN:
        expected = maps[layer].roll((16 // STRIDES[layer], 32 // STRIDES[layer]), (-2, -1))
        assert_close(shifted[layer], expected)


@pytest.mark.parametrize("padding", PADDINGS)
def test_pixels_are_pulled_by_what_they_are_seen_as_beyond_the_edges(padding: str) -> None:
    """Each copy of a pixel adds to its gradient."""
    image = noise(16, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(PADDINGS[padding](image, 16).sum(), image)
    assert torch.equal(gradient, torch.full_like(image, 9))


def adapting(options: ModelOptions) -> Model:
    """A model that adapts its network to the pictures."""
    return Model(Halvings(), STYLE_LAYERS, (), STYLE_LAYERS, adapt=lambda images: Halvings())


def test_a_network_that_is_fitted_to_the_pictures_sees_them_go_on_too() -> None:
    mirrored = load_model("test_padding:adapting", ModelOptions(padding="mirror"))
    assert mirrored.adapt is not None
    for network in (mirrored.features, mirrored.adapt((noise(16, 16),))):
        assert isinstance(network, Padded)
        assert isinstance(network.features, Halvings)
    assert isinstance(load_model("test_padding:adapting", ModelOptions()).features, Halvings)
