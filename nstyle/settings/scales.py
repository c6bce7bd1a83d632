"""The settings of painting coarse to fine: how many scales, how large they are, how many epochs each takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.pictures.limits import LONGEST_EDGE, SHORTEST_EDGE
from nstyle.settings.groups import DESCENT
from nstyle.settings.options import MXNET, OURS, setting

MOST_SCALES = 12
"""With so many halvings, 31 pixels are left of the longest edge that is painted, at the coarsest scale."""

MOST_COUNTED_UP = 24
"""With so many scales a factor of sqrt(2) leads from 16 pixels to the longest edge that is painted."""


@dataclass(frozen=True)
class Scales:
    """The scales of a painting, and the most epochs at each."""

    scales: int | str | None = setting(
        None,
        "paint coarse to fine in so many scales, each begun from the last one enlarged; auto: as many as "
        "have 256 pixels or more (default: "
        + ", ".join(f"{loss.scales} for {name}" for name, loss in STYLE_LOSSES.items())
        + ", or fewer if the picture is too small)",
        OURS,
        DESCENT,
        at_least=1,
        at_most=MOST_SCALES,
        choices=("auto",),
        metavar="N|auto",
    )
    scale_factor: float = setting(
        None,
        "how much longer the edges of each scale are than those of the last",
        OURS,
        DESCENT,
        above=1,
        at_most=4,
        metavar="F",
    )
    coarsest_edge: int | None = setting(
        None,
        "longer edge of the coarsest scale: the others follow from it by --scale-factor, up to the painting's own "
        "size, so that a larger painting has the same coarse scales, and more fine ones; in place of --scales N",
        OURS,
        DESCENT,
        at_least=SHORTEST_EDGE,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    preview_edge: int | None = setting(
        None,
        "longer edge of a smaller painting: its scales come first, the last one is that very painting, and details "
        "are added in scales above it by --scale-factor; --recipe with a larger --max-long-edge sets it",
        OURS,
        DESCENT,
        at_least=SHORTEST_EDGE,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    max_num_epochs: int | tuple[int, ...] = setting(
        None,
        "stop after so many epochs; N,N,...: after so many at each scale, the coarsest first. The last number is for "
        "all finer scales, too; numbers beyond the finest are ignored, since small pictures have fewer scales",
        MXNET,
        DESCENT,
        at_least=1,
        metavar="N,...",
    )


def epochs_at_scales(max_num_epochs: int | Sequence[int], scales: int) -> tuple[int, ...]:
    """Return the most epochs at each of so many scales, the coarsest first."""
    given = (max_num_epochs,) if isinstance(max_num_epochs, int) else tuple(max_num_epochs)
    return (given + given[-1:] * (scales - len(given)))[:scales]
