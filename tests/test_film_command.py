"""`nstyle --film`: what it says, its flags, sweeps on one frame, recipes, estimates."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from film_runs import FLAGS, contents, negative, painted_film
from films import scene, write_video
from PIL import Image
from refusals import refuses

from nstyle import stylize_film
from nstyle.commands.paint import main
from nstyle.errors import Kind, OptionError
from nstyle.film.estimate import estimate_of
from nstyle.film.plan import plan_film
from nstyle.film.video import open_video
from nstyle.painter.run import painter_of
from nstyle.painting.estimate import estimate_run
from nstyle.pictures.decode import read_picture
from nstyle.settings.config import Config
from nstyle.settings.film import FilmSettings


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", [*scene(3), *negative(scene(2, tint=(200, 60, 30)))])


@pytest.fixture
def here(clip: Path, style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def film_flags(*more: str) -> list[str]:
    return ["--film", "clip.mp4", "--style-image", "style.png", *FLAGS, *more]


def frames_in(folder: str) -> list[bytes]:
    return contents(sorted(Path(folder, "frames").iterdir()))


def test_what_it_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(film_flags()) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0].startswith("painting 48x32 pixels in float32 on cpu (")
    starts = [f"frame {frame} of 5 (shot {1 if frame < 4 else 2}): " for frame in range(1, 6)]
    assert all(line.startswith(start) for line, start in zip(lines[1:6], starts, strict=True))
    assert "temporal error" not in lines[4]
    assert "temporal error" in lines[5]
    assert lines[6:] == [f"done, 5 frames: {Path('output', 'clip.mp4')}"]
    assert main(film_flags()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "going on after 5 of 5 frames",
        f"done, 5 frames, 5 of them by an earlier run: {Path('output', 'clip.mp4')}",
    ]
    assert main(film_flags("--quiet", "--output-dir", "silent")) == 0
    assert capsys.readouterr() == ("", "")


def test_a_part_as_it_was_asked_for(here: Path) -> None:
    flags = ("--from", "2f", "--to", "5f", "--every", "2", "--film-codec", "lossless", "--no-cuts")
    assert main(film_flags(*flags, "--temporal-distances", "1,2", "--temporal-weight", "3")) == 0
    record = json.loads(Path("output/film.json").read_text())["film"]
    assert (record["frames"], record["shots"], record["file"]) == (2, [[1, 2]], "clip.mkv")
    assert (record["settings"]["temporal_distances"], record["settings"]["temporal_weight"]) == ([1, 2], 3.0)
    options: dict[str, Any] = {"from_": "2f", "to": "5f", "every": 2, "cuts": False}
    options |= {"temporal_distances": [1, 2], "temporal_weight": 3}
    same = painted_film("clip.mp4", Path("style.png"), Path("same"), **options)
    assert frames_in("output") == contents(same.frames)
    assert len(open_video(Path("output/clip.mkv")).timing.starts) == 2


def test_frames_from_a_folder_at_a_rate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    for number, frame in enumerate(scene(3), start=9):
        Image.fromarray(frame).save(f"photos/f{number}.png")
    for name in ("photos", "photos/f*.png"):
        flags = ["--film", name, "--style-image", "style.png", *FLAGS, "--output-dir", f"out{len(name)}"]
        assert main([*flags, "--frame-rate", "23.976"]) == 0
    assert frames_in("out6") == frames_in("out13")
    assert str(open_video(Path("out6/photos.mp4")).timing.rate) == "24000/1001"
    assert capsys.readouterr().err == ""


def test_the_record_repeats_the_film_and_paints_another(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(film_flags("--from", "2f", "--temporal-weight", "3")) == 0
    assert main(["--recipe", "output/film.json", "--output-dir", "again"]) == 0
    assert frames_in("again") == frames_in("output")
    other = write_video(here / "other.mp4", scene(2, tint=(9, 200, 9)))
    assert main(["--recipe", "output/film.json", "--film", str(other), "--output-dir", "other"]) == 0
    settings = json.loads(Path("other/film.json").read_text())["film"]["settings"]
    assert (settings["from_"], settings["temporal_weight"]) == (None, 3.0)
    by_library = stylize_film(recipe="output/film.json", output_dir="library")
    assert contents(by_library.frames) == frames_in("output")
    # A picture with the settings of its frames.
    capsys.readouterr()
    assert main(["--recipe", "output/film.json", "--content-image", "content.png", "--output-dir", "picture"]) == 0
    assert Path("picture/final.png").exists()


def test_resume_means_the_same_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(film_flags("--resume", "--to", "2f")) == 0
    assert main(film_flags("--resume", "--output-dir", "output")) == 0
    painted = frames_in("output")
    assert len(painted) == 5
    os.rename("output", "moved")
    assert main(["--recipe", "moved/film.json", "--resume"]) == 0
    assert "5 of them by an earlier run" in capsys.readouterr().out
    assert not Path("output").exists()
    assert main(film_flags("--resume", "--overwrite", "--output-dir", "moved")) == 2


def test_look_development(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sweep on one frame, and the film with the recipe that was chosen."""
    assert main(film_flags("--from", "2f", "--sweep", "style-weight=0.5,2")) == 0
    assert Path("output/clip_frame_2.png").exists()
    assert Path("output/sweep.png").exists()
    assert not Path("output/frames").exists()
    chosen = Path("output/sweep/style-weight=2/run.json")
    capsys.readouterr()
    assert main(["--recipe", str(chosen), "--film", "clip.mp4", "--from", "2f", "--output-dir", "film"]) == 0
    assert "warning" not in capsys.readouterr().out
    assert len(frames_in("film")) == 4
    settings = json.loads(Path("film/film.json").read_text())["recipe"]["settings"]
    assert settings["style_weight"] == 2
    swept = read_picture(chosen.with_name("final.jpg"))
    first = read_picture(Path("film/frames/000001.png"))
    assert abs(first.rgb - swept.rgb).mean() < 0.03
    Path("output/clip_frame_2.png").write_bytes(Path("content.png").read_bytes())
    assert main(film_flags("--from", "2f", "--sweep", "style-weight=0.5,2")) == 1
    assert "clip_frame_2.png is not this film's frame" in capsys.readouterr().err
    assert Path("output/clip_frame_2.png").read_bytes() == Path("content.png").read_bytes()


