"""JPEG XL files: their header is written bit by bit here, before the pixels of a file from imagecodecs."""

import contextlib
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import profiles
import pytest
from numpy.typing import NDArray
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.pictures.jpeg_xl import _Bits, _Header

RGB = np.repeat(np.array([(220, 60, 70), (60, 200, 80), (50, 80, 210), (240, 220, 90)]), 10, axis=0)[None].repeat(
    24, 0
)
P3, OLD_MAC = profiles.DISPLAY_P3, profiles.Space(profiles.SRGB.primaries, profiles.D65, 1.8)
Field = tuple[int, int]  # a number and its bits


def enum(number: int) -> list[Field]:
    if number < 2:
        return [(number, 2)]
    return [(2, 2), (number - 2, 4)] if number < 18 else [(3, 2), (number - 18, 6)]


def point(x: float, y: float) -> list[Field]:
    fields: list[Field] = []
    for coordinate in (x, y):
        number = round(coordinate * 1e6) * 2
        offset, bits = max(choice for choice in ((0, 19), (2**19, 19), (2**20, 20)) if choice[0] <= number)
        fields += [((0, 2**19, 2**20).index(offset), 2), (number - offset, bits)]
    return fields


def color(primaries: int, transfer: int, white: int = 1) -> list[Field]:
    return [(0, 1), (0, 1), (0, 2), *enum(white), *enum(primaries), (0, 1), *enum(transfer), *enum(1)]


CUSTOM_P3 = [(0, 1), (0, 1), (0, 2), *enum(2), *point(*profiles.D65), *enum(2)]
CUSTOM_P3 += [field for corner in P3.primaries for field in point(*corner)]
CUSTOM_P3 += [(0, 1), *enum(13), *enum(1)]
GAMMA = [(0, 1), (0, 1), (0, 2), *enum(1), *enum(1), (1, 1), (5_555_556, 24), *enum(1)]
ICC = [(0, 1), (1, 1), (0, 2)]


