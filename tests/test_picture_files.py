"""Picture files: transparent borders, writing, recipes, limits. test_picture_variants.py tests encodings."""

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import profiles
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import chunk, painted, png
from PIL import Image, ImageCms, ImageFilter
from refusals import refuses

from nstyle.errors import ImageError, Kind, OutputError
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.pictures.encode import write_picture
from nstyle.pictures.icc import SRGB_PROFILE, to_srgb
from nstyle.pictures.limits import MOST_PIXELS
from nstyle.pictures.picture import Picture, fill_hidden, resize, resize_picture, to_uint8, to_uint16
from nstyle.settings.groups import SAMPLES

RECIPE = json.dumps({"content_image": "photo.jpg", "settings": ["x" * 60] * 240})
WRITTEN = [("jpg", 8), ("png", 8), ("png", 16), ("tiff", 8), ("tiff", 16), ("webp", 8)]


def smooth(alpha: bool = False) -> Picture:
    """A picture of 48x32 pixels with more levels than 8 bits can hold, and alpha from 0 to 1."""
    y, x = np.mgrid[0:32, 0:48].astype(np.float32)
    rgb = np.stack([0.2 + x / 100, 0.3 + y / 100, 0.5 + (x - y) / 200], axis=-1).astype(np.float32)
    return Picture(rgb, np.clip((x - 8) / 32, 0, 1).astype(np.float32) if alpha else None)


def disc() -> Picture:
    """A red disc on a transparent background whose hidden color is green. Its edge is half transparent."""
    y, x = np.mgrid[0:80, 0:80]
    alpha = np.clip(30.5 - np.hypot(y - 39.5, x - 39.5), 0, 1).astype(np.float32)
    rgb = np.where(alpha[..., None] > 0, (0.9, 0.1, 0.1), (0, 1, 0))
    return Picture(rgb.astype(np.float32), alpha)


def test_nothing_of_what_is_transparent_is_read(tmp_path: Path) -> None:
    path = tmp_path / "disc.png"
    drawn = disc()
    assert drawn.alpha is not None
    Image.fromarray(to_uint8(np.dstack([drawn.rgb, drawn.alpha]))).save(path)
    picture = read_picture(path)
    np.testing.assert_allclose(picture.rgb, np.broadcast_to([0.9, 0.1, 0.1], picture.rgb.shape), atol=0.002)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, drawn.alpha, atol=0.002)


@pytest.mark.parametrize("size", [(40, 40), (27, 33), (160, 160), (200, 90)])
def test_resizing_mixes_no_transparent_color_into_visible_ones(size: tuple[int, int]) -> None:
    resized = resize_picture(disc(), *size)
    assert resized.rgb.shape == (*size, 3)
    assert resized.alpha is not None
    assert 0 <= resized.alpha.min() < 0.01
    assert 0.99 < resized.alpha.max() <= 1
    assert resized.rgb.dtype == resized.alpha.dtype == np.float32
    np.testing.assert_allclose(resized.rgb, np.broadcast_to([0.9, 0.1, 0.1], resized.rgb.shape), atol=1e-3)


def test_resizing_an_opaque_picture_is_resizing_its_colors() -> None:
    resized = resize_picture(smooth(), 20, 30)
    assert resized.alpha is None
    np.testing.assert_array_equal(resized.rgb, resize(smooth().rgb, 20, 30))


def test_what_is_hidden_gets_the_nearest_color() -> None:
    rgb = np.zeros((16, 20, 3), np.float32)
    rgb[2, 3], rgb[12, 18] = (1, 0.5, 0), (0, 0.5, 1)
    visible = rgb.max(axis=-1) > 0
    filled = fill_hidden(rgb.copy(), visible)
    np.testing.assert_array_equal(filled[0, 0], (1, 0.5, 0))
    np.testing.assert_array_equal(filled[15, 19], (0, 0.5, 1))
    np.testing.assert_array_equal(filled[visible], rgb[visible])
    assert fill_hidden(rgb, np.zeros_like(visible)) is rgb


def test_a_wholly_transparent_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nothing.png"
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(path)
    with refuses(ImageError, kind=Kind.MISSING, path=path):
        read_picture(path)


@pytest.mark.parametrize(("form", "bit_depth"), WRITTEN)
def test_a_file_whose_end_the_system_does_not_take_is_refused(form: str, bit_depth: int, tmp_path: Path) -> None:
    """As on a disk that becomes full. Pillow, writing a JPEG straight to a file, does not notice a part not taken."""
    resource = pytest.importorskip("resource")
    path = tmp_path / f"picture.{form}"
    write_picture(path, smooth(), bit_depth=bit_depth)
    whole, before = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) - 1, before[1]))
    try:
        with refuses(OutputError, kind=Kind.UNWRITABLE, path=path, flag="--output-dir"):
            write_picture(path, smooth(), bit_depth=bit_depth)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("profile", [None, SRGB_PROFILE, profiles.SRGB.profile()])
