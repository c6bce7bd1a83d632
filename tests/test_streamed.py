"""A network in tiles: objectives of it are those of the whole picture, up to rounding."""

import gc
import itertools
import random
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_objective import SmallNetwork
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.objective import Evaluation, Objective, Style, StyleTargets
from nstyle.losses.parts import Part, Window
from nstyle.losses.streamed import Streamed
from nstyle.losses.terms import Statistic
from nstyle.losses.tiles import Stage, Tiling, stages_of
from nstyle.losses.walk import Walk
from nstyle.networks.blocks import blocks_of, run_blocks
from nstyle.networks.features import Features
from nstyle.networks.filter_bank import LAYERS, FilterBank
from nstyle.networks.gates import Gates
from nstyle.networks.layers import CONTENT_LAYER, STYLE_LAYERS
from nstyle.networks.model_space import ShownImage, to_model_space
from nstyle.networks.padding import Padded
from nstyle.networks.vgg19 import POOLING
from nstyle.networks.weights import load_vgg19
from nstyle.offload import FileRoom, MainMemoryRoom
from nstyle.optim.descent import descend

CHANNELS = 6
TINY_LAYERS = tuple(f"relu{block}_{i}" for block in range(1, 6) for i in (1, 2))


@dataclass(frozen=True)
class TinyBlock:
    """Two 3x3 convolutions, as in VGG-19."""

    number: int
    kernels: Sequence[Tensor]
    pooling: str
    activation: Callable[[Tensor], Tensor]
    seen: list[torch.Size]
    kept: float = 2 * CHANNELS
    widest: int = CHANNELS
    pooled_channels: int = CHANNELS
    reach_of_pooled: int = 2

    @property
    def reach(self) -> Mapping[str, int]:
        return {f"relu{self.number}_{i}": i for i in (1, 2)}

    def __call__(
        self, x: Tensor, layers: Collection[str], *, pooled: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        self.seen.append(x.shape)
        maps = {}
        x = x.to(self.kernels[0].dtype)
        for layer, kernel in zip(self.reach, self.kernels, strict=True):
            x = self.activation(F.conv2d(x, kernel, padding=1))
            maps[layer] = x
        return {layer: maps[layer] for layer in maps if layer in layers}, self._pool(x, 2) if pooled else None

    @property
    def _pool(self) -> Callable[[Tensor, int], Tensor]:
        return POOLING[self.pooling][min(self.number, 4) - 1]


@dataclass(frozen=True)
class GatedTinyBlock(TinyBlock):
    """The same with ReLU, which has gates."""

    def kept_with_gates(self, layers: Collection[str]) -> float:
        return CHANNELS * self._needed(layers)

    def with_gates(self, x: Tensor, layers: Collection[str], gates: Gates) -> tuple[dict[str, Tensor], Tensor | None]:
        needed = self._needed(layers)
        if not gates.are_set or needed == 2:
            self._set(x, gates, needed)
            return self(x, layers, pooled=True)
        self.seen.append(x.shape)
        x, maps = x.to(self.kernels[0].dtype), {}
        for layer, kernel in zip(list(self.reach)[:needed], self.kernels, strict=False):
            x = self.activation(F.conv2d(x, kernel, padding=1))
            maps[layer] = x
        share = 1.0 if self._pool is F.max_pool2d else 0.25
        backwards = [lambda g, kernel=kernel: F.conv_transpose2d(g, kernel, padding=1) for kernel in self.kernels]
        wanted = {layer: maps[layer] for layer in maps if layer in layers}
        return wanted, gates.replay(x, share, backwards[needed:])

    def _needed(self, layers: Collection[str]) -> int:
        return max((number for layer, number in self.reach.items() if layer in layers), default=0)

    def _set(self, x: Tensor, gates: Gates, needed: int) -> None:
        if gates.are_set:
            return
        with torch.no_grad():
            x = x.to(self.kernels[0].dtype)
            for number, kernel in enumerate(self.kernels, 1):
                x = self.activation(F.conv2d(x, kernel, padding=1))
                if number > needed:
                    is_last = number == len(self.kernels)
                    gates.add(x, self._pool if is_last and self._pool is F.max_pool2d else None)


class TinyNetwork:
    """Random convolutions, five blocks of two, and the sizes of the tiles that they were given.

    In float64, because in float32 another rounding moves the maximum of a pool, or the sign of what a ReLU is given,
    in some pictures on some processors, and the gradient with it: 1e-4. A smooth activation has no such places.
    """

    def __init__(
        self,
        pooling: str = "avg",
        dtype: torch.dtype = torch.float64,
        activation: Callable[[Tensor], Tensor] = torch.relu,
    ) -> None:
        generator = torch.Generator().manual_seed(1)
        self.seen: list[torch.Size] = []
        self.blocks: list[TinyBlock] = []
        for number in range(1, 6):
            kernels = [
                (torch.randn(CHANNELS, 3 if number == i == 1 else CHANNELS, 3, 3, generator=generator) / 5).to(dtype)
                for i in (1, 2)
            ]
            kind = GatedTinyBlock if activation is torch.relu else TinyBlock
            self.blocks.append(kind(number, kernels, pooling, activation, self.seen))

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        return run_blocks(self.blocks, image, layers)


def painting(height: int, width: int, seed: int = 0) -> Tensor:
    """A picture with large and small forms, in model space."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, height // 7 + 2, width // 7 + 2, generator=generator)
    fine = torch.randn(1, 3, height, width, generator=generator)
    return 40 * F.interpolate(coarse, size=(height, width), mode="bicubic") + 4 * fine


def room_for(tiling: Tiling) -> FileRoom | None:
    """Files, if the tiles offload."""
    return FileRoom(Path(tempfile.gettempdir())) if tiling.offloads else None


def evaluations(
    network: Features, tiling: Tiling, size: tuple[int, int], style: Any = None, **settings: Any
) -> tuple[Evaluation, Evaluation]:
    """The objective of the whole picture, and that in parts."""
    height, width = size
    content, image = painting(height, width, 1), painting(height, width, 2)
    style = (
        0.5 * painting(height + 3, width + 9, 3) + 40 if style is None else style
    )  # other statistics: no cancelling
    settings = {"style_layers": dict.fromkeys(TINY_LAYERS[::2], 1.0), "content_layers": {"relu4_2": 1.0}} | settings
    whole, parts = (
        Objective(features, content, style, **settings).gradient(image)
        for features in (network, Streamed(network, tiling, room=room_for(tiling)))
    )
    return whole, parts


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).double().norm() / other.double().norm())


def assert_same(evaluations: tuple[Evaluation, Evaluation], within: float = 1e-6) -> None:
    whole, parts = evaluations
    assert whole.gradient.norm() > 0
    assert distance(parts.gradient, whole.gradient) < within
    torch.testing.assert_close(parts.gradient_norm, whole.gradient_norm, rtol=1e-5, atol=0)
    torch.testing.assert_close(parts.content_loss, whole.content_loss, rtol=1e-5, atol=0)
    assert list(parts.style_losses) == list(whole.style_losses)
    for layer, loss in whole.style_losses.items():
        torch.testing.assert_close(parts.style_losses[layer], loss, rtol=1e-5, atol=0)


TILINGS = {
    "all": Tiling(values=2000),
    "two": Tiling(blocks=2, values=2000),
    "three": Tiling(blocks=3, values=2000),
    "offloaded": Tiling(values=2000, offloads=True),
}


@pytest.mark.parametrize("tiling", TILINGS.values(), ids=TILINGS)
@pytest.mark.parametrize(("style_loss", "pooling"), [("gram", "avg"), ("gram", "max"), ("mrf", "mixed")])
def test_the_gradient_in_parts_is_the_whole_ones(style_loss: str, pooling: str, tiling: Tiling) -> None:
    layers = {"relu1_2": 1.0, "relu2_1": 0.5, "relu3_2": 2.0}
    assert_same(evaluations(TinyNetwork(pooling), tiling, (67, 93), style_loss=style_loss, style_layers=layers))


@pytest.mark.parametrize("layer", TINY_LAYERS)
def test_every_layer_of_a_block(layer: str) -> None:
    """Patches look beyond a tile's own positions."""
    for style_loss in ("gram", "mrf"):
        settings = {"style_loss": style_loss, "style_layers": {layer: 1.0}, "content_weight": 0.0, "tv_weight": 0.0}
        assert_same(evaluations(TinyNetwork(), Tiling(values=1000), (71, 86), **settings))


@pytest.mark.parametrize("settings", [{"content_weight": 0.0}, {"style_weight": 0.0}, {"tv_weight": 0.0}])
def test_terms_alone(settings: dict[str, Any]) -> None:
    assert_same(evaluations(TinyNetwork(), TILINGS["all"], (50, 61), range_weight=3.0, **settings))


@pytest.mark.parametrize("balance", ["absolute", "relative", "photo"])
@pytest.mark.parametrize("tiling", [TILINGS["all"], TILINGS["three"]])
def test_masks_regions_styles_and_grey(balance: str, tiling: Tiling) -> None:
    """Several styles, one with a mask of its own and a region; part of the picture is painted, in grey, clipped."""
    mask, region, part = (painting(h, w, 5 + h)[:, :1].sigmoid() for h, w in ((67, 93), (67, 93), (80, 45)))
    mask[..., :20, :30] = 0
    region[..., 50:] = 0
    for style_loss in ("gram", "mrf"):
        style = [Style(painting(80, 45, 7), 1.0, part, region), Style(painting(33, 120, 8), 0.4)]
        settings = {
            "style_loss": style_loss,
            "style_layers": {"relu1_1": 1.0, "relu3_1": 1.0},
            "balance": balance,
            "style_weight": 20.0,
        }
        both = evaluations(TinyNetwork("mixed"), tiling, (67, 93), style, mask=mask, grey=True, **settings)
        assert_same(both)
        assert balance != "absolute" or both[0].gradient_norm > 3 * int((mask > 0).sum())  # clipped


@pytest.mark.parametrize("tiling", [TILINGS["all"], TILINGS["offloaded"]])
@pytest.mark.parametrize(("padding", "seamless"), [("mirror", False), ("zero", True), ("mirror", True)])
def test_paddings(padding: str, seamless: bool, tiling: Tiling) -> None:
    network = TinyNetwork() if padding == "zero" else Padded(TinyNetwork(), padding)
    assert_same(evaluations(network, tiling, (51, 70), padding=padding, seamless=seamless))


@pytest.mark.parametrize("number", range(20))
def test_sizes(number: int) -> None:
    """Random ones of 16 to 700 pixels, down to the last odd row."""
    chance = random.Random(number)  # noqa: S311  (no secret)
    size = (chance.randint(16, 700), chance.randint(16, 700))
    tiling = Tiling(values=chance.choice([10_000, 50_000, 200_000]))
    assert_same(evaluations(TinyNetwork("mixed"), tiling, size))
    exact, _ = evaluations(TinyNetwork(activation=F.gelu), tiling, size)
    whole, parts = evaluations(TinyNetwork("avg", torch.float32, F.gelu), tiling, size)
    assert distance(parts.gradient, exact.gradient) < 1e-6
    assert distance(parts.gradient, whole.gradient) < 1e-6 + distance(whole.gradient, exact.gradient)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (33, 16), (47, 49)])
