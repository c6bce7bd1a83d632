"""A painter on a device, as a painting needs it (`painting.painters.Painter`)."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from nstyle.painter.footprint import bytes_needed
from nstyle.painter.graph import Generator
from nstyle.painter.painter_file import read_painter
from nstyle.painter.tiles import TILINGS, AroundStep, Tiling, paint, paintings

Way: TypeAlias = Tiling | str
"""A tiling, or `WHOLE`."""

WHOLE = "whole"


def way_facts(way: Way) -> str | dict[str, int]:
    """Return a way as a JSON value."""
    return asdict(way) if isinstance(way, Tiling) else way


class OnePass:
    """A painter that is ready to paint.

    Args:
        generator: its network, for painting.
        device: the device on which it paints.
        around_step: makes a context for the tiles of each step; see `tiles.paint`.

    """

    def __init__(self, generator: Generator, device: torch.device, around_step: AroundStep = nullcontext) -> None:
        self.generator = generator.to(device)
        self.around_step = around_step

    @property
    def ways(self) -> Sequence[Way]:
        """The ways in which it can paint, the fastest first."""
        return WHOLE, *TILINGS

    @property
    def stages(self) -> int:
        """The number of its stages, each of which paints what the one before has painted."""
        return len(self.generator.graphs)

    def needed(self, size: tuple[int, int], way: Way) -> int:
        """Return the bytes that its maps of a picture of this height and width take."""
        return bytes_needed(self.generator, size, way if isinstance(way, Tiling) else None)

    def __call__(self, image: Tensor, way: Way) -> Tensor:
        """Return the painting of an image; both are 1 x 3 x H x W, in model space, on the painter's device."""
        return paint(self.generator, image, way if isinstance(way, Tiling) else None, self.around_step)

    def paintings(self, image: Tensor, way: Way) -> Iterator[Tensor]:
        """Yield what each stage paints; the last one is the painting."""
        return paintings(self.generator, image, way if isinstance(way, Tiling) else None, self.around_step)


def load_painter(path: Path, device: torch.device, around_step: AroundStep = nullcontext) -> OnePass:
    """Read a painter, and put it on a device; see `OnePass` for `around_step`.

    Raises:
        WeightsError: the file cannot be used; see `painter_file.read_painter`.

    """
    return OnePass(read_painter(path).generator, device, around_step)
