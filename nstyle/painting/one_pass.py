"""Prepare a painting that a painter paints in one pass, without VGG-19 and without a style picture."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstyle.files import known_sha256
from nstyle.losses.objective import Objective
from nstyle.networks.weights_files import EMBEDDED, TORCHVISION
from nstyle.painting.finish import Finish
from nstyle.painting.inputs import hash_files, inputs_of
from nstyle.painting.memory import STARTUP
from nstyle.painting.painters import Painter, Pass, choose_pass
from nstyle.painting.prepare import Prepared, fitted_mask
from nstyle.painting.scale import Scale
from nstyle.painting.session import Session
from nstyle.painting.sizes import longest_edge, scale_sizes
from nstyle.pictures.picture import Picture, resize_picture
from nstyle.pictures.style_fit import Frame
from nstyle.settings.config import Config


def prepare_one_pass(
    config: Config,
    painter: Painter | Pass,
    device: torch.device,
    session: Session,
    in_memory: Mapping[str, Picture] | None = None,
    besides: int = 0,
) -> Prepared:
    """Read the picture. The start of the only scale will be the painting, and there are no epochs.

    What the stages of a chain paint is kept, except for a frame of a film, which is in memory. `prepare` describes
    `painter`, `in_memory` and `besides`.

    Raises:
        NStyleError: a picture cannot be used, the painting is too small, or it does not fit into memory.

    """
    inputs, edge, in_memory = inputs_of(config), longest_edge(config), in_memory or {}
    pictures = {source: in_memory.get(source.name) or session.read(source.path, edge) for source in inputs.sources}
    hashes = hash_files(source for source in inputs.files if source.name not in in_memory)
    size = scale_sizes(config, inputs, {source: picture.size for source, picture in pictures.items()})[-1]
    whole = Frame((size.height, size.width), (size.height, size.width))
    content, *_ = inputs.sources  # there is one, since `Config` refuses textures
    mask = None if inputs.mask is None else fitted_mask(pictures, inputs.mask, content, whole)
    picture = resize_picture(pictures[content], size.height, size.width)
    in_use = session.memory_in_use(device, pictures.values()) + besides
    chosen = choose_pass(painter, (size.height, size.width), config, device, in_use, keeps_stages=not in_memory)
    stages: list[Tensor] | None = None if in_memory or chosen.painter.stages == 1 else []
    paint = chosen.paint if stages is None else partial(chosen.paint_stages, stages=stages)
    finish = Finish(picture, config.preserve_colors, mask)
    scale = Scale(cache(partial(paint, picture, device)), finish, picture, mask, _no_objective)
    return Prepared(
        scales=(scale,),
        epochs=(0,),
        descent=config.descent_settings(),
        inputs=hashes,
        weights=unused_weights(config),
        memory=chosen.needed,
        process_memory=in_use + STARTUP + chosen.needed,
        seamless=False,
        chosen=chosen,
        stages=() if stages is None else stages,
    )


def unused_weights(config: Config) -> Mapping[str, Any]:
    """Return what a recipe says of the weights of VGG-19 if none are read.

    If the settings name a file, it has its hash, by which the recipe's reader finds it.
    """
    digest = ""
    if config.weights not in (EMBEDDED, TORCHVISION):
        with suppress(OSError):
            digest = known_sha256(Path(config.weights))
    return {"path": "", "sha256": digest, "original": True}


def _no_objective() -> Objective:
    raise AssertionError("a painting in one pass has no objective")
