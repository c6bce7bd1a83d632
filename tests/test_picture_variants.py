"""One scene in every encoding that users' files have. Each file must decode to exactly this scene.

Each row of the table is a file that is made here: its format, channels, bits per channel, EXIF
orientation, color profile, and alpha. The scene is always the same: four flat quarters of different colors, so that
rotation, mirroring and swapped channels show, and below them a grey ramp whose steps are finer than 8 bits.
"""

import logging
import os
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pillow_heif
import profiles
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import chunk, png
from PIL import Image

from nstyle.errors import ImageError
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_text import read_recipe_text

HEIGHT, WIDTH, RAMP = 32, 48, 24  # the ramp begins at this row
HALVES = (slice(0, 12), slice(12, 24)), (slice(0, 24), slice(24, 48))
COLORS = {(0, 0): (220, 60, 70), (0, 1): (60, 200, 80), (1, 0): (50, 80, 210), (1, 1): (240, 220, 90)}
STEPS = WIDTH  # of the ramp, each an eighth of an 8-bit level
GARBAGE = (1.0, 0.0, 1.0)  # the color that the file has in transparent areas
HIDDEN, FAINT = (0, 1), (1, 0)  # the transparent and the half transparent quarter, if there is alpha
FAINT_ALPHA = 102 / 255


def scene() -> profiles.Floats:
    """The scene as sRGB levels, H x W x 3, 0 to 1."""
    levels = np.empty((HEIGHT, WIDTH, 3))
    for (row, column), color in COLORS.items():
        levels[HALVES[0][row], HALVES[1][column]] = np.array(color) / 255
    levels[RAMP:] = (120 / 255 + np.arange(STEPS) / 255 / 8)[None, :, None]
    return levels


def grey_scene() -> profiles.Floats:
    """The scene's luma as sRGB levels, H x W x 1."""
    luma: profiles.Floats = scene() @ np.array([[0.299], [0.587], [0.114]])
    return luma


def scene_alpha() -> profiles.Floats:
    alpha = np.ones((HEIGHT, WIDTH))
    alpha[HALVES[0][HIDDEN[0]], HALVES[1][HIDDEN[1]]] = 0
    alpha[HALVES[0][FAINT[0]], HALVES[1][FAINT[1]]] = FAINT_ALPHA
    return alpha


@dataclass(frozen=True)
class Variant:
    """A file of the table. `mode` is L, LA, RGB, RGBA, CMYK, LAB, P, 1 or W (grey, 0 is white)."""

    form: str
    mode: str = "RGB"
    depth: int = 8
    orientation: int = 1
    profile: str = ""
    alpha: str = ""  # "straight", "associated" (premultiplied), "opaque" (all 1), "key" (one color)
    tolerance: float = 0.51  # in levels of 8 bits
    options: str = ""

    def __str__(self) -> str:
        words = (self.form, self.mode, f"{self.depth} bits", f"turned {self.orientation}", self.profile, self.alpha)
        return ", ".join(word for word in (*words, self.options) if word and word != "turned 1")

    @property
    def grey(self) -> bool:
        return self.mode in ("L", "LA", "W")


JPEG, HEIC, AVIF = 9.0, 6.0, 6.0  # tolerance of lossy formats in the middle of a quarter
FINE = 0.01  # levels of 8 bits: 16 bits have steps of 0.004
PROFILED = 0.05  # rounding of the profile's numbers, which have 16 fractional bits

