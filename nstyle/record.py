"""The run record: `run.json`, what is needed to understand a run and to make its picture again."""

import dataclasses
import json
import logging
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

import nstyle
from nstyle.config import Config
from nstyle.devices import describe_device, has_native_bfloat16
from nstyle.files import replacing

_log = logging.getLogger(__name__)

_DISTRIBUTIONS = ("torch", "numpy", "scikit-image", "pillow")


class RunRecord:
    """What is known of a run. Written when it starts ("running") and when it ends.

    Args:
        config: the settings.
        inputs: path and SHA-256 of each picture.
        weights: where the network's are from: path, SHA-256, and whether they are the original ones.
        device: where it runs.
        precision: of the network's arithmetic.
        size: width and height of the painting.

    """

    def __init__(
        self,
        config: Config,
        inputs: dict[str, dict[str, str]],
        weights: dict[str, Any],
        device: torch.device,
        precision: torch.dtype,
        size: tuple[int, int],
    ) -> None:
        self.path = config.output_dir / "run.json"
        self.device = device
        self.started = time.monotonic()
        self.facts: dict[str, Any] = {
            "settings": dataclasses.asdict(config),
            "inputs": inputs,
            "weights": weights,
            "size": list(size),
            "device": str(device),
            "device_name": describe_device(device),
            "precision": str(precision).removeprefix("torch."),
            "versions": {
                "nstyle": nstyle.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in _DISTRIBUTIONS},
            },
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def log(self) -> None:
        """Tell the user what is about to be done, and with what."""
        width, height = self.facts["size"]
        _log.info(
            "painting %dx%d pixels in %s on %s (%s)",
            *(width, height, self.facts["precision"], self.facts["device"], self.facts["device_name"]),
        )
        if self.facts["precision"] == "bfloat16" and not has_native_bfloat16(self.device):
            _log.warning("%s has no bfloat16 of its own: --precision float32 would be faster", self.device)
        if not self.facts["weights"]["original"]:
            _log.info(
                "%s: another VGG-19, its activations rescaled to the original's",
                self.facts["weights"]["path"],
            )

    def write(self, stop_reason: str, epochs: int) -> None:
        """Write the file. Whole or not at all.

        Args:
            stop_reason: "running", "relative change", "epochs", "interrupted", "diverged" or "failed".
            epochs: done so far.

        Raises:
            OutputError: it cannot be written.

        """
        progress = {
            "stop_reason": stop_reason,
            "epochs": epochs,
            "seconds": round(time.monotonic() - self.started, 3),
        }
        with replacing(self.path) as file:
            file.write((json.dumps(self.facts | progress, indent=2, default=str) + "\n").encode())
