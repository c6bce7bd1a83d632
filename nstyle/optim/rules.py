"""Update rules: each computes a new image from an image, its gradient and a learning rate, and may keep state."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from nstyle.numerics import strips


class UpdateRule(Protocol):
    """Computes a new image from an old one. A rule may remember earlier steps, so each descent needs its own."""

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""

    def memory(self) -> dict[str, Tensor]:
        """Return the rule's state: tensors of the image's shape, or scalars, that are not changed later."""

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace the rule's state by an earlier result of `memory()`; an empty mapping clears it."""


class Nesterov:
    """Nesterov's accelerated gradient with weight decay, as in MXNet's `nag` and `torch.optim.SGD(nesterov=True)`.

    d = g + weight_decay * x;  v = momentum * v + d;  x = x - learning_rate * (d + momentum * v)
    """

    def __init__(self, momentum: float, weight_decay: float) -> None:
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocity: Tensor | None = None

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""
        velocity, new = torch.empty_like(image), torch.empty_like(image)
        for strip in strips(image):
            direction = (self.weight_decay * image[strip]).add_(gradient[strip])
            if self.velocity is None:
                velocity[strip] = direction
            else:
                torch.mul(self.velocity[strip], self.momentum, out=velocity[strip]).add_(direction)
            step = (self.momentum * velocity[strip]).add_(direction).mul_(learning_rate)
            torch.sub(image[strip], step, out=new[strip])
        self.velocity = velocity
        return new

    def memory(self) -> dict[str, Tensor]:
        """Return the velocity, if there is one."""
        return {} if self.velocity is None else {"velocity": self.velocity}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace the velocity; without one, it starts anew."""
        self.velocity = memory.get("velocity")


class Adam:
    """Adam (Kingma and Ba, 2015), to the bit as `torch.optim.Adam` with its default decay rates computes it.

    m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
    x = x - learning_rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + epsilon)

    An update makes new moments instead of changing the old ones, so nobody needs copies of them.
    """

    MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8  # b1 and b2

    def __init__(self) -> None:
        self._memory: dict[str, Tensor] = {}

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""
        before = self._memory or dict.fromkeys(("exp_avg", "exp_avg_sq"), image.new_zeros(()).expand_as(image))
        step = before["step"].cpu() + 1 if self._memory else torch.tensor(1.0)
        mean, square, new = (torch.empty_like(image) for _ in range(3))
        rate = -learning_rate / (1 - self.MEAN_DECAY ** float(step))
        correction = (1 - self.SQUARE_DECAY ** float(step)) ** 0.5
        for strip in strips(image):
            slope = gradient[strip]
            mean[strip] = before["exp_avg"][strip].lerp(slope, 1 - self.MEAN_DECAY)
            torch.mul(before["exp_avg_sq"][strip], self.SQUARE_DECAY, out=square[strip])
            square[strip].addcmul_(slope, slope, value=1 - self.SQUARE_DECAY)
            root = square[strip].sqrt().div_(correction).add_(self.EPSILON)
            new[strip] = image[strip].addcdiv(mean[strip], root, value=rate)
        self._memory = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
        return new

    def memory(self) -> dict[str, Tensor]:
        """Return both moments and the number of steps."""
        return dict(self._memory)

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace the moments and the number of steps; without them, Adam starts anew."""
        self._memory = dict(memory)
