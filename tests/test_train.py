"""The command `nstyle-train` and its files: continued, replaced, interrupted, killed, refused."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import painted
from refusals import refuses

import nstyle
import train_painter
from nstyle.commands.train import build_parser, main
from nstyle.devices import Precision
from nstyle.errors import (
    DeviceError,
    DivergenceError,
    ImageError,
    Kind,
    OptionError,
    OutputError,
    RecipeError,
    WeightsError,
)
from nstyle.files import unwritable
from nstyle.painter import photos, training_files
from nstyle.painter import train as module
from nstyle.painter.generators import GENERATORS as KINDS
from nstyle.painter.generators import make_generator
from nstyle.painter.painter_file import read_painter, write_painter
from nstyle.painter.state import read_state
from nstyle.painter.train import Trained, train
from nstyle.painter.training import Trainer, TrainingStep
from nstyle.painting.session import Session
from nstyle.pictures.decode import read_picture
from nstyle.settings.painters import find_painter
from nstyle.settings.training import DEFAULTS, GENERATORS, OF_THE_OBJECTIVE, STEPS, Training
from nstyle.storage.layout import StopReason
from nstyle.storage.lock import locked
from nstyle.storage.run_folder import RunFolder
from nstyle.view.runs import read_run

SESSION = Session()
OBJECTIVE = {"model": "filters", "style_layers": "scale2", "content_layers": "scale2"}
FLAGS = ["--model", "filters", "--style-layers", "scale2", "--content-layers", "scale2"]
SMALL: dict[str, Any] = {
    **{"generator": "small", "width": 2, "crop_edge": 32, "batch_size": 1, "max_long_edge": 32},
    **{"steps": 6, "save_steps": 2},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a style picture, a validation photo, and two photos in photos/."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for n in range(2):
        painted(50, 60, seed=n).save(tmp_path / "photos" / f"{n}.png")
    painted(30, 40, seed=5).save(tmp_path / "photo.png")
    painted(40, 40, seed=6).save(tmp_path / "style.png")
    return tmp_path


def trained(folder: Path, name: str = "y", progress: Any = None, **given: Any) -> Trained:
    objective = {**OBJECTIVE, **{name: given.pop(name) for name in ("style_weight",) if name in given}}
    objective |= given.pop("of_the_objective", {})
    training = Training(
        **{
            **SMALL,
            "output": folder / f"{name}.safetensors",
            "style_image": folder / "style.png",
            "validation_photo": folder / "photo.png",
            **given,
        }
    )
    return train(training, training.painting(objective), sorted((folder / "photos").iterdir()), progress, SESSION)


def weights(folder: Path, name: str = "y") -> dict[str, bytes]:
    """All tensors of the state: weights and the optimizer's memory."""
    with np.load(folder / f"{name}.training" / "state.npz") as state:
        return {key: state[key].tobytes() for key in state.files if key != "about"}


class Stopping:
    """A watcher that raises an exception after a step."""

    def __init__(self, after: int, exception: BaseException) -> None:
        self.after, self.exception = after, exception

    def __call__(self, step: TrainingStep) -> None:
        if step.number == self.after:
            raise self.exception

    def close(self) -> None:
        pass


def test_a_training_writes_a_painter_and_a_folder_that_the_viewer_shows(folder: Path) -> None:
    result = trained(folder)
    assert (result.path, result.steps, len(result.losses), result.is_new) == (folder / "y.safetensors", 6, 6, True)
    painter = read_painter(result.path)
    assert painter.generator.facts["generator"] == "small"
    assert painter.recipe["training"]["done"] == painter.recipe["training"]["steps"] == 6
    assert painter.recipe["settings"]["style_image"] == "style.png"
    assert str(folder) not in json.dumps(painter.recipe)  # people share painters
    run = read_run(folder / "y.training")
    assert [(one.path.name, one.epoch) for one in run.snapshots] == [("e_2.jpg", 2), ("e_4.jpg", 4), ("final.jpg", 6)]
    assert run.record["stop_reason"] == StopReason.EPOCHS
    assert run.record["settings"]["max_num_epochs"] == 6
    assert run.curves["epoch"] == [1, 2, 3, 4, 5, 6]
    assert [n for n, loss in enumerate(run.curves["validation_loss"], 1) if loss > 0] == [2, 4, 6]
    names = {path.name for path in (folder / "y.training").iterdir()}
    assert names == {"e_2.jpg", "e_4.jpg", "final.jpg", "run.json", "epochs.csv", "state.npz"}
    before = result.path.stat().st_mtime_ns
    assert trained(folder) == Trained(folder / "y.safetensors", 6, is_new=False)
    assert result.path.stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_painter(folder: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trained(folder, name, seed=seed, steps=2)
    assert weights(folder, "a") == weights(folder, "b") != weights(folder, "c")
    assert read_painter(folder / "a.safetensors").sha256 == read_painter(folder / "b.safetensors").sha256


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_training_keeps_its_painter_and_continues(folder: Path, after: int) -> None:
    whole = trained(folder, "whole")
    with pytest.raises(KeyboardInterrupt) as interrupt:
        trained(folder, progress=lambda done, steps: Stopping(after, KeyboardInterrupt()))
    assert f"after {after} steps is {folder / 'y.safetensors'}" in interrupt.value.__notes__[0]
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] == after
    run = read_run(folder / "y.training")
    assert (run.record["stop_reason"], run.epochs) == (StopReason.INTERRUPTED, after)
    first: list[int] = []

    def watch(done: int, steps: int) -> Stopping:
        first.append(done)
        return Stopping(0, KeyboardInterrupt())

    assert trained(folder, progress=watch).is_new
    assert first == [after]
    assert weights(folder) == weights(folder, "whole")
    there, here = read_painter(whole.path), read_painter(folder / "y.safetensors")
    assert there.sha256 == here.sha256
    assert read_run(folder / "y.training").curves["epoch"] == [1, 2, 3, 4, 5, 6]


