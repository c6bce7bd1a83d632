"""Run a network over a picture in tiles: up from the image, with the maps of one tile at a time, and back down."""

import itertools
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from nstyle.losses.parts import Part, Window
from nstyle.losses.rooms import AroundTiles, DeviceRoom, Room, map_in, nothing_between
from nstyle.losses.tiles import Span, Stage, Tile, Tiling, stages_of
from nstyle.networks.blocks import Surrounded
from nstyle.networks.gates import Gates

Outputs: TypeAlias = Callable[[Part], list[tuple[Tensor, Tensor]]]
"""Function from a part to tensors made of its maps, each with the gradient of a loss with respect to that tensor."""


@dataclass(frozen=True)
class _Run:
    """A stage's result for one tile.

    Attributes:
        seen: what the tile sees of the stage's input.
        maps: {layer: map}.
        part: the part that the maps belong to.
        pooled: the pooled map, the next stage's input; None if this is the last stage.
        window: what the tile owns of the pooled map.

    """

    seen: Tensor
    maps: dict[str, Tensor]
    part: Part
    pooled: Tensor | None
    window: Window


class Walk:
    """A picture in a network that runs in tiles.

    Args:
        network: the network.
        image: 1 x 3 x H x W, model space; without a graph.
        layers: the layers whose maps are needed.
        tiling: how much of the network runs in tiles, and their size.
        around_stage: makes a context in which each stage's tiles run, one after the other.
        room: where what is kept goes; None: the image's device.

    Attributes:
        stages: the stages of the network.

    """

    def __init__(
        self,
        network: Surrounded,
        image: Tensor,
        layers: Collection[str],
        tiling: Tiling,
        around_stage: AroundTiles = nothing_between,
        room: Room | None = None,
    ) -> None:
        self.network = network
        self.image = image
        self.stages = stages_of(network, layers, tiling)
        self.around_stage = around_stage
        self.room = DeviceRoom(image.device) if room is None else room
        self._inputs: list[Tensor] = []  # of each stage, for the way down
        self._kept: _Run | None = None
        self._gates: list[dict[Tile, Gates]] = []  # of each stage that feeds another one
        self._memo: dict[Hashable, Any] = {}

    def up(self, *, keeps: bool = False) -> Iterator[Part]:
        """Run each stage, and yield the part of each tile. Its maps are dropped when the next one is asked for.

        Args:
            keeps: whether to keep what `down` needs: the input of each stage, its gates, and the graph of the last
                stage if that has a single tile.

        """
        x = self.network.surround(self.image)
        for stage in self.stages:
            if keeps:
                self._inputs.append(x)
            following: Tensor | None = None
            tiles = stage.tiles(*x.shape[-2:])
            gates = {tile: Gates(self.room.keep) for tile in tiles} if keeps and stage.feeds else {}
            if keeps:
                self._gates.append(gates)
            with self.around_stage() as between_tiles:
                for tile in tiles:
                    is_kept = keeps and len(tiles) == 1 and not stage.feeds
                    run = self._run(stage, tile, x, gates.get(tile), graph=is_kept)
                    if run.seen.requires_grad:
                        self._kept = run
                    if run.pooled is not None:
                        own = run.window.owned(run.pooled)
                        if following is None:
                            following = map_in(self.room, own, run.window.size)
                        run.window.cut(following).copy_(own)
                    yield run.part
                    if run is not self._kept:
                        run.maps.clear()
                    del run
                    self.room.leave()
                    between_tiles()
            if following is not None:
                x = following

    def down(self, outputs: Outputs, *, again: bool) -> Tensor:
        """Run each stage again, from the last to the first, and return the gradient with respect to the image.

        Args:
            outputs: what a loss depends on.
            again: whether this will be called again; if not, the memory of the stages' inputs is freed on the way.

        """
        last = len(self.stages) - 1
        gradient = self._down(last, None, outputs, again=again)
        for number in reversed(range(last)):
            gradient = self._down(number, gradient, outputs, again=again)
        with torch.enable_grad():
            image = self.image.detach().requires_grad_()
            surrounded = self.network.surround(image)
        if surrounded is image:
            return gradient
        (of_image,) = torch.autograd.grad(surrounded, image, gradient)
        return of_image

    def _down(self, number: int, above: Tensor | None, outputs: Outputs, *, again: bool) -> Tensor:
        """Return the gradient with respect to a stage's input; `above` is that with respect to its pooled map.

        If the input is not used again, the gradient takes its place: after each row of tiles, where no later tile
        sees the input.
        """
        stage, x = self.stages[number], self._inputs[number]
        kept, gates = self._kept if above is None else None, self._gates[number]
        if not again:
            self._kept = None
            self._inputs.pop()
            self._gates.pop()
        whole = x
        if again or x is self.image:
            whole = torch.empty_like(x) if number == 0 else map_in(self.room, x, (x.shape[-2], x.shape[-1]))
        after = x[..., :0, :].to(self.image.device)  # the gradient so far, in what the next row of tiles sees, too
        with self.around_stage() as between_tiles:
            for tiles, following in _rows_of(stage.tiles(*x.shape[-2:])):
                rows = tiles[0].rows
                ready = x.shape[-2] if following is None else following.first
                gradient = torch.zeros_like(x[..., rows.first : rows.last, :], device=self.image.device)
                gradient[..., : after.shape[-2], :] = after
                for tile in tiles:
                    run = self._run(stage, tile, x, gates.get(tile), graph=True) if kept is None else kept
                    pairs = outputs(run.part)
                    if run.pooled is not None and above is not None:
                        pairs.append((run.window.owned(run.pooled), run.window.cut(above).to(self.image.device)))
                    if pairs:
                        values, gradients = zip(*pairs, strict=True)
                        (found,) = torch.autograd.grad(values, run.seen, gradients, retain_graph=again)
                        gradient[..., tile.columns.first : tile.columns.last].add_(found)
                        del found, values, gradients
                    del run, pairs
                    self.room.leave()
                    between_tiles()
                whole[..., rows.first : ready, :] = gradient[..., : ready - rows.first, :]
                after = gradient[..., ready - rows.first :, :].clone()
        return whole

    def _run(self, stage: Stage, tile: Tile, x: Tensor, gates: Gates | None, *, graph: bool) -> _Run:
        """Run a stage over one tile of its input."""
        seen = tile.seen(x).detach().to(self.image.device).requires_grad_(graph)
        with torch.set_grad_enabled(graph):
            maps, pooled = stage.run(seen, gates)
        windows = {layer: self._window(stage, tile, layer) for layer in maps}
        count = len(stage.blocks)
        own = tile.window(count, 0, (x.shape[-2] >> count, x.shape[-1] >> count))
        no_pixels = self.image.new_full((1, 3, 1, 1), torch.nan)
        part = Part(no_pixels, maps, windows, self._memo)
        return _Run(seen, maps, part, pooled, own)

    def _window(self, stage: Stage, tile: Tile, layer: str) -> Window:
        """Return what a tile owns of a layer's map; the margin around the picture belongs to no tile."""
        above = stage.poolings_of(layer)
        poolings = stage.poolings + above
        height, width = self.image.shape[-2:]
        return tile.window(above, self.network.margin >> poolings, (height >> poolings, width >> poolings))


def _rows_of(tiles: Sequence[Tile]) -> Iterator[tuple[list[Tile], Span | None]]:
    """Yield the tiles of each row of tiles, and the rows of the input that the next row of tiles sees, if any."""
    rows = [list(row) for _, row in itertools.groupby(tiles, key=lambda tile: tile.rows)]
    for row, following in itertools.zip_longest(rows, rows[1:]):
        yield row, None if following is None else following[0].rows
