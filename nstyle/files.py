"""Files that appear whole or not at all, and the hashes that identify them."""

import errno
import hashlib
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from nstyle.errors import Kind, OutputError

_REMEDIES = {
    errno.ENOSPC: "make room, or ",
    errno.EDQUOT: "make room, or ",
    errno.EACCES: "permit yourself to write there, or ",
    errno.EPERM: "permit yourself to write there, or ",
    errno.EISDIR: "move that folder away, or ",
}
"""What else than another folder helps, by the number of the system's error, as the beginning of a way out."""


def temporary_beside(path: Path) -> Path:
    """Return an unused name that nobody can guess, `.<name>.<16 hexadecimal digits>.tmp`, in the folder of `path`.

    Of a name of more than 40 characters it has the last 40, so that a file system can hold it.
    """
    return path.with_name(f".{path.name[-40:]}.{secrets.token_hex(8)}.tmp")


def delete_leftovers(folder: Path, name: str = "") -> None:
    """Delete the temporary files (see `temporary_beside`) that killed processes left in a folder.

    Any other file stays: one of another name, a link, or a folder.

    Args:
        folder: an existing folder.
        name: the file for which they were; empty: any file.

    Raises:
        OutputError: one cannot be deleted.

    """
    beginning = re.escape(f".{name[-40:]}.") if name else r"\..*\."
    pattern = re.compile(beginning + r"[0-9a-f]{16}\.tmp")
    try:
        for path in list(folder.iterdir()):
            if pattern.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, for writing and reading; if the block raises nothing, move it to `path`.

    If the block raises or the process is killed, `path` keeps its old content.

    Raises:
        OutputError: the file cannot be written (no permission, full disk, a folder has that name).

    """
    temporary = temporary_beside(path)
    try:
        try:
            with temporary.open("x+b") as file:  # fails if a file or a link has this name
                yield file
                file.flush()
                os.fsync(file.fileno())  # without it, a crash of the machine could leave an empty file at `path`
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def link_or_copy(source: Path, path: Path) -> None:
    """Make `path` a hard link to `source`, or a copy if the file system has no hard links.

    An old file at `path` is replaced as a whole or not at all.

    Raises:
        OutputError: `path` cannot be written.

    """
    temporary = temporary_beside(path)
    try:
        try:
            os.link(source, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)  # `replace` leaves it if both are the same file already
    except OSError:
        with replacing(path) as file:
            file.write(source.read_bytes())


def unwritable(path: Path, error: OSError) -> OutputError:
    """Make the error for a `path` that the system refused to write, with the way out for what the system says."""
    remedy = _REMEDIES.get(error.errno or 0, "")
    return OutputError(
        f"cannot write {path}: {error.strerror or error}; {remedy}choose another --output-dir",
        flag="--output-dir",
        path=path,
        kind=Kind.UNWRITABLE,
    )


def make_folder(path: Path) -> None:
    """Make the folder `path` and its parents if they are missing, and check that it accepts files.

    Raises:
        OutputError: `path` or a parent is a file, or writing to it is not permitted.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        existing = next(each for each in (path, *path.parents) if os.path.lexists(each))
        raise OutputError(
            f"cannot write into {path}: {existing} is not a folder; choose another --output-dir",
            flag="--output-dir",
            path=existing,
            kind=Kind.IN_THE_WAY,
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def open_regular(path: Path, most: int, *, follow: bool = True) -> Iterator[BufferedReader]:
    """Open a file that a stranger may have named, for reading. Never waits, as opening a pipe or a device may.

    Args:
        path: the file.
        most: the largest size in bytes that is accepted.
        follow: whether to follow a link.

    Raises:
        OSError: it cannot be read, is not a regular file, is too large, or is a link that is not followed.
        ValueError: no file can have this name.

    """
    status = path.stat(follow_symlinks=follow)
    _check_regular(path, status, most)  # before opening: opening a device may already have an effect
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        _check_regular(path, os.fstat(file.fileno()), most)
        yield file


def _check_regular(path: Path, status: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if status.st_size > most:
        raise OSError(errno.EFBIG, f"larger than {most / 1e6:.0f} MB", str(path))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits. Never waits, as reading a pipe or a device may.

    Raises:
        OSError: it cannot be read, or is not a regular file.

    """
    with open_regular(path, sys.maxsize) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, from memory if the file has not changed since it was last asked for.

    A file counts as unchanged if it is the same inode with the same size, modification time and status change time.
    """
    status = path.stat()
    return _sha256_of(
        path.absolute(), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


@lru_cache(maxsize=64)
def _sha256_of(path: Path, *_status: int) -> str:
    return sha256(path)
