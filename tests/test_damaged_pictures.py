"""Files that lack their end, or have damaged parts: read with a warning if their pixels are there, else refused."""

import io
import logging
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import chunk, painted
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.pictures import jpeg_file
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.pictures.metadata import NOTHING, read_metadata

END = b"\xff\xd9"


def jpeg(height: int = 160, width: int = 208, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    painted(height, width).convert(mode).save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def png(depth: int) -> bytes:
    levels = np.asarray(painted(40, 60), np.uint16) * (257 if depth == 16 else 1)
    return bytes(imagecodecs.png_encode(levels.astype(f"u{depth // 8}")))


def read(content: bytes, folder: Path) -> NDArray[np.float32]:
    path = folder / "picture"
    path.write_bytes(content)
    return read_picture(path).rgb


def refused(content: bytes, folder: Path) -> None:
    path = folder / "picture"
    path.write_bytes(content)
    with refuses(ImageError, kind=Kind.DAMAGED, path=path):
        read_picture(path)


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "nstyle")


KINDS: dict[str, dict[str, object]] = {
    "baseline": {},
    "4:4:4": {"subsampling": 0},
    "4:2:2": {"subsampling": 1},
    "grey": {"mode": "L"},
    "four inks": {"mode": "CMYK"},
    "optimized": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
    "restarts inside rows": {"restart_marker_blocks": 5},
    "progressive": {"progressive": True},
    "coarse": {"quality": 5},
    "fine": {"quality": 100},
}


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (160, 208)])
@pytest.mark.parametrize("kind", KINDS)
def test_an_intact_jpeg_is_read_as_by_pillow(
    kind: str, size: tuple[int, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = jpeg(*size, **KINDS[kind])  # type: ignore[arg-type]
    read_by_pillow = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    for file in (content, content + bytes(1000), content + b"\xff\xd8\xff" + content):
        np.testing.assert_array_equal(np.rint(read(file, tmp_path) * 255), read_by_pillow)
    np.testing.assert_array_equal(np.rint(read(content[:-2] + b"\xff\xff\xff" + END, tmp_path) * 255), read_by_pillow)
    assert not caplog.records


def test_flat_pictures_are_intact(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Their pixels take few bytes, and may have the color that marks missing ones."""
    for mode in ("L", "RGB"):
        for level in (0, 37, 201, 255):
            file = io.BytesIO()
            Image.new(mode, (64, 48), level if mode == "L" else (level, level, level)).save(file, "JPEG", quality=95)
            assert np.abs(read(file.getvalue(), tmp_path) * 255 - level).max() < 2
    assert not caplog.records


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [1, 2, 10, 40])
def test_a_jpeg_without_its_last_bytes_is_read_with_a_warning(
    kind: str, missing: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = jpeg(**KINDS[kind])  # type: ignore[arg-type]
    whole = read(content, tmp_path)
    cut = read(content[:-missing], tmp_path)
    assert len(caplog.records) == 1
    assert "lacks its last bytes" in caplog.text
    different = (np.abs(cut - whole).max(axis=-1) > 0.02).mean()
    assert different < (1e-9 if missing <= 2 else 0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_without_its_lower_half_is_refused(kind: str, tmp_path: Path) -> None:
    content = jpeg(**KINDS[kind])  # type: ignore[arg-type]
    refused(content[: len(content) // 2], tmp_path)
    if kind != "progressive":  # which is coarse then, not cut: see below
        refused(content[: len(content) // 2] + END, tmp_path)


def test_a_progressive_jpeg_without_its_last_scans(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The standard allows to leave out details, but no program does."""
    content = jpeg(progressive=True)
    read(content[: len(content) // 2] + END, tmp_path)
    assert "less detail" in caplog.text
    refused(content[: content.index(b"\xff\xda") + 40] + END, tmp_path)  # nothing but a part of the brightness


def test_a_jpeg_that_promises_more_rows_is_refused(tmp_path: Path) -> None:
    content = jpeg()
    promise = content.replace((160).to_bytes(2) + (208).to_bytes(2), (320).to_bytes(2) + (208).to_bytes(2), 1)
    assert promise != content
    refused(promise, tmp_path)
    promise = content.replace((160).to_bytes(2) + (208).to_bytes(2), (12000).to_bytes(2) * 2, 1)
    refused(promise, tmp_path)


@pytest.mark.parametrize("kind", ["baseline", "grey", "restarts"])
def test_a_jpeg_with_damaged_parts_says_so(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Damage that leaves valid data of the right length is beyond detection; most does not."""
    content = jpeg(**KINDS[kind])  # type: ignore[arg-type]
    start, noticed = content.index(b"\xff\xda") + 20, 0
    generator = np.random.default_rng(0)
    for _ in range(20):
        caplog.clear()
        at = int(generator.integers(start, len(content) - 600))
        damaged = content[:at] + generator.bytes(400) + content[at + 400 :]
        try:
            read(damaged, tmp_path)
            noticed += "damaged" in caplog.text
        except ImageError:
            noticed += 1
    assert noticed >= 17
    caplog.clear()
    at = len(content) * 9 // 10
    read(content[:at] + content[start:at] + content[at:], tmp_path)  # a part comes twice
    assert "damaged parts" in caplog.text


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_that_lacks_what_follows_its_pixels_is_read(
    depth: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = png(depth)
    whole = read(content, tmp_path)
    assert not caplog.records
    for missing in (1, 4, 12, 16):  # up to the checksum of the pixels
        caplog.clear()
        np.testing.assert_array_equal(read(content[:-missing], tmp_path), whole)
        assert "lacks its last bytes" in caplog.text
    for missing in (40, len(content) // 2):
        caplog.clear()
        refused(content[:-missing], tmp_path)
        assert not caplog.records  # nothing about pixels that are all there


LOSSLESS: dict[str, Callable[[Image.Image, Path], None]] = {
    "webp": lambda picture, path: picture.save(path, "WEBP", lossless=True),
    "tiff": lambda picture, path: picture.save(path, "TIFF"),
    "lzw": lambda picture, path: picture.save(path, "TIFF", compression="tiff_lzw"),
    "bmp": lambda picture, path: picture.save(path, "BMP"),
    "ppm": lambda picture, path: picture.save(path, "PPM"),
}


@pytest.mark.parametrize("form", LOSSLESS)
def test_other_formats_without_a_part_of_their_pixels_are_refused(form: str, tmp_path: Path) -> None:
    path = tmp_path / "whole"
    LOSSLESS[form](painted(40, 60), path)
    content = path.read_bytes()
    for missing in (300, len(content) // 2):
        refused(content[:-missing], tmp_path)


def test_a_jpeg_of_12_bits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(imagecodecs.jpeg8_encode(np.full((32, 32), 2000, np.uint16), bitspersample=12))
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


def test_a_jpeg_with_its_end_but_too_few_data_has_damaged_parts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = jpeg()
    at = len(content) // 2
    read(content[:at] + content[at + 400 :], tmp_path)
    assert "damaged parts" in caplog.text


def test_a_restart_marker_out_of_order_is_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = jpeg(restart_marker_rows=1)
    at = content.index(b"\xff\xd3", content.index(b"\xff\xda"))
    read(content[: at + 1] + b"\xd4" + content[at + 2 :], tmp_path)
    assert "damaged parts" in caplog.text


def test_a_jpeg_whose_header_alone_is_read_is_not_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(jpeg())
    assert read_recipe_text(path) is None
    assert not caplog.records


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("profile", [False, True])
def test_a_png_complains_once_and_only_if_it_is_decoded(
    depth: int, profile: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = png(depth)
    content = content[:33] + (chunk(b"sRGB", b"\0") if profile else b"") + content[33:-12]
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    assert read_recipe_text(path) is None
    assert read_metadata(path, credits_=True, place=True) == NOTHING
    assert not caplog.records
    read_picture(path)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_flat_part_in_the_color_of_the_mark_is_not_missing(
    mode: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for color in jpeg_file._UNWRITTEN:
        picture = painted(160, 208).convert(mode)
        picture.paste(color[0] if mode == "L" else color, (0, 80, 208, 160))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=100, subsampling=0)
        caplog.clear()
        read(file.getvalue()[:-5], tmp_path)
        assert "lacks its last bytes" in caplog.text


def test_notes_before_the_end_of_a_jpeg_are_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = jpeg()
    whole = read(content, tmp_path)
    notes = b"\xff\xfe\0\x06note" + b"\xff\xef\0\x04\xff\xd8"
    np.testing.assert_array_equal(read(content[:-2] + notes + END, tmp_path), whole)
    assert not caplog.records
    read(content[:-2] + notes, tmp_path)
    assert len(caplog.records) == 1
