"""The page without a browser: its text, that all text is escaped, its size."""

import base64
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from fake_runs import advance_run, change_record, fake_batch, fake_run, header
from pictures import painted
from PIL import Image
from refusals import refuses

from nstyle.errors import Kind, OutputError
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import Picture, on_white
from nstyle.view.album import LADDER, Album, open_picture
from nstyle.view.page import describe_state
from nstyle.view.publish import Gallery
from nstyle.view.runs import read_run


class Page(HTMLParser):
    """A parsed page: elements with attributes, text, and the contents of the script elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.facts: dict[str, Any] = json.loads(self.scripts[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.text += data

    def links(self) -> list[str]:
        return [
            unquote(attributes["href"] or "")
            for tag, attributes in self.elements
            if tag == "a" and "href" in attributes
        ]


def picture(address: str) -> Image.Image:
    kind, encoded = address.split(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def page_of(folder: Path, every: float | None = None) -> Page:
    return Page(Gallery(folder, folder).publish(every).page)


def test_a_finished_run(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", lr=0.01)
    page = page_of(folder)
    assert [(each["epoch"], each["name"], each["href"]) for each in page.facts["snapshots"]] == [
        (3, "e_3.jpg", "e_3.jpg"),
        (6, "e_6.jpg", "e_6.jpg"),
        (9, "e_9.jpg", "e_9.jpg"),
        (12, "e_12.jpg", "e_12.jpg"),
        (12, "final.jpg", "final.jpg"),
    ]
    assert picture(page.facts["snapshots"][0]["picture"]).size == (48, 32)
    assert list(page.facts["curves"]) == [name for name in header(folder) if name != "scale"]
    assert page.facts["curves"]["loss"][0] == 5.04e13
    assert page.facts["stop_eps"] == 0.005
    assert page.facts["refresh"] is None
    for said in ("run content in the style of waves", "finished: all 12 epochs done.", "6.0 s, 0.5 s an epoch"):
        assert said in page.text
    assert "This page updates" not in page.text
    changed = page.text.index("--lr")
    assert page.text[changed : changed + 8] == "--lr0.01"
    assert "../run content.png" in page.links()
    assert "../waves.png" in page.links()


def test_settings_that_are_not_the_default_stand_out(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", lr=0.01, stop_eps=0.005, device=None)
    text = Gallery(folder, folder).publish().page.read_text()
    assert '<tr class="changed"><th scope="row">--lr</th><td>0.01</td></tr>' in text
    assert '<tr><th scope="row">--stop-eps</th><td>0.005</td></tr>' in text
    given = {"content_image", "style_image", "output_dir", "save_epochs", "max_num_epochs", "lr"}
    assert text.count('<tr class="changed">') == len(given)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("relative change", "finished after 12 epochs: the picture had almost stopped changing"),
        ("interrupted", "interrupted after 12 epochs."),
        ("diverged", "diverged after 12 epochs."),
        ("failed", "failed after 12 epochs."),
        ("epochs", "finished: all 12 epochs done."),
    ],
)
def test_how_it_ended(reason: str, words: str, tmp_path: Path) -> None:
    assert words in page_of(fake_run(tmp_path / "run", stop_reason=reason)).text


def test_an_end_that_this_version_does_not_know(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    change_record(folder, stop_reason="{out of paint}")
    assert "ended after 12 epochs: {out of paint}." in page_of(folder).text


def test_a_run_in_several_scales(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=6, scales=3, max_num_epochs=4, size=(96, 64), stop_reason="running")
    run = read_run(folder)
    assert (run.scale, run.epochs) == ((2, 3), 6)
    assert describe_state(run) == "painting: scale 2 of 3, epoch 6 of at most 12"
    page = page_of(folder)
    assert list(page.facts["curves"]) == header(folder)
    assert page.facts["curves"]["scale"] == [1, 1, 1, 1, 2, 2]
    assert [picture(each["picture"]).size for each in page.facts["snapshots"]] == [(24, 16), (48, 32)]
    assert "3, coarse to fine" in page.text
    advance_run(folder, 6, 12)
    assert describe_state(read_run(folder)) == "painting: scale 3 of 3, epoch 12 of at most 12"
    assert page_of(folder).facts["curves"]["scale"] == [1] * 4 + [2] * 4 + [3] * 4


def test_a_run_whose_scales_have_their_own_epochs(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 6, "stop_reason": "running", "max_num_epochs": (5, 2)}
    folder = fake_run(tmp_path / "run", scales=3, size=(96, 64), **options)
    assert describe_state(read_run(folder)) == "painting: scale 2 of 3, epoch 6 of at most 9"
    assert "--max-num-epochs[5, 2]" in page_of(folder).text
    single = fake_run(tmp_path / "single", **{**options, "epochs": 4})
    assert describe_state(read_run(single)).startswith("painting: epoch 4 of at most 5,")
    settings = json.loads((folder / "run.json").read_text())["settings"]
    nonsense: Any
    for nonsense in ([], ["5"], "5,2", None, {}):
        change_record(folder, settings={**settings, "max_num_epochs": nonsense})
        assert describe_state(read_run(folder)) == "painting: 6 epochs done"


def test_a_running_run(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=5, stop_reason="running")
    page = page_of(folder)
    assert "painting: epoch 5 of at most 20, at most 7.5 s left." in page.text
    assert "nstyle-view --watch keeps it up to date" in page.text
    assert page.facts["refresh"] == 30
    page = page_of(folder, every=2.5)
    assert "updates every 2.5 s." in page.text
    assert page.facts["refresh"] == 2.5


def test_before_the_first_epoch(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=0, stop_reason="running")
    (folder / "epochs.csv").write_text("epoch,rel")
    page = page_of(folder)
    assert "No snapshot yet: the first comes after epoch 3." in page.text
    assert page.facts["snapshots"] == []
    assert page.facts["curves"] == {"epoch": []}


def test_a_run_of_which_nothing_is_left_but_the_record(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    page = page_of(tmp_path)
    assert "No picture is left of this run." in page.text
    assert tmp_path.name in page.text


def test_originals_that_have_gone_or_changed(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    (tmp_path / "run content.png").unlink()
    painted(20, 20).save(tmp_path / "waves.png")
    page = page_of(folder)
    assert "file is missing" in page.text
    assert "changed since" in page.text
    assert not [attributes for tag, attributes in page.elements if tag == "img" and attributes.get("src")]
    assert [each["value"] for tag, each in page.elements if each.get("type") == "radio"] == [""]


def test_a_snapshot_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    (folder / "e_6.jpg").write_bytes((folder / "e_6.jpg").read_bytes()[:100])
    page = page_of(folder)
    assert [each["epoch"] for each in page.facts["snapshots"]] == [3, 9, 12, 12]
    assert "1 more snapshots" in page.text


@pytest.mark.parametrize(("image_format", "shown"), [("jpg", True), ("png", True), ("webp", True), ("tiff", False)])
def test_what_a_browser_cannot_show_is_there_as_a_small_picture(
    image_format: str, shown: bool, tmp_path: Path
) -> None:
    page = page_of(fake_run(tmp_path / "run", image_format=image_format))
    for each in page.facts["snapshots"]:
        assert each["shown"] is shown
        assert picture(each["picture"]).size == (48, 32)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    (folder / "epochs.csv").write_text("epoch,loss,new_term\n0,nan,1\n1,inf,-2\n")
    page = page_of(folder)
    assert page.facts["curves"] == {"epoch": [1, 2], "loss": [None, None], "new_term": [1, -2]}


HOSTILE = """'"><img src=x onerror=alert(1)><!--<script>&amp;"""


