"""How much memory a painting takes, and that it is painted in tiles if the whole does not fit."""

import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import refuses

import nstyle
from nstyle.devices import free_memory, memory_in_use, memory_of, reusing_freed_memory
from nstyle.errors import Kind
from nstyle.losses.streamed import Streamed
from nstyle.losses.tiles import Tiling
from nstyle.networks.filter_bank import LAYERS
from nstyle.networks.model import ModelOptions, load_model
from nstyle.networks.padding import Padded
from nstyle.networks.weights import load_vgg19
from nstyle.painting.inputs import inputs_of
from nstyle.painting.memory import STARTUP, Memory
from nstyle.painting.session import Session
from nstyle.painting.sizes import ScaleSize
from nstyle.painting.start import noise
from nstyle.painting.steps import PaintingStep
from nstyle.painting.ways import TILINGS, WHOLE, Way
from nstyle.pictures.picture import Picture
from nstyle.pictures.style_fit import Frame
from nstyle.settings.config import Config, parse_memory
from nstyle.storage.checkpoint import read_checkpoint

CPU = torch.device("cpu")
SETTINGS: dict[str, Any] = {"model": "filters", "max_long_edge": 48, "max_num_epochs": 5, "stop_eps": 0}


def memory_of_filters(in_use: int = 0, **settings: Any) -> tuple[Memory, ScaleSize]:
    """The estimate for a painting of 2000x1500 pixels with the filter bank."""
    config = Config(model="filters", **settings)
    inputs = inputs_of(config)
    frames = {style.picture: Frame((1500, 2000), (1500, 2000)) for style in inputs.styles}
    model = load_model("filters", ModelOptions())
    return Memory(config, inputs, model, torch.float32, CPU, ["scale3"], LAYERS, in_use), ScaleSize(
        1500, 2000, frames
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4e9),
        ("750MB", 75e7),
        ("1.5 gb", 15e8),
        ("2g", 2e9),
        (".5GB", 5e8),
        ("1TB", 1e12),
        ("0.57GB ", 57e7),
        ("4GiB", 2**32),
        ("1.5mib", 1.5 * 2**20),
        ("1 TiB", 2**40),
        ("2000000kB", 2e9),
    ],
)
def test_amounts_of_memory(text: str, size: float) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", " ", "4", "GB", ".GB", "-1GB", "4XB", "4Gi", "nanGB", "1e3GB"])
def test_amounts_that_are_none(text: str) -> None:
    with refuses(nstyle.OptionError, kind=Kind.OUT_OF_RANGE, flag="--max-memory") as refused:
        Config(max_memory=text)
    assert "4GB" in str(refused.value)


@pytest.mark.parametrize("text", ["0GB", "0.9MB", "512kB", "900KiB"])
def test_amounts_that_are_too_small(text: str) -> None:
    with refuses(nstyle.OptionError, kind=Kind.OUT_OF_RANGE, flag="--max-memory") as refused:
        Config(max_memory=text)
    assert "at least 1MB" in str(refused.value)


def test_free_memory_is_plausible() -> None:
    free, there = free_memory(CPU), memory_of(CPU)
    assert free is None or there is None or 2**24 < free <= there
    assert memory_in_use(CPU) < 2**40
    assert free_memory(torch.device("mps")) is None


def least_way(memory: Memory, size: ScaleSize) -> Way:
    return min(memory.ways(), key=lambda way: memory.needed(size, way, 1000))


@pytest.mark.parametrize("optimizer", ["nag", "lbfgs"])
def test_the_best_way_that_fits(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, size = memory_of_filters(optimizer=optimizer)
    ways = memory.ways()
    for way in ways:
        needed = memory.needed(size, way, 1000)
        monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device, needed=needed: needed)
        (chosen,) = memory.choose([size], [1000])
        assert ways.index(chosen) <= ways.index(way)
        assert memory.needed(size, chosen, 1000) <= needed
    assert ways[0] == WHOLE
    assert {way.history for way in ways} == {"nag": {None}, "lbfgs": {None, *range(2, 10)}}[optimizer]
    assert memory.needed(size, least_way(memory, size), 1000) < memory.needed(size, WHOLE, 1000) / 3


