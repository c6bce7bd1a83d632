"""Paint several pictures in one process: skip finished ones, and continue after a failure."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nstyle.batch.jobs import Job, plan
from nstyle.devices import choose_device, choose_precision
from nstyle.errors import Kind, NStyleError, OutputError, RecipeError
from nstyle.files import known_sha256, link_or_copy
from nstyle.networks.weights import hash_of_weights
from nstyle.painter.run import run
from nstyle.painting.inputs import hash_inputs, inputs_of, other_notes
from nstyle.painting.one_pass import unused_weights
from nstyle.painting.prepare import model_options
from nstyle.painting.selection import Names
from nstyle.painting.session import Session
from nstyle.painting.steps import PaintingStep, ProgressMaker
from nstyle.storage.earlier import read_earlier_run
from nstyle.storage.layout import final_name
from nstyle.storage.lock import is_held
from nstyle.storage.recipe import Recipe, read_recipe
from nstyle.storage.record import make_recipe
from nstyle.storage.run_folder import RunFolder
from nstyle.storage.sources import settings_to_follow
from nstyle.wording import counted

_log = logging.getLogger(__name__)

WAIT = 2.0
"""Seconds between two looks whether another process is done with a picture."""

JobCallback: TypeAlias = Callable[[PaintingStep, Job], object]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        job: the job.
        path: the file of the finished picture; None: the job failed.
        reason: why it failed, in one line; None: it did not.
        skipped: whether the picture was finished by an earlier run.
        busy: whether it failed because another run owns the job's folder.

    """

    job: Job
    path: Path | None = None
    reason: str | None = None
    skipped: bool = False
    busy: bool = False


def stylize_many(
    content_images: Names,
    style_images: Names,
    pair: bool = False,
    callback: JobCallback | None = None,
    *,
    watch: Callable[[Outcome], object] | None = None,
    fail_fast: bool = False,
    recipe: str | Path | None = None,
    **options: Any,
) -> list[Outcome]:
    """Paint every content in every style, as the command does: load the network once, and skip finished pictures.

    Args:
        content_images: one or several files, folders or globs of pictures to paint; see `selection.expand`.
        style_images: one or several files, folders or globs of style pictures.
        pair: paint the first content in the first style, the second in the second, and so on.
        callback: called with the `PaintingStep` and its `Job` after each epoch.
        watch: called with the `Outcome` after each picture.
        fail_fast: stop after the first failure.
        recipe: a picture or run.json that supplies the settings; see `stylize`.
        options: the command's flags with underscores; see `Config`.

    Returns:
        The outcome of each pair: the file of the picture, or the reason for the failure.

    Raises:
        NStyleError: a setting is invalid, or a folder has no pictures; raised before painting begins.
        TypeError: an option does not exist.
        KeyboardInterrupt: after the current picture is written.

    """
    followed = None
    if recipe is not None:
        followed = read_recipe(Path(recipe))
        named = {"content_image": content_images, "style_image": style_images}
        options = settings_to_follow(followed, Path(recipe), {**named, **options})
    jobs = plan(content_images, style_images, options, pair=pair)
    outcomes = []
    for outcome in paint_all(jobs, callback=callback, followed=followed, fail_fast=fail_fast):
        outcomes.append(outcome)
        if watch is not None:
            watch(outcome)
    return outcomes


def paint_all(
    jobs: Sequence[Job],
    *,
    callback: JobCallback | None = None,
    progress: Callable[[Job], ProgressMaker] | None = None,
    followed: Recipe | None = None,
    fail_fast: bool = False,
    session: Session | None = None,
) -> Iterator[Outcome]:
    """Paint the jobs in order, and yield the outcome of each.

    Jobs that another process is painting come last: as soon as it is done with them, they are skipped if it finished
    them, else painted.

    Args:
        jobs: the paintings.
        callback: called with each step and its job.
        progress: returns, for a job, the `progress` argument of `stylize.run`.
        followed: the recipe that supplied the settings; see `stylize.run`.
        fail_fast: stop after the first failure.
        session: the cache that the paintings share; None: a new one.

    Raises:
        KeyboardInterrupt: with a note that says how many pictures are done.

    """
    session, done = session or Session(), 0
    left, waiting = list(enumerate(jobs, start=1)), False
    try:
        while left:
            busy = []
            for number, job in left:
                if waiting and is_held(job.config.output_dir):
                    busy.append((number, job))
                    continue
                _log.info("%d of %d: %s", number, len(jobs), job.title)
                outcome = paint(job, session, callback=callback, progress=progress, followed=followed)
                if outcome.busy:
                    _log.info("later: %s", outcome.reason)
                    busy.append((number, job))
                    continue
                done += outcome.path is not None
                yield outcome
                if outcome.reason is not None and fail_fast:
                    return
            left, waiting = busy, True
            if left:
                time.sleep(WAIT)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"{done} of {len(jobs)} pictures are done")
        raise


