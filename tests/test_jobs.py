"""From the arguments to the paintings: expansion, pairs, names."""

import os
from pathlib import Path
from typing import Any

import pytest
from refusals import refuses

from nstyle.batch.jobs import expand, folder_names, plan
from nstyle.errors import ImageError, Kind, OptionError, OutputError
from nstyle.settings.config import Config


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a few files, whose contents are never read."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/b.PNG", "photos/a.jpg", "photos/.hidden.jpg", "photos/notes.txt", "photos/more/c.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("s1.jpg", "s2.jpg", "[odd]*.jpg"):
        (tmp_path / name).touch()
    return tmp_path


def names(given: Any) -> list[str]:
    return list(map(str, expand("content_image", given)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("s1.jpg", ["s1.jpg"]),
        (["s2.jpg", Path("s1.jpg")], ["s2.jpg", "s1.jpg"]),
        ("photos", ["photos/a.jpg", "photos/b.PNG"]),
        ("s?.jpg", ["s1.jpg", "s2.jpg"]),
        ("photos/*", ["photos/a.jpg", "photos/b.PNG", "photos/notes.txt"]),
        ("photos/**/*.jpg", ["photos/a.jpg", "photos/more/c.jpg"]),
        ("[odd]*.jpg", ["[odd]*.jpg"]),
        ("missing.jpg", ["missing.jpg"]),
        (["photos", "s[2].jpg"], ["photos/a.jpg", "photos/b.PNG", "s2.jpg"]),
    ],
)
def test_names_are_expanded(given: Any, expected: list[str], here: Path) -> None:
    assert names(given) == expected


@pytest.mark.parametrize("given", ["no*.jpg", "empty"])
def test_where_nothing_is_found(given: str, here: Path) -> None:
    (here / "empty").mkdir()
    with refuses(ImageError, kind=Kind.MISSING, path=Path(given)):
        names(given)


@pytest.mark.parametrize("given", ["", [], ["s1.jpg", ""], [3], 3, None])
def test_what_is_no_name(given: Any) -> None:
    with refuses(OptionError, kind=Kind.MISSING if given == [] else Kind.UNSUPPORTED, flag="--content-image"):
        names(given)


def test_every_content_in_every_style_a_style_after_the_other(here: Path) -> None:
    jobs = plan("photos", ["s1.jpg", "s2.jpg"], {"output_dir": "out", "image_format": "png", "lr": 0.5})
    assert [(job.config.content_image.name, job.config.style_image.name) for job in jobs] == [
        *(("a.jpg", "s1.jpg"), ("b.PNG", "s1.jpg"), ("a.jpg", "s2.jpg"), ("b.PNG", "s2.jpg"))
    ]
    first = jobs[0]
    assert first.config == Config(
        content_image=Path("photos/a.jpg"),
        style_image=Path("s1.jpg"),
        output_dir=Path("out/a_s1"),
        image_format="png",
        lr=0.5,
    )
    assert (first.name, first.copy) == ("a_s1", here / "out" / "a_s1.png")
    assert first.title == f"photos{os.sep}a.jpg in the style of s1.jpg"


def test_pairs(here: Path) -> None:
    jobs = plan(["s1.jpg", "s2.jpg", "s1.jpg"], ["photos", "s2.jpg"], {}, pair=True)
    assert [job.name for job in jobs] == ["s1_a", "s2_b", "s1_s2"]
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--pair") as refused:
        plan(["s1.jpg", "s2.jpg", "s1.jpg"], "photos", {}, pair=True)
    assert "not 3 and 2" in str(refused.value)


def test_a_single_pair_is_painted_into_the_output_folder_itself(here: Path) -> None:
    (job,) = plan(["s1.jpg", "./s1.jpg"], "s[2]*", {"output_dir": "out"})
    assert (job.config.output_dir, job.copy) == (here / "out", None)


def test_textures_have_no_content(here: Path) -> None:
    options = {"size": "32x32", "content_weight": 0}
    jobs = plan("photos", ["s1.jpg", "s2.jpg"], options, pair=True)
    assert [(job.name, job.title) for job in jobs] == [("s1", "a texture of s1.jpg"), ("s2", "a texture of s2.jpg")]


def test_a_bad_setting_is_one_line_for_all(here: Path) -> None:
    with pytest.raises(OptionError, match="--lr must be"):
        plan("photos", "s1.jpg", {"lr": -1})


def test_a_copy_is_never_written_over_a_picture_that_is_painted(here: Path) -> None:
    (here / "a_s1.jpg").touch()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=here / "a_s1.jpg", flag="--output-dir"):
        plan(["photos/a.jpg", "a_s1.jpg"], "s1.jpg", {"output_dir": "."})


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a.jpg", "s.jpg"), ("b.jpg", "s.jpg")], ["a_s", "b_s"]),
        ([("a.jpg", "s.jpg"), ("a.png", "s.jpg"), ("c.png", "s.jpg")], ["a.jpg_s.jpg", "a.png_s.jpg", "c_s"]),
        ([("y/a.jpg", "s.jpg"), ("x/a.jpg", "s.jpg")], ["a.jpg_s.jpg_2", "a.jpg_s.jpg"]),
        ([("a.jpg", "b_c.jpg"), ("a_b.jpg", "c.jpg")], ["a.jpg_b_c.jpg", "a_b.jpg_c.jpg"]),
        ([("A.jpg", "s.jpg"), ("a.JPG", "s.jpg")], ["A.jpg_s.jpg", "a.JPG_s.jpg_2"]),
        (
            [("a.jpg.png", "s.jpg.png"), ("a.jpg", "s.jpg"), ("a.png", "s.jpg")],
            ["a.jpg_s.jpg", "a.jpg_s.jpg_2", "a.png_s.jpg"],
        ),
        ([(".a", "s.jpg"), ("a b\n.jpg", "ü.jpg")], [".a_s", "a b\n_ü"]),
    ],
)
def test_names_of_pairs(pairs: list[tuple[str, str]], expected: list[str]) -> None:
    paths = [(Path(content), Path(style)) for content, style in pairs]
    assert folder_names(paths) == expected
    assert folder_names(paths[::-1]) == expected[::-1]  # in any order
