"""Gradients for a generator: the objective's gradient at each painting, routed back through the stages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nstyle.losses.objective import Evaluation, Objective
from nstyle.numerics import clip_to_norm

SHARE_OF_VALUES = 0.05
"""Largest norm of the gradient that a stage of a chain gets at a painting, as a share of the painting's number of
values: that of MXNet's example/neural-style/end_to_end/boost_train.py."""


@dataclass(frozen=True)
class Stage:
    """What one stage of a generator painted, and how far the paintings are from the objective.

    Attributes:
        paintings: N x 3 x H x W, model space, detached.
        evaluations: the objective at each of them.

    """

    paintings: Tensor
    evaluations: Sequence[Evaluation]

    @property
    def loss(self) -> Tensor:
        """The mean loss of content + style of the paintings, a scalar."""
        return torch.stack([evaluation.loss for evaluation in self.evaluations]).mean()


def route_gradients(
    stages: Sequence[Callable[[Tensor], Tensor]],
    crops: Tensor,
    objectives: Sequence[Objective],
    penalty: Callable[[Tensor, Tensor], Tensor] | None = None,
    *,
    of_logarithms: bool = False,
) -> list[Stage]:
    """Add the gradient of the crops' mean objective to the `grad` of the stages' weights.

    Each stage paints what the one before has painted, and learns from its own paintings and from the later stages',
    as if these were its own: a later stage's gradient is added to its, without the later stage's Jacobian. So stage k
    of n gets sum(g_i for i = k..n), where g_i is the gradient of the objective at the paintings of stage i. If there
    are several stages, that sum is clipped before it reaches the stage and the one before, as in MXNet's example: at
    each painting, to a norm of `SHARE_OF_VALUES` times its number of values.

    Args:
        stages: networks from N x 3 x H x W to the same shape, model space.
        crops: what the first stage paints, N x 3 x H x W.
        objectives: one for each crop.
        penalty: a function from the paintings of the last stage (with their graph) and the objective's scale to a
            scalar; its gradient is added to the last stage's weights. The scale is the mean loss of content + style,
            or 1 with logarithms.
        of_logarithms: whether to divide the gradient at each painting by the loss of content + style there. Without
            other terms, that is the gradient of log(loss). So a crop that is far from its objective counts as much as
            any other. Where the loss is 0, so is the gradient.

    Returns:
        What each stage painted.

    """
    outputs: list[Tensor] = []
    painted: list[Stage] = []
    for stage in stages:
        outputs.append(stage(outputs[-1].detach() if outputs else crops))
        images = outputs[-1].detach()
        evaluations = [objective.gradient(image[None]) for objective, image in zip(objectives, images, strict=True)]
        painted.append(Stage(images, evaluations))
    gradient = torch.zeros_like(crops)
    scale = torch.ones_like(painted[-1].loss) if of_logarithms else painted[-1].loss
    added = [] if penalty is None else [penalty(outputs[-1], scale)]
    for output, stage_painted in zip(reversed(outputs), reversed(painted), strict=True):
        gradient = gradient + torch.cat(
            [_of_logarithm(one) if of_logarithms else one.gradient for one in stage_painted.evaluations]
        )
        if len(outputs) > 1:
            gradient = torch.cat(
                [clip_to_norm(one, SHARE_OF_VALUES * one.numel())[0] for one in torch.split(gradient, 1)]
            )
        mean = gradient / len(objectives)
        torch.autograd.backward([output, *added], [mean, *(None for _ in added)])
        added = []
    return painted


def _of_logarithm(evaluation: Evaluation) -> Tensor:
    """Return the gradient divided by the loss of content + style, or 0 without a loss."""
    loss = evaluation.loss
    return torch.where(loss > 0, evaluation.gradient / loss, torch.zeros_like(evaluation.gradient))
