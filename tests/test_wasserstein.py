"""The Wasserstein loss: its closed form, and pictures and styles that do not vary."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from refusals import refuses
from test_objective import SmallNetwork, images
from test_terms import loss_of
from torch import Tensor

from nstyle.errors import DivergenceError, Kind
from nstyle.losses import wasserstein
from nstyle.losses.objective import Objective, Style
from nstyle.losses.wasserstein import WassersteinTerm
from nstyle.networks.vgg19 import VGG19
from nstyle.optim.descent import descend

Floats = NDArray[np.float64]


@pytest.fixture
def _hardly_smoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes float64 results match the closed form to many digits."""
    monkeypatch.setattr(wasserstein, "SMOOTHING", 1e-4)


def random_map(channels: int, height: int, width: int, seed: int) -> Tensor:
    """A feature map with correlated channels of different means."""
    generator = torch.Generator().manual_seed(seed)
    mixture = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    values = torch.randn(channels, height * width, generator=generator, dtype=torch.float64)
    means = 2 * torch.randn(channels, 1, generator=generator, dtype=torch.float64)
    return (mixture @ values + means).reshape(1, channels, height, width)


def closed_form(map_: Tensor, style_map: Tensor, weights: Tensor | None = None) -> tuple[float, float]:
    """W2^2 between the Gaussians of two maps, with weights for the first map's positions; and |m'|^2 + tr(V')."""

    def gaussian(features: Tensor, weights: Floats) -> tuple[Floats, Floats]:
        rows = features[0].flatten(1).T.numpy()
        mean = np.average(rows, axis=0, weights=weights)
        return mean, np.atleast_2d(np.cov(rows.T, bias=True, aweights=weights))

    ones = np.ones(style_map.shape[-2:].numel())
    m, v = gaussian(map_, np.ones(map_.shape[-2:].numel()) if weights is None else weights.flatten().numpy())
    n, w = gaussian(style_map, ones)
    root = scipy.linalg.sqrtm(w)
    common = np.trace(scipy.linalg.sqrtm(root @ v @ root)).real
    return float(np.sum((m - n) ** 2) + np.trace(v) + np.trace(w) - 2 * common), float(np.sum(n**2) + np.trace(w))


@pytest.mark.usefixtures("_hardly_smoothed")
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize("size", [(9, 7), (5, 6)])
def test_is_the_closed_form(channels: int, size: tuple[int, int], relative: bool) -> None:
    map_, style_map = random_map(channels, *size, seed=1), random_map(channels, 8, 10, seed=2)
    term = WassersteinTerm.towards("any", style_map, 0.7)
    distance, nothing = closed_form(map_, style_map)
    expected = distance / nothing if relative else distance * map_.shape[-2:].numel() / channels
    loss = loss_of(term.relative() if relative else term, {"any": map_})
    assert float(loss) == pytest.approx(0.7 * expected, rel=1e-5)


@pytest.mark.usefixtures("_hardly_smoothed")
def test_positions_count_by_region_and_mask() -> None:
    """The region's share of the picture is a factor; the masked part of the style counts like a whole style."""
    map_, style_map = random_map(3, 6, 8, seed=1), random_map(3, 6, 8, seed=2)
    region = torch.rand(1, 1, 6, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    left = torch.zeros(1, 1, 6, 8, dtype=torch.float64)
    left[..., :5] = 1
    term = WassersteinTerm.towards("any", style_map, 1.0, left, region).relative()
    distance, nothing = closed_form(map_, style_map[..., :5], region)
    assert float(loss_of(term, {"any": map_})) == pytest.approx(float(region.mean()) * distance / nothing, rel=1e-5)


def test_tells_contrast_from_brightness() -> None:
    """Two maps with equal Gram matrices: one bright and flat, the other varying around 0."""
    varied = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64).reshape(1, 1, 2, 2)
    flat = torch.ones_like(varied)
    loss = loss_of(WassersteinTerm.towards("any", varied, 1.0).relative(), {"any": flat})
    assert float(loss) == pytest.approx(2)  # a mean and a deviation that are both 1 off, beside 1 in all


def test_smoothing_is_hardly_seen() -> None:
    map_, style_map = random_map(8, 9, 7, seed=1), random_map(8, 8, 10, seed=2)
    distance, nothing = closed_form(map_, style_map)
    term = WassersteinTerm.towards("any", style_map, 1.0).relative()
    assert float(loss_of(term, {"any": map_})) == pytest.approx(distance / nothing, rel=0.01)
    assert 0 <= float(loss_of(term, {"any": style_map})) < 1e-3


