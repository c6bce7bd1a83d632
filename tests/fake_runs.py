"""Run folders made without painting. The program's own writers write the files."""

import itertools
import json
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from pictures import painted
from recipes import recipe
from torch import Tensor

from nstyle.files import link_or_copy, sha256
from nstyle.losses.objective import Evaluation
from nstyle.networks.model_space import to_model_space
from nstyle.optim.descent import DescentState
from nstyle.painting.finish import Finish
from nstyle.painting.observers import EpochLog, FinalPicture, Record, Snapshots
from nstyle.painting.steps import Ending, PaintingStep
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.settings.scales import epochs_at_scales
from nstyle.storage.checkpoint import Checkpoint
from nstyle.storage.layout import RECORD, StopReason, final_name
from nstyle.storage.recipe import Recipe, read_recipe
from nstyle.storage.record import RunRecord
from nstyle.storage.run_folder import RunFolder

SECONDS_PER_EPOCH = 0.5

_FINAL_SEED = 9


class FakePainting:
    """Shows the observers of a run made-up steps instead of a painting's.

    Args:
        folder: the run's folder.
        run_recipe: the run's recipe. Its settings set the scales, the epochs, and when a snapshot is due.

    """

    def __init__(self, folder: Path, run_recipe: Recipe) -> None:
        self.config = Config(**run_recipe.settings)
        self.size = run_recipe.size
        self.scales = int(self.config.scales or 1)
        self.most_epochs = epochs_at_scales(self.config.max_num_epochs, self.scales)
        files = RunFolder(folder, self.config.image_format, [])
        record = RunRecord(files.record, run_recipe, self.scales)
        record.started_at = "2026-01-02T03:04:05+00:00"
        self.epochs_file = files.epochs
        self.record = Record(record)
        self.final = FinalPicture(files, run_recipe, self.config)
        self.snapshots = Snapshots(files, run_recipe, self.config, record)

    def paint(self, done: int, to: int) -> None:
        """Add epochs, with a line for each and the snapshots that are due."""
        self.record.scale = self.checkpoint(done).scale
        with _at(done):
            log = EpochLog(self.epochs_file, done=done)
        for epoch in range(done, to):
            step = self.step(epoch)
            with _at(epoch + 1):
                for observer in (self.snapshots, log, self.record):
                    observer(step)
        log.file.close()

    def end(self, epochs: int, stop_reason: StopReason) -> None:
        """Write the finished picture, or the last good one, and the stop reason."""
        checkpoint = self.checkpoint(epochs, _FINAL_SEED)
        ending = Ending(stop_reason, checkpoint, self.scales, _finish(checkpoint.descent.image))
        self.final.close(ending)
        self.record.close(ending)

    def checkpoint(self, epochs: int, seed: int | None = None) -> Checkpoint:
        """Make the checkpoint after `epochs` epochs. Without a seed the image is grey."""
        ends = list(itertools.accumulate(self.most_epochs))  # of each scale, in epochs
        scale = min(1 + sum(end < epochs for end in ends), self.scales)
        before = ends[scale - 2] if scale > 1 else 0
        return Checkpoint(DescentState(self._image(scale, seed), epochs - before), scale, before)

    def _image(self, scale: int, seed: int | None) -> Tensor:
        width, height = (edge >> (self.scales - scale) for edge in self.size)
        if seed is None:
            return torch.zeros(1, 3, height, width)
        return to_model_space(np.asarray(painted(height, width, seed)) / np.float32(255))

    def step(self, epoch: int) -> PaintingStep:
        """Make the step that observers see at an epoch, counted from 0. Its losses decrease."""
        fading = math.exp(-epoch / 20)
        norm, content, low, high = map(torch.tensor, (6e8 * fading, 4e11, 5e13 * fading, 2e8 * fading))
        is_due = (epoch + 1) % self.config.save_epochs == 0
        checkpoint = self.checkpoint(epoch + 1, 11 + epoch if is_due else None)
        return PaintingStep(
            epoch=epoch,
            image=checkpoint.descent.image,
            relative_change=fading,
            learning_rate=0.001,
            evaluation=Evaluation(torch.empty(0), norm, content, {"relu1_1": low, "relu5_1": high}),
            stopped=False,
            state=checkpoint.descent,
            scale=checkpoint.scale,
            scales=self.scales,
            most_epochs=sum(self.most_epochs),
            checkpoint=checkpoint,
            finish=_finish(checkpoint.descent.image),
        )


def _finish(image: Tensor) -> Finish:
    """Make pictures of images that have no content."""
    return Finish(Picture(np.zeros((*image.shape[2:], 3), dtype=np.float32)))


def _at(epochs: int) -> Any:
    """Set the record's clock to the time after `epochs` epochs."""
    return patch("time.monotonic", return_value=epochs * SECONDS_PER_EPOCH)


def fake_run(
    folder: Path,
    *,
    epochs: int = 12,
    stop_reason: str = "epochs",
    size: tuple[int, int] = (48, 32),
    content: Path | None = None,
    **settings: Any,
) -> Path:
    """Make the folder of a run with `epochs` epochs done. Its inputs lie beside it unless given."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = size
    content = content or folder.parent / f"{folder.name[:8]} content.png"
    style = folder.parent / "waves.png"
    painted(height, width, seed=1).save(content)
    painted(40, 40, seed=2).save(style)
    config = Config(
        content_image=content,
        style_image=style,
        output_dir=folder,
        **{"save_epochs": 3, "max_num_epochs": 20, **settings},
    )
    inputs = {
        name: {"path": str(path.resolve()), "sha256": sha256(path)}
        for name, path in (("content_image", content), ("style_image", style))
    }
    painting = FakePainting(folder, recipe(config, inputs=inputs, size=size))
    painting.record.begin(painting.checkpoint(0))
    painting.paint(0, epochs)
    if stop_reason != StopReason.RUNNING:
        painting.end(epochs, StopReason(stop_reason))
    return folder


def fake_batch(folder: Path, **settings: Any) -> Path:
    """Make the folder of a batch of two pairs, each with a run folder and a finished picture."""
    for name in ("cat_waves", "dog_waves"):
        fake_run(folder / name, content=folder.parent / f"{name}.png", **settings)
        link_or_copy(folder / name / final_name("jpg"), folder / f"{name}.jpg")
    return folder


def finish_run(folder: Path, epochs: int) -> None:
    """End a run that is still running."""
    FakePainting(folder, read_recipe(folder / RECORD)).end(epochs, StopReason.EPOCHS)


def advance_run(folder: Path, done: int, to: int) -> None:
    """Add epochs to a run that has done `done`."""
    FakePainting(folder, read_recipe(folder / RECORD)).paint(done, to)


def change_record(folder: Path, **changes: Any) -> None:
    """Change entries of `run.json` to values that no run writes."""
    path = folder / RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def header(folder: Path) -> list[str]:
    """The names of the columns of `epochs.csv`."""
    return (folder / "epochs.csv").read_text().splitlines()[0].split(",")
