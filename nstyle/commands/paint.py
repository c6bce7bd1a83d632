"""The command `nstyle`: runs the painting that the flags ask for, prints log lines, returns exit codes."""

import argparse
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nstyle.batch.jobs import Job, plan
from nstyle.batch.sweep import Sweep, plan_sweep, swept_setting
from nstyle.commands.completion import completion_script
from nstyle.commands.film import (
    estimate_film,
    frame_for_looks,
    paint_film,
    plan_of,
    take_film,
    write_frame_for_looks,
)
from nstyle.commands.flags import COMMAND_FLAGS, build_parser, take_names
from nstyle.commands.importing import importing_torch
from nstyle.commands.log_lines import printed_log
from nstyle.commands.terminal import (
    complain,
    complain_of_current_folder,
    complain_of_interrupt,
    quiet_libraries,
    signals_as_interrupts,
)
from nstyle.errors import Kind, NStyleError, OptionError, OutputError
from nstyle.painting.selection import Names
from nstyle.settings.config import Config
from nstyle.settings.effects import without_effect
from nstyle.settings.options import check_not_url, flag
from nstyle.settings.painters import check_style_of_painter
from nstyle.wording import counted

if TYPE_CHECKING:
    from nstyle.batch.local import Outcome
    from nstyle.film.plan import FilmPlan
    from nstyle.painting.steps import Observer
    from nstyle.pictures.picture import Picture
    from nstyle.storage.recipe import Recipe

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's own). Return its exit code."""
    parser = build_parser()
    arguments = vars(parser.parse(argv))
    command = argparse.Namespace(**{name: arguments.pop(name) for name in COMMAND_FLAGS})
    with quiet_libraries(), printed_log(quiet=command.quiet, verbose=command.verbose), signals_as_interrupts():
        try:
            if command.print_completion is not None:
                _print(completion_script(build_parser(), command.print_completion))
                return 0
            for line in parser.replaced:
                _log.warning("%s", line)
            take_names(arguments)
            _check_estimate(command)
            followed, complete = _recipe(command)
            named = "film" in arguments
            film = take_film(arguments, None if command.recipe is None else Path(command.recipe))
            given = {*arguments, *(swept_setting(text) for text in command.sweep or ())}
            in_memory: Mapping[str, Picture] = {}
            if film is not None:
                plan_ = plan_of(film, arguments, complete, command, None if named else followed)
                if not command.sweep:
                    return _paint_film(plan_, given, followed, command)
                arguments["content_image"], frame = frame_for_looks(plan_)
                in_memory = {"content_image": frame}
                if not command.estimate:  # which writes nothing
                    write_frame_for_looks(arguments["content_image"], frame, plan_.source.bit_depth)
            sweep = _plan_sweep(command, arguments, complete) if command.sweep else None
            if sweep is None:
                arguments = complete(arguments)
                jobs = plan(*_pictures(arguments), arguments, pair=command.pair)
            else:
                jobs = sweep.jobs
            for sentence in without_effect(given, [job.config for job in jobs]):
                _log.warning("%s", sentence)
            if command.estimate:
                return _estimate(jobs, command, in_memory)
            if len(jobs) == 1 and jobs[0].copy is None and sweep is None and command.cluster is None:
                return _paint_one(jobs[0], followed, command)
            return _paint_many(jobs, followed, command, sweep)
        except FileNotFoundError as error:
            return complain_of_current_folder("nstyle", error)
        except OptionError as error:
            return complain("nstyle", str(error), 2)
        except NStyleError as error:
            return complain("nstyle", str(error), 1)
        except KeyboardInterrupt as interrupt:
            return complain_of_interrupt("nstyle", interrupt)


def _print(text: str) -> None:
    """Write a text to standard output.

    Raises:
        OutputError: it cannot be written.

    """
    try:
        print(text, end="", flush=True)  # noqa: T201  (the user asked for it)
    except OSError as error:
        raise OutputError(f"standard output cannot be written: {error.strerror}", kind=Kind.UNWRITABLE) from error


Completion: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]
"""A function that adds the settings of the recipe, if there is one, to those that are given. It checks that the
style of a painter is among them."""


def _recipe(command: argparse.Namespace) -> "tuple[Recipe | None, Completion]":
    """Return the recipe to follow, if there is one, and the function that adds its settings."""
    if command.recipe is None:
        return None, partial(_completed, dict)
    check_not_url("--recipe", command.recipe)
    from nstyle.storage.recipe import read_recipe
    from nstyle.storage.sources import settings_to_follow

    followed = read_recipe(Path(command.recipe))
    return followed, partial(_completed, partial(settings_to_follow, followed, Path(command.recipe)))


