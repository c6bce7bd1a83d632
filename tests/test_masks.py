"""Masks: levels read from pictures, and the statistics that masks keep."""

from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.pictures.color_transfer import grey
from nstyle.pictures.masks import composite, rounded, to_mask
from nstyle.pictures.picture import Picture, to_uint8
from nstyle.pictures.style_fit import Frame


def picture(height: int, width: int, level: float = 1) -> Picture:
    return Picture(np.full((height, width, 3), level, dtype=np.float32))


def test_levels_are_the_greys() -> None:
    levels = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    mask = to_mask(Picture(grey(levels)), picture(40, 60), "mask.png", "content.png")
    np.testing.assert_array_equal(mask, levels)


def test_what_is_transparent_is_black() -> None:
    alpha = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    mask = to_mask(Picture(picture(20, 30).rgb, alpha), picture(20, 30), "mask.png", "content.png")
    np.testing.assert_array_equal(mask, alpha)


@pytest.mark.parametrize("size", [(20, 30), (40, 60), (200, 301), (41, 61)])
def test_another_size_will_do(size: tuple[int, int]) -> None:
    to_mask(picture(*size), picture(20, 30), "mask.png", "content.png")


@pytest.mark.parametrize("size", [(30, 20), (20, 31), (21, 30), (60, 60)])
def test_another_shape_will_not(size: tuple[int, int]) -> None:
    with refuses(ImageError, kind=Kind.CONFLICT, path=Path("mask.png")) as refused:
        to_mask(picture(*size), picture(20, 30), "mask.png", "content.png")
    assert f"mask.png has {size[1]}x{size[0]} pixels, but content.png has 30x20" in str(refused.value)


def test_black_all_over_is_an_error() -> None:
    with refuses(ImageError, kind=Kind.MISSING, path=Path("mask.png")):
        to_mask(picture(20, 30, 0), picture(20, 30), "mask.png", "content.png")


def test_white_and_black_stay_so_when_a_mask_is_resized() -> None:
    levels = np.zeros((37, 53), dtype=np.float32)
    levels[:, 30:] = 1
    mask = rounded(Frame((21, 32), (21, 32)).levels(levels))
    assert (mask[:, :16] == 0).all()
    assert (mask[:, -12:] == 1).all()
    assert ((mask > 0) & (mask < 1)).any()
    nearly = np.array([[1e-7, 0.001, 0.999, 1 - 1e-7]], dtype=np.float32)
    np.testing.assert_array_equal(rounded(nearly), [[0, 0, 1, 1]])


def test_composite_is_exact_at_both_ends() -> None:
    generator = np.random.default_rng(0)
    painting, content = generator.random((2, 20, 30, 3), dtype=np.float32)
    mask = np.tile(np.linspace(0, 1, 30, dtype=np.float32), (20, 1))
    result = composite(painting, content, mask)
    np.testing.assert_array_equal(to_uint8(result[:, 0]), to_uint8(content[:, 0]))
    np.testing.assert_array_equal(to_uint8(result[:, -1]), to_uint8(painting[:, -1]))
    between = np.sort(np.stack([painting, content]), axis=0)
    assert (result >= between[0] - 1e-6).all()
    assert (result <= between[1] + 1e-6).all()
