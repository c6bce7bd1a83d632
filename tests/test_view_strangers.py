"""The viewer on folders that a stranger made, or that are damaged: nothing hangs, leaks, misleads or crashes."""

import hashlib
import json
import os
import random
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fake_runs import change_record, fake_batch, fake_run
from pictures import painted
from refusals import refuses
from test_view_page import Page, page_of
from test_view_page import picture as decoded

from fuzz_view import damage
from nstyle.commands.view import main
from nstyle.errors import Kind, OutputError, RecordError
from nstyle.files import open_regular
from nstyle.view.publish import Gallery, fingerprint
from nstyle.view.run_files import read_epochs
from nstyle.view.runs import read_folder, read_run


def change_settings(folder: Path, **changes: Any) -> None:
    change_record(folder, settings=json.loads((folder / "run.json").read_text())["settings"] | changes)


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shown_inputs(page: Page) -> list[str]:
    return [str(each["id"]) for tag, each in page.elements if tag == "img" and each.get("src")]


@pytest.mark.skipif(os.name == "nt", reason="needs devices and pipes")
def test_inputs_that_are_no_files_are_never_opened(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(3 * 2**30)  # takes no place on the disk
    paths = ["/dev/zero", "/dev/stdin", "/proc/self/environ", *(str(tmp_path / each) for each in ("pipe", "loop"))]
    paths += [str(tmp_path / "huge"), str(tmp_path), "//server/photo.jpg", r"\\server\photo.jpg"]
    paths += ["long" * 2000, "nul\0.jpg", "half of a pair \ud800"]
    change_record(folder, inputs={f"number_{i}": {"path": path, "sha256": "0"} for i, path in enumerate(paths)})
    begun = time.monotonic()
    page = page_of(folder)
    assert time.monotonic() - begun < 60
    assert shown_inputs(page) == []
    assert page.text.count("file is missing") + page.text.count("changed since") == len(paths)


def test_a_computer_elsewhere_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_run(tmp_path / "run")
    paths = {"content_image": "//server/photo.jpg", "style_image": str(tmp_path / "waves.png")}
    change_record(folder, inputs={name: {"path": path, "sha256": "0"} for name, path in paths.items()})
    asked: list[str] = []

    def listen(module: ModuleType, name: str) -> None:
        look = getattr(module, name)

        def ask(path: Any, *arguments: Any, **options: Any) -> Any:
            asked.append(str(path))
            return look(path, *arguments, **options)

        monkeypatch.setattr(module, name, ask)

    listen(os.path, "exists")
    for name in ("stat", "lstat", "open"):
        listen(os, name)
    page_of(folder)
    assert str(tmp_path / "waves.png") in asked  # so it is seen who is asked
    assert not [path for path in asked if "server" in path]


def test_a_file_is_shown_only_if_it_is_a_picture_and_the_recorded_one(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    secret, photo = tmp_path / "id_rsa", tmp_path / "photo.png"
    secret.write_text("SECRET KEY")
    painted(20, 30).save(photo)
    inputs = {
        "content_image": {"path": str(folder / "../id_rsa"), "sha256": hash_of(secret)},
        "style_image": {"path": str(photo), "sha256": "of another picture"},
        "mask": {"path": str(photo), "sha256": hash_of(photo)},
    }
    change_record(folder, inputs=inputs)
    page = page_of(folder)
    assert shown_inputs(page) == ["input-2"]
    assert [Path(link).name for link in page.links() if not link.startswith("e_")] == ["photo.png"]
    assert "SECRET" not in (folder / "index.html").read_text()


def test_a_page_has_pixels_only(tmp_path: Path) -> None:
    """Not the place where a photo was taken, nor the recipe in a snapshot."""
    folder = fake_run(tmp_path / "run")
    photo = tmp_path / "photo.jpg"
    picture = painted(32, 48)
    exif = picture.getexif()
    exif[0x010E] = "MY GARDEN"
    picture.save(photo, exif=exif)
    change_record(folder, inputs={"content_image": {"path": str(photo), "sha256": hash_of(photo)}})
    page = page_of(folder)
    assert shown_inputs(page)
    sources = [str(each["src"]) for tag, each in page.elements if tag == "img" and each.get("src")]
    for source in [*sources, *(each["picture"] for each in page.facts["snapshots"])]:
        assert set(decoded(source).info) <= {"loop", "background", "timestamp", "duration"}


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    private = fake_run(tmp_path / "private")
    batch = fake_batch(tmp_path / "batch")
    (batch / "linked").symlink_to(private)
    run = batch / "cat_waves"
    (run / "e_3.jpg").unlink()
    (run / "e_3.jpg").symlink_to(private / "e_3.jpg")
    (run / "epochs.csv").unlink()
    (run / "epochs.csv").symlink_to(private / "epochs.csv")
    page = page_of(batch)
    assert page.links() == ["cat_waves/index.html", "dog_waves/index.html"]
    assert not (private / "index.html").exists()
    facts = Page(run / "index.html").facts
    assert [each["name"] for each in facts["snapshots"]] == ["e_6.jpg", "e_9.jpg", "e_12.jpg", "final.jpg"]
    assert facts["curves"] == {}
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "run").symlink_to(private)
    with refuses(RecordError, kind=Kind.MISSING, path=tmp_path / "links") as refused:
        read_folder(tmp_path / "links")
    assert "links are not followed" in str(refused.value)


@pytest.mark.skipif(os.name == "nt", reason="needs devices and pipes")
def test_a_record_or_page_that_is_a_pipe_or_a_link_is_refused(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    os.mkfifo(folder / "index.html")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=folder / "index.html", flag="--output-dir"):
        Gallery(folder, folder).publish()
    (folder / "epochs.csv").unlink()
    os.mkfifo(folder / "epochs.csv")
    assert read_run(folder).curves == {}
    record = folder / "run.json"
    record.rename(tmp_path / "elsewhere.json")
    os.mkfifo(record)
    with refuses(RecordError, kind=Kind.UNREADABLE, path=record):
        read_folder(folder)
    record.unlink()
    for target in ("/dev/zero", tmp_path / "elsewhere.json"):
        record.symlink_to(target)
        with refuses(RecordError, kind=Kind.UNREADABLE, path=record) as refused:
            read_folder(folder)
        assert f"a link to {os.path.realpath(target)}" in str(refused.value)
        record.unlink()


def test_only_regular_files_of_bounded_size_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with open_regular(path, 5) as file:
        assert file.read() == b"12345"
    for refused, most in ((path, 4), (tmp_path, 5), (tmp_path / "none", 5)):
        with pytest.raises(OSError), open_regular(refused, most):  # noqa: PT011  (several kinds)
            pass


MANY = "9" * 400


@pytest.mark.parametrize(
    "changes",
    [
        f'"epochs": {MANY}',
        f'"epochs": {MANY * 20}',
        '"epochs": -7',
        '"epochs": true',
        '"epochs": 1e999',
        '"epochs": NaN',
        f'"size": [{MANY}, -1]',
        '"size": [[], {}]',
        f'"scale": {MANY}, "scales": {MANY}',
        '"scale": 0, "scales": -3',
        f'"seconds": -{MANY}',
        '"weights": [], "versions": {"a": [NaN, -Infinity]}, "device": {}, "started": 5',
        f'"inputs": {{"{"x" * 9000}": {{"path": "{"y" * 9000}", "sha256": 3}}}}',
        '"settings": {"max_num_epochs": -3, "save_epochs": -1, "stop_eps": 1e999}',
        f'"settings": {{"max_num_epochs": [{MANY}], "save_epochs": {MANY}, "stop_eps": {MANY}}}',
        '"settings": {"": null, "a": {"b": {"c": {"d": [[]]}}}, "image_format": [], "max_num_epochs": true}',
    ],
)
@pytest.mark.parametrize("ending", ["running", "epochs"])
def test_numbers_that_no_run_has(changes: str, ending: str, tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=6)
    text = (folder / "run.json").read_text().rstrip().removesuffix("}")
    (folder / "run.json").write_text(f'{text}, {changes}, "stop_reason": "{ending}"}}')
    assert "6 epochs" in page_of(folder).text or "epoch 6" in page_of(folder).text
    assert (folder / "index.html").stat().st_size < 200_000


def test_a_record_that_is_nested_too_deeply(tmp_path: Path) -> None:
    for levels in (9, 900):
        (tmp_path / "run.json").write_text('{"settings": ' + "[" * levels + "]" * levels + "}")
        with refuses(RecordError, kind=Kind.DAMAGED, path=tmp_path / "run.json"):
            read_folder(tmp_path)


def test_a_record_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{" + " " * 10**6 + "}")
    with refuses(RecordError, kind=Kind.UNREADABLE, path=tmp_path / "run.json"):
        read_folder(tmp_path)


def test_snapshots_of_epochs_that_nobody_paints(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    change_settings(folder, save_epochs=1)
    for name in (f"e_{'9' * 240}.jpg", "e_0.jpg", "e_007.jpg", "e_-3.jpg"):
        painted(20, 30).save(folder / name)
    change_record(folder, epochs=int(MANY))
    assert [each["epoch"] for each in page_of(folder).facts["snapshots"]] == [3, 6, 7, 9, 12, 12]


TWICE = ("epoch", "loss", "loss (column 2)", "epoch (column 4)")


@pytest.mark.parametrize(
    ("content", "curves"),
    [
        (b"\xef\xbb\xbfepoch,loss\r\n0,1\r\n1,2\r\n", {"epoch": [1, 2], "loss": [1, 2]}),
        (b"epoch,loss\r0,1\r", {"epoch": [1], "loss": [1]}),
        (b"epoch,l\xf6ss\n0,1\n", {"epoch": [1], "l\N{REPLACEMENT CHARACTER}ss": [1]}),
        (b"epoch,, ,\n0,1,2,3\n", {"epoch": [1], "column 2": [1], "column 3": [2], "column 4": [3]}),
        (b"loss,loss,epoch,epoch\n1,2,0,9\n", dict(zip(TWICE, ([1], [1], [2], [9]), strict=True))),
        (b"loss\n1\n2\n", {"epoch": [1, 2], "loss": [1, 2]}),
        (b"epoch,loss\n0,1\n1\n2,3,4\n\n3,4\n", {"epoch": [1, 4], "loss": [1, 4]}),
        (b'epoch,loss\n0,"1\n1,2\n', {"epoch": [1, 2], "loss": [1, 2]}),
        (b"epoch,loss\n-2,1\n-1,2\n", {"epoch": [1, 2], "loss": [1, 2]}),
        (b"epoch,loss\n0.5,1\n1.5,2\n", {"epoch": [1, 2], "loss": [1, 2]}),
        (f"epoch,loss\n0,{MANY}\n{MANY},1\n".encode(), {"epoch": [1, 2], "loss": [float("inf"), 1]}),
        (b"x" * 200_000 + b"\n0\n", {"epoch": []}),
        (b"\n\n", {"epoch": []}),
        (b"", {"epoch": []}),
    ],
)  # fmt: skip
def test_epochs_in_any_form(content: bytes, curves: dict[str, list[float]], tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    (folder / "epochs.csv").write_bytes(content)
    found = read_epochs(folder / "epochs.csv")
    assert found == curves
    assert list(page_of(folder).facts["curves"]) == list(curves)


def test_a_million_epochs(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    with (folder / "epochs.csv").open("w") as file:
        file.write("epoch,seconds,loss\n")
        file.writelines(f"{epoch},{epoch / 10},1\n" for epoch in range(1_000_000))
    curves = page_of(folder).facts["curves"]
    assert len(curves["epoch"]) == 1000
    assert (curves["epoch"][0], curves["epoch"][-1], curves["seconds"][-1]) == (1, 1_000_000, 100_000)
    assert all(epoch % 1 == 0 for epoch in curves["epoch"])
    assert read_run(folder).epochs == 1_000_000


def test_more_columns_than_anybody_looks_at(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    (folder / "epochs.csv").write_text(",".join(map(str, range(5000))) + "\n" + ",".join(["1"] * 5000) + "\n")
    assert len(page_of(folder).facts["curves"]) == 1 + 64


TRICKS = "a\x1b[31m\u202egpj.exe\u2028\x07\u2066"


def test_hidden_characters_are_shown(tmp_path: Path) -> None:
    family = "\U0001f468\u200d\U0001f469"  # joiners belong to the text
    folder = fake_run(tmp_path / "run")
    change_settings(folder, init=TRICKS, **{TRICKS: family, "list": [TRICKS]})
    change_record(folder, device=TRICKS, stop_reason=TRICKS)
    (folder / "epochs.csv").write_text(f"epoch,{TRICKS.replace(chr(0x2028), '')}\n0,1\n")
    text = Page(page_written(folder)).text + json.dumps(Page(folder / "index.html").facts, ensure_ascii=False)
    assert not set(TRICKS) - set("a[31mgpj.exe") & set(text)
    assert text.count(r"a\x1b[31m\u202egpj.exe\u2028\x07\u2066") == 4
    assert family in text


def page_written(folder: Path) -> Path:
    return Gallery(folder, folder).publish().page


NAMES = ["a 'b' \"c\"", "100%25#1?x=y", "new\nline", "javascript:alert(1)", "<b>&amp;", "\u202egnp", "Ä\N{SNOWMAN}"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has fewer names")
def test_names_of_all_kinds_are_linked(tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    for name in [*NAMES, os.fsdecode(b"l\xf6we")]:
        fake_run(batch / name, epochs=3, content=tmp_path / f"{name}.png".replace("/", ""))
    page = page_of(batch)
    hrefs = [str(each["href"]) for tag, each in page.elements if tag == "a"]
    assert len(hrefs) == len(NAMES) + 1
    for href in hrefs:
        assert set("\n\"'<>:?# ").isdisjoint(href)
    for name in NAMES:
        assert f"{name}/index.html" in page.links()
        run = Page(batch / name / "index.html")
        assert f"../../{name}.png" in run.links()


@pytest.mark.skipif(os.name == "nt", reason="Windows has fewer names")
def test_films_and_sheets_of_names_of_all_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = tmp_path / "batch"
    for name in [*NAMES, os.fsdecode(b"l\xf6we")]:
        fake_run(batch / name, epochs=3)
    assert main([str(batch), "--gif", "--sheet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_sweeps_folder_shows_its_runs(tmp_path: Path) -> None:
    """A sweep paints into `sweep/<values>`, one level deeper than a batch."""
    output = tmp_path / "output"
    for name in ("lr=10", "lr=2"):
        fake_run(output / "sweep" / name)
    fake_run(output / ".hidden" / "run")
    (output / "sweep.png").touch()
    page = page_of(output)
    assert page.links() == ["sweep/lr=2/index.html", "sweep/lr=10/index.html"]
    assert "../../index.html" in Page(output / "sweep" / "lr=2" / "index.html").links()
    assert page_of(output / "sweep").links() == ["lr=2/index.html", "lr=10/index.html"]
    before = fingerprint(output)
    change_record(output / "sweep" / "lr=2", seconds=9)
    assert fingerprint(output) != before
    assert main([str(output), "--gif", "--quiet", "--output-dir", str(tmp_path / "pages")]) == 0
    assert (tmp_path / "pages" / "sweep" / "lr=10" / "film.gif").exists()


def test_a_folder_without_runs_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    with refuses(RecordError, kind=Kind.MISSING, path=tmp_path) as refused:
        read_folder(tmp_path)
    assert "no run.json, neither in it nor in its sub-folders" in str(refused.value)
    with refuses(RecordError, kind=Kind.MISSING, path=tmp_path / "none") as refused:
        read_folder(tmp_path / "none")
    assert "does not exist" in str(refused.value)
    with refuses(RecordError, kind=Kind.MISSING, path=Path("x" * 5000)):
        read_folder(Path("x" * 5000))
    (tmp_path / "a" / "b" / "run.json").write_text("{")
    with refuses(RecordError, kind=Kind.DAMAGED, path=tmp_path / "a" / "b" / "run.json"):
        read_folder(tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_random_damage_never_gives_a_traceback(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311  (not for security)
    for number in range(15):
        folder = fake_run(tmp_path / f"run {number}", epochs=4, stop_reason=chance.choice(["running", "epochs"]))
        damage(folder, chance)
        assert main([str(folder), "--quiet", "--output-dir", str(tmp_path / "page"), "--sheet"]) in (0, 1)
