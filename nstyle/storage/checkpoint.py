"""The saved state of a descent: `state.npz`, from which a run goes on as if it had never ended."""

import json
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nstyle.errors import RecipeError
from nstyle.files import replacing
from nstyle.optim.descent import DescentState
from nstyle.storage.recipe import Recipe, parse_recipe

# What numpy raises on archives that are cut off, corrupted or hostile.
_READING_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

_MEMORY = "memory_"


def write_state(path: Path, state: DescentState, recipe: Recipe) -> None:
    """Save a descent's state, with the recipe of its run. Whole or not at all.

    Raises:
        OutputError: it cannot be written.

    """
    about = {"epoch": state.epoch, "rate_factor": state.rate_factor, "relative_change": state.relative_change}
    tensors = {"image": state.image, **{_MEMORY + name: tensor for name, tensor in state.memory.items()}}
    arrays: dict[str, Any] = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    with replacing(path) as file:
        np.savez(file, about=json.dumps(about | {"recipe": recipe.facts()}), **arrays)


def read_state(path: Path, device: torch.device) -> tuple[DescentState, Recipe]:
    """Read what `write_state` wrote: numbers and text only, no code is run. It takes the memory of the file's size.

    Raises:
        RecipeError: it is damaged.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
                raise ValueError("compressed: its size would tell nothing of the memory that it takes")
            about = json.loads(str(archive["about"]))
            recipe = parse_recipe(json.dumps(about["recipe"]), path)
            names = [name for name in archive.files if name != "about"]
            tensors = {name: torch.from_numpy(archive[name]).to(device) for name in names}
        width, height = recipe.size
        shapes = ((1, 3, height, width), ())  # a scalar tells of the number of steps
        if tensors["image"].ndim == 0 or any(
            t.shape not in shapes or t.dtype != torch.float32 for t in tensors.values()
        ):
            raise ValueError(f"not {width}x{height} pixels in float32")
        state = DescentState(
            tensors.pop("image"),
            int(about["epoch"]),
            {name.removeprefix(_MEMORY): tensor for name, tensor in tensors.items()},
            float(about["rate_factor"]),
            float(about["relative_change"]),
        )
    except _READING_ERRORS as error:
        raise RecipeError(f"{path} is damaged, and cannot be gone on from; start anew with --overwrite") from error
    return state, recipe
