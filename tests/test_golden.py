"""Parity with the real MXNet program, within the precision of float32 (see golden/README.md)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nstyle.losses.functional import gram_scale
from nstyle.losses.objective import Evaluation, Objective
from nstyle.networks.layers import CONTENT_LAYER, STYLE_LAYERS
from nstyle.networks.vgg19 import VGG19
from nstyle.optim.descent import Step, descend

EPOCH, CHANGE, NORM, RATE, STYLE, CONTENT = 0, 1, 2, 3, slice(4, 9), 9  # columns of `rec`


@dataclass(frozen=True)
class Case:
    """One golden file: its settings, and the number of epochs that must match within 1e-4."""

    name: str
    followed: int
    weights: dict[str, Any] = field(default_factory=dict)
    descent: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("default", 10),
    Case("schedule", 30, descent={"lr": 0.0005, "lr_sched_delay": 5, "lr_sched_factor": 0.5}),
    Case("content_only", 10, weights={"style_weight": 0.0, "tv_weight": 0.0}),
    Case("style_only", 30, weights={"content_weight": 0.0}),
    Case("odd_size", 3, weights={"tv_weight": 0.1, "style_weight": 2.0, "content_weight": 5.0}),
]


@dataclass(frozen=True)
class Run:
    """MXNet's results and ours for the same input."""

    case: Case
    expected: dict[str, NDArray[Any]]
    objective: Objective
    steps: list[Step[Evaluation]]

    @property
    def record(self) -> NDArray[Any]:
        return self.expected["rec"]

    def ours(self, what: str) -> NDArray[Any]:
        return np.array([getattr(step, what) for step in self.steps])

    def image_difference(self, epoch: int, name: str) -> Tensor:
        return self.steps[epoch - 1].image - torch.from_numpy(self.expected[name])


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def run(request: pytest.FixtureRequest, vgg19: VGG19, golden: Path) -> Run:
    case: Case = request.param
    expected = dict(np.load(golden / f"{case.name}.npz"))
    content, style, initial = (torch.from_numpy(expected[name]) for name in ("content", "style", "init"))
    objective = Objective(vgg19, content, style, **case.weights)
    epochs = len(expected["rec"])
    steps = list(descend(objective, initial, stop_eps=0, max_num_epochs=epochs, **case.descent))
    return Run(case, expected, objective, steps)


def test_first_epoch(run: Run) -> None:
    first = run.steps[0]
    assert first.relative_change == pytest.approx(run.record[0, CHANGE], rel=1e-5)
    assert float(first.evaluation.gradient_norm) == pytest.approx(run.record[0, NORM], rel=1e-5)
    assert run.image_difference(1, "e_1").abs().max() < 1e-3


def test_relative_change_is_followed(run: Run) -> None:
    followed = run.case.followed
    np.testing.assert_allclose(run.ours("relative_change")[:followed], run.record[:followed, CHANGE], rtol=1e-4)


def test_gradient_norm_is_followed(run: Run) -> None:
    norms = [float(step.evaluation.gradient_norm) for step in run.steps[: run.case.followed]]
    np.testing.assert_allclose(norms, run.record[: run.case.followed, NORM], rtol=1e-3)


def test_final_image(run: Run) -> None:
    """Equal within 0.02 grey levels, or roughly equal if the run becomes chaotic before its end."""
    followed_to_the_end = run.case.followed == len(run.steps)
    difference = run.image_difference(len(run.steps), "final").square().mean().sqrt()
    assert difference < (0.02 if followed_to_the_end else 3)


def test_learning_rate_of_every_epoch(run: Run) -> None:
    np.testing.assert_array_equal(run.ours("epoch"), run.record[:, EPOCH])
    np.testing.assert_allclose(run.ours("learning_rate"), run.record[:, RATE], rtol=1e-9)


def test_gram_scale(run: Run, vgg19: VGG19) -> None:
    maps = vgg19(torch.from_numpy(run.expected["init"]), STYLE_LAYERS)
    assert [gram_scale(*maps[layer].flatten(2).shape[1:]) for layer in STYLE_LAYERS] == run.expected[
        "gscale"
    ].tolist()


def test_raw_losses_of_each_layer(run: Run) -> None:
    """Our weighted losses, divided by their weights and scales, equal MXNet's raw losses."""
    scale = dict(zip(STYLE_LAYERS, run.expected["gscale"], strict=True))
    for step, row in zip(run.steps[: run.case.followed], run.record, strict=False):
        raw = dict(zip(STYLE_LAYERS, row[STYLE], strict=True))
        assert set(step.evaluation.style_losses) == (set(STYLE_LAYERS) if run.objective.style_weight else set())
        for layer, loss in step.evaluation.style_losses.items():
            ours = float(loss) * scale[layer] / run.objective.style_weight
            assert ours == pytest.approx(raw[layer], rel=1e-4), (step.epoch, layer)
        if run.objective.content_weight:
            ours = float(step.evaluation.content_loss) / run.objective.content_weight
            assert ours == pytest.approx(row[CONTENT], rel=1e-4), (step.epoch, CONTENT_LAYER)
        else:
            assert float(step.evaluation.content_loss) == 0
