"""The size of a painting at each scale, and the frames of its style pictures."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
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
"""Smallest length of the coarsest scale's longer edge with `--scales auto`, in pixels."""


Shrink: TypeAlias = Callable[[int], int]
"""Function that converts a length of the picture for display to that of the painting at a scale, both in pixels."""


@dataclass(frozen=True)
class ScaleSize:
    """The size of a painting at one scale.

    Attributes:
        height: of the painting, in pixels.
        width: of the painting, in pixels.
        frames: how each style picture is resized and cropped at this scale.
        shown: height and width of the picture for display, which `supersampling` makes smaller; None: the painting's.

    """

    height: int
    width: int
    frames: Mapping[Source, Frame]
    shown: tuple[int, int] | None = None

    @property
    def shortest(self) -> int:
        """The shortest edge of the painting and of the style pictures, in pixels."""
        return min(self.height, self.width, *(edge for frame in self.frames.values() for edge in frame.window))


def longest_edge(config: Config) -> int:
    """Return the longest edge of the painting, or of a style picture's box if that is longer, in pixels."""
    edge = max(config.long_edge, config.max_long_edge)  # with `size`, max_long_edge is that of the style's box
    return math.ceil(_enlarged(config)(edge) * max(1, config.style_scale))


def _enlarged(config: Config) -> Shrink:
    """Return the function for the finest scale."""
    return lambda length: round(length * config.enlargement)


def scale_sizes(config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]]) -> list[ScaleSize]:
    """Return the size at each scale, coarsest first; the last is the painting's full size.

    Args:
        config: the settings. With `supersampling`, all sizes are those of the image that is shrunk at the end; only
            `max_long_edge`, `size` and `preview_edge` are those of the picture for display. With `coarsest_edge`,
            sizes are multiplied up from it; otherwise, the full size is divided down. With `preview_edge`, the scales
            of a painting of that size come first, and larger sizes are multiplied up from it. Without `enlarge`, the
            picture's own size limits `max_long_edge`.
        inputs: the pictures.
        sizes: height and width of each picture in its file.

    Raises:
        ImageError: the painting or a style picture is too small.
        OptionError: there are too many scales, or the coarsest one would be too small.

    """
    config = _without_enlarging(config, inputs, sizes)
    shown = _painting_size(config, inputs, sizes, lambda length: length)
    own = _size_at(config, inputs, sizes, _enlarged(config))
    if config.in_one_pass:
        return [own]
    if config.preview_edge is not None and config.preview_edge < config.max_long_edge:
        edge = _enlarged(config)(config.preview_edge)
        counted_up = _counted_up(own, config, inputs, sizes, edge)
        larger = [size for size in counted_up if max(size.height, size.width) > edge]
        preview = replace(config, max_long_edge=config.preview_edge, preview_edge=None)
        with _naming_preview_edge():
            coarse = scale_sizes(preview, inputs, sizes)
        return [*coarse, *_with_shown(larger, config, shown)]
    if config.coarsest_edge is None:
        return _with_shown(_counted_down(own, config, inputs, sizes), config, shown)
    return _with_shown(_counted_up(own, config, inputs, sizes, config.coarsest_edge), config, shown)


@contextmanager
def _naming_preview_edge() -> Iterator[None]:
    """Let errors about the longer edge of the preview name the setting that it has."""
    try:
        yield
    except ImageError as error:
        if error.flag != "--max-long-edge":
            raise
        message = str(error).replace("--max-long-edge", "--preview-edge")
        raise ImageError(message, flag="--preview-edge", path=error.path, kind=error.kind) from error


def _with_shown(scales: list[ScaleSize], config: Config, shown: tuple[int, int]) -> list[ScaleSize]:
    """Return the scales with the sizes of their pictures for display; `shown` is the last one's."""
    factor = config.enlargement
    if factor == 1:
        return scales
    coarse = [replace(size, shown=(round(size.height / factor), round(size.width / factor))) for size in scales[:-1]]
    return [*coarse, replace(scales[-1], shown=shown)]


def _without_enlarging(config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]]) -> Config:
    """Return the settings with `max_long_edge` limited to the picture's own, if it must not be enlarged.

    A texture's `max_long_edge` is that of its style picture, so that one's own counts.

    Raises:
        ImageError: the picture is too small for the network.

    """
    sized = inputs.styles[0].picture if inputs.content is None else inputs.content
    height, width = sizes[sized]
    if config.enlarge or max(height, width) >= config.max_long_edge:
        return config
    if min(height, width) < SHORTEST_EDGE:
        raise ImageError(
            f"{sized.path} has {width}x{height} pixels, but each edge needs {SHORTEST_EDGE}; leave --no-enlarge out",
            flag="--no-enlarge",
            path=sized.path,
            kind=Kind.OUT_OF_RANGE,
        )
    return replace(config, max_long_edge=max(height, width))