@pytest.mark.parametrize("form", ["png", "tiff", "webp", "bmp"])
def test_8_bits_in_srgb_are_read_bit_for_bit(form: str, profile: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form}"
    picture = painted(40, 60)
    picture.save(path, lossless=True, icc_profile=profile)
    np.testing.assert_array_equal(
        read_picture(path).rgb, np.asarray(picture, dtype=np.float32) / np.float32(255), strict=True
    )


def test_colors_outside_of_srgb_are_clipped() -> None:
    green = to_srgb(np.array([[[0, 255, 0]]], np.uint8), profiles.DISPLAY_P3.profile())
    np.testing.assert_allclose(green[0, 0], (0, 1, 0), atol=1e-6)


def test_a_profile_that_describes_nonsense_is_left_out() -> None:
    nonsense = bytearray(profiles.DISPLAY_P3.profile())
    nonsense[128:132] = struct.pack(">I", 9999)
    levels = np.array([[[10, 128, 255]]], np.uint8)
    np.testing.assert_allclose(to_srgb(levels, bytes(nonsense))[0, 0] * 255, (10, 128, 255))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("form", "bit_depth"), WRITTEN)
def test_what_is_written_is_read(form: str, bit_depth: int, alpha: bool, tmp_path: Path) -> None:
    path, again = tmp_path / f"picture.{form}", tmp_path / f"again.{form}"
    picture = smooth(alpha)
    for name in (path, again):
        write_picture(name, picture, bit_depth=bit_depth, recipe=RECIPE)
    assert path.read_bytes() == again.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [again.name, path.name]

    read = read_picture(path)
    tolerance = {8: 0.51 / 255, 16: 0.51 / 65535}[bit_depth]
    if picture.alpha is None:
        assert read.alpha is None
        np.testing.assert_allclose(read.rgb, picture.rgb, atol=4 / 255 if form == "jpg" else tolerance)
    elif form == "jpg":
        assert read.alpha is None
        on_white = picture.rgb * picture.alpha[..., None] + 1 - picture.alpha[..., None]
        np.testing.assert_allclose(read.rgb, on_white, atol=6 / 255)
    else:
        assert read.alpha is not None
        np.testing.assert_allclose(read.alpha, picture.alpha, atol=tolerance)
        visible = read.alpha > 0
        np.testing.assert_allclose(read.rgb[visible], picture.rgb[visible], atol=tolerance)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("form", "bit_depth"), WRITTEN)
def test_other_programs_read_what_is_written(form: str, bit_depth: int, alpha: bool, tmp_path: Path) -> None:
    """As read by Pillow: the format, alpha, an sRGB profile, no orientation, the size."""
    path = tmp_path / f"picture.{form}"
    write_picture(path, smooth(alpha), bit_depth=bit_depth, recipe=RECIPE)
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == {"jpg": "JPEG", "png": "PNG", "tiff": "TIFF", "webp": "WEBP"}[form]
        assert picture.mode == ("RGBA" if alpha and form != "jpg" else "RGB")
        assert picture.size == (48, 32)
        assert picture.getexif().get(0x0112, 1) == 1
        assert picture.info["icc_profile"] == SRGB_PROFILE
        if form == "jpg":
            assert picture.layer[0][1:3] == picture.layer[1][1:3] == (1, 1)  # type: ignore[attr-defined]  # 4:4:4
    name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(SRGB_PROFILE)))
    assert "sRGB" in name


def test_a_16_bit_tiff_is_read_by_tifffile(tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    picture = smooth(alpha=True)
    assert picture.alpha is not None
    write_picture(path, picture, bit_depth=16)
    np.testing.assert_array_equal(tifffile.imread(path), to_uint16(np.dstack([picture.rgb, picture.alpha])))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_of_paint_is_as_small_as_libpngs_own(dtype: type, tmp_path: Path) -> None:
    path, rgb = tmp_path / "paint.png", read_picture(SAMPLES / "vortices.jpg").rgb[:200, :200]
    write_picture(path, Picture(rgb), bit_depth=np.iinfo(dtype).bits)
    levels = to_uint8(rgb) if dtype is np.uint8 else to_uint16(rgb)
    assert path.stat().st_size < len(imagecodecs.png_encode(levels)) + 500  # the profile, compressed


def test_the_profile_is_the_same_at_any_time() -> None:
    assert struct.unpack(">6H", SRGB_PROFILE[24:36]) == (2000, 1, 1, 0, 0, 0)


@pytest.mark.parametrize(("form", "bit_depth"), [("jpg", 16), ("webp", 16), ("png", 12), ("tiff", 32)])
def test_depths_that_a_format_does_not_have(form: str, bit_depth: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{form} does not support {bit_depth} bits"):
        write_picture(tmp_path / f"picture.{form}", smooth(), bit_depth=bit_depth)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("form", "edge"), [("jpg", 65501), ("webp", 16384)])
def test_edges_that_a_format_does_not_have(form: str, edge: int, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form}"
    with refuses(OutputError, kind=Kind.OUT_OF_RANGE, path=path, flag="--image-format") as refused:
        write_picture(path, Picture(np.zeros((1, edge, 3), np.float32)))
    assert f"{edge - 1} pixels on an edge; choose " in str(refused.value)
    assert str(refused.value).endswith("png or tiff")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("form", "bit_depth"), WRITTEN)
