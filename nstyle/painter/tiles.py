"""Paint a picture in tiles, exactly as in one piece: instance norm sees the statistics of the whole picture.

The layers between two norms run over one tile after the other, with halos, and each norm's statistics are collected
first. Coarse maps are kept whole; fine ones, which are large, are computed again from the nearest kept maps whenever
something needs them. For Johnson's network that means: its two convolutions of full size run twice.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import TypeAlias

import torch
from torch import Tensor

from nstyle.painter.graph import IMAGE, Generator, Graph
from nstyle.painter.layers import Conv, InstanceNorm, Span, Statistics, Sum, Transposed, statistics

Region = tuple[tuple[int, int], tuple[int, int]]
"""First row and the one after the last, and likewise the columns."""

AroundStep: TypeAlias = Callable[[], AbstractContextManager[object]]
"""Function that makes a context in which the tiles of one step run."""


@dataclass(frozen=True)
class Tiling:
    """How a generator runs over a picture in tiles.

    Attributes:
        edge: length of a tile's edge in pixels of the picture; a tile of a coarse map has fewer positions.
        kept: maps are kept whole if their size has been halved so often; those of 0 are as large as the picture.

    """

    edge: int
    kept: int

    def __str__(self) -> str:
        """Say it in words."""
        return f"in tiles of {self.edge} pixels"


TILINGS = (Tiling(512, 1), Tiling(512, 2), Tiling(256, 2))
"""The fastest first; the last one needs the least memory."""

FEWEST_POSITIONS = 32
"""Shortest edge of a tile in positions: halos would make smaller ones slow."""


def paint(
    generator: Generator, image: Tensor, tiling: Tiling | None = None, around_step: AroundStep = nullcontext
) -> Tensor:
    """Return the painting of an image. Computes no gradient.

    Args:
        generator: the network.
        image: 1 x 3 x H x W, model space.
        tiling: how the network runs; None: in one piece. In tiles, the result is the same up to rounding.
        around_step: makes a context in which the tiles of each step run, one after the other.

    """
    for painting in paintings(generator, image, tiling, around_step):
        image = painting
    return image


def paintings(
    generator: Generator, image: Tensor, tiling: Tiling | None = None, around_step: AroundStep = nullcontext
) -> Iterator[Tensor]:
    """Yield what each stage of the generator paints, see `paint`; the last one is the painting."""
    for graph in generator.graphs:
        with torch.no_grad():
            image = graph(image) if tiling is None else _Walk(graph, tiling, image).painting(around_step)
        yield image


@dataclass(frozen=True)
class Plan:
    """Which maps of a graph are kept, and until when.

    Attributes:
        graph: the graph.
        tiling: how it runs.

    """

    graph: Graph
    tiling: Tiling

    @cached_property
    def kept(self) -> frozenset[str]:
        """The maps that are kept whole: those that cost a convolution, and sums, because they have two uses."""
        graph = self.graph
        return frozenset(
            name
            for name in graph.inputs
            if graph.coarseness[name] >= self.tiling.kept and isinstance(graph.layer(name), Conv | Transposed | Sum)
        )

    @cached_property
    def measured(self) -> frozenset[str]:
        """The maps whose statistics instance norms need."""
        inputs = self.graph.inputs
        return frozenset(
            x for name in inputs if isinstance(self.graph.layer(name), InstanceNorm) for x in inputs[name]
        )

    @cached_property
    def steps(self) -> list[str]:
        """The maps that are computed tile by tile, in order; the last is the painting."""
        *names, last = self.graph.inputs
        return [*(name for name in names if name in self.kept | self.measured), last]

    @cached_property
    def last_uses(self) -> dict[str, str]:
        """The last step that needs each kept map."""
        return {needed: step for step in self.steps for x in self.graph.inputs[step] for needed in self.sources(x)}

    def sources(self, name: str) -> set[str]:
        """Return the kept maps from which a map is computed: itself, if it is one."""
        if name == IMAGE or name in self.kept:
            return {name}
        return {source for x in self.graph.inputs[name] for source in self.sources(x)}

    def reuses(self, step: str) -> str | None:
        """Return the map into which a step may write its result: the first one of a sum, if nothing else needs it."""
        first, *others = self.graph.inputs[step]
        if not isinstance(self.graph.layer(step), Sum) or first not in self.kept or self.last_uses[first] != step:
            return None
        return None if any(first in self.sources(x) for x in others) else first

    def tiles(self, step: str, image: tuple[int, int]) -> Iterator[Region]:
        """Yield the tiles of a step, row by row, for an image of this height and width."""
        edge = max(min(FEWEST_POSITIONS, self.tiling.edge), self.tiling.edge >> self.graph.coarseness[step])
        rows, columns = (
            pairwise([length * i // count for i in range(count + 1)])
            for length in self.graph.size(step, image)
            for count in [math.ceil(length / edge)]
        )
        return iter(product(rows, columns))

    def input_region(self, name: str, region: Region, image: tuple[int, int]) -> tuple[Span, Span, Region]:
        """Return the spans of a layer's output, and the region of its inputs that they need."""
        layer, below = self.graph.layer(name), self.graph.size(self.graph.inputs[name][0], image)
        rows, columns = (Span(start, stop, length) for (start, stop), length in zip(region, below, strict=True))
        return rows, columns, (layer.needs(rows), layer.needs(columns))


