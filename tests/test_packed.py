"""Convolutions with kernels that are laid out once compute what PyTorch's do, and so do their gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.packed import convolve, pack, worth_packing
from nstyle.vgg19 import LAYERS, VGG19

SIZES = [(1, 1), (1, 9), (4, 4), (5, 6), (31, 18), (96, 128)]

MAPS = torch.zeros(1, 64, 40, 40)

x86 = pytest.mark.skipif(not worth_packing(MAPS), reason="there are none but on x86")


def test_what_there_are_none_for() -> None:
    assert not worth_packing(MAPS.double())
    assert not worth_packing(MAPS.to("meta"))
    assert not worth_packing(MAPS[:, :8])
    assert not worth_packing(MAPS.expand(2, 64, 40, 40).reshape(1, 64, 80, 40))


@x86
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("channels", [(3, 64), (64, 128), (40, 24)])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_it_is_a_convolution(
    height: int, width: int, channels: tuple[int, int], dtype: torch.dtype, off: float
) -> None:
    generator = torch.Generator().manual_seed(height * width)
    maps = torch.randn(1, channels[0], height, width, generator=generator).to(dtype)
    weight = torch.randn(channels[1], channels[0], 3, 3, generator=generator).to(dtype)
    bias = torch.randn(channels[1], generator=generator).to(dtype)
    maps = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
    if not worth_packing(MAPS.to(dtype)):
        pytest.skip("no bfloat16 on this processor")
    found = convolve(maps, pack(weight), bias)
    wanted = F.conv2d(maps.double(), weight.double(), bias.double(), padding=1)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found - wanted).norm() <= off * wanted.norm()
    upstream = torch.randn(wanted.shape, generator=generator).to(dtype)
    (found_gradient,) = torch.autograd.grad(found, maps, upstream)
    (wanted_gradient,) = torch.autograd.grad(wanted, maps, upstream.double())
    assert found_gradient.is_contiguous(memory_format=torch.channels_last)
    assert (found_gradient - wanted_gradient).norm() <= off * wanted_gradient.norm()


@x86
def test_the_network_lays_kernels_out_once(vgg19: VGG19, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[torch.Size] = []

    def counted(weight: Tensor) -> object:
        laid_out.append(weight.shape)
        return pack(weight)

    monkeypatch.setattr("nstyle.vgg19.packed.pack", counted)
    network = VGG19(vgg19.weights())
    image = 50 * torch.randn(1, 3, 40, 36, generator=torch.Generator().manual_seed(0))
    first, second = network(image, LAYERS[:4]), network(image[..., :30], LAYERS[:3])
    assert len(laid_out) == 3  # of conv1_2, conv2_1 and conv2_2; conv1_1's maps are too small
    monkeypatch.setattr("nstyle.vgg19.packed.worth_packing", lambda maps: False)
    for maps, size in ((first, image), (second, image[..., :30])):
        for layer, others in VGG19(vgg19.weights())(size, maps).items():
            assert (maps[layer] - others).norm() <= 1e-6 * others.norm(), layer
    assert len(laid_out) == 3


@x86
def test_kernels_are_those_of_the_precision(vgg19: VGG19) -> None:
    image = 50 * torch.randn(1, 3, 40, 36, generator=torch.Generator().manual_seed(0))
    network = VGG19(vgg19.weights())
    in_float32 = network(image, ["relu2_1"])["relu2_1"]
    in_bfloat16 = network.to(torch.bfloat16)(image, ["relu2_1"])["relu2_1"]
    assert in_bfloat16.dtype == torch.bfloat16
    assert 0 < (in_bfloat16 - in_float32).norm() < 0.02 * in_float32.norm()
