"""What a run does with the files in its folder: whose they are; new ones stand before old ones go."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from recipes import recipe
from refusals import refuses
from test_resume import files

from nstyle import Config, DivergenceError, ImageError, OutputError, stylize
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.losses.objective import Objective
from nstyle.storage.layout import is_staging
from nstyle.storage.run_folder import RunFolder

SMALL: dict[str, Any] = {
    "max_long_edge": 24,
    "max_num_epochs": 4,
    "save_epochs": 2,
    "image_format": "png",
    "model": "filters",
}
OTHER = {**SMALL, "lr": 0.002}
FACTS = [*recipe(Config()).facts(), "stop_reason"]
NAMES = ["e_2.png", "e_4.png", "epochs.csv", "final.png", "run.json", "state.npz"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def whole(folder: Path) -> dict[str, bytes]:
    """The bytes of all files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def flags(pair: tuple[Path, Path], output: Path, *more: str) -> list[str]:
    given = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--output-dir", str(output)]
    given += ["--max-long-edge", "24", "--max-num-epochs", "4", "--save-epochs", "2", "--image-format", "png"]
    return [*given, "--model", "filters", *more]


@pytest.fixture
def output(pair: tuple[Path, Path], tmp_path: Path) -> Path:
    """The folder of a finished run."""
    folder = tmp_path / "output"
    stylize(*pair, output_dir=folder, **SMALL)
    return folder


def test_the_record_names_the_pictures(output: Path) -> None:
    assert names(output) == NAMES
    assert record(output)["pictures"] == ["e_2.png", "e_4.png", "final.png"]


def test_a_picture_is_named_before_it_is_written(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object, **__: object) -> None:
        assert path.name in record(path.parent)["pictures"]
        raise ZeroDivisionError

    monkeypatch.setattr("nstyle.painting.observers.write_picture", fail)
    with pytest.raises(ZeroDivisionError):
        stylize(*pair, output_dir=tmp_path / "output", **SMALL)


# A finished run.


