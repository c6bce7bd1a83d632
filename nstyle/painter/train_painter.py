"""Train a painter as Python and the command do, from options that are the flags with underscores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nstyle.painter.train import Progress, Trained, read_start, train
from nstyle.painter.training import TrainingStep
from nstyle.painter.training_plan import TrainingPlan, plan_training
from nstyle.painting.selection import Names
from nstyle.painting.session import Session


def train_painter(
    style_image: str | Path | None = None,
    photos: Names | None = None,
    callback: Callable[[TrainingStep], object] | None = None,
    **options: Any,
) -> Trained:
    """Train a painter, as `nstyle-train` does; continue the training that is there already.

    Args:
        style_image: file of the picture whose style to learn. Default: nstyle's sample.
        photos: the photos to learn from: pictures, folders or globs.
        callback: called with the `TrainingStep` after each step. If it raises, that is as after Ctrl-C.
        options: the command's flags with underscores, `output="models/oil.safetensors", steps=2000`; see `Training`.

    Raises:
        NStyleError: the message is one line that says what to do. The painter of the last saved step stays; if no
            photo can be read any more, it is saved as it is.
        TypeError: an option does not exist.
        KeyboardInterrupt: after the painter is saved as it is, unless an earlier one with more steps stays.

    """
    given = options if style_image is None else {**options, "style_image": style_image}
    return run_training(plan_training(photos, given), callback=callback)


def run_training(
    plan: TrainingPlan,
    *,
    callback: Callable[[TrainingStep], object] | None = None,
    progress: Callable[[int, int], Progress] | None = None,
    session: Session | None = None,
) -> Trained:
    """Train the painter of a plan. See `train_painter` for `callback` and errors, and `train` for the others."""
    training, kind = plan.training, None
    if training.start_from is not None:
        kind = str(read_start(training.start_from).generator.facts["generator"])
    return train(training, plan.painting(kind), plan.photos, progress, session, callback=callback)
