"""The optimizers by name, with their defaults. Imports no torch, so that bad flags fail at once.

To add an optimizer, write a class that implements `rules.UpdateRule` and name it here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

HISTORY = 10
"""Number of steps that L-BFGS remembers. Each takes the memory of two images; more did not help in 40 epochs."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer and its defaults.

    Attributes:
        help: what it is, in a few words, for `--help`.
        rule: its class as "module:name"; see `rules.UpdateRule`.
        learning_rate: the default learning rate.
        follows_clipped: whether it follows the clipped gradient, as the reference does; if not, the unclipped one.
        settings: the other arguments of its class except "history", with their defaults; `descend` takes the same
            keywords.
        images: the number of images that it keeps, or needs for an update, besides those of "nag" and its history.
        histories: the numbers of steps that it can remember (its setting "history"), the default first; each step
            takes two images. With less memory, a shorter one is used. Empty: it has no such setting.

    """

    help: str
    rule: str
    learning_rate: float
    follows_clipped: bool = False
    settings: Mapping[str, float] = field(default_factory=dict)
    images: int = 0
    histories: tuple[int, ...] = ()


OPTIMIZERS = {
    "nag": Optimizer(
        help="Nesterov's accelerated gradient along the clipped gradient, as in MXNet",
        rule="nstyle.optim.rules:Nesterov",
        learning_rate=0.001,
        follows_clipped=True,
        settings={"momentum": 0.95, "weight_decay": 1e-4},
    ),
    "lbfgs": Optimizer(
        help="limited-memory BFGS along the unclipped gradient",
        rule="nstyle.optim.lbfgs:LBFGS",
        learning_rate=1.0,
        images=5,  # the spectra and the direction
        histories=tuple(range(HISTORY, 1, -1)),
    ),
    "adam": Optimizer(
        help="Adam along the unclipped gradient",
        rule="nstyle.optim.rules:Adam",
        learning_rate=10.0,
        images=2,  # a second moment, old and new
    ),
}
"""Optimizers by name; the first is the reference's, with MXNet's learning rate."""
