"""The page of a film without a browser: its data, its state, its copies of large frames, and folders of strangers."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from fake_films import HEADER, add_frame, change_film, fake_film
from fake_runs import fake_run
from pictures import painted
from PIL import Image
from refusals import refuses
from test_view_page import Page, page_of, picture

from fuzz_view import damage
from nstyle.commands.view import main
from nstyle.errors import Kind, OutputError, RecordError
from nstyle.storage.layout import FILM_RECORD, FRAME_LOG
from nstyle.view.page import describe_state
from nstyle.view.previews import PLAYED
from nstyle.view.publish import Gallery, fingerprint
from nstyle.view.runs import Film, read_folder, read_run

LARGE = (24, PLAYED + 40)


def test_a_finished_film(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", lr=0.01)
    (folder / "other.mp4").write_bytes(b"the user's own")
    page = page_of(folder)
    film = page.facts["film"]
    assert (film["frames"], film["rate"], film["shape"], film["newest"]) == (12, 10, 1.5, None)
    assert film["shots"] == [[1, 5], [6, 12]]
    assert film["painted"] == [[1, 12]]
    painted_pictures = {"shown": ["frames/", ".png"], "whole": ["frames/", ".png"], "frames": [[1, 12]]}
    assert film["screens"]["painted"] == painted_pictures
    assert film["screens"]["source"]["whole"] == ["source/", ".jpg"]
    assert page.facts["curves"]["frame"] == list(range(1, 13))
    assert page.facts["curves"]["temporal_error"][:7] == [None, 0.002, 0.003, 0.004, 0.005, None, 0.007]
    assert page.facts["curves"]["style_loss"][1] == 30
    for said in ("clip in the style of waves", "finished: all 12 frames painted.", "clip.mp4", "18 s, 1.5 s a frame"):
        assert said in page.text
    assert "--lr0.01" in page.text
    assert "clip.mp4" in page.links()
    assert not {"other.mp4", "../clip.mp4"} & set(page.links())
    assert "--passes1" in page.text
    assert "content: clip.mp4" not in page.text
    assert str(tmp_path) not in (folder / "index.html").read_text()
    assert not (folder / "previews").exists()


def test_frames_in_any_order_and_passes(tmp_path: Path) -> None:
    """Shots are painted in any order. A frame's newest line counts, and frames of an earlier film do not."""
    folder = fake_film(tmp_path / "film", painted_frames=[6, 7, 1, 2], stop_reason="running")
    page = page_of(folder)
    assert page.facts["film"]["painted"] == [[1, 2], [6, 7]]
    assert page.facts["film"]["newest"] == 2
    assert page.facts["curves"]["frame"] == [1, 2, 6, 7]
    assert "painting: 4 of 12 frames done, about 12 s left." in page.text
    with (folder / FRAME_LOG).open("a") as file:
        file.write("7,2,2,5,1,1,1,0.5,3\n")
    shutil.copy(folder / "frames" / "000001.png", folder / "frames" / "000009.png")
    page = page_of(folder)
    assert page.facts["film"]["painted"] == [[1, 2], [6, 7]]
    assert page.facts["film"]["newest"] == 7
    assert page.facts["curves"]["temporal_error"] == [None, 0.002, None, 0.5]
    change_film(folder, settings={"passes": 2, "flow": "/home/somebody/flow"})
    page = page_of(folder)
    assert "painting: 5 of 24 frames in 2 passes done, about 36 s left." in page.text
    assert "(newest passes)" in page.text
    assert "somebody" not in (folder / "index.html").read_text()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("interrupted", "interrupted after 3 of 12 frames"),
        ("failed", "failed after 3 of 12 frames"),
        ("{x}", "ended after 3 of 12 frames: {x}"),
    ],
)
def test_how_a_film_ended(reason: str, words: str, tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[1, 2, 3], stop_reason=reason)
    assert describe_state(read_run(folder)) == words