def test_a_history_is_no_longer_than_there_are_epochs() -> None:
    memory, size = memory_of_filters(optimizer="lbfgs")
    few, more, many, most = (memory.needed(size, WHOLE, epochs) for epochs in (1, 2, 11, 1000))
    assert few < more < many == most
    assert memory.needed(size, Way(history=3), 1000) == memory.needed(size, WHOLE, 4)


def test_coarser_scales_and_a_margin_take_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, size = memory_of_filters()
    padded = replace(memory, model=replace(memory.model, features=Padded(memory.model.features, "mirror")))
    needed = memory.needed(size, WHOLE, 1000)
    assert padded.needed(size, WHOLE, 1000) > 1.1 * needed  # the margin itself is 4%
    assert memory.of_process([0, 0, needed], [size] * 3) - memory.of_process([needed], [size]) > 30_000_000
    small = ScaleSize(150, 200, {source: Frame((150, 200), (150, 200)) for source in size.frames})
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: needed)
    assert memory.choose([size], [1000]) == [WHOLE]
    assert memory.choose([small, size], [1000, 1000])[-1] != WHOLE


def test_each_scale_has_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, size = memory_of_filters()
    small = ScaleSize(150, 200, {source: Frame((150, 200), (150, 200)) for source in size.frames})
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: 2 * 10**9)
    ways = memory.choose([small, size], [1000, 1000])
    assert ways[0] == WHOLE
    assert ways[1].tiling is not None


def test_optimizers_and_losses_take_memory() -> None:
    way = Way(TILINGS[-1])
    plain = memory_of_filters()[0].needed(memory_of_filters()[1], way, 1000)
    more: list[dict[str, Any]] = [{"optimizer": "lbfgs"}, {"style_loss": "mrf"}]
    for settings in more:
        memory, size = memory_of_filters(**settings)
        assert memory.needed(size, way, 1000) > 1.03 * plain


STYLE = 12 * 1500 * 2000
"""Bytes of a style picture of `memory_of_filters`."""


def test_style_pictures_take_memory_only_until_their_targets_are_made() -> None:
    def needed(styles: int, **settings: Any) -> int:
        others = [(f"{i}.png", 1) for i in range(1, styles)]
        memory, size = memory_of_filters(remove_noise=0, blend_style=others, **settings)
        return memory.needed(size, Way(TILINGS[-1]), 1000)

    assert needed(30) - needed(29) == STYLE
    one, two, three = (needed(styles, optimizer="lbfgs") for styles in (1, 2, 3))  # its updates take more
    assert one < two == three  # the session keeps some
    (plain, size), (memory, blended) = memory_of_filters(), memory_of_filters(blend_style=[("other.png", 1)])
    coarser = memory.of_process([0, 0], [blended] * 2) - plain.of_process([0, 0], [size] * 2)
    assert coarser == STYLE  # those of a coarser scale stay until it begins
    coarse_alone, both = plain.of_process([10**9], [size]), plain.of_process([10**9, 0], [size] * 2)
    assert both - coarse_alone == 2 * STYLE  # content and style of the finer one are there meanwhile


