"""Several paintings in one process: what is finished is left alone, what fails does not stop the others."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nstyle.batch.jobs import Job, Names, plan
from nstyle.devices import choose_device, choose_precision
from nstyle.errors import Kind, NStyleError, OutputError, RecipeError
from nstyle.files import link_or_copy
from nstyle.networks.weights import hash_of_weights
from nstyle.painting.inputs import hash_inputs, inputs_of
from nstyle.painting.prepare import model_options
from nstyle.painting.session import Session
from nstyle.painting.steps import PaintingStep, ProgressMaker
from nstyle.painting.stylize import run
from nstyle.storage.layout import final_name
from nstyle.storage.recipe import Recipe, read_recipe, settings_to_repeat
from nstyle.storage.record import make_recipe
from nstyle.storage.run_folder import RunFolder

_log = logging.getLogger(__name__)

JobCallback: TypeAlias = Callable[[PaintingStep, Job], object]


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: the job.
        path: the finished picture's file; None: there is none.
        reason: why not, in one line.
        skipped: whether it was there already.

    """

    job: Job
    path: Path | None = None
    reason: str | None = None
    skipped: bool = False


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
    """Paint every content in every style, as the command does: the network is loaded once, what is there is skipped.

    Args:
        content_images: files, folders and globs of pictures to paint, one or several; see `jobs.expand`.
        style_images: likewise of pictures to paint them like.
        pair: the first content in the first style, the second in the second, and so on.
        callback: called with each `PaintingStep` and its `Job`, once an epoch.
        watch: called with each `Outcome`, once a picture.
        fail_fast: leave out what comes after a picture that cannot be painted.
        recipe: see `stylize`.
        options: the command's flags with underscores; see `Config`.

    Returns:
        What became of each pair: the file of the picture, or the reason why there is none.

    Raises:
        NStyleError: the settings make no sense, or a folder has no pictures: before anything is painted.
        TypeError: there is no such option.
        KeyboardInterrupt: passed on, after the picture so far has been written.

    """
    followed = None
    if recipe is not None:
        followed = read_recipe(Path(recipe))
        options = settings_to_repeat(followed, options)
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
    """Paint one after the other, and yield what becomes of each.

    Args:
        jobs: what is to be painted.
        callback: called with each step and its job.
        progress: makes, for a job, what makes the observer that shows its progress; see `stylize.run`.
        followed: see `stylize.run`.
        fail_fast: stop after the first that cannot be painted.
        session: what the paintings share; None: a new one.

    Raises:
        KeyboardInterrupt: with a note that says how many are done.

    """
    session, done = session or Session(), 0
    for number, job in enumerate(jobs, start=1):
        _log.info("%d of %d: %s", number, len(jobs), job.title)
        try:
            outcome = paint(job, session, callback=callback, progress=progress, followed=followed)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(f"{done} of {len(jobs)} pictures are done")
            raise
        done += outcome.path is not None
        yield outcome
        if outcome.reason is not None and fail_fast:
            return


def paint(
    job: Job,
    session: Session,
    *,
    callback: JobCallback | None = None,
    progress: Callable[[Job], ProgressMaker] | None = None,
    followed: Recipe | None = None,
) -> Outcome:
    """Paint one job, unless it is finished; an `NStyleError` becomes its reason. For the arguments: `paint_all`."""
    watch = None if callback is None else lambda step: callback(step, job)
    try:
        if (picture := finished_picture(job, session)) is not None:
            _log.info("it is there already: %s", picture)
            outcome = Outcome(job, picture, skipped=True)
        else:
            _check_copy(job)
            result = run(job.config, watch, progress and progress(job), followed, session)
            _log.info("done after %d epochs (%s): %s", result.epochs, result.stop_reason, result.path)
            outcome = Outcome(job, result.path)
        if job.copy is not None and outcome.path is not None and not _is_file(job.copy, outcome.path):
            _check_copy(job)
            link_or_copy(outcome.path, job.copy)
    except NStyleError as error:
        _log.info("not painted: %s", error)
        with suppress(OSError):  # it is not there, or not empty
            job.config.output_dir.rmdir()
        return Outcome(job, reason=str(error))  # not the error itself: its traceback holds pictures
    return outcome


def _is_file(copy: Path, path: Path) -> bool:
    try:
        return copy.samefile(path) or copy.read_bytes() == path.read_bytes()
    except OSError:
        return False


def finished_picture(job: Job, session: Session) -> Path | None:
    """Return the picture that a run of the same recipe has finished in the job's folder; None if there is none.

    No picture is decoded for that, and VGG-19 is not loaded.
    """
    config = job.config
    folder = RunFolder(config.output_dir, config.image_format, inputs_of(config).paths)
    finished = folder.finished_run()
    if finished is None:
        return None
    try:
        now = _recipe_now(job, finished, session)
    except (OSError, NStyleError):  # the run will say what is wrong
        return None
    return None if finished.differences(now) else folder.final


def _recipe_now(job: Job, finished: Recipe, session: Session) -> Recipe:
    """Return the recipe of the job's run, were it to begin now; the size is what it was, if the pictures are."""
    config = job.config
    device = choose_device(config.device, config.gpu)
    precision = choose_precision(config.precision, device)
    if config.model == "vgg19":
        weights: Mapping[str, Any] = {"path": "", "sha256": hash_of_weights(config.weights), "original": True}
    else:
        weights = session.load(config.model, model_options(config, device, precision)).model.provenance
    return make_recipe(config, hash_inputs(inputs_of(config)), weights, finished.size, device, precision)


def _check_copy(job: Job) -> None:
    """Make sure that the copy is written over nothing but an earlier copy, unless that may be.

    Raises:
        OutputError: something else is there.

    """
    copy, config = job.copy, job.config
    if copy is None or not copy.exists():
        return
    if _is_file(copy, config.output_dir / final_name(config.image_format)):
        return  # then the run decides what may become of both
    if copy.is_dir():
        raise _in_the_way(copy, "is a folder, where the picture is to go; choose another --output-dir")
    if any(copy.resolve() == path.resolve() for path in inputs_of(config).paths):
        raise _in_the_way(copy, "would be painted over; choose another --output-dir")
    if config.overwrite:
        return
    try:
        painted_from = {one["sha256"] for one in read_recipe(copy).inputs.values()}
        is_ours = painted_from == {one["sha256"] for one in hash_inputs(inputs_of(config)).values()}
    except RecipeError:
        is_ours = False
    except OSError:  # an input is not there: the run says so
        return
    if not is_ours:
        raise _in_the_way(copy, "is not a picture of this pair; choose another --output-dir, or say --overwrite")


def _in_the_way(copy: Path, what: str) -> OutputError:
    """Return the error that says why a copy may not be written there."""
    return OutputError(f"{copy} {what}", flag="--output-dir", path=copy, kind=Kind.IN_THE_WAY)
