"""Memory that Linux has left, for the whole system and in the control groups that hold this process.

Control groups limit the memory of containers, services and batch jobs.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class _Groups:
    """A version of control groups.

    Attributes:
        root: the folder of the outermost group.
        controllers: how the lines of `_OWN_GROUPS` name it.
        limit: the file with a group's limit in bytes.
        used: the file with the bytes that are used in it.
        freeable: the entry of memory.stat with those of them that the system frees when they are needed.

    """

    root: Path
    controllers: str
    limit: str
    used: str
    freeable: str


_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = (
    _Groups(Path("/sys/fs/cgroup"), "", "memory.max", "memory.current", "inactive_file"),
    _Groups(
        Path("/sys/fs/cgroup/memory"),
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
"""Versions 2 and 1. A machine may have both."""


def available_memory() -> Iterator[int]:
    """Yield the bytes that the system has available, if it is Linux."""
    with suppress(OSError, ValueError, StopIteration):
        yield _entry(Path("/proc/meminfo"), "MemAvailable:") * 1024


def memory_limits() -> Iterator[tuple[int, int]]:
    """Yield the limit of each control group that holds this process and has one, and the bytes in it that stay used.

    All groups from the process's own to the outermost count. A container may see only some of them.
    """
    for groups in _GROUPS:
        for folder in _folders(groups):
            try:
                limit, used = (int((folder / name).read_text()) for name in (groups.limit, groups.used))
                freeable = _entry(folder / "memory.stat", groups.freeable)
            except (OSError, ValueError, StopIteration):  # no such group, or no limit ("max")
                continue
            yield limit, used - freeable


def _folders(groups: _Groups) -> Iterator[Path]:
    """Yield the folders of the control groups of one version that hold this process."""
    yield groups.root
    with suppress(OSError, ValueError):  # not Linux
        for line in _OWN_GROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", maxsplit=2)
            if groups.controllers in controllers.split(","):
                own = PurePosixPath(path.lstrip("/"))
                yield from (groups.root / group for group in (own, *own.parents) if group.parts)


def _entry(path: Path, name: str) -> int:
    """Return the number that follows a name at the start of a line of the system's text file."""
    lines = map(str.split, path.read_text().splitlines())
    return int(next(words[1] for words in lines if words and words[0] == name))