# fmt: off
VARIANTS = [
    # format    mode    depth turned profile     alpha         tolerance
    *[Variant("jpeg", orientation=turned, tolerance=JPEG) for turned in range(1, 9)],
    *[Variant("png", orientation=turned) for turned in (1, 2, 6)],
    *[Variant("png", "RGBA", 16, turned, "", "straight", FINE) for turned in range(2, 9)],
    *[Variant("tiff", "RGB", 16, turned, "", "", FINE) for turned in range(2, 9)],
    *[Variant("tiff", "RGBA", 8, turned, "", "straight") for turned in (3, 5, 8)],
    *[Variant("webp", "RGBA", 8, turned, "", "straight") for turned in (1, 4, 6)],
    *[Variant("heic", orientation=turned, tolerance=HEIC) for turned in (1, 3, 6, 8)],
    *[Variant("avif", orientation=turned, tolerance=AVIF) for turned in (1, 2, 6, 7)],
    Variant("png",  "RGB",  16, 1, "",         "",           FINE),
    Variant("png",  "L",     8),
    Variant("png",  "L",    16, 1, "",         "",           FINE),
    Variant("png",  "LA",    8, 1, "",         "straight"),
    Variant("png",  "LA",   16, 5, "",         "straight",   FINE),
    Variant("png",  "RGBA",  8, 1, "",         "straight"),
    Variant("png",  "RGBA",  8, 1, "",         "opaque"),
    Variant("png",  "RGBA", 16, 1, "",         "opaque",     FINE),
    Variant("png",  "RGB",   8, 1, "",         "key"),
    Variant("png",  "RGB",  16, 1, "",         "key",        FINE),
    Variant("png",  "P",     8, 1, "",         "",           3),
    Variant("png",  "P",     8, 6, "",         "key",        3),
    Variant("png",  "1"),
    Variant("png",  "RGB",   8, 1, "srgb",     "",           0.51),
    Variant("png",  "RGB",   8, 1, "p3",       "",           2),
    Variant("png",  "RGB",  16, 6, "p3",       "",           PROFILED),
    Variant("png",  "RGBA", 16, 8, "adobe",    "straight",   PROFILED),
    Variant("png",  "RGB",  16, 1, "prophoto", "",           PROFILED),
    Variant("png",  "L",     8, 1, "grey",     "",           2),
    Variant("png",  "L",    16, 1, "grey",     "",           PROFILED),
    Variant("png",  "LA",   16, 3, "grey",     "straight",   PROFILED),
    Variant("tiff", "L",    16, 1, "adobe",    "",           PROFILED),  # an RGB format
    Variant("png",  "RGB",   8, 1, "damaged"),
    Variant("png",  "RGB",  16, 1, "grey for rgb", "",       FINE),
    Variant("jpeg", "L",     8, 6, "",         "",           JPEG),
    Variant("jpeg", "L",     8, 1, "srgb for grey", "",      JPEG),
    Variant("jpeg", "RGB",   8, 6, "p3",       "",           JPEG),
    Variant("jpeg", "RGB",   8, 1, "adobe",    "",           JPEG),
    Variant("jpeg", "CMYK",  8, 1, "",         "",           JPEG),
    Variant("jpeg", "CMYK",  8, 6, "press",    "",           JPEG),
    Variant("tiff", "RGB",   8),
    Variant("tiff", "RGB",   8, 1, "p3",       "",           2),
    Variant("tiff", "RGB",  16, 1, "prophoto", "",           PROFILED),
    Variant("tiff", "RGB",  16, 1, "",         "",           FINE, "planes"),
    Variant("tiff", "RGB",  16, 1, "",         "",           FINE, "big-endian"),
    Variant("tiff", "RGB",  16, 1, "",         "",           FINE, "tiles"),
    Variant("tiff", "RGB",  16, 1, "",         "",           FINE, "lzw"),
    Variant("tiff", "RGB",  16, 1, "",         "",           FINE, "bigtiff"),
    Variant("tiff", "RGBA", 16, 1, "",         "straight",   FINE),
    Variant("tiff", "RGBA", 16, 1, "adobe",    "straight",   PROFILED),
    Variant("tiff", "RGBA", 16, 6, "",         "associated", FINE),
    Variant("tiff", "RGBA",  8, 1, "",         "associated", 1.6),
    Variant("tiff", "RGBA", 32, 1, "",         "associated", FINE),
    Variant("tiff", "LA",   16, 1, "",         "straight",   FINE),
    Variant("tiff", "L",     8),
    Variant("tiff", "L",    16, 8, "",         "",           FINE),
    Variant("tiff", "W",     8),
    Variant("tiff", "W",    16, 1, "",         "",           FINE),
    Variant("tiff", "L",    32, 1, "",         "",           FINE),
    Variant("tiff", "RGB",  32, 1, "",         "",           FINE),
    Variant("tiff", "RGB",  32, 6, "p3",       "",           PROFILED),
    Variant("tiff", "CMYK",  8, 1, "",         "",           2),
    Variant("tiff", "CMYK",  8, 3, "press",    "",           4),
    Variant("tiff", "CMYK", 16, 1, "",         "",           FINE),
    Variant("tiff", "CMYK", 16, 1, "press",    "",           2),
    Variant("tiff", "LAB",   8, 1, "",         "",           6.1),
    Variant("webp", "RGB",   8),
    Variant("webp", "RGB",   8, 6, "p3",       "",           2),
    Variant("heic", "RGB",   8, 6, "p3",       "",           HEIC),
    Variant("heic", "RGBA",  8, 1, "",         "straight",   HEIC),
    Variant("heic", "RGB",  10, 1, "",         "",           0.2),
    Variant("heic", "RGB",  12, 1, "",         "",           0.05),
    Variant("heic", "L",     8, 1, "",         "",           HEIC),
    Variant("avif", "RGBA",  8, 1, "",         "straight",   AVIF),
    Variant("avif", "RGB",   8, 6, "p3",       "",           AVIF),
    Variant("gif",  "P",     8, 1, "",         "",           3),
    Variant("gif",  "P",     8, 1, "",         "key",        3),
    Variant("bmp",  "RGB"),
    Variant("tga",  "RGBA",  8, 1, "",         "straight"),
    Variant("ppm",  "RGB"),
    Variant("ppm",  "L",    16, 1, "",         "",           FINE),
    Variant("jp2",  "RGB"),
    Variant("qoi",  "RGBA",  8, 1, "",         "straight"),
]
# fmt: on