def test_a_training_of_the_default_number_of_steps_continues(folder: Path) -> None:
    for done in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            trained(folder, steps=None, progress=lambda _, steps, done=done: Stopping(done, KeyboardInterrupt()))
    record = read_run(folder / "y.training").record
    assert (record["training"]["steps"], record["epochs"]) == (STEPS, 2)


def test_a_signal_waits_for_the_end_of_a_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, whole = [], Trainer.step

    def step(self: Trainer) -> TrainingStep:
        if self.done == 1:
            signal.raise_signal(signal.SIGINT)
        result = whole(self)
        done.append(result.number)
        return result

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        trained(folder)
    assert done == [1, 2]
    assert read_run(folder / "y.training").curves["epoch"] == [1, 2]


def test_ctrl_c_ends_the_command_in_one_line(folder: Path) -> None:
    words = "--photos photos --style-image style.png --validation-photo photo.png --generator small --width 2"
    words += " --crop-edge 32 --batch-size 1 --max-long-edge 32 --save-steps 1 --output y.safetensors"
    code = "import sys; from nstyle.__main__ import train; sys.exit(train())"
    command = [sys.executable, "-c", code, *FLAGS, *words.split()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (folder / "y.training" / "state.npz").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert (process.returncode, error.count("\n")) == (130, 1), error
    done = read_painter(folder / "y.safetensors").recipe["training"]["done"]
    assert f"interrupted; the painter after {done} steps is y.safetensors; the same command continues" in error


def test_a_killed_training_continues_bit_for_bit(folder: Path) -> None:
    """SIGKILL at a random moment after the first saving of state and painter, in a process of its own."""
    words = "--photos photos --style-image style.png --validation-photo photo.png --steps 30 --generator small"
    words += " --width 2 --crop-edge 32 --batch-size 1 --max-long-edge 32 --save-steps 3 --quiet"
    flags = [*FLAGS, *words.split()]
    code = "import sys; from nstyle.__main__ import train; sys.exit(train())"
    process = subprocess.Popen([sys.executable, "-c", code, *flags, "--output", "y.safetensors"])
    while not (folder / "y.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (folder / ".y.safetensors.0123456789abcdef.tmp").write_bytes(b"half a painter")
    mine = (".other.safetensors.0123456789abcdef.tmp", ".y.safetensors.my-backup-of-nov.tmp")
    for name in mine:
        (folder / name).write_bytes(b"of somebody else")
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] % 3 == 0
    assert main([*flags, "--output", "y.safetensors"]) == 0
    assert main([*flags, "--output", "whole.safetensors"]) == 0
    assert weights(folder) == weights(folder, "whole")
    assert sorted(path.name for path in folder.glob(".*.tmp")) == sorted(mine)


def test_minutes_become_steps_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def steps_in(minutes: float, trial: Any) -> int:
        trial.step()  # what is tried has no effect on the training
        asked.append(minutes)
        return 5

    monkeypatch.setattr(module, "_steps_in", steps_in)
    with pytest.raises(KeyboardInterrupt):
        trained(folder, steps=None, minutes=2.5, progress=lambda done, steps: Stopping(2, KeyboardInterrupt()))
    assert trained(folder, steps=None, minutes=2.5).steps == 5
    assert asked == [2.5]
    trained(folder, "by_steps", steps=5)
    assert weights(folder) == weights(folder, "by_steps")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors"):
        trained(folder, steps=None, minutes=3)


def test_minutes_do_not_count_the_reading_of_photos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def reading(path: Path, *arguments: Any) -> Any:
        read.append(path)
        return read_picture(path, *arguments)

    def steps_in(minutes: float, trial: Any) -> int:
        assert set(read) == set((folder / "photos").iterdir())
        read.clear()
        assert not trial.photos._crops  # they are still to be cut
        for _ in range(module.TIMED_STEPS):
            trial.step()
        assert not read
        return 1

    monkeypatch.setattr(photos, "read_picture", reading)
    monkeypatch.setattr(module, "_steps_in", steps_in)
    assert trained(folder, steps=None, minutes=2.5, batch_size=2).steps == 1


def test_seconds_are_measured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of four steps is done twice, since a training does each three times: new once, and again twice."""

    class Trial:
        def __init__(self) -> None:
            self.done = 0
            self.steps: list[int] = []

        def step(self) -> None:
            self.steps.append(self.done)
            self.done += 1

    def steps_in(seconds: float) -> int:
        seconds_of_steps = (100, 50, 3, 1, 5, 2, 4, 1)  # the first two do not count
        times = iter([time for second in seconds_of_steps for time in (0, second)])
        monkeypatch.setattr(time, "perf_counter", lambda: next(times))
        trial = Trial()
        found: int = module._steps_in(seconds / 60, trial)  # type: ignore[arg-type]
        assert trial.steps == [0, 0, 1, 1, 2, 2, 3, 3]
        return found

    assert steps_in(0.1) == 1
    assert steps_in(40) == 10  # 4 seconds each
    assert steps_in(128 * 4 + 100) == 128 + 100  # one second each, as the crops come back
    assert steps_in(2 * 128 * (4 + 1 + 1) + 40) == 2 * 128 * 3 + 10


def test_the_generator_runs_in_the_precision_of_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def step(self: Trainer) -> TrainingStep:
        crop = torch.linspace(-100, 100, 3 * 32 * 32).reshape(1, 3, 32, 32)
        exact = self.generator(crop)
        found.append("float32" if torch.equal(self.stages[0](crop), exact) else "bfloat16")
        return original(self)

    original = Trainer.step
    monkeypatch.setattr(Trainer, "step", step)
    for precision in ("bfloat16", "float32"):
        found.clear()
        trained(folder, precision, steps=None, minutes=1e-6, of_the_objective={"precision": precision})
        assert set(found) == {precision}  # of the steps that are timed, too


def test_crops_too_narrow_for_the_style_loss_are_refused_before_the_first_step(folder: Path) -> None:
    objective = {"style_loss": "mrf", "style_layers": "scale4", "style_scale": 2}
    with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag="--crop-edge"):
        trained(folder, of_the_objective=objective)
    assert not (folder / "y.training").exists()


def test_a_chain_has_squares(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are large enough for a style loss for which crops of wide photos would not be."""
    shapes: set[torch.Size] = set()

    def crops(self: photos.Photos, seed: int, step: int, count: int) -> torch.Tensor:
        drawn = original(self, seed, step, count)
        shapes.add(drawn.shape[-2:])
        return drawn

    original = photos.Photos.crops
    monkeypatch.setattr(photos.Photos, "crops", crops)
    objective = {"style_loss": "mrf", "style_layers": "scale4"}
    assert trained(folder, generator="boosted", width=4, steps=1, of_the_objective=objective).steps == 1
    assert shapes == {(32, 32)}


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("learns_by", "the optimizer of an earlier nstyle"),
        ("learns_from", "crops and style as an earlier nstyle used them"),
    ],
)
def test_a_training_of_an_earlier_nstyle_is_another_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fact: str, said: str
) -> None:
    with monkeypatch.context() as earlier:
        facts = module._Run._facts
        earlier.setattr(module._Run, "_facts", lambda self, *given: {**facts(self, *given), fact: None})
        trained(folder, steps=2)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=folder / "y.safetensors", flag="--output") as refused:
        trained(folder, steps=2)
    assert said in str(refused.value)


