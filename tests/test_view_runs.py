"""Reading a run folder in any state."""

import json
import math
from pathlib import Path

import pytest
from fake_runs import change_record, fake_batch, fake_run, header
from refusals import refuses

from nstyle.errors import Kind, RecordError
from nstyle.view.run_files import evenly, read_epochs
from nstyle.view.runs import read_folder, read_run


def names(folder: Path) -> list[str]:
    return [snapshot.path.name for snapshot in read_run(folder).snapshots]


def test_a_finished_run(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=13)
    run = read_run(folder)
    assert [snapshot.path.name for snapshot in run.snapshots] == [
        "e_3.jpg",
        "e_6.jpg",
        "e_9.jpg",
        "e_12.jpg",
        "final.jpg",
    ]
    assert [snapshot.epoch for snapshot in run.snapshots] == [3, 6, 9, 12, 13]
    assert (run.epochs, run.is_running, run.name) == (13, False, "run")
    assert [(source.label, source.path.name) for source in run.inputs] == [
        ("content", "run content.png"),
        ("style", "waves.png"),
    ]
    assert run.curves["epoch"] == list(range(1, 14))
    assert list(run.curves) == header(folder)


def test_pictures_of_an_earlier_run_in_the_same_folder_are_left_out(tmp_path: Path) -> None:
    """Epochs that this run has not reached or does not save, another format, and a final picture during the run."""
    folder = fake_run(tmp_path / "run", epochs=7, stop_reason="running")
    for name in ("e_9.jpg", "e_5.jpg", "e_0.jpg", "e_3.png", "e_3.jpg.tmp", "final.jpg", "xe_3.jpg", "index.html"):
        (folder / name).write_bytes(b"")
    assert names(folder) == ["e_3.jpg", "e_6.jpg"]
    change_record(folder, stop_reason="interrupted", epochs=7)
    assert names(folder) == ["e_3.jpg", "e_6.jpg", "final.jpg"]
    change_record(folder, settings={})
    assert names(folder)[:2] == ["e_3.jpg", "e_3.png"]


def test_pictures_from_before_a_resumed_run_saved_at_other_epochs_are_shown(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=7)
    (folder / "e_4.jpg").write_bytes(b"")  # of an earlier run
    change_record(folder, settings={"save_epochs": 5, "image_format": "jpg"})
    assert names(folder) == ["e_3.jpg", "e_6.jpg", "final.jpg"]


def test_an_end_before_the_first_epoch_has_no_picture(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=0, stop_reason="diverged")
    assert (folder / "final.jpg").exists()
    assert names(folder) == []


def test_a_run_that_has_just_started(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=0, stop_reason="running")
    (folder / "epochs.csv").unlink()
    run = read_run(folder)
    assert (run.epochs, run.is_running, run.snapshots) == (0, True, ())
    assert run.curves == {}


@pytest.mark.parametrize(
    "tail",
    [
        "3,0.5",
        "3",
        "3,1,0.5,1,1,1,1,1,1",
        "3,1,0.5,1,1,1,1,1,1,1,1,1\n",
        "\n",
        "\0\0\0\0",
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ],
)
def test_a_line_that_is_half_written_is_left_out(tail: str, tmp_path: Path) -> None:
    path = fake_run(tmp_path / "run", epochs=3) / "epochs.csv"
    with path.open("a") as file:
        file.write(tail)
    curves = read_epochs(path)
    assert curves["epoch"] == [1, 2, 3]
    assert {len(column) for column in curves.values()} == {3}


def test_a_header_that_is_half_written(tmp_path: Path) -> None:
    (tmp_path / "epochs.csv").write_text("epoch,relat")
    assert read_epochs(tmp_path / "epochs.csv") == {"epoch": []}


def test_what_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "epochs.csv").write_text("epoch,loss\n0,nan\n1,inf\n2,much\n")
    curves = read_epochs(tmp_path / "epochs.csv")
    assert curves["epoch"] == [1, 2, 3]
    assert math.isnan(curves["loss"][0])
    assert curves["loss"][1] == math.inf
    assert math.isnan(curves["loss"][2])


@pytest.mark.parametrize("epochs", ["0,1,0,1", "0,1,1,2", "0,x,2,3", "0,nan,inf,3"])
def test_epochs_that_do_not_grow_are_counted(epochs: str, tmp_path: Path) -> None:
    (tmp_path / "epochs.csv").write_text("epoch,loss\n" + "".join(f"{epoch},1\n" for epoch in epochs.split(",")))
    assert read_epochs(tmp_path / "epochs.csv")["epoch"] == [1, 2, 3, 4]


def test_a_record_of_which_little_is_known(tmp_path: Path) -> None:
    for strange in ({}, {"settings": 3, "inputs": [1], "epochs": "many", "stop_reason": None}):
        (tmp_path / "run.json").write_text(json.dumps(strange))
        run = read_run(tmp_path)
        assert (run.settings, run.inputs, run.epochs, run.snapshots) == ({}, (), 0, ())


def test_several_inputs_of_a_kind(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    change_record(
        folder, inputs={"mask": None, "blend_styles": [{"path": "a.png", "sha256": "1"}, {"path": "b.png"}]}
    )
    assert [(source.label, source.path.name) for source in read_run(folder).inputs] == [
        ("blend styles", "a.png"),
        ("blend styles", "b.png"),
    ]


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[]", b"[" * 100_000], ids=["cut", "no text", "no mapping", "far too deep"]
)
def test_a_damaged_record(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with refuses(RecordError, kind=Kind.DAMAGED, path=tmp_path / "run.json"):
        read_folder(tmp_path)


def test_a_record_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with refuses(RecordError, kind=Kind.UNREADABLE, path=tmp_path / "run.json"):
        read_folder(tmp_path)


def test_no_record(tmp_path: Path) -> None:
    with refuses(RecordError, kind=Kind.MISSING, path=tmp_path):
        read_folder(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with refuses(RecordError, kind=Kind.MISSING, path=tmp_path / "nowhere"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with refuses(RecordError, kind=Kind.UNREADABLE, path=tmp_path / "file"):
        read_folder(tmp_path / "file")


def test_a_batch(tmp_path: Path) -> None:
    batch = fake_batch(tmp_path / "batch")
    (batch / "broken").mkdir()
    (batch / "broken" / "run.json").write_text("{")
    run, others = read_folder(batch)
    assert run is None
    assert [other.name for other in others] == ["cat_waves", "dog_waves"]
    fake_run(batch)
    run, others = read_folder(batch)
    assert run is not None
    assert len(others) == 2


def test_an_even_choice() -> None:
    assert evenly("abc", 3) == ["a", "b", "c"]
    assert evenly(range(11), 3) == [0, 5, 10]
    chosen = evenly(range(1001), 400)
    assert (len(chosen), chosen[0], chosen[-1]) == (400, 0, 1000)
    assert chosen == sorted(set(chosen))
