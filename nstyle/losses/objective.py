"""The objective of Gatys, Ecker and Bethge (CVPR 2016) as the reference computes it: a gradient, not a scalar loss.

The gradient of content + style is clipped *before* the total-variation gradient is added, and so is that of the other
regulariser, the bounded-range prior. Once clipping is active, no scalar loss has this gradient. An optimiser that
needs one (L-BFGS, Adam) gets it unclipped: then it is the gradient of content + style, plus tv_weight times the total
variation and range_weight times the prior that `functional` gives the gradients of.
"""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from cachetools import LRUCache, cachedmethod
from torch import Tensor

from nstyle.losses.functional import bounded_range_gradient, total_variation_gradient
from nstyle.losses.terms import STYLE_TERMS, ContentTerm, StyleTerm, Term
from nstyle.networks.features import Features
from nstyle.networks.layers import CONTENT_LAYER, MRF_LAYERS, STYLE_LAYERS
from nstyle.networks.model_space import MEAN_RGB
from nstyle.numerics import at_least_float32, clip_to_norm

MID_GREY = 127.5

TARGET_BYTES = 16_000_000
"""Of the targets that `StyleTargets` keeps; a style's Gram matrices take 2.4 MB, its patches as much as its maps."""


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
        gradient: 1 x 3 x H x W, clipped unless it is not to be, the regularisers added: what the descent follows.
        gradient_norm: Euclidean norm of the gradient of content + style, before clipping.
        content_loss: content_weight * sum((F - P)^2), at relu4_2 unless other layers are named.
        style_losses: {layer: style_weight / (C^2 M) * sum((G - A)^2)}, or the other style loss's; of several styles,
            their sum.

    """

    gradient: Tensor
    gradient_norm: Tensor
    content_loss: Tensor
    style_losses: Mapping[str, Tensor]

    @property
    def loss(self) -> Tensor:
        """Content + style. The regularisers are not in it: they have no part in what is clipped."""
        return sum(self.style_losses.values(), start=self.content_loss)


class StyleTargets:
    """A network, and the targets that it has made of style pictures: the same picture is looked at but once.

    A style is known by the values of its image and mask themselves, so by all that shapes them. How much is kept is
    bounded.

    Args:
        features: the network.

    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self._kept: LRUCache[Hashable, Mapping[str, StyleTerm]] = LRUCache(
            TARGET_BYTES, lambda terms: sum(term.bytes_held for term in terms.values())
        )

    @cachedmethod(lambda self: self._kept, key=lambda self, *chosen: _key(*chosen))
    def of(self, style: Style, layers: Sequence[str], style_loss: str) -> Mapping[str, StyleTerm]:
        """Return the style's term at each of the layers, of weight 1 and for everywhere."""
        maps = self.features(style.image, layers) if layers else {}
        return {layer: STYLE_TERMS[style_loss](layer, maps[layer], 1.0, style.mask) for layer in layers}


