"""Paint one shot of a film into the film's folder: frames, and states from which it goes on."""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from nstyle.devices import choose_device, choose_precision
from nstyle.errors import NStyleError, RecipeError
from nstyle.files import make_folder
from nstyle.film.flow import Motion
from nstyle.film.folder import FilmFolder, FrameRow, read_earlier_film
from nstyle.film.lookup import FrameLookup
from nstyle.film.motion_sources import EstimatedMotion, MotionFolder
from nstyle.film.pass_files import PaintingsFolder
from nstyle.film.plan import FilmPlan
from nstyle.film.sequence import Coherence, Frame, MotionBetween, PaintedFrame, Shot, ShotState
from nstyle.film.shot_file import damaged, read_shot, write_shot
from nstyle.losses.objective import Evaluation
from nstyle.painter.one_pass import OnePass
from nstyle.painter.one_pass import Way as PainterWay
from nstyle.painter.run import painter_of
from nstyle.painting.painters import Pass, pass_in
from nstyle.painting.session import Session
from nstyle.painting.steps import Ending, Observer, PaintingStep
from nstyle.painting.ways import Way
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture
from nstyle.storage.layout import FINISHED, StopReason

_log = logging.getLogger(__name__)

STATE_RATE = 10e6
"""Bytes of states that a shot writes in a second, about. A state in Full HD has 174 MB, most of them L-BFGS's pairs:
one after each frame would be 174 GB for 1000 frames. At this rate, it is one in 17 seconds."""

FrameObserver = Callable[[int], Observer]
"""Function that makes an observer of the painting of a frame, for progress."""


@dataclass(frozen=True)
class ShotPlan:
    """A shot of a film to paint.

    Attributes:
        plan: the film.
        folder: where it is written.
        identity: a random token that the film's states have.
        number: the number of the shot, counted from 1.
        frames: the numbers of its frames, counted from 1.
        ways: how to paint each scale of a frame.
        memory: bytes that a frame needs, without the constant overhead.
        size: height and width of a frame as it is painted; `supersampling` shrinks it afterwards.
        painter_way: one of the painter's ways, in which it paints; None: each pass over the shot chooses one.

    """

    plan: FilmPlan
    folder: FilmFolder
    identity: str
    number: int
    frames: range
    ways: tuple[Way, ...]
    memory: int
    size: tuple[int, int]
    painter_way: PainterWay | None = None

    def _facts(self) -> dict[str, Any]:
        """Return what a state must have been made with, to go on from it."""
        facts = {"identity": self.identity, "first": self.frames.start}
        return facts | ({"stop": self.frames.stop} if self.plan.settings.passes > 1 else {})

    def rows(self) -> list[FrameRow]:
        """Return what is known of the frames that are done. Warns of a state that cannot be used.

        A state that is damaged, from another film, or without its frames does not count. It may be behind the shot's
        end if that was later before.
        """
        try:
            return self._read()[1]
        except RecipeError:
            path = self.folder.shot(self.number)
            _log.warning("%s is damaged, or does not fit this film: its shot is painted again", path)
            return []

    def is_done(self) -> bool:
        """Tell whether nothing is left to paint."""
        state, _ = self.begun()
        return state is not None and self.is_last(state)

    def begun(self) -> tuple[ShotState | None, list[FrameRow]]:
        """Return the state to go on from (None: the beginning), and what is known of the frames before."""
        try:
            return self._read()
        except RecipeError:
            return None, []

    def _read(self) -> tuple[ShotState | None, list[FrameRow]]:
        """Return the same as `begun`.

        Raises:
            RecipeError: the state is damaged, or painting this shot cannot have led to it.

        """
        path = self.folder.shot(self.number)
        if not path.is_file():
            return None, []
        state, facts = read_shot(path)
        try:
            rows = [FrameRow(**row) for row in facts.pop("rows")]
        except (TypeError, KeyError) as error:
            raise damaged(path) from error
        kept = [row for row in rows if row.frame in self.frames]
        if facts != self._facts() or not all(self.folder.frame(row.frame).is_file() for row in kept):
            return None, []
        if not self.is_last(state) and not self._is_ours(state):
            raise damaged(path)
        return state, kept

    def _is_ours(self, state: ShotState) -> bool:
        """Tell whether painting can have led to a state, after which frames are left."""
        begun = state.frame != (self.frames.start if state.step > 0 else self.frames.stop - 1)
        is_inside = self.frames.start - 1 <= state.frame <= self.frames.stop
        sizes = {tuple(image.shape[-2:]) for image in state.images}
        if state.shown is not None:
            sizes.add(state.shown.shape[:2])
        return is_inside and bool(state.images) == begun and sizes <= {self.size}

    def is_wanted(self) -> bool:
        """Tell whether the film's command still runs, as far as the record says, and no other film has begun."""
        now = read_earlier_film(self.folder.path)
        return now is not None and (now.identity, now.stop_reason) == (self.identity, StopReason.RUNNING)

    def is_last(self, state: ShotState) -> bool:
        """Tell whether nothing is left to paint after a state."""
        if state.pass_number < self.plan.settings.passes:
            return False
        return state.frame >= self.frames.stop if state.step > 0 else state.frame < self.frames.start

    def save(self, state: ShotState, rows: list[FrameRow]) -> int:
        """Write a state, and what is known of the frames before. Return the size of the file in bytes.

        After the last frame, the paintings of the passes go. The images of the state go, too, except in the film's
        last shot, to which a later end may add frames.
        """
        is_last = self.is_last(state)
        if is_last and (self.plan.settings.passes > 1 or self.frames.stop <= self.plan.frames):
            state = replace(state, images=(), shown=None, pairs={})
        write_shot(self.folder.shot(self.number), state, self._facts() | {"rows": [asdict(row) for row in rows]})
        if is_last and (paintings := self.paintings()) is not None:
            paintings.clear()
        return self.folder.shot(self.number).stat().st_size

    def paintings(self) -> PaintingsFolder | None:
        """Return the folder of the paintings of each pass, and create it; None: there is one pass."""
        if self.plan.settings.passes == 1:
            return None
        folder = self.folder.passes(self.number)
        make_folder(folder)
        return PaintingsFolder(folder, self.size)


