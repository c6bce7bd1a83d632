"""What a painting needs of a painter, a network that paints a picture in one pass."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from nstyle.devices import free_memory
from nstyle.errors import DeviceError, Kind
from nstyle.networks.model_space import to_model_space
from nstyle.painting.finish import bytes_of_finishing
from nstyle.painting.memory import SPREAD, STARTUP, amount
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config

_log = logging.getLogger(__name__)

PICTURE_BYTES = 36
"""Bytes for each pixel while the network paints, besides what it needs: the content picture, twice, and its painting.
The content picture is there as it was read, and in model space."""

PAINTED_BYTES = 24
"""Bytes for each pixel of the content picture and the painting while the picture is finished and written."""

LEAST_FINISHING_BYTES = 80
"""Bytes for each pixel that these and the finishing take at least."""

STAGE_BYTES = 12
"""Bytes for each pixel of a stage's painting that is kept until it is written."""


class Painter(Protocol):
    """A network that paints in one pass."""

    @property
    def ways(self) -> Sequence[Any]:
        """The ways in which it can paint, the fastest first; as text, they say it in words."""

    @property
    def stages(self) -> int:
        """The number of its stages, each of which paints what the one before has painted."""

    def needed(self, size: tuple[int, int], way: Any) -> int:
        """Return the bytes that its maps of a picture of this height and width take."""

    def __call__(self, image: Tensor, way: Any) -> Tensor:
        """Return the painting of an image; both are 1 x 3 x H x W, in model space, on the painter's device."""

    def paintings(self, image: Tensor, way: Any) -> Iterator[Tensor]:
        """Yield what each stage paints of such an image; the last one is the painting."""


@dataclass(frozen=True)
class Pass:
    """How a painter paints a picture.

    Attributes:
        painter: the painter.
        way: one of its ways.
        needed: the bytes that this takes besides the process itself.

    """

    painter: Painter
    way: Any
    needed: int

    def paint(self, picture: Picture, device: torch.device) -> Tensor:
        """Return the painting, 1 x 3 x H x W, model space, on the device."""
        return self.painter(to_model_space(picture.rgb).to(device), self.way)

    def paint_stages(self, picture: Picture, device: torch.device, stages: list[Tensor]) -> Tensor:
        """Return the painting, as `paint` does, and fill a list with what each stage has painted."""
        stages[:] = self.painter.paintings(to_model_space(picture.rgb).to(device), self.way)
        return stages[-1]


def pass_in(painter: Painter, way: Any, size: tuple[int, int], config: Config, *, keeps_stages: bool = False) -> Pass:
    """Return how a painter paints a picture in one of its ways; see `choose_pass` for the other arguments."""
    pixels = size[0] * size[1]
    painting = painter.needed(size, way) + PICTURE_BYTES * pixels
    finishing = max(LEAST_FINISHING_BYTES, PAINTED_BYTES + bytes_of_finishing(config, 0)) * pixels
    kept = STAGE_BYTES * pixels * (painter.stages - 1) if keeps_stages else 0
    return Pass(painter, way, max(painting, finishing) + kept)


def choose_pass(
    painter: Painter | Pass,
    size: tuple[int, int],
    config: Config,
    device: torch.device,
    in_use: int,
    *,
    keeps_stages: bool = False,
) -> Pass:
    """Return the fastest way that fits into the memory.

    Args:
        painter: the painter. A pass that was chosen before stays as it is, so that memory that others free or take
            meanwhile changes nothing from one frame of a film to the next.
        size: height and width of the picture.
        config: the settings: how the picture is finished, and `max_memory`.
        device: the device.
        in_use: bytes that the process uses already, as `max_memory` counts them.
        keeps_stages: whether the paintings of all stages are kept until they are written.

    Raises:
        DeviceError: none fits.

    """
    if isinstance(painter, Pass):
        return painter
    limit = config.memory_limit
    there = free_memory(device) if limit is None else limit - in_use - STARTUP
    ways = [pass_in(painter, way, size, config, keeps_stages=keeps_stages) for way in painter.ways]
    for one in ways:
        if there is None or one.needed <= there:
            if one is not ways[0]:
                _log.info(
                    "%dx%d pixels: painting %s, with about %s besides the program; whole it would be %s",
                    *(size[1], size[0], one.way, amount(one.needed), amount(ways[0].needed)),
                )
            return one
    least, longest = min(one.needed for one in ways), round(max(size) / config.enlargement)
    if limit is not None:
        enough = math.ceil((in_use + STARTUP + least) * SPREAD / 1e7) * 10
        raise DeviceError(
            f"{longest} pixels need --max-memory {enough}MB, not {config.max_memory}; raise it, or lower "
            "--max-long-edge",
            flag="--max-memory",
            kind=Kind.OUT_OF_RANGE,
        )
    raise DeviceError(
        f"--max-long-edge {longest} needs {amount(least)} of memory, but {device} has {amount(there or 0)}; lower it",
        flag="--max-long-edge",
        kind=Kind.OUT_OF_RANGE,
    )