def test_no_text_is_taken_for_html(tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "")
    folder = fake_run(tmp_path / name, content=tmp_path / f"{name}.png", init=HOSTILE + "</script>")
    record = json.loads((folder / "run.json").read_text())
    change_record(
        folder,
        settings=record["settings"] | {"model": "</td>", HOSTILE: 1},
        inputs=record["inputs"] | {HOSTILE: record["inputs"]["style_image"]},
        stop_reason=HOSTILE,
        device=HOSTILE,
        started=HOSTILE,
    )
    (folder / "epochs.csv").write_text(f'epoch,loss,"{HOSTILE.replace(chr(34), "")}</script><b>"\n0,1,2\n')
    (tmp_path / "batch").mkdir()
    shutil.move(folder, tmp_path / "batch")
    batch = page_of(tmp_path / "batch")
    run = Page(tmp_path / "batch" / name / "index.html")
    ordinary = page_of(fake_run(tmp_path / "ordinary", epochs=12))
    for page in (batch, run):
        assert len(page.scripts) == 2
        assert page.scripts[1] == ordinary.scripts[1]
        assert not [
            attributes for _, attributes in page.elements if any(each.startswith("on") for each in attributes)
        ]
        assert {tag for tag, _ in page.elements} <= {tag for tag, _ in ordinary.elements} | {
            "nav",
            "ul",
            "li",
            "strong",
        }
    assert name in batch.text
    assert f"{name}/index.html" in batch.links()
    assert run.text.count(HOSTILE) >= 5
    assert [column for column in run.facts["curves"] if "</script><b>" in column]


