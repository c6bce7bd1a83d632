"""Settings for painting coarse to fine: the number of scales, their sizes, and the epochs at each."""

from collections.abc import Sequence
from dataclasses import dataclass

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.pictures.limits import LONGEST_EDGE, SHORTEST_EDGE
from nstyle.settings.groups import DESCENT
from nstyle.settings.options import MXNET, OURS, setting

MOST_SCALES = 12
"""Most scales that `--scales` accepts. With 12, halving leaves 31 pixels of the longest allowed edge."""

GRAIN_EDGE = 200
"""Longer edge in pixels of the smallest scale that gets `--grain`. At smaller ones, fine texture has many epochs, and
grain would change what is painted where."""

MOST_COUNTED_UP = 24
"""Most scales that `--coarsest-edge` can lead to: a factor of sqrt(2) gets from 16 pixels to the longest edge."""


@dataclass(frozen=True)
class Scales:
    """Settings of the scales of a painting, and the maximum epochs at each."""

    scales: int | str | None = setting(
        None,
        "number of scales to paint in, coarse to fine; each starts from the previous one, enlarged; auto: as many "
        "as keep 256 pixels or more",
        OURS,
        DESCENT,
        default_words=", ".join(f"{loss.scales} for {name}" for name, loss in STYLE_LOSSES.items())
        + ", or fewer if the picture is too small",
        at_least=1,
        at_most=MOST_SCALES,
        choices=("auto",),
        metavar="N|auto",
    )
    scale_factor: float = setting(
        None,
        "ratio of each scale's edges to those of the previous scale",
        OURS,
        DESCENT,
        default_words="2; painterly: the square root of 2",
        above=1,
        at_most=4,
        metavar="F",
    )
    coarsest_edge: int | None = setting(
        None,
        "longer edge of the coarsest scale, before --supersampling shrinks it, instead of --scales N; each finer "
        "scale is --scale-factor larger, up to the size of the painting, so a larger painting has the same coarse "
        "scales and more fine ones",
        OURS,
        DESCENT,
        at_least=SHORTEST_EDGE,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    preview_edge: int | None = setting(
        None,
        "longer edge of the result of a smaller painting to paint first, exactly as it would be alone; further "
        "scales, each --scale-factor larger, then add details; --recipe with a larger --max-long-edge sets this",
        OURS,
        DESCENT,
        at_least=SHORTEST_EDGE,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    supersampling: float = setting(
        None,
        "paint this many times as large, and shrink the result: fine strokes are cleaner. It takes F^2 times the "
        "memory, and F^2 times the time of each epoch at the finest scale",
        OURS,
        DESCENT,
        default_words="1; painterly: the square root of 2; with --painter: 1",
        at_least=1,
        at_most=4,
        metavar="F",
    )
    max_num_epochs: int | tuple[int, ...] = setting(
        None,
        "maximum number of epochs; N,N,...: at each scale, coarsest first. The last number also counts for all finer "
        "scales; extra numbers are ignored, because small pictures have fewer scales",
        MXNET,
        DESCENT,
        default_words="1000; painterly: 30,22,16,12,10,8,6,4; fast: 40,20,10; with --painter: 0",
        at_least=0,
        metavar="N,...",
    )
    stop_after: int | None = setting(
        None,
        "end the run after this many epochs, counted through all scales, even at a coarse one; final.jpg is then "
        "as small as that scale, shrunk by --supersampling",
        OURS,
        DESCENT,
        at_least=1,
        metavar="N",
    )


def epochs_at_scales(max_num_epochs: int | Sequence[int], scales: int) -> tuple[int, ...]:
    """Return the maximum number of epochs at each scale, coarsest first.

    The last given number is repeated for finer scales; extra numbers are dropped.
    """
    given = (max_num_epochs,) if isinstance(max_num_epochs, int) else tuple(max_num_epochs)
    return (given + given[-1:] * (scales - len(given)))[:scales]
