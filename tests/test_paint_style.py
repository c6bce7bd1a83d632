"""The script that paints the sample style picture: repeatable, and the source of the committed file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("paint_style", ROOT / "scripts" / "paint_style.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_same_seed_paints_the_same_picture(script: ModuleType) -> None:
    first = script.paint_picture(3, 96, 64)
    second = script.paint_picture(3, 96, 64)
    assert first.shape == (64, 96, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


def test_another_seed_paints_another_picture(script: ModuleType) -> None:
    first = script.paint_picture(3, 96, 64).astype(float)
    second = script.paint_picture(4, 96, 64).astype(float)
    assert np.abs(first - second).mean() > 5


def test_painting_has_darks_lights_blues_and_golds(script: ModuleType) -> None:
    picture = script.paint_picture(width=192, height=128).astype(float)
    red, blue = picture[..., 0], picture[..., 2]
    brightness = picture.mean(axis=-1)
    assert np.percentile(brightness, 5) < 60
    assert np.percentile(brightness, 95) > 170
    assert (blue > red + 40).mean() > 0.3
    assert (red > blue + 40).mean() > 0.1


def test_relief_is_lit_from_the_upper_left(script: ModuleType) -> None:
    y, x = np.mgrid[0:40, 0:40] - 20.0
    shaded = script.lit(np.full((40, 40, 3), 0.5), 6 * np.exp(-(x**2 + y**2) / 50))
    assert shaded[15, 15].mean() > 0.6
    assert shaded[25, 25].mean() < 0.4


def test_flow_is_a_field_of_unit_vectors(script: ModuleType) -> None:
    flow = script.flow_field(30, 45)
    assert flow.shape == (30, 45, 2)
    np.testing.assert_allclose(np.hypot(flow[..., 0], flow[..., 1]), 1, atol=1e-6)


def test_stroke_colors_its_course_and_nothing_far_from_it(script: ModuleType) -> None:
    canvas, relief = np.zeros((20, 40, 3)), np.zeros((20, 40))
    line = np.stack([np.linspace(5, 34, 30), np.full(30, 10.0)], axis=-1)
    script.lay_stroke(canvas, relief, line, 3.0, np.full((2, 3), 0.5), np.random.default_rng(0))
    np.testing.assert_allclose(canvas[10, 12:22], 0.5, atol=0.12)
    assert not canvas[:6].any()
    assert not canvas[15:].any()
    assert not relief[:6].any()


def test_stroke_outside_the_canvas_changes_nothing(script: ModuleType) -> None:
    canvas, relief = np.zeros((20, 40, 3)), np.zeros((20, 40))
    line = np.stack([np.linspace(-40, -20, 30), np.full(30, 10.0)], axis=-1)
    script.lay_stroke(canvas, relief, line, 3.0, np.ones((2, 3)), np.random.default_rng(0))
    assert not canvas.any()
    assert not relief.any()


def test_command_line_writes_the_asked_size(script: ModuleType, tmp_path: Path) -> None:
    output = tmp_path / "small.png"
    script.main(["--seed", "5", "--width", "48", "--height", "32", str(output)])
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), script.paint_picture(5, 48, 32))


@pytest.mark.parametrize("arguments", [["--width", "8"], ["--height", "0"], ["--seed", "-1"]])
def test_command_line_refuses_impossible_settings(script: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        script.main(arguments)
    assert stop.value.code == 2


def test_committed_picture_is_what_the_script_paints(script: ModuleType, tmp_path: Path) -> None:
    """Paints the whole picture anew with the defaults (some 7 seconds).

    One level of 255 on average is left to another JPEG library and to the last bit of another processor's
    sines; the committed picture is 50 levels away from the painting of the next seed.
    """
    output = tmp_path / "again.jpg"
    script.main([str(output)])
    with Image.open(output) as again, Image.open(script.OUTPUT) as committed:
        assert committed.size == again.size == (900, 600)
        difference = np.asarray(committed, dtype=float) - np.asarray(again, dtype=float)
    assert np.abs(difference).mean() < 1