@pytest.mark.parametrize("given", [{"steps": 7}, {"lr": 0.1}, {"seed": 3}, {"style_weight": 2.0}, {"stability": 1.0}])
def test_another_training_is_in_the_way(folder: Path, given: Mapping[str, Any]) -> None:
    trained(folder, steps=2)
    before = (folder / "y.safetensors").read_bytes()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors") as refused:
        trained(folder, **{"steps": 2, **given})
    assert f"--{next(iter(given)).replace('_', '-')}" in str(refused.value)
    assert (folder / "y.safetensors").read_bytes() == before


def test_a_training_that_saved_nothing_is_in_nobodys_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Trainer) -> TrainingStep:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", full)
        with refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag="--batch-size"):
            trained(folder, batch_size=2)
    assert trained(folder, batch_size=1).steps == 6


def test_the_folder_of_another_training_is_in_the_way(folder: Path) -> None:
    """It is named if its painter was moved away."""
    trained(folder, steps=1)
    (folder / "y.safetensors").unlink()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.training") as refused:
        trained(folder, steps=2)
    assert "is the folder of a training with other settings: --steps 1 (now 2); " in str(refused.value)


def test_other_photos_are_another_training(folder: Path) -> None:
    trained(folder, steps=1)
    painted(50, 60, seed=9).save(folder / "photos" / "9.png")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors") as refused:
        trained(folder, steps=1)
    assert "other settings: --photos with 2 files (now 3); " in str(refused.value)
    assert f"--start-from {folder / 'y.safetensors'}, it keeps what was learned" in str(refused.value)
    trained(folder, "z", steps=1, start_from=folder / "y.safetensors", generator=None, width=None)
    (folder / "photos" / "9.png").unlink()
    painted(70, 80, seed=1).save(folder / "photos" / "1.png")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors") as refused:
        trained(folder, steps=1)
    assert "other settings: --photos with 2 files (now others); " in str(refused.value)


def test_overwrite_replaces_another_training(folder: Path) -> None:
    trained(folder)
    trained(folder, steps=3, overwrite=True)
    assert read_painter(folder / "y.safetensors").recipe["training"]["steps"] == 3
    assert {path.name for path in (folder / "y.training").glob("*.jpg")} == {"e_2.jpg", "final.jpg"}
    trained(folder, "fresh", steps=3)
    assert weights(folder) == weights(folder, "fresh")


def test_an_overwriting_training_that_is_interrupted_continues_without_overwrite(folder: Path) -> None:
    trained(folder, steps=4)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        trained(folder, steps=5, overwrite=True, progress=lambda done, steps: Stopping(3, KeyboardInterrupt()))
    assert "the same command without --overwrite continues" in interrupt.value.__notes__[0]
    first: list[int] = []

    def watch(done: int, steps: int) -> Stopping:
        first.append(done)
        return Stopping(0, KeyboardInterrupt())

    assert trained(folder, steps=5, progress=watch).steps == 5
    assert first == [3]
    trained(folder, "whole", steps=5)
    assert weights(folder) == weights(folder, "whole")
    assert {path.name for path in (folder / "y.training").glob("*.jpg")} == {"e_2.jpg", "e_4.jpg", "final.jpg"}


