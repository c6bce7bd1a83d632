"""A painting that is painted larger than it is shown, and shrunk."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from films import scene, write_video
from moving import Moving, pan
from PIL import Image
from recipes import recipe
from refusals import refuses
from test_resume import kill_and_resume
from test_sequence import settings, shot

from nstyle import DeviceError, PaintingStep, stylize
from nstyle.errors import Kind
from nstyle.film.plan import plan_film
from nstyle.networks.model_space import from_model_space
from nstyle.painting.estimate import estimate_run
from nstyle.painting.finish import FINISHING_BYTES, SHRINKING_BYTES, bytes_of_finishing
from nstyle.painting.inputs import inputs_of
from nstyle.painting.sizes import scale_sizes
from nstyle.pictures.decode import read_picture
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture, Rgb, resize_picture, shrink, to_uint8
from nstyle.settings.config import Config
from nstyle.settings.film import FilmSettings
from nstyle.storage.checkpoint import read_checkpoint
from nstyle.storage.recipe import parse_recipe, read_recipe, settings_to_repeat

LARGER: dict[str, Any] = {
    "max_long_edge": 48,
    "supersampling": 1.5,
    "max_num_epochs": 3,
    "stop_eps": 0,
    "save_epochs": 2,
    "image_format": "png",
}


def sizes_of(content: tuple[int, int], **options: Any) -> list[tuple[tuple[int, int], tuple[int, int] | None]]:
    """Return height and width of image and picture at each scale."""
    config = Config(**options)
    inputs = inputs_of(config)
    sizes = scale_sizes(config, inputs, dict.fromkeys(inputs.sources, content))
    return [((size.height, size.width), size.shown) for size in sizes]


def texture(height: int, width: int) -> Rgb:
    """A picture of noise."""
    return np.random.default_rng(5).random((height, width, 3), dtype=np.float32)


def test_the_picture_has_the_size_that_it_would_have_without() -> None:
    assert sizes_of((301, 451), max_long_edge=300, supersampling=1) == [((200, 300), None)]
    assert sizes_of((301, 451), max_long_edge=300, supersampling=2) == [((400, 600), (200, 300))]
    assert sizes_of((301, 451), max_long_edge=100, enlarge=False, supersampling=1.5) == [((100, 150), (66, 100))]
    assert sizes_of((20, 30), max_long_edge=100, enlarge=False, supersampling=1.5) == [((30, 45), (20, 30))]


def test_scales_are_those_of_a_larger_painting() -> None:
    factors: dict[str, Any] = {"coarsest_edge": 64, "scale_factor": 2}
    larger = sizes_of((300, 400), max_long_edge=400, **factors)
    ours = sizes_of((300, 400), max_long_edge=200, supersampling=2, **factors)
    assert [image for image, _ in ours] == [image for image, _ in larger]
    assert [picture for _, picture in ours] == [(24, 32), (48, 64), (96, 128), (150, 200)]
    halved = sizes_of((300, 400), max_long_edge=200, supersampling=2, scales=2)
    assert halved == [((150, 200), (75, 100)), ((300, 400), (150, 200))]


def test_a_larger_painting_begins_with_the_smaller_one() -> None:
    factors: dict[str, Any] = {"coarsest_edge": 64, "scale_factor": 2, "supersampling": 1.5}
    small = sizes_of((301, 451), max_long_edge=100, **factors)
    assert small[-1] == ((100, 150), (66, 100))
    large = sizes_of((301, 451), max_long_edge=300, preview_edge=100, **factors)
    assert large[: len(small)] == small
    assert large[-1] == ((300, 450), (200, 300))


def test_a_texture_and_its_style_are_painted_larger() -> None:
    config = Config(size="60x40", content_weight=0, max_long_edge=100, supersampling=1.5)
    inputs = inputs_of(config)
    (size,) = scale_sizes(config, inputs, dict.fromkeys(inputs.sources, (200, 200)))
    assert ((size.height, size.width), size.shown) == ((60, 90), (40, 60))
    assert [frame.window for frame in size.frames.values()] == [(150, 150)]


def test_a_painter_alone_paints_in_the_size_that_is_shown() -> None:
    assert sizes_of((300, 400), max_long_edge=200, painter="vortices", supersampling=2) == [((150, 200), None)]
    assert Config(painter="vortices", max_num_epochs=3, preset="painterly").supersampling == 1


@pytest.mark.parametrize("size", [(64, 48), (33, 70), (1, 1)])
def test_shrinking_keeps_means_flat_areas_and_range(size: tuple[int, int]) -> None:
    small = shrink(texture(96, 90), *size)
    assert small.shape == (*size, 3)
    assert small.dtype == np.float32
    assert small.min() >= 0
    assert small.max() <= 1
    np.testing.assert_allclose(small.mean((0, 1)), texture(96, 90).mean((0, 1)), atol=0.02)
    np.testing.assert_allclose(shrink(np.full((96, 90, 3), 0.3, np.float32), *size), 0.3, atol=1e-6)


def test_shrinking_removes_the_finest_checks_and_keeps_bands() -> None:
    rows, columns = np.indices((96, 96))
    checks = np.repeat(((rows + columns) % 2)[..., None], 3, 2).astype(np.float32)
    assert shrink(checks, 64, 64)[8:-8, 8:-8].std() < 0.02
    bands = np.repeat((0.5 + 0.5 * np.sin(columns / 4))[..., None], 3, 2).astype(np.float32)
    assert shrink(bands, 64, 64).std() > 0.98 * bands.std()


def test_a_picture_of_the_same_size_is_left_alone() -> None:
    picture = texture(20, 30)
    assert shrink(picture, 20, 30) is picture


def test_what_tiles_still_tiles_when_it_is_shrunk() -> None:
    """Rolled by a period of both grids before, it is rolled after."""
    picture = texture(60, 90)
    small = shrink(picture, 40, 60, wrap=True)
    rolled = shrink(np.roll(picture, (15, 30), (0, 1)), 40, 60, wrap=True)
    np.testing.assert_allclose(rolled, np.roll(small, (10, 20), (0, 1)), atol=1e-5)
    assert np.abs(shrink(picture, 40, 60) - small).max() > 0.01  # at the edges


def test_every_picture_of_a_run_is_shrunk(pair: tuple[Path, Path], tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []
    result = stylize(*pair, lambda step: seen.append(tuple(step.image.shape)), output_dir=tmp_path, **LARGER)
    assert len(set(seen)) == 1
    assert max(seen[0]) == 72
    shown = read_picture(tmp_path / "final.png").rgb
    assert max(shown.shape) == 48
    assert read_picture(tmp_path / "e_2.png").rgb.shape == shown.shape
    np.testing.assert_array_equal(result.rgb, to_uint8(shown))
    assert max(result.image.shape) == 72
    assert max(json.loads((tmp_path / "run.json").read_text())["size"]) == 48
    plain = stylize(*pair, output_dir=tmp_path / "plain", **{**LARGER, "max_long_edge": 72, "supersampling": 1})
    np.testing.assert_array_equal(shrink(plain.picture.rgb, *shown.shape[:2]), result.picture.rgb)


@pytest.mark.parametrize(
    ("photo", "shown", "image"), [((301, 451), (66, 100), (100, 150)), ((297, 500), (59, 101), (90, 152))]
)
def test_a_checkpoint_may_have_more_rows_than_the_picture_tells(
    photo: tuple[int, int], shown: tuple[int, int], image: tuple[int, int], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """66 rows are shown of 100: the shown ones are rounded down. Of 101 columns times 1.5, 152 are painted."""
    Image.open(pair[0]).resize(photo[::-1]).save(tmp_path / "photo.png")
    options = {**LARGER, "max_long_edge": shown[1], "max_num_epochs": 2}
    result = stylize(tmp_path / "photo.png", pair[1], output_dir=tmp_path / "out", **options)
    assert result.image.shape[2:] == image
    assert result.rgb.shape[:2] == shown
    checkpoint, _ = read_checkpoint(tmp_path / "out" / "state.npz", torch.device("cpu"))
    assert torch.equal(checkpoint.descent.image, result.image)


@pytest.mark.parametrize("after", [2, 3, 5])
def test_it_resumes_to_the_bit(
    after: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**LARGER, "coarsest_edge": 36, "scale_factor": 2, "optimizer": "lbfgs"}
    kill_and_resume(pair, tmp_path, monkeypatch, after, options, epochs=6)


def test_a_recipe_repeats_it_and_paints_it_larger(pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**LARGER, "coarsest_edge": 36, "scale_factor": 2}
    small = stylize(*pair, output_dir=tmp_path / "small", **options)
    again = stylize(recipe=small.path, output_dir=tmp_path / "again")
    assert torch.equal(again.image, small.image)
    images: dict[int, torch.Tensor] = {}

    def keep(step: PaintingStep) -> None:
        images[step.scale] = step.image.clone()

    large = stylize(callback=keep, recipe=small.path, max_long_edge=96, output_dir=tmp_path / "large")
    assert max(large.rgb.shape) == 96
    assert torch.equal(images[2], small.image)
    assert max(images[max(images)].shape) == 144


def test_a_recipe_from_before_is_painted_as_it_was() -> None:
    facts = recipe(Config(preset="painterly", style_layers="relu1_1")).facts()
    del facts["settings"]["supersampling"]
    facts["settings"]["style_layers"] = None
    older = parse_recipe(json.dumps(facts), Path("x"))
    assert older.settings["supersampling"] == 1
    assert older.settings["style_loss"] == "wasserstein"
    again = Config(**settings_to_repeat(older, {}))
    assert (again.supersampling, again.style_layers) == (1, None)


def test_the_log_tells_both_sizes(pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="nstyle"):
        stylize(*pair, output_dir=tmp_path, **LARGER, scales=2)
        stylize(*pair, output_dir=tmp_path / "plain", **{**LARGER, "scales": 2, "supersampling": 1})
    coarse, fine, *plain = [line for line in caplog.messages if line.startswith("scale ")]
    assert coarse.startswith("scale 1 of 2: 36x")
    assert ", shrunk to 24x" in coarse
    assert fine.startswith("scale 2 of 2: 72x")
    assert ", shrunk to 48x" in fine
    assert len(plain) == 2
    assert not any("shrunk" in line for line in plain)


def test_where_nothing_is_painted_the_content_is_copied_in_the_size_that_is_shown(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    content = read_picture(pair[0])
    height, width = content.size
    mask = np.zeros((height, width, 3), np.float32)
    mask[:, : width // 2] = 1
    write_picture(tmp_path / "mask.png", Picture(mask))
    result = stylize(*pair, mask=tmp_path / "mask.png", output_dir=tmp_path / "out", **LARGER)
    expected = resize_picture(content, *result.picture.size)
    _, columns = result.picture.size
    right = np.s_[:, columns // 2 + 2 :]
    np.testing.assert_array_equal(result.picture.rgb[right], expected.rgb[right])
    left = np.s_[:, : columns // 2 - 2]
    assert np.abs(result.picture.rgb[left] - expected.rgb[left]).mean() > 0.01


@pytest.mark.parametrize("preserve_colors", ["luma", "covariance"])
def test_colors_and_transparency_are_those_of_the_size_that_is_shown(
    preserve_colors: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    content = read_picture(pair[0])
    alpha = np.linspace(0, 1, content.size[1], dtype=np.float32) * np.ones(content.size, np.float32)
    write_picture(tmp_path / "clear.png", Picture(content.rgb, alpha))
    result = stylize(
        tmp_path / "clear.png", pair[1], preserve_colors=preserve_colors, output_dir=tmp_path / "out", **LARGER
    )
    expected = resize_picture(read_picture(tmp_path / "clear.png"), *result.picture.size)
    assert result.picture.alpha is not None
    assert expected.alpha is not None
    np.testing.assert_array_equal(result.picture.alpha, expected.alpha)
    if preserve_colors == "luma":
        chroma = result.picture.rgb - result.picture.rgb.mean(-1, keepdims=True)
        own = expected.rgb - expected.rgb.mean(-1, keepdims=True)
        visible = expected.alpha > 0.5
        assert np.corrcoef(chroma[visible].ravel(), own[visible].ravel())[0, 1] > 0.9


def test_a_texture_tiles(pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**LARGER, "size": "40x32", "content_weight": 0, "seamless": True, "init": "style"}
    result = stylize(style_image=pair[1], output_dir=tmp_path, **options)
    assert result.picture.rgb.shape == (32, 40, 3)
    image = from_model_space(result.image)
    np.testing.assert_array_equal(result.picture.rgb, shrink(image, 32, 40, wrap=True))
    assert not np.array_equal(result.picture.rgb, shrink(image, 32, 40))


def test_what_does_not_fit_into_memory_names_the_size_that_is_shown(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.session.memory_in_use", lambda device: 400_000_000)
    options: dict[str, Any] = {
        **{"content_image": pair[0], "style_image": pair[1], "output_dir": tmp_path, "max_num_epochs": 1},
        "supersampling": 2,
    }
    with refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-memory") as refused:
        estimate_run(Config(**options, max_long_edge=4000, max_memory="1GB"))
    message = str(refused.value)
    assert message.startswith("--max-long-edge 4000 needs")
    fitting = int(message.split("lower --max-long-edge to ")[1].split(",")[0])
    assert 100 < fitting < 4000
    found = estimate_run(Config(**options, max_long_edge=fitting, max_memory="1GB"))
    assert max(found.size) == fitting
    plain = estimate_run(Config(**{**options, "supersampling": 1}, max_long_edge=2 * fitting, max_memory="1GB"))
    assert plain.memory < found.memory < 1.2 * plain.memory


@pytest.mark.parametrize("change", [{"model": "filters"}, {"style_loss": "mrf"}, {"style_loss": "gram"}])
def test_the_layers_of_a_preset_are_for_its_own_network_and_style_loss(change: dict[str, Any]) -> None:
    painterly = Config(preset="painterly")
    assert painterly.style_layers is not None
    assert painterly.style_layers.startswith("relu1_1:2,")
    assert Config(preset="painterly", **change).style_layers is None
    assert Config(preset="painterly", style_loss="wasserstein").style_layers == painterly.style_layers
    assert Config(preset="painterly", style_layers="relu1_1", **change).style_layers == "relu1_1"


def test_another_network_or_style_loss_than_the_recipes_has_its_own_layers(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    painted = stylize(*pair, **{**LARGER, "preset": "painterly", "max_num_epochs": 1}, output_dir=tmp_path)
    recipe = read_recipe(painted.path)
    assert Config(**settings_to_repeat(recipe, {})).style_layers == Config(preset="painterly").style_layers
    own = dataclasses.replace(recipe, settings={**recipe.settings, "style_layers": "relu1_1"})
    assert Config(**settings_to_repeat(own, {"style_loss": "gram"})).style_layers == "relu1_1"
    assert Config(**settings_to_repeat(recipe, {"style_loss": "mrf"})).style_layers is None
    assert Config(**settings_to_repeat(recipe, {"model": "filters"})).style_layers is None


def test_frames_of_a_film_hold_together(pair: tuple[Path, Path]) -> None:
    film: Moving = pan(width=96, height=64)
    small = settings(pair[1], max_long_edge=48, supersampling=1.5)
    frames = list(shot(film, small, numbers=range(2)).paint())
    assert [frame.painted.picture.size for frame in frames] == [(32, 48)] * 2
    assert [max(frame.painted.image.shape) for frame in frames] == [72] * 2
    alone = list(shot(film, dataclasses.replace(small, max_long_edge=72, supersampling=1), numbers=range(2)).paint())
    for ours, theirs in zip(frames, alone, strict=True):
        assert torch.equal(ours.painted.image, theirs.painted.image)


def test_memory_for_what_is_carried_and_for_shrinking_is_planned(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", scene(2))
    options: dict[str, Any] = {"model": "filters", "max_long_edge": 480, "preset": "fast"}
    plans = [
        plan_film(Config(**options, supersampling=factor), FilmSettings(film=tmp_path / "clip.mp4"))
        for factor in (1, 2)
    ]
    plain, larger = (plan.memory(torch.device("cuda")) for plan in plans)
    assert larger == pytest.approx(4 * plain)
    assert [bytes_of_finishing(plan.config, 0) for plan in plans] == [FINISHING_BYTES["none"], SHRINKING_BYTES]
