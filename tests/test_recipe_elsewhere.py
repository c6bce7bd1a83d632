"""A recipe that has moved, comes from a stranger, or is a snapshot's: what is painted, from what, and where."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from refusals import refuses

from nstyle import RecipeError, stylize, stylize_many
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.storage.recipe import read_recipe

SMALL: dict[str, Any] = {"model": "filters", "max_long_edge": 32, "max_num_epochs": 4, "save_epochs": 2}


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture
def studio(pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a run in kept/ that was started with relative paths, and is half done."""
    folder = tmp_path / "studio"
    (folder / "photos").mkdir(parents=True)
    pair[0].rename(folder / "photos" / "c.png")
    pair[1].rename(folder / "s.png")
    monkeypatch.chdir(folder)

    def interrupt(step: Any) -> None:
        if step.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize("photos/c.png", "s.png", interrupt, output_dir="kept", **SMALL)
    stylize("photos/c.png", "s.png", output_dir=tmp_path / "whole", **SMALL)
    return folder


def resume(recipe: Path) -> int:
    return main(["--recipe", str(recipe), "--resume", "--quiet"])


def older(record: Path) -> None:
    """Make a record as an older nstyle wrote it, with relative paths in the settings."""
    facts = json.loads(record.read_text())
    facts["settings"] |= {"content_image": "photos/c.png", "style_image": "s.png", "output_dir": "kept"}
    for name in ("stop_after", "no_recipe"):
        del facts["settings"][name]
    record.write_text(json.dumps(facts))


@pytest.mark.parametrize("as_older", [False, True])
@pytest.mark.parametrize("moved", [False, True])
def test_a_run_is_resumed_from_anywhere(
    *, moved: bool, as_older: bool, studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if as_older:
        older(studio / "kept" / "run.json")
    if moved:
        studio = studio.rename(tmp_path / "moved")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "photos").mkdir(parents=True)
    shutil.copy(studio / "s.png", elsewhere / "photos" / "c.png")  # another picture under the same relative name
    monkeypatch.chdir(elsewhere)
    assert resume(studio / "kept" / "run.json") == 0
    assert sorted(os.listdir(elsewhere)) == ["photos"]
    assert (studio / "kept" / "final.jpg").exists()
    np.testing.assert_array_equal(pixels(studio / "kept" / "final.jpg"), pixels(tmp_path / "whole" / "final.jpg"))


@pytest.mark.parametrize("scales", [1, 2])
@pytest.mark.parametrize("named", ["final.jpg", "e_2.jpg", "run.json", "elsewhere"])
def test_a_picture_of_an_interrupted_run_resumes_it_to_its_end(named: str, scales: int, studio: Path) -> None:
    settings = {**SMALL, "max_long_edge": 64, "scales": scales}

    def interrupt(step: Any) -> None:
        if step.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize("photos/c.png", "s.png", interrupt, output_dir="cut", **settings)
    if named == "elsewhere":
        shutil.copy("cut/final.jpg", "sent.jpg")
        again = stylize("photos/c.png", recipe="sent.jpg", output_dir="cut", resume=True)
    else:
        again = stylize(recipe=Path("cut") / named, resume=True)
    assert (again.epochs, again.path) == (4 * scales, studio / "cut" / "final.jpg")
    # The command that was interrupted still finds its own run.
    assert stylize("photos/c.png", "s.png", output_dir="cut", **settings).epochs == 4 * scales


def test_a_copy_of_a_batch_resumes_its_run(studio: Path) -> None:
    stylize_many(["photos/c.png", "s.png"], "s.png", output_dir="batch", **SMALL)
    longer = stylize(recipe="batch/c_s.jpg", resume=True, max_num_epochs=5)
    assert (longer.epochs, longer.path) == (5, studio / "batch" / "c_s" / "final.jpg")


def test_another_picture_of_the_same_name_is_refused(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(studio / "kept", tmp_path / "alone" / "kept")
    shutil.rmtree(studio)
    for name in ("photos/c.png", "s.png"):
        (tmp_path / "alone" / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), "red").save(tmp_path / "alone" / name)
    monkeypatch.chdir(tmp_path / "alone")
    before = {path.name: path.read_bytes() for path in Path("kept").iterdir()}
    assert resume(Path("kept/run.json")) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "nstyle: error: photos/c.png is not the file" in complaint
    assert "--content-image" in complaint
    assert {path.name: path.read_bytes() for path in Path("kept").iterdir()} == before