PROFILES: dict[str, Callable[[], bytes]] = {
    "srgb": profiles.SRGB.profile,
    "srgb for grey": profiles.SRGB.profile,
    "p3": profiles.DISPLAY_P3.profile,
    "adobe": profiles.ADOBE_RGB.profile,
    "prophoto": profiles.PROPHOTO.profile,
    "grey": profiles.grey_profile,
    "grey for rgb": profiles.grey_profile,
    "press": profiles.cmyk_profile,
    "damaged": lambda: profiles.DISPLAY_P3.profile()[:200],
}
SPACES = {"p3": profiles.DISPLAY_P3, "adobe": profiles.ADOBE_RGB, "prophoto": profiles.PROPHOTO}
UNDO: dict[int, Callable[[Any], Any]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, -1),
}
"""What a camera that is held so sees of the scene: the pixels as they lie in the file."""


def levels_of(variant: Variant) -> NDArray[Any]:
    """The file's levels as stored, before rotation: H x W x C, uint8, uint16 or float32."""
    levels = grey_scene() if variant.grey else scene()
    if variant.profile in SPACES:
        levels = SPACES[variant.profile].from_srgb(np.broadcast_to(levels, scene().shape))[..., : levels.shape[2]]
    elif variant.profile == "grey":
        levels = profiles.decode_srgb(levels) ** (1 / profiles.GREY_GAMMA)
    if variant.mode == "CMYK":
        levels = profiles.inks(profiles.decode_srgb(levels) if variant.profile else levels)
    elif variant.mode == "W":
        levels = 1 - levels
    if variant.alpha in ("straight", "associated", "key"):
        levels[scene_alpha() == 0] = GARBAGE[: levels.shape[2]]
    if variant.alpha == "associated":
        levels *= scene_alpha()[..., None]
    if variant.alpha in ("straight", "associated", "opaque"):
        alpha = np.ones_like(scene_alpha()) if variant.alpha == "opaque" else scene_alpha()
        levels = np.concatenate([levels, alpha[..., None]], axis=2)
    levels = np.ascontiguousarray(UNDO[variant.orientation](levels))
    if variant.mode == "LAB":
        return np.rint(profiles.lab(levels) * (2.55, 1, 1)).astype(int).astype(np.uint8)  # a and b are signed
    if variant.depth == 32:
        return levels.astype(np.float32)
    whole: NDArray[Any] = np.rint(levels * (2**variant.depth - 1))
    return whole.astype(np.uint8 if variant.depth == 8 else np.uint16)


def exif_of(variant: Variant) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = variant.orientation
    return exif.tobytes()


def make_png(variant: Variant, path: Path) -> None:
    if variant.mode in ("P", "1"):
        make_by_pillow(variant, path)
        return
    levels = levels_of(variant)
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[levels.shape[2]]
    lines = b"".join(b"\0" + line.astype(f">u{variant.depth // 8}").tobytes() for line in levels)
    chunks = b""
    if variant.profile:
        chunks += chunk(b"iCCP", b"profile\0\0" + zlib.compress(PROFILES[variant.profile]()))
    if variant.orientation != 1:
        chunks += chunk(b"eXIf", exif_of(variant).removeprefix(b"Exif\0\0"))
    if variant.alpha == "key":
        chunks += chunk(b"tRNS", (np.array(GARBAGE) * (2**variant.depth - 1)).astype(">u2").tobytes())
    path.write_bytes(png(levels.shape[1], levels.shape[0], variant.depth, color_type, lines, chunks))


