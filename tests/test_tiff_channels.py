"""TIFF files with more channels than colors, with levels of a sign, and in CIE L*a*b*."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import profiles
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.pictures.decode import read_picture

RGB = np.repeat(np.array([(220, 60, 70), (60, 200, 80), (50, 80, 210), (240, 220, 90)]), 6, axis=0)[None].repeat(
    20, 0
)
ALPHA, SPOT = 153, 51
COLORS = {"rgb": RGB, "minisblack": RGB[..., :1], "miniswhite": 255 - RGB[..., :1]}
COLORS["separated"] = np.concatenate([255 - RGB, np.zeros_like(RGB[..., :1])], axis=2)


def write(path: Path, photometric: str, extra: list[int], levels: list[int], depth: int, **options: Any) -> Path:
    """Write a TIFF with flat extra channels of these levels (0..255) and these kinds; kind 9: the tag is missing."""
    colors = COLORS[photometric]
    flat = np.broadcast_to(np.array(levels), (*colors.shape[:2], len(levels)))
    pixels = np.concatenate([colors, flat], axis=2) * (1 if depth == 8 else 257)
    kinds = [0 if kind == 9 else kind for kind in extra]
    stored = pixels.astype(np.uint8 if depth == 8 else np.uint16)
    tifffile.imwrite(path, stored, photometric=photometric, extrasamples=kinds, metadata=None, **options)
    if 9 in extra:
        rename_tag(path, 338, 337)
    return path


def rename_tag(path: Path, old: int, new: int) -> None:
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.tags[old].offset
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, offset, new)
    path.write_bytes(content)


# fmt: off
CASES: dict[str, tuple[str, list[int], list[int], int | None]] = {  # the last is the level of alpha
    "RGB, one unknown":           ("rgb",        [0],          [SPOT],                     None),
    "RGB, two unknown":           ("rgb",        [0, 0],       [SPOT, ALPHA],              None),
    "RGB, four unknown":          ("rgb",        [0, 0, 0, 0], [SPOT, ALPHA, SPOT, ALPHA], None),
    "RGB, alpha":                 ("rgb",        [2],          [ALPHA],                    ALPHA),
    "RGB, alpha, two unknown":    ("rgb",        [2, 0, 0],    [ALPHA, SPOT, SPOT],        ALPHA),
    "RGB, unknown, alpha":        ("rgb",        [0, 2],       [SPOT, ALPHA],              ALPHA),
    "RGB, two alphas":            ("rgb",        [2, 2],       [ALPHA, SPOT],              ALPHA),
    "RGB, one undeclared":        ("rgb",        [9],          [ALPHA],                    ALPHA),
    "RGB, two undeclared":        ("rgb",        [9, 9],       [ALPHA, SPOT],              None),
    "grey, one unknown":          ("minisblack", [0],          [SPOT],                     None),
    "grey, two unknown":          ("minisblack", [0, 0],       [SPOT, ALPHA],              None),
    "grey, alpha":                ("minisblack", [2],          [ALPHA],                    ALPHA),
    "grey, unknown, alpha":       ("minisblack", [0, 2],       [SPOT, ALPHA],              ALPHA),
    "grey, 0 is white, alpha":    ("miniswhite", [2],          [ALPHA],                    ALPHA),
    "grey, 0 is white, unknown":  ("miniswhite", [0, 0],       [SPOT, SPOT],               None),
    "CMYK, one unknown":          ("separated",  [0],          [SPOT],                     None),
    "CMYK, one undeclared":       ("separated",  [9],          [SPOT],                     None),
    "CMYK, alpha":                ("separated",  [2],          [ALPHA],                    ALPHA),
    "CMYK, four unknown":         ("separated",  [0, 0, 0, 0], [SPOT, SPOT, SPOT, SPOT],   None),
}
# fmt: on


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", CASES)
def test_extra_channels_are_alpha_or_left_out(name: str, depth: int, tmp_path: Path) -> None:
    photometric, extra, levels, alpha = CASES[name]
    picture = read_picture(write(tmp_path / "picture.tif", photometric, extra, levels, depth))
    expected = RGB / 255 if photometric in ("rgb", "separated") else RGB[..., :1] / 255
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(expected, RGB.shape), atol=1e-6)
    if alpha is None:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.alpha, alpha / 255, atol=1e-6)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("planes", [False, True])
def test_colors_multiplied_by_the_second_extra_channel(planes: bool, depth: int, tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    flat = np.broadcast_to([SPOT, ALPHA], (*RGB.shape[:2], 2))
    pixels = np.concatenate([np.rint(RGB * (ALPHA / 255)), flat], axis=2) / 255 * (2**depth - 1)
    stored: NDArray[Any] = pixels.astype(np.uint8 if depth == 8 else np.uint16)
    options: dict[str, Any] = {"planarconfig": "separate"} if planes else {}
    stored = np.moveaxis(stored, 2, 0) if planes else stored
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=[0, 1], metadata=None, **options)
    picture = read_picture(path)
    assert np.abs(picture.rgb * 255 - RGB).max() <= 1
    assert picture.alpha is not None


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.complex64, np.complex128])
@pytest.mark.parametrize("channels", [1, 3])
def test_levels_with_a_sign_and_complex_ones_are_refused(channels: int, dtype: type, tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    levels: NDArray[Any] = np.zeros((20, 20, channels), dtype)
    levels[:10] = -64
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(path, levels if channels == 3 else levels[..., 0], photometric=photometric, metadata=None)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize("depth", [8, 16])
def test_inks_other_than_cmyk_are_refused(depth: int, tmp_path: Path) -> None:
    path = write(tmp_path / "picture.tif", "separated", [], [], depth, extratags=[(332, 3, 1, 2, True)])
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize("axes", ["CYX", "ZYX"])
def test_colors_on_separate_pages_are_refused(axes: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    pages = np.moveaxis(RGB, 2, 0).astype(np.uint16)
    tifffile.imwrite(path, pages, imagej=True, metadata={"axes": axes})
    if axes == "CYX":
        with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
            read_picture(path)
    else:  # slices: the first is a picture
        np.testing.assert_allclose(read_picture(path).rgb[..., 0], pages[0] / 65535, atol=1e-6)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["cielab", "icclab"])
def test_lab(kind: str, depth: int, alpha: bool, tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    lab = profiles.lab(RGB / 255)
    unit = 2 ** (depth - 8)
    white = 0xFF00 if kind == "icclab" and depth == 16 else 2**depth - 1
    offset = 128 if kind == "icclab" else 0
    numbers = np.rint(
        np.stack([lab[..., 0] / 100 * white, *((lab[..., n] + offset) * unit for n in (1, 2))], axis=-1)
    )
    levels: NDArray[Any] = numbers.astype(np.int64).astype(np.uint8 if depth == 8 else np.uint16)
    if alpha:
        levels = np.concatenate([levels, np.full_like(levels[..., :1], ALPHA * (257 if depth == 16 else 1))], axis=2)
    extra = [2] if alpha else []
    tifffile.imwrite(path, levels, photometric=kind, extrasamples=extra, metadata=None)
    picture = read_picture(path)
    assert np.abs(picture.rgb * 255 - RGB).max() <= (0.3 if depth == 16 else 6.1)
    assert (picture.alpha is not None) == alpha


@pytest.mark.parametrize("compression", ["lerc", "jpegxl", "jpeg2000"])
@pytest.mark.parametrize("depth", [8, 16])
def test_compressions_that_pillow_lacks(depth: int, compression: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"compression": compression}
    if compression != "lerc":  # lossless
        options["compressionargs"] = {"level": 0, "lossless": True} if compression == "jpegxl" else {"level": 0}
    picture = read_picture(write(tmp_path / "picture.tif", "rgb", [], [], depth, **options))
    np.testing.assert_allclose(picture.rgb, RGB / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "CMYK", "LAB", "P", "1"])
def test_what_pillow_reads_is_read_as_it_does(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    picture = Image.fromarray(RGB.astype(np.uint8))
    (Image.frombytes("LAB", picture.size, picture.tobytes()) if mode == "LAB" else picture.convert(mode)).save(path)
    rgb = read_picture(path).rgb
    if mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        with Image.open(path) as stored:
            np.testing.assert_array_equal(rgb, np.asarray(stored.convert("RGB"), np.float32) / np.float32(255))
