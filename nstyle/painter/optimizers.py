"""The optimizers that change a generator's weights: Muon and Adam, or for MXNet's chain its SGD."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nstyle.painter.graph import Generator

ADAM_SHARE = 0.2
"""Adam's learning rate, for scales and biases, as a share of Muon's, for kernels."""

MOMENTUM, WEIGHT_DECAY, LARGEST_GRADIENT = 0.9, 5e-3, 5.0
"""Of MXNet's boost_train.py, which trains with SGD. Each value of the weights' gradient is clipped to the last."""


class KernelMuon(torch.optim.Muon):
    """Muon (Jordan et al., 2024) for the kernels of convolutions.

    A kernel is a matrix with a row for each output channel. A step moves it along its gradient's momentum with all
    singular values made nearly equal, so that also the rare directions of a kernel are learned.

    Args:
        kernels: outputs x inputs x height x width each, contiguous. A step changes them in place.

    """

    def __init__(self, kernels: Sequence[nn.Parameter]) -> None:
        self._kernels = list(kernels)
        matrices = [nn.Parameter(kernel.detach().view(len(kernel), -1)) for kernel in kernels]  # the same memory
        super().__init__(matrices, lr=1.0, weight_decay=0.0)

    def step(self) -> None:  # type: ignore[override]  # without a closure
        """Change the kernels along their gradients."""
        matrices = self.param_groups[0]["params"]
        for matrix, kernel in zip(matrices, self._kernels, strict=True):
            matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
        super().step()  # type: ignore[no-untyped-call]  # PyTorch's own
        for matrix in matrices:
            matrix.grad = None


@dataclass(frozen=True)
class _Part:
    """An optimizer of some of the weights.

    Attributes:
        optimizer: the optimizer.
        kept: the names of what it keeps for each weight, once a step is done.
        share: its learning rate as a share of the whole's.
        largest_gradient: to which each value of the gradient is clipped; None: it is not.

    """

    optimizer: torch.optim.Optimizer
    kept: tuple[str, ...]
    share: float = 1.0
    largest_gradient: float | None = None

    @property
    def weights(self) -> list[Tensor]:
        """The weights in the order in which PyTorch numbers them."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"]]

    def wanted(self) -> Iterator[tuple[int, str, Tensor]]:
        """Yield the number of each weight, the name of what is kept for it, and a tensor of its shape and type."""
        for number, weight in enumerate(self.weights):
            for name in self.kept:
                yield number, name, torch.empty(()) if name == "step" else weight


class Optimizers:
    """What changes the weights of a generator along their gradients (`grad`).

    Muon changes the kernels of convolutions, Adam scales and biases. A chain has SGD as in MXNet's example, with each
    value of the gradient clipped.
    """

    def __init__(self, generator: Generator) -> None:
        if generator.is_chain:
            self._parts = {"sgd": _Part(_sgd(generator), ("momentum_buffer",), largest_gradient=LARGEST_GRADIENT)}
            return
        weights = list(generator.parameters())
        kernels = [weight for weight in weights if weight.dim() == 4]
        others = [weight for weight in weights if weight.dim() != 4]
        self._parts = {
            "muon": _Part(KernelMuon(kernels), ("momentum_buffer",)),
            "adam": _Part(torch.optim.Adam(others), ("step", "exp_avg", "exp_avg_sq"), ADAM_SHARE),
        }

    def step(self, rate: float) -> None:
        """Change the weights, at a learning rate."""
        for part in self._parts.values():
            if part.largest_gradient is not None:
                torch.nn.utils.clip_grad_value_(part.weights, part.largest_gradient)
            for group in part.optimizer.param_groups:
                group["lr"] = part.share * rate
            part.optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Return all tensors that the next step depends on, by name; not copies. There are none before a step."""
        return {
            f"{part_name}.{number}.{name}": tensor
            for part_name, part in self._parts.items()
            for number, memory in part.optimizer.state_dict()["state"].items()
            for name, tensor in memory.items()
        }

    def wanted(self) -> dict[str, Tensor]:
        """Return a tensor of the shape and type of each one that `state` returns after a step."""
        return {
            f"{part_name}.{number}.{name}": like
            for part_name, part in self._parts.items()
            for number, name, like in part.wanted()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the tensors that `state` returned after a step."""
        for part_name, part in self._parts.items():
            memories: dict[int, dict[str, Tensor]] = {}
            for number, name, like in part.wanted():
                tensor = state[f"{part_name}.{number}.{name}"].clone()  # PyTorch changes it in place
                memories.setdefault(number, {})[name] = tensor.to(like.device)  # Adam counts its steps on the CPU
            groups = part.optimizer.state_dict()["param_groups"]
            part.optimizer.load_state_dict({"state": memories, "param_groups": groups})


def _sgd(generator: Generator) -> torch.optim.Optimizer:
    """Return MXNet's SGD: weights and scales decay, biases do not."""
    named = list(generator.named_parameters())
    decaying = [weight for name, weight in named if name.endswith(".weight")]
    others = [weight for name, weight in named if not name.endswith(".weight")]
    groups: list[dict[str, Any]] = [{"params": decaying, "weight_decay": WEIGHT_DECAY}, {"params": others}]
    return torch.optim.SGD(groups, lr=1.0, momentum=MOMENTUM)
