"""Estimate what a film will take, without painting it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from nstyle.devices import choose_device
from nstyle.film.motion_sources import EstimatedMotion
from nstyle.film.plan import FilmPlan
from nstyle.film.sequence import Frame
from nstyle.painter.run import painter_of
from nstyle.painting.estimate import estimate_run
from nstyle.painting.session import Session
from nstyle.pictures.picture import resize_picture


@dataclass(frozen=True)
class FilmEstimate:
    """What a film will take.

    Attributes:
        size: width and height of a frame in pixels.
        memory: bytes of memory of the whole process; see `painting.estimate.Estimate`.
        way: whether the frames are painted "whole" or in tiles.
        shots: the number of shots.
        first: about how many seconds the first frame of a shot takes.
        further: about how many seconds each other frame takes, the search for motion included.
        seconds: about how many seconds the whole film takes.

    """

    size: tuple[int, int]
    memory: int
    way: str
    shots: int
    first: float
    further: float
    seconds: float


def estimate_of(
    plan: FilmPlan, session: Session | None = None, looked: Callable[[int], object] = lambda frames: None
) -> FilmEstimate:
    """Estimate what `film.run.run_film` would take from the beginning.

    Args:
        plan: the film.
        session: the cache; None: a new one.
        looked: see `film.run.FilmProgress`.

    Raises:
        NStyleError: as `run_film`, as far as it shows without painting.

    """
    session = Session() if session is None else session
    shots = len(plan.shots(lambda number: looked(plan.numbers.stop - plan.numbers.start)))
    frames = list(plan.source.frames(plan.numbers[:2]))
    in_memory, painter = {"content_image": frames[0]}, painter_of(plan.config)
    besides = plan.memory(choose_device(plan.config.device, plan.config.gpu))
    single = estimate_run(plan.config, session, in_memory, painter, besides)
    if plan.config.in_one_pass:  # each frame alone
        whole = single.seconds * plan.frames
        return FilmEstimate(single.size, single.memory, single.way, shots, single.seconds, single.seconds, whole)
    later = replace(
        plan.config, scales=1, coarsest_edge=None, preview_edge=None, max_num_epochs=plan.settings.frame_epochs
    )
    further = estimate_run(later, session, in_memory, besides=besides).seconds
    if len(frames) > 1 and plan.settings.flow is None:
        width, height = (round(edge * plan.config.enlargement) for edge in single.size)
        one, two = (Frame(n, resize_picture(frame, height, width)) for n, frame in enumerate(frames))
        began = time.perf_counter()
        EstimatedMotion()(one, two)
        further += (time.perf_counter() - began) * len(plan.settings.distances)
    further *= plan.settings.passes
    seconds = shots * single.seconds + (plan.frames - shots) * further
    return FilmEstimate(single.size, single.memory, single.way, shots, single.seconds, further, seconds)