def test_a_source_may_be_named_anew_when_resuming(studio: Path, tmp_path: Path) -> None:
    there = (studio / "photos" / "c.png").rename(tmp_path / "other_name.png")
    with refuses(RecipeError, kind=Kind.MISSING, path=studio / "photos" / "c.png", flag="--content-image"):
        stylize(recipe="kept/run.json", resume=True)
    assert stylize(there, recipe="kept/run.json", resume=True).path == studio / "kept" / "final.jpg"


def test_a_picture_finds_its_sources_by_the_record_beside_it_or_by_name(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = tmp_path / "whole" / "final.jpg"
    expected = pixels(painted)
    monkeypatch.chdir(tmp_path)
    assert main(["--recipe", str(painted), "--quiet"]) == 0  # by the paths in run.json
    np.testing.assert_array_equal(pixels(tmp_path / "output" / "final.jpg"), expected)
    (tmp_path / "sent").mkdir()
    sent = shutil.copy(painted, tmp_path / "sent")
    with refuses(RecipeError, kind=Kind.MISSING, path=tmp_path / "c.png", flag="--content-image"):
        stylize(recipe=sent)
    shutil.copy(studio / "photos" / "c.png", tmp_path / "sent")
    shutil.copy(studio / "s.png", tmp_path)
    np.testing.assert_array_equal(pixels(stylize(recipe=sent, output_dir="again").path), expected)


def test_a_copy_of_a_batch_finds_its_sources(studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stylize_many(["photos/c.png", "s.png"], "s.png", output_dir="batch", **SMALL)
    monkeypatch.chdir(tmp_path)
    assert main(["--recipe", str(studio / "batch" / "c_s.jpg"), "--output-dir", "again", "--quiet"]) == 0
    np.testing.assert_array_equal(pixels(tmp_path / "again" / "final.jpg"), pixels(studio / "batch" / "c_s.jpg"))


def test_a_size_of_none_does_not_make_the_recipes_content_the_sample(studio: Path, tmp_path: Path) -> None:
    painted = tmp_path / "whole" / "final.jpg"
    again = stylize(recipe=painted, size=None, output_dir="again")
    np.testing.assert_array_equal(pixels(again.path), pixels(painted))
    texture = stylize(recipe=painted, size="32x32", content_weight=0, output_dir="texture")
    with pytest.raises(RecipeError) as refused:
        stylize(recipe=texture.path, size=None, output_dir="photo")  # a texture's recipe has no content
    assert (refused.value.kind, refused.value.flag) == (Kind.MISSING, "--content-image")


def test_a_recipe_names_no_place_to_write(studio: Path, tmp_path: Path) -> None:
    facts = json.loads((studio / "kept" / "run.json").read_text())
    facts["settings"]["output_dir"] = str(tmp_path / "victim")
    (tmp_path / "sent.json").write_text(json.dumps(facts))
    with refuses(RecipeError, kind=Kind.MISSING, path=tmp_path, flag="--resume"):
        stylize(recipe=tmp_path / "sent.json", resume=True)
    assert main(["--recipe", str(tmp_path / "sent.json"), "--quiet"]) == 0
    assert (studio / "output" / "final.jpg").exists()
    assert not (tmp_path / "victim").exists()


def test_a_recipe_runs_no_code(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harm = "import pathlib\npathlib.Path('harmed').touch()\n"
    (tmp_path / "sent_module.py").write_text(harm + "from nstyle.networks.filter_bank import filter_bank as load\n")
    monkeypatch.syspath_prepend(tmp_path)
    facts = json.loads((studio / "kept" / "run.json").read_text())
    facts["settings"]["model"] = "sent_module:load"
    (tmp_path / "sent.json").write_text(json.dumps(facts))
    flags = ["--recipe", str(tmp_path / "sent.json"), "--quiet"]
    assert main(flags) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "add --model sent_module:load" in complaint
    with refuses(RecipeError, kind=Kind.UNSUPPORTED, flag="--model"):
        stylize_many("photos", "s.png", recipe=tmp_path / "sent.json")
    assert not Path("harmed").exists()
    assert main([*flags, "--model", "sent_module:load"]) == 0
    assert Path("harmed").exists()


@pytest.mark.parametrize("name", ["content_image", "init", "mask", "weights"])
@pytest.mark.parametrize("kind", ["endless", "pipe", "without a hash", "null character", "secret"])
def test_what_a_recipe_names_is_opened_only_if_its_hash_is_right(
    kind: str, name: str, studio: Path, tmp_path: Path
) -> None:
    path = {"endless": "/dev/zero", "null character": "a\0b"}.get(kind, str(tmp_path / "there"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind in ("without a hash", "secret"):
        shutil.copy("s.png", path)
    facts = json.loads((studio / "kept" / "run.json").read_text())
    facts["settings"][name] = path
    if kind == "without a hash":
        facts["inputs"].pop(name, None)
    elif name == "weights":
        facts["weights"] = {"path": path, "sha256": "1" * 64, "original": True}
    else:
        facts["inputs"][name] = {"path": path, "sha256": "1" * 64}
    sent = tmp_path / "sent.json"
    sent.write_text(json.dumps(facts))
    with pytest.raises(RecipeError) as refused:
        stylize(recipe=sent)
    assert refused.value.flag == "--" + name.replace("_", "-")
    assert not Path("output").exists()


@pytest.mark.parametrize("scales", [1, 3])
def test_a_snapshots_recipe_makes_that_snapshot(scales: int, studio: Path) -> None:
    settings = {**SMALL, "max_long_edge": 96, "scales": scales, "max_num_epochs": (3, 4, 5) if scales > 1 else 7}
    stylize("photos/c.png", "s.png", output_dir="first", **settings)
    snapshots = sorted(Path("first").glob("e_*"))
    assert len(snapshots) == (6 if scales > 1 else 3)
    for snapshot in snapshots:
        again = stylize(recipe=snapshot, output_dir=snapshot.stem)
        assert f"e_{again.epochs}.jpg" == snapshot.name
        np.testing.assert_array_equal(pixels(again.path.with_name(snapshot.name)), pixels(snapshot))
        assert again.rgb.shape == pixels(snapshot).shape


def test_an_interrupted_picture_of_several_scales_is_made_again(studio: Path) -> None:
    for last in (1, 5):

        def interrupt(step: Any, last: int = last) -> None:
            if step.epoch == last:
                raise KeyboardInterrupt

        settings = {**SMALL, "max_long_edge": 96, "scales": 2}
        with pytest.raises(KeyboardInterrupt):
            stylize("photos/c.png", "s.png", interrupt, output_dir=f"cut{last}", **settings)
        again = stylize(recipe=f"cut{last}/final.jpg", output_dir=f"again{last}")
        assert again.epochs == last + 1
        np.testing.assert_array_equal(pixels(again.path), pixels(Path(f"cut{last}/final.jpg")))


def test_a_run_that_was_to_stop_early_goes_on(studio: Path) -> None:
    settings = {**SMALL, "scales": 2, "max_long_edge": 64}
    whole = stylize("photos/c.png", "s.png", output_dir="long", **settings)
    assert stylize("photos/c.png", "s.png", output_dir="short", stop_after=3, **settings).epochs == 3
    assert max(pixels(Path("short/final.jpg")).shape) == 32
    assert stylize("photos/c.png", "s.png", output_dir="short", stop_after=6, resume=True, **settings).epochs == 6
    with refuses(RecipeError, kind=Kind.CONFLICT, path=studio / "short", flag="--stop-after"):
        stylize("photos/c.png", "s.png", output_dir="short", stop_after=5, resume=True, **settings)
    assert stylize("photos/c.png", "s.png", output_dir="short", resume=True, **settings).epochs == 8
    np.testing.assert_array_equal(pixels(Path("short/final.jpg")), pixels(whole.path))


@pytest.mark.parametrize("image_format", ["jpg", "png", "tiff", "webp"])
def test_pictures_without_a_recipe(image_format: str, studio: Path) -> None:
    settings = {**SMALL, "image_format": image_format, "no_recipe": True}
    first = stylize_many(["photos/c.png", "s.png"], "s.png", output_dir="batch", **settings)
    picture = first[0].path
    assert picture is not None
    for path in (picture, picture.with_name(f"e_2.{image_format}")):
        with refuses(RecipeError, kind=Kind.MISSING, path=path, flag="--recipe"):
            read_recipe(path)
        assert not {b"sha256", b"filters", b"c.png"} & {word for word in (b"sha256", b"filters", b"c.png")
                                                       if word in path.read_bytes()}  # fmt: skip
    assert read_recipe(picture.with_name("run.json")).settings["no_recipe"] is True
    again = stylize_many(["photos/c.png", "s.png"], "s.png", output_dir="batch", **settings)
    assert [outcome.skipped for outcome in again] == [True, True]


def test_pictures_that_people_share_tell_no_paths(studio: Path, tmp_path: Path) -> None:
    for picture in ("final.jpg", "e_2.jpg"):
        assert str(tmp_path).encode() not in (tmp_path / "whole" / picture).read_bytes()
    assert str(studio / "photos" / "c.png") in (tmp_path / "whole" / "run.json").read_text()
