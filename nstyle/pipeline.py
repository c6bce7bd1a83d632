"""One run, wired: from two picture files to a painting and its record."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nstyle.config import Config
from nstyle.descent import descend
from nstyle.devices import choose_device, choose_precision, reproducible
from nstyle.errors import DeviceError, DivergenceError, OutputError
from nstyle.files import make_folder
from nstyle.images import Picture, to_uint8
from nstyle.picture_files import write_picture
from nstyle.preparation import Prepared, prepare
from nstyle.record import RunRecord
from nstyle.sinks import Callback, CallbackSink, EpochLog, Sink, Snapshots


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
    content_image: str | Path,
    style_image: str | Path,
    callback: Callback | None = None,
    **options: Any,
) -> Result:
    """Paint one picture in the style of another, as the command does.

    Args:
        content_image: file of the picture to paint.
        style_image: file of the picture to paint it like.
        callback: called with each `Step`, once an epoch; `step.snapshot` is the file just written, or None.
        options: the command's flags with underscores, `max_long_edge=400, output_dir="output"`; see `Config`.

    Raises:
        NStyleError: one line that says what to do. Of a picture that diverges, the last good state is written first,
            unless that is the start and an older picture is there.
        TypeError: there is no such option.
        KeyboardInterrupt: passed on, after the picture so far has been written.

    """
    options |= {"content_image": content_image, "style_image": style_image}
    return run(Config(**options), callback)


def run(
    config: Config,
    callback: Callback | None = None,
    progress: Callable[[int], Sink] | None = None,
) -> Result:
    """Paint as `config` says. `progress` makes one more sink, of the largest number of epochs. See `stylize`."""
    make_folder(config.output_dir)
    _check_output(config)
    device = choose_device(config.device, config.gpu)
    precision = choose_precision(config.precision, device)
    with _out_of_memory_as_error(device, config.max_long_edge), reproducible(device):
        prepared = prepare(config, device, precision)
        record = RunRecord(config, prepared.inputs, prepared.weights, device, precision, prepared.size)
        record.log()
        return _paint(config, prepared, record, callback, progress)


def _final_path(config: Config) -> Path:
    """Return the file that the finished picture goes to."""
    return config.output_dir / f"final.{config.image_format}"


def _check_output(config: Config) -> None:
    """Make sure, before the work, that its result can be written, and over none of the user's pictures.

    Raises:
        OutputError: a folder stands where the picture is to go, or one of the two pictures.

    """
    path = _final_path(config)
    if path.is_dir():
        raise OutputError(f"{path} is a folder, where the picture is to go; choose another --output-dir")
    for source in (config.content_image, config.style_image):
        written = re.fullmatch(rf"(final|e_[0-9]+)\.{config.image_format}", source.name)
        if written and source.resolve().parent == config.output_dir.resolve():
            raise OutputError(f"{source} would be painted over; choose another --output-dir")


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


def _paint(
    config: Config,
    prepared: Prepared,
    record: RunRecord,
    callback: Callback | None,
    progress: Callable[[int], Sink] | None,
) -> Result:
    """Descend, show each step to the sinks, and write the picture whatever ends it."""
    sinks: list[Sink] = [
        Snapshots(
            config.output_dir,
            prepared.finish,
            save_epochs=config.save_epochs,
            remove_noise=config.remove_noise,
            image_format=config.image_format,
        ),
        EpochLog(config.output_dir / "epochs.csv"),
    ]
    if progress is not None:
        sinks.append(progress(config.max_num_epochs))
    if callback is not None:
        sinks.append(CallbackSink(callback))
    image, epochs, stopped, stop_reason, picture_is_kept = prepared.start, 0, False, "failed", False
    path = _final_path(config)
    record.write("running", epochs)

    def finish() -> None:
        """Close the sinks, write picture and record, each whatever becomes of the other; it may be done twice."""
        for sink in sinks:
            sink.close()
        try:
            if picture_is_kept:
                write_picture(path, prepared.finish(image, 0))
        finally:
            record.write(stop_reason, epochs)

    def note_picture(interrupt: KeyboardInterrupt) -> None:
        if picture_is_kept:
            interrupt.add_note(f"the picture after {epochs} epochs is {path}")

    try:
        for step in descend(
            prepared.objective,
            image,
            optimizer=config.optimizer,
            lr=config.lr,
            lr_sched_delay=config.lr_sched_delay,
            lr_sched_factor=config.lr_sched_factor,
            stop_eps=config.stop_eps,
            max_num_epochs=config.max_num_epochs,
        ):
            image, epochs, stopped, picture_is_kept = step.image, step.epoch + 1, step.stopped, True
            for sink in sinks:
                sink(step)
        stop_reason = "relative change" if stopped else "epochs"
    except KeyboardInterrupt as interrupt:
        stop_reason = "interrupted"
        note_picture(interrupt)
        raise
    except DivergenceError as error:
        stop_reason = "diverged"
        picture_is_kept |= not path.exists()  # the start, which is not worth an older picture
        kept = f"; the last good picture is {path}" if picture_is_kept else ""
        raise DivergenceError(f"{error}{kept}") from error
    finally:
        try:
            finish()
        except KeyboardInterrupt as interrupt:  # it came while the picture was being written: that goes first
            finish()
            note_picture(interrupt)
            raise
    return Result(image.cpu(), prepared.finish(image, 0), epochs, stop_reason, path, record.path)
