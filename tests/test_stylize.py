"""A whole run: what it writes and reports, and that it is repeatable."""

import csv
import dataclasses
import gc
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refuses

import nstyle
from nstyle import Config, DivergenceError, NStyleError, Step, stylize
from nstyle.errors import DeviceError, Kind
from nstyle.losses.objective import Evaluation, Objective
from nstyle.networks.layers import STYLE_LAYERS
from nstyle.networks.model_space import from_model_space, shown_range, to_model_space
from nstyle.networks.vgg19 import VGG19, WEIGHT_SHAPES
from nstyle.networks.weights import load_vgg19, read_weights
from nstyle.optim.descent import descend
from nstyle.painting.steps import PaintingStep
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import denoise, resize, resize_picture, to_uint8

SMALL: dict[str, Any] = {"max_long_edge": 32, "max_num_epochs": 4, "save_epochs": 2}


def paint(pair: tuple[Path, Path], output_dir: Path, **options: Any) -> nstyle.Result:
    return stylize(*pair, output_dir=output_dir, **{**SMALL, **options})


def rows(output_dir: Path) -> list[dict[str, str]]:
    with (output_dir / "epochs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_written(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = paint(pair, tmp_path / "output")
    names = sorted(path.name for path in (tmp_path / "output").iterdir())
    assert names == ["e_2.jpg", "e_4.jpg", "epochs.csv", "final.jpg", "run.json", "state.npz"]
    assert result.path == tmp_path / "output" / "final.jpg"
    assert result.epochs == 4
    assert result.stop_reason == "epochs"
    assert result.image.shape == (1, 3, 21, 32)
    assert result.rgb.shape == (21, 32, 3)
    with Image.open(result.path) as picture:
        assert picture.size == (32, 21)


def test_the_picture_is_that_of_the_parts_put_together_by_hand(
    pair: tuple[Path, Path], vgg19: VGG19, tmp_path: Path
) -> None:
    result = paint(pair, tmp_path / "output", seed=5, image_format="png", content_weight=7, lr=0.002)
    content, style = (to_model_space(resize(read_picture(path).rgb, 21, 32)) for path in pair)
    noise = torch.rand(1, 3, 21, 32, generator=torch.Generator().manual_seed(5)) * 0.2 - 0.1
    objective = Objective(vgg19, content, style, content_weight=7)
    *_, last = descend(objective, noise, lr=0.002, max_num_epochs=4)
    torch.testing.assert_close(result.image, last.image)
    np.testing.assert_array_equal(np.asarray(Image.open(result.path)), to_uint8(from_model_space(result.image)))


def test_snapshots_are_denoised_and_the_final_picture_is_not(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = paint(pair, tmp_path / "output", image_format="png", remove_noise=0.3)
    snapshot = np.asarray(Image.open(tmp_path / "output" / "e_4.png"))
    np.testing.assert_array_equal(snapshot, to_uint8(denoise(from_model_space(result.image), 0.3)))
    assert not np.array_equal(snapshot, result.rgb)


def test_the_same_command_gives_the_same_picture(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first = paint(pair, tmp_path / "output")
    written = {path.name: path.read_bytes() for path in first.path.parent.glob("*.jpg")}
    second = paint(pair, tmp_path / "output")
    assert torch.equal(first.image, second.image)
    assert {path.name: path.read_bytes() for path in first.path.parent.glob("*.jpg")} == written
    assert not torch.equal(first.image, paint(pair, tmp_path / "other", seed=1).image)


def test_run_record(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = paint(pair, tmp_path / "output", seed=3)
    record = json.loads(result.record.read_text())
    assert record["settings"]["seed"] == 3
    assert record["settings"]["max_long_edge"] == 32
    assert record["settings"]["lr"] == 0.001
    assert set(record["settings"]) == {field.name for field in dataclasses.fields(Config)} - {
        *("overwrite", "resume", "keep_metadata", "keep_place")
    }
    assert record["stop_reason"] == "epochs"
    assert record["epochs"] == 4
    assert record["size"] == [32, 21]
    assert record["device"] == "cpu"
    assert record["precision"] == "float32"
    assert record["weights"]["sha256"] == read_weights().sha256
    assert record["weights"]["original"] is True
    assert record["inputs"]["content_image"]["path"] == str(pair[0])
    assert len(record["inputs"]["style_image"]["sha256"]) == 64
    assert record["versions"]["nstyle"] == nstyle.__version__
    assert record["versions"]["torch"] == torch.__version__


def test_the_record_is_there_while_the_run_goes_on(pair: tuple[Path, Path], tmp_path: Path) -> None:
    reasons = []

    def callback(_: Step[Evaluation]) -> None:
        reasons.append(json.loads((tmp_path / "run.json").read_text())["stop_reason"])

    paint(pair, tmp_path, callback=callback)
    assert reasons == ["running"] * 4


def test_a_line_an_epoch_that_agrees_with_the_steps(pair: tuple[Path, Path], tmp_path: Path) -> None:
    steps: list[Step[Evaluation]] = []
    paint(pair, tmp_path / "output", callback=steps.append)
    lines = rows(tmp_path / "output")
    assert [int(line["epoch"]) for line in lines] == [0, 1, 2, 3]
    for line, step in zip(lines, steps, strict=True):
        assert float(line["relative_change"]) == step.relative_change
        assert float(line["learning_rate"]) == step.learning_rate
        assert float(line["gradient_norm"]) == float(step.evaluation.gradient_norm)
        assert float(line["loss"]) == float(step.evaluation.loss)
        layers = sum(float(line[f"style_loss_{layer}"]) for layer in STYLE_LAYERS)
        assert float(line["content_loss"]) + layers == pytest.approx(float(line["loss"]), rel=1e-5)
    assert [float(line["seconds"]) for line in lines] == sorted(float(line["seconds"]) for line in lines)


def test_callback_sees_each_epoch_and_the_snapshot_just_written(pair: tuple[Path, Path], tmp_path: Path) -> None:
    seen = []

    def callback(step: PaintingStep) -> None:
        seen.append((step.epoch, step.snapshot, step.snapshot is not None and step.snapshot.exists()))

    paint(pair, tmp_path, callback=callback)
    assert seen == [
        (0, None, False),
        (1, tmp_path / "e_2.jpg", True),
        (2, None, False),
        (3, tmp_path / "e_4.jpg", True),
    ]


def test_stops_by_itself_without_a_snapshot_of_that_epoch(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = paint(pair, tmp_path / "output", stop_eps=10, save_epochs=1)
    assert result.epochs == 1
    assert result.stop_reason == "relative change"
    assert not list((tmp_path / "output").glob("e_*"))
    assert json.loads(result.record.read_text())["stop_reason"] == "relative change"


def test_the_content_picture_starts_as_itself(pair: tuple[Path, Path], tmp_path: Path) -> None:
    content, style = (to_model_space(resize(read_picture(path).rgb, 21, 32)) for path in pair)
    third = tmp_path / "third.png"
    Image.new("RGB", (64, 64), (10, 200, 30)).save(third)
    flat = to_model_space(resize(read_picture(third).rgb, 21, 32))
    for init, start in (("content", content), ("style", style), (str(third), flat)):
        result = paint(pair, tmp_path / "output", init=init, lr=1e-7, max_num_epochs=1, overwrite=True)
        assert (result.image - start).abs().max() < 0.1, init
    assert json.loads(result.record.read_text())["inputs"]["init"]["path"] == str(third)


def test_bfloat16_paints_nearly_the_same(pair: tuple[Path, Path], tmp_path: Path) -> None:
    exact = paint(pair, tmp_path / "exact", max_num_epochs=1)
    rounded = paint(pair, tmp_path / "rounded", max_num_epochs=1, precision="bfloat16")
    assert json.loads(rounded.record.read_text())["precision"] == "bfloat16"
    assert not torch.equal(exact.image, rounded.image)
    assert (exact.image - rounded.image).norm() / exact.image.norm() < 0.05


def test_foreign_weights_paint_nearly_the_same(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """The same network with activations a thousand times smaller. The defaults still work."""
    tensors = read_weights().tensors
    small = {n: t / 1000 if n == "conv1_1.weight" or n.endswith("bias") else t for n, t in tensors.items()}
    torch.save(small, tmp_path / "small.pth")
    ours = paint(pair, tmp_path / "ours")
    foreign = paint(pair, tmp_path / "foreign", weights=tmp_path / "small.pth")
    assert json.loads(foreign.record.read_text())["weights"]["original"] is False
    assert (ours.image - foreign.image).norm() / ours.image.norm() < 0.01


def test_one_weight_may_be_0(pair: tuple[Path, Path], tmp_path: Path) -> None:
    paint(pair, tmp_path / "content", style_weight=0)
    assert not [name for name in rows(tmp_path / "content")[0] if name.startswith("style_loss")]
    paint(pair, tmp_path / "style", content_weight=0)
    assert float(rows(tmp_path / "style")[0]["content_loss"]) == 0


def test_a_callbacks_error_is_passed_on_and_the_picture_so_far_kept(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def callback(step: Step[Evaluation]) -> None:
        if step.epoch == 2:
            raise LookupError("my own")

    with pytest.raises(LookupError, match="my own"):
        paint(pair, tmp_path / "output", callback=callback)
    record = json.loads((tmp_path / "output" / "run.json").read_text())
    assert record["stop_reason"] == "failed"
    assert record["epochs"] == 3
    assert (tmp_path / "output" / "final.jpg").exists()


def test_an_interrupt_keeps_the_picture_so_far(pair: tuple[Path, Path], tmp_path: Path) -> None:
    images = []

    def callback(step: Step[Evaluation]) -> None:
        images.append(step.image)
        if step.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        paint(pair, tmp_path / "output", callback=callback, image_format="png")
    picture = tmp_path / "output" / "final.png"
    assert caught.value.__notes__ == [f"the picture after 2 epochs is {picture}; --resume continues it"]
    kept = np.asarray(Image.open(tmp_path / "output" / "final.png"))
    np.testing.assert_array_equal(kept, to_uint8(from_model_space(images[-1])))


def test_an_interrupt_before_the_first_epoch_leaves_an_older_picture_alone(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = paint(pair, tmp_path).path.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Objective, "gradient", interrupt)
    with pytest.raises(KeyboardInterrupt):
        paint(pair, tmp_path, overwrite=True)
    assert (tmp_path / "final.jpg").read_bytes() == before


def test_divergence_names_the_file(pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / "final.jpg"
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, path=final, flag="--lr"):
        paint(pair, tmp_path, lr=100)
    before = final.read_bytes()
    monkeypatch.setattr(
        "nstyle.optim.descent.DIVERGED_RMS", 0
    )  # at once, because the start must not replace the older picture
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, path=None, flag="--lr"):
        paint(pair, tmp_path, lr=100)
    assert final.read_bytes() == before


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_run_held_goes_with_it(
    fails: bool, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not at Python's next garbage collection, because a GPU's memory may be full before that."""

    def run_out(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    if fails:
        monkeypatch.setattr("nstyle.losses.objective.clip_to_norm", run_out)
    failed = False
    gc.collect()
    before = held()
    gc.disable()
    try:
        try:  # pytest.raises would keep the error and all objects that its traceback refers to
            paint(pair, tmp_path)
        except DeviceError:
            failed = True
        assert held() <= before
    finally:
        gc.enable()
    assert failed == fails


def held() -> int:
    """Number of networks and objectives in this process."""
    return sum(issubclass(type(thing), VGG19 | Objective) for thing in gc.get_objects())


def test_clamped_values_stay_between_black_and_white(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Clamped values stay within the range at each epoch; free values do not."""
    black, white = shown_range(torch.zeros(1, 3, 1, 1))

    def epochs_beyond(image_range: str) -> list[bool]:
        seen: list[bool] = []
        stylize(
            *pair,
            lambda step: seen.append(bool(((step.image < black) | (step.image > white)).any())),
            output_dir=tmp_path / image_range,
            image_range=image_range,
            optimizer="adam",
            init="content",
            **SMALL,
        )
        return seen

    assert epochs_beyond("clamped") == [False] * 4
    assert any(epochs_beyond("free"))


def test_strength_is_a_factor_on_the_contents_weight(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """The factor is exactly 1 at 50, and 8 and 1/8 at the ends of the range."""
    paintings = {
        (strength, weight): paint(
            pair, tmp_path / f"{strength} {weight}", strength=strength, content_weight=weight
        ).image
        for strength, weight in ((0, 10), (50, 80), (100, 10), (50, 1.25), (50, 10))
    }
    assert torch.equal(paintings[0, 10], paintings[50, 80])
    assert torch.equal(paintings[100, 10], paintings[50, 1.25])
    assert torch.equal(paintings[50, 10], paint(pair, tmp_path / "unsaid", content_weight=10).image)
    assert not torch.equal(paintings[0, 10], paintings[100, 10])


def test_unknown_options_and_late_names() -> None:
    with pytest.raises(TypeError, match="brush"):
        stylize("a.jpg", "b.jpg", brush="large")
    with pytest.raises(AttributeError, match="no_such_name"):
        nstyle.no_such_name  # noqa: B018  (to look it up is the point)
    assert set(nstyle.__all__) <= set(dir(nstyle))
    assert all(getattr(nstyle, name) for name in nstyle.__all__)
    assert issubclass(DivergenceError, NStyleError)


def test_public_names_fit_together(pair: tuple[Path, Path]) -> None:
    """Public names, as in the README."""
    features = load_vgg19(weights=None, device="cpu")
    content, style = (to_model_space(read_picture(path).rgb) for path in pair)
    assert features(content, layers=("relu1_1", "relu4_2"))["relu4_2"].shape == (1, 512, 4, 6)
    objective = nstyle.Objective(features, content, style, content_weight=10.0, style_weight=1.0, tv_weight=0.01)
    evaluation = objective.gradient(torch.zeros_like(content))
    assert evaluation.gradient.shape == content.shape
    assert evaluation.gradient_norm > 0
    assert len(WEIGHT_SHAPES) == 32


def test_backoff_recovers_says_so_and_is_taken_up_to_the_bit(
    pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options: dict[str, Any] = {"lr": 3, "on_divergence": "backoff", "max_num_epochs": 8, "save_epochs": 1}
    with caplog.at_level(logging.WARNING, logger="nstyle"):
        whole = paint(pair, tmp_path / "whole", **options)
    assert "epoch 1 diverged: back to the last good state, learning rate lowered to" in caplog.text
    rates = [float(line["learning_rate"]) for line in rows(tmp_path / "whole")]
    assert all(0 < rate < 3 for rate in rates)
    assert torch.isfinite(whole.image).all()

    def stop(step: Step[Evaluation]) -> None:
        if step.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(pair, tmp_path / "cut", callback=stop, **options)
    resumed = paint(pair, tmp_path / "cut", resume=True, **options)
    assert torch.equal(resumed.image, whole.image)


def test_a_diverged_run_is_taken_up_by_backoff(pair: tuple[Path, Path], tmp_path: Path) -> None:
    whole = paint(pair, tmp_path / "whole", lr=3, on_divergence="backoff")
    with pytest.raises(DivergenceError):
        paint(pair, tmp_path / "cut", lr=3)
    resumed = paint(pair, tmp_path / "cut", lr=3, on_divergence="backoff", resume=True)
    assert torch.equal(resumed.image, whole.image)


@pytest.mark.parametrize(
    ("precision", "options"),
    [
        ("float32", {}),
        ("bfloat16", {}),
        ("float32", {"balance": "relative", "padding": "mirror", "optimizer": "lbfgs", "image_range": "clamped"}),
    ],
)
def test_any_number_of_threads_paints_the_same_picture(
    precision: str, options: dict[str, Any], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """At a size where PyTorch would split its sums. bfloat16 may be emulated and slow."""
    before, images = torch.get_num_threads(), []
    size = {"max_long_edge": 160, "max_num_epochs": 2} if precision == "float32" else {"max_num_epochs": 1}
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            images.append(paint(pair, tmp_path / str(threads), precision=precision, **size, **options).image)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


def test_transparency_is_kept_and_jpeg_says_that_it_has_none(
    pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Image.open(pair[0]) as picture:
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        picture.save(tmp_path / "alpha.png")
    wanted = resize_picture(read_picture(tmp_path / "alpha.png"), 21, 32).alpha
    assert wanted is not None
    for image_format in ("png", "tiff", "webp"):
        result = stylize(
            tmp_path / "alpha.png", pair[1], output_dir=tmp_path / image_format, image_format=image_format, **SMALL
        )
        for path in (result.path, result.path.with_name(f"e_2.{image_format}")):
            with Image.open(path) as painted_picture:
                assert painted_picture.mode == "RGBA"
                np.testing.assert_array_equal(np.asarray(painted_picture)[..., 3], to_uint8(wanted))
    assert "transparency" not in caplog.text
    with caplog.at_level(logging.WARNING, logger="nstyle"):
        stylize(tmp_path / "alpha.png", pair[1], output_dir=tmp_path / "jpg", **SMALL)
    assert "JPEG has no transparency" in caplog.text


@pytest.mark.parametrize("image_format", ["png", "tiff"])
def test_16_bits_are_written(image_format: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = paint(pair, tmp_path, image_format=image_format, bit_depth=16)
    for path, image in ((result.path, result.picture.rgb), (tmp_path / f"e_2.{image_format}", None)):
        rgb = read_picture(path).rgb
        assert np.abs(rgb * 255 - np.rint(rgb * 255)).max() > 0.3  # levels that 8 bits cannot hold
        if image is not None:
            np.testing.assert_allclose(rgb, image, atol=0.6 / 65535)
