"""The command `nstyle`: flags to settings, log lines, exit codes."""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import nstyle
from nstyle.batch.jobs import Job, Names, plan
from nstyle.batch.sweep import Sweep, plan_sweep
from nstyle.commands.terminal import (
    Parser,
    accept_any_name,
    complain,
    complain_of_interrupt,
    discard_output,
    quiet_libraries,
    signals_as_interrupts,
)
from nstyle.errors import Kind, NStyleError, OptionError
from nstyle.settings.config import Config
from nstyle.settings.groups import OUTPUT, PRESET
from nstyle.settings.options import flag, is_repeatable, option

if TYPE_CHECKING:
    from nstyle.batch.local import Outcome
    from nstyle.painting.steps import Observer
    from nstyle.storage.recipe import Recipe

_log = logging.getLogger(__name__)

EPILOG = """\
While it works, look into the output folder: there are snapshots (e_50.jpg, e_100.jpg ...) and the losses of each
epoch (epochs.csv), at the end the picture (final.jpg); run.json says how it was made. Ctrl-C ends a run early and
writes the picture so far as final.jpg; the same command with --resume goes on with it.

Several contents and styles: each pair is painted into output/<content>_<style>/, and its finished picture is
output/<content>_<style>.jpg, too. The same command again paints what is not finished yet.

exit codes: 0 done, 1 something is wrong with a file or the machine (one line says what), 2 wrong usage,
130 after Ctrl-C, 143 after SIGTERM
"""


_DEFAULTS = Config()


def build_parser() -> argparse.ArgumentParser:
    """Make the parser: a flag for each setting of `Config`, with its help and default, and a few of the command's."""
    parser = Parser(
        prog="nstyle",
        description=nstyle.__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    groups: dict[str, Any] = {PRESET: parser.add_argument_group(PRESET)}  # what people need first
    for field in dataclasses.fields(Config):
        group = option(field).group
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        _add_setting(groups[group], field)
    groups[OUTPUT].add_argument(
        "--recipe",
        metavar="PATH",
        help="a picture that nstyle wrote, or a run.json: every setting is as it was there, but for the flags given",
    )
    _add_flags_for_many(parser.add_argument_group("several pictures"))
    talk = parser.add_argument_group("talk")
    loudness = talk.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="say nothing but errors")
    loudness.add_argument("--verbose", action="store_true", help="log every epoch and every file written")
    talk.add_argument("--version", action="version", version=f"nstyle {nstyle.__version__}")
    return parser


def _add_setting(group: Any, field: "dataclasses.Field[Any]") -> None:
    """Add the flag of a setting; only flags that are given appear in the result."""
    declared = option(field)
    names = [flag(field.name)]
    if field.name == "output_dir":
        names.append("--output_dir")  # the reference's only flag with an underscore
    common: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS}
    if field.type is bool:
        group.add_argument(*names, action="store_true", help=declared.help, **common)
        return
    default = "" if (value := getattr(_DEFAULTS, field.name)) in (None, ()) else f" (default: {value})"
    if is_repeatable(field.type):
        common |= {"action": "append", "nargs": 2}
    if declared.several:
        common |= {"nargs": "+"}
    group.add_argument(
        *names,
        type=int if field.type in (int, int | None) else float if field.type is float else str,
        choices=declared.choices or None if field.type is str else None,
        metavar=declared.metavar,
        help=(declared.help + default).replace("%", "%%"),
        **common,
    )


def _add_flags_for_many(many: Any) -> None:
    """Add the flags of the command that are about several pictures."""
    many.add_argument(
        "--pair", action="store_true", help="paint the first content in the first style, the second in the second ..."
    )
    on_failure = many.add_mutually_exclusive_group()
    on_failure.add_argument(
        "--keep-going",
        action="store_false",
        default=False,
        dest="fail_fast",
        help="paint the others if a picture cannot be painted; what failed is listed at the end (default)",
    )
    on_failure.add_argument(
        "--fail-fast", action="store_true", help="leave out what comes after a picture that cannot be painted"
    )
    many.add_argument(
        "--sweep",
        action="append",
        metavar="NAME=V1,V2,...",
        help="paint the pair with each of these values of a setting, small, and with every combination of several "
        "sweeps; output/sweep.png shows all",
    )
    many.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="have the workers of the Dask scheduler at this address paint; they see the same files as this machine",
    )


