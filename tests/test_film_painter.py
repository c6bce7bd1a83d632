"""Films by a painter: each frame alone, or as the start of what the optimizer goes on with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from film_runs import SMALL
from films import scene, write_video
from refusals import refuses
from torch import Tensor

from nstyle import OptionError, stylize, stylize_film
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.film import shot_run
from nstyle.film.sequence import Shot
from nstyle.painter.generators import make_generator
from nstyle.painter.one_pass import OnePass, Way
from nstyle.painter.painter_file import write_painter
from nstyle.painting.painters import Pass, choose_pass
from nstyle.pictures.decode import read_picture
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture, to_uint8
from nstyle.settings.config import Config


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


def test_the_optimizer_goes_on_from_a_painter(
    painter: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint, painted = OnePass.__call__, list[Any]()

    def counted(*arguments: Any, **more: Any) -> Any:
        painted.append(arguments)
        return paint(*arguments, **more)

    monkeypatch.setattr(OnePass, "__call__", counted)
    options = SMALL | {"max_num_epochs": 1, "stop_eps": 0, "style_image": Config.style_image}
    film = stylize_film(clip, painter=str(painter), output_dir=tmp_path / "film", **options)
    other = stylize_film(clip, init="content", output_dir=tmp_path / "other", **options)
    assert film.frames[0].read_bytes() != other.frames[0].read_bytes()
    rows = [line.split(",") for line in (tmp_path / "film" / "frames.csv").read_text().splitlines()]
    assert [row[3] for row in rows] == ["epochs", "1", "2", "2", "2"]
    assert len(painted) == 1


def test_a_shot_that_a_painter_starts_knows_what_the_painter_needs(
    painter: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what the optimizer needs."""
    made: list[Shot] = []

    def noted(**arguments: Any) -> Shot:
        made.append(Shot(**arguments))
        return made[-1]

    monkeypatch.setattr(shot_run, "Shot", noted)
    options = SMALL | {"max_num_epochs": 1, "style_image": Config.style_image}
    stylize_film(clip, painter=str(painter), output_dir=tmp_path / "film", to="1f", **options)
    (chosen,) = (shot.painter for shot in made)
    assert isinstance(chosen, Pass)
    assert chosen.way == "whole"
    size = read_picture(tmp_path / "film" / "frames" / "000001.png").size
    assert chosen == choose_pass(chosen.painter, size, Config(), torch.device("cpu"), 0)


def test_passes_are_refused_beside_a_painter_alone(painter: Path, clip: Path, tmp_path: Path) -> None:
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--passes"):
        stylize_film(clip, painter=str(painter), passes=2, output_dir=tmp_path / "film")


def test_the_optimizer_needs_the_style_of_a_painter(
    painter: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with refuses(OptionError, kind=Kind.MISSING, flag="--style-image"):
        stylize_film(clip, painter=str(painter), max_num_epochs=2, output_dir=tmp_path / "film")
    flags = ["--film", str(clip), "--painter", str(painter), "--output-dir", str(tmp_path / "film")]
    assert main([*flags, "--max-num-epochs", "2"]) == 2
    assert "--style-image" in capsys.readouterr().err
    assert not (tmp_path / "film").exists()


def test_a_shot_is_painted_in_one_way_whatever_memory_is_free_later(
    painter: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([10**12])  # when the film begins; then nothing is left
    ways: list[Way] = []
    kept: list[int] = []

    def paint_noted(self: OnePass, image: Tensor, way: Way) -> Tensor:
        ways.append(way)
        return image

    @contextmanager
    def kept_noted(device: torch.device, needed: int) -> Iterator[None]:
        kept.append(needed)
        yield

    monkeypatch.setattr("nstyle.painting.painters.free_memory", lambda device: next(free, 0))
    monkeypatch.setattr(OnePass, "__call__", paint_noted)
    monkeypatch.setattr("nstyle.painting.stylize.keeping_freed_memory", kept_noted)
    flags = ["--film", str(clip), "--painter", str(painter), "--output-dir", str(tmp_path / "film")]
    assert main([*flags, "--max-long-edge", "48"]) == 0
    assert ways == ["whole"] * 4
    assert len(kept) == 1


def test_a_film_goes_on_in_the_way_in_which_it_began(
    painter: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[Way] = []
    free = 10**12

    def paint_noted(self: OnePass, image: Tensor, way: Way) -> Tensor:
        ways.append(way)
        return image

    monkeypatch.setattr(OnePass, "__call__", paint_noted)
    monkeypatch.setattr("nstyle.painting.painters.free_memory", lambda device: free)
    settings: dict[str, Any] = {"painter": str(painter), "max_long_edge": 300}
    tiles, whole = OnePass(make_generator("small", width=2, blocks=1), torch.device("cpu")).ways[1::-1]

    def painted(output: str, to: int, **more: Any) -> list[Way]:
        ways.clear()
        stylize_film(clip, to=f"{to}f", output_dir=tmp_path / output, **settings, **more)
        return list(ways)

    assert painted("whole", 2) == [whole] * 2
    assert json.loads((tmp_path / "whole" / "film.json").read_text())["film"]["painter_way"] == "whole"
    monkeypatch.setattr(OnePass, "needed", lambda self, size, way: 10**6 if way == tiles else 2 * 10**12)
    assert painted("tiles", 2) == [tiles] * 2
    record = json.loads((tmp_path / "tiles" / "film.json").read_text())["film"]
    assert record["painter_way"] == {"edge": 512, "kept": 1}
    assert painted("whole", 3) == [whole]
    free = 10**13
    assert painted("tiles", 3) == [tiles]
    path = tmp_path / "tiles" / "film.json"
    strange: list[Any] = [{"edge": 0, "kept": 1}, [], None]
    for way in strange:  # it is chosen anew
        about = json.loads(path.read_text())
        about["film"]["painter_way"] = way
        path.write_text(json.dumps(about))
        (tmp_path / "tiles" / "frames" / "000003.png").unlink()  # so the shot is painted again
        assert painted("tiles", 3) == [whole] * 3
