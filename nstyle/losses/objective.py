"""The objective of Gatys, Ecker and Bethge (CVPR 2016) as the reference computes it: a gradient, not a scalar loss.

The gradient of content + style is clipped *before* the gradients of the regularizers (total variation, bounded-range
prior) are added. If it is shortened, no scalar loss has the resulting gradient. Optimizers that need a scalar loss
(L-BFGS, Adam) therefore follow the unclipped gradient of the sum of all terms.
"""

import copy
import hashlib
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pkgutil import resolve_name

import torch
from cachetools import LRUCache
from torch import Tensor

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.parts import Image
from nstyle.losses.regularisers import BoundedRangeTerm, TotalVariationTerm
from nstyle.losses.seen import Seen, WholeImage
from nstyle.losses.streamed import Streamed, StreamedImage
from nstyle.losses.terms import ContentTerm, StyleTerm, StyleTermMaker, Term
from nstyle.lru import made_once
from nstyle.networks.features import Features
from nstyle.networks.layers import CONTENT_LAYER
from nstyle.networks.padding import seamless as seamless_view
from nstyle.numerics import clip_to_norm, euclidean_norm

UNIT = 127.5**2
"""Square of the distance from mid-grey to black or white, in grey levels. Relative losses are multiplied by this and
by the number of the image's values. So they have the scale of the regularizers, which sum squared grey levels."""

LEAST_DISTANCE = 0.25
"""Smallest unit of style losses that are relative to the photo's. Photos are at 0.4 to 2.2 from paintings' styles; a
smaller unit would give a style that is the photo itself too much weight."""

TARGET_BYTES = 16_000_000
"""Default limit on the targets that `StyleTargets` caches. A style's Gram matrices take 2.4 MB, its patches as much
as its feature maps."""


@dataclass(frozen=True)
class Style:
    """A style picture, and where it goes.

    Attributes:
        image: 1 x 3 x H' x W', model space, of any size; see `parts.Image`.
        weight: multiplies the objective's style weight.
        mask: 1 x 1 x H' x W', 0..1: which part of the style picture counts; None means all of it.
        region: 1 x 1 x H x W, 0..1: where in the painting the style goes; None means everywhere.

    """

    image: Image
    weight: float = 1.0
    mask: Tensor | None = None
    region: Tensor | None = None


@dataclass(frozen=True)
class Evaluation:
    """The objective at one image, as tensors on the image's device. The losses are scalars in float32.

    Attributes:
        gradient: 1 x 3 x H x W: what the descent follows. The gradient of content + style, clipped if the objective
            clips, plus that of the regularizers. A film's temporal term counts with content + style here.
        gradient_norm: Euclidean norm of the gradient of content + style before clipping.
        content_loss: content_weight * sum((F - P)^2), summed over the content layers.
        style_losses: {layer: weighted loss}, summed over several styles. For Gram matrices, the loss is
            style_weight / (C^2 M) * sum((G - A)^2).

    Relative losses are multiplied by `UNIT` and by the number of the image's values.

    """

    gradient: Tensor
    gradient_norm: Tensor
    content_loss: Tensor
    style_losses: Mapping[str, Tensor]

    @property
    def loss(self) -> Tensor:
        """Content + style, the losses whose gradient is clipped. It excludes the regularizers."""
        return sum(self.style_losses.values(), start=self.content_loss)


class StyleTargets:
    """A network with a cache of its style targets, so that it evaluates each style picture only once.

    The key is a hash of the values of image and mask, so anything that changes them counts. The cache evicts the
    least recently used target once it holds more than a limit.

    Args:
        features: the network.
        limit: the limit in bytes; None: `TARGET_BYTES`.

    """

    def __init__(self, features: Features, limit: float | None = None) -> None:
        self.features = features
        self._kept: LRUCache[Hashable, Mapping[str, StyleTerm]] = LRUCache(
            TARGET_BYTES if limit is None else limit, lambda terms: sum(term.bytes_held for term in terms.values())
        )

    def of(self, style: Style, layers: Sequence[str], style_loss: str) -> Mapping[str, StyleTerm]:
        """Return {layer: term} for a style, each with weight 1 and without a region."""
        arguments = style.image[..., :, :], style.mask, layers, style_loss
        return made_once(self._kept, _key(*arguments), partial(self._make, *arguments))

    def _make(
        self, image: Tensor, mask: Tensor | None, layers: Sequence[str], style_loss: str
    ) -> Mapping[str, StyleTerm]:
        loss = STYLE_LOSSES[style_loss]
        if isinstance(self.features, Streamed) and loss.summed and layers:
            return self.features.style_terms(image, layers, resolve_name(loss.summed), mask)
        maps = self.features(image, layers) if layers else {}
        maker: StyleTermMaker = resolve_name(loss.maker)
        return {layer: maker(layer, maps[layer], 1.0, mask) for layer in layers}


