"""What watches a run, by itself."""

import os
from pathlib import Path

import pytest
import torch
from recipes import recipe
from torch import Tensor

from nstyle.errors import OutputError
from nstyle.losses.objective import Evaluation
from nstyle.networks.model_space import from_model_space
from nstyle.optim.descent import DescentState, Step
from nstyle.painting.observers import EpochLog, Snapshots
from nstyle.pictures.picture import Picture, denoise
from nstyle.settings.config import Config
from nstyle.storage.run_folder import RunFolder


def step(epoch: int, *, stopped: bool = False) -> Step[Evaluation]:
    one = torch.ones(())
    evaluation = Evaluation(torch.zeros(1, 3, 20, 20), one, one, {"relu1_1": one, "relu2_1": 2 * one})
    image = torch.zeros(1, 3, 20, 20)
    return Step(epoch, image, 0.5, 0.001, evaluation, stopped, DescentState(image, epoch + 1))


def finish(image: Tensor, remove_noise: float) -> Picture:
    return Picture(denoise(from_model_space(image), remove_noise))


def snapshots(folder: Path, save_epochs: int) -> Snapshots:
    config = Config(save_epochs=save_epochs, remove_noise=0, image_format="png")
    return Snapshots(RunFolder(folder, "png", []), finish, recipe(config), config)


def test_snapshots_count_from_1_and_are_noted_in_the_step(tmp_path: Path) -> None:
    sink = snapshots(tmp_path, 3)
    for epoch, expected in enumerate([None, None, "e_3.png", None, None, "e_6.png"]):
        seen = step(epoch)
        sink(seen)
        assert seen.snapshot == (tmp_path / expected if expected else None)
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e_3.png", "e_6.png"]


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
            "epoch,relative_change,learning_rate,gradient_norm,loss,content_loss,"
            "style_loss_relu1_1,style_loss_relu2_1,seconds"
        )
        assert len(lines) == epoch + 1
        assert lines[-1].startswith(f"{epoch},0.5,0.001,1.0,4.0,1.0,1.0,2.0,")
    log.close()


def test_epoch_log_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "epochs.csv").mkdir()
    with pytest.raises(OutputError, match=r"epochs\.csv"):
        EpochLog(tmp_path / "epochs.csv")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_epoch_log_on_a_full_disk() -> None:
    log = EpochLog(Path("/dev/full"))
    with pytest.raises(OutputError, match="No space left on device"):
        log(step(0))
    log.close()
