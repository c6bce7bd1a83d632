"""Winograd's algorithm and its gradient give the same results as PyTorch's convolutions."""

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.networks.kernels import winograd
from nstyle.networks.kernels.winograd import convolve, transform_kernels
from nstyle.networks.vgg19 import LAYERS, VGG19

SIZES = [(1, 1), (1, 9), (4, 4), (5, 6), (16, 12), (31, 18)]


def given(
    height: int, width: int, channels: tuple[int, int] = (6, 5), dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """Return maps, kernels and bias."""
    generator = torch.Generator().manual_seed(height * width)
    maps = torch.randn(1, channels[0], height, width, generator=generator, dtype=dtype)
    weight = torch.randn(channels[1], channels[0], 3, 3, generator=generator, dtype=dtype)
    bias = torch.randn(channels[1], generator=generator, dtype=dtype)
    return maps.contiguous(memory_format=torch.channels_last).requires_grad_(), weight, bias


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("most_values", [1, 1500, winograd.MOST_VALUES])
def test_it_is_a_convolution(height: int, width: int, most_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "MOST_VALUES", most_values)  # for any block size
    maps, weight, bias = given(height, width)
    found, wanted = convolve(maps, transform_kernels(weight), bias), F.conv2d(maps, weight, bias, padding=1)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1), dtype=wanted.dtype)
    (found_gradient,) = torch.autograd.grad(found, maps, upstream)
    (wanted_gradient,) = torch.autograd.grad(wanted, maps, upstream)
    torch.testing.assert_close(found_gradient, wanted_gradient, rtol=0, atol=1e-12)


def test_in_float32_it_is_near() -> None:
    maps, weight, bias = given(20, 24, (256, 64), torch.float32)
    wanted = F.conv2d(maps.double(), weight.double(), bias.double(), padding=1)
    off = (convolve(maps, transform_kernels(weight), bias).double() - wanted).norm() / wanted.norm()
    assert 0 < off < 1e-5


def test_the_network_uses_it_for_many_channels_in_float32_alone(
    vgg19: VGG19, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def counted(maps: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        sizes.append(maps.shape[1])
        return convolve(maps, kernels, bias)

    monkeypatch.setattr("nstyle.networks.vgg19.winograd.convolve", counted)
    image = 50 * torch.randn(1, 3, 40, 36, generator=torch.Generator().manual_seed(0))
    network = VGG19(vgg19.weights(), convolution="winograd")
    direct, other = vgg19(image, LAYERS[:13]), network(image, LAYERS[:13])
    assert sizes == [128] + 4 * [256] + 4 * [512]  # of conv3_1, of 3_2 ... 4_1, and of 4_2 ... 5_1
    for layer, maps in direct.items():
        assert (other[layer] - maps).norm() <= 1e-5 * maps.norm(), layer
    assert not torch.equal(other["relu5_1"], direct["relu5_1"])
    sizes.clear()
    network.to(torch.bfloat16)(image, LAYERS)
    vgg19(image, LAYERS)
    assert not sizes


def test_the_kernels_are_those_of_the_weights_as_they_are_now(vgg19: VGG19) -> None:
    weights = {name: weight.clone() for name, weight in vgg19.weights().items()}
    halved = {name: weight / 2 for name, weight in weights.items()}
    rounded = {name: weight.bfloat16().float() for name, weight in weights.items()}
    image = 50 * torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def of(network: VGG19) -> Tensor:
        maps: Tensor = network(image, ["relu3_2"])["relu3_2"]
        return maps

    def fresh(weights: dict[str, Tensor]) -> Tensor:
        return of(VGG19(weights, convolution="winograd"))

    network = VGG19(weights, convolution="winograd")
    before = of(network)
    twin = copy.deepcopy(network)
    twin.load_state_dict(VGG19(halved).state_dict())
    assert torch.equal(of(twin), fresh(halved))
    assert torch.equal(of(network), before)
    assert torch.equal(of(network.to(torch.bfloat16).float()), fresh(rounded))