def test_a_page_tells_no_paths(tmp_path: Path) -> None:
    private = tmp_path / "ann"
    settings: dict[str, Any] = {"mask": private / "m.png", "weights": str(private / "w.pth")}
    private.mkdir()
    folder = fake_run(private / "run", content=tmp_path / "cat.png", **settings)
    text = page_of(folder).text
    assert "m.png" in text
    assert "w.pth" in text
    markup = (folder / "index.html").read_text(encoding="utf-8")
    assert "ann" not in [part for word in markup.split('"') for part in word.split("/")]
    assert str(tmp_path) not in markup
    assert "../../cat.png" in page_of(folder).links()


def test_a_page_names_no_folder_elsewhere(tmp_path: Path) -> None:
    """Neither of the run that it shows, nor of its inputs, also if the trees share more than the root."""
    folder = fake_run(tmp_path / "ann" / "run")
    shown = Gallery(folder, tmp_path / "site" / "new").publish()
    markup = shown.page.read_text(encoding="utf-8")
    page = Page(shown.page)
    assert len([each for tag, each in page.elements if tag == "img" and each.get("src")]) == 2  # the inputs
    assert page.links() == []
    assert {each["href"] for each in page.facts["snapshots"]} == {None}
    assert all(each["picture"] for each in page.facts["snapshots"])
    assert "ann" not in [part for word in markup.split('"') for part in word.split("/")]


def test_no_text_steers_or_reorders(tmp_path: Path) -> None:
    steering = "\x1b]0;x\x07\u202egpj"
    folder = fake_run(tmp_path / steering)
    change_record(
        folder,
        inputs={"content_image" + steering: {"path": steering + ".png", "sha256": "1"}},
        settings={"init" + steering: steering},
        versions={"nstyle" + steering: steering},
        device_name=steering,
        stop_reason=steering,
    )
    lines = (folder / "epochs.csv").read_text().splitlines()
    (folder / "epochs.csv").write_text("\n".join([lines[0].replace("loss", steering, 1), *lines[1:]]) + "\n")
    fake_run(tmp_path / "batch" / steering)
    for source in (folder, tmp_path / "batch"):
        text = Gallery(source, source).publish().page.read_text(encoding="utf-8")
        assert r"\x1b]0;x\x07\u202egpj" in text
        assert not set(text) & set("\x1b\x07\u202e")


def test_the_policy_allows_our_script_and_no_network(tmp_path: Path) -> None:
    page = page_of(fake_run(tmp_path / "run"))
    policy = next(str(each["content"]) for tag, each in page.elements if each.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert not [each for _, each in page.elements if (each.get("src") or "data:").split(":")[0] != "data"]


def test_a_page_elsewhere(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "a b#c" / "run")
    shown = Gallery(folder, tmp_path / "pages" / "new").publish()
    assert shown.page == tmp_path / "pages" / "new" / "index.html"
    assert not (folder / "index.html").exists()
    above = Gallery(folder, tmp_path).publish()
    assert Page(above.page).facts["snapshots"][0]["href"] == "a%20b%23c/run/e_3.jpg"


def test_nobody_elses_page_is_written_over(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    (folder / "index.html").write_text("<h1>my own</h1>")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=folder / "index.html", flag="--output-dir"):
        page_of(folder)
    assert (folder / "index.html").read_text() == "<h1>my own</h1>"
    (folder / "index.html").unlink()
    page_of(folder)
    page_of(folder)
    (folder / "index.html").unlink()
    (folder / "index.html").mkdir()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=folder / "index.html", flag="--output-dir"):
        page_of(folder)


def test_a_batch(tmp_path: Path) -> None:
    batch = fake_batch(tmp_path / "batch")
    fake_run(batch / "owl_waves", epochs=1, stop_reason="running")
    page = page_of(batch)
    assert page.links() == ["cat_waves/index.html", "dog_waves/index.html", "owl_waves/index.html"]
    assert sum(1 for tag, each in page.elements if tag == "img" and each.get("src")) == 2
    for said in ("3 paintings", "2 of 3 have ended", "no picture yet", "painting: epoch 1 of at most 20"):
        assert said in page.text
    assert "../index.html" in Page(batch / "cat_waves" / "index.html").links()


def test_a_run_and_a_batch_in_one_folder(tmp_path: Path) -> None:
    page = page_of(fake_batch(fake_run(tmp_path / "output")))
    assert len(page.facts["snapshots"]) == 5
    assert "cat_waves/index.html" in page.links()


def test_more_snapshots_and_epochs_than_anybody_looks_at(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=1500, save_epochs=1500)
    small = (folder / "e_1500.jpg").read_bytes()
    change_record(folder, settings={"save_epochs": 1, "image_format": "jpg"})
    for epoch in range(1, 1000):
        (folder / f"e_{epoch}.jpg").write_bytes(small)
    page = page_of(folder)
    assert len(page.facts["snapshots"]) == 400
    assert page.facts["snapshots"][-1]["final"]
    assert "601 more snapshots" in page.text
    assert len(page.facts["curves"]["epoch"]) == 1000
    assert page.facts["curves"]["epoch"][-1] == 1500