def test_small_sizes_in_the_smallest_tiles(size: tuple[int, int]) -> None:
    assert_same(evaluations(TinyNetwork("max"), Tiling(values=1), size))


@pytest.mark.parametrize("padding", ["zero", "mirror"])
def test_wasserstein_in_float64(padding: str) -> None:
    """In float32, a covariance near 0 is a small difference of large sums, so its own error is above 1e-6."""
    tiny = TinyNetwork("mixed")
    network = tiny if padding == "zero" else Padded(tiny, padding)
    settings = {"style_loss": "wasserstein", "balance": "relative", "mask": painting(67, 93)[:, :1].sigmoid()}
    assert_same(evaluations(network, TILINGS["all"], (67, 93), **settings), within=1e-7)


def test_wasserstein_in_float32_is_as_exact_as_the_whole_pictures() -> None:
    settings = {"style_loss": "wasserstein", "clip": False}
    exact, _ = evaluations(TinyNetwork(), TILINGS["all"], (67, 93), **settings)
    whole, parts = evaluations(TinyNetwork(dtype=torch.float32), TILINGS["all"], (67, 93), **settings)
    own = distance(whole.gradient, exact.gradient)
    assert distance(parts.gradient, exact.gradient) < 1.5 * own + 1e-6
    assert distance(parts.gradient, whole.gradient) < 1.5 * own + 1e-6


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_filters(style_loss: str) -> None:
    network = FilterBank("mixed", torch.device("cpu"), torch.float64)
    layers = LAYERS[2:4] if style_loss == "mrf" else LAYERS
    settings = {
        "style_layers": dict.fromkeys(layers, 1.0),
        "content_layers": {"scale3": 1.0},
        "style_loss": style_loss,
    }
    assert_same(evaluations(network, Tiling(values=81 * 300), (67, 93), **settings), within=1e-7)


