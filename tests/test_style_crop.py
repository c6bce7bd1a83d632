"""A part of the style picture: it is used as if the file held nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import painted
from PIL import Image
from refusals import refuses

from nstyle import Config, ImageError, OptionError, Result, estimate, stylize
from nstyle.batch.sweep import plan_sweep
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.painting.inputs import Source, inputs_of
from nstyle.painting.session import Session
from nstyle.painting.stylize import run
from nstyle.pictures.decode import read_picture
from nstyle.settings.style_crop import Crop, parse_crop
from nstyle.storage.recipe import read_recipe

TINY: dict[str, Any] = {"model": "filters", "max_long_edge": 32, "max_num_epochs": 2, "device": "cpu"}
TINY |= {"image_format": "png"}
ROTATED_RIGHT = 6  # EXIF: turn by 90 degrees clockwise to show the picture


@pytest.fixture
def content(tmp_path: Path) -> Path:
    painted(32, 24, seed=1).save(tmp_path / "content.png")
    return tmp_path / "content.png"


@pytest.fixture
def style(tmp_path: Path) -> Path:
    """A picture of 80x60 pixels, different in each corner."""
    painted(60, 80, seed=2).save(tmp_path / "style.png")
    return tmp_path / "style.png"


def paint(content: Path, style: Path, output_dir: Path, **options: Any) -> Result:
    return stylize(content, style, output_dir=output_dir, **{**TINY, **options})


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("10,20,30,40", (10, 20, 40, 60)),
        ("25%,50%,50%,50%", (20, 30, 60, 60)),
        ("33.3%,0%,66.7%,100%", (27, 0, 80, 60)),
        ("0,0,81,60", (0, 0, 81, 60)),
        ("0%,0%,100%,100%", (0, 0, 80, 60)),
    ],
)
def test_the_part_in_pixels(text: str, box: tuple[int, int, int, int]) -> None:
    assert parse_crop(text).box(80, 60) == box


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"style_fit": "cover", "init": "style", "style_scale": 1.5},
        {"preserve_colors": "histogram"},
        {"init": "recolored", "coarsest_edge": 24, "enlarge": False},
        {"size": "32x32", "content_weight": 0},
    ],
)
def test_it_is_painted_as_a_file_of_that_part(
    content: Path, style: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    part = tmp_path / "part.png"
    Image.open(style).crop((20, 30, 60, 60)).save(part)
    of_file = paint(content, part, tmp_path / "file", **options)
    for crop in ("20,30,40,30", "25%,50%,50%,50%"):
        cropped = paint(content, style, tmp_path / crop, style_crop=crop, **options)
        assert torch.equal(cropped.image, of_file.image)
    assert not torch.equal(paint(content, style, tmp_path / "whole", **options).image, of_file.image)


def test_only_the_style_picture_itself_is_cropped(content: Path, style: Path) -> None:
    """Not the other styles, nor the same file where it has another purpose."""
    named = {"content_image": style, "style_image": style, "init": str(style), "style_mask": ((style, str(style)),)}
    inputs = inputs_of(Config(**named, style_crop="0,0,20,20"))  # type: ignore[arg-type]  # one of each type
    assert [source.name for source in inputs.sources if source.crop] == ["style_image"]
    inputs = inputs_of(Config(style_image=style, blend_style=((style, 1),), style_crop="0,0,20,20"))
    assert [one.picture.crop for one in inputs.styles] == [Crop(0, 0, 20, 20, in_percent=False), None]


def test_the_picture_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED_RIGHT
    stored = painted(40, 60, seed=4)
    stored.save(tmp_path / "turned.png", exif=exif)
    stored.transpose(Image.Transpose.ROTATE_270).crop((4, 30, 24, 60)).save(tmp_path / "part.png")
    path = tmp_path / "turned.png"
    cropped = Source("style_image", path, parse_crop("4,30,20,30")).cropped(read_picture(path))
    assert (cropped.rgb == read_picture(tmp_path / "part.png").rgb).all()


def test_parts_of_a_transparent_picture(tmp_path: Path) -> None:
    picture = painted(40, 60).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 30, 40))
    path = tmp_path / "half.png"
    picture.save(path)

    def part(crop: str) -> Any:
        return Source("style_image", path, parse_crop(crop)).cropped(read_picture(path)).alpha

    assert part("30,0,30,40") is None
    assert part("20,0,20,40").mean() == 0.5
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=path, flag="--style-crop"):
        part("0,0,30,40")


@pytest.mark.parametrize(
    "crop", ["61,0,20,20", "0,41,20,20", "50%,0%,51%,100%", "0,0,15,60", "0,0,80,0", "0%,0%,9%,9%"]
)
def test_a_part_that_is_not_in_the_picture_or_too_small(
    crop: str, content: Path, style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for paints in (stylize, estimate):
        with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=style, flag="--style-crop"):
            paints(content, style, style_crop=crop, output_dir=tmp_path / "out", **TINY)
    assert not (tmp_path / "out").exists() or not [*(tmp_path / "out").glob("*.png")]
    flags = ["--model", "filters", "--output-dir", str(tmp_path / "out"), "--style-crop", crop]
    assert main([str(content), str(style), *flags]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "80x60" in said


def test_a_jpeg_that_is_read_at_a_reduced_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels are those of the file."""
    path = tmp_path / "large.jpg"
    painted(160, 240).resize((480, 320)).save(path)
    source = Source("style_image", path, parse_crop("240,160,200,100"))
    whole = source.cropped(read_picture(path))
    assert whole.size == (100, 200)
    for name in ("LARGE", "MOST_PIXELS"):
        monkeypatch.setattr(f"nstyle.pictures.limits.{name}", 60_000)
    reduced = read_picture(path)
    assert reduced.size == (160, 240)
    assert source.cropped(reduced).size == (50, 100)
    assert abs(source.cropped(reduced).rgb.mean() - whole.rgb.mean()) < 0.01
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=path, flag="--style-crop") as refused:
        Source("style_image", path, parse_crop("240,160,250,100")).cropped(reduced)
    assert "480x320" in str(refused.value)


