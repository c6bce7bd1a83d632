"""Pictures of every kind: orientation, colors, round trips, sizes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from pictures import png
from PIL import Image
from refusals import refuses
from skimage.restoration import denoise_tv_chambolle

from nstyle.errors import ImageError, Kind
from nstyle.networks.model_space import MEAN_RGB, from_model_space, to_model_space
from nstyle.pictures.decode import read_picture
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture, denoise, fit_long_edge, resize, to_uint8

# Four flat quarters, so that rotation, mirroring and swapped channels are visible; 40x24 pixels.
QUARTERS = {(0, 0): (220, 30, 40), (0, 1): (40, 200, 60), (1, 0): (30, 60, 210), (1, 1): (240, 220, 50)}


def quarters() -> Image.Image:
    picture = Image.new("RGB", (40, 24))
    for (row, column), color in QUARTERS.items():
        picture.paste(color, (20 * column, 12 * row, 20 * column + 20, 12 * row + 12))
    return picture


def centres(path: Path) -> dict[tuple[int, int], tuple[float, ...]]:
    """The colors (0 to 255) at the middle of each quarter of the picture as read."""
    rgb = read_picture(path).rgb
    assert rgb.dtype == np.float32
    assert rgb.shape == (24, 40, 3)
    return {(r, c): tuple(rgb[6 + 12 * r, 10 + 20 * c] * 255) for r, c in QUARTERS}


def grey(color: tuple[int, ...]) -> tuple[float, ...]:
    red, green, blue = color
    return (0.299 * red + 0.587 * green + 0.114 * blue,) * 3


def save_16_bit_grey(path: Path) -> None:
    levels = np.asarray(quarters().convert("L"), dtype=np.uint16) * 257
    Image.fromarray(levels).save(path)


def save_16_bit_rgb(path: Path) -> None:
    levels = np.asarray(quarters(), dtype=">u2") * 257
    path.write_bytes(png(40, 24, 16, 2, b"".join(b"\0" + line.astype(">u2").tobytes() for line in levels)))


def save_bilevel(path: Path) -> None:
    quarters().convert("1", dither=Image.Dither.NONE).save(path)


def save_with_alpha(path: Path) -> None:
    picture = quarters()
    picture.putalpha(51)
    picture.save(path)


def save_transparent_palette(path: Path) -> None:
    picture = quarters().quantize(5)
    picture.info["transparency"] = picture.getpixel((0, 0))
    picture.save(path)


def save_animated(path: Path) -> None:
    quarters().save(path, save_all=True, append_images=[Image.new("RGB", (40, 24), "black")] * 2)


def save_float(path: Path) -> None:
    Image.fromarray(np.asarray(quarters().convert("L"), dtype=np.float32) / 255).save(path)


def save_rotated(orientation: int, undo: Image.Transpose) -> Callable[[Path], None]:
    """As from a rotated camera: the pixels are stored rotated, and a tag says so."""

    def save(path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        quarters().transpose(undo).save(path, exif=exif, quality=95, subsampling=0)

    return save


def plain(mode: str, **options: Any) -> Callable[[Path], None]:
    return lambda path: quarters().convert(mode).save(path, **options)


KINDS: dict[str, tuple[str, Callable[[Path], None], Callable[[tuple[int, ...]], tuple[float, ...]], float]] = {
    "rgb png": ("png", plain("RGB"), tuple, 0.01),
    "rgb jpeg": ("jpg", plain("RGB", quality=95), tuple, 8),
    "rgb webp": ("webp", plain("RGB", lossless=True), tuple, 0.01),
    "rgb tiff": ("tiff", plain("RGB"), tuple, 0.01),
    "rgb bmp": ("bmp", plain("RGB"), tuple, 0.01),
    "png named jpg": ("jpg", lambda path: quarters().save(path, format="PNG"), tuple, 0.01),
    "grey": ("png", plain("L"), grey, 1),
    "grey jpeg": ("jpg", plain("L", quality=95), grey, 4),
    "16-bit grey png": ("png", save_16_bit_grey, grey, 1),
    "16-bit grey tiff": ("tiff", save_16_bit_grey, grey, 1),
    "16-bit rgb png": ("png", save_16_bit_rgb, tuple, 0.01),
    "float tiff": ("tiff", save_float, grey, 1),
    "bilevel": ("png", save_bilevel, lambda c: (255.0 * (grey(c)[0] > 127),) * 3, 0.01),
    "palette": ("png", lambda path: quarters().quantize(8).save(path), tuple, 2),
    "palette gif": ("gif", lambda path: quarters().quantize(8).save(path), tuple, 2),
    "cmyk jpeg": ("jpg", plain("CMYK", quality=95), tuple, 8),
    "cmyk tiff": ("tiff", plain("CMYK"), tuple, 2),
    "rgba": ("png", save_with_alpha, tuple, 0.01),
    "grey and alpha": ("png", plain("LA"), grey, 1),
    "animated gif": ("gif", save_animated, tuple, 3),
    "animated webp": ("webp", save_animated, tuple, 16),
    "turned right": ("jpg", save_rotated(6, Image.Transpose.ROTATE_90), tuple, 8),
    "turned left": ("jpg", save_rotated(8, Image.Transpose.ROTATE_270), tuple, 8),
    "upside down": ("jpg", save_rotated(3, Image.Transpose.ROTATE_180), tuple, 8),
    "mirrored": ("jpg", save_rotated(2, Image.Transpose.FLIP_LEFT_RIGHT), tuple, 8),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_every_kind_are_read_the_right_way_up_in_the_right_colors(kind: str, tmp_path: Path) -> None:
    suffix, save, expected, tolerance = KINDS[kind]
    path = tmp_path / f"picture.{suffix}"
    save(path)
    for quarter, color in centres(path).items():
        np.testing.assert_allclose(color, expected(QUARTERS[quarter]), atol=tolerance, err_msg=str(quarter))


def test_what_is_transparent_in_a_palette_has_its_neighbours_color(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    save_transparent_palette(path)
    colors = centres(path)
    np.testing.assert_allclose(colors[0, 0], QUARTERS[1, 0], atol=2)
    np.testing.assert_allclose(colors[1, 1], QUARTERS[1, 1], atol=2)
    alpha = read_picture(path).alpha
    assert alpha is not None
    np.testing.assert_array_equal(alpha[::12, ::20], [[0, 1], [1, 1]])


@pytest.mark.parametrize(
    ("size", "long_edge", "expected"),
    [
        ((1000, 1500), 600, (400, 600)),
        ((1500, 1000), 600, (600, 400)),
        ((300, 451), 600, (399, 600)),
        ((50, 50), 600, (600, 600)),
        ((333, 500), 100, (66, 100)),
    ],
)
def test_long_edge(size: tuple[int, int], long_edge: int, expected: tuple[int, int]) -> None:
    assert fit_long_edge(*size, long_edge) == expected


def test_resize_stretches_and_keeps_flat_colors() -> None:
    rgb = np.full((30, 50, 3), (0.2, 0.5, 0.9), dtype=np.float32)
    resized = resize(rgb, 80, 20)
    assert resized.shape == (80, 20, 3)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, np.broadcast_to(rgb[0, 0], resized.shape), atol=1e-6)


def test_model_space_is_rgb_in_0_to_255_minus_the_mean() -> None:
    rgb = np.zeros((2, 3, 3), dtype=np.float32)
    rgb[1, 2] = (1.0, 0.5, 0.25)
    image = to_model_space(rgb)
    assert image.shape == (1, 3, 2, 3)
    assert image.dtype == torch.float32
    expected = np.array([255.0, 127.5, 63.75]) - MEAN_RGB
    np.testing.assert_allclose(image[0, :, 1, 2], expected, rtol=1e-5)


def test_every_level_survives_reading_and_writing(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = np.stack([levels, levels.T, levels[::-1]], axis=-1)
    source, copy = tmp_path / "source.png", tmp_path / "copy.png"
    Image.fromarray(picture).save(source)
    write_picture(copy, Picture(from_model_space(to_model_space(read_picture(source).rgb))))
    np.testing.assert_array_equal(np.asarray(Image.open(copy)), picture)


def test_what_lies_outside_of_the_range_is_clipped() -> None:
    image = torch.full((1, 3, 16, 16), 1000.0)
    image[..., 0] = -1000.0
    rgb = from_model_space(image)
    assert rgb.min() == 0
    assert rgb.max() == 1
    assert set(np.unique(to_uint8(rgb))) == {0, 255}


@pytest.mark.parametrize(("suffix", "form"), [("jpg", "JPEG"), ("png", "PNG"), ("tiff", "TIFF")])
def test_formats(suffix: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{suffix}"
    rgb = np.asarray(quarters(), dtype=np.float32) / np.float32(255)
    write_picture(path, Picture(rgb))
    with Image.open(path) as picture:
        assert picture.format == form
        assert np.abs(np.asarray(picture, dtype=float) / 255 - rgb).mean() < 0.02
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_denoising_smooths_and_weight_0_does_not() -> None:
    generator = np.random.default_rng(0)
    noisy = np.clip(0.5 + 0.1 * generator.standard_normal((32, 32, 3)), 0, 1).astype(np.float32)
    assert denoise(noisy, 0) is noisy
    smooth = denoise(noisy.copy(), 0.1)
    assert smooth.std() < noisy.std() / 2
    assert smooth.mean() == pytest.approx(float(noisy.mean()), abs=1e-3)
    assert denoise(noisy.copy(), 0.3).std() < smooth.std()


@pytest.mark.parametrize("weight", [1e-5, 0.02, 0.3, 1000])
@pytest.mark.parametrize("shape", [(41, 60, 3), (1, 9, 3)])
def test_denoising_is_skimages_to_the_bit(shape: tuple[int, int, int], weight: float) -> None:
    noisy = np.random.default_rng(0).random(shape, dtype=np.float32)
    np.testing.assert_array_equal(denoise(noisy.copy(), weight), denoise_tv_chambolle(noisy, weight, channel_axis=-1))


def test_denoise_smooths_a_seamless_picture_across_its_edges() -> None:
    noisy = np.random.default_rng(0).random((20, 24, 3), dtype=np.float32)
    smooth, moved = (denoise(x, 0.1, seamless=True) for x in (noisy, np.roll(noisy, (10, 12), (0, 1))))
    assert np.abs(np.roll(smooth, (10, 12), (0, 1)) - moved).max() < 0.03
    smooth, moved = (denoise(x, 0.1) for x in (noisy, np.roll(noisy, (10, 12), (0, 1))))
    assert np.abs(np.roll(smooth, (10, 12), (0, 1)) - moved).max() > 0.1


def test_grey_levels_of_unknown_scale_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "heights.tiff"
    Image.fromarray(np.full((20, 20), 1234.5, dtype=np.float32)).save(path)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
@given(data=st.data())
@settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_files_are_image_errors_or_pictures(form: str, tmp_path: Path, data: st.DataObject) -> None:
    """Random changes of bytes give a picture or an `ImageError`, and nothing else."""
    source = tmp_path / "source"
    quarters().save(source, format=form)
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))]
    damaged = tmp_path / hashlib.sha256(content).hexdigest()
    damaged.write_bytes(content)
    try:
        rgb = read_picture(damaged).rgb
    except ImageError:
        return
    assert rgb.ndim == 3
    assert 0 <= rgb.min() <= rgb.max() <= 1