def test_filters_in_float32() -> None:
    settings = {"style_layers": dict.fromkeys(LAYERS, 1.0), "content_layers": {"scale3": 1.0}}
    network = FilterBank("avg", torch.device("cpu"), torch.float32)
    assert_same(evaluations(network, Tiling(values=81 * 300), (67, 93), **settings))


@pytest.mark.parametrize("style_loss", ["gram", "mrf"])
def test_vgg19_at_the_defaults(style_loss: str) -> None:
    network = load_vgg19().double()
    for tiling in (Tiling(values=2**17), Tiling(blocks=2, values=2**17)):
        settings = {"style_loss": style_loss, "style_layers": None, "content_layers": None}
        assert_same(evaluations(network, tiling, (65, 83), **settings))


def test_bfloat16_costs_what_it_costs_the_whole_picture() -> None:
    settings: dict[str, Any] = {"clip": False, "tv_weight": 0.0}
    exact, _ = evaluations(TinyNetwork(), TILINGS["all"], (67, 93), **settings)
    whole, parts = evaluations(TinyNetwork(dtype=torch.bfloat16), TILINGS["all"], (67, 93), **settings)
    own = distance(whole.gradient, exact.gradient)
    assert own > 1e-4
    assert distance(parts.gradient, exact.gradient) < 1.2 * own


