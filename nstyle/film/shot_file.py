"""The state of a shot in a file, from which it goes on after an interruption."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nstyle.errors import Kind, RecipeError
from nstyle.film.sequence import ShotState
from nstyle.optim.lbfgs import last_pairs
from nstyle.storage.archive import READING_ERRORS, read_archive, write_archive

_PAIRS = "pairs_"


def write_shot(path: Path, state: ShotState, facts: Mapping[str, Any]) -> None:
    """Save a state, and facts about its film to compare with later (JSON). The write is atomic.

    Raises:
        OutputError: the file cannot be written.

    """
    tensors = {f"image_{i}": image for i, image in enumerate(state.images)}
    if state.shown is not None:
        tensors["shown"] = torch.from_numpy(state.shown.copy())  # a mirrored frame is a view that torch cannot take
    for name, image in state.pairs.items():
        tensors[_PAIRS + name] = image.view(torch.int16)  # numpy knows no bfloat16
    about = {
        "frame": state.frame,
        "pass": state.pass_number,
        "images": len(state.images),
        "facts": dict(facts),
    }
    write_archive(path, about, tensors)


def read_shot(path: Path) -> tuple[ShotState, dict[str, Any]]:
    """Read a file that `write_shot` wrote: the state, on the CPU, and the facts. Reading runs no code.

    Raises:
        RecipeError: the file is damaged.

    """
    try:
        about, tensors = read_archive(path)
        images = tuple(tensors[f"image_{i}"] for i in range(int(about["images"])))
        shown = tensors["shown"].numpy() if "shown" in tensors else None
        pairs = {
            name.removeprefix(_PAIRS): image.view(torch.bfloat16)
            for name, image in tensors.items()
            if name.startswith(_PAIRS)
        }
        state = ShotState(int(about["frame"]), images, shown, int(about["pass"]), pairs)
        facts = dict(about["facts"])
        _check_images(state)
    except READING_ERRORS as error:
        raise damaged(path) from error
    return state, facts


def damaged(path: Path) -> RecipeError:
    """Return the error of a state that cannot be used."""
    return RecipeError(
        f"{path} is damaged, so the film cannot resume; start again with --overwrite",
        path=path,
        kind=Kind.DAMAGED,
    )


def _check_images(state: ShotState) -> None:
    """Check that all are images of one size, and finite.

    Raises:
        ValueError: a shape, a dtype or a value is wrong.

    """
    shapes = {tuple(image.shape) for image in (*state.images, *state.pairs.values())}
    if state.shown is not None:
        height, width, channels = state.shown.shape
        shapes.add((1, channels, height, width))
    if len(shapes) > 1 or any(len(shape) != 4 or shape[:2] != (1, 3) for shape in shapes):
        raise ValueError("not images of one size")
    if len(last_pairs(state.pairs)) != len(state.pairs):
        raise ValueError("not pairs")
    if any(image.dtype != torch.float32 for image in state.images):
        raise ValueError("not float32")
    if state.shown is not None and state.shown.dtype != np.float32:
        raise ValueError("not float32")
    if not all(bool(image.isfinite().all()) for image in (*state.images, *state.pairs.values())):
        raise ValueError("not finite")
    if state.shown is not None and not np.isfinite(state.shown).all():
        raise ValueError("not finite")