@pytest.mark.parametrize(
    ("settings", "images"),
    [
        ({"init": "noise"}, 0),
        ({"init": "content"}, 0),
        ({"init": "style"}, 1),
        ({"init": "start.png"}, 1),
        ({"init": "content", "preserve_colors": "luma"}, 1),
        ({"init": "style", "preserve_colors": "luma"}, 2),
        ({"optimizer": "adam"}, 2),
    ],
    ids=str,
)
def test_each_picture_that_stays_in_memory_counts(settings: dict[str, Any], images: int) -> None:
    way, few = Way(TILINGS[-1]), {"remove_noise": 0}
    plain, size = memory_of_filters(init="noise", **few)
    memory, _ = memory_of_filters(**({"init": "noise"} | few | settings))
    image, scales = 12 * 1500 * 2000, [size] * 3
    more = memory.needed(size, way, 1000) - plain.needed(size, way, 1000)
    recolored = "preserve_colors" in settings  # a style picture in the content's colors
    assert images * image <= more <= 1.4 * (images + recolored) * image  # with what malloc cannot use
    if "optimizer" not in settings:
        assert (
            memory.of_process([0] * 3, scales) - plain.of_process([0] * 3, scales) == 2 * (images + recolored) * image
        )
    painted = replace(plain, is_painted=True).needed(size, way, 1000) - plain.needed(size, way, 1000)
    assert image <= painted <= 1.4 * image


def test_the_last_epoch_writes_a_snapshot() -> None:
    """Epochs are counted over all scales."""
    memory, size = memory_of_filters(save_epochs=8, init="noise")
    way = Way(TILINGS[-1])
    none, last = (memory.needed(size, way, epochs) for epochs in (7, 8))
    assert none < last == replace(memory, all_epochs=14).needed(size, way, 7)
    assert replace(memory, all_epochs=7).needed(size, way, 7) == none


@pytest.mark.parametrize("owns_process", [False, True])
def test_tiles_reuse_freed_memory_only_in_a_process_of_ours(owns_process: bool, tmp_path: Path) -> None:
    loaded = Session(owns_process=owns_process).load("filters", ModelOptions())
    network = loaded.targets_in(Tiling(), tmp_path).features
    assert isinstance(network, Streamed)
    assert (network.around_stage is reusing_freed_memory) == owns_process


