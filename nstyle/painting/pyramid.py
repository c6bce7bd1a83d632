"""Painting coarse to fine: each scale is begun from the painting at half its size, enlarged (Li and Wand, 2016)."""

import dataclasses
import logging

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.optim.descent import descend
from nstyle.painting.prepare import Prepared, prepare
from nstyle.painting.session import Session
from nstyle.settings.config import Config, parse_size

_log = logging.getLogger(__name__)


def coarse_start(
    config: Config, prepared: Prepared, device: torch.device, precision: torch.dtype, session: Session | None = None
) -> Tensor:
    """Return what the finest scale begins with: its own start, or what the coarser scales, if any, come to.

    Each scale is a descent with the same settings, of at most as many epochs, at a quarter of the next one's time.

    Args:
        config: the settings.
        prepared: the finest scale.
        device: see `prepare`.
        precision: see `prepare`.
        session: see `prepare`.

    Raises:
        NStyleError: see `prepare` and `descend`.

    """
    image: Tensor | None = None
    for halvings in range(prepared.scales - 1, 0, -1):
        coarse = prepare(_halved(config, halvings), device, precision, session)
        image = coarse.start if image is None else _enlarged(image, coarse.start)
        epochs = 0
        for step in descend(coarse.objective, image, **config.descent_settings()):
            image, epochs = step.image, step.epoch + 1
        scale = prepared.scales - halvings
        _log.info("scale %d of %d, %dx%d pixels: %d epochs", scale, prepared.scales, *coarse.size, epochs)
    return prepared.start if image is None else _enlarged(image, prepared.start)


def _halved(config: Config, times: int) -> Config:
    """Return the settings of a painting, in one scale, whose edges are halved so many times."""
    size = config.size
    if size is not None:
        width, height = parse_size(size)
        size = f"{width >> times}x{height >> times}"
    return dataclasses.replace(config, max_long_edge=config.max_long_edge >> times, size=size, scales=1)


def _enlarged(image: Tensor, like: Tensor) -> Tensor:
    """Stretch an image (1 x 3 x H x W) bilinearly to the size of another."""
    return F.interpolate(image, size=like.shape[2:], mode="bilinear", align_corners=False)
