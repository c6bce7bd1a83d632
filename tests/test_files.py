"""Files are written atomically."""

import hashlib
import os
from pathlib import Path

import pytest
from refusals import refuses

from nstyle.errors import Kind, OutputError
from nstyle.files import make_folder, replacing, sha256


def test_a_file_appears_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


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


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def fill() -> None:
        with replacing(path):
            raise OSError(28, "No space left on device")

    with refuses(OutputError, kind=Kind.UNWRITABLE, path=path, flag="--output-dir") as refused:
        fill()
    assert "No space left on device" in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").touch()
    with refuses(OutputError, kind=Kind.UNWRITABLE, path=tmp_path / "file", flag="--output-dir"):
        make_folder(tmp_path / "file")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_the_hash_of_a_pipe_or_a_device_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            sha256(path)
