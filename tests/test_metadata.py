"""What a painting keeps of its photo's metadata, and what it never keeps."""

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from pictures import painted
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from refusals import refuses

from nstyle import Config, OptionError, stylize
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.pictures.encode import ENCODERS, write_picture
from nstyle.pictures.formats import WRITTEN
from nstyle.pictures.metadata import NOTHING, Metadata, read_metadata
from nstyle.pictures.picture import Picture

SMALL: dict[str, Any] = {"model": "filters", "max_long_edge": 32, "max_num_epochs": 2, "save_epochs": 1}

NAME = "© Zoë".encode()
TEXTS = {270: b"a cat\nin the sun", 306: b"2024:05:06 07:08:09", 315: NAME, 33432: NAME}
DATES = {36867: "2024:05:06 07:08:08", 36868: "2024:05:06 07:08:08", 36880: "+02:00", 36881: "-09:30"}
PLACE = {1: "S", 2: (48.0, 51.0, 29.5), 3: "W", 4: (2.0, 17.0, 40.25), 5: b"\1", 6: 35.5}
NEVER = {274: 6, 271: "maker of cameras", 305: "a program"}  # orientation, Make, Software
NEVER_IN_EXIF = {37500: b"a maker's note", 37510: b"ASCII\0\0\0a comment", 42032: "owner", 42033: "serial number"}


def exif(**changes: Any) -> Image.Exif:
    """A photo's EXIF with everything."""
    made = Image.Exif()
    made.update(changes.get("texts", TEXTS) | NEVER)
    made.get_ifd(0x8769).update(changes.get("dates", DATES) | NEVER_IN_EXIF)
    made.get_ifd(0x8825).update(changes.get("place", PLACE) | {7: (1.0, 2.0, 3.0), 29: "2024:05:06", 17: 3.5})
    return made


def photo(path: Path, **changes: Any) -> Path:
    if path.suffix == ".heic":
        pillow_heif.from_pillow(painted(64, 48)).save(path, exif=exif(**changes).tobytes())
    elif path.suffix == ".jxl":
        block = exif(**changes).tobytes().removeprefix(b"Exif\0\0")
        content = imagecodecs.jpegxl_encode(np.asarray(painted(64, 48)), usecontainer=True)
        path.write_bytes(content + struct.pack(">I4sI", 12 + len(block), b"Exif", 0) + block)
    else:
        painted(64, 48).save(path, exif=exif(**changes).tobytes())
    return path


def everything(path: Path) -> Metadata:
    return read_metadata(path, credits_=True, place=True)


@pytest.mark.parametrize("form", ["jpg", "png", "webp", "tiff", "heic", "avif", "jxl"])
def test_it_is_read_from_every_kind_of_photo(form: str, tmp_path: Path) -> None:
    # Pillow writes other letters as question marks into the last two.
    texts = TEXTS | dict.fromkeys((315, 33432), b"Zoe") if form in ("tiff", "avif") else TEXTS
    path = photo(tmp_path / f"photo.{form}", texts=texts)
    assert everything(path) == Metadata(texts, DATES, PLACE)
    assert read_metadata(path, credits_=True, place=False) == Metadata(texts, DATES)
    assert read_metadata(path, credits_=False, place=True) == Metadata(place=PLACE)


@pytest.mark.parametrize("recipe", [None, '{"a": 1}'])
@pytest.mark.parametrize("kept", [Metadata(TEXTS, DATES, PLACE), Metadata(TEXTS), Metadata(place=PLACE), NOTHING])
@pytest.mark.parametrize(
    ("form", "bit_depth"), [(form, bits) for form, one in WRITTEN.items() for bits in one.bit_depths]
)
def test_it_is_read_from_what_was_written(
    form: str, bit_depth: int, kept: Metadata, recipe: str | None, tmp_path: Path
) -> None:
    picture = Picture(np.random.default_rng(0).random((21, 33, 3)).astype(np.float32))
    plain, path = tmp_path / f"plain.{form}", tmp_path / f"picture.{form}"
    write_picture(plain, picture, bit_depth=bit_depth)
    write_picture(path, picture, bit_depth=bit_depth, recipe=recipe, metadata=kept)
    texts = dict(kept.texts)
    if form == "tiff" and recipe is not None:
        texts.pop(270, None)
    assert everything(path) == Metadata(texts, kept.dates, kept.place)
    assert read_recipe_text(path) == recipe
    np.testing.assert_array_equal(levels(path), levels(plain))
    if kept is NOTHING and recipe is None:
        assert path.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("recipe", [None, '{"a": 1}'])
