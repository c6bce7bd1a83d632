"""The table of picture formats, and that all code uses it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recipes import recipe
from refusals import refuses

from nstyle.errors import Kind, OptionError, OutputError
from nstyle.painting.selection import ENDINGS
from nstyle.pictures.encode import ENCODERS
from nstyle.pictures.formats import FORMATS, WRITTEN, able_to_hold
from nstyle.settings.config import Config
from nstyle.storage.layout import is_of_a_run
from nstyle.storage.run_folder import RunFolder


def test_the_table_brings_in_nothing_else() -> None:
    """It is imported before `--help` is printed."""
    code = "import sys, nstyle.pictures.formats; sys.exit(not {'numpy', 'torch', 'PIL'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_names_and_endings_are_unlike() -> None:
    endings = [ending for form in FORMATS for ending in form.endings]
    assert len(set(endings)) == len(endings)
    assert len({form.name for form in FORMATS}) == len(FORMATS)
    assert {f".{ending}" for ending in endings} == ENDINGS
    assert all(form.name in form.endings for form in WRITTEN.values())


def test_what_is_written_has_an_encoder() -> None:
    assert set(WRITTEN) == set(ENCODERS)
    assert all(8 in form.bit_depths for form in WRITTEN.values())


def test_what_can_hold_what() -> None:
    assert able_to_hold() == ["jpg", "png", "tiff", "webp"]
    assert able_to_hold(bit_depth=16) == ["png", "tiff"]
    assert able_to_hold(16384) == ["jpg", "png", "tiff"]
    assert able_to_hold(65501) == ["png", "tiff"]


@pytest.mark.parametrize("form", WRITTEN)
def test_whatever_is_written_is_known_for_a_picture_of_a_run(form: str, tmp_path: Path) -> None:
    """Otherwise a run would overwrite an earlier run's pictures, or its own content."""
    for name in (f"final.{form}", f"e_50.{form}"):
        assert is_of_a_run(name)
        (tmp_path / name).touch()
        with refuses(OutputError, kind=Kind.IN_THE_WAY, path=tmp_path / name, flag="--output-dir"):
            RunFolder(tmp_path, form, []).check(recipe(), continues=False)
        (tmp_path / name).unlink()
    source = tmp_path / f"e_50.{form}"
    refused = refuses(OutputError, kind=Kind.IN_THE_WAY, path=source, flag="--output-dir")
    with refused, RunFolder(tmp_path, form, [source]).owned():
        pass


@pytest.mark.parametrize(
    ("flag", "options"),
    [
        ("--max-long-edge", {"max_long_edge": 16384}),
        ("--size", {"size": "16384x100", "content_weight": 0}),
        ("--size", {"size": "100x16384", "content_weight": 0}),
    ],
)
def test_a_picture_too_large_for_its_format_is_refused_before_it_is_painted(
    flag: str, options: dict[str, Any]
) -> None:
    with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag=flag) as refused:
        Config(image_format="webp", **options)
    assert flag in str(refused.value)
    assert "at most 16383" in str(refused.value)
    assert "--image-format jpg or png or tiff" in str(refused.value)
    Config(image_format="png", **options)


def test_the_longest_edge_that_a_format_can_hold_is_painted() -> None:
    Config(max_long_edge=16383, image_format="webp")
    Config(max_long_edge=65500)
    Config(max_long_edge=20000, size="100x16383", content_weight=0, image_format="webp")  # 20000 is the style's


@pytest.mark.parametrize("form", ["jpg", "webp"])
def test_a_bit_depth_that_a_format_does_not_have(form: str) -> None:
    with refuses(OptionError, kind=Kind.UNSUPPORTED, flag="--bit-depth"):
        Config(image_format=form, bit_depth=16)
