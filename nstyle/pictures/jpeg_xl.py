"""The header of a JPEG XL file (ISO 18181-1 and -2): size, bit depth, channels and color space.

The decoder returns levels only, so the header must say what they mean.
"""

from dataclasses import dataclass
from pathlib import Path

from nstyle.errors import ImageError, Kind
from nstyle.pictures.color_encoding import (
    chromaticities_of,
    gamma_of,
    rgb_profile,
    unknown_color_space,
)
from nstyle.pictures.embedded_color import boxes_of_file

_HEAD = 4096  # bytes of a codestream that surely hold its header, unless a name is absurdly long
_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"

# U32 (ISO 18181-1, B.2.2): two bits choose one of four (offset, bits)
_Choices = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
_ENUM: _Choices = ((0, 0), (1, 0), (2, 4), (18, 6))
_EDGE: _Choices = ((1, 9), (1, 13), (1, 18), (1, 30))
_COORDINATE: _Choices = ((0, 19), (524_288, 19), (1_048_576, 20), (2_097_152, 21))
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}

_ALPHA, _SPOT_COLOR, _FILTER_ARRAY = 0, 2, 5  # types of extra channels
_GREY, _RGB = 1, 0  # color spaces
_LINEAR = 8  # imagecodecs, for one, calls all pictures of 16 bits linear, so the word means nothing
_CUSTOM = 2  # white point, primaries
_WHITES = {1: (0.3127, 0.3290), 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}  # D65, E, DCI


@dataclass
class JpegXlHeader:
    """What the header of a JPEG XL says.

    Attributes:
        width: in pixels, before the orientation.
        height: in pixels, before the orientation.
        bits: bits per channel.
        extra: type of each extra channel; 0 is alpha.
        multiplied: whether the colors are multiplied by alpha.
        profile: ICC profile; None for sRGB.

    """

    width: int
    height: int
    bits: int = 8
    extra: tuple[int, ...] = ()
    multiplied: bool = False
    profile: bytes | None = None


def is_jpeg_xl(head: bytes) -> bool:
    """Tell whether a file with this head (at least 12 bytes) is a JPEG XL."""
    return head.startswith((_CODESTREAM, _CONTAINER))


def read_header(path: Path) -> JpegXlHeader:
    """Read the header of a JPEG XL file.

    Raises:
        ImageError: the picture has high dynamic range, or a color space that we cannot convert.
        ValueError: the file is damaged.

    """
    with path.open("rb") as file:
        codestream = file.read(_HEAD)
    if not codestream.startswith(_CODESTREAM):
        whole, parts = boxes_of_file(path, b"jxlc", _HEAD), boxes_of_file(path, b"jxlp", _HEAD)
        codestream = (whole or [b""])[0] or b"".join(part[4:] for part in parts)  # each part begins with its number
    if not codestream.startswith(_CODESTREAM):
        raise ValueError("no codestream")
    return _Header(path, _Bits(codestream[2:])).read()


