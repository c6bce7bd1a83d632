"""What to lower so that a painting fits into memory."""

import math
from collections.abc import Callable
from dataclasses import replace

from nstyle.painting.inputs import Source
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
        fits: tells whether a size fits. If one does, smaller ones do, too.

    """
    if config.style_scale > 1 and fits(replace(size, frames={})):
        share = _largest_share(lambda share: fits(replace(size, frames=_shrunk_frames(size, share))))
        fitting = math.floor(config.style_scale * share * 100) / 100
        return "--style-scale", f"{config.style_scale:g}", f"{fitting:g}" if fitting > 0 else None
    share = _largest_share(lambda share: _is_too_small(size, share) or fits(_shrunk(size, share)))
    edges = [max(size.height, size.width)] if config.size is None else parse_size(config.size)
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
    return int(min(size.height, size.width) * share) < SHORTEST_EDGE


def _shrunk(size: ScaleSize, share: float) -> ScaleSize:
    """Return the size with each edge multiplied by a share, rounded up."""
    height, width = math.ceil(size.height * share), math.ceil(size.width * share)
    return ScaleSize(height, width, _shrunk_frames(size, share))


def _shrunk_frames(size: ScaleSize, share: float) -> dict[Source, Frame]:
    """Return the frames of the style pictures, likewise."""

    def shrunk(edges: tuple[int, int]) -> tuple[int, int]:
        return math.ceil(edges[0] * share), math.ceil(edges[1] * share)

    return {source: Frame(shrunk(frame.resized), shrunk(frame.window)) for source, frame in size.frames.items()}
