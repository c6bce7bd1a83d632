"""How much memory a painting takes, and that it is painted in tiles if the whole does not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refuses

import nstyle
from nstyle.devices import free_memory, memory_in_use, memory_of
from nstyle.errors import Kind
from nstyle.networks.filter_bank import LAYERS
from nstyle.networks.model import ModelOptions, load_model
from nstyle.painting.inputs import inputs_of
from nstyle.painting.memory import WAYS, Memory
from nstyle.painting.sizes import ScaleSize
from nstyle.pictures.style_fit import Frame
from nstyle.settings.config import Config, parse_memory

CPU = torch.device("cpu")
SETTINGS: dict[str, Any] = {"model": "filters", "max_long_edge": 48, "max_num_epochs": 5, "stop_eps": 0}


def memory_of_filters(**settings: Any) -> tuple[Memory, ScaleSize]:
    """The estimate for a painting of 2000x1500 pixels with the filter bank."""
    config = Config(model="filters", **settings)
    inputs = inputs_of(config)
    frames = {style.picture: Frame((1500, 2000), (1500, 2000)) for style in inputs.styles}
    model = load_model("filters", ModelOptions())
    return Memory(config, inputs, model, torch.float32, CPU, LAYERS, ["scale3"]), ScaleSize(1500, 2000, frames)


@pytest.mark.parametrize(("text", "size"), [("4GB", 4e9), ("750MB", 75e7), ("1.5 gb", 15e8), ("2g", 2e9)])
def test_amounts_of_memory(text: str, size: float) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "4", "GB", "-1GB", "0GB", "4TB", "nanGB", "1e3GB", "4GB "])
def test_amounts_that_are_none(text: str) -> None:
    with refuses(nstyle.OptionError, kind=Kind.OUT_OF_RANGE, flag="--max-memory"):
        Config(max_memory=text)


def test_free_memory_is_plausible() -> None:
    free, there = free_memory(CPU), memory_of(CPU)
    assert free is None or there is None or 2**24 < free <= there
    assert memory_in_use(CPU) < 2**40
    assert free_memory(torch.device("mps")) is None


def test_the_fastest_way_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, size = memory_of_filters()
    for way in WAYS:
        needed = memory.needed(size, way)
        monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device, needed=needed: needed)
        (chosen,) = memory.choose([size])
        assert WAYS.index(chosen) <= WAYS.index(way)
        assert memory.needed(size, chosen) <= needed
    assert memory.needed(size, WAYS[-1]) < memory.needed(size, None) / 4


def test_each_scale_has_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, size = memory_of_filters()
    small = ScaleSize(150, 200, {source: Frame((150, 200), (150, 200)) for source in size.frames})
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: 2 * 10**9)
    ways = memory.choose([small, size])
    assert ways[0] is None
    assert ways[1] is not None


def test_optimizers_and_losses_take_memory() -> None:
    plain = memory_of_filters()[0].needed(memory_of_filters()[1], WAYS[-1])
    for settings in ({"optimizer": "lbfgs"}, {"style_loss": "mrf"}, {"blend_style": [("other.png", 1)]}):
        memory, size = memory_of_filters(**settings)
        assert memory.needed(size, WAYS[-1]) > 1.03 * plain


def test_the_least_limit_that_is_named_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstyle.painting.memory.memory_in_use", lambda device: 300_000_000)
    memory, size = memory_of_filters(max_memory="500MB")
    with refuses(nstyle.DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-memory") as refusal:
        memory.choose([size])
    (named,) = [word for word in str(refusal.value).split() if word.endswith("MB") and word != "500MB"]
    memory, size = memory_of_filters(max_memory=named)
    assert memory.choose([size]) == [WAYS[-1]]
    memory, size = memory_of_filters(max_memory=f"{0.9 * int(named[:-2]):.0f}MB")
    with refuses(nstyle.DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-memory"):
        memory.choose([size])


def test_a_painting_in_tiles_is_the_same_picture(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a grey level; the record tells how it was painted, and a whole one does not say so."""
    whole = nstyle.stylize(*pair, output_dir=tmp_path / "whole", **SETTINGS)
    monkeypatch.setattr("nstyle.painting.memory.WAYS", (None, WAYS[-1]))
    monkeypatch.setattr("nstyle.painting.memory.TILES_RESERVE", 0)
    monkeypatch.setattr("nstyle.painting.memory.TILE_RESERVE", 0.0)
    monkeypatch.setattr("nstyle.painting.memory.RESERVE", 1.0)
    memory = 48 * 32 * 1660
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: memory)
    tiles = nstyle.stylize(*pair, output_dir=tmp_path / "tiles", **SETTINGS)
    assert "tiles" not in json.loads(whole.record.read_text())
    assert json.loads(tiles.record.read_text())["tiles"] == [{"blocks": None, "joined": 2, "values": 2**20}]
    assert np.abs(tiles.rgb.astype(int) - whole.rgb).max() <= 1
