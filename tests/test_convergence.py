"""When a run is finished: what is painted decides, and a run that has hardly begun is not finished."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import painted
from PIL import Image
from test_descent import Quadratic

from nstyle import Config, stylize
from nstyle.optim.descent import SLOWDOWN, DescentState, Step, descend, has_converged
from nstyle.painting.prepare import prepare
from nstyle.storage.checkpoint import read_checkpoint

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"max_long_edge": 48, "image_format": "png"}


@pytest.fixture
def spot(tmp_path: Path) -> dict[str, Path]:
    """A picture, a style, and a spot of 3% of the picture: as a mask, and as what is visible of the picture."""
    levels = np.zeros((48, 48), np.uint8)
    levels[20:28, 20:28] = 255
    content = painted(48, 48, seed=1)
    files = {name: tmp_path / f"{name}.png" for name in ("content", "style", "mask", "seen")}
    content.save(files["content"])
    painted(40, 40, seed=2).save(files["style"])
    Image.fromarray(levels).save(files["mask"])
    content.putalpha(Image.fromarray(levels))
    content.save(files["seen"])
    return files


def options_of(kind: str, spot: dict[str, Path]) -> dict[str, Any]:
    """The settings that limit what is painted, or what is painted in a style, to the spot."""
    options: dict[str, dict[str, Any]] = {
        "mask": {"content_image": spot["content"], "mask": spot["mask"]},
        "region": {"content_image": spot["content"], "style_mask": [(spot["mask"], "all")]},
        "alpha": {"content_image": spot["seen"]},
    }
    return options[kind]


@pytest.mark.parametrize("kind", ["mask", "region", "alpha"])
@pytest.mark.parametrize("init", ["noise", "content"])
def test_a_spot_is_painted(kind: str, init: str, spot: dict[str, Path], tmp_path: Path) -> None:
    result = stylize(
        style_image=spot["style"], init=init, max_num_epochs=4, output_dir=tmp_path / "out", **SMALL,
        **options_of(kind, spot),
    )  # fmt: skip
    assert (result.epochs, result.stop_reason) == (4, "epochs")


@pytest.mark.parametrize("kind", ["mask", "region", "alpha"])
def test_the_change_is_that_of_the_spot(kind: str, spot: dict[str, Path]) -> None:
    config = Config(style_image=spot["style"], **SMALL, **options_of(kind, spot))
    scale = prepare(config, CPU, torch.float32).scales[-1]
    with_ring = scale.start.clone()
    with_ring[..., 20:28, 20:28] += 10  # in the spot
    steps = descend(Still(with_ring), scale.start, lr=1, stop_eps=1e-9, max_num_epochs=1, parts=scale.parts)
    (step,) = steps
    inside = with_ring[..., 20:28, 20:28]
    assert step.relative_change == pytest.approx(
        float((10 * torch.ones_like(inside)).norm() / inside.norm()), rel=1e-5
    )


class Still:
    """An objective whose first step, with the learning rate 1 and without momentum, leads to an image."""

    def __init__(self, target: torch.Tensor) -> None:
        self.target = target

    def gradient(self, image: torch.Tensor) -> Any:
        return Quadratic(torch.ones(()), self.target / 1.95).gradient(image / 1.95)


def test_without_limits_the_whole_image_counts(spot: dict[str, Path]) -> None:
    for init, slowdown in (
        ("noise", 1.0),
        ("content", SLOWDOWN),
        ("style", SLOWDOWN),
        (str(spot["content"]), SLOWDOWN),
    ):
        config = Config(spot["content"], spot["style"], init=init, scales=2, **SMALL)
        coarse, fine = prepare(config, CPU, torch.float32).scales
        assert coarse.parts == fine.parts == (None,)
        assert (coarse.slowdown, fine.slowdown) == (slowdown, SLOWDOWN)


def steps_of(slowdown: float, start: torch.Tensor | DescentState | None = None) -> list[Step[Any]]:
    """A descent with much momentum, whose changes grow at first."""
    diagonal = torch.full((4,), 0.02, dtype=torch.float64)
    objective = Quadratic(diagonal, torch.full((4,), 2.05, dtype=torch.float64))
    start = torch.full((4,), 100.0, dtype=torch.float64) if start is None else start
    settings: dict[str, Any] = {"lr": 0.02, "momentum": 0.95, "weight_decay": 0}
    return list(descend(objective, start, stop_eps=1e-3, slowdown=slowdown, max_num_epochs=500, **settings))


def test_a_descent_that_still_speeds_up_is_not_finished() -> None:
    assert len(steps_of(1.0)) == 1  # the reference's rule
    steps = steps_of(SLOWDOWN)
    changes = [step.relative_change for step in steps]
    assert changes[1] > changes[0]
    assert max(changes) < 1e-3
    assert changes[-1] <= SLOWDOWN * max(changes) < changes[-2]
    assert [step.stopped for step in steps] == [False] * (len(steps) - 1) + [True]
    for done in (0, 5, len(steps) - 1):  # also if it was interrupted
        assert len(steps_of(SLOWDOWN, steps[done].state)) == len(steps) - 1 - done


def test_once_it_has_changed_more_the_references_rule_holds() -> None:
    image = torch.zeros(1)
    assert has_converged(DescentState(image, 9, {}, 1.0, 0.0049, 0.005), 0.005, SLOWDOWN)
    assert not has_converged(DescentState(image, 9, {}, 1.0, 0.0049, 0.0049), 0.005, SLOWDOWN)
    assert has_converged(DescentState(image, 1, {}, 1.0, 0.0, 0.0), 0.005, SLOWDOWN)  # there is nothing to do
    assert not has_converged(DescentState(image), 0.005, SLOWDOWN)
    assert not has_converged(DescentState(image, 1, {}, 1.0, 0.0, 0.0), 0.0, SLOWDOWN)


def test_a_checkpoint_knows_the_largest_change(spot: dict[str, Path], tmp_path: Path) -> None:
    result = stylize(spot["content"], spot["style"], max_num_epochs=2, output_dir=tmp_path / "out", **SMALL)
    path = result.path.with_name("state.npz")
    state = read_checkpoint(path, CPU)[0].descent
    assert 0.5 < state.largest_change < 1 > state.relative_change
    with np.load(path) as archive:
        about = json.loads(str(archive["about"]))
        del about["largest_change"]
        arrays = {name: archive[name] for name in archive.files if name != "about"}
    with path.open("wb") as file:
        np.savez(file, about=json.dumps(about), **arrays)
    assert read_checkpoint(path, CPU)[0].descent.largest_change == math.inf  # any small change ends it


def test_a_painting_that_is_its_start_is_warned_of(
    spot: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {**SMALL, "max_num_epochs": 1, "init": "content"}
    stylize(spot["content"], spot["style"], output_dir=tmp_path / "faint", style_weight=1e-6, **options)
    assert "differs from its start by only" in caplog.text
    caplog.clear()
    stylize(spot["content"], spot["style"], output_dir=tmp_path / "noise", **{**options, "init": "noise"})
    assert not caplog.text
