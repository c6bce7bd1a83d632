"""A painting in several scales that is interrupted or killed at any scale resumes to the same picture."""

import csv
import dataclasses
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from refusals import refuses
from test_resume import counting, files, kill_and_resume

from nstyle import DivergenceError, PaintingStep, RecipeError, stylize
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.settings.presets import PRESETS
from nstyle.storage.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from nstyle.storage.recipe import read_recipe
from nstyle.wording import counted

EPOCHS = 4
"""At each scale."""

SCALES: dict[str, Any] = {
    "max_long_edge": 96,
    "scales": 3,
    "grain": 8,
    "max_num_epochs": EPOCHS,
    "stop_eps": 0,
    "save_epochs": 3,
    "image_format": "png",
}


@pytest.fixture(autouse=True)
def grain_at_each_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add grain to small scales, too, so that it is resumed as all else."""
    monkeypatch.setattr("nstyle.painting.prepare.GRAIN_EDGE", 16)


def interrupted_after(epochs: int) -> Callable[[PaintingStep], None]:
    """A callback that ends the run like Ctrl-C."""

    def callback(step: PaintingStep) -> None:
        if step.epoch + 1 == epochs:
            raise KeyboardInterrupt

    return callback


# Within each scale, and at the ends of two with one of the optimizers.
@pytest.mark.parametrize(
    ("optimizer", "after"), [*itertools.product(["nag", "lbfgs"], [1, 6, 11]), ("nag", 4), ("lbfgs", 8)]
)
def test_interrupted_in_any_scale(after: int, optimizer: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**SCALES, "optimizer": optimizer}
    whole = stylize(*pair, output_dir=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        stylize(*pair, interrupted_after(after), output_dir=tmp_path / "cut", **options)
    assert f"after {counted(after, 'epoch')} is" in interrupt.value.__notes__[0]
    epochs: list[int] = []
    resumed = stylize(*pair, counting(epochs), output_dir=tmp_path / "cut", resume=True, **options)
    assert epochs == list(range(after, 3 * EPOCHS))
    assert torch.equal(resumed.image, whole.image)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@pytest.mark.parametrize("optimizer", ["nag", "lbfgs"])
@pytest.mark.parametrize("after", [2, 7, 11])
def test_killed_in_any_scale(
    after: int, optimizer: str, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_and_resume(pair, tmp_path, monkeypatch, after, {**SCALES, "optimizer": optimizer}, epochs=3 * EPOCHS)


def test_kill_9_in_each_scale(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A real process is killed three times, as a short form of scripts/kill_and_resume.py."""
    options = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--max-long-edge", "96", "--quiet"]
    options += ["--image-format", "png", "--save-epochs", "1", "--max-num-epochs", "15", "--stop-eps", "0"]
    options += ["--scales", "3", "--optimizer", "lbfgs"]
    assert main([*options, "--output-dir", str(tmp_path / "whole")]) == 0
    output = tmp_path / "killed"
    command = [sys.executable, "-m", "nstyle", *options, "--output-dir", str(output), "--resume"]
    for scale, epochs in ((1, 3), (2, 18), (3, 33)):
        process = subprocess.Popen(command)
        while process.poll() is None and not (output / f"e_{epochs}.png").exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in output.glob("*.png"):
            with Image.open(path) as picture:
                picture.load()
        checkpoint, _ = read_checkpoint(output / "state.npz", torch.device("cpu"))
        assert checkpoint.scale == scale
    assert main(command[3:]) == 0
    assert files(output) == files(tmp_path / "whole")


OWN_EPOCHS: dict[str, Any] = {
    "max_long_edge": 96,
    "coarsest_edge": 24,
    "max_num_epochs": (5, 3, 2),
    "stop_eps": 0,
    "save_epochs": 3,
    "image_format": "png",
}
"""Three scales, each with its own number of epochs."""