@pytest.mark.parametrize("kept", [Metadata({306: TEXTS[306]}, DATES, PLACE), NOTHING])
def test_it_is_read_from_a_bigtiff(
    kept: Metadata, recipe: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Picture(np.random.default_rng(0).random((21, 33, 3)).astype(np.float32))
    plain, path = tmp_path / "plain.tiff", tmp_path / "picture.tiff"
    write_picture(plain, picture, bit_depth=16)
    monkeypatch.setattr("nstyle.pictures.encode.LARGEST_CLASSIC_TIFF", 0)
    write_picture(path, picture, bit_depth=16, recipe=recipe, metadata=kept)
    assert (plain.read_bytes()[:4], path.read_bytes()[:4]) == (b"II*\0", b"II+\0")
    assert everything(path) == kept
    assert read_recipe_text(path) == recipe
    np.testing.assert_array_equal(levels(path), levels(plain))
    np.testing.assert_array_equal(read_picture(path).rgb, read_picture(plain).rgb)


def levels(path: Path) -> Any:
    if path.suffix == ".tiff":
        return tifffile.imread(path)
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_every_format_writes_it() -> None:
    assert {"jpg", "png", "tiff", "webp"} == set(ENCODERS)


@pytest.mark.parametrize("form", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("place", [False, True])
def test_a_painting_keeps_what_is_asked_for_and_never_more(form: str, *, place: bool, tmp_path: Path) -> None:
    content = photo(tmp_path / "photo.jpg")
    flags: dict[str, Any] = {"keep_metadata": True, "keep_place": place, "image_format": form, "no_recipe": True}
    result = stylize(content, content, output_dir=tmp_path / "output", **SMALL, **flags)
    for path in (result.path, result.path.with_name(f"e_1.{form}")):
        assert everything(path) == Metadata(TEXTS, DATES, PLACE if place else {})
        with Image.open(path) as picture:
            found = picture.getexif()
            assert 271 not in found
            assert found.get(305) is None
            assert found.get(274, 1) == 1
            assert not set(NEVER_IN_EXIF) & set(found.get_ifd(0x8769))
            assert set(found.get_ifd(0x8825)) == (set(PLACE) if place else set())
        assert b"maker" not in path.read_bytes()
    assert result.rgb.shape[0] < result.rgb.shape[1]  # as the photo is shown
    plain = stylize(content, content, output_dir=tmp_path / "plain", **SMALL, image_format=form)
    assert everything(plain.path) == NOTHING


def test_a_recipe_does_not_ask_for_it(tmp_path: Path) -> None:
    content = photo(tmp_path / "photo.jpg")
    first = stylize(content, content, output_dir=tmp_path / "1", keep_metadata=True, keep_place=True, **SMALL)
    again = stylize(recipe=first.path, output_dir=tmp_path / "2")
    assert everything(first.path) == Metadata(TEXTS, DATES, PLACE)
    assert everything(again.path) == NOTHING


def test_a_photo_that_tells_nothing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = tmp_path / "photo.png"
    painted(64, 48).save(content)
    flags = [
        "--model",
        "filters",
        "--max-long-edge",
        "32",
        "--max-num-epochs",
        "1",
        "--keep-metadata",
        "--keep-place",
    ]
    assert main([*flags, str(content), str(content), "--output-dir", str(tmp_path / "output")]) == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert [line.removeprefix(f"warning: {content} tells no ") for line in warnings] == [
        "date, description, artist or copyright to keep",
        "place to keep",
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([], ["--no-recipe"], "contains its recipe"),
        (["--no-recipe"], [], "contains no recipe"),
        (["--keep-place"], [], "tells the place"),
        ([], ["--keep-place"], "does not tell the place"),
        (["--keep-metadata"], [], "tells the photo's metadata"),
        ([], ["--keep-metadata"], "does not tell the photo's metadata"),
        (["--keep-metadata", "--keep-place"], ["--keep-metadata", "--keep-place"], None),
    ],
)
def test_a_finished_picture_with_other_notes_is_named(
    before: list[str], after: list[str], told: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    style = tmp_path / "style.png"
    painted(32, 32).save(style)
    command = ["--content-image", str(photo(tmp_path / "photo.jpg")), "--style-image", str(style)]
    command += ["--output-dir", str(tmp_path / "out"), "--model", "filters", "--max-long-edge", "32"]
    command += ["--max-num-epochs", "2"]
    assert main([*command, *before]) == 0
    capsys.readouterr()
    assert main([*command, *after]) == 0
    said = capsys.readouterr().out
    assert [f"is finished, but {told}; --overwrite" in said, "but" in said] == [told is not None] * 2


def test_a_texture_has_no_photo() -> None:
    for name in ("keep_metadata", "keep_place"):
        flags: dict[str, Any] = {name: True}
        with refuses(OptionError, kind=Kind.CONFLICT, flag="--size"):
            Config(size="32x32", content_weight=0, **flags)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"texts": {315: b"a\x1b[2Jb\0c\x07"}, "dates": {}}, {315: b"a[2Jbc"}),
        ({"texts": {315: b"long" * 1000}, "dates": {}}, {315: b"long" * 250}),
        ({"texts": {306: b"yesterday"}, "dates": {36867: "2024-05-06", 36880: "Z"}}, {}),
        ({"texts": {315: b" \n"}, "dates": {36867: b"2024:05:06 07:08:09"}}, {}),
    ],
)
def test_what_is_no_text_or_date(changes: dict[str, Any], expected: dict[int, bytes], tmp_path: Path) -> None:
    assert read_metadata(photo(tmp_path / "p.jpg", **changes), credits_=True, place=False) == Metadata(expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {1: "Q"},
        {3: ""},
        {2: (91.0, 0.0, 0.0)},
        {4: (180.0, 1.0, 0.0)},
        {2: (1.0, 2.0)},
        {4: (1.0, 2.0, IFDRational(0, 0))},
    ],
)
def test_what_is_no_place(wrong: dict[int, Any], tmp_path: Path) -> None:
    assert everything(photo(tmp_path / "p.jpg", place=PLACE | wrong)).place == {}


def test_a_place_without_a_valid_altitude(tmp_path: Path) -> None:
    place = {tag: PLACE[tag] for tag in (1, 2, 3, 4)}
    assert everything(photo(tmp_path / "p.jpg", place=place)).place == place
    assert everything(photo(tmp_path / "p.jpg", place=place | {5: b"\7", 6: 3.0})).place == place


def test_rubbish_is_nothing(tmp_path: Path) -> None:
    whole = exif().tobytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "p.jpg"
    for _ in range(200):
        damaged = bytearray(whole[: generator.integers(6, len(whole))])
        for place in generator.integers(6, len(damaged) + 1, size=8):
            damaged[place - 1] = generator.integers(256)
        painted(20, 20).save(path, exif=bytes(damaged))
        found = everything(path)
        write_picture(tmp_path / "q.jpg", Picture(np.zeros((20, 20, 3), np.float32)), metadata=found)
        write_picture(tmp_path / "q.tiff", Picture(np.zeros((20, 20, 3), np.float32)), metadata=found)
    assert read_metadata(tmp_path / "missing.jpg", credits_=True, place=True) == NOTHING
    (tmp_path / "x.jpg").write_bytes(struct.pack(">I", 7))
    assert everything(tmp_path / "x.jpg") == NOTHING
