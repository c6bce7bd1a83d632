"""One painting with its files: from two pictures to a folder with the painting and its record."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nstyle.devices import choose_device, choose_precision, keeping_freed_memory, reproducible
from nstyle.errors import DeviceError, DivergenceError, Kind, RecipeError
from nstyle.painting.inputs import inputs_of
from nstyle.painting.observers import (
    BackoffNotice,
    CallbackObserver,
    Checkpoints,
    EpochLog,
    FinalPicture,
    Record,
    ScaleNotice,
    Snapshots,
)
from nstyle.painting.prepare import Prepared, prepare
from nstyle.painting.run import Painted, beginning, fits, most_epochs, paint
from nstyle.painting.session import Session
from nstyle.painting.steps import Callback, Observer, ProgressMaker
from nstyle.pictures.formats import WRITTEN
from nstyle.pictures.picture import Picture, to_uint8
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import Checkpoint, damaged_checkpoint, read_checkpoint
from nstyle.storage.recipe import OF_THE_END, Recipe, read_recipe, settings_to_repeat
from nstyle.storage.record import RunRecord, log_changes, log_run, make_recipe
from nstyle.storage.run_folder import RunFolder

_log = logging.getLogger(__name__)

_OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUDA error: out of memory", "_ALLOC_FAILED")
"""What PyTorch says on a CPU, on a GPU that is full before it begins, and for cuBLAS, cuDNN and cuFFT."""


@dataclass(frozen=True)
class Result:
    """A finished painting.

    Attributes:
        image: 1 x 3 x H x W, model space, float32, on the CPU.
        picture: the same for display, as it was written.
        epochs: how many were done, in all scales.
        stop_reason: "relative change" (below `stop_eps`) or "epochs" (`max_num_epochs` were done).
        path: the final picture's file.
        record: the run record's file.

    """

    image: Tensor
    picture: Picture
    epochs: int
    stop_reason: str
    path: Path
    record: Path

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The picture for display: H x W x 3, 0..255, as it stands in the file."""
        return to_uint8(self.picture.rgb)


def stylize(
    content_image: str | Path | None = None,
    style_image: str | Path | None = None,
    callback: Callback | None = None,
    *,
    recipe: str | Path | None = None,
    **options: Any,
) -> Result:
    """Paint one picture in the style of another, as the command does.

    Args:
        content_image: file of the picture to paint; None: the recipe's, or the sample in input/, if one is needed.
        style_image: file of the picture to paint it like; None likewise.
        callback: called with each `PaintingStep`, once an epoch; `step.scale` is the current scale, `step.snapshot`
            the file just written, or None.
        recipe: a picture that nstyle wrote, or a run.json: whatever is not given here is as it was there.
        options: the command's flags with underscores, `max_long_edge=400, output_dir="output"`; see `Config`.

    Raises:
        NStyleError: one line that says what to do. Of a picture that diverges, the last good state is written first,
            unless that is the start and an older picture is there.
        TypeError: there is no such option.
        KeyboardInterrupt: passed on, after the picture so far has been written.

    """
    named = {"content_image": content_image, "style_image": style_image}
    options |= {name: path for name, path in named.items() if path is not None}
    if recipe is None:
        return run(Config(**options), callback)
    followed = read_recipe(Path(recipe))
    return run(Config(**settings_to_repeat(followed, options)), callback, followed=followed)


def run(
    config: Config,
    callback: Callback | None = None,
    progress: ProgressMaker | None = None,
    followed: Recipe | None = None,
    session: Session | None = None,
) -> Result:
    """Paint as `config` says. See `stylize`.

    On a GPU, PyTorch's switches for determinism are set for as long as it paints: they are the process's.

    Args:
        config: the settings.
        callback: called with each `PaintingStep`.
        progress: makes one more observer, which shows the progress.
        followed: the recipe that the settings come from; the user is warned of what is no longer as it says.
        session: what earlier runs have made, and this one may use; None: nothing.

    """
    session = Session() if session is None else session
    folder = RunFolder(config.output_dir, config.image_format, inputs_of(config).paths)
    folder.open()
    device = choose_device(config.device, config.gpu)
    with _out_of_memory_as_error(device, config.max_long_edge), reproducible(device):
        precision = choose_precision(config.precision, device)
        prepared = prepare(config, device, precision, session)
        recipe = make_recipe(config, prepared.inputs, prepared.weights, prepared.size, device, precision)
        if followed is not None:
            log_changes(followed, recipe)
        resumed = _resumed(folder, recipe, prepared, device) if config.resume else None
        checkpoint = resumed or beginning(prepared)
        prepared.scales[checkpoint.scale - 1].objective()  # an error in it comes before any file is removed
        if resumed is None:
            folder.make_way_for(recipe, overwrite=config.overwrite, resume=config.resume)
        log_run(recipe, device)
        if prepared.has_alpha and not (form := WRITTEN[config.image_format]).has_alpha:
            _log.warning(
                "%s has no transparency: the picture is laid on white; --image-format png keeps it", form.title
            )
        tuned = keeping_freed_memory(device, prepared.memory) if session.owns_process else nullcontext()
        with tuned:
            painted = _paint(config, folder, prepared, recipe, checkpoint, callback, progress)
    return Result(
        painted.image.cpu(), painted.picture, painted.epochs, painted.stop_reason, folder.final, folder.record
    )