def test_an_estimate_paints_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(film_flags("--estimate")) == 0
    said = capsys.readouterr().out
    assert said.startswith("clip.mp4: 5 frames of 48x32 pixels in 2 shots, ")
    assert not Path("output").exists()


def test_an_estimate_counts_what_is_carried_from_frame_to_frame(here: Path) -> None:
    config = Config(style_image=Path("style.png"), preset="fast", model="filters", max_long_edge=1200)
    plan = plan_film(config, FilmSettings(film=Path("clip.mp4")))
    carried = plan.memory(torch.device("cpu"))
    alone = estimate_run(plan.config, None, {"content_image": next(iter(plan.source.frames(range(1))))})
    assert carried > 150_000_000
    assert estimate_of(plan).memory - alone.memory > 0.8 * carried


def test_an_estimate_counts_the_frames_that_are_kept_beside_a_painter(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.session.memory_in_use", lambda device: 0)
    plan = plan_film(Config(painter="vortices", max_long_edge=400), FilmSettings(film=Path("clip.mp4")))
    kept = plan.memory(torch.device("cpu"))
    frames, painter = plan.source.frames(range(1)), painter_of(plan.config)
    alone = estimate_run(plan.config, None, {"content_image": next(iter(frames))}, painter)
    assert kept > 2 * 400 * 266 * 12
    assert estimate_of(plan).memory - alone.memory == kept


def test_memory_for_the_pairs_that_later_frames_have_is_planned(here: Path) -> None:
    """Two frames of 48x32 pixels: 5 pairs are carried, and each epoch adds one, up to 10."""
    needed = [
        plan_film(
            Config(optimizer="lbfgs", max_num_epochs=epochs, max_long_edge=48),
            FilmSettings(film=Path("clip.mp4"), frame_epochs=frame_epochs),
        ).memory(torch.device("cpu"))
        for epochs, frame_epochs in ((20, 30), (5, 3), (1, 30))
    ]
    pair = 48 * 32 * 2 * 3 * 4
    assert [more - needed[0] for more in needed] == [0, 3 * pair, 10 * pair]


def test_an_estimate_of_a_sweep_on_one_frame_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = film_flags("--from", "2f", "--sweep", "style-weight=0.5,2")
    assert main([*flags, "--estimate"]) == 0
    first, second, both = capsys.readouterr().out.splitlines()
    assert "clip_frame_2.png" in first
    assert "48x32 pixels" in second
    assert both.startswith("2 pictures: ")
    assert not Path("output").exists()
    assert main(flags) == 0
    before = sorted(Path("output").rglob("*"))
    capsys.readouterr()
    assert main([*flags, "--estimate"]) == 0
    assert capsys.readouterr().out.count("already finished") == 2
    assert sorted(Path("output").rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--every", "2"], "--every"),
        (["--from", "2"], "--from"),
        (["--temporal-weight", "2", "--content-image", "content.png"], "--temporal-weight"),
        (["--no-cuts"], "--cuts"),
        (["--film", "clip.mp4", "--content-image", "content.png"], "--content-image"),
        (["--film", "clip.mp4", "content.png", "style.png"], "no content picture"),
        (["--film", "clip.mp4", "--style-image", "style.png", "content.png"], "--style-image"),
        (["--film", "clip.mp4", "--pair"], "--pair"),
        (["--film", "clip.mp4", "--size", "64x64", "--content-weight", "0"], "--size"),
        (["--film", "clip.mp4", "--from", "soon"], "--from"),
        (["--film", "clip.mp4", "--from", "60"], "--from"),
        (["--film", "clip.mp4", "--from", "3f", "--to", "2f"], "--to"),
        (["--film", "clip.mp4", "--frame-rate", "fast"], "--frame-rate"),
        (["--film", "clip.mp4", "--film-codec", "vp9"], "--film-codec"),
        (["--film", "clip.mp4", "--temporal-distances", "2,4"], "--temporal-distances"),
        (["--film", "clip.mp4", "--temporal-weight", "-1"], "--temporal-weight"),
        (["--film", "clip.mp4", "--every", "0"], "--every"),
        (["--film", "clip.mp4", "--sweep", "temporal-weight=1,2"], "--sweep"),
        (["--film", "clip.mp4", "--estimate", "--cluster", "tcp://nobody:1"], "--estimate"),
        (["--film", ""], "--film"),
        (["--film", "https://example.org/clip.mp4"], "--film"),
    ],
)
def test_wrong_flags(flags: list[str], named: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 2
    said = capsys.readouterr()
    assert said.err.startswith("nstyle: error: ")
    assert named in said.err
    assert said.err.count("\n") == 1
    assert not [path for path in here.rglob("*") if path.name in ("film.json", "run.json")]


@pytest.mark.parametrize(
    ("name", "said"), [("gone.mp4", "gone.mp4"), ("content.png", "single picture"), ("style.txt", "style.txt")]
)
def test_what_is_no_film(name: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("style.txt").write_text("no film")
    assert main(["--film", name, "--style-image", "style.png"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not Path("output").exists()


def test_flags_without_effect(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--image-format", "jpg", "--save-epochs", "2", "--stop-after", "1", "--keep-metadata")
    assert main(film_flags("--to", "1f", *flags, "--frame-rate", "25", "--scale-factor", "1.5")) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert sorted(line.split()[1] for line in warnings) == [
        *("--frame-rate", "--image-format", "--keep-metadata", "--save-epochs", "--scale-factor", "--stop-after")
    ]
    row = Path("output/frames.csv").read_text().splitlines()[1]
    assert row.startswith("1,1,1,3,")  # all epochs


def test_options_in_python(here: Path) -> None:
    with pytest.raises(TypeError):
        stylize_film("clip.mp4", "style.png", nonsense=1)
    with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag="--film"):
        stylize_film(style_image="style.png")


@pytest.mark.parametrize("settings", [{"every": "x"}, {"film": 5}, {"temporal_distances": {}}, {"flow": [1]}, [1]])
def test_a_record_from_a_stranger(
    settings: Any, here: Path, clip: Path, style: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = painted_film(clip, style, Path("output"), to="1f").record
    facts = json.loads(record.read_text())
    facts["film"]["settings"] = settings if isinstance(settings, list) else facts["film"]["settings"] | settings
    record.write_text(json.dumps(facts))
    code = main(["--recipe", str(record), "--output-dir", "again"])
    error = capsys.readouterr().err
    assert code in (1, 2)
    assert error.count("\n") == 1
