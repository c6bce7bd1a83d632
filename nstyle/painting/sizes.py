"""How large a painting is at each of its scales, and how its style pictures are framed there."""

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.painting.inputs import Inputs, Source
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.picture import fit_long_edge
from nstyle.pictures.style_fit import Frame, frame_style
from nstyle.settings.config import Config, parse_size
from nstyle.settings.scales import MOST_COUNTED_UP, MOST_SCALES

PREVIEW_EDGE = 256
"""Pixels that the longer edge of the coarsest scale has at least with `--scales auto`."""


Shrink: TypeAlias = Callable[[int], int]
"""Makes of a length at the finest scale the one at another, both in pixels."""


@dataclass(frozen=True)
class ScaleSize:
    """The size of a painting at one scale.

    Attributes:
        height: of the painting, in pixels.
        width: likewise.
        frames: how each style picture is brought to its size there.

    """

    height: int
    width: int
    frames: Mapping[Source, Frame]


def scale_sizes(config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]]) -> list[ScaleSize]:
    """Return the size at each scale, the coarsest first; the last is the painting's own.

    Args:
        config: the settings. With `coarsest_edge` the sizes are counted up from that, else down from the painting.
            With `preview_edge` those of a painting of that size come first, and are counted up from there.
        inputs: the pictures.
        sizes: height and width of each picture as it was read.

    Raises:
        ImageError: the painting or a style picture is too small.
        OptionError: there are too many scales, or their number leaves too little.

    """
    own = _size_at(config, inputs, sizes, lambda length: length)
    if config.preview_edge is not None and config.preview_edge < config.max_long_edge:
        preview = dataclasses.replace(config, max_long_edge=config.preview_edge, preview_edge=None)
        counted_up = _counted_up(own, config, inputs, sizes, config.preview_edge)
        larger = [size for size in counted_up if max(size.height, size.width) > config.preview_edge]
        return [*scale_sizes(preview, inputs, sizes), *larger]
    if config.coarsest_edge is None:
        return _counted_down(own, config, inputs, sizes)
    return _counted_up(own, config, inputs, sizes, config.coarsest_edge)


def _counted_down(
    own: ScaleSize, config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]]
) -> list[ScaleSize]:
    """Return the scales whose edges are those of the painting, divided by the factor once, twice and so on.

    A number of scales that the user names must be possible. Without one there are as many scales as "auto" or the
    style loss want, or fewer where they would leave too little of the painting or of a style picture.

    Raises:
        OptionError: the number of scales leaves too little.

    """
    scales = [own]
    most, shortest, longest = MOST_SCALES, SHORTEST_EDGE, 0
    if isinstance(config.scales, int):
        most = config.scales
    elif config.scales == "auto":
        longest = PREVIEW_EDGE
    else:
        most, shortest = STYLE_LOSSES[config.style_loss].scales, STYLE_LOSSES[config.style_loss].coarsest_edge
    for divisions in range(1, most):
        try:
            coarser = _size_at(config, inputs, sizes, _division(config.scale_factor, divisions))
        except ImageError as error:
            if not isinstance(config.scales, int):
                break
            of_style = any(error.path == style.picture.path for style in inputs.styles)
            what = error.path if of_style else f"{scales[-1].width}x{scales[-1].height} pixels"
            raise OptionError(
                f"--scales {config.scales} leaves too little of {what}, each divides the edges by "
                f"{config.scale_factor:g}; lower it",
                flag="--scales",
                kind=Kind.OUT_OF_RANGE,
            ) from error
        edges = coarser.height, coarser.width
        if min(edges) < shortest or max(edges) < longest:
            break
        scales.insert(0, coarser)
    return scales


def _division(factor: float, times: int) -> Shrink:
    """Return what divides a length so often by the factor: halves are rounded down, other parts to the nearest."""
    if factor == 2:
        return lambda length: length >> times
    return lambda length: round(length / factor**times)


