"""Training of a generator: steps of Adam or SGD along the gradient of the objective at its paintings."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nstyle.errors import DivergenceError, Kind
from nstyle.losses.objective import UNIT, Evaluation, Objective
from nstyle.numerics import sum_of_squares
from nstyle.painter.graph import Generator
from nstyle.painter.layers import keeping_averages
from nstyle.painter.photos import Photos
from nstyle.painter.routing import route_gradients

WARM_UP, FIRST_SHARE, LAST_SHARE = 0.1, 0.04, 0.001
"""The schedule of Adam's learning rate: it rises from `FIRST_SHARE` of its largest value to that value in the first
`WARM_UP` of the steps, and falls along half a cosine to `LAST_SHARE` (Smith and Topin, 2018: "one cycle")."""

MOMENTUM, WEIGHT_DECAY, LARGEST_GRADIENT = 0.9, 5e-3, 5.0
"""Of MXNet's boost_train.py, which trains with SGD. Each value of the weights' gradient is clipped to the last."""

_KEPT_BY_ADAM, _KEPT_BY_SGD = ("step", "exp_avg", "exp_avg_sq"), ("momentum_buffer",)
"""Names of what PyTorch's optimizers keep for each parameter, once a step is done."""

NOISE, SHIFT, MARGIN = 4.0, 4, 8
"""For `stability`: the standard deviation of the noise in grey levels; the most pixels that are cut off at the top
and at the left; and the pixels at the edges, where a painting may depend on what is beyond, that are not compared."""


@dataclass(frozen=True)
class Lesson:
    """The settings of a training that shape its steps.

    Attributes:
        steps: the number of all steps.
        learning_rate: the largest learning rate.
        batch_size: number of crops in a step.
        stability: weight of the difference between the paintings of a photo and of the same photo, moved and noisy.
        seed: seed of the crops.

    """

    steps: int
    learning_rate: float
    batch_size: int
    stability: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class TrainingStep:
    """What a step of the training was like. The losses are means over the crops, at the last stage's paintings.

    Attributes:
        number: the number of steps done, from 1.
        steps: the number of all steps.
        learning_rate: the learning rate of the step.
        gradient_norm: mean norm of the gradient of content + style with respect to a painting.
        content_loss: weighted content loss.
        style_losses: {layer: weighted style loss}.
        stage_losses: loss of content + style at each stage's paintings, if there are several.

    """

    number: int
    steps: int
    learning_rate: float
    gradient_norm: float
    content_loss: float
    style_losses: Mapping[str, float]
    stage_losses: tuple[float, ...] = ()

    @property
    def loss(self) -> float:
        """Content + style."""
        return self.content_loss + sum(self.style_losses.values())


