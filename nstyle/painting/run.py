"""One run, wired: from two picture files to a painting and its record."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nstyle.devices import choose_device, choose_precision, keeping_freed_memory, reproducible
from nstyle.errors import DeviceError, DivergenceError, RecipeError
from nstyle.optim.descent import DescentState, descend
from nstyle.painting.observers import BackoffNotice, Callback, CallbackSink, EpochLog, SavedStates, Sink, Snapshots
from nstyle.painting.prepare import Prepared, picture_paths, prepare
from nstyle.painting.pyramid import coarse_start
from nstyle.painting.session import Session
from nstyle.pictures.encode import write_picture
from nstyle.pictures.formats import WRITTEN
from nstyle.pictures.picture import Picture, to_uint8
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import read_state, write_state
from nstyle.storage.recipe import Recipe, read_recipe, settings_to_repeat
from nstyle.storage.record import RunRecord, log_changes, log_run, make_recipe
from nstyle.storage.run_folder import FINISHED, RunFolder

_log = logging.getLogger(__name__)

ProgressMaker: TypeAlias = Callable[[int, int], Sink]


@dataclass(frozen=True)
class Result:
    """A finished painting.

    Attributes:
        image: 1 x 3 x H x W, model space, float32, on the CPU.
        picture: the same for display, as it was written.
        epochs: how many were done.
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
        callback: called with each `Step`, once an epoch; `step.snapshot` is the file just written, or None.
        recipe: a picture of nstyle's, or a run.json: whatever is not said otherwise is as it was there.
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

    Args:
        config: the settings.
        callback: called with each `Step`.
        progress: makes one more sink, of the largest number of epochs and of those already done.
        followed: the recipe that the settings are from; what is no longer as it says is warned of.
        session: what earlier runs have made, and this one may use; None: nothing.

    """
    session = Session() if session is None else session
    sources = list(picture_paths(config).values())
    folder = RunFolder(config.output_dir, config.image_format, sources)
    folder.open()
    device = choose_device(config.device, config.gpu)
    precision = choose_precision(config.precision, device)
    with _out_of_memory_as_error(device, config.max_long_edge), reproducible(device):
        prepared = prepare(config, device, precision, session)
        recipe = make_recipe(config, prepared.inputs, prepared.weights, prepared.size, device, precision)
        if followed is not None:
            log_changes(followed, recipe)
        start = _taken_up(folder, recipe, device) if config.resume else None
        if start is None:
            folder.make_way_for(recipe, overwrite=config.overwrite, resume=config.resume)
            start = DescentState(coarse_start(config, prepared, device, precision, session))
        log_run(recipe, device)
        if prepared.has_alpha and not (form := WRITTEN[config.image_format]).has_alpha:
            _log.warning(
                "%s has no transparency: the picture is laid on white; --image-format png keeps it", form.title
            )
        with keeping_freed_memory(device, prepared.memory):
            return _Run(config, folder, prepared, recipe, start).paint(callback, progress)


def _taken_up(folder: RunFolder, recipe: Recipe, device: torch.device) -> DescentState | None:
    """Return the state of the earlier run in the folder, or None if there is none.

    Raises:
        RecipeError: it is of another run than the recipe's, or damaged.

    """
    if not folder.state.exists():
        return None
    state, saved = read_state(folder.state, device)
    if differences := saved.differences(recipe, end_may_differ=True):
        raise RecipeError(
            f"{folder.path} holds the state of a run with other settings: {', '.join(differences[:3])}; "
            f"--recipe {folder.record} --resume goes on with that one"
        )
    if recipe.settings["stop_eps"] > saved.settings["stop_eps"]:
        raise RecipeError(
            f"--stop-eps may only be lowered by --resume: {folder.path} was painted with {saved.settings['stop_eps']}"
        )
    if recipe.settings["max_num_epochs"] < state.epoch:
        raise RecipeError(f"{folder.path} has {state.epoch} epochs already; --max-num-epochs must be as many or more")
    _log.info("going on after epoch %d of %s", state.epoch, folder.path)
    return state


@contextmanager
def _out_of_memory_as_error(device: torch.device, long_edge: int) -> Iterator[None]:
    """Say what to do where PyTorch gets no memory; on the CPU that is a RuntimeError, told by its words."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            message = f"{device} has too little memory; lower --max-long-edge (now {long_edge})"
            raise DeviceError(message) from error
        raise


