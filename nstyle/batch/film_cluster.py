"""Paint the shots of a film on a Dask cluster: each shot begins afresh, so workers need nothing from each other."""

import contextlib
import logging
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any

from nstyle.batch.cluster import connected, lost, one_at_a_time, worker_session
from nstyle.devices import choose_device, choose_precision
from nstyle.errors import ClusterError, Kind
from nstyle.film.folder import FilmFolder, FrameRow
from nstyle.film.plan import plan_film
from nstyle.film.shot_run import ShotPlan, paint_shot
from nstyle.painting.stylize import set_up, tuned
from nstyle.settings.config import Config
from nstyle.settings.film import FilmSettings
from nstyle.wording import counted

_log = logging.getLogger(__name__)


def paint_shots_on_cluster(shots: Sequence[ShotPlan], address: str) -> Generator[FrameRow, None, None]:
    """Paint shots on the workers of a Dask scheduler, and yield the frames of each shot as soon as it is done.

    The workers must see the same files under the same paths, and have the same version of nstyle. If a worker dies,
    another one goes on with its shot. The film is the same as without a cluster, bit for bit, on equal processors.

    Args:
        shots: the shots; what is done of them is not painted again.
        address: the scheduler's address, such as "tcp://host:8786".

    Raises:
        NStyleError: no scheduler answers, the connection is lost, or a shot cannot be painted.
        KeyboardInterrupt: the workers end after the frames that they have begun.

    """
    from distributed import CancelledError, KilledWorker, as_completed

    left = [shot for shot in shots if not shot.is_done()]
    if not left:
        return
    with connected(address) as client:
        workers = counted(len(client.nthreads()), "worker")
        _log.info("painting %s on %s of %s", counted(len(left), "shot"), workers, address)
        futures = {client.submit(_paint_there, *_short(shot), pure=False): shot for shot in left}
        try:
            for future in as_completed(list(futures)):
                try:
                    rows: list[FrameRow] = future.result()
                except KilledWorker as error:
                    shot = futures[future]
                    raise ClusterError(
                        f"{error.allowed_failures + 1} workers died painting shot {shot.number}; "
                        "run the same command again to paint the rest",
                        flag="--cluster",
                        kind=Kind.MISSING,
                    ) from error
                except CancelledError as error:
                    raise lost(address) from error
                yield from rows
        except BaseException:
            with contextlib.suppress(OSError, TimeoutError):
                client.cancel(list(futures))
            raise


def _short(shot: ShotPlan) -> tuple[Any, ...]:
    """Return the arguments of `_paint_there` for a shot, without the times and the files of all frames."""
    plan, name = shot.plan, shot.folder.film.name
    of_shot = shot.identity, shot.number, shot.frames, shot.ways, shot.memory, shot.size, shot.painter_way
    return plan.config, plan.settings, name, *of_shot


_plan = lru_cache(maxsize=2)(plan_film)
"""The films that a worker paints: to open one takes a while."""


def _paint_there(config: Config, settings: FilmSettings, film_name: str, *shot: Any) -> list[FrameRow]:
    """Paint what is left of a shot in a worker; return the frames that it painted. See `_short` for the arguments.

    Ends after the frame in progress if the command that asked for it has ended, or another film has begun: a worker
    cannot be interrupted otherwise.
    """
    plan, rows = _plan(config, settings), list[FrameRow]()
    shot_plan = ShotPlan(plan, FilmFolder(config.output_dir, film_name, ()), *shot)
    device = choose_device(plan.config.device, plan.config.gpu)
    with (
        one_at_a_time,
        set_up(plan.config, device, choose_precision(plan.config.precision, device)),
        tuned(plan.config, worker_session, device, shot_plan.memory),
    ):
        for row in paint_shot(shot_plan, worker_session, is_wanted=shot_plan.is_wanted):
            rows.append(row)
    return rows
