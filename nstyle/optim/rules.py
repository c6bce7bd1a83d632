"""Update rules: each computes a new image from an image, its gradient and a learning rate, and may keep state."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


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
        direction = gradient + self.weight_decay * image
        velocity = direction if self.velocity is None else self.momentum * self.velocity + direction
        self.velocity = velocity
        return image - learning_rate * (direction + self.momentum * velocity)

    def memory(self) -> dict[str, Tensor]:
        """Return the velocity, if there is one."""
        return {} if self.velocity is None else {"velocity": self.velocity}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace the velocity; without one, it starts anew."""
        self.velocity = memory.get("velocity")


class Adam:
    """Adam (Kingma and Ba, 2015): `torch.optim.Adam` with its default decay rates."""

    def __init__(self) -> None:
        self._parameter = torch.empty(0)
        self._adam: torch.optim.Adam | None = None
        self._remembered: Mapping[str, Tensor] = {}

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""
        if self._adam is None:
            self._parameter = image.clone()
            self._adam = torch.optim.Adam([self._parameter], foreach=False)
            if self._remembered:
                self._adam.state[self._parameter] = {name: t.clone() for name, t in self._remembered.items()}
        self._parameter.copy_(image)
        self._parameter.grad = gradient
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.step()
        return self._parameter.clone()

    def memory(self) -> dict[str, Tensor]:
        """Return both moments and the number of steps."""
        if self._adam is None:
            return dict(self._remembered)
        return {name: tensor.clone() for name, tensor in self._adam.state[self._parameter].items()}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace the moments and the number of steps; without them, Adam starts anew."""
        self._adam = None
        self._remembered = dict(memory)