def test_a_finished_run_is_said_to_be_finished(
    pair: tuple[Path, Path], output: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = whole(output)
    with monkeypatch.context() as patched:
        patched.setattr(Objective, "gradient", None)
        assert main(flags(pair, output)) == 0
        assert f"already finished: {output / 'final.png'}; add --overwrite" in capsys.readouterr().out
        assert main(flags(pair, output, "--resume")) == 0
    assert whole(output) == before
    assert main(flags(pair, output, "--overwrite")) == 0
    assert "done after 4 epochs" in capsys.readouterr().out
    assert whole(output) != before  # the times
    assert (output / "final.png").read_bytes() == before["final.png"]


def test_the_same_call_on_a_finished_run_paints_nothing(pair: tuple[Path, Path], output: Path) -> None:
    epochs: list[int] = []
    again = stylize(*pair, lambda step: epochs.append(step.epoch), output_dir=output, **SMALL)
    assert (epochs, again.epochs, again.stop_reason) == ([], 4, "epochs")


def test_the_same_call_continues_an_unfinished_run(pair: tuple[Path, Path], output: Path, tmp_path: Path) -> None:
    epochs: list[int] = []

    def interrupt(step: Any) -> None:
        epochs.append(step.epoch)
        if len(epochs) in (3, 4):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            stylize(*pair, interrupt, output_dir=tmp_path / "cut", **SMALL)
    stylize(*pair, interrupt, output_dir=tmp_path / "cut", **SMALL)
    assert epochs == [0, 1, 2, 3]
    assert files(tmp_path / "cut") == files(output)


def test_a_checkpoint_that_cannot_be_used_costs_the_epochs_but_not_the_picture(
    pair: tuple[Path, Path], output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (output / "state.npz").write_bytes(b"damaged")
    before = whole(output)
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, interrupted_after(3), output_dir=output, **SMALL)
    assert "state.npz cannot be continued" in caplog.text
    assert whole(output) == before  # 3 epochs are less than the 4 of the earlier run
    assert stylize(*pair, output_dir=output, **SMALL).epochs == 4


# Replacing.


def interrupted_after(epochs: int) -> Any:
    def callback(step: Any) -> None:
        if step.epoch + 1 == epochs:
            raise KeyboardInterrupt

    return callback


def test_the_earlier_run_stays_until_the_new_one_has_a_picture(pair: tuple[Path, Path], output: Path) -> None:
    before = whole(output)
    seen = []

    def look(step: Any) -> None:
        found = {name: (output / name).read_bytes() for name in before if (output / name).exists()}
        seen.append(found == before)
        if step.snapshot is not None:
            assert step.snapshot == output / f"e_{step.epoch + 1}.png"
            assert step.snapshot.exists()
            assert [name for name in names(output) if name != "e_4.png"] == [
                "e_2.png",
                "epochs.csv",
                "run.json",
                "run.lock",
                "state.npz",
            ]
            assert record(output)["stop_reason"] == "running"
            assert "replaces" not in record(output)

    stylize(*pair, look, output_dir=output, overwrite=True, **OTHER)
    assert seen == [True, False, False, False]
    assert names(output) == NAMES
    assert record(output)["settings"]["lr"] == 0.002
    assert len((output / "epochs.csv").read_text().splitlines()) == 5


def test_no_step_names_a_snapshot_in_the_hidden_folder(pair: tuple[Path, Path], output: Path) -> None:
    seen: list[Path | None] = []
    longer = {**SMALL, "max_num_epochs": 5, "save_epochs": 1}
    stylize(*pair, lambda step: seen.append(step.snapshot), output_dir=output, overwrite=True, **longer)
    again: list[Path | None] = []
    stylize(*pair, lambda step: again.append(step.snapshot), output_dir=output, overwrite=True, **longer)
    assert seen == [output / f"e_{epoch}.png" for epoch in range(1, 6)]
    assert again == [None] * 4 + [output / "e_5.png"]  # it has to reach the 5 epochs of the earlier run


def test_files_of_the_earlier_run_go_and_no_others(pair: tuple[Path, Path], output: Path) -> None:
    for name in ("e_6.jpg", "final.webp", "notes.txt"):
        (output / name).write_bytes(b"somebody's")
    stylize(*pair, output_dir=output, overwrite=True, **{**OTHER, "save_epochs": 3})
    assert names(output) == sorted({*NAMES, "e_3.png", "e_6.jpg", "final.webp", "notes.txt"} - {"e_2.png", "e_4.png"})
    stylize(*pair, output_dir=output, overwrite=True, **{**OTHER, "image_format": "tiff"})
    theirs = ["e_6.jpg", "final.webp", "notes.txt"]
    assert names(output) == sorted(["e_2.tiff", "e_4.tiff", "final.tiff", *NAMES[2:3], *NAMES[4:], *theirs])


@pytest.mark.parametrize("error", [ZeroDivisionError, OutputError, DivergenceError])
def test_a_failure_leaves_the_earlier_run_whole(
    error: type[Exception], pair: tuple[Path, Path], output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("broken")

    before = whole(output)
    with monkeypatch.context() as patched:
        if error is OutputError:
            patched.setattr("nstyle.painting.observers.write_picture", fail)
        elif error is DivergenceError:
            patched.setattr("nstyle.painting.run.descend", fail)
        else:
            patched.setattr(Objective, "gradient", fail)
        with pytest.raises(error):
            stylize(*pair, output_dir=output, overwrite=True, **OTHER)
    assert whole(output) == before


def test_an_interrupted_run_replaces_one_of_other_settings(pair: tuple[Path, Path], output: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as interrupt:
        stylize(*pair, interrupted_after(1), output_dir=output, overwrite=True, **OTHER)
    assert "the picture after 1 epoch is" in interrupt.value.__notes__[0]
    assert names(output) == ["epochs.csv", "final.png", "run.json", "state.npz"]
    assert (record(output)["stop_reason"], record(output)["epochs"]) == ("interrupted", 1)


def test_an_interrupted_run_does_not_replace_more_epochs_of_the_same(pair: tuple[Path, Path], output: Path) -> None:
    before = whole(output)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        stylize(*pair, interrupted_after(3), output_dir=output, overwrite=True, **SMALL)
    assert interrupt.value.__notes__ == [f"the earlier run in {output} stays as it was"]
    assert whole(output) == before


KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from nstyle.files import replacing
from nstyle.storage.recipe import read_recipe
from nstyle.storage.run_folder import RunFolder

kept, new, output = map(Path, sys.argv[1:])
assert "torch" not in sys.modules  # so that this may fork

def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}

def replace():
    folder = RunFolder(output, "png", [])
    folder.make_way_for(read_recipe(new / "run.json"), overwrite=True)
    for path in new.iterdir():
        shutil.copy(path, folder.staging)
    def write(more):
        with replacing(folder.record) as file:
            file.write(json.dumps(json.loads((new / "run.json").read_bytes()) | more).encode())
    folder.replace_earlier_run(write)

def killing(function, moment):
    def call(*given, **options):
        killing.count += 1
        if killing.count == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **options)
    return call

moment, found, killing.count = 0, [], 0
while True:
    moment += 1
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(kept, output)
    if (child := os.fork()) == 0:
        for owner, name in ((os, "rename"), (os, "replace"), (os, "unlink"), (os, "rmdir"), (os, "mkdir")):
            setattr(owner, name, killing(getattr(owner, name), moment))
        replace()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    with RunFolder(output, "png", []).owned():
        pass
    left = contents(output)
    record = json.loads(left.pop("run.json"))
    assert "replaces" not in record
    was, now = contents(kept), contents(new)
    was.pop("run.json"), now.pop("run.json")
    found.append("old" if left == was else "new" if left == now else f"torn: {sorted(left)}")
    assert record["settings"]["lr"] == (0.001 if found[-1] == "old" else 0.002), record["settings"]["lr"]
    if status == 0:
        break
    assert status == signal.SIGKILL
print(json.dumps(found))
"""


@pytest.mark.parametrize("is_finished", [False, True])
def test_killed_at_every_moment_of_a_replacement(
    is_finished: bool, pair: tuple[Path, Path], output: Path, tmp_path: Path
) -> None:
    """SIGKILL before each rename and deletion: after the next start, the old run or the new one is there, whole."""
    other = tmp_path / "other"
    stylize(*pair, output_dir=other, **{**OTHER, "save_epochs": 3})
    if not is_finished:
        (other / "final.png").unlink()
    given = [sys.executable, "-c", KILLED, str(output), str(other), str(tmp_path / "place")]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    olds = found.count("old")
    assert found == ["old"] * olds + ["new"] * (len(found) - olds)
    assert olds > 1
    assert len(found) - olds > 5


# Files that are not nstyle's.


@pytest.mark.parametrize("name", ["final.png", "e_50.png", "epochs.csv", "state.npz", "run.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_strangers_file_is_never_replaced(
    name: str, overwrite: bool, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / name).write_bytes(b'{"name": "of another program"}')
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / name, flag="--output-dir"):
        stylize(*pair, output_dir=output, overwrite=overwrite, **SMALL)
    assert whole(output) == {name: b'{"name": "of another program"}'}


def test_a_strangers_picture_among_those_of_a_run(pair: tuple[Path, Path], output: Path) -> None:
    Image.new("RGB", (9, 9)).save(output / "e_6.png")
    before = whole(output)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / "e_6.png", flag="--output-dir"):
        stylize(*pair, output_dir=output, overwrite=True, **OTHER)
    assert whole(output) == before


def test_the_record_of_an_older_nstyle_names_no_pictures(pair: tuple[Path, Path], output: Path) -> None:
    facts = record(output)
    del facts["pictures"]
    (output / "run.json").write_text(json.dumps(facts))
    Image.new("RGB", (9, 9)).save(output / "e_6.png")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / "e_6.png", flag="--output-dir"):
        stylize(*pair, output_dir=output, overwrite=True, **OTHER)
    (output / "e_6.png").unlink()
    stylize(*pair, output_dir=output, overwrite=True, **{**OTHER, "save_epochs": 3})
    assert names(output) == ["e_3.png", "epochs.csv", "final.png", "run.json", "state.npz"]


def test_the_record_of_a_newer_nstyle(pair: tuple[Path, Path], output: Path) -> None:
    facts = record(output)
    facts["settings"]["of_the_future"] = 1
    (output / "run.json").write_text(json.dumps(facts))
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output, flag="--output-dir") as refused:
        stylize(*pair, output_dir=output, **SMALL)
    assert "of_the_future" in str(refused.value)
    assert stylize(*pair, output_dir=output, overwrite=True, **SMALL).epochs == 4


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "precious")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["final.png", "e_50.png", "epochs.csv", "state.npz", "run.json", "run.lock"])
@pytest.mark.parametrize("make", [Path.mkdir, make_pipe, make_link], ids=["folder", "pipe", "link"])
@pytest.mark.parametrize("more", [{}, {"overwrite": True}, {"resume": True}], ids=str)
def test_what_is_not_a_file_is_told_in_one_line(
    name: str, make: Any, more: dict[str, Any], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("keep")
    make(output / name)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / name, flag="--output-dir") as refused:
        stylize(*pair, **{**SMALL, **more, "output_dir": output})
    assert "a link" in str(refused.value) or name == "run.lock"
    assert names(output) == [name]
    assert precious.read_text() == "keep"


def test_a_pipe_in_a_finished_run_is_told(
    pair: tuple[Path, Path], output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("run.json", "final.png"):
        content = (output / name).read_bytes()
        (output / name).unlink()
        os.mkfifo(output / name)
        assert main(flags(pair, output)) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert str(output / name) in error
        (output / name).unlink()
        (output / name).write_bytes(content)


@pytest.mark.parametrize("cell", ["", "nan", "x", "1e999", "-7", '"', "\0", "é"])
@pytest.mark.parametrize("column", [0, 2, -1])
def test_a_damaged_cell_in_the_epochs(
    cell: str, column: int, pair: tuple[Path, Path], output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run is made longer. Its table still increases, and has the new epochs."""
    header, *lines = (output / "epochs.csv").read_text().splitlines()
    cells = lines[1].split(",")
    cells[column] = cell
    lines[1] = ",".join(cells)
    (output / "epochs.csv").write_text("\n".join([header, *lines]) + "\n", encoding="latin-1")
    stylize(*pair, output_dir=output, resume=True, **{**SMALL, "max_num_epochs": 6})
    found, *rows = (output / "epochs.csv").read_text().splitlines()
    epochs = [int(row.split(",")[0]) for row in rows]
    assert found == header
    assert epochs == sorted(set(epochs))
    assert epochs[-2:] == [4, 5]
    assert len(epochs) >= 4 or "damaged" in caplog.text


# What killed runs leave.


def test_leftovers_of_a_killed_run_go(tmp_path: Path) -> None:
    gone = [f".final.jpg.{'a' * 16}.tmp", f".e_50.png.{'0' * 16}.tmp", f".state.npz.{'9' * 16}.tmp"]
    kept = [f".notes.txt.{'a' * 16}.tmp", ".e_5.jpg.abc.tmp", "e_5.tmp", ".run-notes"]
    for name in (*gone, *kept):
        (tmp_path / name).write_text("half")
    (tmp_path / ".run-0123456789abcdef").mkdir()
    (tmp_path / ".run-0123456789abcdef" / "e_2.png").write_text("half")
    assert is_staging(".run-0123456789abcdef")
    with RunFolder(tmp_path, "jpg", []).owned():
        assert names(tmp_path) == sorted([*kept, "run.lock"])
    assert names(tmp_path) == sorted(kept)


def test_a_forged_replacement_deletes_no_other_files(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "run", tmp_path / ".run-0123456789abcdef"
    folder.mkdir()
    elsewhere.mkdir()
    for path in (folder / "notes.txt", tmp_path / "e_2.png", elsewhere / "e_3.png"):
        path.write_text("keep")
    (folder / ".run-0123456789abcdef").symlink_to(elsewhere)
    names_ = ["notes.txt", "../e_2.png", "../.run-0123456789abcdef/e_3.png"]
    for staging in (".run-0123456789abcdef", "../.run-0123456789abcdef"):
        facts = {**recipe(Config()).facts(), "replaces": {"staging": staging, "files": names_}}
        (folder / "run.json").write_text(json.dumps(facts))
        with RunFolder(folder, "jpg", []).owned():
            pass
        assert (folder / "notes.txt").exists()
        assert (tmp_path / "e_2.png").exists()
        assert (elsewhere / "e_3.png").exists()


@pytest.mark.parametrize(
    "fact", [*recipe(Config()).facts(), "pictures", "replaces", "files", "epochs", "stop_reason"]
)
@pytest.mark.parametrize("value", [None, 5, 0.5, True, "x", [], [5], [None], {}, {"x": 5}, {"size": []}], ids=repr)
def test_a_fact_of_a_wrong_type(fact: str, value: Any, tmp_path: Path) -> None:
    facts: dict[str, Any] = {**recipe(Config()).facts(), fact: value}
    if fact == "files":
        facts["replaces"] = {"staging": ".run-0123456789abcdef", "files": value}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    folder = RunFolder(tmp_path, "png", [])
    with folder.owned():
        folder.check(recipe(Config()), continues=False)
        folder.make_way_for(recipe(Config()), overwrite=True)
        folder.former_pictures()
        assert folder.finished_run() is None
    assert "run.json" in names(tmp_path)


@pytest.mark.parametrize("resume", [False, True])
def test_a_damaged_record_is_named(pair: tuple[Path, Path], output: Path, resume: bool) -> None:
    (output / "run.json").write_bytes((output / "run.json").read_bytes()[:100])
    before = whole(output)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / "run.json", flag="--output-dir"):
        stylize(*pair, output_dir=output, resume=resume, **SMALL)
    assert whole(output) == before


def test_a_run_is_refused_by_another_whose_pictures_were_moved_away(pair: tuple[Path, Path], output: Path) -> None:
    for moved in (("e_2.png", "e_4.png", "final.png"), ("state.npz",)):
        for name in moved:
            (output / name).unlink()
        before = whole(output)
        with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output, flag="--output-dir"):
            stylize(*pair, output_dir=output, **OTHER)
        assert whole(output) == before
    assert stylize(*pair, output_dir=output, overwrite=True, **OTHER).epochs == 4


