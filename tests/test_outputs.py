"""A folder of photos that grows, and that the paintings lie in: nothing is painted twice, or of itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pictures import painted
from PIL import Image
from refusals import refuses

from nstyle import stylize, stylize_many
from nstyle.commands import view
from nstyle.commands.paint import main
from nstyle.errors import ImageError, Kind
from nstyle.storage import outputs
from nstyle.storage.outputs import is_output
from nstyle.view.films import GIF, SHEET

SMALL: dict[str, Any] = {"model": "filters", "max_long_edge": 32, "max_num_epochs": 1, "image_format": "png"}
FLAGS = ["--model", "filters", "--max-long-edge", "32", "--max-num-epochs", "1", "--image-format", "png", "--quiet"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two photos and a style."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i, name in enumerate(("photos/a.png", "photos/b.png", "ink.png")):
        painted(32, 40, seed=i).save(tmp_path / name)
    return tmp_path


def done(content: Any, style: Any = "ink.png", **options: Any) -> dict[str, bool]:
    """Paint; return for each picture, by the name of its copy, whether an earlier run had finished it."""
    outcomes = stylize_many(content, style, **{**SMALL, **options})
    assert all(outcome.path is not None for outcome in outcomes), outcomes
    return {outcome.job.copy.stem if outcome.job.copy else "": outcome.skipped for outcome in outcomes}


@pytest.mark.parametrize(
    ("content", "output_dir"),
    [
        ("photos", "photos"),
        ("photos/*.png", "photos"),
        ("photos/**/*.png", "photos"),
        ("photos/**/*.png", "photos/out"),
        ("**/*.png", "photos/out"),
        ("photos/**/*.png", "."),
    ],
)
def test_its_own_pictures_are_never_painted(content: str, output_dir: str, here: Path) -> None:
    first = done(content, output_dir=output_dir)
    assert {"a_ink", "b_ink"} <= set(first)
    assert done(content, output_dir=output_dir) == dict.fromkeys(first, True)


def test_the_shell_may_name_its_own_pictures(here: Path) -> None:
    def names() -> list[str]:
        return [str(path.relative_to(here)) for path in sorted(here.glob("photos/*.png"))]

    first = ["--content-image", *names(), "--style-image", "ink.png", "--output-dir", "photos", *FLAGS]
    assert main(first) == 0
    assert len(names()) == 4
    again = ["--content-image", *names(), "--style-image", "ink.png", "--output-dir", "photos", *FLAGS]
    assert main(again) == 0
    assert len(names()) == 4


def test_an_old_copy_is_known_by_its_recipe(here: Path) -> None:
    done("photos", output_dir="photos")
    (here / "photos" / "a_ink" / "final.png").unlink()  # as if an --overwrite had been interrupted
    assert done("photos", output_dir="photos") == {"a_ink": False, "b_ink": True}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_batch_does_not_wait_for_a_pipe_in_the_place_of_a_record(here: Path) -> None:
    for name in ("a_ink", "b_ink"):
        (here / "output" / name).mkdir(parents=True)
    os.mkfifo(here / "output" / "a_ink" / "run.json")
    code = f"import nstyle; print([one.path for one in nstyle.stylize_many('photos', 'ink.png', **{SMALL})])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("[None, ")
    assert "b_ink" in said


def test_its_own_pictures_can_be_painted_into_another_folder(here: Path) -> None:
    done("photos", output_dir="out")
    assert set(done("out", output_dir="second")) == {"a_ink_ink", "b_ink_ink"}
    assert done("out/a_ink.png", output_dir="out/third") == {"": False}


def test_only_its_own_pictures(here: Path) -> None:
    (here / "out").mkdir()
    painted(32, 40, seed=3).save(here / "out" / "c.png")
    stylize("photos/a.png", "ink.png", output_dir="out", **SMALL)
    with refuses(ImageError, kind=Kind.MISSING, path=Path("out"), flag="--content-image"):
        stylize_many("out/[ef]*.png", "ink.png", **SMALL, output_dir="out")
    assert set(done("out", output_dir="out")) == {"c_ink"}
    assert is_output(Path("out/final.png"), Path("out"))
    assert not is_output(Path("out/final.png"), Path("photos"))


def test_a_photo_beside_the_folder_of_its_painting_is_no_painting(here: Path) -> None:
    (here / "photos" / "a").mkdir()
    stylize("photos/a.png", "ink.png", output_dir="photos/a", **SMALL)
    assert set(done("photos", output_dir="photos")) == {"a_ink", "b_ink"}


def test_the_sheet_of_a_sweep_is_no_photo(here: Path) -> None:
    pair = ["--content-image", "photos/a.png", "--style-image", "ink.png", "--output-dir", "photos"]
    assert main([*pair, "--sweep", "seed=1,2", *FLAGS]) == 0
    assert (here / "photos" / "sweep.png").exists()
    assert set(done("photos", output_dir="photos")) == {"a_ink", "b_ink"}
    painted(32, 40, seed=3).save(here / "photos" / "sweep.png")
    assert set(done("photos", output_dir="photos")) == {"a_ink", "b_ink", "sweep_ink"}


def test_what_the_viewer_makes_is_no_photo(here: Path) -> None:
    assert (GIF, SHEET) == (outputs.FILM, outputs.SHEET)
    photo = here / "photos" / SHEET
    painted(32, 40, seed=3).save(photo)
    names = {"a_ink", "b_ink"}
    for _ in range(2):
        assert set(done("photos", output_dir="photos")) == {*names, "sheet_ink"}  # a photo, whatever it is called
    assert view.main(["photos", "--sheet", "--quiet"]) == 1
    photo.unlink()
    assert view.main(["photos", "--sheet", "--gif", "--quiet"]) == 0
    assert set(done("photos", output_dir="photos")) == names


@pytest.mark.parametrize("content", ["photos", ["photos/a.png"]])
def test_a_picture_that_is_added_leaves_the_others_as_they_are(content: Any, here: Path) -> None:
    (here / "photos" / "b.png").unlink()
    done(content)
    painted(32, 40, seed=4).save(here / "photos" / "a.bmp")
    painted(32, 40, seed=5).save(here / "photos" / "0.png")
    times = {path: path.stat().st_mtime_ns for path in here.rglob("output/**/final.png")}
    (finished,) = times
    names = done(["photos/0.png", "photos/a.bmp", "photos/a.png"])
    assert sorted(names.values()) == [False, False, True]
    assert finished.stat().st_mtime_ns == times[finished]
    assert sorted(done("photos").values()) == [True, True, True]
    assert sorted(done("photos/../photos/./*").values()) == [True, True, True]


def test_a_batch_can_leave_small_photos_at_their_size(here: Path) -> None:
    painted(60, 80, seed=6).save(here / "photos" / "large.png")
    options: dict[str, Any] = {**SMALL, "max_long_edge": 60}
    for outcome in stylize_many("photos", "ink.png", **options, enlarge=False):
        assert outcome.path is not None
        with Image.open(outcome.path) as picture:
            assert picture.size == ((60, 45) if "large" in outcome.job.name else (40, 32))
    recipe = ["--recipe", "output/a_ink.png", "--output-dir"]
    for flags, size in (([], (40, 32)), (["--enlarge"], (60, 48)), (["--max-long-edge", "20"], (20, 16))):
        assert main([*recipe, f"again{len(flags)}", *flags]) == 0
        with Image.open(here / f"again{len(flags)}" / "final.png") as picture:
            assert picture.size == size
