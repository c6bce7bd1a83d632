"""The command nstyle-view: its files, output and exit codes."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_runs import change_record, fake_batch, fake_run, finish_run
from PIL import Image
from test_view_page import Page

from nstyle import __version__
from nstyle.commands.paint import main as paint
from nstyle.commands.view import build_parser, main

ROOT = Path(__file__).parent.parent
COMMAND = "import sys; from nstyle.commands.view import main; sys.exit(main())"


def test_what_nstyle_has_painted(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "output"
    content, style = map(str, pair)
    painting = ["--content-image", content, "--style-image", style, "--output-dir", str(folder), "--quiet"]
    assert paint([*painting, "--max-long-edge", "32", "--max-num-epochs", "5", "--save-epochs", "2"]) == 0
    assert main([str(folder)]) == 0
    assert capsys.readouterr() == (f"the page: {(folder / 'index.html').as_uri()}\n", "")
    page = Page(folder / "index.html")
    assert [each["name"] for each in page.facts["snapshots"]] == ["e_2.jpg", "e_4.jpg", "final.jpg"]
    assert page.facts["curves"]["epoch"] == [1, 2, 3, 4, 5]
    assert all(value > 0 for value in page.facts["curves"]["loss"])
    assert "content in the style of style" in page.text
    assert sum(1 for tag, each in page.elements if tag == "img" and each.get("src")) == 2


def test_the_folder_is_output_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_run(tmp_path / "output")
    monkeypatch.chdir(tmp_path)
    assert main(["--quiet"]) == 0
    assert (tmp_path / "output" / "index.html").exists()


def test_everything_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake_run(tmp_path / "run")
    there = tmp_path / "there"
    assert main([str(folder), "--gif", "--mp4", "--sheet", "--output-dir", str(there)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [f"wrote {there / name}" for name in ("film.gif", "film.mp4", "sheet.png")]
    assert sorted(path.name for path in there.iterdir()) == ["film.gif", "film.mp4", "index.html", "sheet.png"]
    assert {"film.gif", "film.mp4", "sheet.png"} <= set(Page(there / "index.html").links())


def test_films_of_a_batch(tmp_path: Path) -> None:
    batch = fake_batch(tmp_path / "batch")
    assert main([str(batch), "--gif", "--sheet", "--quiet"]) == 0
    for name in ("cat_waves", "dog_waves"):
        with Image.open(batch / name / "film.gif") as film:
            assert getattr(film, "n_frames", 1) == 5
        assert "film.gif" in Page(batch / name / "index.html").links()
    assert (batch / "sheet.png").exists()


def test_watching_ends_with_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake_run(tmp_path / "run")
    assert main([str(folder), "--watch", "--gif"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["the run has ended", f"wrote {folder / 'film.gif'}"]


@pytest.mark.parametrize(
    ("sent", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_the_watching(sent: signal.Signals, code: int, word: str, tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=3, stop_reason="running")
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder), "--watch"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with command:
        assert command.stdout is not None
        assert command.stdout.readline().startswith("the page: file:///")
        command.send_signal(sent)
        _, error = command.communicate()
    assert (command.returncode, error) == (code, f"nstyle-view: error: {word}\n")
    assert Page(folder / "index.html").facts["snapshots"]


def test_another_process_sees_the_end(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=3, stop_reason="running")
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder), "--watch", "--every", "0.1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with command:
        assert command.stdout is not None
        assert command.stdout.readline().startswith("the page: ")
        finish_run(folder, 3)
        assert command.communicate()[0] == "the run has ended\n"
    assert command.returncode == 0
    assert Page(folder / "index.html").facts["snapshots"][-1]["final"]


@pytest.mark.parametrize(
    ("flags", "code", "named"),
    [
        (["nowhere"], 1, "nowhere"),
        (["run", "--output-dir", "file"], 1, "file"),
        (["started", "--gif"], 1, "started"),
        (["started", "--sheet"], 1, "started/sheet.png"),
        (["empty batch", "--gif"], 1, "empty batch"),
        (["run", "--every", "0"], 2, "--every"),
        (["run", "--every", "nan"], 2, "--every"),
        (["run", "--every", "1e300"], 2, "--every"),
        (["run", "--every", "x"], 2, "--every"),
        (["run", "--gi"], 2, "--gi"),
        (["run", "another\nrun"], 2, r"another\nrun"),
    ],
)
def test_complaints_are_one_line(
    flags: list[str],
    code: int,
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    fake_run(tmp_path / "run")
    change_record(fake_run(tmp_path / "started", epochs=0, stop_reason="running"), inputs={})
    fake_run(tmp_path / "empty batch" / "a", epochs=0, stop_reason="running")
    (tmp_path / "file").touch()
    ended: object
    try:
        ended = main(flags)
    except SystemExit as stop:
        ended = stop.code
    error = capsys.readouterr().err
    assert ended == code
    assert error.startswith("nstyle-view: error: ")
    assert named in error
    assert error.count("\n") == 1
    assert error.endswith("(nstyle-view --help lists the flags)\n") == (code == 2)


def test_mp4_without_ffmpeg(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    folder = fake_run(tmp_path / "run")
    assert main([str(folder), "--mp4"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("nstyle-view: error: ")
    assert "pip install 'nstyle[video]'" in error
    assert error.count("\n") == 1
    assert not (folder / "index.html").exists()


@pytest.mark.parametrize("flags", [["--help"], ["--version"], ["--every", "0"]])
def test_help_version_and_bad_flags_answer_at_once(flags: Sequence[str]) -> None:
    done = run_python(f"""
        import sys
        from nstyle.commands.view import main
        try:
            code = main({flags!r})
        except SystemExit as stop:
            code = stop.code
        heavy = {{"torch", "numpy", "skimage", "PIL", "tqdm"}} & set(sys.modules)
        print(code, heavy or "nothing heavy")
    """)
    assert done.stdout.endswith(("0 nothing heavy\n", "2 nothing heavy\n")), done


def test_torch_is_not_needed(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    done = run_python(f"""
        import sys
        from nstyle.commands.view import main
        print(main([{str(folder)!r}, "--gif", "--sheet", "--quiet"]), "torch" in sys.modules)
    """)
    assert done.stdout == "0 False\n", done


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"nstyle-view {__version__}\n"


def test_every_flag_has_help_as_nstyles_have() -> None:
    helps = {name: action.help for action in build_parser()._actions for name in action.option_strings}
    assert (helps["--version"], helps["--help"]) == ("print the version", "print this help")
    assert all(helps.values()), helps


def test_a_folder_after_a_double_hyphen() -> None:
    assert build_parser().parse(["--", "--my_run"]).folder == Path("--my_run")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, str(folder), "--gif"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (folder / "film.gif").exists()
