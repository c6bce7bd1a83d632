"""Decoded frames of a video as pictures: color, precision, transparency, rotation."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nstyle.errors import ImageError, Kind
from nstyle.film.source import UPRIGHT, Geometry, Turn
from nstyle.pictures.color_encoding import profile_of_code_points
from nstyle.pictures.icc import to_srgb
from nstyle.pictures.picture import Picture, fill_hidden

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame

# Code points of Rec. ITU-T H.273 for `MatrixCoefficients`, and FFmpeg's names for them in its scaler (SWS_CS_...).
BT709, _BT601 = 1, 5
_RGB, _UNSPECIFIED = 0, 2
_MATRICES = {_RGB: BT709, 1: BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, 9: 9}
_HIGH_DYNAMIC_RANGE = (16, 18)  # PQ and HLG, among H.273's `TransferCharacteristics`

LIMITED = 1
"""FFmpeg's number of the range of television: 16 to 235 for luma, 16 to 240 for chroma."""

_WHITE_OF_YCBCR = 255 * 256
"""White of YCbCr after FFmpeg's scaler made 16-bit RGB of it. White of RGB stays 65535."""

_LARGEST_SD = (1279, 576)
"""Largest width and height of a video that counts as BT.601 if it does not say how its colors are coded."""


def check_color(path: Path, frame: "VideoFrame") -> None:
    """Check that the colors of a frame can be converted to sRGB.

    Raises:
        ImageError: it has high dynamic range (PQ or HLG), or colors that cannot be converted.

    """
    if frame.color_trc in _HIGH_DYNAMIC_RANGE:
        raise ImageError(
            f"{path} has high dynamic range (PQ or HLG), which is not supported; convert it to SDR (BT.709)",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    if frame.colorspace not in _MATRICES and frame.colorspace != _UNSPECIFIED:
        raise ImageError(
            f"{path} has an unsupported color space (matrix {frame.colorspace} of H.273); convert it to BT.709",
            path=path,
            kind=Kind.UNSUPPORTED,
        )
    profile_of_code_points(path, frame.color_primaries, frame.color_trc)


def depth_of(pixels: "VideoFormat") -> int:
    """Return the number of bits for each channel that hold these pixels: 8 or 16."""
    return 16 if max(component.bits for component in pixels.components) > 8 else 8


def to_picture(path: Path, frame: "VideoFrame", turn: Turn) -> Picture:
    """Convert a decoded frame to an upright picture.

    YCbCr becomes RGB with the matrix and the range that the file states: BT.709, BT.601, BT.2020, FCC or SMPTE 240M,
    limited or full. If it states no matrix, a video up to 576 lines and 1279 pixels a line counts as BT.601, a larger
    one as BT.709, as players have it; if it states no range, YCbCr counts as limited. Chroma is enlarged bicubically.
    Primaries other than BT.709 are converted to sRGB. The curves of cameras count as sRGB's, because films are graded
    on displays.

    Args:
        path: the video file, for errors.
        frame: the frame.
        turn: from the stored frame to an upright one.

    Raises:
        ImageError: see `check_color`.

    """
    has_alpha = any(component.is_alpha for component in frame.format.components)
    is_deep = depth_of(frame.format) == 16
    channels = "rgba" if has_alpha else "rgb"
    pixels = f"{channels}{16 * len(channels)}le" if is_deep else {"rgb": "rgb24", "rgba": "rgba"}[channels]
    converted = frame.reformat(
        format=pixels, src_colorspace=_matrix_of(frame), interpolation=interpolation(), threads=1
    )
    levels: Any = converted.to_ndarray()
    alpha = None
    if has_alpha:
        alpha = levels[..., 3].astype(np.float32) / np.float32(np.iinfo(levels.dtype).max)
        levels = levels[..., :3]
    if is_deep:
        is_coded = not frame.format.is_rgb and len(frame.format.components) > 2
        levels = levels.astype(np.float32) / np.float32(_WHITE_OF_YCBCR if is_coded else 65535)
        np.minimum(levels, 1, out=levels)
    rgb = to_srgb(levels, profile_of_code_points(path, frame.color_primaries, frame.color_trc))
    if alpha is None or alpha.min() >= 1:
        return Picture(np.ascontiguousarray(turn.upright(rgb)))
    rgb = fill_hidden(rgb, alpha > 0)
    return Picture(np.ascontiguousarray(turn.upright(rgb)), np.ascontiguousarray(turn.upright(alpha)))


def interpolation() -> int:
    """Return FFmpeg's flags for exact conversions: bicubic chroma at full resolution, rounded accurately.

    By default, neighboring pixels would share their chroma.
    """
    from av.video.reformatter import Interpolation

    names = ("BICUBIC", "FULL_CHR_H_INT", "FULL_CHR_H_INP", "ACCURATE_RND")
    return sum(int(Interpolation[name]) for name in names)


def _matrix_of(frame: "VideoFrame") -> int:
    """Return FFmpeg's name of the matrix from YCbCr to RGB."""
    if frame.colorspace == _UNSPECIFIED:
        widest, highest = _LARGEST_SD
        return _BT601 if frame.width <= widest and frame.height <= highest else BT709
    return _MATRICES[frame.colorspace]


def geometry_of(path: Path, frame: "VideoFrame", pixel_aspect: Fraction | None) -> Geometry:
    """Return how the frames of a video are stored.

    Raises:
        ImageError: the display matrix turns by an angle that is no right angle.

    """
    from av.sidedata.sidedata import Type

    aspect = pixel_aspect or Fraction(1)
    notes: Any = frame.side_data
    for note in notes:
        if note.type == Type.DISPLAYMATRIX:
            a, b, u, c, d, v, x, y, w = np.frombuffer(bytes(note), np.int32)[:9].tolist()
            return Geometry(_turn_of(path, a, b, c, d), (a, b, u, c, d, v, x, y, w), aspect)
    return Geometry(UPRIGHT, None, aspect)


def _turn_of(path: Path, a: int, b: int, c: int, d: int) -> Turn:
    """Return the turn of a display matrix: a point (x, y) moves to (a x + c y, b x + d y)."""
    if a and d and not (b or c):
        return Turn(False, flips_rows=d < 0, flips_columns=a < 0)
    if b and c and not (a or d):
        return Turn(True, flips_rows=b < 0, flips_columns=c < 0)
    raise ImageError(
        f"{path} is shown turned by an angle that is no right angle; export it upright",
        path=path,
        kind=Kind.UNSUPPORTED,
    )
