"""The lock that a run holds on its folder while it lives, the file `run.lock`.

The operating system keeps the lock (flock) and drops it when the process ends, however it ends. So a dead run of this
host is told from a living one for sure, and its lock is taken over. Some shared file systems keep flock within each
host. So the file also names the owner's host and process, and the owner touches it every `HEARTBEAT` seconds: a run
of another host counts as dead after `SILENCE` seconds without a touch, and if the last touch is as far in the future.
"""

import json
import os
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nstyle.errors import Kind, OutputError
from nstyle.files import make_folder, unwritable
from nstyle.storage.layout import LOCK

if sys.platform != "win32":
    import fcntl

HEARTBEAT = 10.0
"""Seconds between two touches of the file by a living run."""

SILENCE = 120.0
"""Seconds without a touch after which a run of another host counts as dead: NFS shows times up to 60 s late."""

_PATIENCE = 1.0
"""Seconds to try: a viewer holds the lock for an instant when it looks whether the run lives."""

_MOST_BYTES = 10_000


@dataclass(frozen=True)
class Owner:
    """The owner of a lock: the name of its host, and the ID of its process there."""

    host: str
    process: int

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this host."""
        return self.host == socket.gethostname()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder during the block. Its lock file goes at the end.

    Windows has no flock: there, this does nothing.

    Raises:
        OutputError: a living run holds the lock, the file is not a lock of nstyle, or it cannot be written.

    """
    if sys.platform == "win32":
        yield
        return
    path = folder / LOCK
    try:
        try:
            descriptor = _take(path)
        except FileNotFoundError:  # another process that could not paint has just deleted the empty folder
            make_folder(folder)
            descriptor = _take(path)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise _not_a_lock(path) from error
        raise unwritable(path, error) from error
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(descriptor, ended), name="nstyle heartbeat", daemon=True)
    try:
        heart.start()
        yield
    finally:
        ended.set()
        with suppress(OSError):  # the folder may be gone
            if _is_at(path, descriptor):
                path.unlink()
        if heart.ident is not None:  # an interrupt may prevent the start
            heart.join()
        os.close(descriptor)


def is_abandoned(folder: Path) -> bool:
    """Tell whether a folder has a lock whose owner is dead. False if it has no lock, or if nobody can tell."""
    return _is_held(folder) is False


def is_held(folder: Path) -> bool:
    """Tell whether a living run holds the lock on a folder."""
    return _is_held(folder) is True


def _is_held(folder: Path) -> bool | None:
    """Tell whether a living run holds the lock; None if there is no lock, or if nobody can tell."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        owner = _read(descriptor)
        if owner is None or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        free = _flock(descriptor, shared=True)
        return free is False or not _is_dead(owner, descriptor, folder, free=free)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _take(path: Path) -> int:
    """Lock the file, write the owner into it, and return its descriptor."""
    give_up = time.monotonic() + _PATIENCE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _not_a_lock(path)
            free = _flock(descriptor)
            size, owner = os.fstat(descriptor).st_size, _read(descriptor)
            if size > 0 and owner is None:
                raise _not_a_lock(path)
            if free is not False and not _is_at(path, descriptor):
                pass  # its owner has just ended and deleted it: try again with a new file
            elif free is not False and (owner is None or _is_dead(owner, descriptor, path.parent, free=free)):
                os.ftruncate(descriptor, 0)
                about = {"host": socket.gethostname(), "process": os.getpid(), "lock": "of a living nstyle run"}
                os.pwrite(descriptor, (json.dumps(about) + "\n").encode(), 0)
                return descriptor
            elif time.monotonic() > give_up or free is not False:
                raise _busy(path, owner, _age(descriptor, path.parent))
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(0.05)


def _flock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Lock an open file without waiting. False: another process has it; None: this file system has no such locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_dead(owner: Owner, descriptor: int, folder: Path, *, free: bool | None) -> bool:
    """Tell whether the owner of an unlocked file is dead. `free` is the result of `_flock`, not False."""
    if owner.is_here:
        return free or not _is_running(owner.process)
    return abs(_age(descriptor, folder)) > SILENCE  # a touch in the future would keep others out until then


def _is_running(process: int) -> bool:
    """Tell whether this host has a process with this ID. Not for Windows, where `os.kill` ends it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _age(descriptor: int, folder: Path) -> float:
    """Return the seconds since the file was touched, by the clock of its file system, which hosts share."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            now = os.fstat(file.fileno()).st_mtime
    except OSError:  # a folder that may only be read
        now = time.time()
    return now - os.fstat(descriptor).st_mtime


def _read(descriptor: int) -> Owner | None:
    """Return the owner that the file names, or None if it is not a lock of nstyle."""
    try:
        about = json.loads(os.pread(descriptor, _MOST_BYTES, 0))
        return Owner(str(about["host"]), int(about["process"]))
    except (ValueError, LookupError, TypeError, OSError, RecursionError, OverflowError):
        return None


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether the open file still has this path."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def _beat(descriptor: int, ended: threading.Event) -> None:
    """Touch the file until the run ends."""
    while not ended.wait(HEARTBEAT):
        with suppress(OSError):
            os.utime(descriptor)


def _busy(path: Path, owner: Owner | None, age: float) -> OutputError:
    """Return the error for a folder that another run owns."""
    way_out = "choose another --output-dir, or wait until it ends"
    if owner is None:
        who = "another run"
    elif owner.is_here:
        who = f"another run (process {owner.process} of this host)"
    else:
        seen = f"last seen {max(age, 0):.0f} s ago"
        who = f"a run of another host (process {owner.process} of {owner.host!a}, {seen})"
        way_out += f"; if it was killed, try again in {SILENCE / 60:.0f} minutes, or delete {path}"
    return OutputError(
        f"{path.parent} is being painted into by {who}; {way_out}",
        flag="--output-dir",
        path=path.parent,
        kind=Kind.BUSY,
    )


def _not_a_lock(path: Path) -> OutputError:
    """Return the error for a stranger's file at the place of the lock."""
    return OutputError(
        f"{path} is not a lock of nstyle, which needs this name; move it away, or choose another --output-dir",
        flag="--output-dir",
        path=path,
        kind=Kind.IN_THE_WAY,
    )
