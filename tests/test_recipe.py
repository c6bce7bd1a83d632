"""Recipes: reading from pictures and records, comparing, following. A replay is bit-exact."""

import dataclasses
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from recipes import recipe
from refusals import refuses

from nstyle import Config, OutputError, RecipeError, stylize
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.pictures.formats import WRITTEN
from nstyle.settings.paths import with_names
from nstyle.settings.presets import PRESETS
from nstyle.storage.recipe import (
    OF_THE_END,
    SETTINGS,
    Recipe,
    parse_recipe,
    read_recipe,
    recorded_settings,
    settings_to_repeat,
)

SMALL: dict[str, Any] = {"max_long_edge": 32, "max_num_epochs": 4, "save_epochs": 2}
# One of each kind of value, none with its default.
UNUSUAL: dict[str, Any] = {
    "seed": 7,
    "tv_weight": 0.1 + 0.2,
    "lr": 0.0013,
    "lr_sched_delay": 2,
    "remove_noise": 0.3,
    "seamless": True,
}


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_recipe_holds_every_setting_but_those_of_earlier_files_and_of_a_photos_metadata() -> None:
    assert set(SETTINGS) == {field.name for field in dataclasses.fields(Config)} - {
        *("overwrite", "resume", "keep_metadata", "keep_place")
    }


def test_text_and_back() -> None:
    ours = recipe(Config(**UNUSUAL, output_dir=Path("there"), gpu=1))
    again = parse_recipe(ours.text(), Path("x"))
    assert again == ours
    assert Config(**settings_to_repeat(again, {})) == Config(**UNUSUAL, gpu=1)  # the output folder is the user's
    assert "\n" not in ours.text()
    assert ours.text().isascii()
    assert json.loads(ours.text(seed=9))["settings"] == {**ours.settings, "seed": 9}


def test_a_recipe_that_the_format_cannot_hold_is_refused_before_painting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(WRITTEN["jpg"], longest_text=1000)
    monkeypatch.setitem(WRITTEN, "jpg", small)
    with refuses(OutputError, kind=Kind.OUT_OF_RANGE, flag="--image-format") as refused:
        stylize(**SMALL, model="filters", output_dir=tmp_path)
    assert "--image-format png" in str(refused.value)
    assert not list(tmp_path.glob("*.*g"))
    stylize(**SMALL, model="filters", output_dir=tmp_path, no_recipe=True)
    assert (tmp_path / "final.jpg").exists()


def test_settings_that_an_older_recipe_does_not_have_are_at_their_defaults() -> None:
    facts = recipe(Config(seed=5)).facts()
    facts["settings"] = {"seed": 5}
    assert parse_recipe(json.dumps(facts), Path("x")).settings == recorded_settings(Config(seed=5))


def test_what_an_older_nstyle_did_not_know_is_as_the_reference_has_it() -> None:
    """When these settings did not exist, the preset fast had none of them."""
    facts = recipe(Config(preset="fast", optimizer="lbfgs", content_weight=10, coarsest_edge=None)).facts()
    for name in (
        "balance",
        "padding",
        "details",
        "grain",
        "coarsest_edge",
        "scale_factor",
        "image_range",
        "style_fit",
    ):
        del facts["settings"][name]
    older = parse_recipe(json.dumps(facts), Path("x")).settings
    assert (older["balance"], older["padding"], older["coarsest_edge"]) == ("absolute", "zero", None)
    assert older["optimizer"] == "lbfgs"


def test_a_recipe_from_before_a_setting_keeps_its_preset() -> None:
    facts = recipe(Config(preset="painterly", coarsest_edge=128)).facts()
    del facts["settings"]["grain"]
    older = parse_recipe(json.dumps(facts), Path("x"))
    assert older.settings == recorded_settings(Config(preset="painterly", coarsest_edge=128, grain=0))
    again = Config(**settings_to_repeat(older, {"unrealness": 1}))
    assert (again.balance, again.grain, again.coarsest_edge) == ("photo", 0, 128)


