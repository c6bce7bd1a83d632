"""Tensors outside the device's memory."""

import gc
import os
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from refusals import refuses

from nstyle.errors import Kind, OutputError
from nstyle.losses.rooms import DeviceRoom, Room, map_in
from nstyle.offload import FILE_BYTES, FileRoom, MainMemoryRoom, free_room

CPU = torch.device("cpu")


@pytest.mark.parametrize("room", ["device", "files", "main memory"])
def test_a_room_keeps_what_is_written(room: str, tmp_path: Path) -> None:
    rooms: dict[str, Room] = {
        "device": DeviceRoom(CPU),
        "files": FileRoom(tmp_path),
        "main memory": MainMemoryRoom(),
    }
    chosen = rooms[room]
    tensors = [torch.randn(size) for size in (1, 7, 1000, 30_000)]
    kept = [chosen.keep(tensor) for tensor in tensors]
    whole = map_in(chosen, torch.empty(1, 5, 1, 1, dtype=torch.bfloat16), (6, 7))
    whole.copy_(torch.arange(5 * 6 * 7).view(1, 5, 6, 7))
    for _ in range(2):
        chosen.leave()
        assert all(map(torch.equal, kept, tensors))
        assert torch.equal(whole.float(), torch.arange(5 * 6 * 7).view(1, 5, 6, 7).float())
    assert whole.is_contiguous(memory_format=torch.channels_last)
    assert whole.dtype == torch.bfloat16


def resident() -> int:
    """The bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_files_take_no_memory_when_they_are_left(tmp_path: Path) -> None:
    room, size = FileRoom(tmp_path), 300_000_000
    before = resident()
    tensor = room.empty(size)
    tensor.fill_(7)
    assert resident() - before > 0.9 * size
    room.leave()
    assert resident() - before < 0.1 * size
    assert int(tensor[-1]) == 7


def test_files_are_gone_with_their_tensors(tmp_path: Path) -> None:
    """They have no names, so that a killed process leaves none."""
    room = FileRoom(tmp_path)
    tensors = [room.empty(2 * FILE_BYTES), room.empty(10), room.empty(10)]
    assert list(tmp_path.iterdir()) == []
    assert len(room._files) == 2
    assert tensors[2].data_ptr() - tensors[1].data_ptr() == 64
    del tensors[0]
    gc.collect()
    assert len(room._files) == 1


def test_a_folder_that_is_missing_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    room = FileRoom(tmp_path / "missing")
    assert room.folder == tmp_path
    assert free_room(CPU, tmp_path / "missing" / "too") > 0
    assert room.keep(torch.ones(3)).sum() == 3


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="only where a file's place can be taken at once")
def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.posix_fallocate", Mock(side_effect=OSError(28, "No space left on device")))
    with refuses(OutputError, kind=Kind.UNWRITABLE, path=tmp_path, flag="--output-dir"):
        FileRoom(tmp_path).empty(10)


def test_without_preallocation_files_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    assert FileRoom(tmp_path).empty(FILE_BYTES + 5).sum() == 0