def test_200_detailed_snapshots_make_less_than_5_megabytes(tmp_path: Path) -> None:
    """Noise compresses worst; a painting needs less."""
    folder = fake_run(tmp_path / "run", epochs=600, save_epochs=600, size=(600, 400))
    change_record(folder, settings={"save_epochs": 3, "image_format": "jpg"})
    generator = np.random.default_rng(0)
    ground = np.asarray(painted(400, 600), dtype=np.int16)
    for epoch in range(3, 600, 3):
        noise = generator.integers(-60, 60, size=(400, 600, 3), dtype=np.int16)
        Image.fromarray(np.clip(ground + noise, 0, 255).astype(np.uint8)).save(folder / f"e_{epoch}.jpg", quality=90)
    assert sum(path.stat().st_size for path in folder.glob("e_*.jpg")) > 6 * 5_000_000
    page = page_of(folder)
    size = (folder / "index.html").stat().st_size
    print(f"{size} bytes")  # noqa: T201  (with -s or on failure)
    assert len(page.facts["snapshots"]) == 201
    assert 1_500_000 < size < 5_000_000
    widths = {picture(each["picture"]).width for each in page.facts["snapshots"]}
    assert len(widths) == 1
    assert widths.pop() >= 160


def test_few_pictures_are_shown_well(tmp_path: Path) -> None:
    painted(800, 1200).save(tmp_path / "large.png")
    made = Album().fit([tmp_path / "large.png"], 1_000_000)
    assert picture(made[tmp_path / "large.png"]).size == (720, 480)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((32, 48, 4), np.uint8)
    pixels[:, 24:, 3] = 255  # the right half is black
    Image.fromarray(pixels).save(tmp_path / "half.png")
    shown = np.asarray(picture(Album().fit([tmp_path / "half.png"], 1_000_000)[tmp_path / "half.png"]))
    assert shown[:, :20].min() > 250
    assert shown[:, 28:].max() < 5


def test_pictures_that_cannot_fit_are_as_small_as_it_goes(tmp_path: Path) -> None:
    painted(800, 1200).save(tmp_path / "large.png")
    made = Album().fit([tmp_path / "large.png", tmp_path / "missing.png"], 10)
    assert picture(made[tmp_path / "large.png"]).width == LADDER[-1][0]


def test_a_picture_is_decoded_once_for_all_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 100 megapixels takes seconds; the budget below is too small for most sizes."""
    path, opened = tmp_path / "large.png", []
    painted(800, 1200).save(path)

    def read(path: Path, *rest: Any) -> Picture:
        opened.append(path.name)
        return read_picture(path, *rest)

    monkeypatch.setattr("nstyle.view.album.read_picture", read)
    made = Album().fit([path], 5000)
    assert picture(made[path]).width < 720
    assert open_picture(path, 220).size == (220, 147)
    assert opened == ["large.png"]
    assert open_picture(path, 900).size == (900, 600)
    painted(600, 800, seed=1).save(path)
    assert open_picture(path, 220).size == (220, 165)
    assert opened == ["large.png"] * 3


@pytest.mark.parametrize("alpha", [False, True])
def test_a_large_picture_is_shrunk_before_it_is_copied(
    alpha: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, large = tmp_path / "large.png", painted(8, 12).resize((1200, 800), Image.Resampling.BICUBIC)
    if alpha:
        large.putalpha(Image.linear_gradient("L").resize(large.size))
    large.save(path)
    copied: list[tuple[int, int]] = []

    def copy(picture: Picture) -> Any:
        copied.append(picture.size)
        return on_white(picture)

    monkeypatch.setattr("nstyle.view.album.on_white", copy)
    monkeypatch.setattr("nstyle.view.album.LADDER", ((50, 80),))  # 100 pixels are too many for the cache
    plain = np.asarray(open_picture(path, 100), int)
    for limit in ("view.album.LARGE", "pictures.picture.LARGE"):
        monkeypatch.setattr(f"nstyle.{limit}", 500_000)
    quick = np.asarray(open_picture(path, 100), int)
    assert copied == [(800, 1200), (67, 100)]
    assert quick.shape == plain.shape
    assert np.abs(quick - plain).mean() < 3


def test_what_was_made_small_once_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_run(tmp_path / "run", epochs=6, stop_reason="running")
    gallery = Gallery(folder, folder)
    gallery.publish()
    opened: list[str] = []

    def read(path: Path, *rest: Any) -> Picture:
        opened.append(path.name)
        return read_picture(path, *rest)

    monkeypatch.setattr("nstyle.view.album.read_picture", read)
    gallery.publish()
    assert opened == []
    advance_run(folder, 6, 9)
    gallery.publish()
    assert opened == ["e_9.jpg"]
