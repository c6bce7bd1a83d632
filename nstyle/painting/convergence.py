"""When a painting is finished: the parts whose change counts, and a warning if it is its start, all but unchanged."""

import logging
from collections.abc import Sequence

from torch import Tensor

from nstyle.losses.objective import Style
from nstyle.optim.descent import largest_change

_log = logging.getLogger(__name__)

HARDLY_CHANGED = 0.01
"""Relative change from the start of a painting to its end that hardly anybody sees."""


def parts_that_count(mask: Tensor | None, alpha: Tensor | None, styles: Sequence[Style]) -> tuple[Tensor | None, ...]:
    """Return the parts of a painting that decide when it is finished, as weights: see `optim.descent.descend`.

    These are what is painted and visible, and each style's region in it. A small part would not show in the change of
    the whole image. Without mask, transparency and regions, it is the whole image, as in the reference.

    Args:
        mask: 1 x 1 x H x W, 0..1: what is painted; None: everything.
        alpha: 1 x 1 x H x W, 0..1: what is visible; None: everything.
        styles: the styles, whose regions are 0 where the painting is transparent.

    """
    seen = mask if alpha is None else alpha if mask is None else mask * alpha
    regions = [style.region for style in styles if style.region is not None]
    return (seen, *(region if mask is None else mask * region for region in regions))


def warn_if_unchanged(start: Tensor, image: Tensor, parts: Sequence[Tensor | None]) -> None:
    """Warn if a finished painting hardly differs from the image that it started from."""
    change = largest_change(start, image, parts)
    if change < HARDLY_CHANGED:
        _log.warning(
            "the picture differs from its start by only %.2g%%; for more style, raise --strength or --style-weight, "
            "or take --init noise",
            100 * change,
        )
