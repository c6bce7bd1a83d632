"""Pictures of many megapixels: read at a reduced size, shrunk quickly, and below the limit exactly as ever.

And written without copies of the whole picture.
"""

import io
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import painted
from PIL import Image
from refusals import refuses
from scipy.ndimage import gaussian_filter
from skimage.transform import resize as skimage_resize

from nstyle.errors import ImageError, Kind
from nstyle.networks.model_space import to_model_space
from nstyle.painting.finish import SHRINKING_BYTES, Finish
from nstyle.painting.prepare import prepare
from nstyle.painting.sizes import longest_edge
from nstyle.pictures.decode import read_picture
from nstyle.pictures.encode import write_picture
from nstyle.pictures.limits import LARGE, LONGEST_EDGE_READ, reduction
from nstyle.pictures.picture import Picture, resize, resize_picture, to_uint8, to_uint16
from nstyle.settings.config import Config

PHONE = 16320, 12240  # 200 megapixels
HALF = 12000, 9000  # 108 megapixels
CAMERA = 9504, 6336  # 60 megapixels


@pytest.mark.parametrize(
    ("size", "edge", "expected"),
    [
        (CAMERA, 16, 1),
        (CAMERA, None, 1),
        (HALF, None, 1),
        (HALF, 600, 4),  # 2250 pixels on the shorter edge; an eighth would have 1125, less than twice 600
        (HALF, 562, 8),
        (HALF, 2250, 2),
        (HALF, 2251, 1),
        (PHONE, 600, 8),
        (PHONE, 1000, 4),
        (PHONE, None, 2),
        (PHONE, 16000, 2),  # more is more than the limit
        ((12240, 16320), 600, 8),
        ((LONGEST_EDGE_READ, 1000), 600, 1),
    ],
)
def test_how_much_a_jpeg_is_reduced(size: tuple[int, int], edge: int | None, expected: int) -> None:
    assert reduction(*size, edge) == expected


def test_what_is_made_from_a_picture() -> None:
    assert longest_edge(Config(max_long_edge=500)) == 500
    assert longest_edge(Config(max_long_edge=500, style_scale=1.501)) == 751
    assert longest_edge(Config(max_long_edge=500, style_scale=0.5)) == 500


def photo(height: int, width: int, mode: str = "RGB", **options: object) -> bytes:
    """A JPEG of smooth colors: what a decoder may change by reducing is small."""
    file = io.BytesIO()
    small = painted(12, 16).convert(mode)
    small.resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", **{"quality": 95, **options})
    return file.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}, {"mode": "CMYK"}])
def test_a_large_jpeg_is_read_at_a_reduced_size(
    options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo(481, 643, **options))
    whole = read_picture(path, 20)
    assert whole.size == (481, 643)
    monkeypatch.setattr("nstyle.pictures.limits.LARGE", 300_000)
    for edge, size in ((30, (61, 81)), (60, (121, 161)), (120, (241, 322)), (121, (481, 643)), (None, (481, 643))):
        reduced = read_picture(path, edge)
        assert reduced.size == size
        assert (
            np.abs(resize(reduced.rgb, 12, 16) - resize(whole.rgb, 12, 16)).mean() < 3 / 255
        )  # a reduced picture is smoothed a little less


