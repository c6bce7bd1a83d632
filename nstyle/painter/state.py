"""The state of a training, in its folder: a training that continues from it ends with the same weights, bit for bit.

It is an archive of numpy arrays: reading it runs no code.
"""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nstyle.errors import Kind, RecipeError
from nstyle.files import replacing

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
"""What numpy raises if an archive is truncated, corrupted or malicious."""


def write_state(path: Path, done: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Save the state after `done` steps, with facts (JSON values) that tell which training it belongs to. Atomic.

    Raises:
        OutputError: the file cannot be written.

    """
    arrays: dict[str, Any] = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    with replacing(path) as file:
        np.savez(file, about=json.dumps({"done": done, "facts": dict(facts)}), **arrays)


def read_state(path: Path, device: torch.device) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
    """Return what `write_state` wrote: the number of steps, the tensors on a device, and the facts.

    Reading needs as much memory as the file's size.

    Raises:
        RecipeError: the file is missing or damaged.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
                raise ValueError("compressed: the file's size would not bound the memory that reading needs")
            about = json.loads(str(archive["about"]))
            names = [name for name in archive.files if name != "about"]
            tensors = {name: torch.from_numpy(archive[name]) for name in names}
        done, facts = int(about["done"]), dict(about["facts"])
    except _READING_ERRORS as error:
        raise damaged_state(path) from error
    return done, {name: tensor.to(device) for name, tensor in tensors.items()}, facts


def damaged_state(path: Path) -> RecipeError:
    """Return the error for a state that cannot be used."""
    return RecipeError(
        f"{path} is damaged, so the training cannot continue; start again with --overwrite",
        path=path,
        kind=Kind.DAMAGED,
    )
