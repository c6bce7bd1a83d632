"""An image as the objective sees it: statistics for its terms, and the way from a loss back to the image."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nstyle.losses.parts import Part
from nstyle.losses.terms import Statistic, Term
from nstyle.networks.features import Features


class Seen(Protocol):
    """An image whose feature maps have been computed."""

    def statistic(self, term: Term) -> Statistic:
        """Return a term's statistic of the whole image. Losses of it can be differentiated by `gradient`."""

    def gradient(self, loss: Tensor, *, again: bool) -> Tensor:
        """Return the gradient of a loss with respect to the image.

        Args:
            loss: a scalar, computed from statistics of this image.
            again: whether this will be called again for a loss on feature maps. If not, their memory is freed.

        """


class WholeImage:
    """An image whose feature maps are all in memory.

    Args:
        features: the network.
        image: 1 x 3 x H x W, model space; requires a gradient.
        terms: the terms whose statistics may be asked for.

    """

    def __init__(self, features: Features, image: Tensor, terms: Sequence[Term]) -> None:
        self.part = Part(image, features(image, {layer for term in terms for layer in term.layers}))

    def statistic(self, term: Term) -> Statistic:
        """Return a term's statistic."""
        return term.statistic(self.part)

    def gradient(self, loss: Tensor, *, again: bool) -> Tensor:
        """Return the gradient, by backpropagation through the whole network."""
        (gradient,) = torch.autograd.grad(loss, self.part.image, retain_graph=again)
        return gradient
