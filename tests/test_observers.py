"""Observers of a run, each tested alone."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import recipe
from refusals import refuses

from nstyle.errors import Kind, OutputError
from nstyle.losses.objective import Evaluation
from nstyle.optim.descent import DescentState
from nstyle.painting.finish import Finish
from nstyle.painting.observers import BackoffNotice, EpochLog, Snapshots
from nstyle.painting.steps import Ending, PaintingStep
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import Checkpoint
from nstyle.storage.layout import StopReason
from nstyle.storage.record import RunRecord
from nstyle.storage.run_folder import RunFolder


class NoPicture(Finish):
    """Makes pictures of images that have no content."""

    def __init__(self) -> None:
        super().__init__(Picture(np.zeros((20, 20, 3), dtype=np.float32)), "none", None)


def step(epoch: int, *, stopped: bool = False, scale: int = 1, rate_factor: float = 1.0) -> PaintingStep:
    one = torch.ones(())
    evaluation = Evaluation(torch.zeros(1, 3, 20, 20), one, one, {"relu1_1": one, "relu2_1": 2 * one})
    image = torch.zeros(1, 3, 20, 20)
    state = DescentState(image, epoch + 1, rate_factor=rate_factor)
    return PaintingStep(
        epoch, image, 0.5, 0.001, evaluation, stopped, state, scale, 3, 30, Checkpoint(state, scale), NoPicture()
    )


LAST = torch.zeros(1, 3, 20, 20)
ENDING = Ending(StopReason.EPOCHS, Checkpoint(DescentState(LAST, 9)), 1, NoPicture())


def snapshots(folder: Path, save_epochs: int) -> Snapshots:
    config = Config(save_epochs=save_epochs, remove_noise=0, image_format="png")
    files = RunFolder(folder, "png", [])
    return Snapshots(files, recipe(config), config, RunRecord(files.record, recipe(config)))


def test_snapshots_count_from_1_and_are_noted_in_the_step(tmp_path: Path) -> None:
    observer = snapshots(tmp_path, 3)
    for epoch, expected in enumerate([None, None, "e_3.png", None, None, "e_6.png"]):
        seen = step(epoch)
        observer(seen)
        assert seen.snapshot == (tmp_path / expected if expected else None)
    observer.close(ENDING)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e_3.png", "e_6.png", "run.json"]
    assert json.loads((tmp_path / "run.json").read_text())["pictures"] == ["e_3.png", "e_6.png"]


def test_no_snapshot_of_the_epoch_that_stops(tmp_path: Path) -> None:
    snapshots(tmp_path, 1)(step(0, stopped=True))
    assert not list(tmp_path.iterdir())


def test_epoch_log_can_be_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "epochs.csv"
    path.write_text("of an earlier run\n")
    log = EpochLog(path)
    assert path.read_text() == ""
    for epoch in range(3):
        log(step(epoch))
        header, *lines = path.read_text().splitlines()
        assert header == (
            "epoch,scale,relative_change,learning_rate,gradient_norm,loss,content_loss,"
            "style_loss_relu1_1,style_loss_relu2_1,seconds"
        )
        assert len(lines) == epoch + 1
        assert lines[-1].startswith(f"{epoch},1,0.5,0.001,1.0,4.0,1.0,1.0,2.0,")
    log.close(ENDING)


def test_epoch_log_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "epochs.csv").mkdir()
    with refuses(OutputError, kind=Kind.UNWRITABLE, path=tmp_path / "epochs.csv", flag="--output-dir"):
        EpochLog(tmp_path / "epochs.csv")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_epoch_log_on_a_full_disk() -> None:
    full = Path("/dev/full")
    log = EpochLog(full)
    with refuses(OutputError, kind=Kind.UNWRITABLE, path=full, flag="--output-dir"):
        log(step(0))
    log.close(ENDING)
    with refuses(OutputError, kind=Kind.UNWRITABLE, path=full, flag="--output-dir"), EpochLog(full) as log:
        log(step(0))


def test_only_a_lowered_rate_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Each scale starts with the full rate again, which is not logged."""
    notice = BackoffNotice(Checkpoint(DescentState(torch.zeros(1, 3, 20, 20))))
    for seen in (step(0), step(1, rate_factor=0.5), step(2, rate_factor=0.5), step(3, scale=2)):
        notice(seen)
    for seen in (step(4, scale=2, rate_factor=0.5), step(5, scale=3, rate_factor=0.5)):
        notice(seen)
    assert [message.split(":")[0] for message in caplog.messages] == [f"epoch {n} diverged" for n in (2, 5, 6)]


def test_lines_of_an_older_nstyle_are_gone_on_with(tmp_path: Path) -> None:
    """The old file has no column for scales, and new lines keep its columns."""
    path = tmp_path / "epochs.csv"
    path.write_text("epoch,relative_change,loss,seconds\n0,0.9,5.0,1.5\n")
    log = EpochLog(path, done=1)
    log(step(1))
    log.close(ENDING)
    *_, last = path.read_text().splitlines()
    assert last.startswith("1,0.5,4.0,")
    assert last.count(",") == 3