@pytest.mark.parametrize("given", [{}, {"steps": 5}, {"lr": 0.002}])
@pytest.mark.parametrize("has_folder", [True, False])
def test_an_overwriting_training_that_is_interrupted_early_keeps_the_earlier_one(
    folder: Path, has_folder: bool, given: Mapping[str, Any]
) -> None:
    trained(folder, save_steps=1)
    if not has_folder:
        shutil.rmtree(folder / "y.training")
    files = [folder / "y.safetensors", *folder.glob("y.training/*")]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(KeyboardInterrupt) as interrupt:
        trained(folder, **given, overwrite=True, progress=lambda done, steps: Stopping(1, KeyboardInterrupt()))
    assert interrupt.value.__notes__ == [f"{folder / 'y.safetensors'} stays as it was, after 6 steps"]
    assert {path: path.read_bytes() for path in files} == before
    if has_folder:
        assert not trained(folder).is_new
    else:
        with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors"):
            trained(folder, **given)


def test_an_overwriting_training_that_has_done_all_its_steps_replaces_a_longer_one(folder: Path) -> None:
    trained(folder)

    def watch(done: int, steps: int) -> Stopping:
        return Stopping(3, KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        trained(folder, steps=3, save_steps=9, overwrite=True, progress=watch)
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] == 3


def test_an_overwriting_training_saves_its_steps_if_the_earlier_painter_is_gone(folder: Path) -> None:
    trained(folder)
    (folder / "y.safetensors").unlink()
    with pytest.raises(KeyboardInterrupt):
        trained(folder, steps=5, overwrite=True, progress=lambda done, steps: Stopping(1, KeyboardInterrupt()))
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] == 1


@pytest.mark.parametrize("error", [OSError("a bug"), SystemExit()])
def test_overwrite_keeps_the_earlier_training_until_the_new_one_is_saved(folder: Path, error: BaseException) -> None:
    trained(folder, save_steps=1)
    files = [folder / "y.safetensors", *(folder / "y.training").iterdir()]
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(type(error)):
        trained(folder, steps=5, overwrite=True, progress=lambda done, steps: Stopping(1, error))
    assert {path: path.read_bytes() for path in files} == before
    assert set(files) == {folder / "y.safetensors", *(folder / "y.training").iterdir()}
    assert not trained(folder).is_new


@pytest.mark.parametrize("after", [2, 6])
def test_the_painter_of_another_training_is_in_the_way(folder: Path, after: int) -> None:
    """It is neither replaced nor taken for what this training made."""
    painted(40, 40, seed=7).save(folder / "other.png")
    trained(folder, "other", style_image=folder / "other.png")
    with pytest.raises(KeyboardInterrupt):
        trained(folder, progress=lambda done, steps: Stopping(after, KeyboardInterrupt()))
    trained(folder, "whole")
    own = (folder / "y.safetensors").read_bytes()
    other = (folder / "other.safetensors").read_bytes()
    (folder / "y.safetensors").write_bytes(other)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors") as refused:
        trained(folder)
    assert "--style-image" in str(refused.value)
    assert (folder / "y.safetensors").read_bytes() == other
    (folder / "y.safetensors").write_bytes(own)
    trained(folder)
    (folder / "y.safetensors").write_bytes(own)  # an earlier painter of the same training is made anew
    trained(folder)
    assert (folder / "y.safetensors").read_bytes() == (folder / "whole.safetensors").read_bytes()
    assert not trained(folder).is_new


def test_refusals_name_flags_that_exist(folder: Path) -> None:
    for name, width in (("a", 2), ("b", 3)):
        trained(folder, name, steps=1, width=width)
    given: dict[str, Any] = {"generator": None, "width": None, "steps": 1}
    trained(folder, start_from=folder / "a.safetensors", **given)
    painted(30, 40, seed=8).save(folder / "other.png")
    painted(50, 60, seed=9).save(folder / "photos" / "9.png")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors") as refused:
        trained(folder, start_from=folder / "b.safetensors", **given)
    words = "settings: --width 2 (now 3), another painter in --start-from, --photos with 2 files (now 3); choose"
    assert words in str(refused.value)
    (folder / "photos" / "9.png").unlink()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors") as refused:
        trained(folder, start_from=folder / "a.safetensors", **given, validation_photo=folder / "other.png")
    assert f"settings: --validation-photo {folder / 'photo.png'} (now {folder / 'other.png'}); " in str(refused.value)


