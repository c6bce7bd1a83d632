"""Interrupts of a painting: however many and whenever they come, picture and record are written."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_paint import Watching, prepared

from nstyle import stylize
from nstyle.painting.interrupts import Interrupts
from nstyle.painting.observers import Checkpoints, EpochLog, FinalPicture, Record
from nstyle.painting.run import paint
from nstyle.storage.layout import StopReason
from nstyle.storage.run_folder import RunFolder

SMALL: dict[str, Any] = {"max_long_edge": 32, "max_num_epochs": 3, "image_format": "png", "model": "filters"}


@pytest.fixture(autouse=True)
def _handlers_stay() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


def test_the_first_interrupts_and_the_others_wait() -> None:
    seen = []

    def work() -> None:
        with Interrupts():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                for _ in range(3):
                    signal.raise_signal(signal.SIGINT)
                    seen.append("whole")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen == ["whole"] * 3


def test_what_waited_comes_at_the_end() -> None:
    seen = []

    def work() -> None:
        with Interrupts() as interrupts:
            interrupts.hold()
            signal.raise_signal(signal.SIGINT)
            seen.append("whole")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen == ["whole"]


def test_a_handler_that_does_not_raise_is_called_each_time() -> None:
    calls = []
    before = signal.signal(signal.SIGTERM, lambda *_: calls.append("called"))
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            interrupts.hold()
            signal.raise_signal(signal.SIGTERM)
            assert len(calls) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(calls) == 3


class Interrupting(Watching):
    """An observer that receives Ctrl-C while it is closed, before and after its work."""

    def close(self, ending: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        super().close(ending)
        signal.raise_signal(signal.SIGINT)


def test_all_observers_are_closed_once_whatever_comes(pair: tuple[Path, Path]) -> None:
    observers = [Interrupting(), Interrupting(), Watching()]
    with pytest.raises(KeyboardInterrupt):
        paint(prepared(pair, model="filters"), observers=observers)
    assert [[ending.stop_reason for ending in one.endings] for one in observers] == [[StopReason.EPOCHS]] * 3


@pytest.mark.parametrize("observer", [FinalPicture, Checkpoints, Record, EpochLog])
@pytest.mark.parametrize("at_step", [False, True])
def test_three_interrupts_lose_nothing(
    observer: Any, at_step: bool, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = observer.close

    def interrupted(self: Any, ending: Any) -> None:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        close(self, ending)

    def callback(step: Any) -> None:
        if at_step and step.epoch == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(observer, "close", interrupted)
    output = tmp_path / "output"
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, callback, output_dir=output, **SMALL)
    record = json.loads((output / "run.json").read_text())
    assert (record["stop_reason"], record["epochs"]) == (("interrupted", 2) if at_step else ("epochs", 3))
    with Image.open(output / "final.png") as picture:
        picture.load()
    assert (output / "state.npz").exists()


def test_an_interrupt_before_the_first_epoch_leaves_no_running(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Record.begin

    def interrupted(self: Record, checkpoint: Any) -> None:
        begin(self, checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr(Record, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, output_dir=tmp_path / "output", **SMALL)
    assert json.loads((tmp_path / "output" / "run.json").read_text())["stop_reason"] == "interrupted"


@pytest.mark.parametrize("at_move", [False, True])
def test_an_interrupt_waits_until_a_run_has_taken_over(
    at_move: bool, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    stylize(*pair, output_dir=output, **SMALL)
    move_in = RunFolder._move_in

    def interrupted(self: RunFolder, staging: Path, old: Any) -> None:
        if at_move:
            signal.raise_signal(signal.SIGINT)
        move_in(self, staging, old)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunFolder, "_move_in", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, output_dir=output, overwrite=True, save_epochs=1, lr=0.002, **SMALL)
    record = json.loads((output / "run.json").read_text())
    assert (record["stop_reason"], record["epochs"]) == ("interrupted", 1)
    assert "replaces" not in record
    found = sorted(path.name for path in output.iterdir())
    assert found == ["e_1.png", "epochs.csv", "final.png", "run.json", "state.npz"]


def _command(pair: tuple[Path, Path], output: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "nstyle", "--content-image", str(pair[0]), "--style-image", str(pair[1])),
        *("--output-dir", str(output), "--max-long-edge", "32", "--max-num-epochs", "1000000", "--stop-eps", "0"),
        *("--model", "filters"),
    ]


def _wait_for_epochs(output: Path, epochs: int) -> None:
    give_up = time.monotonic() + 120
    while not (output / "epochs.csv").exists() or (output / "epochs.csv").read_text().count("\n") <= epochs:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def _stop_reason(output: Path) -> object:
    return json.loads((output / "run.json").read_text())["stop_reason"]


def _hear_hangups() -> None:
    """Undo `nohup`, under which these tests may run."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_closed_terminal_saves_the_picture(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A real terminal, with bars: the system sends SIGHUP, and nothing can be written any more."""
    output = tmp_path / "output"
    ours, theirs = pty.openpty()

    def own_terminal() -> None:
        _hear_hangups()
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    command = subprocess.Popen(
        _command(pair, output), stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal
    )
    os.close(theirs)
    _wait_for_epochs(output, 3)
    os.close(ours)
    assert command.wait(60) in (129, 120)  # 120: Python could not write its last words
    assert _stop_reason(output) == "interrupted"
    with Image.open(output / "final.jpg") as picture:
        picture.load()


def test_under_nohup_a_hangup_is_ignored(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = subprocess.Popen(
        [*_command(pair, output), "--quiet"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    _wait_for_epochs(output, 3)
    command.send_signal(signal.SIGHUP)
    done = (output / "epochs.csv").read_text().count("\n")
    _wait_for_epochs(output, done + 3)
    assert command.poll() is None
    command.send_signal(signal.SIGTERM)
    _, error = command.communicate(timeout=60)
    assert command.returncode == 143
    assert error.startswith("nstyle: error: terminated; the picture after ")


def test_a_hangup_is_told(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = subprocess.Popen(
        [*_command(pair, output), "--quiet"], stderr=subprocess.PIPE, text=True, preexec_fn=_hear_hangups
    )
    _wait_for_epochs(output, 1)
    command.send_signal(signal.SIGHUP)
    _, error = command.communicate(timeout=60)
    assert command.returncode == 129
    assert error.startswith("nstyle: error: hung up; the picture after ")
    assert error.count("\n") == 1
    assert _stop_reason(output) == "interrupted"
