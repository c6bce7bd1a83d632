"""Gradients for a generator: against numerical ones, stage by stage, and MXNet's clipping."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from nstyle.losses.objective import Objective
from nstyle.numerics import clip_to_norm
from nstyle.painter.routing import SHARE_OF_VALUES, route_gradients

LAYERS = {"a": 1.0}


def features(image: Tensor, layers: object) -> dict[str, Tensor]:
    """A network of one layer, smooth, in the image's precision."""
    kernel = torch.linspace(-1, 1, 4 * 3 * 3 * 3, dtype=image.dtype).reshape(4, 3, 3, 3) / 20
    return {"a": torch.tanh(torch.nn.functional.conv2d(image / 50, kernel)) * 3}


class Tiny(nn.Module):
    """A generator of a few weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1).double()

    def forward(self, image: Tensor) -> Tensor:
        painted: Tensor = 100 * torch.tanh(self.conv(image / 100)) + 0.3 * image
        return painted


def image(seed: int, count: int = 1, edge: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, edge, edge, generator=generator, dtype=torch.float64) * 200 - 100


def objectives(crops: Tensor, weight: float = 1.0) -> list[Objective]:
    options = {"content_layers": LAYERS, "style_layers": LAYERS, "tv_weight": 0.0, "clip": False}
    return [
        Objective(features, crop[None], image(9), content_weight=weight, style_weight=weight, **options)  # type: ignore[arg-type]
        for crop in crops
    ]


def mean_loss(objective_of: list[Objective], paintings: Tensor) -> float:
    pairs = zip(objective_of, paintings, strict=True)
    return sum(float(objective.gradient(one[None]).loss) for objective, one in pairs) / len(objective_of)


def slope(function: Callable[[], float], weight: Tensor, direction: Tensor) -> float:
    """The derivative of a function with respect to the weights along a direction, by a central difference."""
    h, before = 1e-5, weight.data.clone()
    weight.data = before + h * direction
    above = function()
    weight.data = before - h * direction
    below = function()
    weight.data = before
    return (above - below) / (2 * h)


def check_slopes(function: Callable[[], float], stage: nn.Module) -> None:
    """Check the `grad` of each of a stage's weights against numerical slopes."""
    for weight in stage.parameters():
        assert weight.grad is not None
        for seed in range(2):
            direction = torch.randn(weight.shape, dtype=weight.dtype, generator=torch.Generator().manual_seed(seed))
            assert slope(function, weight, direction) == pytest.approx(
                float((weight.grad * direction).sum()), rel=1e-4
            )


def test_a_single_stage_gets_the_gradient_of_the_mean_objective() -> None:
    torch.manual_seed(1)
    stage, crops = Tiny(), image(2, count=2)
    objective_of = objectives(crops)
    (painted,) = route_gradients([stage], crops, objective_of)
    assert float(painted.loss) == pytest.approx(mean_loss(objective_of, stage(crops).detach()), rel=1e-6)
    check_slopes(lambda: mean_loss(objective_of, stage(crops).detach()), stage)


def test_gradients_of_the_mean_logarithm() -> None:
    torch.manual_seed(1)
    stage, crops = Tiny(), image(2, count=2)
    objective_of = [*objectives(crops[:1]), *objectives(crops[1:], 1e4)]  # the second one's loss is much larger
    scales: list[float] = []

    def penalty(paintings: Tensor, scale: Tensor) -> Tensor:
        scales.append(float(scale))
        return 0 * paintings.sum()

    def mean_logarithm() -> float:
        paintings = stage(crops).detach()
        losses = [mean_loss([one], each[None]) for one, each in zip(objective_of, paintings, strict=True)]
        return sum(map(math.log, losses)) / len(losses)

    route_gradients([stage], crops, objective_of, penalty, of_logarithms=True)
    check_slopes(mean_logarithm, stage)
    assert scales == [1]


def test_a_painting_without_loss_has_no_gradient() -> None:
    crops, shift = image(2), torch.zeros((), dtype=torch.float64, requires_grad=True)
    only_content = Objective(
        features, crops, None, style_weight=0.0, content_layers=LAYERS, tv_weight=0.0, clip=False
    )
    (painted,) = route_gradients([lambda photo: photo + shift], crops, [only_content], of_logarithms=True)
    assert float(painted.loss) == 0
    assert shift.grad == 0


def follow(stage: nn.Module, below: Tensor, gradient: Tensor) -> float:
    """The inner product of a stage's output with a gradient there."""
    return float((stage(below).detach() * gradient).sum())


@pytest.mark.parametrize("weight", [1e-4, 1e4])
def test_a_chain_gets_the_sum_of_its_own_and_later_gradients_stage_by_stage(weight: float) -> None:
    """Without the later stages' Jacobians. At the larger weight, the sums are clipped."""
    torch.manual_seed(1)
    stages, crops = [Tiny() for _ in range(3)], image(3)
    objective_of = objectives(crops, weight)
    painted = route_gradients(stages, crops, objective_of)
    routed = torch.zeros_like(crops)
    inputs = [crops, *(stage.paintings for stage in painted)]
    clipped = []
    for number in (2, 1, 0):
        own = objective_of[0].gradient(painted[number].paintings).gradient
        routed, norm = clip_to_norm(routed + own, SHARE_OF_VALUES * crops.numel())
        clipped.append(float(norm) > SHARE_OF_VALUES * crops.numel())
        check_slopes(partial(follow, stages[number], inputs[number], routed), stages[number])
    assert all(clipped) == any(clipped) == (weight > 1)


def test_the_gradient_at_each_painting_of_a_batch_is_clipped_alone() -> None:
    """So a batch gets the mean of what its paintings would get, however large it is."""
    torch.manual_seed(1)
    stages, crops = [Tiny() for _ in range(2)], image(3, count=3)
    weights = [weight for stage in stages for weight in stage.parameters()]

    def found(some: Tensor) -> list[Tensor]:
        for stage in stages:
            stage.zero_grad()
        route_gradients(stages, some, objectives(some, 1e4))
        return [weight.grad.clone() for weight in weights if weight.grad is not None]

    alone = [found(crop[None]) for crop in crops]
    for together, *each in zip(found(crops), *alone, strict=True):
        assert torch.allclose(together, torch.stack(each).mean(dim=0), rtol=1e-6)


def test_each_stage_paints_what_the_one_before_has_painted() -> None:
    stages, crops = [Tiny() for _ in range(3)], image(3)
    painted = route_gradients(stages, crops, objectives(crops))
    expected = crops
    for stage, found in zip(stages, painted, strict=True):
        expected = stage(expected).detach()
        assert torch.equal(found.paintings, expected)


def test_a_penalty_is_added_to_the_last_stage_alone() -> None:
    torch.manual_seed(1)
    stages, crops = [Tiny() for _ in range(2)], image(3)
    route_gradients(stages, crops, objectives(crops))
    without = [weight.grad.clone() for stage in stages for weight in stage.parameters() if weight.grad is not None]
    for stage in stages:
        stage.zero_grad()
    route_gradients(stages, crops, objectives(crops), lambda paintings, scale: paintings.square().sum())
    weights = [weight for stage in stages for weight in stage.parameters()]
    added = [weight.grad - before for weight, before in zip(weights, without, strict=True) if weight.grad is not None]
    assert not any(one.any() for one in added[:2])
    inside = stages[0](crops).detach()
    expected = torch.autograd.grad(stages[1](inside).square().sum(), list(stages[1].parameters()))
    for found, one in zip(added[2:], expected, strict=True):
        assert torch.allclose(found, one, rtol=1e-8)
