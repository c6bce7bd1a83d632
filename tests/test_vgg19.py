"""The network: its shape and layers, compared with torchvision's if that can be imported."""

from collections.abc import Mapping
from unittest.mock import Mock

import pytest
import torch
from refusals import refuses
from torch import Tensor

from nstyle.errors import Kind, WeightsError
from nstyle.networks.vgg19 import (
    CONVOLUTIONS,
    LAYERS,
    POOLING,
    VGG19,
    WEIGHT_SHAPES,
    match_activations,
    mean_activations,
)
from nstyle.networks.weights import read_weights


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 8, 9, generator=generator) * 255 - 120
    return list(torch.nn.functional.interpolate(coarse, size=(40, 45), mode="bilinear")[:, None])


def rescaled(weights: Mapping[str, Tensor], factors: list[float]) -> dict[str, Tensor]:
    """The same network with the activations of each layer multiplied by a factor."""
    changed, below = dict(weights), 1.0
    for name, factor in zip(CONVOLUTIONS, factors, strict=True):
        changed[f"{name}.weight"] = weights[f"{name}.weight"] * (factor / below)
        changed[f"{name}.bias"] = weights[f"{name}.bias"] * factor
        below = factor
    return changed


def test_layers() -> None:
    assert LAYERS[:5] == ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1")
    assert len(LAYERS) == 16
    assert LAYERS[-1] == "relu5_4"


def test_feature_maps_have_vggs_shapes_rounded_down(vgg19: VGG19) -> None:
    maps = vgg19(torch.zeros(1, 3, 50, 37), LAYERS)
    assert set(maps) == set(LAYERS)
    assert maps["relu1_2"].shape == (1, 64, 50, 37)
    assert maps["relu2_1"].shape == (1, 128, 25, 18)
    assert maps["relu3_4"].shape == (1, 256, 12, 9)
    assert maps["relu4_2"].shape == (1, 512, 6, 4)
    assert maps["relu5_4"].shape == (1, 512, 3, 2)


def test_network_is_convolution_relu_and_average_pooling(vgg19: VGG19) -> None:
    image, weights = images()[0], vgg19.weights()
    x = image
    for name in ("conv1_1", "conv1_2"):
        x = torch.nn.functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1).relu()
    x = torch.nn.functional.avg_pool2d(x, 2)
    x = torch.nn.functional.conv2d(x, weights["conv2_1.weight"], weights["conv2_1.bias"], padding=1).relu()
    torch.testing.assert_close(vgg19(image, ["relu2_1"])["relu2_1"], x, rtol=1e-4, atol=1e-2)


def test_mixed_pooling_is_maximum_then_average(vgg19: VGG19) -> None:
    image, weights = images()[0], vgg19.weights()
    maximum = VGG19(weights, "max")(image, ["relu3_1", "relu3_4"])
    x = torch.nn.functional.avg_pool2d(maximum["relu3_4"], 2)
    x = torch.nn.functional.conv2d(x, weights["conv4_1.weight"], weights["conv4_1.bias"], padding=1).relu()
    mixed = VGG19(weights, "mixed")(image, ["relu3_1", "relu4_1", "relu4_4", "relu5_1"])
    assert torch.equal(mixed["relu3_1"], maximum["relu3_1"])
    torch.testing.assert_close(mixed["relu4_1"], x, rtol=1e-4, atol=1e-2)
    x = torch.nn.functional.avg_pool2d(mixed["relu4_4"], 2)
    x = torch.nn.functional.conv2d(x, weights["conv5_1.weight"], weights["conv5_1.bias"], padding=1).relu()
    torch.testing.assert_close(mixed["relu5_1"], x, rtol=1e-4, atol=1e-2)


def test_there_is_a_pooling_between_two_blocks() -> None:
    maximum, mean = torch.nn.functional.max_pool2d, torch.nn.functional.avg_pool2d
    assert POOLING["mixed"] == (maximum, maximum, mean, mean)
    assert {name: len(poolings) for name, poolings in POOLING.items()} == dict.fromkeys(("avg", "max", "mixed"), 4)


