"""Train a painter, and write all files of the training: the painter, and in a folder beside it what it is made of.

The folder has the form of a run folder, so `nstyle-view` shows it: a step counts as an epoch, the paintings of the
validation photo are the snapshots. The same call continues a training that was interrupted or killed.
"""

import copy
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import torch

from nstyle.devices import (
    Precision,
    choose_device,
    choose_precision,
    describe_device,
    out_of_memory_as_error,
    reproducible,
)
from nstyle.errors import DivergenceError, ImageError, Kind, WeightsError
from nstyle.painter.earlier import find_earlier, read_earlier_state
from nstyle.painter.generators import make_generator
from nstyle.painter.graph import Generator
from nstyle.painter.objectives import CropObjectives
from nstyle.painter.painter_file import PainterFile, read_painter
from nstyle.painter.photos import POOL, ROUNDS, Photos
from nstyle.painter.state import damaged_state
from nstyle.painter.training import Lesson, Trainer, TrainingStep
from nstyle.painter.training_errors import check_crops, naming_output
from nstyle.painter.training_files import TrainingFiles
from nstyle.painting.interrupts import Interrupts
from nstyle.painting.observers import EpochLog
from nstyle.painting.session import Session
from nstyle.pictures.decode import read_picture
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.picture import Picture, fit_long_edge, resize_picture
from nstyle.settings.config import Config
from nstyle.settings.training import GENERATOR, STEPS, Training
from nstyle.storage.layout import StopReason
from nstyle.storage.record import make_recipe, warn_of_precision
from nstyle.storage.run_folder import RunFolder

_log = logging.getLogger(__name__)

TIMED_STEPS = 4
"""Number of steps that tell how many there are in some minutes; the first one does not count."""


class Progress(Protocol):
    """A watcher of a training."""

    def __call__(self, step: TrainingStep) -> None:
        """Show a step."""

    def close(self) -> None:
        """Show no more steps."""


@dataclass(frozen=True)
class Trained:
    """A trained painter.

    Attributes:
        path: its file.
        steps: the number of its steps, those of earlier calls included.
        losses: content + style of each step that this call has done; see `TrainingStep`.
        is_new: whether this call has done any; else an earlier one had finished the painter.

    """

    path: Path
    steps: int
    losses: tuple[float, ...] = ()
    is_new: bool = True


def train(
    training: Training,
    config: Config,
    photos: Sequence[Path],
    progress: Callable[[int, int], Progress] | None = None,
    session: Session | None = None,
    *,
    callback: Callable[[TrainingStep], object] | None = None,
) -> Trained:
    """Train a painter, or continue the training in the folder beside `training.output`.

    Args:
        training: the settings.
        config: the settings of the objective; see `Training.painting`.
        photos: files of the photos.
        progress: makes a watcher from the number of steps that are done and that of all steps.
        session: the cache of networks; None: a new one.
        callback: called with each step after it is noted; not with one during which a signal came. If it raises, the
            painter is saved as it is, unless an earlier one with more steps stays.

    Raises:
        NStyleError: the message is one line that says what to do. The painter of the last saved step stays; if no
            photo can be read any more, it is saved as it is.
        KeyboardInterrupt: after the painter is saved as it is, unless an earlier one with more steps stays.

    """
    device = choose_device(config.device, config.gpu)
    precision = choose_precision(config.precision, device)
    sources = [config.content_image, config.style_image, *(path for path, _ in config.blend_style), *photos]
    folder = RunFolder(training.folder, config.image_format, sources)
    try:
        with (
            naming_output(),
            folder.owned(),
            reproducible(device, tf32=precision.tf32),
            out_of_memory_as_error(
                device, "--batch-size", " in training; lower --batch-size, --crop-edge or --width"
            ),
        ):
            try:
                return _Run(training, config, photos, folder, device, precision, progress, callback).run(session)
            finally:
                folder.keep_earlier_run()  # if the training ended before it was saved
    finally:
        with suppress(OSError):  # it is not empty
            training.folder.rmdir()


def read_start(path: Path) -> PainterFile:
    """Return the painter from which a training starts.

    Raises:
        WeightsError: it cannot be used.

    """
    try:
        return read_painter(path)
    except WeightsError as error:
        message = str(error).replace("--painter", "--start-from")
        raise WeightsError(message, flag="--start-from", path=error.path, kind=error.kind) from error


