"""What an earlier training left at the place of a new one: it is continued, replaced, or in the way."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstyle.errors import Kind, OutputError, RecipeError, WeightsError
from nstyle.files import delete_leftovers
from nstyle.painter.painter_file import PainterFile, is_painter, read_painter
from nstyle.painter.state import damaged_state, read_state
from nstyle.settings.options import flag
from nstyle.storage.earlier import EarlierRun
from nstyle.storage.layout import FINISHED
from nstyle.storage.recipe import Recipe, recipe_of
from nstyle.storage.run_folder import RunFolder
from nstyle.wording import counted

TRAINING = "training"
"""Name of the entry of a record, and of a painter's recipe, with the facts of the training."""

_IN_WORDS = {
    "start_from": "another painter in --start-from",
    "blocks": "another generator",
    "learns_by": "the optimizer of an earlier nstyle",
    "learns_from": "crops and style as an earlier nstyle used them",
}
"""What to say of the facts whose values tell a user nothing."""


@dataclass(frozen=True)
class Earlier:
    """What is there of an earlier training.

    Attributes:
        pictures: names of the pictures in its folder.
        is_same: whether it is the same training as the new one, which continues it.
        finished: the number of steps if it is the same, is complete, and its painter is there; else None.
        to_beat: the number of steps of its painter if the new one replaces that on request; else 0.

    """

    pictures: frozenset[str] = frozenset()
    is_same: bool = False
    finished: int | None = None
    to_beat: int = 0


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
        OutputError: there is another training or painter, or one whose state is gone, and `overwrite` is false; or a
            file that is not nstyle's.

    """
    delete_leftovers(output.parent, output.name)
    folder.check(recipe, continues=False)
    run, painter = folder.earlier_run(), _painter_at(output, overwrite=overwrite)
    if run is None and painter is None:
        return Earlier()
    if overwrite:
        return Earlier(frozenset() if run is None else run.pictures, to_beat=_steps_of(painter))
    if run is not None and painter is None and _has_learned_nothing(run, folder):
        return Earlier(run.pictures)
    found = [] if run is None else differences(run, recipe, facts)
    if not found and painter is not None:
        found = differences(_training_of(painter), recipe, facts)
    if run is None or found:
        path, what = (output, "painter") if painter is not None else (folder.path, "folder")
        what = f"is the {what} of a training with other settings: {', '.join(found[:3])}" if found else "exists"
        keeping = f" (with --start-from {output}, it keeps what was learned)" if found and painter is not None else ""
        raise OutputError(
            f"{path} {what}; choose another --output{keeping}, or add --overwrite",
            flag="--output",
            path=path,
            kind=Kind.IN_THE_WAY,
        )
    is_done = run.stop_reason in FINISHED and painter is not None and _steps_of(painter) == run.epochs
    if painter is not None and not is_done and not folder.checkpoint.exists():
        raise OutputError(
            f"{output} cannot be trained further without {folder.checkpoint}, which is gone; give it to --start-from "
            "with another --output, or begin again with --overwrite",
            flag="--output",
            path=output,
            kind=Kind.IN_THE_WAY,
        )
    return Earlier(run.pictures, is_same=True, finished=run.epochs if is_done else None)


def _has_learned_nothing(run: EarlierRun, folder: RunFolder) -> bool:
    """Tell whether an earlier run is a training that ended before it was first saved; a painting counts."""
    return isinstance(run.facts.get(TRAINING), dict) and run.epochs == 0 and not folder.checkpoint.exists()


def differences(run: EarlierRun, recipe: Recipe, facts: Mapping[str, Any]) -> list[str]:
    """List what makes an earlier training different from a new one, with both values if they tell a user anything.

    `facts` are those of the new one. Its "steps" are None if minutes are given; then the earlier one's count.
    """
    there = run.facts.get(TRAINING)
    if run.recipe is None or not isinstance(there, dict):
        return [run.reason or "a painting"]
    names = [name for name in facts if name != "steps" or facts["minutes"] is None]
    found = [_in_words(name, there, facts) for name in names if there.get(name) != facts[name]]
    content = flag("content_image")
    for each in run.recipe.differences(recipe, may_differ={"max_num_epochs"}):
        is_photo = each.startswith(content)
        found.append(flag("validation_photo") + each.removeprefix(content) if is_photo else each)
    return list(dict.fromkeys(found))


def _in_words(name: str, there: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Return what to say of a fact that differs between an earlier training and a new one."""
    if name in ("photos", "number_of_photos"):
        before, now = there.get("number_of_photos"), facts["number_of_photos"]
        if not isinstance(before, int):
            return "other --photos"
        return f"--photos with {counted(before, 'file')} (now {'others' if before == now else now})"
    return _IN_WORDS.get(name) or f"{flag(name)} {_said(there.get(name))} (now {_said(facts[name])})"


def _said(value: Any) -> str:
    """Return the value of a flag in words."""
    return "not given" if value is None else str(value)


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


def _painter_at(output: Path, *, overwrite: bool) -> PainterFile | None:
    """Return the painter in a file, or None if there is no file, or one of nstyle's that it cannot use any more.

    Raises:
        OutputError: something else is there; or such a file, and `overwrite` is false.

    """
    if not os.path.lexists(output):
        return None
    try:
        return read_painter(output)
    except WeightsError as error:
        what, remedy = "is no painter of nstyle's, so it is not replaced", ""
        if is_painter(output):
            if overwrite:
                return None
            what, remedy = "is a painter that this nstyle cannot use", ", or add --overwrite"
        raise OutputError(
            f"{output} {what}; choose another --output{remedy}",
            flag="--output",
            path=output,
            kind=Kind.IN_THE_WAY,
        ) from error


def _steps_of(painter: PainterFile | None) -> int:
    """Return the number of steps that a painter has learned for; 0: there is none, or its recipe does not say."""
    facts = None if painter is None else painter.recipe.get(TRAINING)
    done = facts.get("done") if isinstance(facts, dict) else None
    return done if isinstance(done, int) else 0


def _training_of(painter: PainterFile) -> EarlierRun:
    """Return the training that a painter's recipe describes."""
    facts = dict(painter.recipe)
    try:
        return EarlierRun(painter.path, facts, recipe_of(facts, painter.path))
    except RecipeError:
        return EarlierRun(painter.path, facts, None, "settings that this nstyle does not know")
