"""Convolutions with kernels that are laid out once compute what PyTorch's do, and so do their gradients."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.packed import Kernels, convolve, worth_packing
from nstyle.vgg19 import LAYERS, VGG19

SIZES = [(1, 1), (1, 9), (4, 4), (5, 6), (31, 18), (96, 128)]

avx512 = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="kernels are laid out for AVX-512 alone",
)


def skip_without(dtype: torch.dtype) -> None:
    """Skip a test where oneDNN does not compute in a precision."""
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("no bfloat16 on this processor")


@avx512
def test_what_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.zeros(1, 64, 32, 64)
    assert worth_packing(maps)
    assert not worth_packing(maps.double())
    assert not worth_packing(maps.to("meta"))
    assert not worth_packing(torch.zeros(1, 64, 32, 65))  # large
    assert worth_packing(torch.zeros(1, 21, 32, 32))
    assert not worth_packing(torch.zeros(1, 20, 32, 32))  # small: not by oneDNN
    with monkeypatch.context() as patched:
        patched.setattr(torch.backends.mkldnn, "enabled", False)
        assert not worth_packing(maps)
    with monkeypatch.context() as patched:
        patched.setattr(torch.ops, "mkldnn", SimpleNamespace())  # a PyTorch without the operation
        assert not worth_packing(maps)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not worth_packing(maps)


@avx512
@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("channels", [(3, 64), (64, 128), (40, 24)])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_it_is_a_convolution(
    height: int, width: int, channels: tuple[int, int], dtype: torch.dtype, off: float
) -> None:
    skip_without(dtype)
    generator = torch.Generator().manual_seed(height * width)
    maps = torch.randn(1, channels[0], height, width, generator=generator).to(dtype)
    weight = torch.randn(channels[1], channels[0], 3, 3, generator=generator).to(dtype)
    bias = torch.randn(channels[1], generator=generator).to(dtype)
    maps = maps.contiguous(memory_format=torch.channels_last).requires_grad_()
    found = convolve(maps, Kernels(weight), bias)
    wanted = F.conv2d(maps.double(), weight.double(), bias.double(), padding=1)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found - wanted).norm() <= off * wanted.norm()
    upstream = torch.randn(wanted.shape, generator=generator).to(dtype)
    (found_gradient,) = torch.autograd.grad(found, maps, upstream)
    (wanted_gradient,) = torch.autograd.grad(wanted, maps, upstream.double())
    assert found_gradient.is_contiguous(memory_format=torch.channels_last)
    assert (found_gradient - wanted_gradient).norm() <= off * wanted_gradient.norm()


@avx512
def test_its_gradient_has_one_too() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(1, 8, 9, 7, generator=generator).requires_grad_()
    weight, bias = torch.randn(4, 8, 3, 3, generator=generator), torch.zeros(4)
    found, wanted = (
        torch.autograd.grad(
            torch.autograd.grad(convolved.pow(3).sum(), maps, create_graph=True)[0].pow(2).sum(), maps
        )[0]
        for convolved in (convolve(maps, Kernels(weight), bias), F.conv2d(maps, weight, bias, padding=1))
    )
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()


def picture() -> Tensor:
    return 50 * torch.randn(1, 3, 40, 36, generator=torch.Generator().manual_seed(0))


def by_conv2d(network: VGG19, image: Tensor, layer: str) -> Tensor:
    """Return a map that the network computes without kernels laid out."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nstyle.vgg19.packed.worth_packing", lambda maps: False)
        maps: Tensor = VGG19(network.weights())(image, [layer])[layer]
    return maps


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The precision of all kernels that networks have laid out."""
    precisions: list[torch.dtype] = []

    class Counted(Kernels):
        def __init__(self, weight: Tensor) -> None:
            super().__init__(weight)
            precisions.append(weight.dtype)

    monkeypatch.setattr("nstyle.vgg19.packed.Kernels", Counted)
    return precisions


@avx512
def test_the_network_lays_kernels_out_once(vgg19: VGG19, laid_out: list[torch.dtype]) -> None:
    network = VGG19(vgg19.weights())
    for image in (picture(), picture()[..., :34]):
        for layer, maps in network(image, LAYERS[:4]).items():
            wanted = by_conv2d(network, image, layer)
            assert (maps - wanted).norm() <= 1e-5 * wanted.norm(), layer
    assert laid_out == 3 * [torch.float32]  # of conv1_2, conv2_1 and conv2_2; conv1_1's maps are too small


@avx512
def test_kernels_are_those_of_the_weights(vgg19: VGG19, laid_out: list[torch.dtype]) -> None:
    network = VGG19({name: weight.clone() for name, weight in vgg19.weights().items()})
    network(picture(), ["relu2_2"])
    network.load_state_dict({name: tensor.flip(0) for name, tensor in network.state_dict().items()})
    found, wanted = network(picture(), ["relu2_2"])["relu2_2"], by_conv2d(network, picture(), "relu2_2")
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()
    assert laid_out == 6 * [torch.float32]


@avx512
def test_kernels_are_those_of_the_precision(vgg19: VGG19, laid_out: list[torch.dtype]) -> None:
    skip_without(torch.bfloat16)
    network = VGG19(vgg19.weights())
    network(picture(), ["relu2_2"])
    network.to(torch.bfloat16)(picture(), ["relu2_2"])
    assert laid_out == 3 * [torch.float32] + 4 * [torch.bfloat16]


@avx512
def test_kernels_are_those_of_the_algorithm(vgg19: VGG19) -> None:
    network, image = VGG19(vgg19.weights()), F.pad(picture(), (0, 28, 0, 24))
    by_packed = network(image, ["relu3_1"])["relu3_1"]
    network.convolution = "winograd"
    off = (network(image, ["relu3_1"])["relu3_1"] - by_packed).norm()
    assert 0 < off <= 1e-5 * by_packed.norm()


@avx512
def test_no_kernels_are_kept_for_maps_that_are_large(vgg19: VGG19, laid_out: list[torch.dtype]) -> None:
    network = VGG19(vgg19.weights())
    network(picture(), ["relu2_2"])
    network(torch.zeros(1, 3, 100, 100), ["relu2_2"])
    assert not network._kernels
    network(picture(), ["relu2_2"])
    assert len(laid_out) == 6


@avx512
def test_a_network_in_use_can_be_copied(vgg19: VGG19) -> None:
    network = VGG19(vgg19.weights())
    before = network(picture(), ["relu2_2"])["relu2_2"]
    assert network._kernels
    assert torch.equal(deepcopy(network)(picture(), ["relu2_2"])["relu2_2"], before)