def test_a_large_jpeg_is_turned_and_its_damage_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nstyle.pictures.limits.LARGE", 300_000)
    exif = Image.Exif()
    exif[0x0112] = 6
    path, content = tmp_path / "photo.jpg", photo(480, 640, exif=exif)
    path.write_bytes(content)
    assert read_picture(path, 30).size == (80, 60)
    assert not caplog.records
    path.write_bytes(content[:-2])
    assert read_picture(path, 30).size == (80, 60)
    assert "lacks its last bytes" in caplog.text
    path.write_bytes(content[: len(content) * 2 // 3] + content[-2:])
    with refuses(ImageError, kind=Kind.DAMAGED, path=path):
        read_picture(path, 30)


def test_a_painting_is_prepared_from_a_reduced_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    content, style = tmp_path / "photo.jpg", tmp_path / "style.jpg"
    content.write_bytes(photo(480, 640))
    style.write_bytes(photo(400, 400))
    sizes = []

    def reading(path: Path, edge: int) -> object:
        picture = read_picture(path, edge)
        sizes.append(picture.size)
        return picture

    monkeypatch.setattr("nstyle.painting.session.read_picture", reading)
    monkeypatch.setattr("nstyle.pictures.limits.LARGE", 300_000)
    config = Config(content_image=content, style_image=style, model="filters", max_long_edge=64)
    assert prepare(config, torch.device("cpu"), torch.float32).size == (64, 48)
    assert sizes == [(240, 320), (400, 400)]


@pytest.mark.parametrize("shape", [(60, 90, 3), (61, 90, 3), (60, 90), (1, 7, 3)])
@pytest.mark.parametrize("size", [(20, 30), (60, 90), (100, 151), (13, 200), (1, 1)])
def test_ordinary_pictures_are_resized_as_skimage_does(size: tuple[int, int], shape: tuple[int, ...]) -> None:
    levels = np.random.default_rng(0).random(shape, dtype=np.float32)
    np.testing.assert_array_equal(resize(levels, *size), skimage_resize(levels, size))
    assert CAMERA[0] * CAMERA[1] <= LARGE


@pytest.mark.parametrize("size", [(60, 80), (43, 71), (100, 20), (9, 400), (300, 30)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_large_pictures_are_shrunk_nearly_the_same(
    channels: tuple[int, ...], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks and a weaker filter smooth as much as the filter alone."""
    noise = np.random.default_rng(0).random((1201, 1601, *channels), dtype=np.float32)
    smooth = resize(np.random.default_rng(1).random((30, 40, *channels), dtype=np.float32), 1201, 1601)
    for levels in (noise, smooth):
        with monkeypatch.context() as patch:
            patch.setattr("nstyle.pictures.picture.LARGE", 1_000_000)
            quick = resize(levels, *size)
        slow = resize(levels, *size)
        assert quick.shape == slow.shape
        assert quick.dtype == np.float32
        difference = np.abs(quick - slow)[1:-1, 1:-1]
        assert difference.mean() < 0.5 / 255
        assert difference.max() < 3 / 255


def test_a_large_picture_is_averaged_before_it_is_filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter takes 25 seconds for 108 megapixels; its work is what it gets times its width."""
    seen = []

    def spy(levels: NDArray[np.float32], sigma: tuple[float, ...], **options: str) -> NDArray[np.float32]:
        seen.append((levels.shape, max(sigma)))
        filtered: NDArray[np.float32] = gaussian_filter(levels, sigma, **options)
        return filtered

    monkeypatch.setattr("nstyle.pictures.picture.gaussian_filter", spy)
    monkeypatch.setattr("nstyle.pictures.picture.LARGE", 1_000_000)
    resize(np.zeros((1200, 1600, 3), np.float32), 60, 80)
    (shape, sigma), *_ = seen
    assert shape == (200, 266, 3)
    assert sigma < 2


def test_a_picture_beyond_all_limits_is_refused_in_our_words(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    content = bytearray(photo(48, 64))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = (60000).to_bytes(2) * 2
    path.write_bytes(content)
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=path):
        read_picture(path)
    canvas = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + (16383).to_bytes(3, "little") * 2
    path.write_bytes(b"RIFF" + (len(canvas) + 4).to_bytes(4, "little") + b"WEBP" + canvas)
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=path) as refused:
        read_picture(path)
    assert "bomb" not in str(refused.value)


def noise(height: int, width: int, *, alpha: bool = False) -> Picture:
    levels = np.random.default_rng(0).random((height, width, 4), dtype=np.float32) * np.float32(1.2) - np.float32(0.1)
    return Picture(levels[..., :3].copy(), levels[..., 3].copy() if alpha else None)


def bytes_a_pixel(work: Callable[[], object], pixels: int) -> float:
    """The peak of what Python and numpy allocate, with the result of `work`, for each pixel."""
    tracemalloc.start()
    try:
        kept = work()
        return tracemalloc.get_traced_memory()[1] / pixels
    finally:
        tracemalloc.stop()
        del kept


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(
    ("form", "bit_depth"), [("jpg", 8), ("png", 8), ("png", 16), ("tiff", 8), ("tiff", 16), ("webp", 8)]
)
def test_strips_change_no_byte_of_a_file(
    form: str, bit_depth: int, alpha: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, whole, path = noise(70, 90, alpha=alpha), tmp_path / f"whole.{form}", tmp_path / f"strips.{form}"
    write_picture(whole, picture, bit_depth=bit_depth)
    monkeypatch.setattr("nstyle.pictures.strips.STRIP", 1000)
    write_picture(path, picture, bit_depth=bit_depth)
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bit_depth", [8, 16])
def test_a_tiff_has_tiles(bit_depth: int, alpha: bool, tmp_path: Path) -> None:
    picture, path = noise(300, 520, alpha=alpha), tmp_path / "picture.tiff"
    write_picture(path, picture, bit_depth=bit_depth)
    levels = picture.rgb if picture.alpha is None else np.dstack([picture.rgb, picture.alpha])
    levels = (to_uint8 if bit_depth == 8 else to_uint16)(levels)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages.first.tile == (256, 256)
        np.testing.assert_array_equal(tiff.asarray(), levels)
    if bit_depth == 8:  # of 16, Pillow keeps 8
        np.testing.assert_array_equal(np.asarray(Image.open(path)), levels)
    read = read_picture(path)
    np.testing.assert_array_equal(read.rgb[read.alpha > 0] if read.alpha is not None else read.rgb, shown(levels))


def shown(levels: NDArray[np.uint8 | np.uint16]) -> NDArray[np.float32]:
    """The colors of the visible pixels, as they are read."""
    visible = levels[..., 3] > 0 if levels.shape[2] == 4 else slice(None)
    return levels[visible][..., :3].astype(np.float32) / np.float32(np.iinfo(levels.dtype).max)


@pytest.mark.parametrize(("most", "signature"), [(2 * 256 * 256 * 6, b"II*\0"), (2 * 256 * 256 * 6 - 1, b"II+\0")])
def test_a_tiff_that_may_be_too_large_is_a_bigtiff(
    most: int, signature: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.tiff"
    monkeypatch.setattr("nstyle.pictures.encode.LARGEST_CLASSIC_TIFF", most)
    write_picture(path, noise(100, 300), bit_depth=16)
    assert path.read_bytes()[:4] == signature


@pytest.mark.parametrize(
    ("form", "bit_depth", "most"), [("tiff", 16, 1.5), ("tiff", 8, 1.5), ("jpg", 8, 2.5), ("png", 8, 13)]
)
def test_a_picture_is_written_without_copies_of_it(form: str, bit_depth: int, most: float, tmp_path: Path) -> None:
    """JPEG and PNG are encoded in memory; Pillow's and libpng's own arrays are not counted."""
    picture = noise(3000, 2000, alpha=True)
    assert (
        bytes_a_pixel(lambda: write_picture(tmp_path / f"p.{form}", picture, bit_depth=bit_depth), 6_000_000) < most
    )


FINISHES = [
    {},
    {"preserve_colors": "luma"},
    {"preserve_colors": "covariance"},
    {"preserve_colors": "histogram"},
    {"mask": np.linspace(0, 1, 70 * 90, dtype=np.float32).reshape(70, 90), "grey": True},
]


@pytest.mark.parametrize("options", FINISHES)
def test_strips_change_no_bit_of_a_finished_picture(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    content, image = noise(70, 90, alpha=True), to_model_space(noise(70, 90).rgb[::-1])
    content = Picture(content.rgb.clip(0, 1), None if content.alpha is None else content.alpha.clip(0, 1))
    finish = Finish(content, **options)
    whole = finish(image, 0).rgb
    monkeypatch.setattr("nstyle.pictures.strips.STRIP", 1000)
    np.testing.assert_array_equal(finish(image, 0).rgb, whole)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, 14),
        ({"grey": True}, 20),
        ({"mask": np.full((1500, 1000), 0.5, np.float32)}, 20),
        ({"preserve_colors": "luma"}, 24),
        ({"preserve_colors": "covariance"}, 90),
    ],
)
def test_a_picture_is_finished_without_copies_of_it(options: dict[str, Any], most: float) -> None:
    """The picture itself has 12 bytes a pixel, and strips of this one up to 8."""
    content, image = noise(1500, 1000), to_model_space(noise(1500, 1000).rgb[::-1])
    assert 12 <= bytes_a_pixel(lambda: Finish(content, **options)(image, 0), 1_500_000) < most


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_strips_change_no_bit_of_what_is_read(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.tiff"
    levels = to_uint8(
        noise(70, 90, alpha=True).rgb if mode != "RGBA" else np.dstack([noise(70, 90).rgb] * 2)[..., :4]
    )
    Image.fromarray(levels).convert(mode).save(path)
    whole = read_picture(path)
    monkeypatch.setattr("nstyle.pictures.strips.STRIP", 1000)
    read = read_picture(path)
    np.testing.assert_array_equal(read.rgb, whole.rgb)
    assert (read.alpha is None) == (mode != "RGBA")


@pytest.mark.parametrize(("mode", "most"), [("RGB", 18), ("L", 16), ("CMYK", 28), ("RGBA", 34)])
def test_a_picture_is_read_without_copies_of_it(mode: str, most: float, tmp_path: Path) -> None:
    """Pillow's own arrays are not counted; what hides pixels of an RGBA needs a map of them."""
    path = tmp_path / "picture.tiff"
    levels = np.zeros((1500, 1000, len(mode)), np.uint8)
    levels[::3] = 255
    Image.fromarray(levels[..., 0] if mode == "L" else levels, mode).save(path)
    read_picture(path)
    assert 12 < bytes_a_pixel(lambda: read_picture(path), 1_500_000) < most


def test_a_picture_of_the_wanted_size_is_not_copied() -> None:
    picture = Picture(noise(60, 90).rgb.clip(0, 1))
    np.testing.assert_array_equal(skimage_resize(picture.rgb, (60, 90)), picture.rgb)
    assert resize_picture(picture, 60, 90).rgb is picture.rgb


def test_a_start_needs_no_copies_of_its_picture() -> None:
    rgb = noise(1500, 1000).rgb
    assert bytes_a_pixel(lambda: to_model_space(rgb), 1_500_000) < 13


def test_a_picture_is_shrunk_without_copies_of_it() -> None:
    """The image has 12 bytes a pixel, the shrunk one 6, a channel 4 and 2. As many are Pillow's, and not counted."""
    content, image = noise(1061, 707), to_model_space(noise(1500, 1000).rgb[::-1])
    for seamless in (False, True):
        finish = Finish(content, seamless=seamless)
        most = bytes_a_pixel(partial(finish, image, 0), 1_500_000)
        assert most + 6 < SHRINKING_BYTES
        assert most < 26
