"""The contact sheet of a sweep: each painting with its settings and losses."""

import math

from nstyle.batch.sweep import Sweep
from nstyle.errors import RecordError
from nstyle.settings.presets import content_factor
from nstyle.view.films import write_sheet
from nstyle.view.runs import Run, read_run


def write_sweep_sheet(sweep: Sweep) -> None:
    """Write the contact sheet; it leaves out paintings that are not finished.

    Raises:
        ImageError: no painting is finished.
        OutputError: the sheet cannot be written.

    """
    pictures = []
    for job, label in zip(sweep.jobs, sweep.labels, strict=True):
        try:
            run = read_run(job.config.output_dir)
        except RecordError:
            continue
        if run.snapshots and run.snapshots[-1].is_final:
            pictures.append((f"{label}\n{losses(run)}", run.snapshots[-1].path))
    whole = len(pictures) == len(sweep.jobs)
    write_sheet(sweep.sheet, pictures, columns=sweep.columns if whole else None)


def losses(run: Run) -> str:
    """Return the content and style loss of the last epoch, one line each, without their weights, to compare runs."""
    content = _last(run, ["content_loss"])
    style = _last(run, [name for name in run.curves if name.startswith("style_loss_")])
    strength = run.settings.get("strength")
    if isinstance(strength, int | float):
        content /= content_factor(strength)
    parts = (("content", content, "content_weight"), ("style", style, "style_weight"))
    return "\n".join(f"{word} loss {_unweighted(loss, run.settings.get(weight))}" for word, loss, weight in parts)


def _last(run: Run, columns: list[str]) -> float:
    values = [run.curves[name][-1] for name in columns if run.curves.get(name)]
    return sum(values) if values else math.nan


def _unweighted(loss: float, weight: object) -> str:
    if not isinstance(weight, int | float) or weight == 0 or math.isnan(loss):
        return "-"
    return f"{loss / weight:.3g}"