def test_before_the_first_frame(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[], stop_reason="running")
    page = page_of(folder)
    assert "No frame is painted yet." in page.text
    assert "painting: 0 of 12 frames done." in page.text
    assert page.facts["film"]["painted"] == []
    assert page.facts["curves"] == {}


def test_a_film_in_an_album(tmp_path: Path) -> None:
    """It has a badge, and its first painted frame as its picture; a damaged one beside it is left out."""
    album = tmp_path / "album"
    film = fake_film(album / "film", painted_frames=[6, 3, 4])
    fake_run(album / "photo", epochs=3)
    change_film(fake_film(album / "broken"), frames="many")
    page = page_of(album)
    assert page.links() == ["film/index.html", "photo/index.html"]
    sources = [str(each["src"]) for tag, each in page.elements if tag == "img"]
    with Image.open(film / "frames" / "000003.png") as frame:
        expected, shown = frame.resize((1, 1)).getpixel((0, 0)), picture(sources[0]).resize((1, 1)).getpixel((0, 0))
    assert isinstance(expected, tuple)
    assert isinstance(shown, tuple)
    assert max(abs(one - other) for one, other in zip(expected, shown, strict=True)) < 12
    badges = [each for tag, each in page.elements if "badge" in str(each.get("class"))]
    assert len(badges) == 1
    film_page = Page(film / "index.html")
    assert film_page.facts["film"]["painted"] == [[3, 4], [6, 6]]
    assert "../index.html" in film_page.links()
    assert Page(album / "photo" / "index.html").facts["snapshots"]


def test_news_of_a_film_are_noticed(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "album" / "film", painted_frames=[1], stop_reason="running")
    before = fingerprint(tmp_path / "album")
    add_frame(folder, 2)
    assert fingerprint(tmp_path / "album") != before
    Gallery(tmp_path / "album", tmp_path / "album").publish()
    assert Page(folder / "index.html").facts["film"]["painted"] == [[1, 2]]


def test_large_frames_are_played_as_small_copies(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[1, 2], size=LARGE)
    gallery = Gallery(folder, folder)
    gallery.publish()
    screen = Page(folder / "index.html").facts["film"]["screens"]["painted"]
    assert screen == {"shown": ["previews/painted-", ".webp"], "whole": ["frames/", ".png"], "frames": [[1, 2]]}
    copy, source = folder / "previews" / "painted-000002.webp", folder / "previews" / "source-000002.webp"
    with Image.open(copy) as opened:
        assert opened.size == (720, 17)
    assert source.exists()

    first = copy.stat().st_ino, (folder / "previews" / "painted-000001.webp").stat().st_ino
    add_frame(folder, 2, number_of_pass=2, seed=77)
    gallery.publish()
    assert copy.stat().st_ino != first[0]
    assert (folder / "previews" / "painted-000001.webp").stat().st_ino == first[1]  # it is up to date
    (folder / "frames" / "000001.png").write_bytes(b"no picture")
    (folder / "previews" / "painted-000001.webp").unlink()
    gallery.publish()
    assert Page(folder / "index.html").facts["film"]["screens"]["painted"]["frames"] == [[2, 2]]


def test_a_page_elsewhere_has_copies_of_all_frames(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[1, 2])
    page = Page(Gallery(folder, tmp_path / "site" / "new").publish().page)
    for name in ("painted", "source"):
        screen = page.facts["film"]["screens"][name]
        assert screen == {"shown": [f"previews/{name}-", ".webp"], "whole": None, "frames": [[1, 2]]}
    assert not (folder / "previews").exists()
    assert not [link for link in page.links() if "clip" in link]


