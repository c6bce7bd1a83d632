"""Pictures of many megapixels: read at a reduced size, shrunk quickly, and below the limit exactly as ever."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import painted
from PIL import Image
from refusals import refuses
from scipy.ndimage import gaussian_filter
from skimage.transform import resize as skimage_resize

from nstyle.errors import ImageError, Kind
from nstyle.painting.prepare import prepare
from nstyle.painting.sizes import longest_edge
from nstyle.pictures.decode import read_picture
from nstyle.pictures.limits import LARGE, LONGEST_EDGE_READ, reduction
from nstyle.pictures.picture import resize
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

    monkeypatch.setattr("nstyle.painting.prepare.read_picture", reading)
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
