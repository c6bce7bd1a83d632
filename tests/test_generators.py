"""The networks that paint in one pass: their sizes, and layers against PyTorch's and MXNet's definitions."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nstyle.errors import OptionError
from nstyle.networks.model_space import MEAN_RGB
from nstyle.painter.generators import GENERATORS, make_generator
from nstyle.painter.graph import IMAGE, Generator, Graph
from nstyle.painter.layers import BatchNorm, Blend, Conv, Layer, Span, Transposed

SMALL = {"johnson": {"width": 4, "blocks": 1}, "small": {"width": 4}, "boosted": {"width": 4, "blocks": 3}}


def small(name: str) -> Generator:
    torch.manual_seed(0)
    return make_generator(name, **SMALL[name])


def run(layer: Layer, *maps: Tensor) -> Tensor:
    """Run a layer over whole maps."""
    graph = Graph()
    graph.add("only", layer, *[IMAGE] * len(maps))
    output: Tensor = graph(maps[0])
    return output


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", [(16, 16), (17, 37), (38, 16), (31, 33)])
def test_a_painting_has_the_size_of_its_picture(name: str, size: tuple[int, int]) -> None:
    generator = small(name).eval()
    with torch.inference_mode():
        assert generator(50 * torch.randn(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize(
    ("name", "width", "weights"), [("johnson", 32, 1_700_000), ("small", 8, 17_600), ("boosted", 64, 7_000_000)]
)
def test_the_networks_are_as_large_as_published(name: str, width: int, weights: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in make_generator(name, width=width).parameters()) == pytest.approx(
            weights, rel=0.02
        )


def test_batches_and_gradients_go_through_every_layer() -> None:
    for name in GENERATORS:
        generator = small(name).train()
        generator(50 * torch.randn(2, 3, 24, 20)).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in generator.parameters())


def test_the_pictures_of_a_batch_do_not_mix() -> None:
    generator, images = small("johnson"), 50 * torch.randn(2, 3, 24, 20)
    torch.testing.assert_close(generator(images)[:1], generator(images[:1]), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [(24, 20), (23, 21)])
@pytest.mark.parametrize(
    ("kernel", "stride", "split"),
    [(3, 1, False), (9, 1, False), (3, 2, False), (5, 2, False), (9, 1, True), (5, 1, True)],
)
def test_a_convolution_is_pytorchs_with_padding(size: tuple[int, int], kernel: int, stride: int, split: bool) -> None:
    x = torch.randn(1, 3, *size)
    for padding in ("reflect", "constant"):
        ours = Conv(3, 4, kernel, stride=stride, padding=padding, split=split)
        mode: Literal["reflect", "zeros"] = "reflect" if padding == "reflect" else "zeros"
        theirs = nn.Conv2d(3, 4, kernel, stride, kernel // 2, padding_mode=mode)
        theirs.load_state_dict(ours.state_dict())
        torch.testing.assert_close(run(ours, x), theirs(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_split_convolution_has_the_gradients_of_a_whole_one(dtype: torch.dtype) -> None:
    layer = Conv(6, 3, 9, padding="constant", split=True).double()
    layer.bias = nn.Parameter(torch.randn(3, dtype=torch.float64))
    x = torch.randn(2, 6, 20, 31, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x, layer.weight, layer.bias, padding=4)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), [x, *layer.parameters()])
    found = run(layer.to(dtype), x.to(dtype))
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    gradients = torch.autograd.grad((found * weights).sum(), [x, *layer.parameters()])
    for one, exact in ((found, expected), *zip(gradients, wanted, strict=True)):
        error = (one.double() - exact).norm() / exact.norm()
        assert error < (1e-12 if dtype == torch.float64 else 0.01)


@pytest.mark.parametrize(("kernel", "padding", "crop"), [(7, 2, 1), (8, 3, 0)])
def test_a_transposed_convolution_is_padded_and_cropped_as_mxnets(kernel: int, padding: int, crop: int) -> None:
    layer, x = Transposed(3, 4, kernel, padding + crop), torch.randn(1, 3, 8, 6)
    theirs = F.conv_transpose2d(x, layer.weight, stride=2, padding=padding)[..., crop : crop + 16, crop : crop + 12]
    torch.testing.assert_close(layer([x], Span(0, 16, 8), Span(0, 12, 6)), theirs, rtol=1e-4, atol=1e-5)


def test_the_blend_has_mxnets_constants() -> None:
    image, painted = torch.full((1, 3, 2, 2), 10.0), torch.full((1, 3, 2, 2), 0.5)
    whole = Span(0, 2, 2)
    blended = Blend()([painted, image], whole, whole)
    assert blended[0, :, 0, 0].tolist() == pytest.approx([0.4 * (192 - mean) + 6 for mean in MEAN_RGB], rel=1e-5)


def test_batch_norm_normalizes_with_the_averages_of_training() -> None:
    norm = BatchNorm(3, torch.tanh)
    for _ in range(200):
        run(norm, 5 + 2 * torch.randn(4, 3, 8, 8))
    norm.eval()
    x = 5 + 2 * torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(run(norm, x), torch.tanh((x - 5) / 2), rtol=0, atol=0.1)


def test_each_stage_of_the_chain_is_fed_with_the_output_of_the_one_before() -> None:
    generator, image = small("boosted").eval(), 50 * torch.randn(1, 3, 24, 20)
    first, second, third = generator.paintings(image)
    torch.testing.assert_close(generator.graphs[1](first), second)
    torch.testing.assert_close(generator(image), third)


@pytest.mark.parametrize(
    ("name", "sizes"), [("other", {}), ("johnson", {"width": 0}), ("johnson", {"blocks": 1000})], ids=str
)
def test_unknown_networks_and_sizes_are_refused(name: str, sizes: dict[str, int]) -> None:
    with pytest.raises(OptionError) as refused:
        make_generator(name, **sizes)
    assert refused.value.flag == "--generator"
