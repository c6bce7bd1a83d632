"""Update rules"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


class UpdateRule(Protocol):
    """What makes a new image of an old one. It may remember; one rule serves one descent."""

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""

    def memory(self) -> dict[str, Tensor]:
        """Return what is remembered, each of the image's shape or a scalar; the tensors are not changed later."""

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace what is remembered by what `memory()` gave; by nothing if that is empty."""


class Nesterov:
    """Nesterov's accelerated gradient with weight decay, as MXNet's `nag` and `torch.optim.SGD(nesterov=True)`.

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
        """Replace the velocity."""
        self.velocity = memory.get("velocity")


class Adam:
    """Adam (Kingma and Ba, 2015): `torch.optim.Adam` with its own decay rates, a step at a time."""

    def __init__(self) -> None:
        self.state: Mapping[str, Tensor] = {}

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""
        parameter = image.clone()
        parameter.grad = gradient
        adam = torch.optim.Adam([parameter], lr=learning_rate, foreach=False)
        if self.state:
            adam.state[parameter] = {name: tensor.clone() for name, tensor in self.state.items()}
        adam.step()
        self.state = dict(adam.state[parameter])
        return parameter.detach()

    def memory(self) -> dict[str, Tensor]:
        """Return both moments, and the number of steps."""
        return dict(self.state)

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace them."""
        self.state = dict(memory)