def paint(
    job: Job,
    session: Session,
    *,
    callback: JobCallback | None = None,
    progress: Callable[[Job], ProgressMaker] | None = None,
    followed: Recipe | None = None,
) -> Outcome:
    """Paint one job, unless it is finished; an `NStyleError` becomes the reason. See `paint_all` for arguments."""
    watch = None if callback is None else lambda step: callback(step, job)
    try:
        picture = finished_picture(job, session)
        if picture is None or not _is_file(job.copy, picture):
            _check_copy(job)
        if picture is not None:
            _log.info("skipped, already finished: %s", picture)
            outcome = Outcome(job, picture, skipped=True)
        else:
            result = run(job.config, watch, progress and progress(job), followed, session)
            _log.info("done after %s (%s): %s", counted(result.epochs, "epoch"), result.stop_reason, result.path)
            outcome = Outcome(job, result.path)
        if job.copy is not None and outcome.path is not None and not _is_file(job.copy, outcome.path):
            link_or_copy(outcome.path, job.copy)
    except NStyleError as error:
        if error.kind != Kind.BUSY:
            _log.info("not painted: %s", error)
        # Not the error: its traceback would keep pictures in memory.
        return Outcome(job, reason=str(error), busy=error.kind == Kind.BUSY)
    return outcome


def _is_file(copy: Path | None, path: Path) -> bool:
    try:
        return copy is not None and (
            copy.samefile(path) or (copy.is_file() and copy.read_bytes() == path.read_bytes())
        )
    except OSError:
        return False


def finished_picture(job: Job, session: Session) -> Path | None:
    """Return the picture if a run with the same recipe has finished in one of the job's folders; else None.

    With `overwrite`, no picture counts as finished: it is painted anew. A warning tells if the picture has another
    recipe or metadata in it than the settings ask for. This decodes no picture and does not load VGG-19.
    """
    config = job.config
    if config.overwrite:
        return None
    for path in (config.output_dir, *job.earlier):
        folder = RunFolder(path, config.image_format, inputs_of(config).paths)
        finished = folder.finished_run()
        if finished is None:
            continue
        try:
            now = _recipe_now(job, finished, session)
            other = other_notes(config, folder.final)
        except (OSError, NStyleError):  # the run will report the error
            return None
        if not finished.differences(now):
            if other is not None:
                _log.warning("%s is finished, but %s; --overwrite paints it anew, as asked", folder.final, other)
            return folder.final
    return None


def _recipe_now(job: Job, finished: Recipe, session: Session) -> Recipe:
    """Return the recipe that the job would have now; `finished` gives the size, which depends only on the recipe."""
    config = job.config
    device = choose_device(config.device, config.gpu)
    precision = choose_precision(config.precision, device)
    weights: Mapping[str, Any]
    if config.in_one_pass:
        weights = unused_weights(config)
    elif config.model == "vgg19":
        weights = {"path": "", "sha256": hash_of_weights(config.weights), "original": True}
    else:
        weights = session.load(config.model, model_options(config, device, precision.dtype)).model.provenance
    return make_recipe(config, hash_inputs(inputs_of(config)), weights, finished.size, device, precision)


def _check_copy(job: Job) -> None:
    """Make sure that the copy replaces nothing but an earlier copy, with or without `--overwrite`.

    Raises:
        OutputError: another file, an input picture, a folder or a device is in the way.

    """
    copy, config = job.copy, job.config
    if copy is None or not os.path.exists(copy):
        return
    if _is_file(copy, config.output_dir / final_name(config.image_format)):
        return  # the run checks whether it may replace both
    if copy.is_dir():
        raise _in_the_way(copy, "is a folder, but the picture needs this name; choose another --output-dir")
    if any(copy.resolve() == path.resolve() for path in inputs_of(config).paths):
        raise _in_the_way(copy, "is an input picture that the run would overwrite; choose another --output-dir")
    if not copy.is_file():  # opening a pipe would wait
        raise _in_the_way(copy, "is not a file, but the picture needs this name; choose another --output-dir")
    earlier = read_earlier_run(config.output_dir)
    if earlier is not None and earlier.former and known_sha256(copy) in earlier.former:
        return
    try:
        painted_from = {one["sha256"] for one in read_recipe(copy).inputs.values()}
        is_ours = painted_from == {one["sha256"] for one in hash_inputs(inputs_of(config)).values()}
    except RecipeError:
        is_ours = False
    except OSError:  # an input is missing: the run will report it
        return
    if not is_ours:
        raise _in_the_way(copy, "is not a painting of this pair; move it away, or choose another --output-dir")


def _in_the_way(copy: Path, what: str) -> OutputError:
    """Return the error that a copy would overwrite something else; `what` says why and what to do."""
    return OutputError(f"{copy} {what}", flag="--output-dir", path=copy, kind=Kind.IN_THE_WAY)
