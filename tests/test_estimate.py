"""What a painting will take: `nstyle --estimate` and `nstyle.estimate`. Clocks are not real."""

import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pictures import painted
from refusals import refuses
from torch import Tensor

import nstyle
from nstyle.commands.estimate import duration, megabytes
from nstyle.commands.paint import main
from nstyle.errors import DeviceError, Kind
from nstyle.losses import patches
from nstyle.losses.footprint import work_of_gradient
from nstyle.losses.objective import Objective
from nstyle.losses.patches import nearest_patches
from nstyle.losses.tiles import Tiling
from nstyle.networks.blocks import blocks_of
from nstyle.networks.filter_bank import LAYERS
from nstyle.networks.model import ModelOptions, load_model
from nstyle.painting.scale import Scale
from nstyle.painting.ways import TILINGS, WHOLE, Way

FILTERS: dict[str, Any] = {"model": "filters", "balance": "relative"}
FLAGS = ["--model", "filters", "--balance", "relative"]


class Clock:
    """A clock that stands still, except that a gradient takes `base` and `each` for a pixel."""

    def __init__(self, base: float = 0.0, each: float = 1e-4) -> None:
        self.now, self.base, self.each, self.pixels = 0.0, base, each, list[int]()

    def gradient(self, gradient: Any) -> Any:
        def slow(objective: Objective, image: Tensor) -> Any:
            self.pixels.append(image[0, 0].numel())
            self.now += self.base + self.each * self.pixels[-1]
            return gradient(objective, image)

        return slow


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("nstyle.painting.estimate.time.perf_counter", lambda: clock.now)
    monkeypatch.setattr(Objective, "gradient", clock.gradient(Objective.gradient))
    return clock


@pytest.mark.parametrize("optimizer", ["nag", "lbfgs"])
@pytest.mark.parametrize("scales", [{"scales": 1}, {"scales": 2}, {"coarsest_edge": 64, "scale_factor": 1.5}])
def test_the_size_that_a_refusal_names_fits(
    scales: dict[str, Any], optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: 200_000_000)
    painted(300, 400, seed=1).save(tmp_path / "content.png")
    pictures = tmp_path / "content.png", tmp_path / "content.png"
    settings = {**FILTERS, "optimizer": optimizer, "max_num_epochs": 2, **scales}

    def refused(edge: int) -> int:
        with pytest.raises(DeviceError) as refusal:
            nstyle.estimate(*pictures, max_long_edge=edge, **settings)
        return int(re.findall(r"lower --max-long-edge to (\d+);", str(refusal.value))[0])

    edge = refused(2000)
    assert nstyle.estimate(*pictures, max_long_edge=edge, **settings).size[0] == edge
    if scales == {"scales": 1}:
        assert 0.99 * edge <= refused(edge + edge // 20) < 1.05 * edge  # and it is nearly the largest


def test_what_does_not_fit_here_is_estimated_for_another_machine(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: 10_000_000)
    settings = {**FILTERS, "max_long_edge": 40, "max_num_epochs": 2}
    with refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge") as refused:
        nstyle.estimate(*pair, **settings)
    assert "for a machine with more memory, say how much: --max-memory" in str(refused.value)
    found = nstyle.estimate(*pair, **settings, max_memory="64GB")
    assert (found.size, found.way) == ((40, 26), "whole")
    assert found.memory > 10_000_000
    with refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge") as refused:
        nstyle.stylize(*pair, **settings, output_dir=tmp_path)
    assert "--max-memory" not in str(refused.value)


@pytest.fixture
def large_pair(tmp_path: Path) -> tuple[Path, Path]:
    content, style = tmp_path / "large.png", tmp_path / "dabs.png"
    painted(300, 400, seed=1).save(content)
    painted(300, 400, seed=2).save(style)
    return content, style


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        ({"max_num_epochs": 7}, (7,)),
        ({"max_num_epochs": 7, "optimizer": "lbfgs", "init": "content", "padding": "mirror"}, (7,)),
        ({"max_num_epochs": (5, 3, 2), "scales": 3}, (5, 3, 2)),
        ({"max_num_epochs": 9, "scales": 3, "stop_after": 11}, (9, 2, 0)),
        ({"max_num_epochs": 9, "scales": 3, "stop_after": 9}, (9, 0, 0)),
        ({"max_num_epochs": 9, "scales": 2, "stop_after": 30}, (9, 9)),
        ({"max_num_epochs": 3, "style_loss": "mrf", "style_layers": "scale3,scale4", "scales": 2}, (3, 3)),
    ],
)
def test_time_is_that_of_the_epochs_of_each_scale(
    settings: dict[str, Any], epochs: Sequence[int], large_pair: tuple[Path, Path], tmp_path: Path, clock: Clock
) -> None:
    """An epoch has a part that grows with the pixels, and one that does not. No large picture is painted."""
    clock.base, clock.each = 0.5, 1e-4
    options = {**FILTERS, "stop_eps": 0, "max_long_edge": 320, **settings}
    found = nstyle.estimate(*large_pair, **options, output_dir=tmp_path / "output")
    assert max(clock.pixels) < 256 * 200
    assert len(clock.pixels) == 8
    sizes = [(80, 60), (160, 120), (320, 240)][-len(epochs) :]
    last = max(size for size, count in zip(sizes, epochs, strict=True) if count)
    assert (found.size, found.way, found.may_stop) == (last, "whole", False)
    assert not (tmp_path / "output").exists()
    taken = [count * (clock.base + clock.each * math.prod(size)) for count, size in zip(epochs, sizes, strict=True)]
    assert found.epochs == sum(epochs)
    assert found.seconds == pytest.approx(sum(taken), rel=0.05)  # the network sees a margin, too


