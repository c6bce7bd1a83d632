"""The state of a training, in its folder: a training that continues from it ends with the same weights, bit for bit.

Reading it runs no code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstyle.errors import Kind, RecipeError
from nstyle.storage.archive import READING_ERRORS, read_archive, write_archive


def write_state(path: Path, done: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Save the state after `done` steps, with facts (JSON values) that tell which training it belongs to. Atomic.

    Raises:
        OutputError: the file cannot be written.

    """
    write_archive(path, {"done": done, "facts": dict(facts)}, tensors)


def read_state(path: Path, device: torch.device) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
    """Return what `write_state` wrote: the number of steps, the tensors on a device, and the facts.

    Raises:
        RecipeError: the file is missing or damaged.

    """
    try:
        about, tensors = read_archive(path)
        done, facts = int(about["done"]), dict(about["facts"])
    except READING_ERRORS as error:
        raise damaged_state(path) from error
    return done, {name: tensor.to(device) for name, tensor in tensors.items()}, facts


def damaged_state(path: Path) -> RecipeError:
    """Return the error for a state that cannot be used."""
    return RecipeError(
        f"{path} is damaged, so the training cannot continue; start again with --overwrite",
        path=path,
        kind=Kind.DAMAGED,
    )
