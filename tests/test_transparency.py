"""Transparent areas do not affect the style, neither of the style picture nor of the painting."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import painted
from PIL import Image

from nstyle import Config, stylize
from nstyle.losses.gram import GramTerm
from nstyle.painting.prepare import prepare

SMALL: dict[str, Any] = {"max_long_edge": 64, "max_num_epochs": 3, "image_format": "png"}


CPU = torch.device("cpu")


def half_seen(path: Path, picture: Image.Image, hidden: tuple[int, int, int]) -> Path:
    """Save a picture whose right half is transparent, with a different color in the hidden part."""
    picture = picture.copy()
    width, height = picture.size
    picture.paste(hidden, (width // 2, 0, width, height))
    alpha = Image.new("L", picture.size, 0)
    alpha.paste(255, (0, 0, width // 2, height))
    picture.putalpha(alpha)
    picture.save(path)
    return path


def test_what_a_file_hides_changes_nothing(tmp_path: Path) -> None:
    results = []
    for name, hidden in (("red", (255, 0, 0)), ("green", (0, 255, 0))):
        content = half_seen(tmp_path / f"content_{name}.png", painted(48, 64, seed=1), hidden)
        style = half_seen(tmp_path / f"style_{name}.png", painted(48, 64, seed=2), hidden)
        results.append(stylize(content, style, output_dir=tmp_path / name, **SMALL))
    assert torch.equal(results[0].image, results[1].image)
    assert results[0].path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_seen_half_is_the_style(tmp_path: Path) -> None:
    painted(48, 64, seed=1).save(tmp_path / "content.png")
    whole = painted(48, 64, seed=2)
    half = half_seen(tmp_path / "half.png", whole, (255, 0, 0))
    config = Config(tmp_path / "content.png", half, max_long_edge=64)
    objective = prepare(config, CPU, torch.float32).scales[-1].objective()
    seen = Image.fromarray(np.asarray(whole)[:, :32])
    seen.save(tmp_path / "seen.png")
    alone = (
        prepare(
            Config(tmp_path / "content.png", tmp_path / "seen.png", max_long_edge=64, style_fit="contain"),
            CPU,
            torch.float32,
        )
        .scales[-1]
        .objective()
    )
    for term, wanted in zip(objective.style_terms[:3], alone.style_terms[:3], strict=True):
        assert isinstance(term, GramTerm)
        assert isinstance(wanted, GramTerm)
        assert term.positions is not None
        assert wanted.positions is not None
        difference = term.target / term.positions - wanted.target / wanted.positions
        assert difference.norm() / (wanted.target / wanted.positions).norm() < 0.15, term.layer


def test_the_hidden_half_of_the_painting_is_left_to_the_content(tmp_path: Path) -> None:
    content = half_seen(tmp_path / "content.png", painted(64, 64, seed=1), (255, 0, 0))
    painted(64, 64, seed=2).save(tmp_path / "style.png")
    config = Config(content, tmp_path / "style.png", max_long_edge=64, content_weight=0, tv_weight=0)
    prepared = prepare(config, CPU, torch.float32)
    gradient = prepared.scales[-1].objective().gradient(prepared.scales[-1].start).gradient.abs().sum(dim=1)[0]
    assert gradient[:, -8:].max() < 0.02 * gradient[:, :24].mean()  # only the uppermost layers see it
    assert gradient[:, :24].mean() > 0


def test_partly_transparent_counts_in_part(tmp_path: Path) -> None:
    """A constant alpha does not change the style, because only relative weights count."""
    painted(48, 64, seed=1).save(tmp_path / "content.png")
    whole = painted(48, 64, seed=2)
    whole.save(tmp_path / "whole.png")
    whole.putalpha(128)
    whole.save(tmp_path / "faint.png")
    opaque, faint = (
        prepare(Config(tmp_path / "content.png", tmp_path / name, max_long_edge=96), CPU, torch.float32)
        .scales[-1]
        .objective()
        for name in ("whole.png", "faint.png")
    )
    for one, other in zip(opaque.style_terms, faint.style_terms, strict=True):
        assert isinstance(one, GramTerm)
        assert isinstance(other, GramTerm)
        torch.testing.assert_close(other.target, one.target, rtol=0.02, atol=0.02 * float(one.target.abs().max()))


@pytest.mark.parametrize("options", [{"init": "recolored"}, {"preserve_colors": "luma", "init": "style"}])
def test_hidden_colors_do_not_count_in_the_start(options: dict[str, Any], tmp_path: Path) -> None:
    """The hidden half of the style gets the colors at the border of the visible half, which must not count twice."""
    painted(48, 64, seed=1).save(tmp_path / "content.png")
    picture = painted(48, 64, seed=2)
    picture.paste((255, 255, 255), (24, 0, 32, 48))
    half_seen(tmp_path / "half.png", picture, (255, 0, 0))
    picture.crop((0, 0, 32, 48)).save(tmp_path / "seen.png")
    half, seen = (
        prepare(
            Config(tmp_path / "content.png", tmp_path / name, max_long_edge=64, style_fit="contain", **options),
            CPU,
            torch.float32,
        )
        .scales[-1]
        .start
        for name in ("half.png", "seen.png")
    )
    if options["init"] == "style":
        half, seen = half[..., :28], seen[..., :56][..., ::2]
    difference = (half.mean(dim=(-1, -2)) - seen.mean(dim=(-1, -2))).abs().max()
    assert difference < 2.5
