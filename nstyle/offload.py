"""Tensors outside the device's memory: in files for a CPU, in main memory for a GPU."""

import mmap
import os
import shutil
import tempfile
from pathlib import Path
from weakref import WeakSet

import torch
from torch import Tensor

from nstyle.devices import free_memory
from nstyle.files import unwritable

FILE_BYTES = 64_000_000
"""Least size of a file; small tensors share one."""

_ALIGNMENT = 64


def free_room(device: torch.device, folder: Path) -> int:
    """Return the free bytes where tensors of a device are offloaded to, in `FileRoom` or `MainMemoryRoom`.

    The folder need not exist yet.
    """
    if device.type == "cpu":
        there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir())
        return shutil.disk_usage(there).free
    return free_memory(torch.device("cpu")) or 0


def _existing(folder: Path) -> Path:
    """Return the folder, or if there is none, the system's folder for temporary files."""
    return folder if folder.is_dir() else Path(tempfile.gettempdir())


class FileRoom:
    """Tensors in temporary files, as a `losses.rooms.Room`. The system can write them to disk, and free their memory.

    The files have no names: they are gone when the process ends, however it ends.

    Args:
        folder: where the files are. If there is no such folder, the system's folder for temporary files is used.

    """

    def __init__(self, folder: Path) -> None:
        self.folder = _existing(folder)
        self._files: WeakSet[mmap.mmap] = WeakSet()
        self._last: mmap.mmap | None = None
        self._used = 0

    def empty(self, size: int) -> Tensor:
        """Return this many bytes, undefined, as one row of uint8.

        Raises:
            OutputError: there is no room on the disk.

        """
        if self._last is None or self._used + size > len(self._last):
            self._last, self._used = self._file(max(size, FILE_BYTES)), 0
        tensor = torch.frombuffer(self._last, dtype=torch.uint8, offset=self._used, count=size)
        self._used += -(-size // _ALIGNMENT) * _ALIGNMENT
        if self._used >= len(self._last):
            self._last = None  # it lives as long as its tensors
        return tensor

    def keep(self, tensor: Tensor) -> Tensor:
        """Return a copy in a file, of a tensor in one row."""
        return self.empty(tensor.nbytes).view(tensor.dtype).copy_(tensor)

    def leave(self) -> None:
        """Take the files' pages out of the process's memory, where the system can."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for file in self._files:
                file.madvise(mmap.MADV_DONTNEED)

    def _file(self, size: int) -> mmap.mmap:
        """Return a new file of this size in memory. Its place on the disk is taken now, while it can be refused."""
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    for start in range(0, size, FILE_BYTES):
                        file.write(bytes(min(FILE_BYTES, size - start)))
                    file.flush()
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        self._files.add(mapped)
        return mapped


class MainMemoryRoom:
    """Tensors in main memory, as a `losses.rooms.Room` for a GPU."""

    def empty(self, size: int) -> Tensor:
        """Return an ordinary tensor on the CPU."""
        return torch.empty(size, dtype=torch.uint8)

    def keep(self, tensor: Tensor) -> Tensor:
        """Return a copy on the CPU."""
        return tensor.cpu()

    def leave(self) -> None:
        """Give nothing back."""
