"""How much memory a generator needs to paint a picture, in one piece or in tiles."""

from nstyle.painter.graph import IMAGE, Generator, Graph
from nstyle.painter.tiles import Plan, Region, Tiling

COPIES = 2
"""How many maps of the size of its input and output a layer needs, in all, and of its `extra` values: a convolution
copies them into an order of its own, with padding."""

VALUE_BYTES = 4

RESERVE, RESERVE_BYTES = 1.6, 75_000_000
"""Factor on what tiles need, and bytes besides: malloc keeps some of what comes and goes, and PyTorch has buffers. So
the estimate is 1 to 1.6 times what was measured, from 512 to 2048 pixels. Maps that are kept need no more than they
have."""


def bytes_needed(generator: Generator, size: tuple[int, int], tiling: Tiling | None) -> int:
    """Return the bytes that painting a picture of this height and width takes at most, besides picture and result."""
    most = max(
        _whole(graph, size) if tiling is None else _in_tiles(Plan(graph, tiling), size) for graph in generator.graphs
    )
    return int(VALUE_BYTES * most) + RESERVE_BYTES


def _whole(graph: Graph, size: tuple[int, int]) -> float:
    """Return the number of values for which there must be room if each layer runs over whole maps."""
    channels, last_uses = channels_of(graph), graph.last_uses()
    held: dict[str, int] = {}
    most = 0.0
    for name, inputs in graph.inputs.items():
        height, width = graph.size(name, size)
        own = channels[name] * height * width
        working = own + sum(held.get(x, 0) for x in inputs)
        extra = COPIES * graph.layer(name).extra * height * width
        most = max(most, sum(held.values()) + own + (COPIES - 1) * working + extra)
        held = {x: values for x, values in held.items() if last_uses.get(x) != name} | {name: own}
    return most


def _in_tiles(plan: Plan, size: tuple[int, int]) -> float:
    """Return the number of values for which there must be room: those of kept maps, and of a tile's."""
    graph, channels = plan.graph, channels_of(plan.graph)
    held: dict[str, int] = {}
    most = 0.0
    for step in plan.steps:
        tiles = list(plan.tiles(step, size))
        working, _ = _of_tile(plan, channels, step, tiles[len(tiles) // 2], size)  # halos on all sides
        reused = plan.reuses(step)
        if reused is not None:
            held[step] = held.pop(reused)
        elif step in plan.kept:
            height, width = graph.size(step, size)
            held[step] = channels[step] * height * width
        most = max(most, sum(held.values()) + RESERVE * working)
        held = {x: values for x, values in held.items() if plan.last_uses.get(x) != step}
    return most


def _of_tile(
    plan: Plan, channels: dict[str, int], name: str, region: Region, size: tuple[int, int]
) -> tuple[int, int]:
    """Return the most values that a tile's maps have while this one is computed, and its own number."""
    _, _, needed = plan.input_region(name, region, size)
    most = inputs = 0
    for x in plan.graph.inputs[name]:
        found, values = 0, _area(needed) * channels[x]
        if x != IMAGE and x not in plan.kept:
            found, _ = _of_tile(plan, channels, x, needed, size)
        most = max(most, inputs + found)
        inputs += values
    own = _area(region) * channels[name]
    extra = _area(region) * plan.graph.layer(name).extra
    return max(most, COPIES * (inputs + own + extra)), own


def _area(region: Region) -> int:
    (top, bottom), (left, right) = region
    return (bottom - top) * (right - left)


def channels_of(graph: Graph) -> dict[str, int]:
    """Return the number of channels of each map of a graph."""
    channels = {IMAGE: 3}
    for name, inputs in graph.inputs.items():
        channels[name] = graph.layer(name).channels(channels[inputs[0]])
    return channels