@pytest.mark.usefixtures("_hardly_smoothed")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(12, 9), (2, 3)])
def test_nothing_is_left_at_the_style_itself(size: tuple[int, int], dtype: torch.dtype) -> None:
    """For any order of its positions, and even if there are fewer positions than channels."""
    map_ = random_map(8, *size, seed=1).to(dtype)
    term = WassersteinTerm.towards("any", map_, 1.0).relative()
    for same in (map_, map_.flip(-1), map_.flip(-2)):
        assert abs(float(loss_of(term, {"any": same}))) < (1e-5 if dtype == torch.float32 else 1e-6)
    assert loss_of(term, {"any": 1.1 * map_}) > 1e-3


def test_half_precision_is_summed_in_float32() -> None:
    map_, style_map = (random_map(4, 40, 50, seed).bfloat16() for seed in (1, 2))
    term = WassersteinTerm.towards("any", style_map, 1.0)
    assert (term.mean.dtype, term.root.dtype) == (torch.float32, torch.float32)
    x = map_.clone().requires_grad_()
    loss = loss_of(term, {"any": x})
    (gradient,) = torch.autograd.grad(loss, x)
    assert (loss.dtype, gradient.dtype) == (torch.float32, torch.bfloat16)
    exact = loss_of(WassersteinTerm.towards("any", style_map.double(), 1.0), {"any": map_.double()})
    assert float(loss.detach()) == pytest.approx(float(exact), rel=1e-4)


def one_color(height: int, width: int) -> Tensor:
    return torch.tensor([40.0, -20, 90], dtype=torch.float64).reshape(1, 3, 1, 1).expand(1, 3, height, width)


def black(height: int, width: int) -> Tensor:
    return torch.tensor([-123.68, -116.779, -103.939]).reshape(1, 3, 1, 1).expand(1, 3, height, width)


def varied(height: int, width: int) -> Tensor:
    return 50 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("balance", ["absolute", "relative"])
@pytest.mark.parametrize("painting", [one_color, black, varied])
@pytest.mark.parametrize("style", [one_color, black, varied])
@pytest.mark.parametrize("size", [(16, 16), (32, 48)])
def test_pictures_that_do_not_vary(
    vgg19: VGG19,
    style: Callable[[int, int], Tensor],
    painting: Callable[[int, int], Tensor],
    size: tuple[int, int],
    balance: str,
) -> None:
    """With the real network. At 16 pixels, relu5_1 has only one position."""
    objective = Objective(
        vgg19, painting(*size).float(), style(*size).float(), style_loss="wasserstein", balance=balance, clip=False
    )
    evaluation = objective.gradient((painting(*size) + 1e-3).float())
    assert torch.isfinite(evaluation.loss)
    assert torch.isfinite(evaluation.gradient).all()
    assert evaluation.gradient.abs().max() > 0


class Flat:
    """A network whose maps are the mean of the image, times a factor, without any variation."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        return {layer: self.factor * (image.mean(dim=(2, 3), keepdim=True) + 0 * image) for layer in layers}


@pytest.mark.parametrize("factor", [1.0, 1e-12, 0.0])
def test_maps_that_do_not_vary_at_all(factor: float) -> None:
    """Only the means are compared. Without features there is nothing to compare."""
    _, style, image = (x.float() for x in images())
    objective = Objective(
        Flat(factor), None, style, content_weight=0, style_loss="wasserstein", balance="relative", tv_weight=0
    )
    evaluation = objective.gradient(image)
    assert torch.isfinite(evaluation.gradient).all()
    assert (evaluation.loss > 0) == (factor > 0)
    assert objective.gradient(style).loss < 1e-3 * objective.gradient(image).loss or factor == 0


@pytest.mark.parametrize("balance", ["absolute", "relative"])
def test_a_part_of_the_style_that_leaves_nothing_at_a_layer(balance: str) -> None:
    network, (content, style, image) = SmallNetwork(), images()
    styles = [Style(style, mask=torch.zeros(1, 1, 6, 5))]
    evaluation = Objective(network, content, styles, style_loss="wasserstein", balance=balance).gradient(image)
    assert all(loss == 0 for loss in evaluation.style_losses.values())
    assert torch.isfinite(evaluation.gradient).all()


@pytest.mark.parametrize("where", ["painting", "style"])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_features_that_are_not_finite_end_a_descent_as_one_that_diverged(where: str, poison: float) -> None:
    network, (content, style, image) = SmallNetwork(), images()
    (style if where == "style" else image)[0, 0, 0, 0] = poison
    objective = Objective(network, content, style, style_loss="wasserstein")
    assert not torch.isfinite(objective.gradient(image).loss)
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, flag="--lr"):
        next(descend(objective, image))
