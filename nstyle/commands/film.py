"""`nstyle --film`: the flags of films, and the paintings that they ask for."""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstyle.commands.importing import importing_torch
from nstyle.commands.terminal import for_terminal, until_the_terminal_closes
from nstyle.errors import Kind, OptionError, OutputError
from nstyle.painting.selection import Names, select
from nstyle.settings.config import Config
from nstyle.settings.film import FILM_SETTINGS, FilmSettings
from nstyle.settings.options import flag
from nstyle.wording import counted

if TYPE_CHECKING:
    from nstyle.film.folder import FrameRow
    from nstyle.film.plan import FilmPlan
    from nstyle.film.run import ShotPainter
    from nstyle.painting.steps import Observer
    from nstyle.pictures.picture import Picture
    from nstyle.storage.recipe import Recipe

_log = logging.getLogger(__name__)

_WITHOUT_EFFECT = {
    "image_format": "its frames are PNG files",
    "save_epochs": "its frames have no snapshots",
    "remove_noise": "its frames have no snapshots",
    "keep_metadata": "its frames have no metadata",
    "keep_place": "its frames have no metadata",
    "no_recipe": "its frames have no recipe",
    "stop_after": "--frame-epochs and --max-num-epochs set the epochs of its frames",
}
"""Settings of pictures that do nothing for films, and why."""


def take_film(arguments: dict[str, Any], recipe: Path | None) -> FilmSettings | None:
    """Take the settings of a film out of the arguments; None: they ask for no film.

    The record of a film as a recipe stands for that film, with the settings that are not given, unless these name
    what else to paint.

    Raises:
        OptionError: flags of films are given, but no film; or a content picture is named besides the film.

    """
    own = {name: arguments.pop(name) for name in FILM_SETTINGS if name in arguments}
    if recipe is not None and ("film" in own or not {"content_image", "size"} & set(arguments)):
        from nstyle.film.folder import followed_settings

        own = followed_settings(own, recipe)
    if "film" not in own:
        for name in own:
            raise OptionError(
                f"{flag(name)} is about films; name one with --film", flag=flag(name), kind=Kind.CONFLICT
            )
        return None
    if "content_image" in arguments:
        raise OptionError(
            "--film and --content-image both name what to paint; leave one of them out",
            flag="--content-image",
            kind=Kind.CONFLICT,
        )
    return FilmSettings(**own)


def plan_of(
    settings: FilmSettings,
    arguments: Mapping[str, Any],
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    command: argparse.Namespace,
    record: "Recipe | None",
) -> "FilmPlan":
    """Open the film, and return what is painted of it.

    Args:
        settings: the settings of the film.
        arguments: the settings of its frames that are given.
        complete: function that adds the missing settings, for example from a recipe.
        command: the flags of the command.
        record: the recipe in the record that names the film; None: the user does.

    Raises:
        NStyleError: the film, a picture or a setting cannot be used.

    """
    if command.pair:
        raise OptionError("--pair is about pictures; leave it or --film out", flag="--pair", kind=Kind.CONFLICT)
    if command.fail_fast and not command.sweep:
        _log.warning("--fail-fast has no effect: a film ends at a frame that fails")
    for name, reason in _WITHOUT_EFFECT.items():
        if name in arguments and not command.sweep:
            _log.warning("%s has no effect on a film: %s", flag(name), reason)
    given = {**arguments, "content_image": settings.film, "image_format": "png"}
    if "style_image" in given:
        given["style_image"] = _one_style(given["style_image"])
    resume = given.pop("resume", False)  # a film always goes on; the recipe's own folder need not be looked for
    config = Config(**{**complete(given), **_folder_to_resume(given, command, resume=resume)})
    from nstyle.film.folder import source_digest
    from nstyle.film.plan import plan_film

    return plan_film(config, settings, None if record is None else source_digest(record))


def _folder_to_resume(given: Mapping[str, Any], command: argparse.Namespace, *, resume: bool) -> dict[str, Any]:
    """Return the settings with which `--resume` goes on: in the folder of the recipe, if none is named."""
    if not resume or command.recipe is None or "output_dir" in given:
        return {"resume": resume}
    return {"resume": resume, "output_dir": Path(command.recipe).parent}


def _one_style(names: Names) -> Path:
    """Return the only style picture that the names stand for."""
    first, *others = select("style_image", names).paths
    if others:
        raise OptionError(
            f"--film takes one style, but --style-image names {1 + len(others)} pictures; run the command for each, "
            "with its own --output-dir, or blend them with --blend-style",
            flag="--style-image",
            kind=Kind.CONFLICT,
        )
    return first


def frame_for_looks(plan: "FilmPlan") -> "tuple[Path, Picture]":
    """Return the first frame of a film, for a sweep on one frame before the film is painted, and the path for it."""
    path = plan.config.output_dir / f"{plan.name}_frame_{plan.numbers.start + 1}.png"
    return path, next(iter(plan.source.frames(plan.numbers[:1])))


