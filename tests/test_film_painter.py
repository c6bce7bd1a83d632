"""Films by a painter: each frame alone, or as the start of what the optimizer goes on with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from film_runs import SMALL
from films import scene, write_video
from refusals import refuses

from nstyle import OptionError, stylize, stylize_film
from nstyle.errors import Kind
from nstyle.painter.generators import make_generator
from nstyle.painter.painter_file import write_painter
from nstyle.pictures.decode import read_picture
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture, to_uint8


@pytest.fixture
def painter(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    write_painter(path, make_generator("small", width=2, blocks=1), {})
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mkv", scene(4), codec="ffv1", pixels="bgr0")


def test_each_frame_is_the_picture_that_the_painter_paints(painter: Path, clip: Path, tmp_path: Path) -> None:
    film = stylize_film(clip, painter=str(painter), max_long_edge=48, output_dir=tmp_path / "film", cuts=True)
    assert film.painted == len(film.frames) == 4
    for number, (frame, path) in enumerate(zip(scene(4), film.frames, strict=True)):
        photo = tmp_path / f"{number}.png"
        write_picture(photo, Picture(frame.astype(np.float32) / 255))
        options: dict[str, Any] = {
            "painter": str(painter),
            "max_long_edge": 48,
            "output_dir": tmp_path / f"alone_{number}",
        }
        alone = stylize(photo, image_format="png", **options)
        np.testing.assert_array_equal(to_uint8(read_picture(path).rgb), to_uint8(alone.picture.rgb))
    again = stylize_film(clip, painter=str(painter), max_long_edge=48, output_dir=tmp_path / "film")
    assert again.painted == 0


def test_the_optimizer_goes_on_from_a_painter(painter: Path, clip: Path, tmp_path: Path) -> None:
    options = SMALL | {"max_num_epochs": 1, "stop_eps": 0}
    film = stylize_film(clip, painter=str(painter), output_dir=tmp_path / "film", **options)
    other = stylize_film(clip, init="content", output_dir=tmp_path / "other", **options)
    assert film.frames[0].read_bytes() != other.frames[0].read_bytes()
    rows = [line.split(",") for line in (tmp_path / "film" / "frames.csv").read_text().splitlines()]
    assert [row[3] for row in rows] == ["epochs", "1", "2", "2", "2"]


def test_passes_are_refused_beside_a_painter_alone(painter: Path, clip: Path, tmp_path: Path) -> None:
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--passes"):
        stylize_film(clip, painter=str(painter), passes=2, output_dir=tmp_path / "film")