class _Walk:
    """A graph on its way over a picture."""

    def __init__(self, graph: Graph, tiling: Tiling, image: Tensor) -> None:
        self.plan = Plan(graph, tiling)
        self.image = image
        self.whole: dict[str, Tensor] = {IMAGE: image}
        self.statistics: dict[str, Statistics] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.image.shape[-2], self.image.shape[-1]

    def painting(self, around_step: AroundStep) -> Tensor:
        """Compute all steps, and return the painting."""
        plan = self.plan
        for step in plan.steps:
            with around_step():
                result = self._result(step)
                for name in [name for name in self.whole if plan.last_uses.get(name) == step]:
                    del self.whole[name]
            if result is not None:
                self.whole[step] = result
        return self.whole[plan.steps[-1]]

    def _result(self, step: str) -> Tensor | None:
        """Compute a step tile by tile. Return its map if it is kept."""
        plan = self.plan
        is_kept = step in plan.kept or step == plan.steps[-1]
        result = self._place(step) if is_kept else None
        for region in plan.tiles(step, self.size):
            part = self._computed(step, region)
            if result is None and is_kept:
                result = part.new_empty(1, part.shape[1], *plan.graph.size(step, self.size))
            if result is not None:
                _cut(result, region).copy_(part)
            if step in plan.measured:
                found = statistics(part)
                self.statistics[step] = self.statistics[step].with_part(found) if step in self.statistics else found
        return result

    def _place(self, step: str) -> Tensor | None:
        """Return the map into which the step may write, if there is one."""
        reused = self.plan.reuses(step)
        return None if reused is None else self.whole[reused]

    def _part(self, name: str, region: Region) -> Tensor:
        """Return a region of a map: a view if the whole map is kept."""
        return _cut(self.whole[name], region) if name in self.whole else self._computed(name, region)

    def _computed(self, name: str, region: Region) -> Tensor:
        """Compute a region of a map."""
        layer = self.plan.graph.layer(name)
        rows, columns, needed = self.plan.input_region(name, region, self.size)
        maps = [self._part(x, needed) for x in self.plan.graph.inputs[name]]
        if isinstance(layer, InstanceNorm):
            return layer.normalized(maps[0], self.statistics[self.plan.graph.inputs[name][0]])
        part: Tensor = layer(maps, rows, columns)
        return part


def _cut(whole: Tensor, region: Region) -> Tensor:
    """Return a region of a map, as a view."""
    (top, bottom), (left, right) = region
    return whole[..., top:bottom, left:right]
