"""Gates: the gradient below maps that no loss looks at, from one bit a value."""

import itertools

import pytest
import torch
from torch import Tensor

from nstyle.networks.gates import Gates
from nstyle.networks.vgg19 import POOLING, VGG19, ConvolutionBlock


def coarse_map(height: int, width: int, dtype: torch.dtype) -> Tensor:
    """An input of block 2 with few different values, so that many maxima are equal."""
    generator = torch.Generator().manual_seed(height)
    x = torch.randint(0, 3, (1, 64, height, width), generator=generator) * 8
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def block_of(vgg19: VGG19, number: int, pooling: str, dtype: torch.dtype = torch.float32) -> ConvolutionBlock:
    """A block of VGG-19 without biases, so that zeros stay zeros."""
    weights = {name: torch.zeros_like(w) if "bias" in name else w for name, w in vgg19.weights().items()}
    return VGG19(weights, pooling).to(dtype).blocks[number]


def below(x: Tensor, block: ConvolutionBlock, layers: set[str], gates: Gates | None) -> tuple[Tensor, ...]:
    """The gradient of losses on the pooled map and the layers with respect to the input."""
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    maps, pooled = block(leaf, layers, pooled=True) if gates is None else block.with_gates(leaf, layers, gates)
    assert pooled is not None
    outputs = [*maps.values(), pooled]
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(one.shape, generator=generator).to(one) for one in outputs]
    (gradient,) = torch.autograd.grad(outputs, leaf, gradients)
    return gradient, *(one.detach() for one in maps.values())


@pytest.mark.parametrize("pooling", POOLING)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layers", [set(), {"relu2_1"}, {"relu2_2"}, {"relu1_1"}], ids=str)
@pytest.mark.parametrize("size", [(8, 12), (7, 5), (2, 3)])
def test_gates_give_the_gradient(
    vgg19: VGG19, pooling: str, dtype: torch.dtype, layers: set[str], size: tuple[int, int]
) -> None:
    block, x, gates = block_of(vgg19, 1, pooling, dtype), coarse_map(*size, dtype), Gates()
    with torch.no_grad():
        pooled = block.with_gates(x, layers, gates)[1]
        expected_map = block(x, layers, pooled=True)[1]
    assert pooled is not None
    assert expected_map is not None
    assert torch.equal(pooled, expected_map)
    for _ in range(2):  # gates can be used again
        for found, expected in zip(below(x, block, layers, gates), below(x, block, layers, None), strict=True):
            assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_equal_maxima_and_zeros_are_tested(vgg19: VGG19) -> None:
    """The inputs above have windows in which two positions are the largest, and some that are all 0."""
    maps, _ = block_of(vgg19, 1, "max", torch.bfloat16)(coarse_map(8, 12, torch.bfloat16), {"relu2_2"}, pooled=False)
    four = torch.stack([maps["relu2_2"][..., i::2, j::2] for i, j in itertools.product(range(2), range(2))])
    assert ((four == four.amax(0)).sum(0)[four.amax(0) > 0] > 1).any()
    assert (four.amax(0) == 0).any()


def test_nothing_above_the_layers_is_computed_again(vgg19: VGG19, monkeypatch: pytest.MonkeyPatch) -> None:
    block, gates, names = vgg19.blocks[2], Gates(), list[str]()
    x = torch.rand(1, 128, 12, 12)
    convolved = VGG19.convolved

    def noted(network: VGG19, name: str, maps: Tensor) -> Tensor:
        names.append(name)
        return convolved(network, name, maps)

    monkeypatch.setattr(VGG19, "convolved", noted)
    block.with_gates(x, {"relu3_1"}, gates)
    assert names == ["conv3_1", "conv3_2", "conv3_3", "conv3_4"]
    names.clear()
    block.with_gates(x, {"relu3_1"}, gates)
    assert names == ["conv3_1"]


def test_winograd_has_gates_too(vgg19: VGG19) -> None:
    network = VGG19(vgg19.weights(), convolution="winograd")
    x, gates = torch.rand(1, 256, 22, 18) * 50, Gates()
    with torch.no_grad():
        network.blocks[3].with_gates(x, {"relu4_1"}, gates)
    (found, _), (expected, _) = (below(x, network.blocks[3], {"relu4_1"}, one) for one in (gates, None))
    assert (found - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("channels", [3, 64])
def test_gates_take_a_bit_each(channels: int) -> None:
    rectified = torch.randn(1, channels, 5, 7, generator=torch.Generator().manual_seed(0)).relu()
    gates = Gates()
    gates.add(rectified)
    x = rectified.clone().requires_grad_()
    replayed = gates.replay(x, 1.0, [lambda gradient: gradient])
    (gradient,) = torch.autograd.grad(replayed, x, torch.ones_like(replayed))
    expected = (rectified > 0).float()
    expected[..., 4:, :] = 0
    expected[..., 6:] = 0
    assert torch.equal(gradient, expected)
    assert sum(bits.nbytes for bits, _ in gates._bits) == -(-rectified.numel() // 8)