def _counted_up(
    own: ScaleSize, config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], coarsest_edge: int
) -> list[ScaleSize]:
    """Return the scales whose longer edges are `coarse_edges`, and the painting's own.

    A scale is left out if an edge of it, or of a style picture there, is too short for the network or the style loss.

    Raises:
        OptionError: there are too many scales.

    """
    own_edge = config.max_long_edge if config.size is None else max(parse_size(config.size))
    scales: list[ScaleSize] = []
    for edge in coarse_edges(coarsest_edge, config.scale_factor, own_edge):
        with suppress(ImageError):
            scales.append(_size_at(config, inputs, sizes, _proportion(edge, own_edge)))
    shortest = STYLE_LOSSES[config.style_loss].coarsest_edge
    return [*(size for size in scales if min(size.height, size.width) >= shortest), own]


def _proportion(edge: int, own_edge: int) -> Shrink:
    """Return what makes an edge of `own_edge` pixels one of `edge`, and other lengths in proportion."""
    return lambda length: round(length * edge / own_edge)


def coarse_edges(coarsest_edge: int, factor: float, own_edge: int) -> list[int]:
    """Return the longer edges of all scales but the painting's own: c, c F, c F^2 ..., rounded.

    The painting's own edge is between F^0.5 and F^1.5 times the last of them. It decides how many there are, and
    nothing else. If it is below c F^0.5, there are none.

    Args:
        coarsest_edge: c, in pixels.
        factor: F.
        own_edge: the painting's own longer edge.

    Raises:
        OptionError: there are too many.

    """
    edges: list[int] = []
    while (edge := coarsest_edge * factor ** len(edges)) * factor**0.5 <= own_edge:
        if len(edges) == MOST_COUNTED_UP - 1:
            raise OptionError(
                f"--coarsest-edge {coarsest_edge} and --scale-factor {factor:g} make more than {MOST_COUNTED_UP} "
                f"scales of {own_edge} pixels; raise one of them",
                flag="--coarsest-edge",
                kind=Kind.OUT_OF_RANGE,
            )
        edges.append(round(edge))
    return [edge for edge in dict.fromkeys(edges) if edge < own_edge]  # equal ones come of F near 1


def _size_at(config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], shrink: Shrink) -> ScaleSize:
    """Return the size of the painting at the scale whose lengths `shrink` makes.

    Raises:
        ImageError: an edge of the painting, or of a style picture, becomes too short for the network.

    """
    height, width = _painting_size(config, inputs, sizes, shrink)
    fit, box = config.style_fit, (height, width)
    if inputs.content is None:  # a texture: a style picture keeps its shape, and has the long edge
        edge = shrink(config.max_long_edge)
        fit, box = "cover" if fit == "cover" else "contain", (edge, edge)
    frames = {}
    for style in inputs.styles:
        source = style.picture
        frame = frame_style(sizes[source], box, fit, config.style_scale)
        frame_height, frame_width = frame.window
        if min(frame.window) < SHORTEST_EDGE:
            raise ImageError(
                f"{source.path} becomes {frame_width}x{frame_height} pixels with --style-fit {config.style_fit} at "
                f"--style-scale {config.style_scale:g}; raise that, or --max-long-edge: each edge needs "
                f"{SHORTEST_EDGE}",
                flag="--style-scale",
                path=source.path,
                kind=Kind.OUT_OF_RANGE,
            )
        frames[source] = frame
    return ScaleSize(height, width, frames)


def _painting_size(
    config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], shrink: Shrink
) -> tuple[int, int]:
    """Return height and width: the content's, fitted to the long edge, or a texture's own.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    edge = shrink(config.max_long_edge)
    if inputs.content is None:
        whole_width, whole_height = parse_size(str(config.size))
        width, height = shrink(whole_width), shrink(whole_height)
        what, flag, path = f"the texture of --size {config.size}", "--size", None
    else:
        height, width = fit_long_edge(*sizes[inputs.content], edge)
        what, flag, path = str(inputs.content.path), "--max-long-edge", inputs.content.path
    if min(height, width) < SHORTEST_EDGE:
        raise ImageError(
            f"{what} becomes {width}x{height} pixels at --max-long-edge {edge}; "
            f"raise that, or crop the picture: each edge needs {SHORTEST_EDGE}",
            flag=flag,
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    return height, width