@pytest.mark.parametrize(("word", "share"), [("none", 0.0), ("start", 1.0)])
def test_details_used_to_be_a_word(word: str, share: float) -> None:
    facts = recipe(Config(preset="fast", seed=3, details=0.25)).facts()
    facts["settings"]["details"] = word
    expected = recorded_settings(Config(preset="fast", seed=3, details=share))
    assert parse_recipe(json.dumps(facts), Path("x")).settings == expected
    for wrong in ("end", ["start"]):
        facts["settings"]["details"] = wrong
        with refuses(RecipeError, kind=Kind.OUT_OF_RANGE, path=Path("x"), flag="--details"):
            parse_recipe(json.dumps(facts), Path("x"))


def test_other_scales_take_the_place_of_the_recipes() -> None:
    ours = recipe(Config(preset="painterly"))
    assert Config(**settings_to_repeat(ours, {"scales": 2})).coarsest_edge is None
    other = recipe(Config(scales=2))
    assert Config(**settings_to_repeat(other, {"coarsest_edge": 64})).scales is None


@pytest.mark.parametrize("image_format", ["jpg", "png", "tiff", "webp"])
def test_every_picture_carries_it_and_is_made_again_to_the_bit(
    image_format: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    options = {**SMALL, **UNUSUAL}
    stylize(*pair, output_dir=tmp_path / "first", image_format=image_format, **options)
    for name in (f"final.{image_format}", *(["run.json"] if image_format == "png" else [])):
        followed, output = str(tmp_path / "first" / name), str(tmp_path / name)
        assert main(["--recipe", followed, "--output-dir", output, "--quiet"]) == 0
        for picture in (f"e_2.{image_format}", f"e_4.{image_format}", f"final.{image_format}"):
            np.testing.assert_array_equal(pixels(tmp_path / name / picture), pixels(tmp_path / "first" / picture))


def test_it_is_followed_from_python(pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**SMALL, **UNUSUAL}
    first = stylize(*pair, output_dir=tmp_path / "first", **options)
    assert torch.equal(stylize(recipe=first.path, output_dir=tmp_path / "again").image, first.image)


def test_it_is_complete(pair: tuple[Path, Path], tmp_path: Path) -> None:
    stylize(*pair, output_dir=tmp_path / "output", **SMALL)
    record = json.loads((tmp_path / "output" / "run.json").read_text())
    carried = read_recipe(tmp_path / "output" / "final.jpg").facts()
    whole = read_recipe(tmp_path / "output" / "run.json")
    assert whole.facts() == {name: record[name] for name in carried}
    assert carried == whole.published().facts()
    assert set(carried) == {field.name for field in dataclasses.fields(recipe())}
    assert {len(found["sha256"]) for found in [*carried["inputs"].values(), carried["weights"]]} == {64}
    assert set(carried["versions"]) == {"nstyle", "python", "torch", "numpy", "scikit-image", "pillow"}


def test_flags_override_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first = stylize(*pair, output_dir=tmp_path / "first", **SMALL, seed=3)
    flags = ["--recipe", str(first.path), "--output-dir", str(tmp_path / "second"), "--max-num-epochs", "2"]
    assert main([*flags, "--quiet"]) == 0
    again = read_recipe(tmp_path / "second" / "final.jpg").settings
    changed = {"output_dir": "second", "max_num_epochs": 2}
    assert again == {**with_names(recorded_settings(Config(*pair, **SMALL, seed=3))), **changed}


def test_an_interrupted_picture_is_made_again_as_it_is(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def interrupt(step: Any) -> None:
        if step.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, interrupt, output_dir=tmp_path / "first", **{**SMALL, "max_num_epochs": 50})
    again = stylize(recipe=tmp_path / "first" / "final.jpg", output_dir=tmp_path / "second")
    assert again.epochs == 3
    np.testing.assert_array_equal(pixels(again.path), pixels(tmp_path / "first" / "final.jpg"))
    assert read_recipe(tmp_path / "first" / "run.json").settings["max_num_epochs"] == 50


def test_precision_that_was_chosen_and_a_device_by_another_name() -> None:
    chosen = recipe(Config(precision="auto", gpu=0), precision="bfloat16")
    assert settings_to_repeat(chosen, {})["precision"] == "bfloat16"
    assert Config(**settings_to_repeat(chosen, {"device": "cpu"})).gpu is None
    assert Config(**settings_to_repeat(chosen, {"gpu": -1})).gpu == -1
    assert settings_to_repeat(chosen, {"precision": "auto"})["precision"] == "auto"


def test_another_optimizer_has_its_own_learning_rate() -> None:
    ours = recipe(Config(lr=0.002))
    assert Config(**settings_to_repeat(ours, {"optimizer": "nag"})).lr == 0.002
    assert Config(**settings_to_repeat(ours, {"optimizer": "lbfgs"})).lr == 1
    assert Config(**settings_to_repeat(ours, {"optimizer": "lbfgs", "lr": 0.5})).lr == 0.5


def test_another_preset_keeps_what_follows_a_painter() -> None:
    ours = recipe(Config(painter="vortices", max_num_epochs=10, stop_eps=0.1))
    expected = Config(painter="vortices", max_num_epochs=10, stop_eps=0.1, preset="fast")
    assert Config(**settings_to_repeat(ours, {"preset": "fast"})) == expected
    assert Config(**settings_to_repeat(ours, {"preset": "fast", "painter": None})) == Config(preset="fast")


def test_another_preset_has_its_own_values() -> None:
    ours = recipe(Config(seed=3, lr=0.002, max_num_epochs=5))
    assert Config(**settings_to_repeat(ours, {"preset": "reference"})).max_num_epochs == 5
    assert Config(**settings_to_repeat(ours, {"preset": "fast"})) == Config(preset="fast", seed=3)
    assert Config(**settings_to_repeat(ours, {"preset": "fast", "init": "noise"})).init == "noise"
    assert Config(**settings_to_repeat(recipe(Config(preset="fast")), {"preset": "reference"})) == Config()


@pytest.mark.parametrize("flags", [{}, {"scales": 2}, {"preset": "fast", "coarsest_edge": 32, "max_num_epochs": 2}])
def test_a_larger_picture_goes_on_from_the_recipes(
    pair: tuple[Path, Path], tmp_path: Path, flags: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {**SMALL, "max_long_edge": 48, **flags}
    small_scales: dict[tuple[int, ...], Any] = {}
    large_scales: dict[tuple[int, ...], Any] = {}
    small = stylize(*pair, lambda step: small_scales.update({step.image.shape: step.image.clone()}), **settings,
                    output_dir=tmp_path / "small")  # fmt: skip
    large = stylize(callback=lambda step: large_scales.update({step.image.shape: step.image.clone()}),
                    recipe=small.path, max_long_edge=192, output_dir=tmp_path / "large")  # fmt: skip
    assert max(large.image.shape) == 192
    assert len(large_scales) == len(small_scales) + 2  # 96 and 192 pixels
    for shape, image in small_scales.items():
        assert torch.equal(large_scales[shape], image)


def test_a_larger_picture_has_the_scales_that_it_is_given() -> None:
    ours = recipe(Config(max_long_edge=400))
    edge = max(ours.size)
    for larger in (4 * edge, 4.0 * edge, np.int64(4 * edge)):
        assert settings_to_repeat(ours, {"max_long_edge": larger})["preview_edge"] == edge
    assert settings_to_repeat(ours, {"max_long_edge": 4 * edge, "scales": 1})["preview_edge"] is None
    assert settings_to_repeat(ours, {"max_long_edge": edge})["preview_edge"] is None


def test_a_changed_picture_is_refused_and_warned_of_if_the_user_names_it(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = tmp_path / "moving.png"
    shutil.copy(pair[0], content)
    first = stylize(content, pair[1], output_dir=tmp_path / "first", **SMALL)
    flags = ["--recipe", str(first.path), "--output-dir", str(tmp_path / "second")]
    assert main(flags) == 0
    assert "warning" not in capsys.readouterr().out
    shutil.copy(pair[1], content)
    before = (tmp_path / "second" / "final.jpg").read_bytes()
    assert main([*flags, "--overwrite"]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert f"{content} is not the file that " in complaint
    assert "--content-image" in complaint
    assert (tmp_path / "second" / "final.jpg").read_bytes() == before
    assert main([*flags, "--overwrite", "--content-image", str(content)]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert str(content) in warnings[0]
    assert "has changed since the recipe was made" in warnings[0]


def test_what_is_warned_of() -> None:
    ours = recipe()
    assert not ours.other_inputs(ours)
    assert not ours.other_machine(ours)
    assert ours.other_inputs(recipe(content="other")) == ["/pictures/content.png"]
    assert ours.other_inputs(recipe(weights={"path": "/x", "sha256": "def", "original": True})) == [
        "--weights embedded"
    ]
    chosen = recipe(Config(weights="w.pth"), weights={"path": "/w.pth", "sha256": "def", "original": True})
    assert not ours.other_inputs(chosen)
    other_network = recipe(Config(model="filters"), weights={"path": "", "sha256": "def", "original": True})
    assert not ours.other_inputs(other_network)
    moved = recipe(inputs={"content_image": {"path": "/elsewhere.png", "sha256": "other"}})
    assert not ours.other_inputs(moved)
    newer = recipe(device_name="another", versions={"nstyle": "1", "torch": "3"})
    assert ours.other_machine(newer) == ["device a processor (here another)", "torch 2 (here 3)"]


def test_another_machine_is_warned_of(
    pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = stylize(*pair, output_dir=tmp_path / "first", **SMALL)
    facts = json.loads(first.record.read_text())
    facts["versions"]["torch"] = "1.0"
    (tmp_path / "old.json").write_text(json.dumps(facts))
    with caplog.at_level(logging.WARNING, logger="nstyle"):
        stylize(recipe=tmp_path / "old.json", output_dir=tmp_path / "second")
    assert f"the recipe has torch 1.0 (here {torch.__version__})" in caplog.text


def test_differences() -> None:
    ours = recipe(Config(lr=0.002))
    assert ours.differences(recipe()) == ["--lr 0.002 (now 0.001)"]
    assert not ours.differences(recipe(Config(lr=0.002, output_dir=Path("x"), gpu=3, save_epochs=1, remove_noise=0)))
    assert not recipe(Config(preset="fast")).differences(recipe(Config(**PRESETS["fast"])))
    assert "--optimizer lbfgs (now nag)" in recipe(Config(preset="fast")).differences(recipe())
    later = recipe(Config(lr=0.002, max_num_epochs=5, stop_eps=0, on_divergence="backoff"))
    assert len(ours.differences(later)) == 3
    assert not ours.differences(later, may_differ=OF_THE_END)
    assert ours.differences(recipe(Config(lr=0.002), content="other")) == ["/pictures/content.png has changed since"]
    assert not ours.differences(recipe(Config(lr=0.002, content_image=Path("the same, moved"))))
    assert not ours.differences(recipe(Config(lr=0.002, no_recipe=True)))
    assert ours.differences(recipe(Config(lr=0.002), precision="bfloat16")) == ["--precision float32 (now bfloat16)"]
    other_weights = recipe(Config(lr=0.002, weights="w"), weights={"path": "", "sha256": "1", "original": False})
    assert ours.differences(other_weights) == ["--weights embedded (now w)"]


def test_files_are_the_same_by_their_content_wherever_they_are() -> None:
    inputs = {name: {"path": name, "sha256": name} for name in ("mask", "blend_style[0]", "style_mask[0][0]", "init")}

    def in_folder(folder: str, weight: float = 1) -> Recipe:
        path = Path(folder)
        blend, masks = ((path / "b.jpg", weight),), ((path / "r.png", "all"), (path / "s.png", str(path / "p.png")))
        config = Config(mask=path / "m.png", blend_style=blend, style_mask=masks, init=str(path / "i.jpg"))
        return recipe(config, inputs=inputs)

    assert not in_folder("/here").differences(in_folder("/there"))
    assert in_folder("/here").differences(in_folder("/there", 2)) == ["--blend-style [1.0] (now [2.0])"]


def test_a_published_recipe_has_names_and_hashes_but_no_paths() -> None:
    path = Path("/home/ann")
    config = Config(
        content_image=path / "c.jpg",
        mask=path / "m.png",
        init=str(path / "i.jpg"),
        blend_style=((path / "b.jpg", 1),),
        style_mask=((path / "r.png", "all"), (path / "s.png", str(path / "p.png"))),
        output_dir=path / "output",
    )
    inputs = {
        "content_image": {"path": "/home/ann/c.jpg", "sha256": "c0ffee"},
        "init": {"path": "/home/ann/i.jpg", "sha256": "1"},
    }
    ours = recipe(config, inputs=inputs, weights={"path": "C:\\ann\\w.pth", "sha256": "abc", "original": True})
    text = ours.published().text()
    assert "ann" not in text
    assert all(
        f'"{name}"' in text for name in ("c.jpg", "m.png", "i.jpg", "b.jpg", "s.png", "p.png", "w.pth", "c0ffee")
    )
    assert parse_recipe(text, Path("x")) == ours.published()
    assert not ours.differences(parse_recipe(text, Path("x")))


def damaged(**changes: Any) -> str:
    return json.dumps({**recipe().facts(), **changes})


@pytest.mark.parametrize(
    ("text", "kind", "flag"),
    [
        ("{", Kind.DAMAGED, None),
        ("{}", Kind.DAMAGED, None),
        ("{" * 100_000, Kind.DAMAGED, None),
        ('{"settings": 1e999}', Kind.DAMAGED, None),
        (damaged(settings=[]), Kind.DAMAGED, None),
        (damaged(settings=None), Kind.DAMAGED, None),
        (damaged(settings={"brush": 3}), Kind.UNKNOWN, None),
        (damaged(settings={"lr": -1}), Kind.OUT_OF_RANGE, "--lr"),
        (damaged(settings={"lr": "much"}), Kind.OUT_OF_RANGE, "--lr"),
        (damaged(settings={"lr": [1]}), Kind.OUT_OF_RANGE, "--lr"),
        (damaged(settings={"content_weight": 0, "style_weight": 0}), Kind.CONFLICT, "--content-weight"),
        (damaged(inputs={"content_image": {}}), Kind.DAMAGED, None),
        (damaged(inputs={"content_image": 3}), Kind.DAMAGED, None),
        (damaged(weights={}), Kind.DAMAGED, None),
        (damaged(size=[3]), Kind.DAMAGED, None),
        (damaged(size=["a", 2]), Kind.DAMAGED, None),
        (damaged(versions=3), Kind.DAMAGED, None),
    ],
)
def test_impossible_recipes(
    text: str, kind: Kind, flag: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with refuses(RecipeError, kind=kind, path=path, flag=flag):
        read_recipe(path)
    assert main(["--recipe", str(path), "--output-dir", str(tmp_path / "output")]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "run.json" in complaint
    assert not (tmp_path / "output").exists()


def test_a_recipe_without_pictures_is_no_contradiction() -> None:
    assert parse_recipe(damaged(inputs=[]), Path("x")).inputs == {}


def test_files_without_a_recipe(pair: tuple[Path, Path], tmp_path: Path) -> None:
    missing, text = tmp_path / "nowhere.jpg", tmp_path / "notes.txt"
    text.write_text("no picture")
    for path, kind in ((pair[0], Kind.MISSING), (missing, Kind.MISSING), (tmp_path, Kind.UNREADABLE)):
        with refuses(RecipeError, kind=kind, path=path, flag="--recipe"):
            read_recipe(path)
    with pytest.raises(RecipeError) as refused:
        read_recipe(text)
    assert (refused.value.path, refused.value.flag) == (text, "--recipe")


def test_an_input_that_is_gone(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = stylize(*pair, output_dir=tmp_path / "first", **SMALL)
    pair[0].unlink()
    assert main(["--recipe", str(first.path), "--output-dir", str(tmp_path / "second")]) == 1
    assert str(pair[0]) in capsys.readouterr().err
