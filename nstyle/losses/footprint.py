"""How much memory and arithmetic the feature maps of an objective take, whole or in tiles."""

from collections.abc import Collection

from nstyle.losses.parts import MARGIN
from nstyle.losses.patches import work_of_matching
from nstyle.losses.tiles import WORKING_MAPS, Stage, Tiling, stages_of
from nstyle.networks.blocks import Surrounded


def bytes_of_maps(
    network: Surrounded,
    layers: Collection[str],
    tiling: Tiling | None,
    size: tuple[int, int],
    itemsize: int,
    more_maps: int = 0,
) -> int:
    """Return the most bytes that the feature maps of an image take while its gradient is computed.

    What is offloaded does not count.

    Args:
        network: the network.
        layers: the layers whose maps are needed.
        tiling: how much of the network runs in tiles; None means that it runs over the whole image.
        size: height and width of the image.
        itemsize: bytes of a value of the network; losses on half precision make a float32 copy of a map.
        more_maps: number of maps that the losses hold besides `WORKING_MAPS`.

    """
    height, width = (edge + 2 * network.margin for edge in size)
    kept = most = 0
    for stage in stages_of(network, layers, tiling):
        own = _pooled_bytes(network, stage.poolings, height, width, itemsize)
        top = stage.poolings + len(stage.blocks)
        following = _pooled_bytes(network, top, height, width, itemsize) if stage.feeds else 0
        per_value = (WORKING_MAPS + more_maps) * itemsize + (4 if itemsize < 4 else 0)
        working = per_value * stage.widest
        rows, columns = height >> stage.poolings, width >> stage.poolings
        # Losses copy the part of a map that counts, without margin and halo; autograd keeps the copy.
        seen = stage.seen_by_tile(rows, columns)
        is_cut = network.margin > 0 or seen < rows * columns
        wanted = (len(block.reach.keys() & stage.layers) for block in stage.blocks)
        copied = sum(block.widest * n / 4**i for i, (block, n) in enumerate(zip(stage.blocks, wanted, strict=True)))
        tile = seen * ((stage.kept + is_cut * copied) * itemsize + working)
        band = own * stage.tallest_tile(rows) // rows
        if tiling is None or not tiling.offloads:
            kept += own + _bytes_of_gates(stage, rows, columns)  # of the stages so far
            band += following
        # On the way back there are the gradients of the next stage's input, and of what a row of tiles sees of this
        # one's; finished rows take the place of the input.
        most = max(most, kept + band + int(tile))
    return most


def bytes_offloaded(
    network: Surrounded, layers: Collection[str], tiling: Tiling, size: tuple[int, int], itemsize: int
) -> int:
    """Return the bytes of what tiles keep for the gradient of an image, if it is offloaded; see `bytes_of_maps`."""
    height, width = (edge + 2 * network.margin for edge in size)
    return sum(
        _pooled_bytes(network, stage.poolings, height, width, itemsize)
        + _bytes_of_gates(stage, height >> stage.poolings, width >> stage.poolings)
        for stage in stages_of(network, layers, tiling)
    )


def work_of_gradient(
    network: Surrounded, layers: Collection[str], tiling: Tiling | None, size: tuple[int, int]
) -> float:
    """Return how much arithmetic the gradient of an image takes; the unit differs from network to network.

    A stage runs upwards and downwards. If it must not keep its maps, those that a loss sees are computed again.
    """
    height, width = (edge + 2 * network.margin for edge in size)
    work = 0.0
    for stage in stages_of(network, layers, tiling):
        once, again = stage.work
        rows, columns = height >> stage.poolings, width >> stage.poolings
        is_kept = not stage.feeds and stage.seen_by_tile(rows, columns) == rows * columns
        work += stage.positions_seen(rows, columns) * (2 * once + (0 if is_kept else again))
    return work


def work_of_patches(
    network: Surrounded,
    layers: Collection[str],
    tiling: Tiling | None,
    size: tuple[int, int],
    style_size: tuple[int, int],
) -> float:
    """Return the number of products that the search for a style's patches takes at these layers."""
    work = 0.0
    for stage in stages_of(network, layers, tiling):
        tiles = stage.tiles(*(edge >> stage.poolings for edge in size))
        for i, block in enumerate(stage.blocks):
            height, width = (edge >> stage.poolings + i for edge in size)
            style_height, style_width = (edge >> stage.poolings + i for edge in style_size)
            searches = len(block.reach.keys() & stage.layers)
            for tile in tiles if searches else ():
                rows, columns = (((span.stop - span.start) >> i) + MARGIN for span in (tile.rows, tile.columns))
                part = min(rows, height), min(columns, width)
                work += searches * work_of_matching(part, (style_height, style_width), block.widest)
    return work


def _bytes_of_gates(stage: Stage, rows: int, columns: int) -> int:
    """Return the bytes of a stage's gates, for an input of this size."""
    return int(stage.positions_seen(rows, columns) * stage.gates / 8) if stage.feeds else 0


def _pooled_bytes(network: Surrounded, poolings: int, height: int, width: int, itemsize: int) -> int:
    """Return the bytes of a pooled map; 0 for the image, which is not a map."""
    if poolings == 0:
        return 0
    channels = network.blocks[poolings - 1].pooled_channels
    return (height >> poolings) * (width >> poolings) * channels * itemsize