@pytest.mark.parametrize("optimizer", ["nag", "lbfgs"])
def test_forty_epochs_give_the_same_picture(optimizer: str) -> None:
    """To a tenth of a grey level."""
    content, style = painting(44, 51, 1), painting(44, 51, 2)
    network = FilterBank("avg", torch.device("cpu"), torch.float32)
    settings: dict[str, Any] = {
        "style_layers": dict.fromkeys(LAYERS, 1.0),
        "content_layers": {"scale3": 1.0},
        "clip": optimizer == "nag",
    }
    ends = []
    for features in (network, Streamed(network, Tiling(values=81 * 400))):
        objective = Objective(features, content, style, **settings)
        *_, last = descend(
            objective, content, optimizer=optimizer, max_num_epochs=40 if optimizer == "nag" else 10, stop_eps=0
        )
        ends.append(last.image)
    assert (ends[0] - content).square().mean().sqrt() > 2
    assert (ends[0] - ends[1]).square().mean().sqrt() < 0.1


def test_maps_of_the_network_are_the_whole_ones() -> None:
    for network in (TinyNetwork("max"), Padded(TinyNetwork(), "wrap")):
        image = painting(53, 38)
        whole, parts = network(image, TINY_LAYERS), Streamed(network, TILINGS["all"])(image, TINY_LAYERS)
        assert whole.keys() == parts.keys()
        for layer, map_ in whole.items():
            assert distance(parts[layer], map_) < 1e-6