def test_a_lost_record_does_not_cost_the_run(pair: tuple[Path, Path], output: Path) -> None:
    """The checkpoint vouches for itself and for the pictures with its recipe."""
    (output / "run.json").unlink()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / "e_2.png", flag="--output-dir"):
        stylize(*pair, output_dir=output, **SMALL)
    assert stylize(*pair, output_dir=output, resume=True, **{**SMALL, "max_num_epochs": 5}).epochs == 5
    assert record(output)["pictures"] == ["e_2.png", "e_4.png", "final.png"]


def test_a_folder_of_the_user_is_not_deleted(tmp_path: Path) -> None:
    for name in (".run-archives", ".run-0123456789abcdef"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.jpg").write_text("keep")
    (tmp_path / ".run-archives" / "final.jpg").write_text("keep")
    with RunFolder(tmp_path, "jpg", []).owned():
        pass
    assert names(tmp_path / ".run-archives") == ["final.jpg", "photo.jpg"]
    assert names(tmp_path / ".run-0123456789abcdef") == ["photo.jpg"]


def forged_replacement(folder: Path, *new: str) -> None:
    """Make a record that replaces, and a hidden folder with these new files."""
    (folder / ".run-0123456789abcdef").mkdir(parents=True)
    for name in new:
        (folder / ".run-0123456789abcdef" / name).write_text("new")
    replaces = {"staging": ".run-0123456789abcdef", "files": []}
    (folder / "run.json").write_text(json.dumps({**recipe(Config()).facts(), "replaces": replaces}))


def test_a_forged_replacement_moves_no_other_files(tmp_path: Path) -> None:
    forged_replacement(tmp_path, "photo.jpg", "final.jpg")
    (tmp_path / "photo.jpg").write_text("keep")
    with RunFolder(tmp_path, "jpg", []).owned():
        pass
    assert (tmp_path / "photo.jpg").read_text() == "keep"
    assert (tmp_path / "final.jpg").read_text() == "new"


def test_a_folder_in_the_way_of_a_replacement_is_named(tmp_path: Path) -> None:
    forged_replacement(tmp_path, "final.jpg")
    (tmp_path / "final.jpg").mkdir()
    with (
        refuses(OutputError, kind=Kind.IN_THE_WAY, path=tmp_path / "final.jpg", flag="--output-dir"),
        RunFolder(tmp_path, "jpg", []).owned(),
    ):
        pass


def test_an_input_that_is_a_link_to_the_picture_is_not_overwritten(
    pair: tuple[Path, Path], output: Path, tmp_path: Path
) -> None:
    link = tmp_path / "photo.png"
    link.symlink_to(output / "final.png")
    before = whole(output)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=link, flag="--output-dir"):
        stylize(link, pair[1], output_dir=output, overwrite=True, **SMALL)
    assert whole(output) == before


@pytest.mark.parametrize("more", [[], ["--resume"]], ids=str)
def test_a_retouched_picture_is_not_replaced(
    more: list[str], pair: tuple[Path, Path], output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(output / "final.png") as picture:
        Image.frombytes(picture.mode, picture.size, picture.tobytes()).save(output / "final.png")
    before = whole(output)
    assert main(flags(pair, output, *more)) == 1
    error = capsys.readouterr().err
    assert f"{output / 'final.png'} was saved by another program since the run" in error
    assert error.count("\n") == 1
    assert whole(output) == before
    assert main(flags(pair, output, "--overwrite")) == 0
    assert whole(output) != before


def test_an_empty_folder_goes_only_if_the_run_made_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "of the user").mkdir()
    for name in ("new", "of the user"):
        with pytest.raises(ImageError):
            stylize(*pair, output_dir=tmp_path / name, max_long_edge=16)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "of the user").is_dir()