class _Run:
    """One descent, watched; whatever ends it, what it has made is written."""

    def __init__(
        self, config: Config, folder: RunFolder, prepared: Prepared, recipe: Recipe, start: DescentState
    ) -> None:
        self.config = config
        self.folder = folder
        self.prepared = prepared
        self.recipe = recipe
        self.record = RunRecord(folder.record, recipe)
        self.state = start
        self.stop_reason = "running"

    @property
    def picture_is_kept(self) -> bool:
        """Whether the image is worth a file. The start is not worth an older picture."""
        return self.state.epoch > 0 or (self.stop_reason == "diverged" and not self.folder.final.exists())

    def paint(self, callback: Callback | None, progress: ProgressMaker | None) -> Result:
        """Descend, show each step to the sinks, and write the picture."""
        config = self.config
        self.record.write(self.stop_reason, self.state.epoch)
        sinks = self._sinks(callback, progress)
        self.stop_reason = "failed"
        try:
            for step in descend(self.prepared.objective, self.state, **config.descent_settings()):
                self.state = step.state
                for sink in sinks:
                    sink(step)
            self.stop_reason = "relative change" if self.state.relative_change < config.stop_eps else "epochs"
        except KeyboardInterrupt as interrupt:
            self.stop_reason = "interrupted"
            self._note_picture(interrupt)
            raise
        except DivergenceError as error:
            self.stop_reason = "diverged"
            kept = f"; the last good picture is {self.folder.final}" if self.picture_is_kept else ""
            raise DivergenceError(f"{error}{kept}") from error
        finally:
            for sink in sinks:
                sink.close()
            try:
                self._save()
            except KeyboardInterrupt as interrupt:  # it came while the picture was being written: that goes first
                self._save()
                self._note_picture(interrupt)
                raise
        picture = self.prepared.finish(self.state.image, 0)
        return Result(
            self.state.image.cpu(), picture, self.state.epoch, self.stop_reason, self.folder.final, self.folder.record
        )

    def _sinks(self, callback: Callback | None, progress: ProgressMaker | None) -> list[Sink]:
        """Make what watches the descent; a state is saved after the picture and the line that it counts as done."""
        config, folder = self.config, self.folder
        sinks: list[Sink] = [
            Snapshots(folder, self.prepared.finish, self.recipe, config),
            EpochLog(folder.epochs, done=self.state.epoch),
            SavedStates(folder.state, self.recipe, save_epochs=config.save_epochs),
            BackoffNotice(self.state.rate_factor),
        ]
        if progress is not None:
            sinks.append(progress(config.max_num_epochs, self.state.epoch))
        if callback is not None:
            sinks.append(CallbackSink(callback))
        return sinks

    def _save(self) -> None:
        """Write picture, state and record, each whatever becomes of the others; it may be done twice."""
        with ExitStack() as at_the_end:
            at_the_end.callback(self.record.write, self.stop_reason, self.state.epoch)
            if self.state.epoch > 0:
                at_the_end.callback(write_state, self.folder.state, self.state, self.recipe)
            if self.picture_is_kept:
                # A picture that was not finished is made again by as many epochs as it had.
                cut = {} if self.stop_reason in FINISHED else {"max_num_epochs": self.state.epoch}
                picture = self.prepared.finish(self.state.image, 0)
                write_picture(
                    self.folder.final, picture, bit_depth=self.config.bit_depth, recipe=self.recipe.text(**cut)
                )

    def _note_picture(self, interrupt: KeyboardInterrupt) -> None:
        if self.picture_is_kept:
            interrupt.add_note(
                f"the picture after {self.state.epoch} epochs is {self.folder.final}; --resume goes on with it"
            )
