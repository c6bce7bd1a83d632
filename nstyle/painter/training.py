"""Training of a generator: steps along the gradient of the objective at its paintings."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from nstyle.errors import DivergenceError, Kind
from nstyle.losses.objective import UNIT, Evaluation, Objective
from nstyle.numerics import sum_of_squares
from nstyle.painter.graph import Generator
from nstyle.painter.layers import keeping_averages
from nstyle.painter.optimizers import Optimizers
from nstyle.painter.photos import Photos
from nstyle.painter.routing import route_gradients

WARM_UP, FIRST_SHARE, LAST_SHARE = 0.1, 0.04, 0.001
"""The schedule of the learning rate: it rises from `FIRST_SHARE` of its largest value to that value in the first
`WARM_UP` of the steps, and falls along half a cosine to `LAST_SHARE` (Smith and Topin, 2018: "one cycle")."""

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
        dtype: bfloat16: the generator runs in it, except for its last layer; its weights stay in float32. A chain
            always runs in float32, as in MXNet's example.

    Attributes:
        done: the number of steps done.
        device: the device of the generator.

    """

    def __init__(
        self,
        generator: Generator,
        photos: Photos,
        objective_of: Callable[[Tensor], Objective],
        lesson: Lesson,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.generator = generator.train()
        self.photos = photos
        self.objective_of = objective_of
        self.lesson = lesson
        self.done = 0
        self.device = next(generator.parameters()).device
        self._dtype = torch.float32 if generator.is_chain else dtype
        self._optimizers = Optimizers(generator)

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
        if not self.generator.is_chain:
            rate *= one_cycle(self.done, lesson.steps)
        self.generator.zero_grad()
        penalty = _Stability(self, crops) if lesson.stability > 0 else None
        painted = route_gradients(self.stages, crops, objectives, penalty, of_logarithms=not self.generator.is_chain)
        self._check(float(painted[-1].loss))
        self._optimizers.step(rate)
        self.done += 1
        stages = tuple(float(stage.loss) for stage in painted) if len(painted) > 1 else ()
        return _summary(self.done, lesson.steps, rate, painted[-1].evaluations, stages)

    @property
    def stages(self) -> list[Callable[[Tensor], Tensor]]:
        """Functions that paint with each stage of the generator, as it learns; the paintings are in float32."""
        return [partial(self._run, graph) for graph in self.generator.graphs]

    def _run(self, stage: nn.Module, image: Tensor) -> Tensor:
        is_rounded = self._dtype == torch.bfloat16 and self.device.type in ("cpu", "cuda")
        with torch.autocast(self.device.type, torch.bfloat16, enabled=is_rounded):
            painting: Tensor = stage(image)
        return painting

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
        tensors |= {f"optimizer.{name}": tensor for name, tensor in self._optimizers.state().items()}
        return tensors

    def restore(self, done: int, state: Mapping[str, Tensor]) -> None:
        """Continue after `done` steps, at least 1, from a state that `state` returned.

        Raises:
            ValueError: the state is that of another generator, or lacks what the optimizer keeps.

        """
        wanted = {f"generator.{name}": tensor for name, tensor in self.generator.state_dict().items()}
        wanted |= {f"optimizer.{name}": tensor for name, tensor in self._optimizers.wanted().items()}
        if {n: (t.shape, t.dtype) for n, t in state.items()} != {n: (t.shape, t.dtype) for n, t in wanted.items()}:
            raise ValueError("the state is that of another generator, or incomplete")
        self.generator.load_state_dict(_without(state, "generator."))
        self._optimizers.restore(_without(state, "optimizer."))
        self.done = done


class _Stability:
    """Penalty on a painting that changes if noise is added to the photo, and if the photo is cut elsewhere.

    It is stability * scale * mean((a - b)^2) / `UNIT`, where a is a part of the painting of a crop, and b the
    painting of this part of the crop with noise. The scale, a constant, is that of the objective; see
    `route_gradients`. So the same weight suits any style: at 1, a difference from grey to white everywhere counts as
    much as all the objective.
    """

    def __init__(self, trainer: Trainer, crops: Tensor) -> None:
        random = np.random.default_rng([trainer.lesson.seed, trainer.done, 1])
        self.top, self.left = (int(random.integers(SHIFT + 1)) for _ in range(2))
        part = crops[..., self.top :, self.left :]
        noise = torch.from_numpy(random.standard_normal(part.shape, dtype=np.float32)).to(part.device)
        self.noisy = part + NOISE * noise
        self.trainer = trainer

    def __call__(self, paintings: Tensor, scale: Tensor) -> Tensor:
        """Return the penalty of the last stage's paintings of the crops."""
        inside = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        *earlier, last = self.trainer.stages
        image = self.noisy
        with keeping_averages(self.trainer.generator):
            with torch.no_grad():
                for stage in earlier:
                    image = stage(image)
            others = last(image)
        difference = others[inside] - paintings[..., self.top :, self.left :][inside]
        weight = self.trainer.lesson.stability / UNIT / difference.numel()
        penalty: Tensor = scale * weight * sum_of_squares(difference)
        return penalty


def one_cycle(done: int, steps: int) -> float:
    """Return the share of the largest learning rate that a step has, after `done` of `steps` steps; see `WARM_UP`."""
    share = done / steps
    if share < WARM_UP:
        return FIRST_SHARE + (1 - FIRST_SHARE) * share / WARM_UP
    falling = (share - WARM_UP) / (1 - WARM_UP)
    return LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * falling)) / 2


def _without(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by their names without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


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