@pytest.mark.parametrize("recipe", [None, "{}", RECIPE])
def test_the_recipe_is_read_from_what_was_written(
    recipe: str | None, form: str, bit_depth: int, tmp_path: Path
) -> None:
    path = tmp_path / f"picture.{form}"
    write_picture(path, smooth(), bit_depth=bit_depth, recipe=recipe)
    assert read_recipe_text(path) == recipe


@pytest.mark.parametrize("form", ["jpg", "png", "tiff", "webp", "gif", "heic", "avif"])
def test_the_words_of_others_are_no_recipe(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form}"
    exif = Image.Exif()
    exif[270] = "a photo"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a photo"
    if form == "heic":
        pillow_heif.from_pillow(painted(20, 20)).save(path, exif=exif.tobytes())
    else:
        painted(20, 20).save(path, exif=exif)
    assert read_recipe_text(path) is None


def test_a_recipe_in_what_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text("{}")
    with refuses(ImageError, kind=Kind.DAMAGED, path=path):
        read_recipe_text(path)
    with refuses(ImageError, kind=Kind.MISSING, path=tmp_path / "missing.png"):
        read_recipe_text(tmp_path / "missing.png")


def deep_png(width: int, height: int) -> bytes:
    return png(width, height, 16, 2, bytes(99))


def deep_tiff(width: int, height: int) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((16, 16, 3), np.uint16), photometric="rgb", metadata=None)
    content = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        for tag, value in ((256, width), (257, height)):
            entry = tiff.pages.first.tags[tag]
            content[entry.offset + 2 : entry.offset + 12] = struct.pack("<HII", 4, 1, value)
    return bytes(content)


@pytest.mark.parametrize("promise", [deep_png, deep_tiff])
def test_deep_pictures_that_promise_too_many_pixels(promise: object, tmp_path: Path) -> None:
    assert callable(promise)
    path = tmp_path / "huge"
    for width, height in ((MOST_PIXELS // 10000 + 1, 10000), (60000, 60000)):
        path.write_bytes(promise(width, height))
        with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=path):
            read_picture(path)


def test_a_file_that_is_larger_than_any_picture(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)  # needs no space on the disk
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=path):
        read_picture(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("missing", ["tiles", "bytes of a tile"])
def test_a_tiff_without_all_of_its_tiles(dtype: type, missing: str, tmp_path: Path) -> None:
    """Found by scripts/fuzz.py: 4 of half a million claimed tiles existed, the rest was read as 1.6 GB of black."""
    path = tmp_path / "holes.tiff"
    tifffile.imwrite(path, np.full((20, 40, 3), 99, dtype), photometric="rgb", tile=(16, 16), metadata=None)
    assert read_picture(path).rgb.shape == (20, 40, 3)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        if missing == "tiles":
            at, change = tiff.pages.first.tags["ImageWidth"].valueoffset, struct.pack("<H", 40000)
        else:
            at, change = tiff.pages.first.tags["TileByteCounts"].valueoffset, bytes(2)
    content[at : at + 2] = change
    path.write_bytes(content)
    with refuses(ImageError, kind=Kind.DAMAGED, path=path):
        read_picture(path)


def test_a_tiff_without_all_of_its_planes(tmp_path: Path) -> None:
    """Found by scripts/fuzz.py: one of three planes existed, and the others were uninitialized memory."""
    path = tmp_path / "holes.tiff"
    tifffile.imwrite(path, np.full((20, 40, 3), 99, np.uint16), photometric="rgb", compression="lzw", metadata=None)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages.first.tags["PlanarConfiguration"].valueoffset
    content[at : at + 2] = struct.pack("<H", 5)
    path.write_bytes(content)
    with refuses(ImageError, kind=Kind.DAMAGED, path=path):
        read_picture(path)


def test_a_picture_of_a_hundred_megapixels_is_nothing_to_warn_of(tmp_path: Path) -> None:
    """Cameras make such pictures. Pillow's own limit, half of ours, would raise an error in this process."""
    path = tmp_path / "large.png"
    path.write_bytes(png(12000, 8500, 8, 2, bytes(99), chunk(b"tEXt", b"nstyle\0{}")))
    assert read_recipe_text(path) == "{}"


def test_webp_keeps_the_colors_of_what_is_transparent(tmp_path: Path) -> None:
    path = tmp_path / "picture.webp"
    picture = smooth(alpha=True)
    write_picture(path, picture)
    with Image.open(path) as written:
        np.testing.assert_array_equal(np.asarray(written)[..., :3], to_uint8(picture.rgb))


@pytest.mark.parametrize("size", [(37, 21), (61, 130)])
def test_heic_of_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "picture.heic"
    picture = painted(*size).filter(ImageFilter.GaussianBlur(3))
    pillow_heif.from_pillow(picture).save(path, quality=95, chroma=444)
    rgb = read_picture(path).rgb
    assert rgb.shape == (*size, 3)
    assert np.abs(rgb * 255 - np.asarray(picture)).mean() < 3


def test_a_heic_of_high_dynamic_range_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hdr.heic"
    pillow_heif.from_pillow(painted(20, 20)).save(path, transfer_characteristics=16, color_primaries=9)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


def test_a_raw_photo_is_named(tmp_path: Path) -> None:
    path = tmp_path / "raw.dng"
    tifffile.imwrite(path, np.zeros((20, 20), np.uint16), photometric=32803, metadata=None)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), float("inf")])
