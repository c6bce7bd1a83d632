"""What an earlier training left at the place of a new one: it is continued, replaced, or in the way."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstyle.errors import Kind, OutputError, WeightsError
from nstyle.files import delete_leftovers
from nstyle.painter.painter_file import read_painter
from nstyle.painter.state import damaged_state, read_state
from nstyle.settings.options import flag
from nstyle.storage.earlier import EarlierRun
from nstyle.storage.layout import FINISHED
from nstyle.storage.recipe import Recipe
from nstyle.storage.run_folder import RunFolder

TRAINING = "training"
"""Name of the entry of a record, and of a painter's recipe, with the facts of the training."""


@dataclass(frozen=True)
class Earlier:
    """What is there of an earlier training.

    Attributes:
        pictures: names of the pictures in its folder.
        is_same: whether it is the same training as the new one, which continues it.
        finished: the number of steps if it is the same, is complete, and its painter is there; else None.

    """

    pictures: frozenset[str] = frozenset()
    is_same: bool = False
    finished: int | None = None


def find_earlier(
    output: Path, folder: RunFolder, recipe: Recipe, facts: Mapping[str, Any], *, overwrite: bool
) -> Earlier:
    """Return what an earlier training left, if the new one may continue or replace it.

    Also deletes what a killed training left half-written beside the painter.

    Args:
        output: the painter's file.
        folder: the folder of the training, which is locked.
        recipe: the recipe of a painting with the objective of the new training.
        facts: what else shapes its painter; see `differences`.
        overwrite: whether it may replace another training or painter, and begins again.

    Raises:
        OutputError: there is another training or painter, and `overwrite` is false; or a file that is not nstyle's.

    """
    delete_leftovers(output.parent, output.name)
    folder.check(recipe, continues=False)
    run = folder.earlier_run()
    found = [] if run is None else differences(run, recipe, facts)
    if output.exists() and (not output.is_file() or not _is_painter(output)):
        raise OutputError(
            f"{output} is no painter of nstyle's, so it is not replaced; choose another --output",
            flag="--output",
            path=output,
            kind=Kind.IN_THE_WAY,
        )
    if run is None and not output.exists():
        return Earlier()
    if run is not None and not found and not overwrite:
        is_done = run.stop_reason in FINISHED and output.exists()
        return Earlier(run.pictures, is_same=True, finished=run.epochs if is_done else None)
    if not overwrite:
        what = f"is the painter of a training with other settings: {', '.join(found[:3])}" if found else "exists"
        raise OutputError(
            f"{output} {what}; choose another --output, or add --overwrite",
            flag="--output",
            path=output,
            kind=Kind.IN_THE_WAY,
        )
    return Earlier(frozenset() if run is None else run.pictures)


def differences(run: EarlierRun, recipe: Recipe, facts: Mapping[str, Any]) -> list[str]:
    """List what makes an earlier training different from a new one, each with both values.

    `facts` are those of the new one. Its "steps" are None if minutes are given; then the earlier one's count.
    """
    there = run.facts.get(TRAINING)
    if run.recipe is None or not isinstance(there, dict):
        return [run.reason or "a painting"]
    names = [name for name in facts if name != "steps" or facts["minutes"] is None]
    found = [
        f"{flag(name)} {there.get(name)} (now {facts[name]})" for name in names if there.get(name) != facts[name]
    ]
    return found + run.recipe.differences(recipe, may_differ={"max_num_epochs"})


def read_earlier_state(
    folder: RunFolder, facts: Mapping[str, Any], device: torch.device
) -> tuple[int, dict[str, Tensor], int] | None:
    """Return the steps that an earlier, equal training has done, its state, and the number of all its steps.

    None: it has no state, because it ended before it was first saved.

    Raises:
        RecipeError: the state is damaged, or that of another training.

    """
    path = folder.checkpoint
    if not path.exists():
        return None
    done, state, there = read_state(path, device)
    steps = there.get("steps")
    if {**there, "steps": None} != {**facts, "steps": None} or type(steps) is not int or not 0 <= done <= steps:
        raise damaged_state(path)
    return done, state, steps


def _is_painter(path: Path) -> bool:
    with suppress(WeightsError):
        read_painter(path)
        return True
    return False
