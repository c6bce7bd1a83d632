"""Paint one picture and write all files of the run: pictures, record, checkpoint and epoch log."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import torch

from nstyle.devices import (
    Precision,
    choose_device,
    choose_precision,
    keeping_freed_memory,
    limited_memory,
    out_of_memory_as_error,
    reproducible,
)
from nstyle.errors import DivergenceError, Kind, OutputError, RecipeError
from nstyle.painting.convergence import warn_if_unchanged
from nstyle.painting.inputs import inputs_of, kept_metadata
from nstyle.painting.observers import (
    BackoffNotice,
    CallbackObserver,
    Checkpoints,
    EpochLog,
    FinalPicture,
    Record,
    ScaleNotice,
    Snapshots,
    Takeover,
    refuse_long_recipe,
)
from nstyle.painting.one_pass import prepare_one_pass
from nstyle.painting.painters import Painter, Pass
from nstyle.painting.prepare import Prepared, prepare
from nstyle.painting.result import Painted, Result
from nstyle.painting.run import Painting, fits, most_epochs
from nstyle.painting.session import Session
from nstyle.painting.steps import Callback, Observer, ProgressMaker
from nstyle.painting.ways import Way
from nstyle.pictures.formats import WRITTEN
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import Checkpoint, damaged_checkpoint, read_checkpoint
from nstyle.storage.layout import StopReason
from nstyle.storage.recipe import OF_THE_END, Recipe
from nstyle.storage.record import RunRecord, log_changes, log_run, make_recipe
from nstyle.storage.run_folder import RunFolder
from nstyle.wording import counted

_log = logging.getLogger(__name__)


_OTHER_WAYS = {
    "tiles": "%s was painted in other tiles, for other memory: the picture will differ by rounding from that of a "
    "run without interruption",
    "history": "%s was painted with another number of steps in the optimizer's history, for other memory: the "
    "picture will be different from that of a run without interruption",
}
"""Warnings for a run that is resumed in another way, by what differs; they need the folder."""


def run(
    config: Config,
    callback: Callback | None = None,
    progress: ProgressMaker | None = None,
    followed: Recipe | None = None,
    session: Session | None = None,
    *,
    painter: Painter | None = None,
) -> Result:
    """Paint with the settings in `config`. See `painter.run.stylize` for errors.

    On a GPU, this sets PyTorch's determinism switches for the whole process until the painting ends. With
    `max_memory`, it also limits what PyTorch takes from that GPU; the caller's own tensors there count, too.

    Args:
        config: the settings.
        callback: called with the `PaintingStep` after each epoch.
        progress: makes an additional observer, which shows the progress.
        followed: the recipe that supplied the settings. The log warns of any difference between it and this run.
        session: the cache of earlier runs; None: a new one.
        painter: the painter that the settings name. It makes the start; without epochs, that is the painting.

    """
    session = Session() if session is None else session
    folder = RunFolder(config.output_dir, config.image_format, inputs_of(config).paths)
    with folder.owned():
        return _run_in(folder, config, callback, progress, followed, session, painter)


def _run_in(
    folder: RunFolder,
    config: Config,
    callback: Callback | None,
    progress: ProgressMaker | None,
    followed: Recipe | None,
    session: Session,
    painter: Painter | None,
) -> Result:
    """Paint into a folder that this run owns. See `run` for the arguments."""
    device = choose_device(config.device, config.gpu)
    precision = choose_precision(config.precision, device)
    with set_up(config, device, precision):
        prepared = prepared_for(config, device, precision.dtype, session, painter)
        recipe = make_recipe(config, prepared.inputs, prepared.weights, prepared.size, device, precision)
        refuse_long_recipe(recipe, config)
        if followed is not None:
            log_changes(followed, recipe)
        pictures = folder.check(recipe, continues=config.resume)
        resumed = _resumed(folder, recipe, prepared, device) if config.resume else None
        if not config.overwrite:
            folder.check_is_not_retouched()
        if not config.resume and not config.overwrite:
            resumed = _continued(folder, recipe, prepared, device)
        if resumed is None:
            folder.make_way_for(recipe, overwrite=config.overwrite, resume=config.resume)
        try:
            with tuned(config, session, device, prepared.memory):
                for scale in prepared.scales if painter is not None else ():
                    scale.make_start()  # the painter paints before objectives take memory
            painting = Painting(prepared, resumed)
            del resumed  # its image would take memory until the end
            if not prepared.in_one_pass:
                painting.scale.objective()  # if this fails, no file has been changed yet
            log_run(recipe, device)
            if prepared.has_alpha and not (form := WRITTEN[config.image_format]).has_alpha:
                _log.warning(
                    "%s has no transparency: transparent parts become white; --image-format png keeps them "
                    "transparent",
                    form.title,
                )
            with tuned(config, session, device, prepared.memory):
                painted = _paint(config, folder, painting, recipe, pictures, callback, progress)
        finally:
            folder.keep_earlier_run()  # if something prevented the end of the run
        del painting  # what the optimizer keeps would take memory while the start is made again
        if not prepared.in_one_pass:
            size = painted.image.shape[:-3:-1]
            scale = next(scale for scale in prepared.scales if scale.size == size)
            warn_if_unchanged(scale.start, painted.image, scale.parts)
    return Result(
        painted.image.cpu(), painted.finish, painted.epochs, painted.stop_reason, folder.final, folder.record
    )


def prepared_for(
    config: Config,
    device: torch.device,
    dtype: torch.dtype,
    session: Session,
    painter: Painter | Pass | None,
    in_memory: Mapping[str, Picture] | None = None,
    ways: Sequence[Way] | None = None,
    besides: int = 0,
) -> Prepared:
    """Prepare a painting with a painter, if there is one: alone, or before the optimizer. See `prepare`."""
    if painter is not None and config.in_one_pass:
        return prepare_one_pass(config, painter, device, session, in_memory, besides)
    return prepare(config, device, dtype, session, ways, in_memory, besides, painter)


def _paint(
    config: Config,
    folder: RunFolder,
    painting: Painting,
    recipe: Recipe,
    pictures: Collection[str],
    callback: Callback | None,
    progress: ProgressMaker | None,
) -> Painted:
    """Paint with observers that write all files of the run; add the path of the kept picture to errors.

    `pictures` names those in the folder of the run before it was resumed. See `run` for the other arguments.
    """
    metadata = kept_metadata(config)
    prepared, done = painting.prepared, painting.checkpoint.epoch
    pictures = () if folder.staging or done == 0 else pictures
    pictures = {*pictures, folder.final.name}
    record = RunRecord(
        folder.record, recipe, len(prepared.scales), pictures, _ways(prepared), folder.former_pictures()
    )
    recording = Record(record)
    final = FinalPicture(folder, recipe, config, metadata)
    takeover = Takeover(folder, record, save_epochs=config.save_epochs)
    # The order matters: the checkpoint is written after the picture and the log line of its epoch.
    observers: list[Observer] = [
        ScaleNotice(),
        BackoffNotice(painting.checkpoint),
        Snapshots(folder, recipe, config, record, metadata, prepared.stages),
        final,
        Checkpoints(folder, recipe, save_epochs=config.save_epochs),
        recording,
        takeover,
    ]
    if progress is not None and not prepared.in_one_pass:
        observers.append(progress(most_epochs(painting.checkpoint, prepared), done))
    if callback is not None:
        observers.append(CallbackObserver(callback))
    try:
        with _recorded(recording, painting):
            if prepared.in_one_pass:
                return painting.paint(observers)
            # The record comes before this file: a file that no record names counts as a stranger's.
            with EpochLog(folder.epochs, done=done) as log:
                return painting.paint([log, *observers])
    except KeyboardInterrupt as interrupt:
        if takeover.has_kept_earlier_run:
            interrupt.add_note(f"the earlier run in {folder.path} stays as it was")
        elif final.epochs is not None:
            interrupt.add_note(
                f"the picture after {counted(final.epochs, 'epoch')} is {folder.final}; --resume continues it"
            )
        raise
    except DivergenceError as error:
        if final.epochs is None or takeover.has_kept_earlier_run:
            raise
        raise DivergenceError(
            f"{error}; the last good picture is {folder.final}", flag=error.flag, path=folder.final, kind=error.kind
        ) from error


@contextmanager
def _recorded(recording: Record, painting: Painting) -> Iterator[None]:
    """Write the record when the block begins, and make sure that it does not say "running" when it ends."""
    try:
        recording.begin(painting.checkpoint)
        yield
    except BaseException as error:
        reason = StopReason.INTERRUPTED if isinstance(error, KeyboardInterrupt) else StopReason.FAILED
        record = recording.record
        if record.stop_reason == StopReason.RUNNING and record.path.parent.is_dir():  # it was not closed
            with suppress(OutputError):
                record.write(reason, painting.checkpoint)
        raise


def _continued(folder: RunFolder, recipe: Recipe, prepared: Prepared, device: torch.device) -> Checkpoint | None:
    """Return the checkpoint of the run in the folder if it has the same recipe and a usable checkpoint, else None."""
    earlier = folder.earlier_run()
    if earlier is None or earlier.recipe is None or earlier.recipe.differences(recipe):
        return None
    try:
        return _resumed(folder, recipe, prepared, device)
    except RecipeError:
        _log.warning("%s cannot be continued; the run begins again", folder.checkpoint)
        return None


def _resumed(folder: RunFolder, recipe: Recipe, prepared: Prepared, device: torch.device) -> Checkpoint | None:
    """Return the checkpoint of the earlier run in the folder, or None if there is none.

    Raises:
        RecipeError: the checkpoint is damaged, or the earlier run's recipe differs from `recipe`.

    """
    if not folder.checkpoint.exists():
        return None
    checkpoint, saved = read_checkpoint(folder.checkpoint, device)
    # With several scales, the end of each scale shapes the picture, and a recipe cannot record a change during a run.
    may_differ = OF_THE_END if len(prepared.scales) == 1 else {"on_divergence", "stop_after"}
    if differences := saved.differences(recipe, may_differ=may_differ):
        raise RecipeError(
            f"{folder.path} holds a run with other settings: {', '.join(differences[:3])}; "
            f"to continue that run: --recipe {folder.record} --resume",
            flag="--resume",
            path=folder.path,
            kind=Kind.CONFLICT,
        )
    if not fits(checkpoint, prepared) and checkpoint.scale == 1:
        checkpoint = replace(checkpoint, scale=len(prepared.scales))  # an older nstyle saved only the finest scale
    if not fits(checkpoint, prepared):
        raise damaged_checkpoint(folder.checkpoint)
    if recipe.settings["stop_eps"] > saved.settings["stop_eps"]:
        raise RecipeError(
            f"--resume cannot raise --stop-eps: {folder.path} was painted with {saved.settings['stop_eps']}; "
            "use that value or a lower one",
            flag="--stop-eps",
            path=folder.path,
            kind=Kind.CONFLICT,
        )
    if prepared.epochs[checkpoint.scale - 1] < checkpoint.descent.epoch:
        raise _too_few_epochs(folder, "--max-num-epochs", checkpoint.descent.epoch)
    if prepared.stop_after is not None and prepared.stop_after < checkpoint.epoch:
        raise _too_few_epochs(folder, "--stop-after", checkpoint.epoch)
    _log.info("resuming %s after epoch %d", folder.path, checkpoint.epoch)
    _warn_of_other_ways(folder, checkpoint, prepared)
    return checkpoint


def _too_few_epochs(folder: RunFolder, flag: str, done: int) -> RecipeError:
    """Return the error for a run that is resumed with a limit below the number of epochs that are done."""
    return RecipeError(
        f"{folder.path} already has {counted(done, 'epoch')}; {flag} must be at least that",
        flag=flag,
        path=folder.path,
        kind=Kind.CONFLICT,
    )


def _ways(prepared: Prepared) -> dict[str, list[Any]]:
    """Return how each scale is painted in little memory, as `RunRecord` writes it."""
    ways = [scale.way for scale in prepared.scales]
    names = ("blocks", "values")  # whether maps are offloaded changes no bit
    tiles = [None if way.tiling is None else {name: getattr(way.tiling, name) for name in names} for way in ways]
    return {"tiles": tiles, "history": [way.history for way in ways]}


def _warn_of_other_ways(folder: RunFolder, checkpoint: Checkpoint, prepared: Prepared) -> None:
    """Warn if the earlier run painted the scales that are left in other tiles, or with another history.

    A history that its epochs did not fill makes no difference: with fewer epochs, a longer one fits into memory.
    """
    earlier = folder.earlier_run()
    here = checkpoint.scale - 1
    for name, ways in _ways(prepared).items():
        before = None if earlier is None else earlier.facts.get(name, [None] * len(ways))
        if not isinstance(before, list) or before[here:] == ways[here:]:
            continue
        lengths = [each for each in (*before[here : here + 1], ways[here]) if isinstance(each, int)]
        if name != "history" or checkpoint.descent.epoch > min(lengths, default=0) + 1:
            _log.warning(_OTHER_WAYS[name], folder.path)


@contextmanager
def set_up(config: Config, device: torch.device, precision: Precision) -> Iterator[None]:
    """Make the device compute reproducibly and within the memory limit while the block runs."""
    with (
        _out_of_memory_as_error(config, device),
        reproducible(device, tf32=precision.tf32),
        limited_memory(device, config.memory_limit),
    ):
        yield


def tuned(config: Config, session: Session, device: torch.device, memory: int) -> AbstractContextManager[object]:
    """Keep freed memory while the block runs, if the process is nstyle's and the settings do not limit its memory.

    `memory` is that of `Prepared`. For a painter that paints in one pass, this saves a quarter of the time.
    """
    if session.owns_process and config.max_memory is None:
        return keeping_freed_memory(device, memory)
    return nullcontext()


def _out_of_memory_as_error(config: Config, device: torch.device) -> AbstractContextManager[None]:
    """Turn out-of-memory errors into a `DeviceError` that names the flag of this painting that helps."""
    flag, where = "--max-long-edge", ""
    remedy = f"lower {flag} (now {config.max_long_edge})"
    if config.max_memory is not None and device.type == "cuda":  # PyTorch may not take more
        flag, where = "--max-memory", f" within --max-memory {config.max_memory}"
        remedy = f"raise that limit, or {remedy}"
    return out_of_memory_as_error(device, flag, f"{where}; {remedy}")
