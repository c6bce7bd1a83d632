"""The checkpoint of a painting, `state.npz`. A run resumed from it continues as if never interrupted."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from nstyle.errors import Kind, RecipeError
from nstyle.optim.descent import DescentState
from nstyle.storage.archive import READING_ERRORS, read_archive, write_archive
from nstyle.storage.recipe import Recipe, parse_recipe

_MEMORY = "memory_"


@dataclass(frozen=True)
class Checkpoint:
    """State of a painting between two epochs.

    Attributes:
        descent: state of the descent at the current scale.
        scale: the current scale; 1 is the coarsest.
        epochs_before: total epochs of all coarser scales.

    """

    descent: DescentState
    scale: int = 1
    epochs_before: int = 0

    @property
    def epoch(self) -> int:
        """Number of epochs done, over all scales."""
        return self.epochs_before + self.descent.epoch


def write_checkpoint(path: Path, checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Save a checkpoint with the recipe of its run. The write is atomic.

    Raises:
        OutputError: the file cannot be written.

    """
    state = checkpoint.descent
    about = {
        "scale": checkpoint.scale,
        "epochs_before": checkpoint.epochs_before,
        "epoch": state.epoch,
        "rate_factor": state.rate_factor,
        "relative_change": state.relative_change,
        "largest_change": state.largest_change,
        "recipe": recipe.facts(),
    }
    memory = {_MEMORY + name: tensor for name, tensor in state.memory.items()}
    write_archive(path, about, {"image": state.image, **memory})


def read_checkpoint(path: Path, device: torch.device) -> tuple[Checkpoint, Recipe]:
    """Read a file that `write_checkpoint` wrote; see `read_archive`.

    The image is at most `supersampling` times as large as the recipe's `size`; the caller checks that it has the size
    of its scale.

    Raises:
        RecipeError: the file is damaged.

    """
    try:
        about, found = read_archive(path)
        recipe = parse_recipe(json.dumps(about["recipe"]), path)
        tensors = {name: tensor.to(device) for name, tensor in found.items()}
        image = tensors.pop("image")
        _check_shapes(image, tensors, recipe)
        descent = DescentState(
            image,
            int(about["epoch"]),
            {name.removeprefix(_MEMORY): tensor for name, tensor in tensors.items()},
            float(about["rate_factor"]),
            float(about["relative_change"]),
            float(about.get("largest_change", math.inf)),  # older files lack it: any small change ends the run
        )
        checkpoint = Checkpoint(descent, int(about.get("scale", 1)), int(about.get("epochs_before", 0)))
    except READING_ERRORS as error:
        raise damaged_checkpoint(path) from error
    return checkpoint, recipe


def damaged_checkpoint(path: Path) -> RecipeError:
    """Return the error for a checkpoint that cannot be used."""
    return RecipeError(
        f"{path} is damaged, so the run cannot resume; start again with --overwrite", path=path, kind=Kind.DAMAGED
    )


def _check_shapes(image: torch.Tensor, memory: dict[str, torch.Tensor], recipe: Recipe) -> None:
    """Check that `image` is an image and that `memory` can be an update rule's state for it.

    Each tensor is float32. The image is 1 x 3 x H x W, and memory tensors have its shape or are scalars.

    Raises:
        ValueError: a shape or dtype is wrong.

    """
    batch, channels, height, width = image.shape
    longest = max(recipe.size)
    if min(recipe.size) < 1:
        raise ValueError("the recipe's picture has no pixels")
    enlarged = round(longest * recipe.settings["supersampling"])
    # The shorter edges of picture and image are rounded down.
    most_wide, most_high = (((edge + 1) * enlarged - 1) // longest for edge in recipe.size)
    if (batch, channels) != (1, 3) or height > most_high or width > most_wide:
        raise ValueError(f"not an image of at most {most_wide}x{most_high} pixels")
    for tensor in (image, *memory.values()):
        if tensor.shape not in (image.shape, ()) or tensor.dtype != torch.float32:
            raise ValueError("a tensor has the wrong shape or dtype")