class Trainer:
    """A generator that learns, one step after the other.

    Args:
        generator: the network, on the device of the objectives.
        photos: where crops come from.
        objective_of: makes the objective for a crop.
        lesson: the settings.

    Attributes:
        done: the number of steps done.
        device: the device of the generator.

    """

    def __init__(
        self, generator: Generator, photos: Photos, objective_of: Callable[[Tensor], Objective], lesson: Lesson
    ) -> None:
        self.generator = generator.train()
        self.photos = photos
        self.objective_of = objective_of
        self.lesson = lesson
        self.done = 0
        self._is_chain = len(generator.graphs) > 1
        self.device = next(generator.parameters()).device
        self._optimizer = _sgd(generator) if self._is_chain else torch.optim.Adam(generator.parameters())

    def step(self) -> TrainingStep:
        """Do a step.

        Raises:
            ImageError: no photo can be read.
            DivergenceError: the loss or its gradient is not finite. The weights stay as they were.

        """
        lesson = self.lesson
        crops = self.photos.crops(lesson.seed, self.done, lesson.batch_size).to(self.device)
        objectives = [self.objective_of(crop[None]) for crop in crops]
        rate = lesson.learning_rate
        if not self._is_chain:
            rate *= one_cycle(self.done, lesson.steps)
        self._optimizer.zero_grad()
        penalty = _Stability(self, crops) if lesson.stability > 0 else None
        painted = route_gradients(self.generator.graphs, crops, objectives, penalty)
        self._check(float(painted[-1].loss))
        if self._is_chain:
            torch.nn.utils.clip_grad_value_(self.generator.parameters(), LARGEST_GRADIENT)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self.done += 1
        stages = tuple(float(stage.loss) for stage in painted) if self._is_chain else ()
        return _summary(self.done, lesson.steps, rate, painted[-1].evaluations, stages)

    def _check(self, loss: float) -> None:
        gradients = [weight.grad for weight in self.generator.parameters() if weight.grad is not None]
        if math.isfinite(loss) and all(bool(gradient.isfinite().all()) for gradient in gradients):
            return
        raise DivergenceError(
            f"the training diverged in step {self.done + 1}; lower --lr (now {self.lesson.learning_rate:g})",
            flag="--lr",
            kind=Kind.OUT_OF_RANGE,
        )

    def paint(self, image: Tensor) -> Tensor:
        """Return the generator's painting of an image, 1 x 3 x H x W, as it will paint when it is trained."""
        self.generator.eval()
        try:
            with torch.no_grad():
                painting: Tensor = self.generator(image)
        finally:
            self.generator.train()
        return painting

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that the next step depends on, by name; not copies."""
        tensors = {f"generator.{name}": tensor for name, tensor in self.generator.state_dict().items()}
        for parameter, memory in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{parameter}.{name}": tensor for name, tensor in memory.items()}
        return tensors

    def restore(self, done: int, state: Mapping[str, Tensor]) -> None:
        """Continue after `done` steps, at least 1, from a state that `state` returned.

        Raises:
            ValueError: the state is that of another generator, or lacks what the optimizer keeps.

        """
        kept = _KEPT_BY_SGD if self._is_chain else _KEPT_BY_ADAM
        wanted = {f"generator.{name}": (t.shape, t.dtype) for name, t in self.generator.state_dict().items()}
        parameters = [weight for group in self._optimizer.param_groups for weight in group["params"]]
        for number, weight in enumerate(parameters):
            for name in kept:
                shape = torch.Size() if name == "step" else weight.shape
                wanted[f"optimizer.{number}.{name}"] = shape, torch.float32
        if {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()} != wanted:
            raise ValueError("the state is that of another generator, or incomplete")
        memories = {
            number: {
                name: state[f"optimizer.{number}.{name}"].to("cpu" if name == "step" else self.device)
                for name in kept  # Adam counts its steps on the CPU
            }
            for number in range(len(parameters))
        }
        weights = {name.removeprefix("generator."): t for name, t in state.items() if name.startswith("generator.")}
        self.generator.load_state_dict(weights)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": memories, "param_groups": groups})
        self.done = done


class _Stability:
    """Penalty on a painting that changes if noise is added to the photo, and if the photo is cut elsewhere.

    It is stability * loss * mean((a - b)^2) / `UNIT`, where a is a part of the painting of a crop, b the painting of
    this part of the crop with noise, and loss, a constant, is that of the objective. So the same weight suits any
    style: at 1, a difference from grey to white everywhere counts as much as all the objective.
    """

    def __init__(self, trainer: Trainer, crops: Tensor) -> None:
        random = np.random.default_rng([trainer.lesson.seed, trainer.done, 1])
        self.top, self.left = (int(random.integers(SHIFT + 1)) for _ in range(2))
        part = crops[..., self.top :, self.left :]
        noise = torch.from_numpy(random.standard_normal(part.shape, dtype=np.float32)).to(part.device)
        self.noisy = part + NOISE * noise
        self.trainer = trainer

    def __call__(self, paintings: Tensor, loss: Tensor) -> Tensor:
        """Return the penalty of the last stage's paintings of the crops."""
        inside = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        *earlier, last = self.trainer.generator.graphs
        image = self.noisy
        with keeping_averages(self.trainer.generator):
            with torch.no_grad():
                for stage in earlier:
                    image = stage(image)
            others = last(image)
        difference = others[inside] - paintings[..., self.top :, self.left :][inside]
        weight = self.trainer.lesson.stability / UNIT / difference.numel()
        penalty: Tensor = loss * weight * sum_of_squares(difference)
        return penalty


def one_cycle(done: int, steps: int) -> float:
    """Return the share of the largest learning rate that a step has, after `done` of `steps` steps; see `WARM_UP`."""
    share = done / steps
    if share < WARM_UP:
        return FIRST_SHARE + (1 - FIRST_SHARE) * share / WARM_UP
    falling = (share - WARM_UP) / (1 - WARM_UP)
    return LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * falling)) / 2


def _sgd(generator: Generator) -> torch.optim.Optimizer:
    """Return MXNet's SGD: weights and scales decay, biases do not."""
    named = list(generator.named_parameters())
    decaying = [weight for name, weight in named if name.endswith(".weight")]
    others = [weight for name, weight in named if not name.endswith(".weight")]
    groups: list[dict[str, Any]] = [{"params": decaying, "weight_decay": WEIGHT_DECAY}, {"params": others}]
    return torch.optim.SGD(groups, lr=1.0, momentum=MOMENTUM)


def _summary(
    number: int, steps: int, rate: float, evaluations: Sequence[Evaluation], stages: tuple[float, ...]
) -> TrainingStep:
    """Return the means over the crops of a step."""

    def mean(values: list[Tensor]) -> float:
        return float(torch.stack(values).mean())

    return TrainingStep(
        number,
        steps,
        rate,
        mean([evaluation.gradient_norm for evaluation in evaluations]),
        mean([evaluation.content_loss for evaluation in evaluations]),
        {
            layer: mean([evaluation.style_losses[layer] for evaluation in evaluations])
            for layer in evaluations[0].style_losses
        },
        stages,
    )
