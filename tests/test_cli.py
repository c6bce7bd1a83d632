"""The command: its output, exit codes and signals."""

import dataclasses
import io
import json
import logging
import os
import runpy
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import painted
from PIL import Image
from tqdm import tqdm

from nstyle import Config, __version__
from nstyle.__main__ import paint as paint_command
from nstyle.__main__ import view as view_command
from nstyle.commands.flags import build_parser
from nstyle.commands.log_lines import _LineHandler
from nstyle.commands.paint import main
from nstyle.commands.terminal import HungUp
from nstyle.networks.weights import read_weights
from nstyle.painting.result import Result
from nstyle.painting.stylize import run
from nstyle.pictures.encode import write_picture
from nstyle.pictures.picture import Picture

ROOT = Path(__file__).parent.parent


@pytest.fixture
def flags(pair: tuple[Path, Path], tmp_path: Path) -> list[str]:
    content, style = map(str, pair)
    return [
        *("--content-image", content, "--style-image", style, "--output-dir", str(tmp_path / "output")),
        *("--max-long-edge", "32", "--max-num-epochs", "12"),
    ]


def test_log_lines_where_nobody_watches(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0].startswith("painting 32x21 pixels in float32 on cpu (")
    assert lines[1].startswith("epoch 1 of at most 12: relative change 0.")
    assert lines[2].startswith("epoch 10 of at most 12: ")
    assert lines[3] == f"done after 12 epochs (epochs): {tmp_path / 'output' / 'final.jpg'}"
    assert len(lines) == 4


