"""Paint the shots of a film on a Dask cluster: each shot begins afresh, so workers need nothing from each other."""

import contextlib
import logging
from collections.abc import Iterator, Sequence

from nstyle.batch.cluster import connected, lost, one_at_a_time, worker_session
from nstyle.devices import choose_device, choose_precision
from nstyle.errors import ClusterError, Kind
from nstyle.film.folder import FrameRow
from nstyle.film.shot_run import ShotPlan, paint_shot
from nstyle.painting.stylize import set_up
from nstyle.wording import counted

_log = logging.getLogger(__name__)


def paint_shots_on_cluster(shots: Sequence[ShotPlan], address: str) -> Iterator[FrameRow]:
    """Paint shots on the workers of a Dask scheduler, and yield the frames of each shot as soon as it is done.

    The workers must see the same files under the same paths, and have the same version of nstyle. If a worker dies,
    another one goes on with its shot. The film is the same as without a cluster, bit for bit, on equal processors.

    Args:
        shots: the shots; what is done of them is not painted again.
        address: the scheduler's address, such as "tcp://host:8786".

    Raises:
        NStyleError: no scheduler answers, the connection is lost, or a shot cannot be painted.
        KeyboardInterrupt: the workers finish the frames that they have begun.

    """
    from distributed import CancelledError, KilledWorker, as_completed

    left = [shot for shot in shots if not shot.is_done()]
    if not left:
        return
    with connected(address) as client:
        workers = counted(len(client.nthreads()), "worker")
        _log.info("painting %s on %s of %s", counted(len(left), "shot"), workers, address)
        futures = {client.submit(_paint_there, shot, pure=False): shot for shot in left}
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


def _paint_there(shot: ShotPlan) -> list[FrameRow]:
    """Paint what is left of a shot in a worker; return the frames that it painted."""
    config = shot.plan.config
    device = choose_device(config.device, config.gpu)
    with one_at_a_time, set_up(config, device, choose_precision(config.precision, device)):
        return list(paint_shot(shot, worker_session))
