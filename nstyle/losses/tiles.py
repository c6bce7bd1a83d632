"""How a network runs over a picture in parts: its stages, and the tiles of each stage."""

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from nstyle.losses.parts import MARGIN, Image, Window
from nstyle.networks.blocks import Block, GatedBlock, Surrounded
from nstyle.networks.gates import Gates

WORKING_MAPS = 3
"""Maps as large as the widest of a tile that backpropagation holds besides those that autograd keeps: the gradients
before and after a convolution, and that of the layer's loss."""

TILE_VALUES = 2**25
"""Default size of a tile: the number of values that its feature maps and `WORKING_MAPS` have. 128 MB in float32.

The larger a tile, the less its halo counts: at this size, halos add a ninth to the arithmetic of VGG-19.
"""


@dataclass(frozen=True)
class Tiling:
    """How much of a network runs over parts of a picture.

    A block that runs in parts keeps only its pooled map. So it runs again, part by part, to compute the gradient.

    Attributes:
        blocks: the number of blocks that run in parts, from the image upwards; None means all. The blocks above them
            run over the whole picture, and keep all their maps for the gradient.
        values: the number of values of a tile; see `TILE_VALUES`.
        offloads: whether what is kept goes to another room (`rooms.Room`) than the device's memory. That changes no
            bit.

    """

    blocks: int | None = None
    values: int = TILE_VALUES
    offloads: bool = False

    def __post_init__(self) -> None:
        if self.values < 1 or (self.blocks is not None and self.blocks < 1):
            raise ValueError(f"{self} is not possible: blocks and values are at least 1")


@dataclass(frozen=True)
class Span:
    """The rows, or the columns, of a tile, in positions of its stage's input.

    Attributes:
        start: the first that the tile owns.
        stop: the one after the last that it owns.
        first: the first that it sees, at least a halo before `start`, unless the picture begins there.
        last: the one after the last that it sees, at least a halo after `stop`, unless the picture ends there.

    """

    start: int
    stop: int
    first: int
    last: int

    def window(self, poolings: int, margin: int, inside: int) -> tuple[slice, int]:
        """Return what the tile owns of a map, and how many positions its own map has before that.

        Args:
            poolings: the number of poolings between the stage's input and the map.
            margin: positions of the map that lie in the margin of the picture, and do not count.
            inside: positions of the map after those, which count.

        """
        start, stop = (min(max(end >> poolings, margin), margin + inside) for end in (self.start, self.stop))
        return slice(start - margin, stop - margin), start - (self.first >> poolings)


@dataclass(frozen=True)
class Tile:
    """A tile of a stage's input."""

    rows: Span
    columns: Span

    def seen(self, whole: Image) -> Tensor:
        """Return what the tile sees of the stage's input; of a tensor, as a view."""
        return whole[..., self.rows.first : self.rows.last, self.columns.first : self.columns.last]

    def window(self, poolings: int, margin: int, inside: tuple[int, int]) -> Window:
        """Return what the tile owns of a map; see `Span.window`."""
        rows, top = self.rows.window(poolings, margin, inside[0])
        columns, left = self.columns.window(poolings, margin, inside[1])
        return Window(rows, columns, top, left, inside)


