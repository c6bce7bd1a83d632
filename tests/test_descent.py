"""The descent on a quadratic, without network and pictures."""

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from refusals import refuses
from torch import Tensor

from nstyle.errors import DivergenceError, Kind
from nstyle.optim.descent import DIVERGED_RMS, LOWEST_LEARNING_RATE, Step, descend, scheduled_learning_rate


@dataclass(frozen=True)
class Evaluation:
    gradient: Tensor


class Quadratic:
    """1/2 x^T D x - b^T x, with a diagonal D."""

    def __init__(self, diagonal: Tensor, linear: Tensor) -> None:
        self.diagonal = diagonal
        self.linear = linear
        self.evaluations = 0

    def gradient(self, image: Tensor) -> Evaluation:
        self.evaluations += 1
        return Evaluation(self.diagonal * image - self.linear)


def quadratic() -> tuple[Quadratic, Tensor]:
    generator = torch.Generator().manual_seed(0)
    diagonal = torch.rand(12, generator=generator, dtype=torch.float64) + 0.1
    return Quadratic(diagonal, torch.rand(12, generator=generator, dtype=torch.float64)), torch.zeros_like(diagonal)


def test_is_torchs_nesterov_sgd() -> None:
    objective, start = quadratic()
    parameter = start.clone().requires_grad_()
    sgd = torch.optim.SGD([parameter], lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)
    steps = descend(objective, start, lr=0.05, momentum=0.9, weight_decay=0.01, stop_eps=0, max_num_epochs=50)
    for step in steps:
        parameter.grad = objective.gradient(parameter.detach()).gradient
        sgd.step()
        torch.testing.assert_close(step.image, parameter.detach())


def test_finds_the_minimum_and_stops() -> None:
    objective, start = quadratic()
    *_, last = descend(objective, start, lr=0.1, weight_decay=0, stop_eps=1e-9, max_num_epochs=5000)
    assert last.stopped
    assert last.relative_change < 1e-9
    torch.testing.assert_close(last.image, objective.linear / objective.diagonal, rtol=1e-6, atol=0)


def test_epochs_count_from_0_and_each_is_one_evaluation() -> None:
    objective, start = quadratic()
    steps = list(descend(objective, start, stop_eps=0, max_num_epochs=7))
    assert [step.epoch for step in steps] == list(range(7))
    assert objective.evaluations == 7
    assert not steps[-1].stopped


def test_steps_keep_their_own_images() -> None:
    objective, start = quadratic()
    steps = list(descend(objective, start, lr=0.1, stop_eps=0, max_num_epochs=3))
    assert torch.equal(start, torch.zeros_like(start))
    for earlier, later in itertools.pairwise(steps):
        assert not torch.equal(earlier.image, later.image)
        change = (earlier.image - later.image).norm() / later.image.norm()
        assert later.relative_change == pytest.approx(float(change))


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 1.0), (1, 1.0), (75, 1.0), (76, 0.9), (150, 0.9), (151, 0.81), (226, 0.729)]
)
def test_schedule_drops_one_epoch_after_each_delay(epoch: int, expected: float) -> None:
    assert scheduled_learning_rate(epoch, 1.0, 75, 0.9) == pytest.approx(expected)


def test_schedule_has_a_floor() -> None:
    assert scheduled_learning_rate(10**6, 1.0, 1, 0.5) == LOWEST_LEARNING_RATE


def test_divergence_is_found_at_once_and_the_last_step_is_sound() -> None:
    objective, start = quadratic()
    steps: list[Step[Evaluation]] = []
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, flag="--lr"):
        steps.extend(descend(objective, start, lr=50.0, max_num_epochs=1000))
    assert 0 < len(steps) < 20
    assert steps[-1].image.square().mean().sqrt() < DIVERGED_RMS


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_diverges(poison: float) -> None:
    objective, start = quadratic()
    objective.linear[3] = poison
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, flag="--lr"):
        next(descend(objective, start))


def test_a_descent_taken_up_goes_on_to_the_bit() -> None:
    objective, start = quadratic()
    settings = {"lr": 0.05, "lr_sched_delay": 3, "lr_sched_factor": 0.5, "stop_eps": 0.0, "max_num_epochs": 12}
    steps = list(descend(objective, start, **settings))  # type: ignore[arg-type]  # a dictionary of mixed types
    for done in range(12):
        rest = list(descend(objective, steps[done].state, **settings))  # type: ignore[arg-type]
        assert [step.epoch for step in rest] == list(range(done + 1, 12))
        for again, step in zip(rest, steps[done + 1 :], strict=True):
            assert torch.equal(again.image, step.image)
            assert again.relative_change == step.relative_change
            assert again.learning_rate == step.learning_rate