def test_the_record_says_how_a_training_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_reason(error: type[BaseException], progress: Any = None) -> Any:
        with pytest.raises(error):
            trained(folder, progress=progress, save_steps=9)
        return read_run(folder / "y.training").record["stop_reason"]

    assert stop_reason(ZeroDivisionError, lambda done, steps: 1 / 0) == StopReason.FAILED
    divergence = DivergenceError("the training diverged in step 1", flag="--lr")
    assert stop_reason(DivergenceError, lambda done, steps: Stopping(1, divergence)) == StopReason.DIVERGED

    def full(*arguments: Any, **arrays: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    interrupt = KeyboardInterrupt()
    assert stop_reason(OutputError, lambda done, steps: Stopping(2, interrupt)) == StopReason.FAILED


def test_the_validation_photo_is_painted_at_the_start_and_once_a_saving(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, whole = [], Trainer.paint

    def paint(self: Trainer, image: Any) -> Any:
        done.append(self.done)
        return whole(self, image)

    monkeypatch.setattr(Trainer, "paint", paint)
    trained(folder)
    assert done == [0, 2, 4, 6]


def test_tf32_is_that_of_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    @contextmanager
    def reproducible(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
        given.append(tf32)
        yield

    monkeypatch.setattr(module, "reproducible", reproducible)
    monkeypatch.setattr(module, "choose_precision", lambda name, device: Precision(torch.float32, tf32=True))
    trained(folder, steps=1)
    assert given == [True]


def test_files_of_others_are_never_replaced(folder: Path) -> None:
    (folder / "y.safetensors").write_bytes(b"mine")
    (folder / "z.training").mkdir()
    (folder / "z.training" / "e_2.jpg").write_bytes(b"mine")
    for name, path in (("y", folder / "y.safetensors"), ("z", folder / "z.training" / "e_2.jpg")):
        for overwrite in (False, True):
            with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=path):
                trained(folder, name, overwrite=overwrite)
        assert path.read_bytes() == b"mine"
    assert not (folder / "y.training").exists()


def test_a_painter_without_its_training_is_replaced_on_request_only(folder: Path) -> None:
    trained(folder, "other", steps=1)
    (folder / "other.safetensors").rename(folder / "y.safetensors")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors"):
        trained(folder, steps=1)
    assert trained(folder, steps=1, overwrite=True).is_new


def test_a_painter_of_an_earlier_nstyle_is_replaced_on_request_only(folder: Path) -> None:
    trained(folder, steps=1)
    path = folder / "y.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"sha256"', b'"sha255"'))
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=path) as refused:
        trained(folder, steps=2)
    assert "or add --overwrite" in str(refused.value)
    assert trained(folder, steps=2, overwrite=True).is_new
    assert read_painter(path).recipe["training"]["done"] == 2


def test_a_training_owns_its_folder(folder: Path) -> None:
    (folder / "y.training").mkdir()
    code = "import sys,time; from pathlib import Path; from nstyle.storage.lock import locked\n"
    code += "with locked(Path('y.training')): print('locked', flush=True); sys.stdin.read()"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"locked\n"
        with refuses(OutputError, kind=Kind.BUSY, flag="--output", path=folder / "y.training"):
            trained(folder)
        owner.communicate()
    with locked(folder / "y.training"):
        pass


def test_a_full_disk_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(folder, "whole")
    savez, calls = np.savez, []

    def full(*arguments: Any, **arrays: Any) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        savez(*arguments, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with refuses(OutputError, kind=Kind.UNWRITABLE, flag="--output", path=folder / "y.training" / "state.npz"):
            trained(folder)
    assert read_run(folder / "y.training").record["stop_reason"] == StopReason.FAILED
    read_painter(folder / "y.safetensors")
    trained(folder)
    assert weights(folder) == weights(folder, "whole")


@pytest.mark.parametrize("full", ["write_state", "write_painter"])
def test_overwrite_on_a_full_disk_keeps_the_earlier_training(
    folder: Path, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(folder)
    files = [folder / "y.safetensors", *(folder / "y.training").iterdir()]
    before = {path: path.read_bytes() for path in files}

    def write(path: Path, *arguments: Any) -> None:
        raise unwritable(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    with monkeypatch.context() as patch:
        patch.setattr(training_files, full, write)
        with pytest.raises(OutputError, match="make room"):
            trained(folder, lr=0.002, overwrite=True)
    assert {path: path.read_bytes() for path in files} == before
    assert not trained(folder).is_new


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_under_the_losses_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "epochs", Path("/dev/full"))
    with refuses(OutputError, kind=Kind.UNWRITABLE, flag="--output", path=Path("/dev/full")):
        trained(folder)
    assert read_run(folder / "y.training").record["stop_reason"] == StopReason.FAILED


def test_a_damaged_state_is_no_reason_to_lose_the_painter(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(folder, progress=lambda done, steps: Stopping(3, KeyboardInterrupt()))
    before = (folder / "y.safetensors").read_bytes()
    state = folder / "y.training" / "state.npz"
    state.write_bytes(state.read_bytes()[:500])
    with refuses(RecipeError, kind=Kind.DAMAGED, path=state):
        trained(folder)
    assert (folder / "y.safetensors").read_bytes() == before
    assert trained(folder, overwrite=True).steps == 6


def test_a_painter_whose_state_is_gone_is_replaced_on_request_only(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(folder, progress=lambda done, steps: Stopping(3, KeyboardInterrupt()))
    before = (folder / "y.safetensors").read_bytes()
    (folder / "y.training" / "state.npz").unlink()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, flag="--output", path=folder / "y.safetensors") as refused:
        trained(folder)
    assert "--start-from" in str(refused.value)
    assert (folder / "y.safetensors").read_bytes() == before
    assert trained(folder, overwrite=True).steps == 6
    (folder / "y.training" / "state.npz").unlink()
    assert not trained(folder).is_new  # it is finished


def test_a_disk_that_is_full_at_the_first_saving_leaves_nothing_in_the_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **arrays: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with refuses(OutputError, kind=Kind.UNWRITABLE, flag="--output", path=folder / "y.training" / "state.npz"):
            trained(folder)
    assert not (folder / "y.safetensors").exists()
    assert trained(folder).steps == 6
    assert {path.name for path in (folder / "y.training").glob("*.jpg")} == {"e_2.jpg", "e_4.jpg", "final.jpg"}


def test_a_training_may_start_from_another_painter(folder: Path) -> None:
    trained(folder, "first")
    trained(folder, generator=None, width=None, start_from=folder / "first.safetensors", steps=1, lr=1e-12)
    there, here = (read_painter(folder / f"{name}.safetensors").generator for name in ("first", "y"))
    assert here.facts == there.facts
    for name, tensor in there.state_dict().items():
        assert float((here.state_dict()[name] - tensor).abs().max()) < 1e-6


def test_bad_painters_to_start_from(folder: Path) -> None:
    (folder / "bad.safetensors").write_bytes(b"no painter")
    given: dict[str, Any] = {"generator": None, "width": None}
    with refuses(WeightsError, kind=Kind.DAMAGED, flag="--start-from", path=folder / "bad.safetensors"):
        trained(folder, start_from=folder / "bad.safetensors", **given)
    with refuses(WeightsError, kind=Kind.MISSING, flag="--start-from", path=folder / "gone.safetensors"):
        trained(folder, start_from=folder / "gone.safetensors", **given)
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--start-from"):
        trained(folder, start_from=folder / "y.safetensors", **given)
    assert sorted(path.name for path in folder.iterdir()) == ["bad.safetensors", "photo.png", "photos", "style.png"]


def test_a_validation_photo_of_wrong_proportions(folder: Path) -> None:
    painted(20, 60, seed=1).save(folder / "photo.png")
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--validation-photo", path=folder / "photo.png"):
        trained(folder)


def test_a_validation_photo_too_narrow_for_the_style_loss_is_refused_before_the_first_step(folder: Path) -> None:
    painted(22, 40, seed=1).save(folder / "photo.png")
    objective = {"style_loss": "mrf", "style_layers": "scale4", "style_scale": 2}
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--validation-photo", path=folder / "photo.png"):
        trained(folder, generator="boosted", width=4, of_the_objective=objective)
    assert not (folder / "y.training").exists()


def test_a_validation_photo_too_large_for_the_memory_is_refused_before_the_first_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paint(self: Trainer, image: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Trainer, "paint", paint)
    with refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge"):
        trained(folder)
    assert not (folder / "y.training").exists()


def test_a_style_that_becomes_too_small(folder: Path) -> None:
    painted(17, 60, seed=1).save(folder / "style.png")
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--style-scale", path=folder / "style.png"):
        trained(folder, of_the_objective={"style_fit": "contain"})


def test_a_style_too_small_for_its_loss(folder: Path) -> None:
    """The crops are large enough."""
    painted(20, 32, seed=1).save(folder / "photo.png")
    objective = {"style_loss": "mrf", "style_layers": "scale4"}
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge", path=folder / "style.png") as refused:
        trained(folder, crop_edge=64, of_the_objective=objective)
    assert "32x20 pixels, too small for the style loss" in str(refused.value)
    assert not (folder / "y.training").exists()


def test_photos_of_which_none_can_be_read(folder: Path) -> None:
    for path in (folder / "photos").iterdir():
        path.write_bytes(b"no picture")
    with refuses(ImageError, kind=Kind.UNREADABLE, flag="--photos"):
        trained(folder)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--output y.safetensors", 2, "--photos is missing"),
        ("--photos photos", 2, "--output is missing"),
        ("--photos photos --output y.pth", 2, "write y.safetensors"),
        ("--photos photos --output y.safetensors --steps 5 --minutes 5", 2, "leave one of them out"),
        ("--photos photos --output y.safetensors --steps 0", 2, "--steps must be a whole number, at least 1"),
        ("--photos photos --output y.safetensors --minutes soon", 2, "--minutes must be a finite number"),
        ("--photos photos --output y.safetensors --crop-edge 16", 2, "at least 32"),
        ("--photos photos --output y.safetensors --generator jonson", 2, "did you mean johnson?"),
        ("--photos photos --output y.safetensors --width 4 --start-from x.safetensors", 2, "leave --generator"),
        ("--photos photos --output y.safetensors --content-weight 0 --style-weight 0", 2, "raise one of them"),
        ("--photos photos --output y.safetensors --size 64x64", 2, "there is no flag --size"),
        ("--photos photos --output https://a.b/y.safetensors", 2, "choose a folder of this machine"),
        ("--photos photos --output y.safetensors --photo x", 2, "did you mean --photos"),
        ("--photos gone --output y.safetensors", 1, "gone does not exist; check --photos"),
        ("--photos photos gone --output y.safetensors", 1, "gone does not exist; check --photos"),
        ("--photos *.gif --output y.safetensors", 1, "no file matches"),
        ("--photos empty --output y.safetensors", 1, "no pictures in it"),
        ("--photos photos --output photo.png/y.safetensors", 1, "choose another --output"),
        ("--photos photos --output y.safetensors --style-image gone.png", 1, "gone.png"),
        ("--photos photos --output y.safetensors --validation-photo gone.png", 1, "gone.png"),
        ("--photos photos --output y.safetensors --device cuda:99", 1, "there is no cuda:99"),
        ("--photos photos --output y.safetensors --style-layers scale9", 2, "scale9"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, words: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty").mkdir()
    steps = [] if "--steps" in words or "--minutes" in words else ["--steps", "1"]
    try:
        answer = main(["--model", "filters", *steps, *words.split()])
    except SystemExit as stop:
        answer = int(stop.code or 0)
    error = capsys.readouterr().err
    assert (answer, error.count("\n")) == (code, 1), error
    assert said in error
    assert not (folder / "y.safetensors").exists()
    assert not (folder / "y.training").exists()


def test_the_command_logs_its_progress(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos" / "bad.jpg").write_bytes(b"no picture")
    (folder / "photos" / "notes.doc").write_bytes(b"notes")
    words = "--photos photos --output models/y.safetensors --style-image style.png --generator small --width 2"
    words += " --crop-edge 32 --batch-size 4 --max-long-edge 32 --steps 3"
    assert main([*FLAGS, *words.split()]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert "step 1 of 3: loss" in output.out
    assert "step 3 of 3: loss" in output.out
    assert output.out.count("warning: ") == 1
    assert "bad.jpg" in output.out
    assert "notes.doc" in output.out
    assert output.out.endswith("done after 3 steps: models/y.safetensors\n")
    assert main([*FLAGS, *words.split()]) == 0
    assert "already finished: models/y.safetensors" in capsys.readouterr().out


def test_the_command_says_what_has_no_effect(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--photos photos --output y.safetensors --style-image style.png --generator small --width 2 --seed 3"
    words += " --crop-edge 32 --batch-size 1 --max-long-edge 32 --steps 1 --device cpu"
    words += " --weights-input bgr --precision tf32"
    assert main([*FLAGS, *words.split()]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "warning: " in line]
    assert len(said) == 2
    assert "--weights-input has no effect" in said[0]
    assert "cpu has no TF32" in said[1]


def test_python_trains_as_the_command_does(folder: Path) -> None:
    words = "--photos photos --output a.safetensors --style-image style.png --generator small --width 2 --steps 3"
    words += " --crop-edge 32 --batch-size 1 --max-long-edge 32 --validation-photo photo.png --save-steps 2"
    assert main([*FLAGS, *words.split()]) == 0
    seen: list[nstyle.TrainingStep] = []
    options: dict[str, Any] = {**SMALL, **OBJECTIVE, "steps": 3, "validation_photo": "photo.png"}
    found = nstyle.train_painter("style.png", "photos", seen.append, output="b.safetensors", **options)
    assert (found.path, found.steps, found.is_new) == (folder / "b.safetensors", 3, True)
    assert [step.number for step in seen] == [1, 2, 3]
    assert found.losses == tuple(step.loss for step in seen)
    assert (folder / "a.safetensors").read_bytes() == (folder / "b.safetensors").read_bytes()
    again = nstyle.train_painter("style.png", "photos", seen.append, output="b.safetensors", **options)
    assert (again.path, again.steps, again.losses, again.is_new) == (found.path, 3, (), False)
    assert len(seen) == 3


def test_python_continues_a_training_that_its_callback_stopped(folder: Path) -> None:
    def stop(step: nstyle.TrainingStep) -> None:
        if step.number == 2:
            raise KeyboardInterrupt

    options: dict[str, Any] = {**SMALL, **OBJECTIVE, "steps": 3, "output": folder / "y.safetensors"}
    options |= {"style_image": folder / "style.png", "validation_photo": folder / "photo.png"}
    with pytest.raises(KeyboardInterrupt):
        nstyle.train_painter(photos=folder / "photos", callback=stop, **options)
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] == 2
    assert len(nstyle.train_painter(photos=[folder / "photos"], **options).losses) == 1


def test_python_continues_a_training_whose_callback_raised(folder: Path) -> None:
    def fail(step: nstyle.TrainingStep) -> None:
        if step.number == 3:
            raise ZeroDivisionError

    options: dict[str, Any] = {**SMALL, **OBJECTIVE, "photos": folder / "photos", "save_steps": 9}
    options |= {"style_image": folder / "style.png", "validation_photo": folder / "photo.png"}
    with pytest.raises(ZeroDivisionError):
        nstyle.train_painter(callback=fail, output=folder / "y.safetensors", **options)
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] == 3
    run = read_run(folder / "y.training")
    assert (run.record["stop_reason"], run.epochs) == (StopReason.FAILED, 3)
    assert len(nstyle.train_painter(output=folder / "y.safetensors", **options).losses) == 3
    nstyle.train_painter(output=folder / "whole.safetensors", **options)
    assert weights(folder) == weights(folder, "whole")


def test_a_training_whose_photos_vanish_is_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = photos.Photos.crops

    def vanished(self: photos.Photos, seed: int, step: int, count: int) -> torch.Tensor:
        if step == 3:
            raise ImageError("none can be read", flag="--photos", kind=Kind.UNREADABLE)
        return crops(self, seed, step, count)

    with monkeypatch.context() as patched:
        patched.setattr(photos.Photos, "crops", vanished)
        with refuses(ImageError, kind=Kind.UNREADABLE, flag="--photos"):
            trained(folder, save_steps=9)
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] == 3
    assert read_run(folder / "y.training").record["stop_reason"] == StopReason.FAILED
    trained(folder, save_steps=9)
    trained(folder, "whole", save_steps=9)
    assert weights(folder) == weights(folder, "whole")


def test_a_signal_ends_a_callback(folder: Path) -> None:
    seen: list[str] = []

    def callback(step: nstyle.TrainingStep) -> None:
        seen.append("begins")
        signal.raise_signal(signal.SIGINT)
        seen.append("ends")

    options: dict[str, Any] = {**SMALL, **OBJECTIVE, "photos": folder / "photos", "output": folder / "y.safetensors"}
    options |= {"style_image": folder / "style.png", "validation_photo": folder / "photo.png"}
    with pytest.raises(KeyboardInterrupt):
        nstyle.train_painter(callback=callback, **options)
    assert seen == ["begins"]
    assert read_painter(folder / "y.safetensors").recipe["training"]["done"] == 1


def test_python_refuses_options_as_the_command_does(folder: Path) -> None:
    for name in ("brush", "mask", "preserve_colors"):
        unknown: dict[str, Any] = {name: "none"}
        with pytest.raises(TypeError, match=name):
            nstyle.train_painter("style.png", "photos", output="y.safetensors", **unknown)
    with refuses(OptionError, kind=Kind.MISSING, flag="--photos"):
        nstyle.train_painter("style.png", output="y.safetensors")
    with refuses(OptionError, kind=Kind.MISSING, flag="--output"):
        nstyle.train_painter("style.png", "photos")
    with refuses(ImageError, kind=Kind.MISSING, flag="--photos", path=Path("gone")):
        nstyle.train_painter("style.png", ["photos", "gone"], output="y.safetensors", **SMALL)
    assert not (folder / "y.training").exists()


def test_generators_and_their_defaults_are_the_painters() -> None:
    assert set(GENERATORS) == set(KINDS)
    for values in DEFAULTS.values():
        assert set(values) == set(KINDS)


def test_settings_of_the_objective_are_those_of_a_painting() -> None:
    arguments = vars(build_parser().parse(["--preset", "painterly", "--content-weight", "3"]))
    training = Training(output=Path("y.safetensors"), generator="boosted")
    config = training.painting({name: value for name, value in arguments.items() if name in OF_THE_OBJECTIVE})
    assert (config.content_weight, config.style_loss, config.precision) == (3, "wasserstein", "auto")
    assert config.style_weight == 1  # the preset's
    assert training.painting({}).style_weight == 1.2  # MXNet's for its chain
    assert training.painting({"preset": "reference"}).style_weight == 1.2
    assert training.painting({"style_weight": 2.0}).style_weight == 2
    assert training.painting({"unrealness": 1.0}).balance == "relative"
    assert Training(output=Path("y.safetensors")).painting({}).style_weight == 1


def test_a_training_that_starts_from_a_chain_has_the_weight_of_chains(folder: Path) -> None:
    torch.manual_seed(0)
    write_painter(folder / "chain.safetensors", make_generator("boosted", width=2), {})
    words = "--photos photos --style-image style.png --start-from chain.safetensors --output y.safetensors --steps 1"
    assert main([*FLAGS, *words.split(), "--crop-edge", "32", "--max-long-edge", "32"]) == 0
    recipe = read_painter(folder / "y.safetensors").recipe
    assert (recipe["training"]["generator"], recipe["settings"]["style_weight"]) == ("boosted", 1.2)


def test_no_memory_names_the_flags_that_need_less(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: Trainer) -> TrainingStep:
        raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")

    monkeypatch.setattr(Trainer, "step", step)
    with refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag="--batch-size"):
        trained(folder)


def test_a_state_that_does_not_fit_is_not_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(folder, progress=lambda done, steps: Stopping(1, KeyboardInterrupt()))

    def to(self: torch.Tensor, *arguments: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.Tensor, "to", to)
    with pytest.raises(torch.OutOfMemoryError):
        read_state(folder / "y.training" / "state.npz", torch.device("cpu"))


def test_the_script_that_trains_the_sample_painter(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    words = "--generator small --width=2 --steps 1 --crop-edge 32 --batch-size 1 --max-long-edge 32"
    assert train_painter.main([*FLAGS, *words.split(), "--photos", "photos"]) == 0
    assert "on 8 photos" in capsys.readouterr().out
    recipe = read_painter(folder / "models" / "vortices.safetensors").recipe
    assert (recipe["training"]["width"], recipe["settings"]["style_image"]) == (2, "vortices.jpg")
    start = "--start-from models/vortices.safetensors --output y.safetensors --steps 1 --crop-edge 32"
    assert train_painter.main([*FLAGS, *start.split(), "--batch-size", "1", "--max-long-edge", "32"]) == 0
    assert read_painter(folder / "y.safetensors").recipe["training"]["width"] == 2
    capsys.readouterr()
    assert train_painter.main(["--list", "--minutes", "3", "--photos", "photos/0.png"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[-1] == "photos/0.png"
    assert not [line for line in listed if "chelsea" in line]
    assert train_painter.main(["--photos", "empty"]) == 1


def test_help_and_bad_flags_import_no_torch() -> None:
    code = """
import sys
from nstyle.commands.train import build_parser, main

build_parser().format_help()
assert main(["--photos", "x", "--output", "y"]) == 2
sys.exit(bool({"torch", "numpy", "PIL", "tqdm"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_training_may_start_from_a_painter_that_comes_along(tmp_path: Path) -> None:
    training = Training(output=tmp_path / "y.safetensors", start_from="vortices")  # type: ignore[arg-type]  # a name
    assert training.start_from == find_painter("vortices")
    assert read_painter(training.start_from).generator.facts["width"] == 16