def test_files_of_the_user_are_no_copies(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[1], size=LARGE)
    mine = folder / "previews" / "painted-000001.webp"
    mine.parent.mkdir()
    painted(20, 30).save(mine)
    before = mine.read_bytes()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=mine, flag="--output-dir"):
        Gallery(folder, folder).publish()
    assert mine.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_links_out_of_a_films_folder_are_not_followed(tmp_path: Path) -> None:
    private = fake_film(tmp_path / "private", size=LARGE)
    folder = fake_film(tmp_path / "film", painted_frames=[1, 2], size=LARGE)
    (folder / "linked.mp4").symlink_to(private / "clip.mp4")
    change_film(folder, files=["linked.mp4", "../private/clip.mp4", "clip.mp4"])
    (folder / "frames" / "000002.png").unlink()
    (folder / "frames" / "000002.png").symlink_to(private / "frames" / "000002.png")
    shutil.rmtree(folder / "source")
    (folder / "source").symlink_to(private / "source")
    page = page_of(folder)
    assert page.facts["film"]["painted"] == [[1, 1]]
    assert page.facts["film"]["screens"]["source"]["frames"] == []
    assert [link for link in page.links() if link.endswith(".mp4")] == ["clip.mp4"]

    shutil.rmtree(folder / "previews")
    (tmp_path / "elsewhere").mkdir()
    (folder / "previews").symlink_to(tmp_path / "elsewhere")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=folder / "previews", flag="--output-dir"):
        Gallery(folder, folder).publish()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_damaged_film_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake_film(tmp_path / "film")
    change_film(folder, shots=[[1, 99]])
    with refuses(RecordError, kind=Kind.DAMAGED, path=folder / FILM_RECORD):
        read_folder(folder)
    assert main([str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "shots" in error


def test_texts_and_numbers_of_a_stranger(tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>\u202e"
    folder = fake_film(tmp_path / "film")
    change_film(folder, source=f"../../{hostile}.mp4", stop_reason=hostile, frame_rate=1e-300)
    record = json.loads((folder / FILM_RECORD).read_text())
    record["recipe"] |= {"settings": [], "inputs": 3, "versions": {"a": float("nan")}, "size": "large"}
    (folder / FILM_RECORD).write_text(json.dumps(record))
    (folder / FRAME_LOG).write_text(HEADER + "1,1,1,1,1e300,nan,inf,1e400,-1e300\n2,1,1,1,,,,,\n")
    page = page_of(folder)
    text = (folder / "index.html").read_text()
    assert "<img src=x" not in text
    assert "../.." not in page.text
    assert "\u202e" not in text
    assert page.facts["film"]["painted"] == [[1, 2]]
    assert list(page.facts["curves"]) == ["frame", "epochs"]


@pytest.mark.parametrize("seed", range(2))
def test_random_damage_to_a_film_never_gives_a_traceback(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311  (not for security)
    for number in range(20):
        folder = fake_film(tmp_path / f"film {number}", painted_frames=[1, 2], shots=[(1, 2)], size=(8, 12))
        damage(folder, chance)
        assert main([str(folder), "--quiet", "--output-dir", str(tmp_path / "page"), "--sheet"]) in (0, 1)


def test_a_long_film_stays_small(tmp_path: Path) -> None:
    frames = 20_000
    folder = fake_film(tmp_path / "film", painted_frames=[], shots=[(1, frames)])
    with (folder / FRAME_LOG).open("a") as file:
        for frame in range(1, frames + 1):
            file.write(f"{frame},1,1,20,{1 / frame},{1 / frame},{1 / frame},0.0123456,1.23456\n")
            (folder / "frames" / f"{frame:06d}.png").touch()
    page = page_of(folder)
    assert page.facts["film"]["painted"] == [[1, frames]]
    assert len(page.facts["curves"]["temporal_error"]) == frames
    assert (folder / "index.html").stat().st_size < 1_500_000


def test_a_film_has_a_sheet_but_no_film_of_it(tmp_path: Path) -> None:
    folder = fake_film(tmp_path / "film", painted_frames=[1, 2, 3])
    assert main([str(folder), "--sheet", "--quiet"]) == 0
    assert "sheet.png" in Page(folder / "index.html").links()
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 3 * 48
    assert main([str(folder), "--gif", "--quiet"]) == 1
    assert not (folder / "film.gif").exists()


def test_a_folder_with_both_records_is_a_films(tmp_path: Path) -> None:
    fake_run(tmp_path / "both", epochs=3)
    assert isinstance(read_run(fake_film(tmp_path / "both")), Film)