def test_a_descent_that_has_stopped_does_not_go_on() -> None:
    objective, start = quadratic()
    *_, last = descend(objective, start, lr=0.1, stop_eps=0.01, max_num_epochs=500)
    assert last.stopped
    assert not list(descend(objective, last.state, lr=0.1, stop_eps=0.01, max_num_epochs=500))
    assert list(descend(objective, last.state, lr=0.1, stop_eps=0.001, max_num_epochs=500))


def test_backoff_takes_the_epoch_back_and_halves_the_rate() -> None:
    objective, start = quadratic()
    evaluations = objective.evaluations
    *_, last = steps = list(
        descend(objective, start, lr=1e9, weight_decay=0, stop_eps=0, max_num_epochs=400, on_divergence="backoff")
    )
    assert objective.evaluations - evaluations == len(steps) == 400  # going back needs no evaluation
    assert all(step.image.square().mean().sqrt() < DIVERGED_RMS for step in steps)
    factors = [step.state.rate_factor for step in steps]
    assert factors == sorted(factors, reverse=True)
    assert 0 < factors[-1] < 1e-6
    assert all(float(factor).hex().startswith("0x1.0") for factor in factors)  # powers of two
    assert last.learning_rate == pytest.approx(scheduled_learning_rate(399, 1e9, 75, 0.9) * factors[-1])
    torch.testing.assert_close(last.image, objective.linear / objective.diagonal, rtol=1e-3, atol=0)


def test_backoff_ends_where_the_rate_is_not_the_reason() -> None:
    objective, start = quadratic()
    objective.linear[3] = float("nan")
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, flag="--lr"):
        next(descend(objective, start, on_divergence="backoff"))


BOUNDS = torch.full((12,), 0.3, dtype=torch.float64), torch.full((12,), 0.9, dtype=torch.float64)


@pytest.mark.parametrize("optimizer", ["nag", "adam"])
def test_bounds_are_never_left_and_the_least_within_them_is_found(optimizer: str) -> None:
    """The coordinates of this quadratic are independent, so the minimum within bounds is the clipped minimum."""
    objective, start = quadratic()
    settings: dict[str, Any] = {"weight_decay": 0.0} if optimizer == "nag" else {}
    steps = list(
        descend(
            objective, start, optimizer=optimizer, lr=0.05, stop_eps=0, max_num_epochs=800, bounds=BOUNDS, **settings
        )
    )
    assert all(((step.image >= BOUNDS[0]) & (step.image <= BOUNDS[1])).all() for step in steps)
    minimum = objective.linear / objective.diagonal
    assert (minimum < BOUNDS[0]).any()
    assert (minimum > BOUNDS[1]).any()
    torch.testing.assert_close(steps[-1].image, minimum.clamp(*BOUNDS), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("done", [0, 4, 11])
@pytest.mark.parametrize("optimizer", ["nag", "adam"])
def test_a_descent_within_bounds_taken_up_goes_on_to_the_bit(optimizer: str, done: int) -> None:
    """The state of the update rule belongs to the clipped image."""
    objective, start = quadratic()
    settings: dict[str, Any] = {"optimizer": optimizer, "lr": 0.3, "stop_eps": 0, "max_num_epochs": 14}
    steps = list(descend(objective, start, bounds=BOUNDS, **settings))
    assert any(((step.image == BOUNDS[0]) | (step.image == BOUNDS[1])).any() for step in steps)
    rest = list(descend(objective, steps[done].state, bounds=BOUNDS, **settings))
    assert len(rest) == 13 - done
    assert torch.equal(rest[-1].image, steps[-1].image)
    assert rest[-1].relative_change == steps[-1].relative_change


def test_an_update_beyond_all_pictures_diverges_within_bounds_too() -> None:
    objective, start = quadratic()
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, flag="--lr"):
        list(descend(objective, start, lr=1e5, bounds=BOUNDS))


def test_an_optimizer_takes_its_own_settings_alone() -> None:
    objective, start = quadratic()
    with pytest.raises(TypeError, match="lbfgs has no setting momentum"):
        next(descend(objective, start, optimizer="lbfgs", momentum=0.9))
