"""Reading the record and the frames of a film, as written by nstyle or by a stranger."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fake_films import HEADER, add_frame, change_film, fake_film
from refusals import refuses

from nstyle.errors import Kind, RecordError
from nstyle.storage.film_record import FrameLine, read_film, read_frames
from nstyle.storage.layout import FILM_RECORD, FRAME_LOG, is_of_a_run


def test_a_film(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[6, 7, 1], frame_rate=23.976, lr=0.01)
    film = read_film(folder)
    assert (film.files, film.frames, film.frame_rate, film.size) == (("clip.mp4",), 12, 23.976, (32, 48))
    assert film.source == str((tmp_path / "clip.mp4").resolve())
    assert film.shots == ((1, 5), (6, 12))
    assert film.stop_reason == "epochs"
    assert film.settings["passes"] == 1
    assert film.recipe["settings"]["lr"] == 0.01
    lines = read_frames(folder, film.frames)
    assert [line.frame for line in lines] == [6, 7, 1]
    assert lines[1] == FrameLine(7, 2, 1, 20, 14.2857, 5.7143, 8.5714, 0.007, 1.5)
    assert lines[0].temporal_error is None
    assert lines[2].temporal_error is None


def test_a_films_files_are_watched() -> None:
    assert is_of_a_run(FILM_RECORD)
    assert is_of_a_run(FRAME_LOG)


def test_several_passes_are_all_read(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[1, 2])
    add_frame(folder, 2, number_of_pass=2)
    assert [(line.frame, line.number_of_pass) for line in read_frames(folder, 12)] == [(1, 1), (2, 1), (2, 2)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("frames", [0, -1, 2.5, True, "12", None, 10**9, int("9" * 30)]),
        ("frame_rate", [0, -24, "24", None, True, float("nan"), float("inf"), 1e9, []]),
        ("size", [[], [32], [32, 0], [32, 48, 3], [32.5, 48], "32x48", None, [10**6, 48], [[], {}]]),
        (
            "shots",
            [None, {}, [1, 5], [[1]], [[0, 5]], [[5, 1]], [[1, 5], [5, 9]], [[1, 13]], [["1", "5"]], [[1, None]]],
        ),
        ("source", [None, 3, ["clip.mp4"]]),
        ("files", [None, {}, "clip.mp4", [1], [None]]),
        ("settings", [None, [], "x"]),
        ("stop_reason", [None, 1, ["running"]]),
        ("kind", [None, "picture", {}]),
        ("recipe", [None, [], "recipe"]),
    ],
)
def test_values_that_no_film_has(name: str, values: list[Any], tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[])
    good = json.loads((folder / FILM_RECORD).read_text())
    for value in values:
        (folder / FILM_RECORD).write_text(json.dumps(good))
        change_film(folder, **{name: value})
        with refuses(RecordError, kind=Kind.DAMAGED, path=folder / FILM_RECORD) as refused:
            read_film(folder)
        assert "\n" not in str(refused.value)
        if name not in ("kind", "recipe"):
            assert name in str(refused.value)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"kind": "film"}', '{"kind": "film", "film": [], "recipe": {}}']
)
def test_files_that_are_no_record(content: str, tmp_path: Path) -> None:
    (tmp_path / FILM_RECORD).write_text(content)
    with refuses(RecordError, kind=Kind.DAMAGED, path=tmp_path / FILM_RECORD):
        read_film(tmp_path)


def test_a_record_that_is_missing_too_large_or_a_link(tmp_path: Path) -> None:
    with refuses(RecordError, kind=Kind.MISSING, path=tmp_path) as refused:
        read_film(tmp_path)
    assert "contains no film (no film.json)" in str(refused.value)
    (tmp_path / FILM_RECORD).write_text("{" + " " * 10**6 + "}")
    with refuses(RecordError, kind=Kind.UNREADABLE, path=tmp_path / FILM_RECORD):
        read_film(tmp_path)
    if os.name != "nt":  # links need a privilege there
        folder = fake_film(tmp_path / "film")
        for name in (FILM_RECORD, FRAME_LOG):
            (folder / name).rename(tmp_path / f"other {name}")
            (folder / name).symlink_to(tmp_path / f"other {name}")
        with refuses(RecordError, kind=Kind.UNREADABLE, path=folder / FILM_RECORD):
            read_film(folder)
        assert read_frames(folder, 12) == []


MANY = "9" * 5000


@pytest.mark.parametrize(
    ("content", "frames"),
    [
        ("1,1,1,2,3,4,5,6,7\n2,1,1,2", [1]),  # the last line is being written
        ("1,1,1,2,3,4,5,6,7\n2,1,1,2\n3,1,1,2,3,4,5,6,7\n", [1, 3]),
        ("0,1,1,2,3,4,5,6,7\n13,1,1,2,3,4,5,6,7\n-1,1,1,2,3,4,5,6,7\n1.5,1,1,2,3,4,5,6,7\n", []),
        (f"{MANY},1,1,2,3,4,5,6,7\n1,{MANY},1,2,3,4,5,6,7\n4,1,1,2,{MANY},x,,nan,inf\n", [4]),
        ('1,1,1,2,3,4,5,6,"7\n2,1,1,2,3,4,5,6,7\n', [1, 2]),
        ("x" * 200_000 + "\n2,1,1,2,3,4,5,6,7\n", [2]),
        ("\u0661,1,1,2,3,4,5,6,7\n1_0,1,1,2,3,4,5,6,7\n\0002,1,1,2,3,4,5,6,7\r\n", [2]),
        ("", []),
    ],
)  # fmt: skip
def test_lines_in_any_form(content: str, frames: list[int], tmp_path: Path) -> None:
    (tmp_path / FRAME_LOG).write_text(HEADER + content)
    lines = read_frames(tmp_path, 12)
    assert [line.frame for line in lines] == frames
    if MANY in content:
        assert (lines[0].loss, lines[0].content_loss, lines[0].temporal_error, lines[0].seconds) == (None,) * 4


def test_a_table_with_other_columns(tmp_path: Path) -> None:
    (tmp_path / FRAME_LOG).write_text("epochs,pass,shot,more,frame\n20,1,1,x,3\n")
    assert read_frames(tmp_path, 12) == [FrameLine(3, 1, 1, 20, None, None, None, None, None)]
    (tmp_path / FRAME_LOG).write_text("frame,loss\n1,2\n")
    assert read_frames(tmp_path, 12) == []
    (tmp_path / FRAME_LOG).unlink()
    assert read_frames(tmp_path, 12) == []