def test_nothing_is_computed_above_the_highest_layer(vgg19: VGG19, monkeypatch: pytest.MonkeyPatch) -> None:
    relu = Mock(wraps=torch.nn.functional.relu_)
    monkeypatch.setattr(torch.nn.functional, "relu_", relu)
    vgg19(images()[0], ["relu2_1", "relu1_1"])
    assert relu.call_count == 3


def test_unknown_layers_are_named_with_the_right_ones(vgg19: VGG19) -> None:
    with pytest.raises(ValueError, match=r"relu9_9.*relu1_1, relu1_2"):
        vgg19(images()[0], ["relu9_9"])


def test_bfloat16_is_near_float32(vgg19: VGG19) -> None:
    image = images()[0]
    exact = vgg19(image, ["relu4_2"])["relu4_2"]
    rounded = VGG19(vgg19.weights()).to(torch.bfloat16)(image, ["relu4_2"])["relu4_2"]
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).norm() / exact.norm() < 0.02


def test_weights_that_stop_at_conv5_1_are_enough(vgg19: VGG19) -> None:
    short = {name: w for name, w in vgg19.weights().items() if name < "conv5_2"}
    network = VGG19(short)
    assert torch.equal(network(images()[0], ["relu5_1"])["relu5_1"], vgg19(images()[0], ["relu5_1"])["relu5_1"])
    with pytest.raises(ValueError, match="relu5_4"):
        network(images()[0], ["relu5_4"])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda w: w.pop("conv3_2.bias"), Kind.MISSING),
        (lambda w: w.update({"conv1_1.weight": torch.zeros(64, 3, 5, 5)}), Kind.UNSUPPORTED),
        (lambda w: w["conv2_2.bias"].fill_(float("nan")), Kind.DAMAGED),
    ],
)
def test_weights_are_checked(change: object, kind: Kind) -> None:
    weights = {name: torch.zeros(shape) for name, shape in WEIGHT_SHAPES.items()}
    assert callable(change)
    change(weights)
    with refuses(WeightsError, kind=kind):
        VGG19(weights)


def test_match_activations_undoes_any_rescaling(vgg19: VGG19) -> None:
    generator = torch.Generator().manual_seed(1)
    factors = (torch.rand(len(CONVOLUTIONS), generator=generator) * 4 - 2).exp().tolist()
    foreign = VGG19(rescaled(vgg19.weights(), factors))
    assert mean_activations(foreign, images())["relu3_1"] != pytest.approx(
        mean_activations(vgg19, images())["relu3_1"], rel=0.1
    )
    matched = match_activations(foreign, vgg19, images())
    for name, weight in vgg19.weights().items():
        torch.testing.assert_close(matched.weights()[name], weight, rtol=1e-3, atol=1e-4)


def test_match_activations_refuses_a_dead_network(vgg19: VGG19) -> None:
    dead = VGG19({name: torch.zeros_like(weight) for name, weight in vgg19.weights().items()})
    with refuses(WeightsError, kind=Kind.UNSUPPORTED, flag="--weights"):
        match_activations(dead, vgg19, images())


def test_features_are_those_of_torchvisions_vgg19() -> None:
    """Its graph with average pooling, and the same weights."""
    try:
        from torchvision.models import vgg19 as torchvision_vgg19
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision does not import beside this torch: {error}")
    theirs = torchvision_vgg19(weights=None).features.eval()
    tensors = read_weights().tensors
    convolutions = [module for module in theirs if isinstance(module, torch.nn.Conv2d)]
    for name, module in zip(CONVOLUTIONS, convolutions, strict=True):
        module.load_state_dict({"weight": tensors[f"{name}.weight"], "bias": tensors[f"{name}.bias"]})
    ours = VGG19(tensors)(images()[0], LAYERS)
    x, relus = images()[0], iter(LAYERS)
    with torch.no_grad():
        for module in theirs:
            pools = isinstance(module, torch.nn.MaxPool2d)
            x = torch.nn.functional.avg_pool2d(x, 2) if pools else module(x)
            if isinstance(module, torch.nn.ReLU):
                layer = next(relus)
                torch.testing.assert_close(ours[layer], x, rtol=1e-3, atol=1e-2 * float(x.mean()))
                x = x.clone()
    assert next(relus, None) is None