@pytest.mark.parametrize(
    ("network", "style_layers", "content_layers"),
    [
        (TinyNetwork(dtype=torch.float32), TINY_LAYERS[::2], ("relu4_2", "relu2_1")),
        (Padded(TinyNetwork("max", torch.float32), "mirror"), TINY_LAYERS[::2], ("relu4_2",)),
        (FilterBank("avg", torch.device("cpu"), torch.float32), LAYERS, ("scale3",)),
        (load_vgg19(), None, None),
        (load_vgg19().to(torch.bfloat16), None, None),
    ],
    ids=["tiny", "padded", "filters", "vgg19", "bfloat16"],
)
@pytest.mark.parametrize("balance", ["absolute", "relative"])
def test_what_is_offloaded_is_the_same_to_the_bit(
    network: Features,
    style_layers: Sequence[str] | None,
    content_layers: Sequence[str] | None,
    balance: str,
    tmp_path: Path,
) -> None:
    rgb = np.random.default_rng(0).random((67, 53, 3), dtype=np.float32)
    image, style = painting(67, 53, 1), painting(40, 40, 2)
    settings: dict[str, Any] = {
        "style_layers": None if style_layers is None else dict.fromkeys(style_layers, 1.0),
        "content_layers": None if content_layers is None else dict.fromkeys(content_layers, 1.0),
        "balance": balance,
    }
    kept, *offloaded = (
        Objective(Streamed(network, Tiling(values=100_000), room=room), content, style, **settings).gradient(image)
        for room, content in (
            (None, to_model_space(rgb)),
            (FileRoom(tmp_path), ShownImage(rgb, torch.device("cpu"))),
            (MainMemoryRoom(), to_model_space(rgb)),
        )
    )
    assert kept.content_loss > 0
    for one in offloaded:
        assert torch.equal(kept.content_loss, one.content_loss)
        assert torch.equal(kept.gradient, one.gradient)


def test_no_block_sees_more_than_its_tile() -> None:
    """Of a large picture and a larger style; so memory does not grow with the maps."""
    network = TinyNetwork()
    tiling = Tiling(values=12 * 40**2)
    style = StyleTargets(Streamed(network, tiling))
    objective = Objective(style, painting(300, 200), painting(400, 500))
    objective.gradient(painting(300, 200))
    halo = 4
    assert max(shape[-2:].numel() for shape in network.seen) <= (40 + 2 * halo) ** 2


def test_a_stage_above_the_tiles_runs_once() -> None:
    """So does the last stage, if it is one tile; its graph is kept."""
    network = TinyNetwork()
    objective = Objective(Streamed(network, Tiling(blocks=2, values=12_500)), painting(64, 64), painting(64, 64))
    network.seen.clear()
    objective.gradient(painting(64, 64))
    wholes = [shape for shape in network.seen if shape[-2:] in ((16, 16), (8, 8), (4, 4))]
    assert len(wholes) == 3
    assert len(network.seen) > 3 + 2 * 8


