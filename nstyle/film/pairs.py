"""What L-BFGS has found out in one frame, for the next one: its last pairs (see `optim.lbfgs.last_pairs`)."""

from collections.abc import Mapping

from torch import Tensor

from nstyle.film.flow import Flow, SharpWarp
from nstyle.optim.lbfgs import last_pairs
from nstyle.painting.steps import Ending, PaintingStep


class LastPairs:
    """Observer that keeps the last pairs of a frame's descent in `pairs`, as bfloat16: in half the memory."""

    def __init__(self) -> None:
        self.pairs: Mapping[str, Tensor] = {}

    def __call__(self, step: PaintingStep) -> None:
        """Do nothing."""

    def close(self, ending: Ending) -> None:
        """Keep them."""
        pairs = last_pairs(ending.checkpoint.descent.memory)
        self.pairs = {name: image.bfloat16() for name, image in pairs.items()}


def carried_pairs(pairs: Mapping[str, Tensor], backward: Flow, like: Tensor) -> dict[str, Tensor]:
    """Carry pairs along the flow, as the painting is, so that they are a memory for the next frame's descent.

    With five epochs a frame at 320 pixels (`fast`, known motion), they lower the style loss of a moving cut-out by a
    sixth, and that of a photo that moves sideways by a fourteenth. One image after the other is carried, so that
    this takes at most 250 bytes a pixel besides `pairs`, and 120 of these are the result.

    Args:
        pairs: those of the last frame, 1 x 3 x H x W each.
        backward: flow from the frame to the last one, H x W x 2.
        like: an image on the device and of the dtype of the result.

    """
    if not pairs:
        return {}
    carry = SharpWarp(backward, like.device)
    return {name: carry(image.to(like)) for name, image in pairs.items()}