def test_floating_point_of_unknown_scale_is_refused(value: float, tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    levels = np.full((20, 20, 3), 0.5, np.float32)
    levels[3, 4, 1] = value
    tifffile.imwrite(path, levels, photometric="rgb", metadata=None)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


def test_a_text_chunk_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    bomb = b"nstyle\0\1\0\0\0" + zlib.compress(bytes(2**25))
    path.write_bytes(png(20, 20, 8, 2, bytes(61 * 20), chunk(b"iTXt", bomb)))
    with refuses(ImageError, kind=Kind.DAMAGED, path=path):
        read_recipe_text(path)


MEASURE = """
import re, sys
from pathlib import Path
from typing import Any
from nstyle.pictures.decode import read_picture

def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

read_picture(Path(sys.argv[1]))
before = kilobytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
picture = read_picture(Path(sys.argv[2]))
print((kilobytes("VmHWM") - before) * 1024 / picture.rgb[..., 0].size)
"""


def bytes_a_pixel(small: Path, large: Path) -> float:
    """The peak memory of reading `large` in a process that has read `small` before."""
    line = [sys.executable, "-c", MEASURE, str(small), str(large)]
    return float(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


only_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of memory so"
)


@pytest.mark.parametrize(
    ("form", "bit_depth", "alpha", "profile", "bytes_per_pixel"),
    [
        ("png", 8, False, None, 24),
        ("png", 16, True, profiles.DISPLAY_P3.profile(), 40),
        ("tiff", 16, True, profiles.DISPLAY_P3.profile(), 40),
    ],
)
@only_linux
def test_memory_is_bounded_as_promised(
    form: str,
    bit_depth: int,
    alpha: bool,
    profile: bytes | None,
    bytes_per_pixel: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if profile is not None:
        monkeypatch.setattr("nstyle.pictures.encode.SRGB_PROFILE", profile)
    small, large = tmp_path / f"small.{form}", tmp_path / f"large.{form}"
    write_picture(small, smooth(alpha), bit_depth=bit_depth)
    rgb = np.zeros((2000, 3000, 3), np.float32)
    faint = np.zeros((2000, 3000), np.float32)
    faint[::2, ::2] = 0.5
    write_picture(large, Picture(rgb, faint if alpha else None), bit_depth=bit_depth)
    assert 12 < bytes_a_pixel(small, large) <= bytes_per_pixel


@only_linux
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("profile", [None, profiles.cmyk_profile()])
def test_memory_of_four_inks_is_bounded_as_promised(profile: bytes | None, dtype: type, tmp_path: Path) -> None:
    files = tmp_path / "small.tiff", tmp_path / "large.tiff"
    for path, shape in zip(files, ((32, 48, 4), (1600, 2000, 4)), strict=True):
        inks: NDArray[Any] = np.zeros(shape, dtype)
        tifffile.imwrite(path, inks, photometric="separated", iccprofile=profile, compression="zlib", metadata=None)
    assert 12 < bytes_a_pixel(*files) <= 40
