"""One scale of a painting."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nstyle.losses.objective import Objective
from nstyle.painting.finish import Finish, where_visible
from nstyle.painting.ways import WHOLE, Way, Work
from nstyle.pictures.masks import Mask
from nstyle.pictures.picture import Picture


@dataclass
class Scale:
    """One scale of a painting.

    Attributes:
        make_start: makes `start`. If a painter has to paint for it, that is done once, and kept.
        finish: converts an image at this scale to the picture for display.
        content: the content picture in the size of the image; with `supersampling`, larger than `finish.content`.
        mask: the part that is painted, in that size; None: everything.
        make_objective: makes the objective, for which the network processes the pictures; called when the scale
            begins. None: the objective has been made, and cannot be made again once it is freed.
        parts: the parts of the image whose change decides when it is finished; see `optim.descent.descend`.
        slowdown: whether it counts how much has changed before; see `optim.descent.descend`.
        details: share of the details of `start`, 0..1, that is added to the enlarged image of the scale before.
        make_grain: makes the noise that is added to that, too, 1 x 1 x H x W in grey levels; None: there is none.
        way: how it is painted in the memory that there is.
        work: the amount of arithmetic of an epoch.
        remakes: whether the objective can be made again after `free`. If not, `make_objective` is dropped with the
            style pictures that it holds, which may take as much memory as the painting's image.

    """

    make_start: Callable[[], Tensor]
    finish: Finish
    content: Picture
    mask: Mask | None
    make_objective: Callable[[], Objective] | None
    parts: tuple[Tensor | None, ...] = (None,)
    slowdown: float = 1.0
    details: float = 0.0
    make_grain: Callable[[], Tensor] | None = None
    way: Way = WHOLE
    work: Work = field(default_factory=Work)
    remakes: bool = True
    _objective: Objective | None = field(default=None, init=False)

    @property
    def start(self) -> Tensor:
        """The image with which a painting that begins at this scale starts.

        It is 1 x 3 x H x W, in model space, on the device. It is made each time, so that none takes memory meanwhile.
        """
        return self.make_start()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image."""
        height, width = self.content.size
        return width, height

    @property
    def where(self) -> NDArray[np.bool_]:
        """Which pixels of the image are both painted and visible, H x W; if there are none, all pixels."""
        return where_visible(self.content.size, self.mask, self.content.alpha)

    @property
    def optimizer_settings(self) -> dict[str, float]:
        """The arguments of `descend` that depend on the way."""
        return {} if self.way.history is None else {"history": self.way.history}

    def objective(self) -> Objective:
        """Return the objective; it is made when it is first needed, and kept until `free`.

        Raises:
            ValueError: it was freed, and cannot be made again.

        """
        if self._objective is None:
            if self.make_objective is None:
                raise ValueError("the objective was freed, and cannot be made again: prepare the painting anew")
            self._objective = self.make_objective()
            if not self.remakes:
                self.make_objective = None
        return self._objective

    def free(self) -> None:
        """Drop the objective to free the memory of its targets."""
        self._objective = None