def test_each_stage_runs_in_a_context_of_its_own() -> None:
    """A process can keep freed memory for the tiles of one stage, and return it before the next one."""
    network = TinyNetwork()
    blocks_in_contexts, blocks_before_calls = list[int](), list[int]()
    is_inside = False

    @contextmanager
    def noted() -> Iterator[Callable[[], None]]:
        nonlocal is_inside
        assert not is_inside
        is_inside, before = True, len(network.seen)
        yield lambda: blocks_before_calls.append(len(network.seen))
        is_inside = False
        blocks_in_contexts.append(len(network.seen) - before)

    features = Streamed(network, Tiling(values=12 * 16**2), noted)
    objective = Objective(features, painting(64, 64), painting(64, 64))
    network.seen.clear()
    blocks_in_contexts.clear()
    blocks_before_calls.clear()
    objective.gradient(painting(64, 64))
    tiles = [
        len(stage.tiles(64 >> i, 64 >> i))
        for i, stage in enumerate(features.walk(painting(64, 64), {*STYLE_LAYERS, CONTENT_LAYER}).stages)
    ]
    assert blocks_in_contexts == [*tiles, 0, *reversed(tiles[:-1])]  # the last stage is one tile: its graph is kept
    assert len(network.seen) == sum(blocks_in_contexts)
    assert sorted(set(blocks_before_calls)) == list(range(1, len(network.seen) + 1))  # after each tile
    assert features.seamless().around_stage is noted


def test_tiles_own_each_position_once() -> None:
    network = blocks_of(TinyNetwork())
    assert network is not None
    for (height, width), values in itertools.product([(16, 19), (67, 93)], (1, 3000)):
        for stage in stages_of(network, TINY_LAYERS, Tiling(values=values)):
            count = torch.zeros(height, width)
            for tile in stage.tiles(height, width):
                count[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop] += 1
                assert tile.rows.first % stage.unit == tile.columns.first % stage.unit == 0
            assert (count == 1).all()


@pytest.mark.parametrize(("edge", "halo", "unit"), [(4, 2, 2), (6, 8, 2), (5, 3, 1), (1, 0, 1), (2, 4, 2)])
def test_tiles_see_equally_many_positions(edge: int, halo: int, unit: int) -> None:
    """So that each reuses the memory of the one before."""
    stage = Stage((), 0, frozenset(), feeds=unit == 2, halo=halo, unit=unit, edge=edge)
    for length in range(1, 100):
        spans = sorted({tile.columns for tile in stage.tiles(1, length)}, key=lambda span: span.start)
        assert len({span.last - span.first for span in spans}) == 1
        assert stage.seen_by_tile(1, length) == spans[0].last <= stage.tallest_tile(length)
        assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
        assert spans[-1].stop == spans[-1].last == length
        for span in spans:
            assert 0 <= span.first <= span.start < span.stop <= span.last <= length
            assert span.first % unit == span.start % unit == 0
            assert span.first == 0 or span.start - span.first >= halo
            assert span.last == length or span.last - span.stop >= halo
            inside = span.first > 0 and span.last < length
            assert not inside or span.stop - span.start <= edge
        assert len(spans) <= 2 or length > edge + 2 * halo
    assert len(spans) > 2


def test_a_network_that_does_not_tell_its_blocks_runs_only_whole() -> None:
    with pytest.raises(ValueError, match="blocks"):
        Streamed(SmallNetwork())


@dataclass(frozen=True)
class Contrast:
    """A term on two layers, added after the clipping: the square of the difference of their mean squares."""

    layers: tuple[str, ...]
    is_local = False
    is_clipped = False

    def statistic(self, part: Part) -> Statistic:
        sums = [part.owned(layer).square().sum() / part.size(layer)[0] / part.size(layer)[1] for layer in self.layers]
        return Statistic(torch.stack(sums))

    def loss(self, statistic: Statistic) -> Tensor:
        return (statistic.sums[0] - statistic.sums[1]).square()