_OF_THE_COMMAND = ("quiet", "verbose", "recipe", "pair", "fail_fast", "sweep", "cluster")
"""The flags that are no settings of a painting."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (None: the process's own) and return its exit code."""
    arguments = vars(build_parser().parse_args(argv))
    command = argparse.Namespace(**{name: arguments.pop(name) for name in _OF_THE_COMMAND})
    with quiet_libraries(), _logging(quiet=command.quiet, verbose=command.verbose), signals_as_interrupts():
        try:
            followed, complete = _recipe(command)
            sweep = _plan_sweep(command, arguments, complete) if command.sweep else None
            if sweep is None:
                arguments = complete(arguments)
                jobs = plan(*_pictures(arguments), arguments, pair=command.pair)
            else:
                jobs = sweep.jobs
            if len(jobs) == 1 and sweep is None and command.cluster is None:
                return _paint_one(jobs[0], followed, command)
            return _paint_many(jobs, followed, command, sweep)
        except OptionError as error:
            return complain("nstyle", str(error), 2)
        except NStyleError as error:
            return complain("nstyle", str(error), 1)
        except KeyboardInterrupt as interrupt:
            return complain_of_interrupt("nstyle", interrupt)


Completion: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Makes all settings of those that are given."""


def _recipe(command: argparse.Namespace) -> "tuple[Recipe | None, Completion]":
    """Return the recipe that is followed, if one is, and what completes settings by it."""
    if command.recipe is None:
        return None, dict
    from nstyle.storage.recipe import read_recipe, settings_to_repeat

    followed = read_recipe(Path(command.recipe))
    return followed, partial(settings_to_repeat, followed)


def _plan_sweep(command: argparse.Namespace, arguments: Mapping[str, Any], complete: Completion) -> Sweep:
    """Return the combinations that are to be painted."""
    if command.pair:
        raise OptionError(
            "--pair and --sweep contradict each other: a sweep is for a single pair",
            flag="--pair",
            kind=Kind.CONFLICT,
        )
    return plan_sweep(*_pictures(complete(arguments)), arguments, command.sweep, complete)


def _pictures(arguments: Mapping[str, Any]) -> tuple[Names, Names]:
    """Return what names the contents, and the styles."""
    return arguments.get("content_image", Config.content_image), arguments.get("style_image", Config.style_image)


# What follows imports late, since it brings in torch: bad flags and --help answer at once.


def _paint_one(job: Job, followed: "Recipe | None", command: argparse.Namespace) -> int:
    """Paint a single picture."""
    from nstyle.commands.progress import ProgressBar, ProgressLines
    from nstyle.painting.session import Session
    from nstyle.painting.stylize import run

    progress = None if command.quiet else ProgressBar if _has_bars(command) else ProgressLines
    result = run(job.config, progress=progress, followed=followed, session=Session(owns_process=True))
    _log.info("done after %d epochs (%s): %s", result.epochs, result.stop_reason, result.path)
    return 0


def _paint_many(
    jobs: Sequence[Job], followed: "Recipe | None", command: argparse.Namespace, sweep: Sweep | None
) -> int:
    """Paint several pictures, and say at the end which could not be painted; of a sweep, make the sheet."""
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
    return _summarise(sorted(outcomes, key=lambda outcome: jobs.index(outcome.job)), len(jobs))


def _outcomes(jobs: Sequence[Job], followed: "Recipe | None", command: argparse.Namespace) -> "Iterator[Outcome]":
    """Paint several pictures, here or on a cluster."""
    if command.cluster is not None:
        from nstyle.batch.cluster import paint_on_cluster

        return paint_on_cluster(jobs, command.cluster, followed=followed, fail_fast=command.fail_fast)
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
    """Say what has become of the jobs; return the exit code."""
    failed = [outcome for outcome in outcomes if outcome.reason is not None]
    skipped = sum(outcome.skipped for outcome in outcomes)
    _log.info("%d of %d pictures are done, %d of them before", len(outcomes) - len(failed), wanted, skipped)
    if not failed:
        return 0
    for outcome in failed:
        complain("nstyle", f"{outcome.job.title}: {outcome.reason}", 1)
    left_out = f"; {wanted - len(outcomes)} were left out" if len(outcomes) < wanted else ""
    return complain("nstyle", f"{len(failed)} of {wanted} pictures could not be painted{left_out}", 1)


def _has_bars(command: argparse.Namespace) -> bool:
    """Tell whether progress is shown as bars: a person looks at standard output, and wants no line an epoch."""
    return sys.stdout is not None and sys.stdout.isatty() and not command.verbose


class _LineHandler(logging.Handler):
    """Writes log lines to standard output, above the progress bar where there is one, as long as that can be."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        try:
            tqdm.write(self.format(record), file=sys.stdout)
            sys.stdout.flush()
        except OSError:
            discard_output()


class _Lines(logging.Formatter):
    """The message; a warning is called one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return ("warning: " if record.levelno >= logging.WARNING else "") + super().format(record)


@contextmanager
def _logging(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """Show nstyle's log on standard output for as long as the command runs."""
    accept_any_name()
    logger = logging.getLogger("nstyle")
    handler = _LineHandler()
    handler.setFormatter(_Lines())
    level = logger.level
    logger.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    if sys.stdout is not None:  # it is None if the shell has closed it
        logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