@pytest.mark.parametrize("optimizer", ["nag", "lbfgs"])
def test_the_least_limit_that_is_named_works(optimizer: str) -> None:
    memory, size = memory_of_filters(300_000_000, max_memory="500MB", optimizer=optimizer)
    with refuses(nstyle.DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-memory") as refusal:
        memory.choose([size], [1000])
    named = str(refusal.value).partition("needs --max-memory ")[2].partition(",")[0]
    memory, size = memory_of_filters(300_000_000, max_memory=named, optimizer=optimizer)
    (chosen,) = memory.choose([size], [1000])
    there = int(named[:-2]) * 1e6 - 300_000_000 - STARTUP
    fitting = [way for way in memory.ways() if memory.needed(size, way, 1000) <= there]
    assert chosen == fitting[0]
    assert least_way(memory, size) in fitting
    memory, size = memory_of_filters(300_000_000, max_memory=f"{0.9 * int(named[:-2]):.0f}MB", optimizer=optimizer)
    with refuses(nstyle.DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-memory"):
        memory.choose([size], [1000])


@pytest.mark.parametrize(
    ("device", "values", "is_whole"),
    [("cpu", 2**31, True), ("cuda:0", 2**31, False), ("cuda:0", 2**31 - 2**20, True)],
)
def test_a_gpu_paints_in_tiles_what_it_would_paint_slowly_whole(
    device: str, values: int, is_whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: 10**15)
    memory, size = memory_of_filters()
    assert memory.network is not None
    pixels = values / max(block.widest / 4**i for i, block in enumerate(memory.network.blocks))
    large = replace(size, height=2**12, width=round(pixels / 2**12))
    (way,) = replace(memory, device=torch.device(device)).choose([large], [10])
    assert (way == WHOLE) == is_whole


def test_tiles_that_offload_need_room_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """With enough of it, and little memory, they are chosen; without any, they are not even tried."""
    memory, size = memory_of_filters(300_000_000, max_memory="500MB")
    offloading = [way for way in memory.ways() if memory.offloaded(size, way)]
    needs = [memory.needed(size, way, 10) for way in offloading]
    limit = f"{(min(needs) + 300_000_000 + STARTUP) // 10**6 + 1}MB"
    memory, size = memory_of_filters(300_000_000, max_memory=limit)
    (way,) = memory.choose([size], [10])
    assert way in offloading
    monkeypatch.setattr("nstyle.painting.memory.free_room", lambda device, folder: memory.offloaded(size, way) - 1)
    with refuses(nstyle.DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-memory") as refused:
        memory.choose([size], [10])
    assert f"or have 100 MB free in {memory.config.output_dir}" in str(refused.value)
    monkeypatch.setattr("nstyle.painting.memory.free_room", lambda device, folder: 100_000_000)
    assert memory.choose([size], [10]) == [way]


@pytest.mark.parametrize(("device", "most"), [("cpu", 2**26), ("cuda:0", 2**28)])
def test_only_gpus_have_very_large_tiles(device: str, most: int) -> None:
    memory, _ = memory_of_filters()
    ways = replace(memory, device=torch.device(device)).ways()
    assert max(way.tiling.values for way in ways if way.tiling is not None) == most


def test_transparent_pictures_count() -> None:
    memory, size = memory_of_filters()
    (style,) = size.frames
    clear = replace(memory, transparent=[style])
    assert clear.of_process([0, 0], [size] * 2) - memory.of_process([0, 0], [size] * 2) == STYLE / 3


def test_ways_in_words() -> None:
    assert str(WHOLE) == "whole"
    assert len({str(Way(tiling, history)) for tiling in TILINGS for history in (None, 5, 3)}) == 3 * len(TILINGS)


def test_pictures_of_a_batch_are_painted_as_alone(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier painting leaves behind does not count; a larger picture does."""
    in_use = iter([10**9, 2 * 10**9])
    monkeypatch.setattr("nstyle.painting.session.memory_in_use", lambda device: next(in_use))
    small, large = (Picture(np.zeros((edge, edge, 3), np.float32)) for edge in (10, 100))
    session = Session()
    assert session.memory_in_use(CPU, [small]) == 10**9
    assert session.memory_in_use(CPU, [large]) == 10**9 + 12 * (100**2 - 10**2)
    session.load("filters", ModelOptions())
    assert session.memory_in_use(CPU, [small]) == 2 * 10**9  # another network


def test_a_painting_in_tiles_is_the_same_picture(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a grey level; the record tells how it was painted, and a whole one does not say so."""
    whole = nstyle.stylize(*pair, output_dir=tmp_path / "whole", **SETTINGS)
    tiling = Tiling(values=2**20, offloads=True)
    monkeypatch.setattr("nstyle.painting.memory.TILINGS", (tiling,))
    tiles = nstyle.stylize(*pair, output_dir=tmp_path / "tiles", **SETTINGS)
    assert "tiles" not in json.loads(whole.record.read_text())
    assert json.loads(tiles.record.read_text())["tiles"] == [{"blocks": None, "values": 2**20}]
    assert np.abs(tiles.rgb.astype(int) - whole.rgb).max() <= 1


def test_a_short_history_is_recorded_and_resumed(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that is resumed with the same history is that of a run without interruption; another one is warned of."""
    settings = SETTINGS | {"optimizer": "lbfgs", "init": "content", "max_num_epochs": 9}

    def paint(folder: str, way: Way, **more: Any) -> nstyle.Result:
        monkeypatch.setattr("nstyle.painting.memory.Memory.ways", lambda memory: [way])
        return nstyle.stylize(*pair, output_dir=tmp_path / folder, **settings | more)

    short, long = paint("short", Way(history=3)), paint("long", WHOLE)
    assert json.loads(short.record.read_text())["history"] == [3]
    assert "history" not in json.loads(long.record.read_text())
    assert not torch.equal(short.image, long.image)
    paint("parts", Way(history=3), stop_after=6)
    assert torch.equal(paint("parts", Way(history=3), resume=True).image, short.image)
    assert "other memory" not in caplog.text
    for folder, before, after, same in (
        ("shorter", WHOLE, Way(history=3), short),
        ("longer", Way(history=3), WHOLE, long),
    ):
        paint(folder, before, stop_after=6)
        assert not torch.equal(paint(folder, after, resume=True).image, same.image)
        (warning,) = [record.getMessage() for record in caplog.records if folder in record.getMessage()]
        assert "the optimizer's history" in warning


def test_a_history_that_was_not_filled_is_not_warned_of(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A short run fits with a long history. With more epochs and the same limit, the history is shorter."""
    settings = SETTINGS | {"optimizer": "lbfgs", "init": "content"}

    def paint(folder: str, way: Way, **more: Any) -> nstyle.Result:
        monkeypatch.setattr("nstyle.painting.memory.Memory.ways", lambda memory: [way])
        return nstyle.stylize(*pair, output_dir=tmp_path / folder, **settings | more)

    whole = paint("whole", Way(history=3), max_num_epochs=9)
    for epochs, is_filled in ((4, False), (5, True)):
        caplog.clear()
        paint(f"{epochs}", WHOLE, max_num_epochs=epochs)
        resumed = paint(f"{epochs}", Way(history=3), max_num_epochs=9, resume=True)
        assert torch.equal(resumed.image, whole.image) != is_filled
        assert ("the optimizer's history" in caplog.text) == is_filled


def test_the_start_takes_no_memory_once_it_is_left(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither that of a new run nor the checkpoint of one that is resumed."""
    starts: list[weakref.ref[torch.Tensor]] = []
    alive = []

    def callback(step: PaintingStep) -> None:
        starts.append(weakref.ref(step.image))
        alive.append([ref() is not None for ref in starts[:-1]])

    def watched(*arguments: Any) -> torch.Tensor:
        starts.append(weakref.ref(image := noise(*arguments)))
        return image

    def read(*arguments: Any) -> Any:
        checkpoint, recipe = read_checkpoint(*arguments)
        starts.append(weakref.ref(checkpoint.descent.image))
        return checkpoint, recipe

    monkeypatch.setattr("nstyle.painting.prepare.noise", watched)
    monkeypatch.setattr("nstyle.painting.stylize.read_checkpoint", read)
    for resume in (False, True):
        starts.clear()
        alive.clear()
        settings = SETTINGS | {
            "init": "noise",
            "resume": resume,
            "stop_after": 6 if resume else 3,
            "max_num_epochs": 6,
        }
        nstyle.stylize(*pair, output_dir=tmp_path, callback=callback, **settings)
        assert alive[1:] == [[False] * 2, [False] * 3]


@pytest.mark.parametrize("optimizer", ["nag", "adam", "lbfgs"])
def test_what_an_optimizer_keeps_takes_no_memory_while_the_painting_is_compared_with_its_start(
    optimizer: str, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[weakref.ref[torch.Tensor]] = []
    alive = []

    def callback(step: PaintingStep) -> None:
        images = [tensor for tensor in step.state.memory.values() if tensor.dim() == 4]
        kept.extend(map(weakref.ref, [*images, step.evaluation.gradient]))

    def compared(*_arguments: Any) -> None:
        alive.append(sum(ref() is not None for ref in kept))

    monkeypatch.setattr("nstyle.painting.stylize.warn_if_unchanged", compared)
    nstyle.stylize(*pair, output_dir=tmp_path, callback=callback, optimizer=optimizer, **SETTINGS)
    assert len(kept) > SETTINGS["max_num_epochs"]
    assert alive == [0]


def test_a_hundred_megapixels_fit_into_8_gigabytes() -> None:
    """In one epoch of the reference, besides half a gigabyte for the process."""
    config = Config()
    (style,) = inputs_of(config).styles
    size = ScaleSize(10_000, 10_000, {style.picture: Frame((512, 512), (512, 512))})
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    features = replace(load_model("filters", ModelOptions()), features=load_vgg19())
    memory = Memory(config, inputs_of(config), features, torch.float32, CPU, ["relu4_2"], layers)
    assert memory.needed(size, least_way(memory, size), 1) < 7.5e9
    assert min(memory.needed(size, way, 1) for way in memory.ways() if way.tiling is None) > 100e9