def test_a_session_tells_parts_of_the_same_size_apart(content: Path, style: Path, tmp_path: Path) -> None:
    session = Session()
    for crop in ("0,0,40,40", "40,20,40,40", "0,0,40,40"):
        named: dict[str, Any] = {"content_image": content, "style_image": style, "style_crop": crop, **TINY}
        shared = run(Config(output_dir=tmp_path / "shared" / crop, overwrite=True, **named), session=session)
        alone = run(Config(output_dir=tmp_path / "alone" / crop, overwrite=True, **named))
        assert torch.equal(shared.image, alone.image)


def test_a_recipe_keeps_it(content: Path, style: Path, tmp_path: Path) -> None:
    painting = paint(content, style, tmp_path / "one", style_crop="40,20,40,40")
    again = stylize(recipe=painting.path, output_dir=tmp_path / "again")
    assert torch.equal(again.image, painting.image)
    whole = paint(content, style, tmp_path / "whole")
    (difference,) = read_recipe(painting.path).differences(read_recipe(whole.path))
    assert difference == "--style-crop 40,20,40,40 (now None)"


def test_parts_and_strokes_are_swept(content: Path, style: Path, tmp_path: Path) -> None:
    flags = [str(content), str(style), "--model", "filters", "--max-long-edge", "24", "--max-num-epochs", "1"]
    flags += ["--sweep", "style_crop=0,0,40,40; 50%,0%,50%,100%", "--sweep", "style-scale=1,2"]
    assert main([*flags, "--output-dir", str(tmp_path / "out")]) == 0
    folders = sorted(path.name for path in (tmp_path / "out" / "sweep").iterdir())
    crops = ("0,0,40,40", "50%,0%,50%,100%")
    assert folders == [f"style-crop={crop}_style-scale={scale}" for crop in crops for scale in (1, 2)]
    finals = {(tmp_path / "out" / "sweep" / name / "final.jpg").read_bytes() for name in folders}
    assert len(finals) == 4
    assert (tmp_path / "out" / "sweep.png").exists()


def test_semicolons_separate_what_contains_commas() -> None:
    def values(sweep: str, name: str) -> list[Any]:
        return [getattr(job.config, name) for job in plan_sweep("c.jpg", "s.jpg", {}, [sweep]).jobs]

    assert values("style-crop=0,0,40,40", "style_crop") == ["0,0,40,40"]
    assert values("style-layers=relu1_1,relu2_1", "style_layers") == ["relu1_1", "relu2_1"]
    assert values("style-layers=relu1_1,relu2_1;relu3_1", "style_layers") == ["relu1_1,relu2_1", "relu3_1"]
    assert values("max-num-epochs=60,30;20", "max_num_epochs") == [(60, 30), 20]
    assert values("unrealness=-1;0.5", "unrealness") == [-1, 0.5]
    for sweep, flag in (("lr=1,2;3", "--lr"), ("style-crop=25%,25%", "--style-crop")):
        with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag=flag):
            values(sweep, "lr")