class Objective:
    """How far an image is from the content's feature maps and from the style's statistics.

    Args:
        features: the network; or, with what it has made of styles before, `StyleTargets`.
        content: 1 x 3 x H x W, model space; None where `content_weight` is 0.
        style: 1 x 3 x H' x W', model space; the reference makes it as large as the content. Or several `Style`s.
            None where `style_weight` is 0.
        content_weight: of sum((F - P)^2) at each content layer; without the paper's 1/2.
        style_weight: of the style loss at each style layer. Of Gram matrices that is sum((G - A)^2) / (C^2 M), M
            being the positions of the *image's* map; without the paper's 1/(4 C^2 M^2).
        tv_weight: of the total-variation gradient; 0 leaves it out.
        range_weight: of the gradient of the bounded-range prior, `functional.bounded_range_gradient`: how hard a
            black or white value is pulled towards mid-grey; 0 leaves it out.
        content_layers: {layer: weight, a factor on `content_weight`}; None: relu4_2.
        style_layers: {layer: weight, a factor on `style_weight`}; None: the style loss's own on VGG-19, each 1.
        style_loss: "gram", or "mrf": the patches of Li and Wand, see `terms.MrfTerm`.
        mask: 1 x 1 x H x W, 0..1: what is painted. Styles go nowhere else, and the gradient is multiplied by it;
            it is clipped to the number of values that are painted at all. None: everything.
        clip: whether the gradient of content + style is clipped, as the reference does.

    A term whose weight is 0 is not computed: its layers are missing in `style_losses`, its `content_loss` is 0.

    Raises:
        ValueError: both weights are 0, or a picture is None whose weight is not.

    """

    def __init__(
        self,
        features: Features | StyleTargets,
        content: Tensor | None,
        style: Tensor | Sequence[Style] | None,
        *,
        content_weight: float = 10.0,
        style_weight: float = 1.0,
        tv_weight: float = 0.01,
        range_weight: float = 0.0,
        content_layers: Mapping[str, float] | None = None,
        style_layers: Mapping[str, float] | None = None,
        style_loss: str = "gram",
        mask: Tensor | None = None,
        clip: bool = True,
    ) -> None:
        if content_weight == 0 and style_weight == 0:
            raise ValueError("content_weight and style_weight are both 0: nothing is left to descend on")
        targets = features if isinstance(features, StyleTargets) else StyleTargets(features)
        self.features = features = targets.features
        self.content_weight = content_weight
        self.style_weight = style_weight
        self.tv_weight = tv_weight
        self.range_weight = range_weight
        self.mask = mask
        self.clip = clip
        if content_layers is None:
            content_layers = {CONTENT_LAYER: 1.0}
        if style_layers is None:
            style_layers = dict.fromkeys(MRF_LAYERS if style_loss == "mrf" else STYLE_LAYERS, 1.0)
        styles = style if isinstance(style, Sequence) else [] if style is None else [Style(style)]
        if (content_weight > 0 and content is None) or (style_weight > 0 and not styles):
            raise ValueError("a picture is missing whose weight is not 0")
        with torch.no_grad():
            self.style_terms: list[Term] = []
            for one in styles:
                weights, region = _weights(style_weight * one.weight, style_layers), _product(mask, one.region)
                terms = targets.of(one, tuple(weights), style_loss)
                self.style_terms += [terms[layer].placed(weight, region) for layer, weight in weights.items()]
            weights = _weights(content_weight, content_layers)
            maps = features(content, weights.keys()) if content is not None and weights else {}
            self.content_terms: list[Term] = [
                ContentTerm(layer, at_least_float32(maps[layer]), weight) for layer, weight in weights.items()
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
            gradient = self._where_painted(gradient)
            if self.mask is not None:
                painted = image.shape[1] * int((self.mask > 0).sum())
            clipped, norm = clip_to_norm(gradient, max_norm=painted)
            gradient = clipped if self.clip else gradient
            if self.tv_weight > 0:
                gradient = gradient + self._where_painted(self.tv_weight * total_variation_gradient(image))
            if self.range_weight > 0:
                centred = image + (image.new_tensor(MEAN_RGB) - MID_GREY).reshape(1, 3, 1, 1)
                gradient = gradient + self._where_painted(
                    self.range_weight * bounded_range_gradient(centred, MID_GREY)
                )
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

    def _where_painted(self, gradient: Tensor) -> Tensor:
        """Return a gradient, multiplied by the mask if there is one."""
        return gradient if self.mask is None else gradient * self.mask


def _product(*masks: Tensor | None) -> Tensor | None:
    """Return the product of those masks that there are; None where there is none."""
    there = [mask for mask in masks if mask is not None]
    return reduce(torch.mul, there) if there else None


def _weights(weight: float, layers: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of the term at each layer: the product, where it is not 0."""
    return {layer: weight * factor for layer, factor in layers.items() if weight * factor > 0}


def _key(style: Style, layers: Sequence[str], style_loss: str) -> Hashable:
    """Return what the terms of a style depend on."""
    image, mask = style.image, style.mask
    return style_loss, *layers, image.shape, _digest(image), None if mask is None else _digest(mask)


def _digest(tensor: Tensor) -> bytes:
    """Return a hash of a tensor's values."""
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().data).digest()
