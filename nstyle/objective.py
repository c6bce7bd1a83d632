"""The objective of Gatys, Ecker and Bethge (CVPR 2016) as the reference computes it: a gradient, not a scalar loss.

The gradient of content + style is clipped *before* the total-variation gradient is added. Once clipping is active, no
scalar loss has this gradient.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import torch
from torch import Tensor

from nstyle.functional import at_least_float32, clip_to_norm, total_variation_gradient
from nstyle.terms import ContentTerm, GramTerm, Term

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"


class Features(Protocol):
    """A feature extractor."""

    def __call__(self, image: Tensor, layers: Iterable[str]) -> Mapping[str, Tensor]:
        """Return the 1 x C x h x w feature map of each named layer for a 1 x 3 x H x W image."""


@dataclass(frozen=True)
class Style:
    """A style, and where it goes.

    Attributes:
        image: 1 x 3 x H' x W', model space, of any size.
        weight: multiplies the objective's style weight.
        mask: 1 x 1 x H' x W', 0..1: which part of the style picture counts; None: all of it.
        region: 1 x 1 x H x W, 0..1: where in the painting it goes; None: everywhere.

    """

    image: Tensor
    weight: float = 1.0
    mask: Tensor | None = None
    region: Tensor | None = None


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image. All are tensors on the image's device; the losses are scalars in float32.

    Attributes:
        gradient: 1 x 3 x H x W, clipped, total variation added: what the descent follows.
        gradient_norm: Euclidean norm of the gradient of content + style, before clipping.
        content_loss: content_weight * sum((F - P)^2) at relu4_2.
        style_losses: {layer: style_weight / (C^2 M) * sum((G - A)^2)}; of several styles, their sum.

    """

    gradient: Tensor
    gradient_norm: Tensor
    content_loss: Tensor
    style_losses: Mapping[str, Tensor]

    @property
    def loss(self) -> Tensor:
        """Content + style. Total variation is not in it: it has no part in what is clipped."""
        return sum(self.style_losses.values(), start=self.content_loss)


class Objective:
    """How far an image is from the content's feature map and from the style's Gram matrices.

    Args:
        features: the network.
        content: 1 x 3 x H x W, model space.
        style: 1 x 3 x H' x W', model space; the reference makes it as large as the content. Or several `Style`s.
        content_weight: of sum((F - P)^2) at relu4_2; without the paper's 1/2.
        style_weight: of sum((G - A)^2) / (C^2 M) at each of the five layers, M being the positions of the *image's*
            map; without the paper's layer weights and 1/(4 C^2 M^2).
        tv_weight: of the total-variation gradient; 0 leaves it out.
        mask: 1 x 1 x H x W, 0..1: what is painted. Styles go nowhere else, and the gradient is multiplied by it;
            it is clipped to the number of values that are painted at all. None: everything.

    A term whose weight is 0 is not computed: its layers are missing in `style_losses`, its `content_loss` is 0.

    Raises:
        ValueError: both weights are 0.

    """

    def __init__(
        self,
        features: Features,
        content: Tensor,
        style: Tensor | Sequence[Style],
        *,
        content_weight: float = 10.0,
        style_weight: float = 1.0,
        tv_weight: float = 0.01,
        mask: Tensor | None = None,
    ) -> None:
        if content_weight == 0 and style_weight == 0:
            raise ValueError("content_weight and style_weight are both 0: nothing is left to descend on")
        self.features = features
        self.content_weight = content_weight
        self.style_weight = style_weight
        self.tv_weight = tv_weight
        self.mask = mask
        styles = [Style(style)] if isinstance(style, Tensor) else style
        with torch.no_grad():
            self.style_terms: list[Term] = []
            for one in styles if style_weight else ():
                region = _product(mask, one.region)
                self.style_terms += [
                    GramTerm.towards(layer, style_map, style_weight * one.weight, one.mask, region)
                    for layer, style_map in features(one.image, STYLE_LAYERS).items()
                ]
            content_maps = features(content, (CONTENT_LAYER,)) if content_weight else {}
            self.content_terms: list[Term] = [
                ContentTerm(layer, at_least_float32(content_maps[layer]), content_weight) for layer in content_maps
            ]

    def gradient(self, image: Tensor) -> Evaluation:
        """Evaluate the objective at an image (1 x 3 x H x W, model space, float32)."""
        image = image.detach().requires_grad_()
        terms = [*self.style_terms, *self.content_terms]
        maps = self.features(image, {term.layer for term in terms})
        losses = torch.stack([term.loss(maps) for term in terms])
        (gradient,) = torch.autograd.grad(losses.sum(), image)
        with torch.no_grad():
            painted = image.numel()
            if self.mask is not None:
                gradient = gradient * self.mask
                painted = image.shape[1] * int((self.mask > 0).sum())
            gradient, norm = clip_to_norm(gradient, max_norm=painted)
            if self.tv_weight > 0:
                variation = self.tv_weight * total_variation_gradient(image)
                gradient = gradient + (variation if self.mask is None else variation * self.mask)
        losses = losses.detach()
        style_losses: dict[str, Tensor] = {}
        for term, loss in zip(self.style_terms, losses, strict=False):
            style_losses[term.layer] = style_losses[term.layer] + loss if term.layer in style_losses else loss
        return Evaluation(
            gradient=gradient,
            gradient_norm=norm,
            content_loss=losses[len(self.style_terms) :].sum(),
            style_losses=style_losses,
        )


def _product(*masks: Tensor | None) -> Tensor | None:
    """Return the product of those masks that there are; None where there is none."""
    there = [mask for mask in masks if mask is not None]
    return reduce(torch.mul, there) if there else None