def _counted_down(
    own: ScaleSize, config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]]
) -> list[ScaleSize]:
    """Return the image's size divided by the scale factor again and again, coarsest first.

    If the user gives the number of scales, it must be possible. Otherwise "auto" or the style loss decides; scales
    at which the painting or a style picture would be too small are left out.

    Raises:
        OptionError: the painting or a style picture is too small for the number of scales.

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
            coarser = _size_at(config, inputs, sizes, _division(config, divisions))
        except ImageError as error:
            if not isinstance(config.scales, int):
                break
            of_style = any(error.path == style.picture.path for style in inputs.styles)
            what = error.path if of_style else f"{scales[-1].width}x{scales[-1].height} pixels"
            raise OptionError(
                f"--scales {config.scales} is too many: {what} divided by {config.scale_factor:g} is too small for "
                "the network; lower --scales",
                flag="--scales",
                kind=Kind.OUT_OF_RANGE,
            ) from error
        if coarser.shortest < shortest or max(coarser.height, coarser.width) < longest:
            break
        scales.insert(0, coarser)
    return scales


def _division(config: Config, times: int) -> Shrink:
    """Return a function that divides a length of the image by F^times: it rounds down if F is 2, else to nearest."""
    own, factor = _enlarged(config), config.scale_factor
    if factor == 2:
        return lambda length: own(length) >> times
    return lambda length: round(own(length) / factor**times)


def _counted_up(
    own: ScaleSize, config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], coarsest_edge: int
) -> list[ScaleSize]:
    """Return the scales whose longer edges are `coarse_edges`, and the full size last.

    A scale is left out if the painting or a style picture is too small there for the network or the style loss.

    Raises:
        OptionError: there are too many scales.

    """
    own_edge, scales = config.long_edge, list[ScaleSize]()
    for edge in coarse_edges(coarsest_edge, config.scale_factor, _enlarged(config)(own_edge)):
        with suppress(ImageError):
            scales.append(_size_at(config, inputs, sizes, _proportion(edge, own_edge)))
    shortest = STYLE_LOSSES[config.style_loss].coarsest_edge
    return [*(size for size in scales if size.shortest >= shortest), own]


def _proportion(edge: int, own_edge: int) -> Shrink:
    """Return a function that multiplies a length by edge / own_edge, rounded to the nearest."""
    return lambda length: round(length * edge / own_edge)


def coarse_edges(coarsest_edge: int, factor: float, own_edge: int) -> list[int]:
    """Return the longer edges of all scales except the full size: c, c F, c F^2, ..., rounded to pixels.

    The full size sets only their number: its edge is F^0.5 to F^1.5 times the last one. If it is below c F^0.5,
    the list is empty.

    Args:
        coarsest_edge: c, in pixels.
        factor: F.
        own_edge: longer edge of the full size, in pixels.

    Raises:
        OptionError: there are more than `MOST_COUNTED_UP` scales.

    """
    edges: list[int] = []
    while (edge := coarsest_edge * factor ** len(edges)) * factor**0.5 <= own_edge:
        if len(edges) == MOST_COUNTED_UP - 1:
            raise OptionError(
                f"--scale-factor {factor:g} makes more than {MOST_COUNTED_UP} scales from {coarsest_edge} to "
                f"{own_edge} pixels; raise it or --coarsest-edge, or lower --max-long-edge",
                flag="--scale-factor",
                kind=Kind.OUT_OF_RANGE,
            )
        edges.append(round(edge))
    return [edge for edge in dict.fromkeys(edges) if edge < own_edge]  # F near 1 makes duplicates


def _size_at(config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], shrink: Shrink) -> ScaleSize:
    """Return the sizes at one scale; `shrink` converts lengths to that scale.

    Raises:
        ImageError: an edge of the painting or of a style picture is too short for the network.

    """
    height, width = _painting_size(config, inputs, sizes, shrink)
    fit, box = config.style_fit, (height, width)
    if inputs.content is None:  # a texture: --max-long-edge sizes the style picture, which keeps its aspect ratio
        edge = shrink(config.max_long_edge)
        fit, box = "cover" if fit == "cover" else "contain", (edge, edge)
    frames = {}
    for style in inputs.styles:
        source = style.picture
        frame = frame_style(sizes[source], box, fit, config.style_scale)
        frame_height, frame_width = frame.window
        if min(frame.window) < SHORTEST_EDGE:
            raise ImageError(
                f"{source.path} becomes {frame_width}x{frame_height} pixels with --style-fit {config.style_fit} and "
                f"--style-scale {config.style_scale:g}, but each edge needs {SHORTEST_EDGE}; raise --style-scale or "
                "--max-long-edge",
                flag="--style-scale",
                path=source.path,
                kind=Kind.OUT_OF_RANGE,
            )
        frames[source] = frame
    return ScaleSize(height, width, frames)


def _painting_size(
    config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], shrink: Shrink
) -> tuple[int, int]:
    """Return (height, width): the content's, scaled to the long edge, or a texture's `--size`.

    Raises:
        ImageError: an edge is too short for the network.

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
            f"{what} becomes {width}x{height} pixels at --max-long-edge {edge}, but each edge needs {SHORTEST_EDGE}; "
            f"raise {flag}{'' if path is None else ', or crop the picture'}",
            flag=flag,
            path=path,
            kind=Kind.OUT_OF_RANGE,
        )
    return height, width
