"""scripts/batch.sh in POSIX shells, with unusual file names."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pictures import painted
from PIL import Image

from nstyle.painting.selection import ENDINGS

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "batch.sh"
ODD = [
    "plain.jpg",
    "-dash.png",
    "two  words.PNG",
    'it\'s "quoted".jpg',
    "line\nbreak.jpg",
    "$HOME `id` * [a].jpg",
    "ü.jpg",
]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell script")


@pytest.fixture(params=[shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}[request.param]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a fake command that records its arguments, and a folder of pictures with odd names."""
    command = tmp_path / "a command"
    command.write_text(
        "#!/bin/sh\n"
        f"[ -z \"${{SLOW:-}}\" ] || trap 'echo saved >>{tmp_path}/log; exit 130' INT\n"
        f'for word; do printf "%s\\0" "$word" >>"{tmp_path}/given"; done\n'
        '[ -z "${SLOW:-}" ] || { touch started; while :; do sleep 0.05; done; }\n'
        "case $1 in *bad*) exit 1 ;; esac\n"
    )
    command.chmod(0o755)
    (tmp_path / "the photos").mkdir()
    for name in ODD:
        (tmp_path / "the photos" / name).touch()
    for name in (".hidden.jpg", "notes.txt"):
        (tmp_path / "the photos" / name).touch()
    (tmp_path / "the photos" / "folder.jpg").mkdir()
    return tmp_path


def start(shell: list[str], here: Path, *words: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*shell, str(SCRIPT), *words],
        cwd=here,
        env={**os.environ, "NSTYLE": str(here / "a command"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_odd_names(shell: list[str], here: Path) -> None:
    process = start(shell, here, "the photos", "-my style.jpg", "out put", "--lr", "0.5  x")
    assert (process.communicate(), process.returncode) == (("", ""), 0)
    given = (here / "given").read_text().split("\0")[:-1]
    runs = [given[i : i + 5] for i in range(0, len(given), 5)]
    fixed = ["--style-image=-my style.jpg", "--lr", "0.5  x"]
    assert all(sorted({*fixed, run[0], run[2]}) == sorted(run) for run in runs)
    assert sorted((run[0], run[2]) for run in runs) == sorted(
        (f"--content-image=the photos/{name}", f"--output-dir=out put/{name}") for name in ODD
    )


def test_every_format_is_painted(shell: list[str], here: Path) -> None:
    (here / "all").mkdir()
    names = {f"a{ending}" for ending in ENDINGS} | {f"b{ending.upper()}" for ending in ENDINGS}
    for name in (*names, "c.cr2", "d.jpg.txt"):
        (here / "all" / name).touch()
    assert start(shell, here, "all", "s.jpg", "out").communicate() == ("", "")
    given = (here / "given").read_text().split("\0")
    assert {word.rpartition("/")[2] for word in given if word.startswith("--content-image=")} == names


def test_a_failing_picture_stops_nothing(shell: list[str], here: Path) -> None:
    (here / "the photos" / "a bad one.jpg").touch()
    (here / "the photos" / "bad\n2.jpg").touch()
    process = start(shell, here, "the photos", "s.jpg", "out")
    _, error = process.communicate()
    assert process.returncode == 1
    assert error == f"batch.sh: {len(ODD)} painted, 2 not:\n  a bad one.jpg\n  bad\n2.jpg\n"


@pytest.mark.parametrize("words", [[], ["the photos", "s.jpg"], ["nowhere", "s.jpg", "out"]])
def test_wrong_usage(words: list[str], shell: list[str], here: Path) -> None:
    process = start(shell, here, *words)
    assert process.communicate()[1].startswith("usage: ")
    assert process.returncode == 2


def test_no_pictures(shell: list[str], here: Path) -> None:
    (here / "empty").mkdir()
    process = start(shell, here, "empty", "s.jpg", "out")
    assert process.communicate()[1] == "batch.sh: no pictures in empty\n"
    assert process.returncode == 1


def test_ctrl_c_ends_it_once_the_picture_is_saved(shell: list[str], here: Path) -> None:
    process = start(shell, here, "the photos", "s.jpg", "out", SLOW="yes")
    while not (here / "started").exists():
        time.sleep(0.01)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert "batch.sh: interrupted at" in error
    assert (here / "log").read_text() == "saved\n"  # only the first: the others were not started


def test_with_the_command_itself(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    painted(20, 24).save(tmp_path / "photos" / "-a b.png")
    (tmp_path / "photos" / "bad.jpg").write_text("no picture")
    painted(20, 20).save(tmp_path / "-s.png")
    (tmp_path / "nstyle").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nstyle "$@"\n')
    (tmp_path / "nstyle").chmod(0o755)
    flags = ["--max-long-edge", "24", "--max-num-epochs", "1", "--quiet"]
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT), "photos", "-s.png", "out", *flags],
        cwd=tmp_path,
        env={**os.environ, "NSTYLE": str(tmp_path / "nstyle"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "bad.jpg" in done.stderr
    assert done.stderr.endswith("batch.sh: 1 painted, 1 not:\n  bad.jpg\n")
    with Image.open(tmp_path / "out" / "-a b.png" / "final.jpg") as picture:
        assert picture.size == (24, 20)
