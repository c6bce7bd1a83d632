"""The optimizers by name, and what each one wants. Imports no torch, so that bad flags are refused at once.

To add an optimizer, write a class that follows `rules.UpdateRule` and name it here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Optimizer:
    """What the settings and the descent need to know about an optimizer.

    Attributes:
        help: what it is, in a few words, for `--help`.
        rule: its class as "module:name"; see `rules.UpdateRule`.
        learning_rate: the rate it uses unless the user names another.
        follows_clipped: whether it follows the gradient as the reference clips it; the others follow it unclipped.
        settings: what else its class takes, with the defaults; `descend` takes the same keywords.

    """

    help: str
    rule: str
    learning_rate: float
    follows_clipped: bool = False
    settings: Mapping[str, float] = field(default_factory=dict)


OPTIMIZERS = {
    "nag": Optimizer(
        help="Nesterov's accelerated gradient along the clipped gradient, as MXNet",
        rule="nstyle.optim.rules:Nesterov",
        learning_rate=0.001,
        follows_clipped=True,
        settings={"momentum": 0.95, "weight_decay": 1e-4},
    ),
    "lbfgs": Optimizer(
        help="limited-memory BFGS along the unclipped gradient",
        rule="nstyle.optim.lbfgs:LBFGS",
        learning_rate=1.0,
    ),
    "adam": Optimizer(
        help="Adam along the unclipped gradient",
        rule="nstyle.optim.rules:Adam",
        learning_rate=10.0,
    ),
}
"""The first one is the reference's; its learning rate is MXNet's."""