def write_frame_for_looks(path: Path, frame: "Picture", bit_depth: int) -> None:
    """Write that frame, unless it is there already.

    Raises:
        OutputError: another file has its name, or it cannot be written.

    """
    from nstyle.files import make_folder, temporary_beside
    from nstyle.pictures.encode import write_picture

    make_folder(path.parent)
    if not path.exists():
        write_picture(path, frame, bit_depth=bit_depth)
        return
    again = temporary_beside(path).with_suffix(".png")
    try:
        write_picture(again, frame, bit_depth=bit_depth)
        is_same = path.is_file() and path.read_bytes() == again.read_bytes()
    finally:
        again.unlink(missing_ok=True)
    if not is_same:
        raise OutputError(
            f"{path} is not this film's frame, which needs its name; move it away, or choose another --output-dir",
            flag="--output-dir",
            path=path,
            kind=Kind.IN_THE_WAY,
        )


def paint_film(plan: "FilmPlan", followed: "Recipe | None", command: argparse.Namespace, *, has_bars: bool) -> int:
    """Paint a film, and show the progress. Return the exit code."""
    with importing_torch():
        from nstyle.commands.progress import ProgressBar
        from nstyle.film.run import FilmProgress, run_film
        from nstyle.painting.session import Session

    bar = _Bar(plan, has_bars=has_bars and not command.quiet)
    progress = FilmProgress(
        looked=bar.looked,
        begun=bar.begun,
        painted=bar.painted,
        observer=partial(_epochs, ProgressBar) if bar.is_shown else None,
    )
    try:
        result = run_film(
            plan,
            progress=progress,
            followed=followed,
            session=Session(owns_process=True),
            painter=None if command.cluster is None else _on_cluster(command.cluster),
        )
    finally:
        bar.close()
    earlier = len(result.frames) - result.painted
    before = f", {earlier} of them by an earlier run" if earlier > 0 else ""
    where = result.path or result.frames[0].parent
    _log.info("done, %s%s: %s", counted(len(result.frames), "frame"), before, where)
    return 0


def _epochs(maker: Callable[..., "Observer"], number: int) -> "Observer":
    """Return a bar over the epochs of a frame, below that over the frames."""
    return maker(0, 0, below=True)


def _on_cluster(address: str) -> "ShotPainter":
    from nstyle.batch.film_cluster import paint_shots_on_cluster

    return partial(paint_shots_on_cluster, address=address)


def estimate_film(plan: "FilmPlan", show: Callable[[str], object], *, has_bars: bool) -> int:
    """Show what a film takes, and paint nothing. Return the exit code."""
    with importing_torch():
        from nstyle.commands.estimate import duration, megabytes
        from nstyle.film.estimate import estimate_of
        from nstyle.painting.session import Session

    bar = _Bar(plan, has_bars=has_bars)
    try:
        found = estimate_of(plan, Session(owns_process=True), bar.looked)
    finally:
        bar.close()
    words = [
        "{} of {}x{} pixels in {}".format(counted(plan.frames, "frame"), *found.size, counted(found.shots, "shot")),
        found.way,
        f"{megabytes(found.memory)} of memory",
        f"about {duration(found.first)} for the first frame of a shot, {duration(found.further)} for each other one",
        f"about {duration(found.seconds)}",
    ]
    show(for_terminal(f"{plan.source.path.name}: {', '.join(words)}") + "\n")
    return 0


class _Bar:
    """Progress over the frames: as a bar with the time that is left, or as log lines.

    Args:
        plan: the film.
        has_bars: whether to show bars.

    """

    def __init__(self, plan: "FilmPlan", *, has_bars: bool) -> None:
        self.is_shown = has_bars
        self._plan = plan
        self._bar: Any = None

    def _open(self, total: int, done: int, what: str, unit: str) -> None:
        from tqdm import tqdm

        self.close()
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=what,
            unit=unit,
            file=sys.stdout,
            dynamic_ncols=True,
            smoothing=0.1,
            disable=not self.is_shown,
        )

    def looked(self, frames: int) -> None:
        """Advance by a frame that was searched for cuts, of so many."""
        if self._bar is None:
            self._open(frames, 0, "looking for cuts", " frames")
        with until_the_terminal_closes():
            self._bar.update()

    def begun(self, frames: int, done: int) -> None:
        """Begin to count painted frames."""
        if done:
            _log.info("going on after %d of %d frames", done, frames)
        self._open(frames, done, "painting", " frames")

    def painted(self, row: "FrameRow") -> None:
        """Advance by a painted frame."""
        with until_the_terminal_closes():
            self._bar.update()
        error = "" if row.temporal_error is None else f", temporal error {row.temporal_error:.3g}"
        _log.log(
            logging.DEBUG if self.is_shown else logging.INFO,
            "frame %d of %d (shot %d%s): %s in %.1f s%s",
            row.frame,
            self._plan.frames,
            row.shot,
            f", pass {row.pass_}" if self._plan.settings.passes > 1 else "",
            counted(row.epochs, "epoch"),
            row.seconds,
            error,
        )

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            with until_the_terminal_closes():
                self._bar.close()
            self._bar = None
