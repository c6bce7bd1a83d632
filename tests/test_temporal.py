"""The temporal term: the formula, its gradient, other sizes, tiles, and its place in the objective."""

from typing import Any

import pytest
import torch
from test_objective import SmallNetwork, images
from test_streamed import TinyNetwork, assert_same, painting
from test_terms import assert_same_gradient, numerical_gradient
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.losses.objective import UNIT, Objective
from nstyle.losses.parts import Part
from nstyle.losses.streamed import Streamed
from nstyle.losses.temporal import TemporalTerm
from nstyle.losses.tiles import Tiling


def random(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def term(height: int = 6, width: int = 5, weight: float = 0.7) -> TemporalTerm:
    c = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    c[..., 0, :] = 0  # not known
    return TemporalTerm(40 * random(1, 3, height, width), c, weight)


def loss_of(one: TemporalTerm, image: Tensor) -> Tensor:
    return one.loss(one.statistic(Part(image, {})))


def test_loss_and_gradient_are_those_of_the_formula() -> None:
    one, image = term(), 40 * random(1, 3, 6, 5, seed=6)
    x = image.clone().requires_grad_()
    loss = 0.7 / 90 * (one.c * (x - one.target) ** 2).sum()
    torch.testing.assert_close(loss_of(one, image), loss)
    (gradient,) = torch.autograd.grad(loss_of(one, x), x)
    torch.testing.assert_close(gradient, torch.autograd.grad(loss, x)[0])
    assert_same_gradient(gradient, numerical_gradient(lambda y: loss_of(one, y), image, 1e-3))
    assert (gradient[..., 0, :] == 0).all()
    assert gradient[..., 1:, :].all()


@pytest.mark.parametrize("size", [(12, 10), (3, 2), (7, 5)])
def test_at_another_scale_it_pulls_towards_the_resized_target(size: tuple[int, int]) -> None:
    one, image = term(), 40 * random(1, 3, *size, seed=6)
    target, c = (F.interpolate(x, size=size, mode="bilinear", antialias=True) for x in (one.target, one.c))
    torch.testing.assert_close(loss_of(one, image), 0.7 * (c * (image - target) ** 2).mean(dim=(0, 2, 3)).mean())


def test_it_is_clipped_and_balanced_together_with_content_and_style() -> None:
    network, (content, style, image), one = SmallNetwork(), images(), term()
    (own,) = torch.autograd.grad(loss_of(one, x := image.clone().requires_grad_()), x)
    for balance, factor in (("absolute", 1), ("relative", UNIT * image.numel())):
        plain, more = (
            Objective(network, content, style, balance=balance, clip=False, tv_weight=0).with_terms(terms)
            for terms in ([], [one])
        )
        added = more.gradient(image).gradient - plain.gradient(image).gradient
        torch.testing.assert_close(added, factor * own)
    clipped = Objective(network, content, style, tv_weight=0).with_terms([TemporalTerm(one.target, one.c, 1e9)])
    evaluation = clipped.gradient(image)
    torch.testing.assert_close(evaluation.gradient.norm(), torch.tensor(float(image.numel()), dtype=torch.float64))
    assert evaluation.gradient_norm > image.numel()
    assert set(evaluation.style_losses) == set(Objective(network, content, style).gradient(image).style_losses)


@pytest.mark.parametrize("size", [(40, 56), (20, 28)])
def test_in_tiles_it_is_that_of_the_whole_picture(size: tuple[int, int]) -> None:
    """Also with several of them, as for a longer memory, and at another scale."""
    network, (height, width) = TinyNetwork(), size
    content, image = (painting(height, width, seed).double() for seed in (1, 2))
    style = 0.5 * painting(height + 3, width + 9, 3).double() + 40
    terms = [term(40, 56, weight) for weight in (3e3, 1e3)]
    layers: dict[str, Any] = {"style_layers": {"relu2_1": 1.0, "relu4_1": 1.0}, "content_layers": {"relu4_2": 1.0}}
    whole, parts, without = (
        Objective(features, content, style, clip=False, **layers).with_terms(terms).gradient(image)
        for features, terms in (
            (network, terms),
            (Streamed(network, Tiling(values=2**10)), terms),
            (network, []),
        )
    )
    assert_same((whole, parts))
    assert (whole.gradient - without.gradient).norm() > 1e-3 * without.gradient.norm()
