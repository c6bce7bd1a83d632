"""Paint one shot of a film into the film's folder: frames, and states from which it goes on."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from nstyle.devices import choose_device, choose_precision
from nstyle.errors import NStyleError, RecipeError
from nstyle.files import make_folder
from nstyle.film.flow import Motion
from nstyle.film.folder import FilmFolder, FrameRow
from nstyle.film.lookup import FrameLookup
from nstyle.film.motion_sources import EstimatedMotion, MotionFolder
from nstyle.film.pass_files import PaintingsFolder
from nstyle.film.plan import FilmPlan
from nstyle.film.sequence import Coherence, Frame, MotionBetween, PaintedFrame, Shot, ShotState
from nstyle.film.shot_file import read_shot, write_shot
from nstyle.losses.objective import Evaluation
from nstyle.painting.session import Session
from nstyle.painting.steps import Ending, Observer, PaintingStep
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture
from nstyle.storage.layout import FINISHED

FrameObserver = Callable[[int], Observer]
"""Function that makes an observer of the painting of a frame, for progress."""


@dataclass(frozen=True)
class ShotPlan:
    """A shot of a film to paint.

    Attributes:
        plan: the film.
        folder: where it is written.
        identity: the word by which states of this film are known.
        number: the number of the shot, counted from 1.
        frames: the numbers of its frames, counted from 1.

    """

    plan: FilmPlan
    folder: FilmFolder
    identity: str
    number: int
    frames: range

    def _facts(self) -> dict[str, Any]:
        """Return what a state must have been made with, to go on from it."""
        facts = {"identity": self.identity, "first": self.frames.start}
        return facts | ({"stop": self.frames.stop} if self.plan.settings.passes > 1 else {})

    def done(self) -> tuple[ShotState | None, list[FrameRow]]:
        """Return the state to go on from, and what is known of the frames that are done; None: none is.

        A state that is damaged, from another film, or without its frames does not count. It may be behind the shot's
        end if that was later before.
        """
        path = self.folder.shot(self.number)
        if not path.is_file():
            return None, []
        try:
            state, facts = read_shot(path)
            rows = [FrameRow(**row) for row in facts.pop("rows")]
        except (RecipeError, TypeError, KeyError):
            return None, []
        kept = [row for row in rows if row.frame in self.frames]
        if facts != self._facts() or not all(self.folder.frame(row.frame).is_file() for row in kept):
            return None, []
        return state, kept

    def is_done(self) -> bool:
        """Tell whether all its frames are painted."""
        state, _ = self.done()
        return state is not None and self._is_last(state)

    def _is_last(self, state: ShotState) -> bool:
        """Tell whether nothing is left to paint after a state."""
        if state.pass_number < self.plan.settings.passes:
            return False
        return state.frame >= self.frames.stop if state.step > 0 else state.frame < self.frames.start

    def save(self, state: ShotState, rows: list[FrameRow]) -> None:
        """Write a state, and what is known of the frames before; after the last, delete the paintings of passes."""
        write_shot(self.folder.shot(self.number), state, self._facts() | {"rows": [asdict(row) for row in rows]})
        if self._is_last(state) and (paintings := self.paintings()) is not None:
            paintings.clear()

    def paintings(self) -> PaintingsFolder | None:
        """Return the folder of the paintings of each pass, and create it; None: there is one pass."""
        if self.plan.settings.passes == 1:
            return None
        folder = self.folder.passes(self.number)
        make_folder(folder)
        return PaintingsFolder(folder)


def paint_shot(
    shot: ShotPlan, session: Session, observer: FrameObserver | None = None, motion: MotionBetween | None = None
) -> Iterator[FrameRow]:
    """Paint what is left of a shot, frame by frame, and yield each frame after it is written.

    Args:
        shot: the shot.
        session: the cache.
        observer: makes a further observer for each frame.
        motion: tells the motion between two frames; None: as the settings say.

    Raises:
        NStyleError: a frame cannot be read, painted or written. The message names the frame.

    """
    plan = shot.plan
    if shot.is_done():
        return
    state, rows = shot.done()
    lookup = FrameLookup(plan.source, plan.numbers)
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
        motion=_motion_of(plan) if motion is None else motion,
        device=device,
        dtype=choose_precision(plan.config.precision, device).dtype,
        coherence=coherence_of(plan),
        session=session,
        observers=observers,
        paintings=shot.paintings(),
    )
    began = time.monotonic()
    for painted in _named(painting.paint(state), shot, state):
        write_picture(shot.folder.frame(painted.number), painted.painted.picture, bit_depth=plan.config.bit_depth)
        row = kept[painted.number].row(shot.number, painted, time.monotonic() - began)
        rows.append(row)
        shot.save(painted.state, rows)
        began = time.monotonic()
        yield row


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
    """Return the motion that the settings ask for. Files are named by the numbers of the source's frames, from 1."""
    if plan.settings.flow is None:
        return EstimatedMotion()
    files = MotionFolder(plan.settings.flow)

    def motion(earlier: Frame, later: Frame) -> Motion:
        pair = (replace(frame, number=plan.numbers[frame.number - 1] + 1) for frame in (earlier, later))
        return files(*pair)

    return motion


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
