"""What to lower so that a painting fits into memory."""

import math
from collections.abc import Callable
from dataclasses import replace

from nstyle.painting.sizes import ScaleSize
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.style_fit import Frame
from nstyle.settings.config import Config, parse_size

STEPS = 1024
"""Number of sizes between none and the whole that are looked at."""


def smaller(config: Config, size: ScaleSize, fits: Callable[[ScaleSize], bool]) -> tuple[str, str, str | None]:
    """Return the flag that makes a painting too large, its value, and a value that fits; None if none does.

    Args:
        config: the settings.
        size: the size that does not fit.
        fits: tells whether a size fits. If one does, nearly all smaller ones do, too: but a tile of an odd size can
            see a row more. So both sizes are asked for to which an edge may be rounded.

    """
    if config.style_scale > 1 and fits(replace(size, frames={})):
        share = _largest_share(
            lambda share: all(fits(replace(size, frames=one.frames)) for one in _shrunk(size, share))
        )
        fitting = math.floor(config.style_scale * share * 100) / 100
        return "--style-scale", f"{config.style_scale:g}", f"{fitting:g}" if fitting > 0 else None
    share = _largest_share(lambda share: _is_too_small(size, share) or all(map(fits, _shrunk(size, share))))
    edges = [max(size.shown or (size.height, size.width))] if config.size is None else parse_size(config.size)
    fitting_edges = None if _is_too_small(size, share) else "x".join(str(int(edge * share)) for edge in edges)
    if config.size is None:
        return "--max-long-edge", str(edges[0]), fitting_edges
    return "--size", config.size, fitting_edges


def _largest_share(fits: Callable[[float], bool]) -> float:
    """Return the largest share below 1 that fits, by bisection; 0 if none does."""
    fitting, too_large = 0, STEPS
    while too_large - fitting > 1:
        middle = (fitting + too_large) // 2
        if fits(middle / STEPS):
            fitting = middle
        else:
            too_large = middle
    return fitting / STEPS


def _is_too_small(size: ScaleSize, share: float) -> bool:
    """Tell whether nothing can be painted at this share of the size."""
    return int(min(size.shown or (size.height, size.width)) * share) < SHORTEST_EDGE


def _shrunk(size: ScaleSize, share: float) -> list[ScaleSize]:
    """Return the size with each edge, also of the style pictures, multiplied by a share, rounded down and up."""
    return [_multiplied(size, share, rounded) for rounded in (math.floor, math.ceil)]


def _multiplied(size: ScaleSize, share: float, rounded: Callable[[float], int]) -> ScaleSize:
    def shrunk(edges: tuple[int, int]) -> tuple[int, int]:
        return rounded(edges[0] * share), rounded(edges[1] * share)

    frames = {source: Frame(shrunk(frame.resized), shrunk(frame.window)) for source, frame in size.frames.items()}
    shown = None if size.shown is None else shrunk(size.shown)
    return ScaleSize(*shrunk((size.height, size.width)), frames, shown)