def test_quiet_says_nothing(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*flags, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_verbose_says_everything(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*flags, "--verbose", "--save-epochs", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("epoch ") for line in lines) == 12
    assert f"wrote {tmp_path / 'output' / 'e_5.jpg'}" in lines


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_bar_on_a_terminal(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(flags) == 0
    shown = terminal.getvalue()
    assert "12/12" in shown
    assert "change=" in shown
    assert "loss=" in shown
    assert "lr=0.001" in shown
    assert "epoch 10 of" not in shown
    # If scales have different numbers of epochs, the bar's total is their sum from the start.
    assert (
        main([*flags, "--overwrite", "--max-long-edge", "48", "--coarsest-edge", "24", "--max-num-epochs", "3,2"])
        == 0
    )
    bars = terminal.getvalue().removeprefix(shown)
    assert "0/5" in bars
    assert "5/5" in bars


def test_closed_output_does_not_stop_the_painting(flags: list[str], tmp_path: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "nstyle", *flags, "--verbose"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    error = command.stderr.read()
    command.stderr.close()
    assert command.wait() == 0, error
    assert error == ""
    assert (tmp_path / "output" / "final.jpg").exists()


def test_warns_of_bfloat16_that_is_emulated(
    flags: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.storage.record.has_native_bfloat16", lambda device: False)
    assert main([*flags, "--precision", "bfloat16", "--max-num-epochs", "1"]) == 0
    assert "--precision float32 would be faster" in capsys.readouterr().out


def test_says_that_the_weights_are_foreign(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = read_weights().tensors
    torch.save({**tensors, "conv1_1.weight": tensors["conv1_1.weight"] * 2}, tmp_path / "mine.pth")
    assert main([*flags, "--weights", str(tmp_path / "mine.pth"), "--max-num-epochs", "1"]) == 0
    assert "mine.pth: not the original VGG-19" in capsys.readouterr().out


def test_no_argument_at_all_paints_the_sample_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def painted_small(config: Config, **options: Any) -> Result:
        assert config == Config()
        return run(dataclasses.replace(config, output_dir=tmp_path, max_long_edge=32, max_num_epochs=1), **options)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("nstyle.painter.run.run", painted_small)
    assert main([]) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["inputs"]["content_image"]["path"] == str(ROOT / "input" / "chelsea.jpg")
    assert record["inputs"]["style_image"]["path"] == str(ROOT / "input" / "vortices.jpg")
    assert (tmp_path / "final.jpg").exists()


def test_both_spellings_of_the_references_flag() -> None:
    for name in ("--output_dir", "--output-dir"):
        assert build_parser().parse([name, "there"]).output_dir == "there"


def test_gpu_minus_1_is_the_cpu(flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert main([*flags, "--gpu", "-1", "--max-num-epochs", "1", "--quiet"]) == 0
    assert json.loads((tmp_path / "output" / "run.json").read_text())["device"] == "cpu"


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("flags", [["--help"], ["--version"], ["--lr", "nan"], ["--lr", "x"]])
def test_help_version_and_bad_flags_answer_without_torch(flags: Sequence[str]) -> None:
    """Importing torch takes a second; numpy and Pillow take a good part of one."""
    done = run_python(f"""
        import sys
        from nstyle.commands.paint import main
        try:
            code = main({flags!r})
        except SystemExit as stop:
            code = stop.code
        heavy = {{"torch", "numpy", "skimage", "PIL", "tqdm"}} & set(sys.modules)
        print(code, heavy or "nothing heavy")
    """)
    assert done.stdout.endswith(("0 nothing heavy\n", "2 nothing heavy\n")), done


def test_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nstyle", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"nstyle {__version__}\n"


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_keep_the_picture_so_far(
    sent: signal.Signals, expected: int, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    content, style = map(str, pair)
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "nstyle", "--content-image", content, "--style-image", style),
            *("--output-dir", str(output), "--max-long-edge", "32", "--max-num-epochs", "1000000"),
            *("--stop-eps", "0", "--verbose"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    for line in command.stdout:
        if line.startswith("epoch 3 "):
            break
    command.send_signal(sent)
    _, error = command.communicate()
    assert command.returncode == expected
    assert error.count("\n") == 1
    assert f"epochs is {output / 'final.jpg'}" in error
    with Image.open(output / "final.jpg") as picture:
        picture.load()
        assert picture.size == (32, 21)
    record = json.loads((output / "run.json").read_text())
    assert record["stop_reason"] == "interrupted"
    assert record["epochs"] >= 3
    assert len((output / "epochs.csv").read_text().splitlines()) in (record["epochs"], record["epochs"] + 1)
    assert not list(output.glob(".*"))


def test_signals_while_the_picture_is_being_saved(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals while nstyle saves wait until it has saved; the first one then ends the command."""
    signals = [signal.SIGTERM, signal.SIGINT]

    def interrupted(path: Path, picture: Picture, **options: Any) -> None:
        while signals:
            signal.raise_signal(signals.pop(0))
        write_picture(path, picture, **options)

    monkeypatch.setattr("nstyle.painting.observers.write_picture", interrupted)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main([*flags, "--quiet"]) == 143
    assert not signals
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert f"the picture after 12 epochs is {tmp_path / 'output' / 'final.jpg'}" in capsys.readouterr().err
    with Image.open(tmp_path / "output" / "final.jpg") as picture:
        picture.load()
    assert json.loads((tmp_path / "output" / "run.json").read_text())["epochs"] == 12


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| head -n 1"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_does_not_stop_the_painting(
    redirection: str, flags: list[str], tmp_path: Path
) -> None:
    line = shlex.join([sys.executable, "-m", "nstyle", *flags, "--verbose"])
    done = subprocess.run(
        ["/bin/sh", "-c", f"{{ {line}; echo $? >{shlex.quote(str(tmp_path / 'code'))}; }} {redirection}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ((tmp_path / "code").read_text(), done.stderr) == ("0\n", "")
    assert (tmp_path / "output" / "final.jpg").exists()


def test_names_that_the_terminal_cannot_show(flags: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nstyle", *flags, "--max-num-epochs", "1", "--output-dir", str(tmp_path / "Ümlaut")],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xdcmlaut" in done.stdout


def test_an_interrupt_before_anything_is_painted(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nstyle.networks.model.read_weights", interrupt)
    assert main(flags) == 130
    assert capsys.readouterr().err == "nstyle: error: interrupted\n"
    assert not (tmp_path / "output").exists()


def test_odd_file_names(tmp_path: Path) -> None:
    content, style = tmp_path / "ein Bild (mit Ümlaut) %s.png", tmp_path / "-style.png"
    painted(20, 20).save(content)
    painted(20, 20).save(style)
    folder = tmp_path / "a b" / "c"
    assert (
        main(
            [
                *(f"--content-image={content}", f"--style-image={style}", f"--output-dir={folder}"),
                *("--max-long-edge", "20", "--max-num-epochs", "1", "--quiet"),
            ]
        )
        == 0
    )
    assert (folder / "final.jpg").exists()


@pytest.mark.parametrize(("start", "command"), [(paint_command, "nstyle"), (view_command, "nstyle-view")])
def test_an_interrupt_while_the_command_is_imported_takes_one_line(
    start: Callable[[], int], command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def find_spec(self, *_: object) -> None:
            raise KeyboardInterrupt

    for name in ("nstyle.commands.paint", "nstyle.commands.view"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted()])
    exit_code = start()
    monkeypatch.undo()
    assert (exit_code, capsys.readouterr().err) == (130, f"{command}: error: interrupted\n")


def test_a_signal_during_the_first_line_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes while tqdm makes its lock."""

    def hang_up() -> None:
        raise HungUp

    monkeypatch.delattr(tqdm, "_lock", raising=False)
    monkeypatch.setattr("tqdm.std.TqdmDefaultWriteLock", hang_up)
    with pytest.raises(HungUp):
        _LineHandler().emit(logging.makeLogRecord({"msg": "painting"}))


def test_module_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["nstyle", "--lr", "nan"])
    monkeypatch.delitem(sys.modules, "nstyle.__main__")
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("nstyle", run_name="__main__")
    assert stopped.value.code == 2