def test_terms_of_ones_own_with_several_layers() -> None:
    """Those of one stage: of one block, or of the blocks that run over the whole picture."""
    content, style, image = (painting(50, 61, seed) for seed in range(3))
    network, layers = TinyNetwork(), {"relu1_1": 1.0}
    within, across = Contrast(("relu3_1", "relu3_2")), Contrast(("relu2_1", "relu3_2"))
    for term, tiling in ((within, Tiling(values=2000)), (across, Tiling(values=2000, blocks=1))):
        plain = Objective(network, content, style, style_layers=layers).gradient(image)
        whole = Objective(network, content, style, style_layers=layers).with_terms([term, term]).gradient(image)
        parts = (
            Objective(Streamed(network, tiling), content, style, style_layers=layers)
            .with_terms([term, term])
            .gradient(image)
        )
        assert_same((whole, parts))
        assert distance(whole.gradient, plain.gradient) > 1e-3
    with pytest.raises(ValueError, match="several blocks"):
        Objective(Streamed(network), content, style, style_layers=layers).with_terms([across]).gradient(image)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("tiling", [Tiling(values=20000), TILINGS["offloaded"]], ids=["few", "many"])
def test_no_maps_wait_for_the_garbage_collector(tiling: Tiling, again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The photo that gives its style losses their unit has no way down, so nothing is kept of it either."""
    walks, inputs = list[Any](), list[list[Tensor]]()
    walk = Streamed.walk

    def noted(network: Streamed, image: Tensor, layers: Iterable[str]) -> Walk:
        made = walk(network, image, layers)
        walks.append(weakref.ref(made))
        inputs.append(made._inputs)
        return made

    monkeypatch.setattr(Streamed, "walk", noted)
    content, style, image = (painting(30, 30, seed) for seed in range(3))
    more = [Contrast(("relu3_1", "relu3_2"))] if again else []
    gc.disable()
    try:
        objective = Objective(
            Streamed(TinyNetwork(), tiling, room=room_for(tiling)),
            content,
            style,
            style_layers={"relu1_1": 1.0},
            balance="photo",
        )
        assert len(inputs) == 3
        assert not any(inputs)
        objective.with_terms(more).gradient(image)
        assert len(walks) == 4
        assert not any(reference() is not None for reference in walks)
    finally:
        gc.enable()


def test_tiles_that_offload_need_a_room() -> None:
    with pytest.raises(ValueError, match="room"):
        Streamed(TinyNetwork(), TILINGS["offloaded"])


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"values": 0}])
def test_impossible_tilings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not possible"):
        Tiling(**wrong)


@pytest.mark.parametrize("again", [False, True])
def test_gradients_take_the_place_of_what_is_not_used_again(again: bool) -> None:
    """Of the stages' inputs, but not of the image, which belongs to the caller."""
    image = painting(64, 64)
    walk = Streamed(TinyNetwork(), Tiling(values=2000)).walk(image, TINY_LAYERS)
    for _ in walk.up(keeps=True):
        pass
    inputs = list(walk._inputs)
    before = [one.clone() for one in inputs]

    def outputs(part: Part) -> list[tuple[Tensor, Tensor]]:
        owned = [part.owned(layer) for layer in part.windows]
        return [(one, torch.ones_like(one)) for one in owned if one.numel() > 0]

    walk.down(outputs, again=again)
    assert inputs[0] is image
    assert torch.equal(image, before[0])
    for one, value in zip(inputs[1:], before[1:], strict=True):
        assert torch.equal(one, value) == again


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_gradient_has_the_layout_of_its_map(layout: torch.memory_format) -> None:
    """Otherwise each layer below copies it."""
    feature_map = torch.randn(1, 4, 9, 8).contiguous(memory_format=layout).requires_grad_()
    window = Window(slice(2, 7), slice(3, 8), 1, 2, (9, 12))
    (found,) = torch.autograd.grad(window.owned(feature_map).square().sum(), feature_map)
    assert found.is_contiguous(memory_format=layout)
    expected = torch.zeros_like(feature_map)
    expected[..., 1:6, 2:7] = 2 * feature_map.detach()[..., 1:6, 2:7]
    assert torch.equal(found, expected)
