"""The objective, on a small random network: no optimiser."""

import itertools
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from nstyle.functional import gram_matrix, gram_scale, total_variation_gradient
from nstyle.objective import CONTENT_LAYER, STYLE_LAYERS, Objective


class SmallNetwork:
    """A layer of random 3x3 convolutions for each name, one upon the other; smooth, so that it has derivatives."""

    def __init__(self, scale: float = 0.3) -> None:
        generator = torch.Generator().manual_seed(3)
        channels = [3, 4, 5, 4, 6, 5, 4]
        self.layers = (*STYLE_LAYERS[:4], CONTENT_LAYER, STYLE_LAYERS[4])
        self.kernels = [
            torch.randn(out, in_, 3, 3, generator=generator, dtype=torch.float64) * scale
            for in_, out in itertools.pairwise(channels)
        ]
        self.asked: set[str] = set()

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(layers)
        self.asked |= wanted
        maps = {}
        for name, kernel in zip(self.layers, self.kernels, strict=True):
            image = torch.nn.functional.softplus(torch.nn.functional.conv2d(image, kernel, padding=1))
            maps[name] = image
        return {name: map_ for name, map_ in maps.items() if name in wanted}


def images(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    content, style, image = torch.randn(3, 1, 3, 6, 5, generator=generator, dtype=torch.float64)
    return content, style, image


def scalar_loss(network: SmallNetwork, content: Tensor, style: Tensor, image: Tensor, cw: float, sw: float) -> Tensor:
    """The formula, written down plainly."""
    maps, contents, styles = (network(x, (*STYLE_LAYERS, CONTENT_LAYER)) for x in (image, content, style))
    loss = cw * (maps[CONTENT_LAYER] - contents[CONTENT_LAYER]).square().sum()
    for layer in STYLE_LAYERS:
        f, a = maps[layer][0].flatten(1), styles[layer][0].flatten(1)
        loss = loss + sw / (f.shape[0] ** 2 * f.shape[1]) * (f @ f.T - a @ a.T).square().sum()
    return loss


def test_gradient_is_that_of_the_formula_where_nothing_is_clipped() -> None:
    network, (content, style, image) = SmallNetwork(scale=0.1), images()
    evaluation = Objective(network, content, style, content_weight=3, style_weight=2, tv_weight=0).gradient(image)
    x = image.clone().requires_grad_()
    loss = scalar_loss(network, content, style, x, cw=3, sw=2)
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.norm() < image.numel()
    torch.testing.assert_close(evaluation.gradient, gradient)
    torch.testing.assert_close(evaluation.gradient_norm, gradient.norm())
    torch.testing.assert_close(evaluation.loss, loss.detach())


def test_gradient_is_the_numerical_one() -> None:
    network, (content, style, image) = SmallNetwork(scale=0.1), images()
    objective = Objective(network, content, style, content_weight=3, style_weight=2, tv_weight=0)
    gradient, h = objective.gradient(image).gradient, 1e-5
    for index in [(0, 0, 0, 0), (0, 1, 3, 2), (0, 2, 5, 4)]:
        bump = torch.zeros_like(image)
        bump[index] = h
        up, down = (objective.gradient(image + sign * bump).loss for sign in (1, -1))
        assert float(gradient[index]) == pytest.approx(float(up - down) / (2 * h), rel=1e-6)


def test_gradient_is_clipped_before_total_variation_is_added() -> None:
    network, (content, style, image) = SmallNetwork(scale=2.0), images()
    objective = Objective(network, content, style, tv_weight=50.0)
    evaluation = objective.gradient(image)
    limit = image.numel()
    assert evaluation.gradient_norm > limit
    variation = 50.0 * total_variation_gradient(image)
    assert variation.norm() > limit / 2  # were it added first, the sum would be clipped
    assert (evaluation.gradient - variation).norm() == pytest.approx(limit)


def test_losses_are_weighted_and_named_by_layer() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    evaluation = Objective(network, content, style, content_weight=10, style_weight=2).gradient(image)
    maps, styles = network(image, STYLE_LAYERS), network(style, STYLE_LAYERS)
    for layer in STYLE_LAYERS:
        distance = (gram_matrix(maps[layer]) - gram_matrix(styles[layer])).square().sum()
        torch.testing.assert_close(evaluation.style_losses[layer], 2 * distance / gram_scale(maps[layer]))
    torch.testing.assert_close(evaluation.loss, evaluation.content_loss + sum(evaluation.style_losses.values()))
    assert not evaluation.loss.requires_grad
    assert not evaluation.gradient.requires_grad


def test_nothing_is_left_to_do_at_the_target() -> None:
    network, (content, _, _) = SmallNetwork(), images()
    evaluation = Objective(network, content, content, tv_weight=0).gradient(content)
    assert evaluation.loss == 0
    assert evaluation.gradient.abs().max() == 0


def test_terms_of_weight_0_are_not_computed() -> None:
    content, style, image = images()
    network = SmallNetwork()
    evaluation = Objective(network, content, style, content_weight=0).gradient(image)
    assert network.asked == set(STYLE_LAYERS)
    assert evaluation.content_loss == 0
    network = SmallNetwork()
    evaluation = Objective(network, content, style, style_weight=0).gradient(image)
    assert network.asked == {CONTENT_LAYER}
    assert evaluation.style_losses == {}
    with pytest.raises(ValueError, match="both 0"):
        Objective(network, content, style, content_weight=0, style_weight=0)


def test_style_of_another_size_than_the_content() -> None:
    network, (content, _, image) = SmallNetwork(), images()
    style = torch.randn(1, 3, 9, 4, dtype=torch.float64)
    assert Objective(network, content, style).gradient(image).gradient.shape == image.shape