@pytest.mark.parametrize("way", [WHOLE, Way(Tiling(values=2**20))])
def test_the_search_for_patches_grows_with_the_square_of_the_pixels(
    way: Way, large_pair: tuple[Path, Path], tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock counts all products of the search, here and in the painting itself."""
    pairs, summed = [0], patches._sum_along_diagonals

    def counted(products: Tensor, dim: int) -> Tensor:
        pairs[0] += products.numel() * (dim == 1)
        return summed(products, dim)

    def search(image: Tensor, style: Tensor, allowed: Tensor | None = None) -> Tensor:
        before = pairs[0]
        found = nearest_patches(image, style, allowed)
        clock.now += 1e-8 * (pairs[0] - before) * (image.shape[2] + patches.SUMMING)
        return found

    monkeypatch.setattr(patches, "_sum_along_diagonals", counted)
    for module in ("losses.mrf", "painting.estimate"):
        monkeypatch.setattr(f"nstyle.{module}.nearest_patches", search)
    monkeypatch.setattr("nstyle.painting.memory.Memory.ways", lambda memory: [way])
    mrf: dict[str, Any] = {"style_loss": "mrf", "style_layers": "scale3,scale4", "scales": 1, "max_num_epochs": 2}
    settings = {**FILTERS, **mrf, "max_long_edge": 400, "stop_eps": 0}
    clock.each = 1e-6
    found, began = nstyle.estimate(*large_pair, **settings), clock.now
    nstyle.stylize(*large_pair, **settings, output_dir=tmp_path)
    assert found.seconds == pytest.approx(clock.now - began, rel=0.1)
    assert found.seconds > 5 * 2 * clock.each * 400 * 300  # nearly all of it is the search


def test_a_network_that_tells_no_blocks(large_pair: tuple[Path, Path], clock: Clock) -> None:
    settings: dict[str, Any] = {"max_num_epochs": 10, "stop_eps": 0.1}
    found = nstyle.estimate(*large_pair, model="test_estimate:unknown_network", max_long_edge=384, **settings)
    assert found.may_stop
    assert found.seconds == pytest.approx(10 * clock.each * 384 * 288)


def unknown_network(options: ModelOptions) -> nstyle.Model:
    model = load_model("filters", options)
    return nstyle.Model(
        lambda image, layers: model.features(image, layers), model.layers, model.content_layers, model.style_layers
    )


def test_a_texture_and_pictures_that_are_too_small_in_small(tmp_path: Path, clock: Clock) -> None:
    style, wide = tmp_path / "style.png", tmp_path / "wide.png"
    painted(64, 64).save(style)
    painted(20, 300).save(wide)
    texture = nstyle.estimate(None, style, size="200x120", content_weight=0, max_num_epochs=4, stop_eps=0, **FILTERS)
    assert texture.size == (200, 120)
    assert texture.seconds == pytest.approx(4 * clock.each * 200 * 120, rel=0.1)
    found = nstyle.estimate(wide, style, max_long_edge=300, max_num_epochs=4, stop_eps=0, **FILTERS)
    assert found.seconds == pytest.approx(4 * clock.each * 300 * 20, rel=0.1)


def test_tiles_take_more_work() -> None:
    network = blocks_of(load_model("filters", ModelOptions()).features)
    assert network is not None
    work = {tiling: work_of_gradient(network, LAYERS, tiling, (800, 600)) for tiling in TILINGS}
    assert work_of_gradient(network, LAYERS, None, (1600, 600)) == 2 * work[None]
    # In one tile, all blocks but the last run again: each stage of two has two runs and one more.
    assert 1.1 < work_of_gradient(network, LAYERS, Tiling(values=2**30), (800, 600)) / work[None] < 1.5
    assert work[None] < work[Tiling()] < work[Tiling(values=2**23, offloads=True)] < work[TILINGS[-1]]


def test_the_way_is_that_of_the_painting(
    large_pair: tuple[Path, Path], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = Way(Tiling(values=2**22), 3)
    monkeypatch.setattr("nstyle.painting.memory.Memory.ways", lambda memory: [way])
    tiled = nstyle.estimate(*large_pair, max_long_edge=320, optimizer="lbfgs", max_num_epochs=20, **FILTERS)
    assert tiled.way == "in tiles of 4 million values, remembering 3 steps only"


def test_the_memory_is_the_least_limit_of_the_painting(
    pair: tuple[Path, Path], tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process uses more memory as soon as a scale is made. The estimate must not count that twice."""
    in_use = 0

    def made(*args: Any, **kwargs: Any) -> Scale:
        nonlocal in_use
        in_use += 10**8
        return Scale(*args, **kwargs)

    monkeypatch.setattr("nstyle.painting.prepare.Scale", made)
    monkeypatch.setattr("nstyle.painting.session.memory_in_use", lambda device: in_use)
    monkeypatch.setattr("nstyle.painting.memory.Memory.ways", lambda memory: [WHOLE])
    settings: dict[str, Any] = {**FILTERS, "max_long_edge": 40, "max_num_epochs": 1}
    memory = nstyle.estimate(*pair, **settings).memory
    in_use = 0
    nstyle.stylize(*pair, **settings, max_memory=megabytes(memory), output_dir=tmp_path)
    for call in (nstyle.estimate, nstyle.stylize):
        in_use = 0
        with refuses(nstyle.DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-memory"):
            call(*pair, **settings, max_memory=megabytes(int(0.9 * memory)), output_dir=tmp_path)


def test_the_command_prints_a_line_and_writes_nothing(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "output"
    flags = [*map(str, pair), "--estimate", "--output-dir", str(output), "--max-long-edge", "40", *FLAGS]
    assert main([*flags, "--max-num-epochs", "3", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    line = r".*content.png in the style of .*: 40x26 pixels, whole, \d+MB of memory, at most 3 epochs, about \d+ \w+"
    assert re.fullmatch(line + "\n", said.out)
    assert not output.exists()
    assert main([*flags, "--max-memory", "20MB"]) == 1
    assert capsys.readouterr().err.startswith("nstyle: error: --max-long-edge 40 needs --max-memory ")
    assert main([*flags, "--cluster", "tcp://127.0.0.1:1"]) == 2


def test_a_precision_that_the_device_lacks_is_warned_of_as_by_a_painting(
    pair: tuple[Path, Path], tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*map(str, pair), "--max-long-edge", "32", "--max-num-epochs", "1", *FLAGS, "--device", "cpu"]
    for more in (["--estimate"], []):
        assert main([*flags, "--precision", "tf32", *more, "--output-dir", str(tmp_path / "output")]) == 0
        said = capsys.readouterr().out
        assert "warning: cpu has no TF32: painting in float32\n" in said
        assert ("at most 1 epoch, " if more else "done after 1 epoch (") in said


def test_a_batch_has_a_line_each_and_a_sum(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of finished pictures it says so; a picture that cannot be painted fails, and does not stop the others."""
    broken, flags = tmp_path / "broken.png", ["--max-long-edge", "32", "--max-num-epochs", "2", *FLAGS]
    broken.write_bytes(b"no picture")
    flags += ["--output-dir", str(tmp_path / "output"), "--style-image", str(pair[1]), "--content-image"]
    assert main([*flags, str(pair[0]), str(pair[1])]) == 0
    before = sorted((tmp_path / "output").rglob("*"))
    capsys.readouterr()
    assert main([*flags, str(pair[0]), str(broken), str(pair[1]), "--estimate", "--overwrite"]) == 1
    said = capsys.readouterr()
    *lines, last = said.out.splitlines()
    assert [": 32x21 pixels" in lines[0], ": 32x32 pixels" in lines[1]] == [True, True]
    assert re.fullmatch(r"2 of 3 pictures \(1 failed\): about \d+ \w+", last)
    assert str(broken) in said.err
    assert main([*flags, str(pair[0]), str(broken), str(pair[1]), "--estimate", "--overwrite", "--fail-fast"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"1 of 3 pictures \(1 failed, 1 not tried\): about \d+ \w+", last)
    assert main([*flags, str(pair[0]), str(pair[1]), "--estimate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [": already finished, " in line for line in lines] == [True, True, False]
    assert lines[-1].startswith("2 pictures: about ")
    assert sorted((tmp_path / "output").rglob("*")) == before


def test_durations_in_words() -> None:
    words = [duration(seconds) for seconds in (0.2, 1.4, 99, 100, 5900, 6000, 90_000)]
    assert words == ["1 s", "1 s", "99 s", "2 min", "98 min", "1.7 h", "25.0 h"]
    assert all(a != b for a, b in itertools.pairwise(words[1:]))