class _Bits:
    """The bits of a codestream, the lowest of each byte first."""

    def __init__(self, content: bytes) -> None:
        self._bits = int.from_bytes(content, "little")
        self._left = 8 * len(content)

    def take(self, count: int) -> int:
        """Return the next bits as a number."""
        self._left -= count
        if self._left < 0:
            raise ValueError("the header is truncated")
        number = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return number

    def choose(self, choices: _Choices) -> int:
        """Return a number of the type U32."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)


class _Header:
    """Reads the parts of a header in their order."""

    def __init__(self, path: Path, bits: _Bits) -> None:
        self._path = path
        self._bits = bits

    def read(self) -> JpegXlHeader:
        take = self._bits.take
        header = JpegXlHeader(*self._size())
        if take(1):  # all as usual
            return header
        if take(1):
            self._skip_extra_fields()
        header.bits = self._bit_depth()
        take(1)
        channels = [self._extra_channel() for _ in range(self._bits.choose(((0, 0), (1, 0), (2, 4), (1, 12))))]
        header.extra = tuple(kind for kind, _ in channels)
        header.multiplied = any(multiplied for _, multiplied in channels)
        take(1)
        header.profile = self._color()
        return header

    def _size(self) -> tuple[int, int]:
        """Read a SizeHeader: width and height."""
        take = self._bits.take
        small = take(1)
        height = (take(5) + 1) * 8 if small else self._bits.choose(_EDGE)
        ratio = take(3)
        if ratio:
            across, down = _RATIOS[ratio]
            return height * across // down, height
        return (take(5) + 1) * 8 if small else self._bits.choose(_EDGE), height

    def _skip_extra_fields(self) -> None:
        """Skip orientation, which the decoder applies, and the sizes of other views; refuse what is rarer."""
        take = self._bits.take
        take(3)
        if take(1):
            self._size()
        if take(1):
            raise ImageError(
                f"{self._path} has an embedded preview; save it as PNG", path=self._path, kind=Kind.UNSUPPORTED
            )
        if take(1):  # animation: ticks per second, loops, time codes
            self._bits.choose(((100, 0), (1000, 0), (1, 10), (1, 30)))
            self._bits.choose(((1, 0), (1001, 0), (1, 8), (1, 10)))
            self._bits.choose(((0, 0), (0, 3), (0, 16), (0, 32)))
            take(1)

    def _bit_depth(self) -> int:
        if self._bits.take(1):  # floating point
            bits = self._bits.choose(((32, 0), (16, 0), (24, 0), (1, 6)))
            self._bits.take(4)
            return bits
        return self._bits.choose(((8, 0), (10, 0), (12, 0), (1, 6)))

    def _extra_channel(self) -> tuple[int, bool]:
        """Read an ExtraChannelInfo: its type, and whether colors are multiplied by it."""
        take = self._bits.take
        if take(1):
            return _ALPHA, False
        kind = self._bits.choose(_ENUM)
        self._bit_depth()
        self._bits.choose(((0, 0), (3, 0), (4, 0), (1, 3)))
        take(8 * self._bits.choose(((0, 0), (0, 4), (16, 5), (48, 10))))  # its name
        multiplied = kind == _ALPHA and bool(take(1))
        if kind == _SPOT_COLOR:
            take(4 * 16)
        if kind == _FILTER_ARRAY:
            self._bits.choose(((1, 0), (0, 2), (3, 4), (19, 8)))
        return kind, multiplied

    def _color(self) -> bytes | None:
        """Read a ColorEncoding; its numbers are those of H.273, but 11 means the primaries of P3 with any white."""
        take = self._bits.take
        if take(1):
            return None
        if take(1):
            raise unknown_color_space(self._path, "an ICC profile in a JPEG XL")
        space = self._bits.choose(_ENUM)
        if space not in (_RGB, _GREY):
            raise unknown_color_space(self._path, "JPEG XL without RGB or grey")
        white_point = self._bits.choose(_ENUM)
        white = self._point() if white_point == _CUSTOM else _WHITES.get(white_point)
        primaries = self._bits.choose(_ENUM) if space == _RGB else 1
        if primaries == _CUSTOM:
            red, green, blue = self._point(), self._point(), self._point()
        else:
            _, _, *corners = chromaticities_of(self._path, primaries)
            red, green, blue = (corners[0], corners[1]), (corners[2], corners[3]), (corners[4], corners[5])
        if white is None:
            raise unknown_color_space(self._path, f"white point {white_point} of JPEG XL")
        if take(1):
            gamma: float | None = 10_000_000 / max(1, take(24))
        else:
            transfer = self._bits.choose(_ENUM)
            if transfer == _LINEAR:
                raise unknown_color_space(self._path, "a JPEG XL in linear light, as some programs call sRGB, too")
            gamma = gamma_of(self._path, transfer)
        return rgb_profile((*white, *red, *green, *blue), gamma)

    def _point(self) -> tuple[float, float]:
        """Read the coordinates of a color: millionths, with the sign in the lowest bit."""
        numbers = self._bits.choose(_COORDINATE), self._bits.choose(_COORDINATE)
        x, y = (-(number // 2) - 1 if number % 2 else number // 2 for number in numbers)
        return x / 1e6, y / 1e6