def paint_shot(
    shot: ShotPlan,
    session: Session,
    observer: FrameObserver | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Generator[FrameRow, None, None]:
    """Paint what is left of a shot, frame by frame, and yield each frame after it is written.

    Whoever stops early must close this generator: it saves the state then. If the process is killed, the frames since
    the last saved state are painted again, see `STATE_RATE`.

    Args:
        shot: the shot.
        session: the cache.
        observer: makes a further observer for each frame.
        is_wanted: tells before each frame is written whether to go on.

    Raises:
        NStyleError: a frame cannot be read, painted or written. The message names the frame.

    """
    plan = shot.plan
    state, rows = shot.begun()
    if state is not None and shot.is_last(state):
        return
    lookup = FrameLookup(plan.source, plan.numbers, plan.kept_frames)
    device = choose_device(plan.config.device, plan.config.gpu)
    kept: dict[int, _Kept] = {}

    def observers(number: int) -> list[Observer]:
        kept.clear()
        kept[number] = _Kept(shot.folder, number)
        return [kept[number], *([] if observer is None else [observer(number)])]

    painting = Shot(
        config=plan.config,
        numbers=shot.frames,
        picture=lambda number: lookup(number - 1),
        motion=_motion_of(plan),
        device=device,
        dtype=choose_precision(plan.config.precision, device).dtype,
        coherence=coherence_of(plan),
        session=session,
        observers=observers,
        ways=shot.ways,
        paintings=shot.paintings(),
        painter=_pass_of(shot, session),
    )
    began = time.monotonic()
    with closing(_Saver(shot, rows, is_wanted)) as saver:
        for painted in _named(painting.paint(state), shot, state):
            if not is_wanted():
                return
            write_picture(shot.folder.frame(painted.number), painted.painted.picture, bit_depth=plan.config.bit_depth)
            row = kept[painted.number].row(shot.number, painted, time.monotonic() - began)
            saver.add(painted.state, row)
            began = time.monotonic()
            yield row


class _Saver:
    """Saves the states of a shot while it is painted, but not all: see `STATE_RATE`.

    The state after a pass is always saved, because the next pass replaces the paintings that the states before need.

    Args:
        shot: the shot.
        rows: what is known of the frames that are done.
        is_wanted: tells whether the shot's folder is still its own.

    """

    def __init__(self, shot: ShotPlan, rows: list[FrameRow], is_wanted: Callable[[], bool]) -> None:
        self._shot, self._rows, self._is_wanted = shot, rows, is_wanted
        self._unsaved: tuple[ShotState, int] | None = None  # and the number of rows up to it
        self._next = -math.inf  # in seconds of time.monotonic

    def add(self, state: ShotState, row: FrameRow) -> None:
        """Take the state after a frame, and what is known of the frame."""
        self._rows.append(row)
        self._unsaved = state, len(self._rows)
        if time.monotonic() >= self._next or state.frame not in self._shot.frames:
            self._save()

    def close(self) -> None:
        """Save the last state, unless the folder belongs to another film."""
        if self._unsaved is not None and self._is_wanted():
            self._save()

    def _save(self) -> None:
        if self._unsaved is not None:
            state, rows = self._unsaved
            self._next = self._shot.save(state, self._rows[:rows]) / STATE_RATE + time.monotonic()
            self._unsaved = None


def _pass_of(shot: ShotPlan, session: Session) -> OnePass | Pass | None:
    """Return how the painter paints all frames, in any shot and any process; None: there is no painter."""
    painter = painter_of(shot.plan.config, session)
    if painter is None or shot.painter_way is None:
        return painter
    return pass_in(painter, shot.painter_way, shot.size, shot.plan.config)


def coherence_of(plan: FilmPlan) -> Coherence:
    """Return how the frames of a film hold together."""
    settings = plan.settings
    return Coherence(
        temporal_weight=settings.weight(plan.config.balance),
        distances=settings.distances,
        epochs=settings.frame_epochs,
        passes=settings.passes,
    )


def _motion_of(plan: FilmPlan) -> MotionBetween:
    """Return the motion that the settings ask for."""
    if plan.settings.flow is None:
        return EstimatedMotion()
    files = MotionFolder(plan.settings.flow)

    def motion(earlier: Frame, later: Frame) -> Motion:
        return files.between(plan.number_in_source(earlier.number), plan.number_in_source(later.number))

    return motion


def check_flow(plan: FilmPlan, shots: Sequence[range]) -> None:
    """Check that `--flow` has files for all frames that are compared, before anything is painted.

    Raises:
        ImageError: a file is missing.

    """
    if plan.settings.flow is None:
        return
    files = MotionFolder(plan.settings.flow)
    for shot in shots:
        for later in shot:
            for distance in plan.settings.distances:
                if later - distance in shot:
                    files.check(plan.number_in_source(later - distance), plan.number_in_source(later))


def _named(frames: Iterator[PaintedFrame], shot: ShotPlan, state: ShotState | None) -> Iterator[PaintedFrame]:
    """Yield the frames; add the number of the frame to an error."""
    number = shot.frames.start if state is None else state.frame
    try:
        for painted in frames:
            yield painted
            number = painted.state.frame
    except NStyleError as error:
        error.args = (f"frame {number}: {error}",)
        raise


class _Kept:
    """Observer that keeps the last evaluation of a frame, and writes the picture that it was painted from.

    Args:
        folder: the film's folder.
        number: the number of the frame.

    """

    def __init__(self, folder: FilmFolder, number: int) -> None:
        self._folder, self._number = folder, number
        self._last: Evaluation | None = None

    def __call__(self, step: PaintingStep) -> None:
        """Keep the evaluation of a step."""
        self._last = step.evaluation

    def close(self, ending: Ending) -> None:
        """Write the source's frame in the size of the painting."""
        path = self._folder.source_frame(self._number)
        if ending.stop_reason in FINISHED:
            content = ending.finish.content
            write_picture(path, Picture(content.rgb, content.alpha))

    def row(self, shot: int, painted: PaintedFrame, seconds: float) -> FrameRow:
        """Return the line of the frame."""
        last = self._last
        return FrameRow(
            frame=painted.number,
            shot=shot,
            pass_=painted.pass_number,
            epochs=painted.painted.epochs,
            loss=None if last is None else float(last.loss),
            content_loss=None if last is None else float(last.content_loss),
            style_loss=None if last is None else float(sum(last.style_losses.values(), start=torch.zeros(()))),
            temporal_error=painted.temporal_error,
            seconds=round(seconds, 3),
        )
