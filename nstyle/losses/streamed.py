"""Feature maps of a picture in parts: the gradient of the whole picture, exactly, without all of its maps in memory.

Each stage of the network (`tiles.Stage`) runs over tiles of its own input. A tile sees a halo around the positions
that it owns, as wide as the stage's receptive field. So its own positions have the values of the whole picture's map.
Of each stage, only the pooled map is kept, as the input of the next. On the way up, the statistics of the terms are
summed over the tiles, in float64. On the way back, each stage runs again, tile by tile, with a graph. The gradients
that the tiles have with respect to the stage's input, halo included, add up.

Galerne, Raad, Lezama and Morel do this for Gram matrices with tiles of the whole network ("Scaling Painting Style
Transfer", 2024). Tiles of a stage need halos of a few positions instead of many pixels.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from nstyle.losses.parts import Image, Part
from nstyle.losses.rooms import AroundTiles, DeviceRoom, Room, map_in, nothing_between
from nstyle.losses.terms import (
    ContentTerm,
    DirectTerm,
    Statistic,
    StyleTerm,
    SummedStyle,
    Term,
    guidance_of_style,
)
from nstyle.losses.tiles import Tiling
from nstyle.losses.walk import Walk
from nstyle.networks.blocks import blocks_of
from nstyle.networks.features import Features
from nstyle.networks.padding import seamless
from nstyle.numerics import at_least_float32, sum_of_squares


class Streamed:
    """A network that runs over parts of a picture. An `Objective` of it needs less memory, and gives the same.

    Args:
        features: the network.
        tiling: how much of it runs in parts, and the size of the parts; None means all, in parts of default size.
        around_stage: makes a context in which each stage's tiles run, one after the other.
        room: where what is kept goes; None: the device of each image.

    Raises:
        ValueError: the network does not tell its blocks (`blocks.Blockwise`), or the tiling offloads but there is no
            room for that.

    """

    def __init__(
        self,
        features: Features,
        tiling: Tiling | None = None,
        around_stage: AroundTiles = nothing_between,
        room: Room | None = None,
    ) -> None:
        network = blocks_of(features)
        if network is None:
            raise ValueError(f"{type(features).__name__} has no `blocks`: it runs only over whole pictures")
        if tiling is not None and tiling.offloads and room is None:
            raise ValueError("tiles that offload need a room: give one of `offload`")
        self.features = features
        self.network = network
        self.tiling = Tiling() if tiling is None else tiling
        self.around_stage = around_stage
        self.room = room

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the whole maps, as the network itself does. They have no graph."""
        whole: dict[str, Tensor] = {}
        for part in self.walk(image, layers).up():
            for layer in part.windows:
                _copy_owned(part, layer, whole, DeviceRoom(image.device))
        return whole

    def walk(self, image: Tensor, layers: Iterable[str]) -> Walk:
        """Return a walk through the network over an image (1 x 3 x H x W, without a graph)."""
        return Walk(self.network, image, frozenset(layers), self.tiling, self.around_stage, self.room)

    def seamless(self) -> "Streamed":
        """Return the network that sees copies of the picture around it."""
        return Streamed(seamless(self.features), self.tiling, self.around_stage, self.room)

    def content_terms(
        self, content: Image, weights: Mapping[str, float], layers: Collection[str], *, is_relative: bool
    ) -> list[ContentTerm]:
        """Return the terms of a content picture.

        Args:
            content: 1 x 3 x H x W, model space.
            weights: {layer: weight}.
            layers: all layers of the objective. They decide the tiles, and other tiles round differently.
            is_relative: whether the terms need their energy.

        """
        energy, maps = _Total(), dict[str, Tensor]()
        for part in self.walk(content[..., :, :], layers).up():
            for layer in weights.keys() & part.windows.keys():
                own = part.windows[layer].owned(part.maps[layer])
                energy.add(layer, Statistic(sum_of_squares(at_least_float32(own))))
                _copy_owned(part, layer, maps, self.room or DeviceRoom(own.device))
        return [
            ContentTerm(layer, maps[layer], weight, energy.of(layer).sums if is_relative else None)
            for layer, weight in weights.items()
        ]

    def style_terms(
        self, image: Tensor, layers: Iterable[str], kind: SummedStyle, mask: Tensor | None
    ) -> dict[str, StyleTerm]:
        """Return {layer: term} for a style picture, each with weight 1; no whole map is in memory.

        Args:
            image: 1 x 3 x H' x W', model space.
            layers: names of the layers.
            kind: the class of the terms.
            mask: 1 x 1 x H' x W', 0..1: which part of the picture counts; None means all.

        """
        total, weights = _Total(), {}
        for part in self.walk(image, layers).up():
            for layer, window in part.windows.items():
                guide = partial(guidance_of_style, window.size, mask, 1.0)
                guidance, weights[layer] = part.remembered(layer, guide)
                own = window.owned(part.maps[layer])
                sums = kind.sums(own, None if guidance is None else window.cut(guidance))
                total.add(layer, Statistic(sums, own.shape[-2:].numel()))
        statistics = {layer: total.of(layer) for layer in layers}
        return {
            layer: kind.reaching(layer, found.sums, found.positions, weights[layer])
            for layer, found in statistics.items()
        }