def packed(fields: Iterable[Field]) -> bytes:
    total = bits = 0
    for number, count in fields:
        total |= number << bits
        bits += count
    return total.to_bytes(-(-bits // 8), "little")


class Counted(_Bits):
    """Counts the bits of a header that are read."""

    taken = 0

    def take(self, count: int) -> int:
        self.taken += count
        return super().take(count)


def frames_of(levels: NDArray[Any]) -> bytes:
    """Encode levels without loss, and return what follows the header."""
    encoded = bytes(imagecodecs.jpegxl_encode(levels, lossless=True, usecontainer=False))
    encoded = encoded[encoded.index(b"\xff\x0a") + 2 :]
    bits = Counted(encoded)
    with contextlib.suppress(ImageError):  # it calls 16 bits linear
        _Header(Path("lossless"), bits).read()
    if levels.dtype == np.uint16:
        bits.take(2)  # the rendering intent
    return encoded[-(-(bits.taken + 3) // 8) :]


def write(path: Path, levels: NDArray[Any], colors: list[Field], turned: int = 1, bits: int | None = None) -> Path:
    """Write levels (24 x 40 x C, uint8 or uint16) with this header, and nothing unusual in the rest of it."""
    bits = bits or 8 * levels.dtype.itemsize
    fields: list[Field] = [(1, 1), (24 // 8 - 1, 5), (0, 3), (40 // 8 - 1, 5), (0, 1)]
    fields += [(0, 1)] if turned == 1 else [(1, 1), (turned - 1, 3), (0, 3)]
    fields += [(0, 1), (0, 2)] if bits == 8 else [(0, 1), (3, 2), (bits - 1, 6)]
    fields += [(0, 1), (levels.shape[2] - 3, 2), *[(1, 1)] * (levels.shape[2] - 3), (0, 1), *colors]
    fields += [] if turned == 1 else [(1, 1)]
    path.write_bytes(b"\xff\x0a" + packed([*fields, (0, 2), (1, 1)]) + frames_of(levels))
    return path


def whole(levels: NDArray[Any], depth: int) -> NDArray[Any]:
    counts: NDArray[Any] = np.rint(levels * (2**depth - 1))
    return counts.astype(np.uint8 if depth == 8 else np.uint16)


# fmt: off
COLORS = {
    "usual":               (profiles.SRGB, [(1, 1)]),
    "sRGB":                (profiles.SRGB, color(1, 13)),
    "BT.709":              (profiles.SRGB, color(1, 1)),
    "Display P3":          (P3,            color(11, 13)),
    "P3 by chromaticities": (P3,           CUSTOM_P3),
    "gamma 1.8":           (OLD_MAC,       GAMMA),
}
# fmt: on


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", COLORS)
def test_colors_are_converted_as_the_header_says(name: str, depth: int, tmp_path: Path) -> None:
    space, fields = COLORS[name]
    path = write(tmp_path / "picture.jxl", whole(space.from_srgb(RGB / 255), depth), fields)
    assert np.abs(read_picture(path).rgb * 255 - RGB).max() <= (0.2 if depth == 16 else 3)


@pytest.mark.parametrize("fields", [color(9, 16), color(9, 18), color(1, 8), color(1, 17), ICC, color(1, 13, 5)])
def test_colors_that_cannot_be_converted_are_refused(fields: list[Field], tmp_path: Path) -> None:
    path = write(tmp_path / "picture.jxl", whole(RGB / 255, 8), fields)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


def test_transparency_and_orientation(tmp_path: Path) -> None:
    alpha = np.full((24, 40, 1), 153, np.uint8)
    path = write(tmp_path / "picture.jxl", np.concatenate([whole(RGB / 255, 8), alpha], axis=2), [(1, 1)], turned=6)
    picture = read_picture(path)
    np.testing.assert_allclose(picture.rgb, np.rot90(RGB, -1) / 255, atol=1e-6)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, 153 / 255, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12])
def test_depths_between_8_and_16(bits: int, tmp_path: Path) -> None:
    path = write(tmp_path / "picture.jxl", whole(RGB / 255, bits).astype(np.uint16), [(1, 1)], bits=bits)
    assert np.abs(read_picture(path).rgb * 255 - RGB).max() <= 255 / 2**bits


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_files_of_the_library(channels: int, container: bool, lossless: bool, tmp_path: Path) -> None:
    levels = np.concatenate([RGB, np.full((24, 40, 1), 153)], axis=2).astype(np.uint8)
    levels = levels[..., 4 - channels :] if channels < 3 else levels[..., :channels]
    path = tmp_path / "picture.jxl"
    how: dict[str, Any] = {"lossless": True} if lossless else {"level": 95}
    path.write_bytes(imagecodecs.jpegxl_encode(levels, usecontainer=container, **how))
    picture = read_picture(path)
    assert (picture.alpha is not None) == (channels in (2, 4))
    expected = np.broadcast_to(levels[..., :3] if channels > 2 else levels[..., :1], RGB.shape)
    difference = np.abs(picture.rgb * 255 - expected)
    assert (difference.max() if lossless else difference.mean()) <= (0.01 if lossless else 8)


def test_a_container_in_parts(tmp_path: Path) -> None:
    path = write(tmp_path / "picture.jxl", whole(RGB / 255, 8), [(1, 1)])
    content, boxes = path.read_bytes(), b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
    for number, part in ((0, content[:3]), (0x80000001, content[3:])):
        boxes += struct.pack(">I4sI", 12 + len(part), b"jxlp", number) + part
    path.write_bytes(boxes)
    np.testing.assert_allclose(read_picture(path).rgb, RGB / 255, atol=1e-6)


def test_no_recipe_in_it(tmp_path: Path) -> None:
    for fields in ([(1, 1)], ICC):  # colors do not matter
        assert read_recipe_text(write(tmp_path / "picture.jxl", whole(RGB / 255, 8), fields)) is None


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "picture.jxl", whole(RGB / 255, 8), color(11, 13))
    content = path.read_bytes()
    for length in (*range(2, 12), len(content) // 2, len(content) - 4):
        path.write_bytes(content[:length])
        with refuses(ImageError, kind=Kind.DAMAGED, path=path):
            read_picture(path)


def test_a_size_above_the_limit_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "picture.jxl"
    path.write_bytes(b"\xff\x0a" + packed([(0, 1), (3, 2), (2**30 - 1, 30), (1, 3), (1, 1)]) + bytes(40))
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=path):
        read_picture(path)
