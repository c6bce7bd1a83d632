"""Finished paintings, as `paint` and `stylize` return them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nstyle.painting.finish import Finish
from nstyle.pictures.picture import Picture, to_uint8
from nstyle.storage.layout import StopReason


@dataclass(frozen=True)
class Painted:
    """A finished painting.

    Attributes:
        image: 1 x 3 x H x W, model space, float32.
        finish: converts it to the picture for display.
        epochs: the number of epochs in all scales.
        stop_reason: "relative change" (it fell below `stop_eps`), "epochs" (`max_num_epochs` are done), or "one pass"
            (a painter painted the picture).

    """

    image: Tensor
    finish: Finish
    epochs: int
    stop_reason: StopReason

    @cached_property
    def picture(self) -> Picture:
        """The picture for display. It is made when it is first asked for: it takes as much memory as the image."""
        return self.finish(self.image, 0)


@dataclass(frozen=True)
class Result(Painted):
    """A finished painting with its files; its image is on the CPU.

    Attributes:
        path: the file of the final picture.
        record: the file of the run record.

    """

    path: Path
    record: Path

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The colors of the picture for display: H x W x 3, sRGB, 0..255."""
        return to_uint8(self.picture.rgb)
