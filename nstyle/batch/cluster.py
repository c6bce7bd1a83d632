"""Paint several pictures on a Dask cluster. Dask handles queues, lost workers and retries."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nstyle.batch.jobs import Job
from nstyle.batch.local import WAIT, Outcome, finished_picture, paint
from nstyle.errors import ClusterError, Kind
from nstyle.painting.session import Session
from nstyle.storage.recipe import Recipe
from nstyle.wording import counted

if TYPE_CHECKING:
    from distributed import Client

_log = logging.getLogger(__name__)

PATIENCE = 30
"""Timeout for the connection to the scheduler, in seconds."""

worker_session = Session(owns_process=True)
"""The cache that the paintings of a worker process share."""

one_at_a_time = threading.Lock()
"""Lock for one painting at a time per worker: more threads are not faster, and each needs its own memory."""


def paint_on_cluster(
    jobs: Sequence[Job], address: str, *, followed: Recipe | None = None, fail_fast: bool = False
) -> Iterator[Outcome]:
    """Paint on the workers of a Dask scheduler, and yield the outcome of each job as soon as it is known.

    The workers must see the same files under the same paths, and have the same version of nstyle. If a worker dies,
    another one repeats its job. A job fails if more workers die with it than Dask allows
    (`distributed.scheduler.allowed-failures`).

    Args:
        jobs: the paintings.
        address: the scheduler's address, such as "tcp://host:8786".
        followed: the recipe that supplied the settings; see `stylize.run`.
        fail_fast: after the first failure, cancel the jobs that have not begun.

    Raises:
        ClusterError: Dask is not installed, no scheduler answers at this address, or the connection is lost.
        KeyboardInterrupt: with a note that says how many pictures are done.

    """
    _dask()
    done, left = 0, []
    for job in jobs:
        picture = finished_picture(job, worker_session)
        if picture is not None and (job.copy is None or os.path.exists(job.copy)):
            done += 1
            yield Outcome(job, picture, skipped=True)
        else:
            left.append(job)
    if not left:
        return
    with connected(address) as client:
        workers = counted(len(client.nthreads()), "worker")
        _log.info("painting %s on %s of %s", counted(len(left), "picture"), workers, address)
        try:
            for outcome in _outcomes(client, address, left, followed, fail_fast=fail_fast):
                done += outcome.path is not None
                yield outcome
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(f"{done} of {len(jobs)} pictures are done; workers finish the ones they have begun")
            raise


def _dask() -> Any:
    """Return Dask's client class. It is imported here because it is an extra.

    Raises:
        ClusterError: Dask is not installed.

    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "--cluster needs Dask: pip install 'nstyle[cluster]'", flag="--cluster", kind=Kind.MISSING
        ) from error
    return Client


@contextlib.contextmanager
def connected(address: str) -> Iterator["Client"]:
    """Connect to a Dask scheduler during the block.

    Raises:
        ClusterError: Dask is not installed, or no scheduler answers at this address.

    """
    make_client = _dask()
    try:
        client: Client = make_client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {address}; check the address, or start one with: dask scheduler",
            flag="--cluster",
            kind=Kind.MISSING,
        ) from error
    with client:
        yield client


def lost(address: str) -> ClusterError:
    """Return the error for a scheduler that has gone."""
    return ClusterError(
        f"lost the scheduler at {address}; run the same command again to paint the rest",
        flag="--cluster",
        kind=Kind.MISSING,
    )


def _outcomes(
    client: "Client", address: str, jobs: Sequence[Job], followed: Recipe | None, *, fail_fast: bool
) -> Iterator[Outcome]:
    """Submit the jobs to the scheduler, and yield their outcomes in the order in which they end.

    A job that another process is painting is submitted again, so it comes after the others.
    """
    from distributed import CancelledError, KilledWorker, as_completed

    folder = str(Path.cwd())
    futures = {client.submit(_paint_there, job, folder, followed, pure=False): job for job in jobs}
    try:
        ended = as_completed(list(futures))
        for future in ended:
            try:
                outcome: Outcome = future.result()
            except KilledWorker as error:
                outcome = Outcome(futures[future], reason=f"{error.allowed_failures + 1} workers died painting it")
            except CancelledError as error:
                raise lost(address) from error
            if outcome.busy:
                again = client.submit(_paint_there, futures[future], folder, followed, pure=False)
                futures[again] = futures.pop(future)
                ended.add(again)
                continue
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
    """Paint a job in a worker, with the working folder of the command. If it is busy, waits for `WAIT` at the end."""
    with one_at_a_time:
        before = Path.cwd()
        try:
            os.chdir(folder)
        except OSError as error:
            reason = f"the worker cannot open {folder} ({error.strerror}); mount the same files at the same paths"
            return Outcome(job, reason=reason)
        try:
            outcome = paint(job, worker_session, followed=followed)
        finally:
            os.chdir(before)
    if outcome.busy:
        time.sleep(WAIT)  # it will be asked for again
    return outcome
