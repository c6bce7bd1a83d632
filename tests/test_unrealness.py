"""One knob from real to unreal: the ratio of the relative style and content weights."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from recipes import recipe
from refusals import refuses

from nstyle import Config, OptionError, stylize
from nstyle.commands.flags import DEFAULTS
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.settings.presets import PRESETS, UNREALNESS
from nstyle.storage.recipe import settings_to_repeat

TINY: dict[str, Any] = {"model": "filters", "max_long_edge": 32, "max_num_epochs": 3, "device": "cpu"}


def weights(config: Config) -> tuple[float, float]:
    return config.content_weight, config.style_weight


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("unrealness", [-2, -0.5, 0, 1, 2.5])
def test_it_sets_the_ratio_of_the_weights_and_keeps_their_sum(preset: str, unrealness: float) -> None:
    config = Config(preset=preset, unrealness=unrealness)
    assert config.style_weight / config.content_weight == pytest.approx(10**unrealness)
    assert sum(weights(config)) == pytest.approx(sum(weights(Config(preset=preset))))
    assert config.balance == ("photo" if preset == "painterly" else "relative")


def test_with_one_weight_given_the_other_follows() -> None:
    assert weights(Config(unrealness=2, style_weight=3)) == pytest.approx((0.03, 3))
    assert weights(Config(unrealness=2, content_weight=3)) == pytest.approx((3, 300))
    assert weights(Config(unrealness=1, content_weight=0.2, style_weight=2)) == (0.2, 2)  # as a recipe holds them


def test_what_the_presets_have() -> None:
    assert {name: round(value, 4) for name, value in UNREALNESS.items()} == {"painterly": 0, "fast": 0.8239}
    assert DEFAULTS["unrealness"] == "painterly: 0; fast: 0.82"
    for preset, unrealness in UNREALNESS.items():
        config = Config(preset=preset, unrealness=unrealness)
        assert weights(config) == pytest.approx(weights(Config(preset=preset)))


def test_replaced_settings_change_what_follows_from_them() -> None:
    config = Config(preset="painterly", unrealness=1)
    assert dataclasses.replace(config, unrealness=-1) == Config(preset="painterly", unrealness=-1)
    assert dataclasses.replace(config, unrealness=None) == Config(preset="painterly")
    assert dataclasses.replace(config, preset="fast") == Config(preset="fast", unrealness=1)


@pytest.mark.parametrize(
    "beside",
    [
        *({"strength": 60}, {"balance": "absolute"}, {"content_weight": 1, "style_weight": 1}),
        *({"content_weight": 0}, {"style_weight": 0}, {"size": "64x64", "content_weight": 0}),
    ],
)
def test_nothing_else_may_set_the_ratio(beside: dict[str, Any]) -> None:
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--unrealness"):
        Config(unrealness=1, **beside)
    assert Config(unrealness=1, strength=50, balance="relative") == Config(unrealness=1)


def test_a_recipe_keeps_it_and_other_weights_take_its_place() -> None:
    config = Config(preset="painterly", unrealness=1.3, precision="float32")
    ours = recipe(config)
    assert Config(**settings_to_repeat(ours, {})) == config
    assert Config(**json.loads(json.dumps(dataclasses.asdict(config), default=str))) == config
    again = Config(**settings_to_repeat(ours, {"unrealness": 2}))
    assert again == Config(preset="painterly", unrealness=2, precision="float32")
    assert Config(**settings_to_repeat(ours, {"preset": "fast"})) == Config(preset="fast", unrealness=1.3)
    absolute = recipe(Config(content_weight=7, strength=60))
    assert Config(**settings_to_repeat(absolute, {"unrealness": 1})) == Config(unrealness=1)
    kept = dict(zip(("content_weight", "style_weight"), weights(config), strict=True))
    for change in ({"strength": 70}, {"content_weight": 5}, {"style_weight": 5}, {"balance": "absolute"}):
        settings: dict[str, Any] = {"preset": "painterly", "precision": "float32", **kept, **change}
        assert Config(**settings_to_repeat(ours, change)) == Config(**settings)


def test_it_is_painted_as_the_weights_are_and_swept(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Two runs of a sweep are the paintings with the same weights."""
    flags = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--sweep", "unrealness=-1,0.5"]
    tiny = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert main([*flags, *tiny, "--output-dir", str(tmp_path / "out"), "--image-format", "png"]) == 0
    pictures = []
    for unrealness in ("-1", "0.5"):
        ratio = 10 ** float(unrealness)
        alone = stylize(
            *pair,
            output_dir=tmp_path / unrealness,
            image_format="png",
            balance="relative",
            content_weight=11 / (1 + ratio),
            style_weight=11 / (1 + ratio) * ratio,
            **TINY,
        )
        swept = tmp_path / "out" / "sweep" / f"unrealness={unrealness}" / "final.png"
        pictures.append(stylize(recipe=swept, output_dir=tmp_path / f"again {unrealness}").image)
        assert torch.equal(pictures[-1], alone.image)
    assert not torch.equal(*pictures)
    assert (tmp_path / "out" / "sweep.png").exists()
