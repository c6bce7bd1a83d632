"""Films and contact sheets: frames, sizes, durations."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fake_runs import advance_run, change_record, fake_batch, fake_run
from pictures import painted
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind, OutputError
from nstyle.view.films import find_ffmpeg, playing_rate, write_gif, write_mp4, write_sheet
from nstyle.view.publish import Gallery, Shown, write_films
from nstyle.view.publish import write_sheet as write_sheet_of
from nstyle.view.runs import read_run


def test_gif(tmp_path: Path) -> None:
    run = read_run(fake_run(tmp_path / "run"))
    write_gif(tmp_path / "film.gif", run)
    durations = []
    with Image.open(tmp_path / "film.gif") as film:
        assert film.size == (48, 32)
        assert film.info["loop"] == 0
        assert getattr(film, "n_frames", 1) == 5
        for frame in range(5):
            film.seek(frame)
            durations.append(film.info["duration"])
        last = np.asarray(film.convert("RGB"), dtype=np.float64)
    assert durations[-1] == 2000
    assert set(durations[:-1]) == {330}
    with Image.open(tmp_path / "run" / "final.jpg") as final:
        assert np.abs(last - np.asarray(final)).mean() < 12


def test_gif_is_no_larger_than_400_pixels(tmp_path: Path) -> None:
    write_gif(tmp_path / "film.gif", read_run(fake_run(tmp_path / "run", size=(600, 300))))
    with Image.open(tmp_path / "film.gif") as film:
        assert film.size == (400, 200)


def test_pictures_of_several_sizes_and_damaged_ones(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    painted(64, 96).save(folder / "e_3.jpg")
    (folder / "e_6.jpg").write_bytes(b"")
    write_gif(tmp_path / "film.gif", read_run(folder))
    with Image.open(tmp_path / "film.gif") as film:
        assert getattr(film, "n_frames", 1) == 4
        assert film.size == (48, 32)


def test_mp4_has_even_edges_and_holds_its_end(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", size=(49, 33), image_format="png")
    write_mp4(tmp_path / "film.mp4", read_run(folder))
    decoder = [find_ffmpeg(), "-i", str(tmp_path / "film.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    decoded = subprocess.run(decoder, capture_output=True, check=True)
    shown = np.frombuffer(decoded.stdout, np.uint8).reshape(-1, 32, 48, 3).astype(np.float64)
    assert len(shown) == 5 + 5  # at three a second, the last one for two seconds
    assert b"Duration: 00:00:03.33" in decoded.stderr
    assert re.search(rb"Video: h264 .*yuv420p.*, 48x32", decoded.stderr)
    for number, name in ((0, "e_3.png"), (4, "final.png"), (9, "final.png")):
        with Image.open(folder / name) as picture:
            assert np.abs(shown[number] - np.asarray(picture)[:32, :48]).mean() < 12
    assert not list(tmp_path.glob(".film*"))


def test_mp4_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_run(fake_run(tmp_path / "run"))
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho first >&2; echo No space left on device >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("nstyle.view.films.find_ffmpeg", lambda: str(program))
    (tmp_path / "film.mp4").write_bytes(b"older nstyle film")
    with refuses(OutputError, kind=Kind.UNWRITABLE, path=tmp_path / "film.mp4", flag="--mp4") as refused:
        write_mp4(tmp_path / "film.mp4", run)
    assert "No space left on device" in str(refused.value)  # what the encoder said last
    assert (tmp_path / "film.mp4").read_bytes() == b"older nstyle film"


@pytest.mark.parametrize("name", ["film.gif", "film.mp4", "sheet.png"])
def test_only_our_own_films_and_sheets_are_replaced(name: str, tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")

    def write() -> None:
        shown = Gallery(folder, folder).publish()
        if name == "sheet.png":
            write_sheet_of(shown)
        else:
            write_films(shown, gif=name == "film.gif", mp4=name == "film.mp4")

    write()
    write()  # the second replaces the first
    (folder / name).write_bytes(b"the user's own")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=folder / name, flag="--output-dir"):
        write()
    assert (folder / name).read_bytes() == b"the user's own"


@pytest.mark.parametrize("write", [write_gif, write_mp4])
def test_no_picture_yet(write: object, tmp_path: Path) -> None:
    run = read_run(fake_run(tmp_path / "run", epochs=1, stop_reason="running"))
    assert callable(write)
    with refuses(ImageError, kind=Kind.MISSING, path=run.folder):
        write(tmp_path / "film", run)
    assert not (tmp_path / "film").exists()


def test_sheet_of_a_run(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    path = write_sheet_of(Gallery(folder, folder).publish())
    with Image.open(path) as sheet:
        assert path.name == "sheet.png"
        assert sheet.format == "PNG"
        pixels = np.asarray(sheet.convert("L"), dtype=np.float64)
        width, height = sheet.size
    assert (width - 12) % (48 + 12) == 0
    assert (height - 12) % (40 + 20 + 12) == 0  # the style has the largest height
    columns, rows = (width - 12) // 60, (height - 12) // 72
    assert columns * rows >= 7 > columns * (rows - 1)  # two inputs, four snapshots, the final picture
    tiles = [pixels[12 + 72 * (n // columns) :, 12 + 60 * (n % columns) :][:60, :48] for n in range(7)]
    assert all(tile[:40].std() > 20 for tile in tiles)
    assert all(tile[42:58].min() < 100 for tile in tiles)  # black on white: a label


def test_sheet_of_a_batch(tmp_path: Path) -> None:
    batch = fake_batch(tmp_path / "batch")
    with Image.open(write_sheet_of(Gallery(batch, batch).publish())) as sheet:
        assert sheet.size in {(12 + 60, 12 + 2 * 64), (12 + 2 * 60, 12 + 64)}


def test_labels_that_are_too_long_or_odd(tmp_path: Path) -> None:
    painted(32, 48).save(tmp_path / "a.png")
    labels = ["x" * 500, "雪\n雪", "", "<b>"]
    write_sheet(tmp_path / "sheet.png", [(label, tmp_path / "a.png") for label in labels])
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    assert (pixels[:, -12:] == 255).all()


def test_sheet_of_nothing(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=1, stop_reason="running")
    change_record(folder, inputs={})
    with refuses(ImageError, kind=Kind.MISSING, path=folder / "sheet.png"):
        write_sheet_of(Shown(folder / "index.html", read_run(folder), ()))


def test_films_are_played_within_bearable_time() -> None:
    assert playing_rate(2) == 3
    assert playing_rate(90) == 6
    assert playing_rate(1000) == 12


def test_the_page_names_films_of_its_run_only(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=6, stop_reason="running")
    gallery = Gallery(folder, folder)
    write_gif(folder / "film.gif", read_run(folder))
    assert 'href="film.gif"' in gallery.publish().page.read_text()
    advance_run(folder, 6, 12)
    change_record(folder, stop_reason="epochs")
    assert 'href="film.gif"' not in gallery.publish().page.read_text()
