"""The script that paints style pictures: it is repeatable, and makes the committed picture."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import paint_style
from paint_style import paint
from styles import brushwork, mosaic, planes, vortices


@cache
def small(manner: str) -> NDArray[np.uint8]:
    return paint(manner, 48, 32, 3)


@pytest.mark.parametrize("manner", paint_style.MANNERS)
def test_same_seed_paints_the_same_picture(manner: str) -> None:
    first = small(manner)
    assert first.shape == (32, 48, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, paint(manner, 48, 32, 3))


@pytest.mark.parametrize("manner", paint_style.MANNERS)
@pytest.mark.parametrize(("width", "height"), [(16, 40), (16, 16)])
def test_every_manner_paints_other_shapes(manner: str, width: int, height: int) -> None:
    assert paint(manner, width, height).shape == (height, width, 3)


@pytest.mark.parametrize("manner", paint_style.MANNERS)
def test_another_seed_paints_another_picture(manner: str) -> None:
    first, second = small(manner).astype(float), paint(manner, 48, 32, 4)
    assert np.abs(first - second).mean() > 5


def test_manners_have_palettes_of_their_own() -> None:
    """The mean colors of any two manners are at least 12 levels apart."""
    means = np.array([small(manner).mean((0, 1)) for manner in paint_style.MANNERS])
    apart = np.linalg.norm(means[:, None] - means, axis=-1)
    assert apart[~np.eye(len(means), dtype=bool)].min() > 12


def test_ink_is_dark_lines_on_light_paper() -> None:
    brightness = paint("ink", 240, 160).mean(axis=-1)
    assert np.median(brightness) > 150
    assert np.percentile(brightness, 5) < 70


def test_tesserae_cover_the_picture_and_have_one_site_each() -> None:
    """Nearest in the rotated maximum norm, compared with the distances to all sites."""
    rng = np.random.default_rng(0)
    angle, sites = rng.uniform(0, 1, (30, 45)), brushwork.scatter(rng, 30, 45, 6.0)
    owner, _ = mosaic.tesserae(30, 45, angle, sites, 6.0)
    turn = brushwork.sample(angle, sites)
    y, x = np.mgrid[0:30, 0:45]
    dx, dy = x[..., None] - sites[:, 0], y[..., None] - sites[:, 1]
    along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    np.testing.assert_array_equal(owner, np.maximum(np.abs(along), np.abs(across)).argmin(-1))


def test_facets_are_cut_by_straight_lines_into_many_parts() -> None:
    labels, light, _ = planes.facets(np.random.default_rng(0), 60, 90)
    assert len(np.unique(labels)) > 40
    assert np.abs(light).max() < 3


def test_noise_has_mean_0_and_deviation_1() -> None:
    for grain in (0.6, 5.0, 80.0):
        values = brushwork.noise(np.random.default_rng(1), 60, 90, grain)
        assert abs(values.mean()) < 1e-9
        assert abs(values.std() - 1) < 1e-6


def test_painting_has_darks_lights_blues_and_golds() -> None:
    picture = paint(width=192, height=128).astype(float)
    red, blue = picture[..., 0], picture[..., 2]
    brightness = picture.mean(axis=-1)
    assert np.percentile(brightness, 5) < 60
    assert np.percentile(brightness, 95) > 170
    assert (blue > red + 40).mean() > 0.3
    assert (red > blue + 40).mean() > 0.1


def test_relief_is_lit_from_the_upper_left() -> None:
    y, x = np.mgrid[0:40, 0:40] - 20.0
    shaded = brushwork.lit(np.full((40, 40, 3), 0.5), 6 * np.exp(-(x**2 + y**2) / 50))
    assert shaded[15, 15].mean() > 0.6
    assert shaded[25, 25].mean() < 0.4


def test_flow_is_a_field_of_unit_vectors() -> None:
    flow = vortices.flow_field(30, 45)
    assert flow.shape == (30, 45, 2)
    np.testing.assert_allclose(np.hypot(flow[..., 0], flow[..., 1]), 1, atol=1e-6)


def test_stroke_colors_its_course_and_nothing_far_from_it() -> None:
    canvas, relief = np.zeros((20, 40, 3)), np.zeros((20, 40))
    line = np.stack([np.linspace(5, 34, 30), np.full(30, 10.0)], axis=-1)
    brushwork.lay_stroke(canvas, relief, line, 3.0, np.full((2, 3), 0.5), np.random.default_rng(0))
    np.testing.assert_allclose(canvas[10, 12:22], 0.5, atol=0.12)
    assert not canvas[:6].any()
    assert not canvas[15:].any()
    assert not relief[:6].any()


def test_stroke_outside_the_canvas_changes_nothing() -> None:
    canvas, relief = np.zeros((20, 40, 3)), np.zeros((20, 40))
    line = np.stack([np.linspace(-40, -20, 30), np.full(30, 10.0)], axis=-1)
    brushwork.lay_stroke(canvas, relief, line, 3.0, np.ones((2, 3)), np.random.default_rng(0))
    assert not canvas.any()
    assert not relief.any()


def test_command_line_writes_the_asked_size(tmp_path: Path) -> None:
    output = tmp_path / "small.png"
    paint_style.main(["--seed", "5", "--width", "48", "--height", "32", str(output)])
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), paint("vortices", 48, 32, 5))


def test_command_line_paints_the_asked_manner(tmp_path: Path) -> None:
    output = tmp_path / "small.png"
    paint_style.main(["--manner", "planes", "--width", "48", "--height", "32", "--output", str(output)])
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), paint("planes", 48, 32))


@pytest.mark.parametrize(
    "arguments",
    [["--width", "8"], ["--height", "0"], ["--seed", "-1"], ["--manner", "ink"], ["a.png", "--output", "b.png"]],
)
def test_command_line_refuses_impossible_settings(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        paint_style.main(arguments)
    assert stop.value.code == 2


def test_committed_picture_is_what_the_script_paints(tmp_path: Path) -> None:
    """Paint the whole picture with the defaults (about 7 seconds).

    A mean difference of one level of 255 is allowed for a different JPEG library or the last bit of a processor's
    sines. A painting with the next seed differs by 50 levels.
    """
    output = tmp_path / "again.jpg"
    paint_style.main([str(output)])
    with Image.open(output) as again, Image.open(paint_style.OUTPUT) as committed:
        assert committed.size == again.size == (900, 600)
        difference = np.asarray(committed, dtype=float) - np.asarray(again, dtype=float)
    assert np.abs(difference).mean() < 1
