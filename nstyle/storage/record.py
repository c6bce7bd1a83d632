"""The record of a run, `run.json`: the recipe and the progress."""

import json
import logging
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import nstyle
from nstyle.devices import Precision, describe_device, has_native_bfloat16
from nstyle.files import replacing
from nstyle.settings.config import Config
from nstyle.storage.checkpoint import Checkpoint
from nstyle.storage.earlier import PICTURES
from nstyle.storage.layout import StopReason
from nstyle.storage.reading import FORMER
from nstyle.storage.recipe import Recipe, recorded_settings

_log = logging.getLogger(__name__)

_DISTRIBUTIONS = ("numpy", "scikit-image", "pillow")


def make_recipe(
    config: Config,
    inputs: Mapping[str, Mapping[str, str]],
    weights: Mapping[str, Any],
    size: tuple[int, int],
    device: torch.device,
    precision: Precision,
) -> Recipe:
    """Build the recipe of a run that is about to start. `Recipe` describes the arguments."""
    return Recipe(
        settings=recorded_settings(config),
        inputs=inputs,
        weights=weights,
        size=size,
        device=str(device),
        device_name=describe_device(device),
        precision=str(precision),
        versions={
            "nstyle": nstyle.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),  # includes the build, as in 2.13.0+cu130, which pip may not know
            **{name: version(name) for name in _DISTRIBUTIONS},
        },
    )


def log_run(recipe: Recipe, device: torch.device) -> None:
    """Log the size, precision, device and weights of the run that starts."""
    width, height = recipe.size
    _log.info(
        "painting %dx%d pixels in %s on %s (%s)", width, height, recipe.precision, recipe.device, recipe.device_name
    )
    warn_of_precision(recipe.settings["precision"], recipe.precision, device)
    if not recipe.weights["original"]:
        _log.info("%s: not the original VGG-19; its activations are rescaled to match", recipe.weights["path"])


def warn_of_precision(wanted: str, precision: str, device: torch.device) -> None:
    """Warn if the device is slow in this precision, or cannot compute in the one that is `wanted`."""
    if precision == "bfloat16" and not has_native_bfloat16(device):
        _log.warning("%s has no native bfloat16: --precision float32 would be faster", device)
    if wanted == "tf32" and precision != "tf32":
        _log.warning("%s has no TF32: painting in float32", device)


def log_changes(followed: Recipe, recipe: Recipe) -> None:
    """Warn about inputs, hardware and versions that differ from the followed recipe's.

    If only one of them is painted in one pass, the pictures differ anyway.
    """
    for name in followed.other_inputs(recipe):
        _log.warning("%s has changed since the recipe was made: the picture will be different", name)
    if followed.in_one_pass == recipe.in_one_pass and (machine := followed.other_machine(recipe)):
        _log.warning("the recipe has %s: the picture will be similar, not bit-exact", ", ".join(machine))


class RunRecord:
    """Writer of `run.json`: the recipe and the progress of a run.

    Args:
        path: the file.
        recipe: the recipe of the run.
        scales: number of scales of the painting.
        pictures: names of the pictures that the run wrote before it was resumed.
        ways: how each scale is painted in little memory: "tiles" (`losses.tiles.Tiling`; null: whole) and "history"
            (steps that the optimizer remembers; null: its own number). A list without values is left out.
        former: SHA-256 of the finished pictures without a recipe that were in the folder before.

    Attributes:
        stop_reason: what the file says; None: it is not written yet.

    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        scales: int = 1,
        pictures: Iterable[str] = (),
        ways: Mapping[str, Sequence[Any]] | None = None,
        former: Iterable[str] = (),
    ) -> None:
        self.path = path
        self.ways = {name: list(values) for name, values in (ways or {}).items() if any(values)}
        self.recipe = recipe
        self.scales = scales
        self.pictures = set(pictures)
        self.former = sorted(former)
        self.stop_reason: StopReason | None = None
        self.started = time.monotonic()
        self.started_at = datetime.now(UTC).isoformat(timespec="seconds")

    def add_picture(self, name: str, checkpoint: Checkpoint) -> None:
        """Write that the run is going on and is about to write a picture, so that it is known as nstyle's."""
        if name not in self.pictures:
            self.pictures.add(name)
            self.write(StopReason.RUNNING, checkpoint)

    def write(
        self, stop_reason: StopReason, checkpoint: Checkpoint, more: Mapping[str, object] | None = None
    ) -> None:
        """Write the file atomically, with `more` facts.

        Raises:
            OutputError: the file cannot be written.

        """
        progress = {
            "started": self.started_at,
            "stop_reason": stop_reason,
            "scale": checkpoint.scale,
            "scales": self.scales,
            "epochs": checkpoint.epoch,
            "seconds": round(time.monotonic() - self.started, 3),
            PICTURES: sorted(self.pictures, key=lambda name: (len(name), name)),
            **({FORMER: self.former} if self.former else {}),
            **(more or {}),
        }
        with replacing(self.path) as file:
            file.write((json.dumps(self.recipe.facts() | self.ways | progress, indent=2) + "\n").encode())
        self.stop_reason = stop_reason
