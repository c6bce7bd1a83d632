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
from nstyle.devices import choose_device, choose_precision, memory_of, reproducible
from nstyle.errors import DeviceError, DivergenceError, ImageError, OutputError
from nstyle.files import make_folder, sha256
from nstyle.images import SMALLEST_EDGE, Picture, Rgb, fit_long_edge, resize, to_uint8
from nstyle.model_space import from_model_space, to_model_space
from nstyle.objective import Objective
from nstyle.picture_files import read_picture, write_picture
from nstyle.record import RunRecord
from nstyle.sinks import Callback, CallbackSink, EpochLog, Sink, Snapshots
from nstyle.vgg19 import VGG19, match_activations
from nstyle.weights import load_vgg19, read_weights

NOISE = 0.1
"""The reference starts from noise, uniform in (-0.1, 0.1), in model space."""

BYTES_PER_PIXEL = {torch.float32: 1900, torch.bfloat16: 1250}
"""Memory that a descent takes for each pixel of the painting, beside what it takes for any; measured on a CPU."""


@dataclass(frozen=True)
class Result:
    """A finished painting.

    Attributes:
        image: 1 x 3 x H x W, model space, float32, on the CPU.
        epochs: how many were done.
        stop_reason: "relative change" (below `stop_eps`) or "epochs" (`max_num_epochs` were done).
        path: the final picture's file.
        record: the run record's file.

    """

    image: Tensor
    epochs: int
    stop_reason: str
    path: Path
    record: Path

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The picture for display: H x W x 3, 0..255, as it stands in the file."""
        return to_uint8(from_model_space(self.image))


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
    pictures, inputs = _read_pictures(config)
    height, width = _working_size(config, pictures["content_image"])
    _check_memory(height * width, device, precision, config.max_long_edge)
    with _out_of_memory_as_error(device, config.max_long_edge), reproducible(device):
        fitted = {name: to_model_space(resize(rgb, height, width)) for name, rgb in pictures.items()}
        content, style = fitted["content_image"].to(device), fitted["style_image"].to(device)
        starts = {"noise": _noise(height, width, config.seed), "content": content, "style": style}
        initial = starts[config.init] if config.init in starts else fitted["init"]
        network, origin = _load_network(config, (content, style))
        objective = Objective(
            network.to(precision),
            content,
            style,
            content_weight=config.content_weight,
            style_weight=config.style_weight,
            tv_weight=config.tv_weight,
        )
        record = RunRecord(config, inputs, origin, device, precision, size=(width, height))
        record.log()
        return _paint(config, objective, initial.to(device), record, callback, progress)


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


def _read_pictures(config: Config) -> tuple[dict[str, Rgb], dict[str, dict[str, str]]]:
    """Read the pictures that are named: content, style, and what to start from if that is a third one.

    Returns:
        Under the names of their settings: the pictures, and where each is from, with its SHA-256.

    """
    paths = {"content_image": config.content_image, "style_image": config.style_image}
    if config.init not in ("noise", "content", "style"):
        paths["init"] = Path(config.init)
    pictures = {name: read_picture(path).rgb for name, path in paths.items()}
    inputs = {name: {"path": str(path.absolute()), "sha256": sha256(path)} for name, path in paths.items()}
    return pictures, inputs


def _working_size(config: Config, content: Rgb) -> tuple[int, int]:
    """Return height and width of the painting.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    height, width = fit_long_edge(content.shape[0], content.shape[1], config.max_long_edge)
    if min(height, width) < SMALLEST_EDGE:
        raise ImageError(
            f"{config.content_image} becomes {width}x{height} pixels at --max-long-edge {config.max_long_edge}; "
            f"raise that, or crop the picture: each edge needs {SMALLEST_EDGE}"
        )
    return height, width


def _noise(height: int, width: int, seed: int) -> Tensor:
    """Return the reference's start, 1 x 3 x H x W: drawn on the CPU, so that it is the same on every device."""
    uniform = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return (uniform * 2 - 1) * NOISE


def _load_network(config: Config, images: tuple[Tensor, ...]) -> tuple[VGG19, dict[str, Any]]:
    """Return the network, on the images' device and in the original's scale, and where its weights are from."""
    device = images[0].device
    weights = read_weights(config.weights, config.weights_input)
    network = VGG19(weights.tensors).to(device)
    if not weights.original:
        network = match_activations(network, load_vgg19(device=device), images)
    return network, {"path": weights.source, "sha256": weights.sha256, "original": weights.original}


def _check_memory(pixels: int, device: torch.device, precision: torch.dtype, long_edge: int) -> None:
    """Refuse at once what cannot fit, before the machine grinds to a halt.

    Raises:
        DeviceError: the painting needs more memory than there is.

    """
    needed, there = pixels * BYTES_PER_PIXEL[precision], memory_of(device)
    if there is not None and needed > there:
        raise DeviceError(
            f"--max-long-edge {long_edge} needs {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f}; "
            f"lower it to {int(long_edge * (there / needed) ** 0.5)}"
        )


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
    objective: Objective,
    image: Tensor,
    record: RunRecord,
    callback: Callback | None,
    progress: Callable[[int], Sink] | None,
) -> Result:
    """Descend, show each step to the sinks, and write the picture whatever ends it."""
    sinks: list[Sink] = [
        Snapshots(
            config.output_dir,
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
    epochs, stopped, stop_reason, picture_is_kept = 0, False, "failed", False
    path = _final_path(config)
    record.write("running", epochs)

    def finish() -> None:
        """Close the sinks, write picture and record, each whatever becomes of the other; it may be done twice."""
        for sink in sinks:
            sink.close()
        try:
            if picture_is_kept:
                write_picture(path, Picture(from_model_space(image)))
        finally:
            record.write(stop_reason, epochs)

    def note_picture(interrupt: KeyboardInterrupt) -> None:
        if picture_is_kept:
            interrupt.add_note(f"the picture after {epochs} epochs is {path}")

    try:
        for step in descend(
            objective,
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
    return Result(image.cpu(), epochs, stop_reason, path, record.path)
