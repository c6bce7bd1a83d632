"""From the arguments to the paintings: expansion, pairs, names."""

import json
import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from refusals import refuses

from nstyle.batch.jobs import plan
from nstyle.batch.local import Outcome
from nstyle.batch.naming import LONGEST_NAME, folder_names
from nstyle.commands.paint import main
from nstyle.errors import ImageError, Kind, OptionError, OutputError
from nstyle.files import sha256
from nstyle.painting.selection import expand, natural
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
    (job,) = plan(["s1.jpg", "./s1.jpg"], "s2.jpg", {"output_dir": "out"})
    assert (job.config.output_dir, job.copy) == (here / "out", None)


@pytest.mark.parametrize("content", ["photos/more", "photos/more/*", ["photos/more"]])
def test_a_folder_may_grow_so_its_only_picture_has_a_folder_of_its_own(content: Any, here: Path) -> None:
    (job,) = plan(content, "s1.jpg", {"output_dir": "out"})
    assert (job.config.output_dir, job.copy) == (here / "out/c_s1", here / "out/c_s1.jpg")


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


def name_of(pairs: Sequence[tuple[str, ...]], output_dir: Path) -> list[str]:
    return folder_names([tuple(map(Path, pair)) for pair in pairs], output_dir, "jpg")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a.jpg", "s.jpg"), ("b.jpg", "s.jpg")], ["a_s", "b_s"]),
        ([("a.jpg", "s.jpg"), ("a.png", "s.jpg"), ("c.png", "s.jpg")], ["a.jpg_s.jpg", "a.png_s.jpg", "c_s"]),
        ([("y/a.jpg", "s.jpg"), ("x/a.jpg", "s.jpg")], ["a_s_#", "a_s_#"]),
        ([("a.jpg", "b_c.jpg"), ("a_b.jpg", "c.jpg")], ["a.jpg_b_c.jpg", "a_b.jpg_c.jpg"]),
        ([("A.jpg", "s.jpg"), ("a.JPG", "s.jpg")], ["A_s_#", "a_s_#"]),
        ([("\u00e9.jpg", "s.jpg"), ("e\u0301.jpg", "s.jpg")], ["\u00e9_s_#", "e\u0301_s_#"]),
        (
            [("a.jpg.png", "s.jpg.png"), ("a.jpg", "s.jpg"), ("a.png", "s.jpg")],
            ["a.jpg_s.jpg", "a_s_#", "a.png_s.jpg"],
        ),
        ([("x.jpg.png",), ("x.png",)], ["x.jpg.png", "x.png"]),  # x.jpg is the copy of the folder x
        ([("a b\n.jpg", "ü.jpg"), ("b.jpg", "s.jpg")], ["a b\n_ü", "b_s"]),
        ([(".a", "s.jpg"), ("..a.jpg", "s.jpg"), ("--a.png", "s.jpg")], ["_a_s.jpg", "_a.jpg_s.jpg", "_a.png_s.jpg"]),
        ([("a.jpg", "s. .jpg"), ("con.jpg",), ("NUL.x.jpg", "s.jpg")], ["a_s_", "_con", "_NUL.x_s"]),
    ],
)
def test_names_of_pairs(pairs: list[tuple[str, ...]], expected: list[str], here: Path) -> None:
    named = name_of(pairs, here)
    assert [re.sub("_[0-9a-f]{8}$", "_#", name) for name in named] == expected
    assert len({unicodedata.normalize("NFC", name).casefold() for name in named}) == len(named)
    assert name_of(pairs[::-1], here) == named[::-1]  # in any order


@pytest.mark.parametrize("letter", ["a", "ü", "絵", "\U0001f5bc", "\udcff"])
def test_long_names_become_short_and_stay_different(letter: str, here: Path) -> None:
    most = 250 // len(os.fsencode(letter))
    contents = [letter * most + end + ".jpg" for end in ("", "1", "2")]
    pairs = [(content, "style.jpg") for content in contents]
    named = name_of(pairs, here)
    assert len(set(named)) == 3
    for pair, name in zip(pairs, named, strict=True):
        assert 150 < len(os.fsencode(name)) <= LONGEST_NAME
        assert name.startswith(letter)
        assert "_style_" in name
        (here / f".{name}.tiff.1234567.tmp").touch()  # as long as the name of any file that a run makes of it
        assert name_of([pair], here) == [name]
    assert name_of([("a" * 99, "b" * 100)], here) == ["a" * 99 + "_" + "b" * 100]


