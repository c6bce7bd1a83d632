"""The files of a training: the painter, the validation photo as it is painted, the losses, the state, the record."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nstyle.errors import OutputError
from nstyle.networks.model_space import to_model_space
from nstyle.optim.descent import DescentState
from nstyle.painter.earlier import TRAINING, Earlier
from nstyle.painter.painter_file import write_painter
from nstyle.painter.state import write_state
from nstyle.painter.training import Trainer, TrainingStep
from nstyle.painter.training_errors import about_validation_photo
from nstyle.painting.finish import Finish
from nstyle.painting.interrupts import Interrupts
from nstyle.painting.observers import EpochLog
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture
from nstyle.storage.checkpoint import Checkpoint
from nstyle.storage.layout import StopReason
from nstyle.storage.recipe import Recipe
from nstyle.storage.record import RunRecord
from nstyle.storage.run_folder import RunFolder

_log = logging.getLogger(__name__)


class TrainingFiles:
    """Writer of a training's files.

    A saved training is whole: if it is killed while it saves, the state of the last saving continues it. If it
    replaces an earlier one, that stays whole until the first saving; see `RunFolder.make_way_for`.

    Args:
        output: the painter's file.
        folder: the folder of the training.
        recipe: the recipe of a painting with the objective of the training.
        facts: what else shapes the painter, as JSON values.
        trainer: the generator that learns.
        photo: the validation photo, of the size at which it is painted.
        save_steps: steps between two savings.

    Attributes:
        saved: the number of steps of the painter in the file; 0: this training has written none.
        to_beat: the number of steps of the earlier training that this one replaces; 0: it replaces none.

    """

    def __init__(
        self,
        output: Path,
        folder: RunFolder,
        recipe: Recipe,
        facts: Mapping[str, Any],
        trainer: Trainer,
        photo: Picture,
        save_steps: int,
    ) -> None:
        self.output = output
        self.folder = folder
        self.recipe = recipe
        self.facts = facts
        self.trainer = trainer
        self.photo = photo
        self.save_steps = save_steps
        self.saved = trainer.done
        self.to_beat = 0
        self.record = RunRecord(folder.record, recipe)
        self._image = to_model_space(photo.rgb).to(trainer.device)
        self._finish = Finish(photo)
        self._painted: tuple[int, torch.Tensor] | None = None

    def check(self) -> None:
        """Paint and evaluate the validation photo as every saving does: what fails then fails before the first step.

        Raises:
            ImageError: it is too small for the objective.
            DeviceError: it is too large for the memory.

        """
        self._validation_loss()

    @property
    def keeps_earlier(self) -> bool:
        """Whether the earlier painter is there and has learned for more steps. A training that ends early keeps it.

        One that has done all its steps replaces it.
        """
        return self.saved == 0 and self.trainer.done < min(self.to_beat, self.trainer.lesson.steps)

    def begin(self, earlier: Earlier, *, fresh: bool) -> None:
        """Write that the training runs.

        Args:
            earlier: what is there of an earlier training.
            fresh: whether it begins anew, and replaces the earlier one, if there is one.

        Raises:
            OutputError: the folder cannot be written.

        """
        if fresh:
            self.folder.make_way_for(self.recipe, overwrite=True)  # what may be replaced is known already
        self.to_beat = earlier.to_beat
        self.record.pictures = set() if fresh else set(earlier.pictures)
        self._write_record(StopReason.RUNNING)

    def note(self, log: EpochLog, step: TrainingStep) -> None:
        """Log a step, and save the training if it is due; the caller saves the last step."""
        due = step.number % self.save_steps == 0
        loss = self._validation_loss() if due or step.number == step.steps else None
        log.add(
            {
                "epoch": step.number - 1,
                "learning_rate": step.learning_rate,
                "gradient_norm": step.gradient_norm,
                "loss": step.loss,
                "content_loss": step.content_loss,
                **{f"style_loss_{layer}": value for layer, value in step.style_losses.items()},
                **{f"loss_stage_{stage}": value for stage, value in enumerate(step.stage_losses, 1)},
                "validation_loss": "" if loss is None else loss,
            }
        )
        if loss is not None:
            _log.info("after %d steps, the loss of the validation photo is %.4g", step.number, loss)
        if due and step.number < step.steps:
            self.save(StopReason.RUNNING)

    def save(self, reason: StopReason) -> None:
        """Write the painter's painting of the photo, the state, the painter and the record.

        The state, the largest file, comes before the painter: if the disk is full, the earlier painter stays.

        Raises:
            OutputError: a file cannot be written. What was saved before stays.

        """
        done = self.trainer.done
        path = self.folder.snapshot(done) if reason == StopReason.RUNNING else self.folder.final
        if path.name not in self.record.pictures:
            self.record.pictures.add(path.name)
            self._write_record(StopReason.RUNNING)  # a picture that no record names counts as a stranger's
        write_picture(path, self._finish(self._painting(), 0))
        write_state(self.folder.checkpoint, done, self.trainer.state(), self.facts)
        with Interrupts() as interrupts:
            interrupts.hold()  # the painter and its folder are replaced together
            write_painter(self.output, self.trainer.generator, self._painter_recipe())
            self.saved = done
            if self.folder.staging is None:
                self._write_record(reason)
            else:
                self.folder.replace_earlier_run(partial(self._write_record, reason))

    def end(self, reason: StopReason) -> None:
        """Write that the training ended without saving, if that is possible, and has not kept an earlier one."""
        if self.folder.staging is None:
            with suppress(OutputError):
                self._write_record(reason)

    def _painting(self) -> torch.Tensor:
        """Paint the validation photo, once after each step: 1 x 3 x H x W, model space."""
        done = self.trainer.done
        if self._painted is None or self._painted[0] != done:
            self._painted = done, self.trainer.paint(self._image)
        return self._painted[1]

    def _validation_loss(self) -> float:
        """Return the objective's loss of content + style at the painting of the validation photo."""
        path, edge = Path(self.recipe.inputs["content_image"]["path"]), self.recipe.settings["max_long_edge"]
        with about_validation_photo(path, edge, self.trainer.device):
            objective = self.trainer.objective_of(self._image)
            return float(objective.gradient(self._painting()).loss)

    def _painter_recipe(self) -> dict[str, Any]:
        """Return how the painter was trained, with names instead of paths, because people share painters.

        It does not depend on where the painter is written: equal trainings make equal files.
        """
        facts = self.recipe.published().facts()
        settings = {name: value for name, value in facts["settings"].items() if name != "output_dir"}
        return {**facts, "settings": settings, TRAINING: {**self.facts, "done": self.trainer.done}}

    def _write_record(self, reason: StopReason, more: Mapping[str, object] | None = None) -> None:
        saved = Checkpoint(DescentState(self._image, self.saved, {}))
        self.record.path = self.folder.record
        self.record.write(reason, saved, {TRAINING: dict(self.facts), **(more or {})})
