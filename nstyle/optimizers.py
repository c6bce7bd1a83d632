"""The optimisers: each makes a new image of an old one, its gradient and a learning rate, and may remember."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from nstyle.functional import euclidean_norm, inner_product, root_mean_square

HISTORY = 10
"""Steps that L-BFGS remembers; each takes the memory of two images. More made no difference in 40 epochs."""

FIRST_RMS = 16.0
"""Root mean square of L-BFGS's first step at learning rate 1, in grey levels: as yet it knows of no scale."""

FLAT_BELOW = 0.02
"""Cycles a pixel: waves longer than that are not favoured any further by L-BFGS."""

LEAST_CURVATURE = 1e-6
"""Cosine between a step and what the gradient changed by in it, below which L-BFGS learns nothing from the step."""


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


class LBFGS:
    """Limited-memory BFGS without line search (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4).

    As `torch.optim.LBFGS(max_iter=1)`, but for the length of the first step, and for what it begins each direction
    with (the algorithm's H0): a multiple of the gradient there, here of the gradient whose waves are divided by their
    frequency, as pictures have them. The sample pair comes to the same loss in about three quarters of the epochs.
    """

    def __init__(self) -> None:
        self.last: tuple[Tensor, Tensor] | None = None  # image and gradient
        self.pairs: list[tuple[Tensor, Tensor]] = []  # steps, and what the gradient changed by in each

    def __call__(self, image: Tensor, gradient: Tensor, learning_rate: float) -> Tensor:
        """Return the new image, as a new tensor."""
        gradient = gradient.contiguous()  # sums are rounded otherwise in another order, as which it is not saved
        if self.last is not None:
            step, change = image - self.last[0], gradient - self.last[1]
            lengths = euclidean_norm(step) * euclidean_norm(change)
            if inner_product(step, change) > LEAST_CURVATURE * lengths > 0:
                self.pairs = [*self.pairs, (step, change)][-HISTORY:]
        self.last = image, gradient
        return image - learning_rate * self._direction(gradient)

    def _direction(self, gradient: Tensor) -> Tensor:
        """Return the inverse Hessian, as far as it is known, times the gradient."""
        if not self.pairs:
            direction = _by_frequency(gradient)
            return direction * (FIRST_RMS / root_mean_square(direction))
        direction = gradient
        factors = []
        for step, change in reversed(self.pairs):
            curvature = inner_product(step, change)
            factor = inner_product(step, direction) / curvature
            direction = direction - factor * change
            factors.append((factor, curvature))
        step, change = self.pairs[-1]
        scale = inner_product(step, change) / inner_product(change, _by_frequency(change))
        direction = scale * _by_frequency(direction)
        for (step, change), (factor, curvature) in zip(self.pairs, reversed(factors), strict=True):
            direction = direction + (factor - inner_product(change, direction) / curvature) * step
        return direction

    def memory(self) -> dict[str, Tensor]:
        """Return the last image and gradient, and the steps."""
        if self.last is None:
            return {}
        memory = dict(zip(("image", "gradient"), self.last, strict=True))
        for i, (step, change) in enumerate(self.pairs):
            memory |= {f"step_{i}": step, f"change_{i}": change}
        return memory

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Replace them."""
        self.last = (memory["image"], memory["gradient"]) if memory else None
        self.pairs = [(memory[f"step_{i}"], memory[f"change_{i}"]) for i in range((len(memory) - 2) // 2)]


def _by_frequency(gradient: Tensor) -> Tensor:
    """Divide the waves that a gradient (... x H x W) is made of by their frequency: symmetric, positive definite."""
    height, width = gradient.shape[-2:]
    vertical = torch.fft.fftfreq(height, device=gradient.device)[:, None]
    horizontal = torch.fft.rfftfreq(width, device=gradient.device)
    frequency = (vertical.square() + horizontal.square() + FLAT_BELOW**2).sqrt()
    divided: Tensor = torch.fft.irfft2(torch.fft.rfft2(gradient) / frequency, s=(height, width))
    return divided