def _paint(
    config: Config,
    folder: RunFolder,
    prepared: Prepared,
    recipe: Recipe,
    checkpoint: Checkpoint,
    callback: Callback | None,
    progress: ProgressMaker | None,
) -> Painted:
    """Paint, and have observers write everything into the folder; say in errors which picture was kept."""
    record = Record(RunRecord(folder.record, recipe, len(prepared.scales)))
    record.begin(checkpoint)
    final = FinalPicture(folder, recipe, config)
    # Each in its turn: a checkpoint follows the picture and the line that it counts as done.
    observers: list[Observer] = [
        ScaleNotice(),
        BackoffNotice(checkpoint),
        Snapshots(folder, recipe, config),
        EpochLog(folder.epochs, done=checkpoint.epoch),
        final,
        Checkpoints(folder.checkpoint, recipe, save_epochs=config.save_epochs),
        record,
    ]
    if progress is not None:
        observers.append(progress(most_epochs(checkpoint, prepared), checkpoint.epoch))
    if callback is not None:
        observers.append(CallbackObserver(callback))
    try:
        return paint(prepared, start=checkpoint, observers=observers)
    except KeyboardInterrupt as interrupt:
        if final.epochs is not None:
            interrupt.add_note(f"the picture after {final.epochs} epochs is {folder.final}; --resume goes on with it")
        raise
    except DivergenceError as error:
        if final.epochs is None:
            raise
        raise DivergenceError(
            f"{error}; the last good picture is {folder.final}", flag=error.flag, path=folder.final, kind=error.kind
        ) from error


def _resumed(folder: RunFolder, recipe: Recipe, prepared: Prepared, device: torch.device) -> Checkpoint | None:
    """Return the checkpoint of the earlier run in the folder, or None if there is none.

    Raises:
        RecipeError: it is of another run than the recipe's, or damaged.

    """
    if not folder.checkpoint.exists():
        return None
    checkpoint, saved = read_checkpoint(folder.checkpoint, device)
    # With several scales, when each one ends is part of the picture: no recipe would tell of a later change.
    may_differ = OF_THE_END if len(prepared.scales) == 1 else {"on_divergence"}
    if differences := saved.differences(recipe, may_differ=may_differ):
        raise RecipeError(
            f"{folder.path} holds the state of a run with other settings: {', '.join(differences[:3])}; "
            f"--recipe {folder.record} --resume goes on with that one",
            flag="--resume",
            path=folder.path,
            kind=Kind.CONFLICT,
        )
    if not fits(checkpoint, prepared) and checkpoint.scale == 1:
        checkpoint = replace(checkpoint, scale=len(prepared.scales))  # an older nstyle saved the finest scale alone
    if not fits(checkpoint, prepared):
        raise damaged_checkpoint(folder.checkpoint)
    if recipe.settings["stop_eps"] > saved.settings["stop_eps"]:
        raise RecipeError(
            f"--stop-eps may only be lowered by --resume: {folder.path} was painted with "
            f"{saved.settings['stop_eps']}",
            flag="--stop-eps",
            path=folder.path,
            kind=Kind.CONFLICT,
        )
    if prepared.epochs[checkpoint.scale - 1] < checkpoint.descent.epoch:
        raise RecipeError(
            f"{folder.path} has {checkpoint.descent.epoch} epochs already; --max-num-epochs must be as many or more",
            flag="--max-num-epochs",
            path=folder.path,
            kind=Kind.CONFLICT,
        )
    _log.info("going on after epoch %d of %s", checkpoint.epoch, folder.path)
    return checkpoint


@contextmanager
def _out_of_memory_as_error(device: torch.device, long_edge: int) -> Iterator[None]:
    """Say what to do if PyTorch gets no memory; some of its errors for that are known only by their messages."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if known or any(words in str(error) for words in _OUT_OF_MEMORY):
            raise DeviceError(
                f"{device} has too little memory; lower --max-long-edge (now {long_edge})",
                flag="--max-long-edge",
                kind=Kind.OUT_OF_RANGE,
            ) from error
        raise
