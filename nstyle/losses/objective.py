"""The objective of Gatys, Ecker and Bethge (CVPR 2016) as the reference computes it: a gradient, not a scalar loss.

The gradient of content + style is clipped *before* the gradients of the regularisers are added (total variation, the
bounded-range prior). Once clipping is active, no scalar loss has this gradient. An optimizer that needs a scalar loss
(L-BFGS, Adam) follows the unclipped gradient: that of the sum of all terms.
"""

import copy
import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pkgutil import resolve_name

import torch
from cachetools import LRUCache
from torch import Tensor

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.parts import Part
from nstyle.losses.regularisers import BoundedRangeTerm, TotalVariationTerm
from nstyle.losses.terms import ContentTerm, StyleTerm, StyleTermMaker, Term
from nstyle.lru import made_once
from nstyle.networks.features import Features
from nstyle.networks.layers import CONTENT_LAYER
from nstyle.networks.padding import seamless as seamless_view
from nstyle.numerics import at_least_float32, clip_to_norm

UNIT = 127.5**2
"""Squared grey levels, from mid-grey to black or white. A relative loss is multiplied by this and by the number of
the image's values, so that it has the scale of the regularisers, which sum squared grey levels."""

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

    Relative losses are multiplied by `UNIT` and by the number of the image's values.

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

    def of(self, style: Style, layers: Sequence[str], style_loss: str) -> Mapping[str, StyleTerm]:
        """Return the style's term at each of the layers, of weight 1 and for everywhere."""
        return made_once(self._kept, _key(style, layers, style_loss), partial(self._make, style, layers, style_loss))

    def _make(self, style: Style, layers: Sequence[str], style_loss: str) -> Mapping[str, StyleTerm]:
        maps = self.features(style.image, layers) if layers else {}
        maker: StyleTermMaker = resolve_name(STYLE_LOSSES[style_loss].maker)
        return {layer: maker(layer, maps[layer], 1.0, style.mask) for layer in layers}


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
        tv_weight: of the total variation; 0 leaves it out.
        range_weight: of the bounded-range prior, which pulls black and white values towards mid-grey; 0 leaves it
            out.
        content_layers: {layer: weight, a factor on `content_weight`}; None: relu4_2.
        style_layers: {layer: weight, a factor on `style_weight`}; None: the style loss's own on VGG-19, each 1.
        style_loss: one of `catalog.STYLE_LOSSES`.
        balance: "absolute", the reference's sums; or "relative": each layer's loss is divided by that of an image
            without features, whose maps are all 0. So the weights mean the same with another style, size, network or
            set of layers. See `UNIT` for what the regularisers weigh beside them.
        padding: what the total variation sees beyond the image's edges: "zero" (mid-grey, as the reference) or
            "mirror". What the network sees there is up to `features`: see `networks.padding.Padded`.
        seamless: whether image and content tile: network and total variation see copies of them beyond their edges,
            whatever `padding` is. Styles do not tile: the network sees them as `features` does.
        mask: 1 x 1 x H x W, 0..1: what is painted. Styles go nowhere else, and the gradient is multiplied by it;
            it is clipped to the number of values that are painted at all. None: everything.
        clip: whether the gradient of the terms that the reference clips is clipped.
        grey: whether a grey image stays grey: the gradient is averaged over the channels.

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
        balance: str = "absolute",
        padding: str = "zero",
        seamless: bool = False,
        mask: Tensor | None = None,
        clip: bool = True,
        grey: bool = False,
    ) -> None:
        if content_weight == 0 and style_weight == 0:
            raise ValueError("content_weight and style_weight are both 0: nothing is left to descend on")
        targets = features if isinstance(features, StyleTargets) else StyleTargets(features)
        self.features = seamless_view(targets.features) if seamless else targets.features
        self.content_weight = content_weight
        self.style_weight = style_weight
        self.mask = mask
        self.clip = clip
        self.grey = grey
        self.is_relative = balance == "relative"
        if content_layers is None:
            content_layers = {CONTENT_LAYER: 1.0}
        if style_layers is None:
            style_layers = dict.fromkeys(STYLE_LOSSES[style_loss].layers, 1.0)
        styles = style if isinstance(style, Sequence) else [] if style is None else [Style(style)]
        if (content_weight > 0 and content is None) or (style_weight > 0 and not styles):
            raise ValueError("a picture is missing whose weight is not 0")
        with torch.no_grad():
            style_terms = [
                term.placed(weight, _product(mask, one.region))
                for one in styles
                for weight, term in _weighted_terms(targets, one, style_weight, style_layers, style_loss)
            ]
            weights = _weights(content_weight, content_layers)
            maps = self.features(content, weights.keys()) if content is not None and weights else {}
            content_terms = [
                ContentTerm(layer, at_least_float32(maps[layer]), weight) for layer, weight in weights.items()
            ]
            self.style_terms = [term.relative() for term in style_terms] if self.is_relative else style_terms
            self.content_terms = [term.relative() for term in content_terms] if self.is_relative else content_terms
        smoothness = TotalVariationTerm(tv_weight, "wrap" if seamless else padding)
        regularisers = (smoothness, BoundedRangeTerm(range_weight))
        others = [term for term in regularisers if term.weight > 0]
        self.terms: list[Term] = [*self.style_terms, *self.content_terms, *others]

    def with_terms(self, terms: Sequence[Term]) -> "Objective":
        """Return this objective with more terms, such as one that draws a film's frame to the one before."""
        objective = copy.copy(self)
        objective.terms = [*self.terms, *terms]
        return objective

    def gradient(self, image: Tensor) -> Evaluation:
        """Evaluate the objective at an image (1 x 3 x H x W, model space, float32)."""
        image = image.detach().requires_grad_()
        whole = Part(image, self.features(image, {layer for term in self.terms for layer in term.layers}))
        clipped = [term for term in self.terms if term.is_clipped]
        others = [term for term in self.terms if not term.is_clipped]
        kept = any(term.layers for term in others)  # the graph of the maps is needed more than once
        losses = torch.stack([term.loss(term.statistic(whole)) for term in clipped])
        if self.is_relative:
            losses = losses * (UNIT * image.numel())  # a region's loss has its share of the image as a factor
        (gradient,) = torch.autograd.grad(losses.sum(), image, retain_graph=kept)
        with torch.no_grad():
            gradient = self._projected(gradient)
            shortened, norm = clip_to_norm(gradient, max_norm=self._values_painted(image))
            gradient = shortened if self.clip else gradient
        for term in others:
            (added,) = torch.autograd.grad(term.loss(term.statistic(whole)), image, retain_graph=kept)
            gradient = gradient + self._projected(added)
        return self._evaluation(gradient, norm, dict(zip(map(id, clipped), losses.detach(), strict=True)))

    def _evaluation(self, gradient: Tensor, norm: Tensor, losses: Mapping[int, Tensor]) -> Evaluation:
        """Sum up the losses (by the `id` of their terms): the style's by layer, the content's in one."""
        style_losses: dict[str, Tensor] = {}
        for term in self.style_terms:
            loss = losses[id(term)]
            style_losses[term.layer] = style_losses[term.layer] + loss if term.layer in style_losses else loss
        of_content = [losses[id(term)] for term in self.content_terms]
        return Evaluation(
            gradient=gradient,
            gradient_norm=norm,
            content_loss=torch.stack(of_content).sum() if of_content else norm.new_zeros(()),
            style_losses=style_losses,
        )

    def _projected(self, gradient: Tensor) -> Tensor:
        """Return the part of a gradient that the image may follow: where it is painted, and in grey if it is grey."""
        if self.grey:
            gradient = gradient.mean(dim=1, keepdim=True).expand_as(gradient).contiguous()
        return gradient if self.mask is None else gradient * self.mask

    def _values_painted(self, image: Tensor) -> int:
        """Return the number of values that are painted at all: three for each pixel."""
        return image.numel() if self.mask is None else image.shape[1] * int((self.mask > 0).sum())


def _weighted_terms(
    targets: StyleTargets, style: Style, style_weight: float, layers: Mapping[str, float], style_loss: str
) -> list[tuple[float, StyleTerm]]:
    """Return the weight and the term of one style at each layer."""
    weights = _weights(style_weight * style.weight, layers)
    terms = targets.of(style, tuple(weights), style_loss)
    return [(weight, terms[layer]) for layer, weight in weights.items()]


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
