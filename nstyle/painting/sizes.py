"""How large a painting is at each of its scales, and how its style pictures are framed there."""

from collections.abc import Mapping
from dataclasses import dataclass

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.painting.inputs import Inputs, Source
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.picture import fit_long_edge
from nstyle.pictures.style_fit import Frame, frame_style
from nstyle.settings.config import Config, parse_size
from nstyle.settings.groups import MOST_SCALES

PREVIEW_EDGE = 256
"""Pixels that the longer edge of the coarsest scale has at least with `--scales auto`."""


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

    @property
    def pixels(self) -> int:
        """How many pixels the painting has."""
        return self.height * self.width


def scale_sizes(config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]]) -> list[ScaleSize]:
    """Return the size at each scale, the coarsest first; each has edges twice as long as the one before.

    A number of scales that the user names must be possible. Without one there are as many scales as "auto" or the
    style loss want, or fewer where they would leave too little of the painting or of a style picture.

    Args:
        config: the settings.
        inputs: the pictures.
        sizes: height and width of each picture as it was read.

    Raises:
        ImageError: the painting or a style picture is too small.
        OptionError: the number of scales leaves too little.

    """
    scales = [_size_at(config, inputs, sizes, halvings=0)]
    most, shortest, longest = MOST_SCALES, SHORTEST_EDGE, 0
    if isinstance(config.scales, int):
        most = config.scales
    elif config.scales == "auto":
        longest = PREVIEW_EDGE
    else:
        most, shortest = STYLE_LOSSES[config.style_loss].scales, STYLE_LOSSES[config.style_loss].coarsest_edge
    for halvings in range(1, most):
        try:
            coarser = _size_at(config, inputs, sizes, halvings)
        except ImageError as error:
            if not isinstance(config.scales, int):
                break
            of_style = any(error.path == style.picture.path for style in inputs.styles)
            what = error.path if of_style else f"{scales[-1].width}x{scales[-1].height} pixels"
            raise OptionError(
                f"--scales {config.scales} leaves too little of {what}, each halves the edges; lower it",
                flag="--scales",
                kind=Kind.OUT_OF_RANGE,
            ) from error
        edges = coarser.height, coarser.width
        if min(edges) < shortest or max(edges) < longest:
            break
        scales.insert(0, coarser)
    return scales


def _size_at(config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], halvings: int) -> ScaleSize:
    """Return the size of the painting whose edges are halved so many times.

    Raises:
        ImageError: an edge of the painting, or of a style picture, becomes too short for the network.

    """
    height, width = _painting_size(config, inputs, sizes, halvings)
    fit, box = config.style_fit, (height, width)
    if inputs.content is None:  # a texture: a style picture keeps its shape, and has the long edge
        edge = config.max_long_edge >> halvings
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
    config: Config, inputs: Inputs, sizes: Mapping[Source, tuple[int, int]], halvings: int
) -> tuple[int, int]:
    """Return height and width: the content's, fitted to the long edge, or a texture's own.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    edge = config.max_long_edge >> halvings
    if inputs.content is None:
        whole_width, whole_height = parse_size(str(config.size))
        width, height = whole_width >> halvings, whole_height >> halvings
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
