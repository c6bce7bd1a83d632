"""Sizes of style pictures."""

import numpy as np
import pytest

from nstyle.pictures.picture import Picture, resize
from nstyle.pictures.style_fit import Frame, frame_style


@pytest.mark.parametrize(
    ("fit", "scale", "resized", "window"),
    [
        ("stretch", 1, (60, 90), (60, 90)),
        ("stretch", 0.5, (30, 45), (30, 45)),
        ("stretch", 2, (120, 180), (120, 180)),
        ("cover", 1, (180, 90), (60, 90)),
        ("contain", 1, (60, 30), (60, 30)),
        ("cover", 0.5, (90, 45), (30, 45)),
        ("contain", 2, (120, 60), (120, 60)),
        ("area", 1, (104, 52), (104, 52)),
        ("area", 0.5, (52, 26), (52, 26)),
    ],
)
def test_frames_of_an_upright_style_for_a_wide_content(
    fit: str, scale: float, resized: tuple[int, int], window: tuple[int, int]
) -> None:
    assert frame_style((200, 100), (60, 90), fit, scale) == Frame(resized, window)


@pytest.mark.parametrize("fit", ["stretch", "cover", "contain", "area"])
def test_a_style_of_the_contents_shape_is_brought_to_its_size_however_it_is_fitted(fit: str) -> None:
    assert frame_style((120, 180), (60, 90), fit, 1) == Frame((60, 90), (60, 90))


def test_cover_always_covers() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        style, content = (tuple(map(int, generator.integers(16, 300, size=2))) for _ in range(2))
        assert frame_style(style, content, "cover", 1).window == content  # type: ignore[arg-type]  # they are pairs


def test_area_keeps_the_shape_and_makes_as_many_pixels_as_the_painting_has() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        style, content = (tuple(map(int, generator.integers(64, 300, size=2))) for _ in range(2))
        frame = frame_style(style, content, "area", 1)  # type: ignore[arg-type]  # they are pairs
        assert frame.window == frame.resized  # all of it is seen
        height, width = frame.window
        assert height * width == pytest.approx(content[0] * content[1], rel=0.02)
        assert height / width == pytest.approx(style[0] / style[1], rel=0.03)


def test_the_middle_is_seen_of_picture_alpha_and_mask() -> None:
    generator = np.random.default_rng(0)
    rgb, alpha = generator.random((40, 20, 3), dtype=np.float32), np.ones((40, 20), dtype=np.float32)
    frame = frame_style((40, 20), (10, 20), "cover", 1)
    shown = frame.picture(Picture(rgb, alpha))
    np.testing.assert_allclose(shown.rgb, rgb[15:25], atol=1e-6)
    assert shown.alpha is not None
    assert shown.alpha.shape == (10, 20)
    np.testing.assert_allclose(frame.levels(rgb[..., 0]), rgb[15:25, :, 0], atol=1e-6)


def test_stretch_is_a_plain_resize() -> None:
    rgb = np.random.default_rng(0).random((40, 20, 3), dtype=np.float32)
    shown = frame_style((40, 20), (21, 32), "stretch", 1).picture(Picture(rgb))
    np.testing.assert_array_equal(shown.rgb, resize(rgb, 21, 32))
    assert shown.alpha is None