@dataclass(frozen=True)
class Stage:
    """Neighboring blocks of a network that run together over one tile after the other.

    Attributes:
        blocks: the blocks, from the lowest.
        poolings: the number of poolings below them.
        layers: the layers whose maps are needed.
        feeds: whether another stage follows, which needs the pooled map.
        halo: positions of the input that a tile sees on each side of its own, at least.
        unit: tiles begin at multiples of this many positions, so that pooling meets the same ones in each tile.
        edge: the most positions, in each direction, that an inner tile owns; the first and the last own a halo more.
            None means that one tile is the whole input.

    """

    blocks: tuple[Block, ...]
    poolings: int
    layers: frozenset[str]
    feeds: bool
    halo: int
    unit: int
    edge: int | None

    def tiles(self, height: int, width: int) -> list[Tile]:
        """Return the tiles of an input of this size, row by row."""
        return list(itertools.starmap(Tile, itertools.product(self._spans(height), self._spans(width))))

    def seen_by_tile(self, height: int, width: int) -> int:
        """Return the number of positions that each tile sees."""
        rows, columns = (self._spans(n)[0] for n in (height, width))
        return (rows.last - rows.first) * (columns.last - columns.first)

    def tallest_tile(self, height: int) -> int:
        """Return an upper limit of the rows that a tile sees; that of a larger input is no less."""
        return height if self.edge is None else min(height, self.edge + self.unit + 2 * self.halo)

    def positions_seen(self, height: int, width: int) -> int:
        """Return the number of positions that all tiles together see; those in halos count several times."""
        rows, columns = self._spans(height), self._spans(width)
        return len(rows) * len(columns) * self.seen_by_tile(height, width)

    def _spans(self, length: int) -> list[Span]:
        """Cut a length into parts that see equally many positions, so that each tile reuses the memory of the last.

        So the first part and the last one own about a halo more than the others. Positions that pooling drops belong
        to the last one.
        """
        inner, rest = divmod(length - 2 * self.halo, self.unit)  # in units
        count = 1 if self.edge is None else math.ceil(inner / (self.edge // self.unit))
        if count <= 1:
            return [Span(0, length, 0, length)]
        own = math.ceil(inner / count)
        seen = own * self.unit + 2 * self.halo + rest
        firsts = [(inner - own) * i // (count - 1) * self.unit for i in range(count)]
        cuts = [0, *(first + self.halo for first in firsts[1:]), length]
        return [
            Span(start, stop, first, first + seen)
            for first, (start, stop) in zip(firsts, itertools.pairwise(cuts), strict=True)
        ]

    def run(self, x: Tensor, gates: Gates | None = None) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the maps of a tile, and its pooled map if another stage follows.

        Args:
            x: what the tile sees of the stage's input.
            gates: those of the tile; only `gated` has some.

        """
        if gates is not None and self.gated is not None:
            return self.gated.with_gates(x, self.layers, gates)
        maps: dict[str, Tensor] = {}
        for block, following in itertools.zip_longest(self.blocks, self.blocks[1:]):
            found, pooled = block(x, self.layers, pooled=self.feeds or following is not None)
            maps |= found
            if pooled is None:
                return maps, None
            x = pooled
        return maps, x

    def poolings_of(self, layer: str) -> int:
        """Return the number of poolings between the stage's input and a layer."""
        return next(i for i, block in enumerate(self.blocks) if layer in block.reach)

    @property
    def gated(self) -> GatedBlock | None:
        """The stage's only block, if the way down needs that block's gates instead of its maps."""
        block = self.blocks[0]
        return block if self.feeds and isinstance(block, GatedBlock) else None

    @property
    def kept(self) -> float:
        """Number of values that autograd keeps at one position of the input of a tile on the way down."""
        return self._kept_whole if self.gated is None else self.gated.kept_with_gates(self.layers)

    @property
    def gates(self) -> float:
        """Number of gates at one position of the input, one bit each; slightly too many for maximum pooling."""
        return self._kept_whole - self.kept

    @property
    def work(self) -> tuple[float, float]:
        """Arithmetic of one position of the input on the way up, and when a tile runs again on the way down.

        Each value counts as many times as the widest map of its block has channels: a convolution sums about so many
        products.
        """
        once = _at_input(block.kept * block.widest for block in self.blocks)
        return once, once if self.gated is None else self.kept * self.gated.widest

    @property
    def _kept_whole(self) -> float:
        """What autograd keeps without gates."""
        return _at_input(block.kept for block in self.blocks)

    @property
    def widest(self) -> float:
        """Number of values that its widest map has at one position of the input."""
        widths: list[float] = [block.widest / 4**i for i, block in enumerate(self.blocks)]
        return max(widths)

    @property
    def held(self) -> float:
        """Number of values that a tile holds at one position of the input: with `WORKING_MAPS`."""
        return self.kept + WORKING_MAPS * self.widest


def _at_input(values: Iterable[float]) -> float:
    """Return the sum of a stage's values, of one for each block, at one position of the stage's input."""
    return math.fsum(value / 4**i for i, value in enumerate(values))


def stages_of(network: Surrounded, layers: Collection[str], tiling: Tiling | None) -> list[Stage]:
    """Return the stages of a network, as far as these layers need it; without tiling, all of it is one stage."""
    needed = max((i for i, block in enumerate(network.blocks) if block.reach.keys() & set(layers)), default=-1) + 1
    if tiling is None:
        return [_stage(network.blocks[:needed], 0, layers, feeds=False, values=None)]
    in_parts = needed if tiling.blocks is None else min(tiling.blocks, needed)
    cuts = sorted({*range(in_parts + 1), needed})
    return [
        _stage(
            network.blocks[start:stop],
            start,
            layers,
            feeds=stop < needed,
            values=tiling.values if stop <= in_parts else None,
        )
        for start, stop in itertools.pairwise(cuts)
    ]


def _stage(
    blocks: Sequence[Block], poolings: int, layers: Iterable[str], *, feeds: bool, values: int | None
) -> Stage:
    """Make a stage. Its tiles have about `values` values; None means that it is not cut."""
    own = frozenset(layer for layer in layers if any(layer in block.reach for block in blocks))
    unit = 2 if feeds else 1
    halo = 0
    if values is not None:
        (block,) = blocks  # only what is not cut has several
        reaches = [block.reach[layer] + MARGIN for layer in own]
        halo = max([*reaches, block.reach_of_pooled] if feeds else reaches)
    stage = Stage(tuple(blocks), poolings, own, feeds, math.ceil(halo / unit) * unit, unit, None)
    return stage if values is None else replace(stage, edge=max(unit, math.isqrt(int(values / stage.held))))