def _completed(follow: Callable[[Mapping[str, Any]], dict[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with those of the recipe. See `check_style_of_painter` for errors."""
    settings = follow(given)
    check_style_of_painter(settings)
    return settings


def _check_estimate(command: argparse.Namespace) -> None:
    """Check that an estimate is for this machine."""
    if command.estimate and command.cluster is not None:
        raise OptionError(
            "--estimate measures the time on this machine, and --cluster paints on others; leave one of them out",
            flag="--estimate",
            kind=Kind.CONFLICT,
        )


def _plan_sweep(command: argparse.Namespace, arguments: Mapping[str, Any], complete: Completion) -> Sweep:
    """Return the combinations of settings to paint."""
    if command.pair:
        raise OptionError(
            "--pair and --sweep exclude each other: a sweep paints a single pair; leave one out",
            flag="--pair",
            kind=Kind.CONFLICT,
        )
    return plan_sweep(*_pictures(complete(arguments)), arguments, command.sweep, complete)


def _pictures(arguments: Mapping[str, Any]) -> tuple[Names, Names]:
    """Return the names of the contents and of the styles: the given ones, or the sample pair.

    Raises:
        OptionError: a flag names several pictures and the other none. Then the sample is hardly what the user wants:
            `--style-image oil.jpg photo.jpg` was meant to name a content, too.

    """
    if arguments.get("painter") is not None:
        return (
            arguments.get("content_image", Config.content_image),
            arguments.get("style_image", Config.style_image),
        )
    for name, other, kind in (("style_image", "content_image", "content"), ("content_image", "style_image", "style")):
        named = arguments.get(name)
        if isinstance(named, list) and len(named) > 1 and other not in arguments and arguments.get("size") is None:
            raise OptionError(
                f"{flag(name)} names {len(named)} pictures, but there is no {kind} picture; "
                "write --content-image photo.jpg --style-image oil.jpg",
                flag=flag(name),
                kind=Kind.MISSING,
            )
    return arguments.get("content_image", Config.content_image), arguments.get("style_image", Config.style_image)


def _paint_film(
    plan_: "FilmPlan", given: Collection[str], followed: "Recipe | None", command: argparse.Namespace
) -> int:
    """Paint a film, or say what it takes."""
    config, frame_epochs = plan_.config, plan_.settings.frame_epochs
    later = config if config.in_one_pass else replace(config, max_num_epochs=frame_epochs)
    for sentence in without_effect(given, [config, later]):
        _log.warning("%s", sentence)
    if command.estimate:
        return estimate_film(plan_, _print, has_bars=_has_bars(command))
    return paint_film(plan_, followed, command, has_bars=_has_bars(command))


# The functions below import torch, which takes a second; they import it late, so that --help and errors do not wait.


def _estimate(jobs: Sequence[Job], command: argparse.Namespace, in_memory: "Mapping[str, Picture]") -> int:
    """Print what the paintings take, and paint none."""
    from nstyle.commands.estimate import estimate_all

    return estimate_all(jobs, _print, fail_fast=command.fail_fast, in_memory=in_memory)


def _paint_one(job: Job, followed: "Recipe | None", command: argparse.Namespace) -> int:
    """Paint a single picture, unless the folder holds it already."""
    with importing_torch():
        from nstyle.batch.local import finished_picture
        from nstyle.commands.progress import ProgressBar, ProgressLines
        from nstyle.painter.run import run
        from nstyle.painting.session import Session

    session = Session(owns_process=True)
    if (picture := finished_picture(job, session)) is not None:
        _log.info("already finished: %s; add --overwrite to paint it again", picture)
        return 0
    progress = None if command.quiet else ProgressBar if _has_bars(command) else ProgressLines
    result = run(job.config, progress=progress, followed=followed, session=session)
    _log.info("done after %s (%s): %s", counted(result.epochs, "epoch"), result.stop_reason, result.path)
    return 0


def _paint_many(
    jobs: Sequence[Job], followed: "Recipe | None", command: argparse.Namespace, sweep: Sweep | None
) -> int:
    """Paint several pictures, then report which could not be painted. After a sweep, write its contact sheet."""
    from tqdm import tqdm

    outcomes: list[Outcome] = []
    with tqdm(
        total=len(jobs),
        unit="picture",
        file=sys.stdout,
        dynamic_ncols=True,
        disable=command.quiet or not _has_bars(command),
    ) as bar:
        for outcome in _outcomes(jobs, followed, command):
            outcomes.append(outcome)
            bar.update()
    if sweep is not None and any(outcome.path for outcome in outcomes):
        from nstyle.batch.sweep_sheet import write_sweep_sheet

        write_sweep_sheet(sweep)
        _log.info("the contact sheet is %s", sweep.sheet)
    order = {job.config.output_dir: number for number, job in enumerate(jobs)}
    return _summarise(sorted(outcomes, key=lambda outcome: order[outcome.job.config.output_dir]), len(jobs))


def _outcomes(jobs: Sequence[Job], followed: "Recipe | None", command: argparse.Namespace) -> "Iterator[Outcome]":
    """Paint several pictures, here or on a cluster. Yield each outcome as it is known."""
    if command.cluster is not None:
        from nstyle.batch.cluster import paint_on_cluster

        return paint_on_cluster(jobs, command.cluster, followed=followed, fail_fast=command.fail_fast)
    with importing_torch():
        from nstyle.batch.local import paint_all
        from nstyle.commands.progress import ProgressBar, ProgressLines
        from nstyle.painting.session import Session

    def progress(job: Job) -> Callable[[int, int], "Observer"]:
        return partial(ProgressBar, below=True) if _has_bars(command) else partial(ProgressLines, name=job.name)

    return paint_all(
        jobs,
        progress=None if command.quiet else progress,
        followed=followed,
        fail_fast=command.fail_fast,
        session=Session(owns_process=True),
    )


def _summarise(outcomes: "Sequence[Outcome]", wanted: int) -> int:
    """Report how the jobs ended. Return the exit code."""
    failed = [outcome for outcome in outcomes if outcome.reason is not None]
    skipped = sum(outcome.skipped for outcome in outcomes)
    _log.info(
        "%d of %d pictures are done, %d of them by an earlier run", len(outcomes) - len(failed), wanted, skipped
    )
    if not failed:
        return 0
    for outcome in failed:
        complain("nstyle", f"{outcome.job.title}: {outcome.reason}", 1)
    left_out = f"; {wanted - len(outcomes)} not tried" if len(outcomes) < wanted else ""
    return complain("nstyle", f"{len(failed)} of {wanted} pictures could not be painted{left_out}", 1)


def _has_bars(command: argparse.Namespace) -> bool:
    """Tell whether to show progress as bars: if a terminal shows them and --verbose does not print epochs."""
    return sys.stdout is not None and sys.stdout.isatty() and not command.verbose