def record(folder: Path, **inputs: Path) -> None:
    """Write a record of a run with these inputs, such as `RunRecord` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: {"path": str(path.absolute()), "sha256": sha256(path)} for name, path in inputs.items()}
    (folder / "run.json").write_text(json.dumps({"inputs": found}))


def test_a_name_stays_when_pictures_are_added(here: Path) -> None:
    for name in ("x/a.jpg", "x/a.png", "y/a.jpg", "s.jpg"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(name)
    sets: list[list[tuple[str, str]]] = [[("x/a.jpg", "s.jpg")]]
    sets += [[("x/a.png", "s.jpg"), *sets[-1]]]
    sets += [[("y/a.jpg", "s.jpg"), *sets[-1]]]
    names: dict[tuple[str, str], str] = {}
    for pairs in sets:
        for pair, name in zip(pairs, name_of(pairs, here / "out"), strict=True):
            assert names.setdefault(pair, name) == name
            record(here / "out" / name, content_image=Path(pair[0]), style_image=Path(pair[1]))
    assert list(names.values())[:2] == ["a_s", "a.png_s.jpg"]
    for pair, name in names.items():  # alone, each still has its name: the plain one is another's
        assert name_of([pair], here / "out") == [name]
    (here / "x").rename(here / "z")  # only the hashes are the same
    assert name_of([("z/a.png", "s.jpg"), ("z/a.jpg", "s.jpg")], here / "out") == ["a.png_s.jpg", "a_s"]


def test_a_damaged_record_is_nobodys(here: Path) -> None:
    for text in ("", "{", "[]", '{"inputs": 3}', '{"inputs": {"content_image": 3}}', "[" * 100_000):
        (here / "a_s").mkdir(exist_ok=True)
        (here / "a_s" / "run.json").write_text(text)
        assert name_of([("a.jpg", "s.jpg")], here) == ["a_s"]


@pytest.mark.parametrize(
    ("unsorted", "expected"),
    [
        (["f10", "f2", "f1"], ["f1", "f2", "f10"]),
        (["b", "A", "a", "B1"], ["A", "a", "b", "B1"]),
        (["1", "a", "", "10b", "02", "2"], ["", "1", "02", "2", "10b", "a"]),
        (["2024-10-1", "2024-9-30", "v1.10", "v1.9"], ["2024-9-30", "2024-10-1", "v1.9", "v1.10"]),
    ],
)
def test_natural_order(unsorted: list[str], expected: list[str]) -> None:
    assert sorted(unsorted, key=natural) == expected


def test_folders_patterns_and_pairs_are_in_natural_order(here: Path) -> None:
    for number in (1, 2, 10):
        for name in (f"clips/f{number}.png", f"inks/s{number:02}.jpg"):
            (here / name).parent.mkdir(exist_ok=True)
            (here / name).touch()
    assert names("clips") == names("clips/*") == [f"clips/f{number}.png" for number in (1, 2, 10)]
    jobs = plan("clips", "inks", {}, pair=True)
    assert [job.name for job in jobs] == ["f1_s01", "f2_s02", "f10_s10"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Trip [2024]/*.jpg", ["Trip [2024]/p1.jpg", "Trip [2024]/p2.jpg"]),
        ("Trip [2024]/p[2].jpg", ["Trip [2024]/p2.jpg"]),
        ("*[[]2024]/p[12].jpg", ["Trip [2024]/p1.jpg", "Trip [2024]/p2.jpg"]),
        ("Tri? [2024]/p[12].jpg", ["Trip [2024]/p1.jpg", "Trip [2024]/p2.jpg"]),
        ("Trip [2024]/[x]*.jpg", ["Trip [2024]/[x].jpg"]),
        ("Trip [2024]/[x].jpg", ["Trip [2024]/[x].jpg"]),
        ("Trip [2024]/**/*1.jpg", ["Trip [2024]/p1.jpg"]),
    ],
)
def test_brackets_are_literal_if_they_match_nothing_as_a_class(given: str, expected: list[str], here: Path) -> None:
    for name in ("p1", "p2", "[x]"):
        (here / "Trip [2024]").mkdir(exist_ok=True)
        (here / "Trip [2024]" / f"{name}.jpg").touch()
    assert [name for name in names(given) if given != "Trip [2024]/*.jpg" or "[x]" not in name] == expected


def test_files_that_are_not_read_are_mentioned_in_one_line(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("b.CR2", "c.mov", "Thumbs.db", "run.json", "run.lock", "epochs.csv", "a.jpg.xmp", ".DS_Store"):
        (here / "photos" / name).touch()
    (here / "inks").mkdir()
    for number in range(3):
        (here / "inks" / f"i{number}.svg").touch()
    (here / "inks" / "a.jpg").touch()
    with caplog.at_level("WARNING"):
        assert len(plan("photos", "inks", {})) == 2
    (line,) = caplog.messages
    assert line == "left out 6 files of formats that nstyle does not read: b.CR2, c.mov, notes.txt and 3 more"
    caplog.clear()
    assert len(plan("photos/*.*", "inks/*.jpg", {})) == 5  # a pattern is taken at its word, except for sidecars
    assert not caplog.messages


def test_a_folder_without_pictures_says_what_it_has(here: Path) -> None:
    (here / "raw").mkdir()
    (here / "raw" / "a.cr2").touch()
    with refuses(ImageError, kind=Kind.MISSING, path=Path("raw")) as refused:
        names("raw")
    assert "only a.cr2" in str(refused.value)


def test_planning_and_reporting_take_time_in_proportion(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the calls of each Python function, for contents that all clash: a search in a list would show."""
    (here / "many").mkdir()
    monkeypatch.setattr("nstyle.batch.local.paint", lambda job, *_, **__: Outcome(job, job.copy))
    counts: list[Counter[str]] = []
    for more in (100, 200):
        for number in range(more):
            (here / "many" / f"{number}.jpg").touch()
            (here / "many" / f"{number}.png").touch()
        calls: Counter[str] = Counter()
        counts.append(calls)

        def count(frame: Any, event: str, argument: Any, calls: Counter[str] = calls) -> None:
            calls[frame.f_code.co_qualname] += event == "call"

        sys.setprofile(count)
        try:
            assert main(["--content-image", "many", "--style-image", "s1.jpg", "--quiet"]) == 0
        finally:
            sys.setprofile(None)
    few, many = counts
    assert {name: (few[name], count) for name, count in many.items() if count > 2.3 * few[name] + 100} == {}