def make_tiff(variant: Variant, path: Path) -> None:
    levels = levels_of(variant)
    photometric = {"L": "minisblack", "W": "miniswhite", "C": "separated", "R": "rgb"}[variant.mode[0]]
    photometric = "cielab" if variant.mode == "LAB" else photometric
    options: dict[str, Any] = {}
    if variant.alpha:
        options["extrasamples"] = ["assocalpha" if variant.alpha == "associated" else "unassalpha"]
    if variant.orientation != 1:
        options["extratags"] = [(0x0112, 3, 1, variant.orientation, True)]
    if variant.profile:
        options["iccprofile"] = PROFILES[variant.profile]()
    special: dict[str, dict[str, Any]] = {
        "": {},
        "planes": {"planarconfig": "separate"},
        "big-endian": {"byteorder": ">"},
        "tiles": {"tile": (16, 16), "compression": "zlib", "predictor": True},
        "lzw": {"compression": "lzw"},
        "bigtiff": {"bigtiff": True},
    }
    if variant.options == "planes":
        levels = np.moveaxis(levels, 2, 0)
    elif levels.shape[2] == 1:
        levels = levels[..., 0]
    tifffile.imwrite(path, levels, photometric=photometric, metadata=None, **options, **special[variant.options])


def make_heic(variant: Variant, path: Path) -> None:
    levels = levels_of(variant)
    height, width, _ = levels.shape
    if variant.depth > 8:
        levels = levels << (16 - variant.depth)
    mode = variant.mode + (";16" if variant.depth > 8 else "")
    heif = pillow_heif.from_bytes(mode, (width, height), levels.tobytes())
    options: dict[str, Any] = {"exif": exif_of(variant)}  # libheif rotates, and Pillow's plugin leaves the EXIF tag
    if variant.profile:
        options["icc_profile"] = PROFILES[variant.profile]()
    pillow_heif.options.SAVE_HDR_TO_12_BIT = variant.depth == 12
    if variant.mode != "L":
        options["chroma"] = 444
    if variant.depth > 8:
        options |= {"quality": -1, "matrix_coefficients": 0}  # lossless RGB
    heif.save(path, **{"quality": 95, **options})


SAVING: dict[str, dict[str, Any]] = {
    "jpeg": {"subsampling": 0},
    "webp": {"lossless": True, "exact": True},
    "avif": {"subsampling": "4:4:4"},
}


def make_by_pillow(variant: Variant, path: Path) -> None:
    levels = levels_of(variant)
    if variant.mode in ("P", "1"):
        picture = Image.fromarray(levels)
        picture = picture.quantize(64) if variant.mode == "P" else picture.convert("1", dither=Image.Dither.NONE)
    elif variant.depth == 16:
        picture = Image.fromarray(levels[..., 0])
    else:
        picture = Image.frombytes(variant.mode, levels.shape[1::-1], levels.tobytes())
    options: dict[str, Any] = {"quality": 95}
    if variant.alpha == "key":
        options["transparency"] = picture.getpixel((int(WIDTH * 0.75), 6) if variant.orientation == 1 else (6, 10))
    if variant.orientation != 1:
        options["exif"] = exif_of(variant)
    if variant.profile:
        options["icc_profile"] = PROFILES[variant.profile]()
    picture.save(path, **options, **SAVING.get(variant.form, {}))


MAKERS = {"png": make_png, "tiff": make_tiff, "heic": make_heic}


def expected_rgb(variant: Variant) -> profiles.Floats:
    if variant.mode == "1":
        return np.repeat((grey_scene() > 127.5 / 255).astype(float), 3, axis=2)
    return np.repeat(grey_scene(), 3, axis=2) if variant.grey else scene()


def settled(quantity: NDArray[Any], lossy: bool) -> NDArray[Any]:
    """The part to compare: everything, or for lossy formats the middle 6 x 12 pixels of each quarter."""
    if not lossy:
        return quantity
    rows, columns = np.r_[3:9, 15:21], np.r_[6:18, 30:42]
    middle: NDArray[Any] = quantity[np.ix_(rows, columns)]
    return middle


