"""Only nstyle writes to standard error, with one line for an error; other packages stay silent."""

import io
import logging
import os
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import tifffile
from fake_runs import fake_run
from pictures import painted

from nstyle.commands.terminal import for_terminal, quiet_libraries
from nstyle.errors import ImageError
from nstyle.escaping import visible
from nstyle.pictures.decode import read_picture


def spoilt_tiff() -> bytes:
    """A TIFF that makes every decoder print messages: a tag points outside of the file, the pixels are damaged."""
    file = io.BytesIO()
    painted(64, 64).save(file, format="TIFF", compression="tiff_lzw", resolution=72)
    content = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        tags = tiff.pages.first.tags
        outside, pixels = tags["XResolution"].offset + 8, tags["StripOffsets"].value[0]
    content[outside : outside + 4] = struct.pack("<I", 2**24)
    content[pixels + 200 : pixels + 1200] = bytes([255]) * 1000
    return bytes(content)


def run(*line: str, **options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *line], capture_output=True, text=True, env={**os.environ, **options})


@pytest.mark.filterwarnings("default")
def test_the_decoders_would_speak_for_themselves(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the next test would be empty."""
    path = tmp_path / "spoilt.tiff"
    path.write_bytes(spoilt_tiff())
    with pytest.raises(ImageError), pytest.warns(UserWarning, match="Truncated File Read"):
        read_picture(path)
    assert "invalid value offset" in caplog.text
    assert "Using code not yet in table" in capfd.readouterr().err


def test_a_damaged_tiff_is_one_line_on_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "spoilt.tiff"
    path.write_bytes(spoilt_tiff())
    done = run("-m", "nstyle", "--style-image", str(path), "--output-dir", str(tmp_path / "output"), "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"nstyle: error: {path} ")
    assert done.stderr.count("\n") == 1


STEERING = "\x1b]0;x\x07\x9b2J\u202egpj"
"""Sets a terminal's title, clears its screen, and shows the rest of the line backwards."""


@pytest.mark.parametrize("what", ["missing", "damaged", "painted"])
def test_names_do_not_steer_the_terminal(what: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    content = tmp_path / f"{STEERING}.png"
    if what == "damaged":
        content.write_text("no picture")
    elif what == "painted":
        pair[0].rename(content)
    folder = tmp_path / f"{STEERING}_output"
    flags = ["--model", "filters", "--max-long-edge", "32", "--max-num-epochs", "2", "--save-epochs", "1"]
    flags += [
        "--content-image",
        str(content),
        str(pair[1]),
        "--style-image",
        str(pair[1]),
        "--output-dir",
        str(folder),
    ]
    done = run("-m", "nstyle", "--verbose", *flags)
    said = done.stdout + done.stderr
    if what == "painted":
        viewed = run("-c", "import sys; from nstyle.commands.view import main; sys.exit(main())", str(folder))
        gone = run("-c", "import sys; from nstyle.commands.view import main; sys.exit(main())", str(content))
        said += viewed.stdout + viewed.stderr + gone.stderr
        assert (done.returncode, viewed.returncode, gone.returncode) == (0, 0, 1)
    assert r"\x1b]0;x\x07\x9b2J\u202egpj" in said
    assert not set(said) & set(STEERING[:1] + "\x07\x9b\u202e")


def test_paths_in_the_working_folder_are_printed_as_they_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    assert for_terminal(f"{here}/a b.jpg and '{here}/c.jpg', x={here}/d") == "a b.jpg and 'c.jpg', x=d"
    for other in (here, f"{here}/", f"{here}2/a.jpg", f"/other{here}/a.jpg", f"file://{here}/index.html"):
        assert for_terminal(other) == other
    monkeypatch.chdir("/")
    assert for_terminal("/a.jpg") == "/a.jpg"


def test_what_is_spelled_out() -> None:
    assert visible("a\tb\n\x7f\x85\u2028\u2066\u200f\udc9b") == r"a\tb\n\x7f\x85\u2028\u2066\u200f\udc9b"
    harmless = "caf\u00e9 \U0001f469\u200d\U0001f3a8 \u05d0\u0628 \\x1b"  # an emoji needs its joiner
    assert visible(harmless) == harmless


def test_a_page_of_damaged_tiffs_says_nothing_of_them(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", image_format="tiff")
    for picture in folder.glob("*.tiff"):
        picture.write_bytes(spoilt_tiff())
    done = run("-c", "import sys; from nstyle.commands.view import main; sys.exit(main())", str(folder), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "index.html").exists()


SPEAKING = """
import logging, os, subprocess, sys, threading, warnings
from nstyle.commands.terminal import quiet_libraries

before = sys.stderr
with quiet_libraries():
    os.write(2, b"a C library\\n")
    warnings.warn_explicit("a warning", UserWarning, "a.py", 1, module="PIL.Image")
    logging.getLogger("tifffile").error("a log line")
    print("nstyle", file=sys.stderr)
    kept = logging.StreamHandler()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    child = subprocess.run([sys.executable, "-c", "import sys; print(1, file=sys.stderr)"])
assert sys.stderr is before
assert child.returncode == 0
os.write(2, b"after\\n")
kept.emit(logging.makeLogRecord({"msg": "kept"}))
with quiet_libraries():
    raise RuntimeError("a bug")
"""


def test_what_is_heard_and_what_is_not() -> None:
    done = run("-c", SPEAKING)
    lines = done.stderr.splitlines()
    assert lines[:2] == ["nstyle", "Exception in thread Thread-1 (<lambda>):"]
    assert "ZeroDivisionError: division by zero" in lines
    assert "after" in lines
    assert "kept" in lines
    assert lines[-1] == "RuntimeError: a bug"
    for unheard in ("a C library", "a warning", "a log line", "1"):
        assert unheard not in lines
    assert done.returncode == 1


def test_our_own_warnings_are_not_hidden() -> None:
    with quiet_libraries(), pytest.raises(UserWarning, match="of nstyle's"):  # an error, in the tests
        warnings.warn_explicit("of nstyle's", UserWarning, "a.py", 1, module="nstyle.pictures.decode")


def test_a_crash_is_traced_if_that_is_wanted() -> None:
    code = "import faulthandler; from nstyle.commands.terminal import quiet_libraries\nwith quiet_libraries():\n  "
    done = run("-X", "faulthandler", "-c", code + "faulthandler._sigsegv()")
    assert "Fatal Python error: Segmentation fault" in done.stderr


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_without_a_standard_error(redirection: str) -> None:
    code = "from nstyle.commands.terminal import quiet_libraries\nwith quiet_libraries(): print('works')"
    done = subprocess.run(["/bin/sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, code], capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"works\n")


def test_everything_is_as_before_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    def state() -> tuple[object, ...]:
        return (os.fstat(2).st_ino, sys.stderr, list(warnings.filters), list(logging.getLogger().handlers))

    before, descriptors = state(), len(os.listdir("/dev/fd"))
    with quiet_libraries():
        os.write(2, b"a C library\n")
        sys.stderr.write("nstyle\n")
    assert state() == before
    assert len(os.listdir("/dev/fd")) == descriptors
    assert capfd.readouterr().err == "nstyle\n"
