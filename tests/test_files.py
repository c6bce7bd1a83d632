"""Files are written atomically."""

import errno
import hashlib
import os
import re
from pathlib import Path

import pytest
from refusals import refuses

from nstyle.errors import Kind, OutputError
from nstyle.files import delete_leftovers, make_folder, replacing, sha256, temporary_beside


def test_a_file_appears_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_only_half_written_files_are_deleted(tmp_path: Path) -> None:
    digits = "0123456789abcdef"
    name = "a very long name of a painter, longer than forty characters [1].safetensors"
    assert re.fullmatch(r"\..{40}\.[0-9a-f]{16}\.tmp", temporary_beside(tmp_path / name).name)
    left = [temporary_beside(tmp_path / each).name for each in ("y[1].safetensors", "y[1].safetensors", name)]
    mine = [
        f".y[1].safetensors.{digits[:-1]}g.tmp",
        f".y1.safetensors.{digits}.tmp",
        f".y[1].safetensors.{digits}.tmp.txt",
        ".y[1].safetensors.backup-of-nov-.tmp",
        f"y[1].safetensors.{digits}.tmp",
    ]
    for each in (*left, *mine):
        (tmp_path / each).touch()
    folder, link = (tmp_path / f".y[1].safetensors.{digits[::-1]}.tmp", tmp_path / f".y[1].safetensors.{digits}.tmp")
    folder.mkdir()
    link.symlink_to(mine[0])
    delete_leftovers(tmp_path, "y[1].safetensors")
    assert {path.name for path in tmp_path.iterdir()} == {*mine, left[2], folder.name, link.name}
    delete_leftovers(tmp_path, name)
    assert {path.name for path in tmp_path.iterdir()} == {*mine, folder.name, link.name}
    delete_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*mine, folder.name, link.name} - {mine[1]}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_there_stays_if_the_block_fails(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "has_room", "way_out"),
    [
        (errno.ENOSPC, False, "make room, or choose another --output-dir"),
        (errno.EDQUOT, False, "make room, or choose another --output-dir"),
        (errno.EACCES, True, "permit yourself to write there, or choose another --output-dir"),
        (errno.EROFS, True, "; choose another --output-dir"),
        (errno.ENAMETOOLONG, True, "; choose another --output-dir"),
    ],
)
def test_each_reason_not_to_write_has_its_own_way_out(
    number: int, has_room: bool, way_out: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"

    def fail() -> None:
        with replacing(path):
            raise OSError(number, os.strerror(number))

    with refuses(OutputError, kind=Kind.UNWRITABLE, path=path, flag="--output-dir") as refused:
        fail()
    assert os.strerror(number) in str(refused.value)
    assert str(refused.value).endswith(way_out)
    assert ("room" in str(refused.value)) != has_room
    assert not list(tmp_path.iterdir())


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


@pytest.mark.parametrize("wanted", ["file", "file/folder", "file/folder/deeper", "link", "link/folder"])
def test_a_file_where_a_folder_is_needed_is_named(wanted: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nothing")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=tmp_path / wanted.split("/")[0], flag="--output-dir"):
        make_folder(tmp_path / wanted)


def test_a_folder_where_a_file_is_needed_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with (
        refuses(OutputError, kind=Kind.UNWRITABLE, path=tmp_path / "file", flag="--output-dir") as refused,
        replacing(tmp_path / "file"),
    ):
        pass
    assert "move that folder away" in str(refused.value)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_the_hash_of_a_pipe_or_a_device_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            sha256(path)