def state_of_the_process() -> tuple[object, ...]:
    """State that other threads share, which a library must not change: standard error, warnings, loggers."""
    loggers = [logging.getLogger(name) for name in ("", "PIL", "tifffile", "imagecodecs", "pillow_heif")]
    return (
        (os.fstat(2).st_dev, os.fstat(2).st_ino),
        tuple(warnings.filters),
        warnings.showwarning,
        [(log.disabled, log.level, log.propagate, tuple(log.handlers), tuple(log.filters)) for log in loggers],
    )


@dataclass(frozen=True)
class Outcome:
    """The result of reading a file, in a comparable form, and the process-wide state at that moment."""

    picture: bytes | None
    refused: str | None
    text: str
    state: tuple[object, ...]


def outcome_of(path: Path) -> Outcome:
    pixels, refused = None, None
    try:
        picture = read_picture(path)
        pixels = b"".join(array.tobytes() for array in (picture.rgb, picture.alpha) if array is not None)
        text = str(read_recipe_text(path))
    except ImageError as error:
        refused = text = f"{error.kind}, {error.path}: {error}"
    return Outcome(pixels, refused, text, state_of_the_process())


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_files_are_read_in_threads_as_one_after_the_other(action: Literal["error", "ignore"], tmp_path: Path) -> None:
    """Valid and damaged files, with any filter of warnings. No thread is affected by another's reading."""
    warnings.simplefilter(action)
    paths = []
    for number, variant in enumerate(VARIANTS):
        path = tmp_path / f"{number}.{variant.form}"
        MAKERS.get(variant.form, make_by_pillow)(variant, path)
        whole = path.read_bytes()
        damaged, cut = (tmp_path / f"{number}_{word}.{variant.form}" for word in ("damaged", "cut"))
        middle = len(whole) // 2
        damaged.write_bytes(whole[:middle] + bytes([255]) * 30 + whole[middle + 30 :])
        cut.write_bytes(whole[: len(whole) * 2 // 3])
        paths += [path, damaged, cut]
    before = state_of_the_process()
    expected = [outcome_of(path) for path in paths]
    assert all(outcome.state == before for outcome in expected)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            assert list(threads.map(outcome_of, paths)) == expected
    assert state_of_the_process() == before
    refused = [outcome.refused is not None for outcome in expected]
    assert not any(refused[::3])
    assert sum(refused[1::3]) > 20
    assert sum(refused[2::3]) > 50


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_scene_comes_out_of_every_file(variant: Variant, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{variant.form}"
    MAKERS.get(variant.form, make_by_pillow)(variant, path)
    picture = read_picture(path)
    rgb, expected = picture.rgb, expected_rgb(variant)
    assert rgb.dtype == np.float32
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    lossy = variant.form in ("jpeg", "heic", "avif") and variant.depth == 8

    if variant.alpha in ("", "opaque"):
        assert picture.alpha is None
        alpha = np.ones((HEIGHT, WIDTH))
    else:
        assert picture.alpha is not None
        alpha = (scene_alpha() > 0).astype(float) if variant.alpha == "key" else scene_alpha()
        assert picture.alpha.dtype == np.float32
        tolerance = 2 / 255 if lossy else 1e-6
        np.testing.assert_allclose(settled(picture.alpha, lossy), settled(alpha, lossy), atol=tolerance)

    visible = settled(alpha, lossy) > 0
    difference = np.abs(settled(rgb, lossy) - settled(expected, lossy))[visible].max() * 255
    assert difference <= variant.tolerance

    if (alpha == 0).any() and not lossy:  # the hidden color is that of the quarter on the left, or of the one below
        hidden, beside = rgb[alpha == 0], np.stack([expected[0, 0], expected[RAMP - 1, -1]])
        difference = np.abs(hidden[:, None] - beside).max(axis=-1).min(axis=-1).max() * 255
        assert difference <= variant.tolerance

    steps = len(np.unique(rgb[HEIGHT - 2, :, 0]))
    if variant.depth >= 12:
        assert steps == STEPS
    elif variant.depth == 10:
        assert steps >= STEPS / 2 - 1
    else:
        assert steps <= STEPS / 8 + 2 or variant.profile or lossy
