"""The state of a shot in a file, from which it goes on after an interruption."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nstyle.errors import Kind, RecipeError
from nstyle.files import replacing
from nstyle.film.sequence import ShotState
from nstyle.optim.lbfgs import last_pairs
from nstyle.storage.checkpoint import READING_ERRORS

_PAIRS = "pairs_"


def write_shot(path: Path, state: ShotState, facts: Mapping[str, Any]) -> None:
    """Save a state, and facts about its film to compare with later (JSON). The write is atomic.

    Raises:
        OutputError: the file cannot be written.

    """
    arrays: dict[str, Any] = {f"image_{i}": image.detach().cpu().numpy() for i, image in enumerate(state.images)}
    if state.shown is not None:
        arrays["shown"] = state.shown
    for name, tensor in state.pairs.items():
        arrays[_PAIRS + name] = tensor.detach().cpu().view(torch.int16).numpy()  # numpy knows no bfloat16
    about = {
        "frame": state.frame,
        "pass": state.pass_number,
        "images": len(state.images),
        "facts": dict(facts),
    }
    with replacing(path) as file:
        np.savez(file, about=json.dumps(about), **arrays)


def read_facts(path: Path) -> dict[str, Any]:
    """Read only the facts of a file that `write_shot` wrote, with "frame" and "pass" of the state. Reads no image.

    Raises:
        RecipeError: the file is damaged.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            return {**dict(about["facts"]), "frame": int(about["frame"]), "pass": int(about["pass"])}
    except READING_ERRORS as error:
        raise _damaged(path) from error


def read_shot(path: Path) -> tuple[ShotState, dict[str, Any]]:
    """Read a file that `write_shot` wrote: the state, on the CPU, and the facts. Reading runs no code.

    Raises:
        RecipeError: the file is damaged.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if any(member.compress_type for member in archive.zip.infolist()):
                raise ValueError("compressed: the file's size would not bound the memory that reading needs")
            about = json.loads(str(archive["about"]))
            images = tuple(torch.from_numpy(archive[f"image_{i}"]) for i in range(int(about["images"])))
            shown = archive["shown"] if "shown" in archive.files else None
            pairs = {
                name.removeprefix(_PAIRS): torch.from_numpy(archive[name]).view(torch.bfloat16)
                for name in archive.files
                if name.startswith(_PAIRS)
            }
            state = ShotState(int(about["frame"]), images, shown, int(about["pass"]), pairs)
            facts = dict(about["facts"])
        _check_shapes(state)
    except READING_ERRORS as error:
        raise _damaged(path) from error
    return state, facts


def _damaged(path: Path) -> RecipeError:
    return RecipeError(
        f"{path} is damaged, so the film cannot resume; start again with --overwrite",
        path=path,
        kind=Kind.DAMAGED,
    )


def _check_shapes(state: ShotState) -> None:
    """Check that all are images of one size.

    Raises:
        ValueError: a shape or dtype is wrong.

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