class StreamedImage:
    """An image seen in parts, as a `seen.Seen`.

    Args:
        network: the network.
        image: 1 x 3 x H x W, model space. If it requires no gradient, nothing is kept for one.
        terms: the terms whose statistics may be asked for. The layers of each must be in one stage, and a term with
            layers must not use the pixels. (They are NaN, so that a mistake shows.)

    Raises:
        ValueError: a term has layers of several stages.

    """

    def __init__(self, network: Streamed, image: Tensor, terms: Sequence[Term]) -> None:
        self.network = network
        self.image = image
        self.terms = list({id(term): term for term in terms if term.layers}.values())  # each once
        self.walk = network.walk(image.detach(), {layer for term in self.terms for layer in term.layers})
        for term in self.terms:
            if not any(stage.layers.issuperset(term.layers) for stage in self.walk.stages):
                raise ValueError(f"{type(term).__name__} needs layers of several blocks: run the network whole")
        total = _Total()
        for part in self.walk.up(keeps=image.requires_grad):
            with torch.no_grad():
                for term in self._terms_of(part):
                    total.add(id(term), term.statistic(part))
        self._statistics = {id(term): total.of(id(term)) for term in self.terms}
        for statistic in self._statistics.values():
            statistic.sums.requires_grad_()

    def statistic(self, term: Term) -> Statistic:
        """Return a term's statistic; that of a term on feature maps is a leaf of the graph."""
        return self._statistics[id(term)] if term.layers else term.statistic(Part(self.image, {}))

    def gradient(self, loss: Tensor, *, again: bool) -> Tensor:
        """Return the gradient; the stages run once more, if the loss depends on feature maps."""
        sums = [self._statistics[id(term)].sums for term in self.terms]
        of_pixels, *of_sums = torch.autograd.grad(loss, [self.image, *sums], allow_unused=True)
        needed = {id(term): found for term, found in zip(self.terms, of_sums, strict=True) if found is not None}
        if not needed:
            return torch.zeros_like(self.image) if of_pixels is None else of_pixels
        gradient = self.walk.down(partial(self._outputs, needed), again=again)
        return gradient if of_pixels is None else gradient + of_pixels

    def _terms_of(self, part: Part) -> Iterator[Term]:
        """Return the terms that find positions of their own in a part."""
        for term in self.terms:
            windows = [part.windows[layer] for layer in term.layers if layer in part.windows]
            if len(windows) == len(term.layers) and not all(window.is_empty for window in windows):
                yield term

    def _outputs(self, gradients: Mapping[int, Tensor], part: Part) -> list[tuple[Tensor, Tensor]]:
        """Return what the loss depends on in a part, with the gradients of the loss with respect to it."""
        outputs = []
        for term in self._terms_of(part):
            if (gradient := gradients.get(id(term))) is None:
                continue
            if isinstance(term, DirectTerm):
                outputs += term.gradient_of(part, gradient)
            else:
                outputs.append((term.statistic(part).sums, gradient))
        return outputs


def _copy_owned(part: Part, layer: str, whole: MutableMapping[str, Tensor], room: Room) -> None:
    """Copy the positions of a layer's map that a part owns into the whole map, which is made for the first part."""
    window = part.windows[layer]
    own = window.owned(part.maps[layer])
    if layer not in whole:
        whole[layer] = map_in(room, own, window.size)
    window.cut(whole[layer]).copy_(own)


class _Total:
    """Statistics of parts, summed in float64."""

    def __init__(self) -> None:
        self._sums: dict[Hashable, Statistic] = {}
        self._dtypes: dict[Hashable, torch.dtype] = {}

    def add(self, key: Hashable, statistic: Statistic) -> None:
        """Add a part's statistic to the total of this key."""
        sums = statistic.sums
        wide = replace(statistic, sums=sums if sums.device.type == "mps" else sums.double())  # Apple's GPUs have none
        self._sums[key] = self._sums[key] + wide if key in self._sums else wide
        self._dtypes[key] = sums.dtype

    def of(self, key: Hashable) -> Statistic:
        """Return a total, in the dtype of the parts."""
        return replace(self._sums[key], sums=self._sums[key].sums.to(self._dtypes[key]))