@dataclass
class _Run:
    """A training in a folder that it owns; see `train` for the attributes."""

    training: Training
    config: Config
    photos: Sequence[Path]
    folder: RunFolder
    device: torch.device
    precision: Precision
    progress: Callable[[int, int], Progress] | None
    callback: Callable[[TrainingStep], object] | None

    def run(self, session: Session | None) -> Trained:
        """Train, or find that it is done."""
        training = self.training
        generator, started_from = self._first_generator()
        photo = self._validation_photo()
        objectives = CropObjectives(self.config, photo.size, self.device, self.precision.dtype, session)
        height, width = photo.size
        recipe = make_recipe(
            self.config, objectives.inputs, objectives.weights, (width, height), self.device, self.precision
        )
        facts = self._facts(generator, started_from)
        earlier = find_earlier(training.output, self.folder, recipe, facts, overwrite=training.overwrite)
        if earlier.finished is not None:
            return Trained(training.output, earlier.finished, is_new=False)
        found = read_earlier_state(self.folder, facts, self.device) if earlier.is_same else None
        done, state, steps = found or (0, {}, None)
        trainer = self._trainer(generator, objectives, facts, steps)
        if done:
            try:
                trainer.restore(done, state)
            except (ValueError, RuntimeError) as error:
                raise damaged_state(self.folder.checkpoint) from error
            _log.info("continuing %s after step %d", training.output, done)
        steps = trainer.lesson.steps
        recipe = replace(recipe, settings={**recipe.settings, "max_num_epochs": steps})
        facts["steps"] = steps
        files = TrainingFiles(training.output, self.folder, recipe, facts, trainer, photo, training.save_steps)
        files.check()
        files.begin(earlier, fresh=not done)
        self._announce(trainer)
        return self._follow(trainer, files)

    def _trainer(
        self, generator: Generator, objectives: CropObjectives, facts: Mapping[str, Any], steps: int | None
    ) -> Trainer:
        """Return the trainer before its first step; `steps` is the number of all steps if an earlier call set it."""
        training = self.training
        edge, crop_edge, squares = training.max_long_edge, facts["crop_edge"], generator.is_chain
        photos = Photos(self.photos, edge=edge, crop_edge=crop_edge, squares=squares)
        check_crops(objectives, photos)
        lesson = Lesson(
            steps or training.steps or STEPS,
            facts["lr"],
            facts["batch_size"],
            training.stability,
            training.seed,
        )
        photos.cut(lesson.seed, 0, 1)  # if no photo can be read, no file has been changed yet
        if steps is None and training.minutes is not None:
            for step in range(TIMED_STEPS):  # a photo is read once, which is not the steps' time
                photos.cut(lesson.seed, step, lesson.batch_size)
            trial = Trainer(copy.deepcopy(generator), photos, objectives, lesson, self.precision.dtype)
            lesson = replace(lesson, steps=_steps_in(training.minutes, trial))
        return Trainer(generator, photos, objectives, lesson, self.precision.dtype)

    def _announce(self, trainer: Trainer) -> None:
        """Log what is trained, and on what."""
        weights = sum(weight.numel() for weight in trainer.generator.parameters())
        _log.info(
            "training %s of %d weights on %d photos, %d steps in %s on %s (%s)",
            trainer.generator.facts["generator"],
            weights,
            len(self.photos),
            trainer.lesson.steps,
            self.precision,
            self.device,
            describe_device(self.device),
        )
        warn_of_precision(self.config.precision, str(self.precision), self.device)

    def _follow(self, trainer: Trainer, files: TrainingFiles) -> Trained:
        """Do the steps that are left, and record how the training ended."""
        try:
            try:
                losses = self._do_steps(trainer, files)
            except KeyboardInterrupt as interrupt:
                self._save_interrupted(trainer, files, interrupt)
                raise
        except KeyboardInterrupt:
            raise
        except DivergenceError as error:
            files.end(StopReason.DIVERGED)
            kept = f"; the painter after {files.saved} steps is {files.output}" if files.saved else ""
            raise DivergenceError(f"{error}{kept}", flag=error.flag, path=error.path, kind=error.kind) from error
        except BaseException:
            files.end(StopReason.FAILED)
            raise
        return Trained(files.output, trainer.done, tuple(losses))

    def _do_steps(self, trainer: Trainer, files: TrainingFiles) -> list[float]:
        """Do the steps that are left, save the training, and return the loss of each step."""
        steps, first = trainer.lesson.steps, trainer.done
        losses: list[float] = []
        watcher = None if self.progress is None else self.progress(first, steps)
        watching = [each for each in (watcher, self.callback) if each is not None]
        try:
            with EpochLog(self.folder.epochs, done=first) as log:
                while trainer.done < steps:
                    with Interrupts() as interrupts:
                        interrupts.hold()  # a step is done as a whole, or not at all
                        try:
                            step = trainer.step()
                        except ImageError:  # no photo can be read any more
                            self._save_failed(files)
                            raise
                        files.note(log, step)
                        losses.append(step.loss)
                    self._show(step, watching, files)
                files.save(StopReason.EPOCHS)
        finally:
            if watcher is not None:
                watcher.close()
        return losses

    def _show(
        self, step: TrainingStep, watching: Sequence[Callable[[TrainingStep], object]], files: TrainingFiles
    ) -> None:
        """Show a step to those who watch. If one raises, first save what there is; see `_save_failed`."""
        try:
            for watch in watching:
                watch(step)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._save_failed(files)
            raise

    def _save_failed(self, files: TrainingFiles) -> None:
        """Save what there is before an error ends the training, unless an earlier painter stays."""
        if files.trainer.done > 0 and not files.keeps_earlier:
            with suppress(Exception):  # the first error is the one to show
                files.save(StopReason.FAILED)

    def _save_interrupted(self, trainer: Trainer, files: TrainingFiles, interrupt: KeyboardInterrupt) -> None:
        """Save an interrupted training, and note how it continues."""
        with Interrupts() as interrupts:
            interrupts.hold()
            if files.keeps_earlier:
                interrupt.add_note(f"{files.output} stays as it was, after {files.to_beat} steps")
            if files.keeps_earlier or trainer.done == 0:
                files.end(StopReason.INTERRUPTED)
                return
            files.save(StopReason.INTERRUPTED)
            again = "the same command without --overwrite" if self.training.overwrite else "the same command"
            interrupt.add_note(f"the painter after {trainer.done} steps is {files.output}; {again} continues")

    def _first_generator(self) -> tuple[Generator, str | None]:
        """Return the generator before the first step, and the SHA-256 of the painter from which it starts.

        Raises:
            WeightsError: the painter to start from cannot be used.

        """
        training = self.training
        if training.start_from is not None:
            painter = read_start(training.start_from)
            return painter.generator.requires_grad_(True).to(self.device), painter.sha256
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed)
            kind = training.generator or GENERATOR
            generator = make_generator(kind, width=training.value("width", kind))
        return generator.to(self.device), None

    def _validation_photo(self) -> Picture:
        """Return the validation photo at the size at which it is painted."""
        path, edge = self.config.content_image, self.config.max_long_edge
        picture = read_picture(path, edge)
        height, width = fit_long_edge(*picture.size, edge)
        if min(height, width) < SHORTEST_EDGE:
            raise ImageError(
                f"{path} becomes {width}x{height} pixels at --max-long-edge {edge}, but each edge needs "
                f"{SHORTEST_EDGE}; choose another --validation-photo",
                flag="--validation-photo",
                path=path,
                kind=Kind.OUT_OF_RANGE,
            )
        return resize_picture(picture, height, width)

    def _facts(self, generator: Generator, started_from: str | None) -> dict[str, Any]:
        """Return what shapes the painter besides `Config`, as JSON values."""
        training, kind = self.training, str(generator.facts["generator"])
        return {
            **generator.facts,
            **{name: training.value(name, kind) for name in ("crop_edge", "batch_size", "lr")},
            "steps": training.steps or (None if training.minutes else STEPS),
            "minutes": training.minutes,
            "stability": training.stability,
            "learns_by": "sgd" if generator.is_chain else "muon",
            "learns_from": f"the crops of {POOL} steps, {ROUNDS} times; the style as in a painting",
            "start_from": started_from,
            "number_of_photos": len(self.photos),
            "photos": _digest(self.photos),
        }


def _steps_in(minutes: float, trial: Trainer) -> int:
    """Return how many steps take about so many minutes; `trial` does some steps for that.

    It does each twice, because crops come back, and their step takes less then; see `photos.POOL`.
    """
    new: list[float] = []
    again: list[float] = []
    for step in range(TIMED_STEPS):
        for seconds in (new, again):
            trial.done = step
            start = time.perf_counter()
            trial.step()
            seconds.append(time.perf_counter() - start)
    first, later = POOL * median(new[1:]), POOL * (ROUNDS - 1) * median(again[1:])  # of a pool
    pools, rest = divmod(60 * minutes, first + later)
    steps = POOL * (ROUNDS * pools + min(1, rest / first) + (ROUNDS - 1) * max(0, rest - first) / later)
    return max(1, round(steps))


def _digest(photos: Sequence[Path]) -> str:
    """Return a hash of the photos' names and sizes, in their order: to read all of them would take long."""
    digest = hashlib.sha256()
    for path in photos:
        try:
            size = path.stat().st_size
        except OSError:
            size = -1
        digest.update(f"{path.name}\0{size}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()