def test_each_scale_takes_its_own_epochs(pair: tuple[Path, Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    result = stylize(
        *pair,
        lambda step: seen.append((step.scale, step.image.shape[3], step.most_epochs)),
        output_dir=tmp_path,
        **OWN_EPOCHS,
    )
    assert seen == [(1, 24, 10)] * 5 + [(2, 48, 10)] * 3 + [(3, 96, 10)] * 2
    assert result.epochs == 10
    with (tmp_path / "epochs.csv").open(newline="") as file:
        assert [int(row["scale"]) for row in csv.DictReader(file)] == [scale for scale, _, _ in seen]
    again = stylize(recipe=result.path, output_dir=tmp_path / "again")
    assert torch.equal(again.image, result.image)
    assert read_recipe(again.path).settings["max_num_epochs"] == [5, 3, 2]
    assert main(["--recipe", str(result.path), "--max-num-epochs", "1,2", "--output-dir", str(tmp_path / "few")]) == 0
    assert json.loads((tmp_path / "few" / "run.json").read_text())["epochs"] == 5


@pytest.mark.parametrize("after", [1, 5, 7, 8, 9])
def test_interrupted_where_each_scale_has_its_own_epochs(after: int, pair: tuple[Path, Path], tmp_path: Path) -> None:
    whole = stylize(*pair, output_dir=tmp_path / "whole", **OWN_EPOCHS)
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, interrupted_after(after), output_dir=tmp_path / "cut", **OWN_EPOCHS)
    totals: list[int] = []
    resumed = stylize(
        *pair, lambda step: totals.append(step.most_epochs), output_dir=tmp_path / "cut", resume=True, **OWN_EPOCHS
    )
    assert totals == [10] * (10 - after)
    assert torch.equal(resumed.image, whole.image)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@pytest.mark.parametrize("after", [4, 7, 9])
def test_killed_where_each_scale_has_its_own_epochs(
    after: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_and_resume(pair, tmp_path, monkeypatch, after, {**OWN_EPOCHS, "optimizer": "lbfgs"}, epochs=10)


@pytest.mark.parametrize("after", [2, 5, 7, 9])
@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "reference"])
def test_a_preset_that_is_killed(
    preset: str, after: int, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each of three scales, with any loss, padding and range of values."""
    options = {**OWN_EPOCHS, "max_long_edge": 64, "coarsest_edge": 32, "scale_factor": 1.4, "preset": preset}
    options["supersampling"] = 1  # which would make a fourth scale
    kill_and_resume(pair, tmp_path, monkeypatch, after, options, epochs=10)


def test_of_a_single_scale_the_first_number_counts(pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**OWN_EPOCHS, "max_long_edge": 32}
    short = stylize(*pair, output_dir=tmp_path, **options)
    assert short.epochs == 5
    with refuses(RecipeError, kind=Kind.CONFLICT, path=tmp_path, flag="--max-num-epochs"):
        stylize(*pair, output_dir=tmp_path, resume=True, **{**options, "max_num_epochs": (4, 9)})
    longer = {**options, "max_num_epochs": (7, 1)}
    resumed = stylize(*pair, output_dir=tmp_path, resume=True, **longer)
    assert torch.equal(resumed.image, stylize(*pair, output_dir=tmp_path / "whole", **longer).image)


def test_when_scales_end_is_part_of_the_picture(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """If only the finest scale became longer, the picture would differ from that of its recipe."""
    stylize(*pair, output_dir=tmp_path, **SCALES)
    before = files(tmp_path)
    with refuses(RecipeError, kind=Kind.CONFLICT, path=tmp_path, flag="--resume"):
        stylize(*pair, output_dir=tmp_path, resume=True, **{**SCALES, "max_num_epochs": EPOCHS + 2})
    assert files(tmp_path) == before
    stylize(*pair, output_dir=tmp_path, overwrite=True, **OWN_EPOCHS)
    with refuses(RecipeError, kind=Kind.CONFLICT, path=tmp_path, flag="--resume"):
        stylize(*pair, output_dir=tmp_path, resume=True, **{**OWN_EPOCHS, "max_num_epochs": (5, 3, 4)})


def test_a_checkpoint_of_an_older_nstyle(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Old checkpoints are always of the finest scale, and do not mention scales."""
    whole = stylize(*pair, output_dir=tmp_path, **SCALES)
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, interrupted_after(10), output_dir=tmp_path, **SCALES, overwrite=True)
    path = tmp_path / "state.npz"
    checkpoint, its_recipe = read_checkpoint(path, torch.device("cpu"))
    write_checkpoint(path, Checkpoint(checkpoint.descent), its_recipe)
    resumed = stylize(*pair, output_dir=tmp_path, resume=True, **SCALES)
    assert torch.equal(resumed.image, whole.image)
    assert resumed.epochs == EPOCHS


def test_a_checkpoint_whose_image_is_not_of_its_scale(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, interrupted_after(5), output_dir=tmp_path, **SCALES)
    path = tmp_path / "state.npz"
    checkpoint, its_recipe = read_checkpoint(path, torch.device("cpu"))
    write_checkpoint(path, dataclasses.replace(checkpoint, scale=3), its_recipe)
    with pytest.raises(RecipeError) as refused:
        stylize(*pair, output_dir=tmp_path, resume=True, **SCALES)
    assert (refused.value.path, refused.value.kind) == (path, Kind.DAMAGED)


def test_a_diverged_painting_may_go_on_by_backing_off(pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**SCALES, "lr": 1}
    whole = stylize(*pair, output_dir=tmp_path / "whole", on_divergence="backoff", **options)
    with pytest.raises(DivergenceError):
        stylize(*pair, output_dir=tmp_path / "stopped", **options)
    resumed = stylize(*pair, output_dir=tmp_path / "stopped", resume=True, on_divergence="backoff", **options)
    assert torch.equal(resumed.image, whole.image)


def test_a_painting_that_diverges_at_a_coarse_scale(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match="epoch 0, scale 1 of 3") as diverged:
        stylize(*pair, output_dir=tmp_path, **SCALES, lr=100)
    assert (diverged.value.path, diverged.value.flag) == (tmp_path / "final.png", "--lr")
    assert (tmp_path / "final.png").exists()
    assert '"stop_reason": "diverged"' in (tmp_path / "run.json").read_text()
