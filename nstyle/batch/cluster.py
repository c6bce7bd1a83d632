"""Several paintings on the workers of a Dask scheduler. Dask does the work of it: queues, lost workers, retries."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nstyle.batch.jobs import Job
from nstyle.batch.local import Outcome, finished_picture, paint
from nstyle.errors import ClusterError, Kind
from nstyle.painting.session import Session
from nstyle.storage.recipe import Recipe

if TYPE_CHECKING:
    from distributed import Client

_log = logging.getLogger(__name__)

PATIENCE = 30
"""Seconds to wait for an answer of the scheduler."""

_session = Session(owns_process=True)
"""What a worker's process keeps from one painting to the next."""

_one_at_a_time = threading.Lock()
"""Several threads in one worker paint no faster, and each takes its own memory."""


def paint_on_cluster(
    jobs: Sequence[Job], address: str, *, followed: Recipe | None = None, fail_fast: bool = False
) -> Iterator[Outcome]:
    """Have a scheduler's workers paint, and yield the outcome of each job as soon as it is done.

    The workers must see the same files under the same names, and have the same version of nstyle. If a worker dies,
    another one paints its picture again. A picture fails if more workers die with it than Dask allows
    (`distributed.scheduler.allowed-failures`).

    Args:
        jobs: what is to be painted.
        address: the scheduler's: "tcp://host:8786".
        followed: see `stylize.run`.
        fail_fast: leave out what has not begun when one cannot be painted.

    Raises:
        ClusterError: Dask is not installed, or there is no scheduler at this address.
        KeyboardInterrupt: with a note that says how many are done.

    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "--cluster needs Dask: pip install 'nstyle[cluster]'", flag="--cluster", kind=Kind.MISSING
        ) from error
    done, left = 0, []
    for job in jobs:
        picture = finished_picture(job, _session)
        if picture is not None and (job.copy is None or job.copy.exists()):
            done += 1
            yield Outcome(job, picture, skipped=True)
        else:
            left.append(job)
    if not left:
        return
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address}; start one: dask scheduler", flag="--cluster", kind=Kind.MISSING
        ) from error
    with client:
        _log.info("%d pictures for the %d workers of %s", len(left), len(client.nthreads()), address)
        try:
            for outcome in _outcomes(client, address, left, followed, fail_fast=fail_fast):
                done += outcome.path is not None
                yield outcome
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(f"{done} of {len(jobs)} pictures are done; workers finish those that they have begun")
            raise


def _outcomes(
    client: "Client", address: str, jobs: Sequence[Job], followed: Recipe | None, *, fail_fast: bool
) -> Iterator[Outcome]:
    """Hand the jobs to the scheduler, and yield what becomes of each."""
    from distributed import CancelledError, KilledWorker, as_completed

    folder = str(Path.cwd())
    futures = {client.submit(_paint_there, job, folder, followed, pure=False): job for job in jobs}
    try:
        for future in as_completed(futures):
            try:
                outcome: Outcome = future.result()
            except KilledWorker as error:
                outcome = Outcome(futures[future], reason=f"it has cost {error.allowed_failures + 1} workers")
            except CancelledError as error:
                raise ClusterError(
                    f"{address} has gone; the same command again paints what is left",
                    flag="--cluster",
                    kind=Kind.MISSING,
                ) from error
            _log.info("%s: %s", outcome.job.title, outcome.reason or f"done: {outcome.path}")
            yield outcome
            if outcome.reason is not None and fail_fast:
                client.cancel(list(futures))
                return
    except KeyboardInterrupt:
        with contextlib.suppress(OSError, TimeoutError):
            client.cancel(list(futures))
        raise


def _paint_there(job: Job, folder: str, followed: Recipe | None) -> Outcome:
    """Paint a job in a worker, from the same working folder as the command."""
    with _one_at_a_time:
        before = Path.cwd()
        try:
            os.chdir(folder)
        except OSError as error:
            reason = f"the worker has no {folder} ({error.strerror}); have it see the same files under the same names"
            return Outcome(job, reason=reason)
        try:
            return paint(job, _session, followed=followed)
        finally:
            os.chdir(before)