class Objective:
    """Distance of an image from the content's feature maps and from the styles' statistics.

    Args:
        features: the network, or `StyleTargets` to reuse targets from earlier objectives. A `streamed.Streamed`
            network runs in parts, which takes less memory; the objective is the same.
        content: 1 x 3 x H x W, model space: a tensor, or what makes it when it is needed, which takes less memory.
            May be None if `content_weight` is 0.
        style: 1 x 3 x H' x W', model space, or several `Style`s; may be None if `style_weight` is 0. The reference
            resizes the style to the content's size.
        content_weight: factor on sum((F - P)^2) at each content layer, without the paper's 1/2.
        style_weight: factor on the style loss at each style layer. For Gram matrices that is
            sum((G - A)^2) / (C^2 M), without the paper's 1/(4 C^2 M^2); M is the number of positions of the
            *image's* map.
        tv_weight: weight of the total variation; 0 leaves it out.
        range_weight: weight of the bounded-range prior, which pulls black and white values towards mid-grey; 0
            leaves it out.
        content_layers: {layer: factor on `content_weight`}; None means relu4_2.
        style_layers: {layer: factor on `style_weight`}; None means the style loss's default layers of VGG-19, each 1.
        style_loss: one of `catalog.STYLE_LOSSES`.
        balance: "absolute" for the reference's sums; "relative" to divide each layer's loss by that of an image
            without features, whose maps are all 0. Relative weights mean the same for any style, size, network and
            set of layers. For their scale against the regularizers, see `UNIT`. "photo" is "relative", and the style
            losses are also divided by their mean at the content, at least `LEAST_DISTANCE`: so at the content the
            mean is 1, whether the style is near to it or far.
        padding: what the total variation sees beyond the image's edges: "zero" (mid-grey, as in the reference) or
            "mirror". `features` decides what the network sees there; see `networks.padding.Padded`.
        seamless: whether image and content tile. Network and total variation then see copies of them beyond their
            edges, for any `padding`. Styles do not tile; the network sees them as `features` does.
        mask: 1 x 1 x H x W, 0..1: what is painted; None means everything. It limits the styles and multiplies the
            gradient. The gradient is clipped to a norm of the number of painted values (mask above 0).
        clip: whether to clip the gradient of content + style, as the reference does.
        grey: whether a grey image stays grey; if so, the gradient is averaged over the channels.

    A term with weight 0 is not computed: `style_losses` lacks its layer, or `content_loss` is 0.

    Raises:
        ValueError: both weights are 0, or a picture is None but its weight is not 0.

    """

    def __init__(
        self,
        features: Features | StyleTargets,
        content: Image | None,
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
            raise ValueError("content_weight and style_weight are both 0: raise one of them")
        targets = features if isinstance(features, StyleTargets) else StyleTargets(features)
        self.features = _seamless(targets.features) if seamless else targets.features
        self.content_weight = content_weight
        self.style_weight = style_weight
        self.mask = mask
        self.clip = clip
        self.grey = grey
        self.is_relative = balance != "absolute"
        if content_layers is None:
            content_layers = {CONTENT_LAYER: 1.0}
        if style_layers is None:
            style_layers = dict.fromkeys(STYLE_LOSSES[style_loss].layers, 1.0)
        styles = style if isinstance(style, Sequence) else [] if style is None else [Style(style)]
        if (content_weight > 0 and content is None) or (style_weight > 0 and not styles):
            raise ValueError("content or style is missing but has a weight: give the picture, or set the weight to 0")
        with torch.no_grad():
            placed = [
                _Placed(term.relative() if self.is_relative else term, weight, _product(mask, one.region))
                for one in styles
                for weight, term in _weighted_terms(targets, one, style_weight, style_layers, style_loss)
            ]
            weights = _weights(content_weight, content_layers)
            layers = {*weights, *(one.term.layer for one in placed)}
            content_terms = self._content_terms(content, weights, layers) if content is not None and weights else []
            self.content_terms = [term.relative() for term in content_terms] if self.is_relative else content_terms
            unit = 1.0
            if balance == "photo" and content is not None and content_terms and placed:
                unit = max(LEAST_DISTANCE, self._mean_loss(content[..., :, :], placed))
            self.style_terms = [one.term_in(unit) for one in placed]
        smoothness = TotalVariationTerm(tv_weight, "wrap" if seamless else padding)
        regularisers = (smoothness, BoundedRangeTerm(range_weight))
        others = [term for term in regularisers if term.weight > 0]
        self.terms: list[Term] = [*self.style_terms, *self.content_terms, *others]

    def with_terms(self, terms: Sequence[Term]) -> "Objective":
        """Return a copy with more terms, such as one that pulls a film's frame towards the previous one."""
        objective = copy.copy(self)
        objective.terms = [*self.terms, *terms]
        return objective

    def gradient(self, image: Tensor) -> Evaluation:
        """Evaluate the objective at an image (1 x 3 x H x W, model space, float32)."""
        image = image.detach().requires_grad_()
        seen = self._see(image, self.terms)
        clipped = [term for term in self.terms if term.is_clipped]
        others = [term for term in self.terms if not term.is_clipped]
        kept = any(term.layers for term in others)  # then the graph of the maps is used more than once
        losses = torch.stack([term.loss(seen.statistic(term)) for term in clipped])
        if self.is_relative:
            losses = losses * (UNIT * image.numel())  # a region's share of the image is already a factor
        gradient = seen.gradient(losses.sum(), again=kept)
        with torch.no_grad():
            gradient = self._projected(gradient)
            if self.clip:
                gradient, norm = clip_to_norm(gradient, max_norm=self._values_painted(image))
            else:
                norm = euclidean_norm(gradient)
        for term in others:
            added = seen.gradient(term.loss(seen.statistic(term)), again=kept)
            gradient.add_(self._projected(added))
            del added
        return self._evaluation(gradient, norm, dict(zip(map(id, clipped), losses.detach(), strict=True)))

    def _content_terms(
        self, content: Image, weights: Mapping[str, float], layers: Collection[str]
    ) -> list[ContentTerm]:
        """Return a term for each layer with a weight; `layers` are those of all terms."""
        if isinstance(self.features, Streamed):
            return self.features.content_terms(content, weights, layers, is_relative=self.is_relative)
        maps = self.features(content[..., :, :], weights.keys())
        return [ContentTerm(layer, maps[layer], weight) for layer, weight in weights.items()]

    def _see(self, image: Tensor, terms: Sequence[Term]) -> Seen:
        """Compute the feature maps of an image; in parts, if the network runs in parts."""
        if isinstance(self.features, Streamed):
            return StreamedImage(self.features, image, terms)
        return WholeImage(self.features, image, terms)

    def _mean_loss(self, image: Tensor, placed: Sequence["_Placed"]) -> float:
        """Return the mean of the style losses at an image, weighted by their weights and regions."""
        terms = [one.term_in(1.0) for one in placed]
        seen = self._see(image, terms)
        total = torch.stack([term.loss(seen.statistic(term)) for term in terms]).sum()
        return float(total) / sum(one.weight * one.share for one in placed)

    def _evaluation(self, gradient: Tensor, norm: Tensor, losses: Mapping[int, Tensor]) -> Evaluation:
        """Sum the losses (by the `id` of their terms): the style's for each layer, the content's over all layers."""
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
        """Limit a gradient to what the image may follow: the mask, and grey for a grey image."""
        if self.grey:
            gradient = gradient.mean(dim=1, keepdim=True).expand_as(gradient).contiguous()
        return gradient if self.mask is None else gradient * self.mask

    def _values_painted(self, image: Tensor) -> int:
        """Return the number of values that are painted: three for each pixel with a mask above 0."""
        return image.numel() if self.mask is None else image.shape[1] * int((self.mask > 0).sum())


@dataclass(frozen=True)
class _Placed:
    """A style term of weight 1 with the weight and the region (1 x 1 x H x W, or None) that it is to have."""

    term: StyleTerm
    weight: float
    region: Tensor | None

    @property
    def share(self) -> float:
        """The region's share of the image, above 0."""
        return 1.0 if self.region is None else max(float(self.region.mean()), torch.finfo(torch.float32).tiny)

    def term_in(self, unit: float) -> StyleTerm:
        """Return the term whose loss is counted in a unit."""
        return self.term.placed(self.weight / unit, self.region)


def _seamless(features: Features) -> Features:
    """Return a network that sees copies of the picture around it."""
    return features.seamless() if isinstance(features, Streamed) else seamless_view(features)


def _weighted_terms(
    targets: StyleTargets, style: Style, style_weight: float, layers: Mapping[str, float], style_loss: str
) -> list[tuple[float, StyleTerm]]:
    """Return the (weight, term) of one style at each layer with a weight above 0."""
    weights = _weights(style_weight * style.weight, layers)
    terms = targets.of(style, tuple(weights), style_loss)
    return [(weight, terms[layer]) for layer, weight in weights.items()]


def _product(*masks: Tensor | None) -> Tensor | None:
    """Return the product of the masks that are not None; None if all are."""
    there = [mask for mask in masks if mask is not None]
    return reduce(torch.mul, there) if there else None


def _weights(weight: float, layers: Mapping[str, float]) -> dict[str, float]:
    """Return {layer: weight of its term}, without layers of weight 0."""
    return {layer: weight * factor for layer, factor in layers.items() if weight * factor > 0}


def _key(image: Tensor, mask: Tensor | None, layers: Sequence[str], style_loss: str) -> Hashable:
    """Return a cache key made of everything that a style's terms depend on."""
    return style_loss, *layers, image.shape, _digest(image), None if mask is None else _digest(mask)


def _digest(tensor: Tensor) -> bytes:
    """Return the SHA-256 of a tensor's values."""
    return hashlib.sha256(tensor.detach().cpu().contiguous().numpy().data).digest()
