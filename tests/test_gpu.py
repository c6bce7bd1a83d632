"""Tests that need a GPU: sh scripts/gpu_check.sh tests.

NSTYLE_GPU_TESTS=cpu runs those that also work on a CPU, so that changes to them can be tried anywhere.
"""

import gc
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refuses
from test_golden import CASES, CHANGE, NORM, Case
from test_resume import kill_and_resume
from test_training import check_that_a_training_continues_bit_for_bit
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle import stylize
from nstyle.commands.paint import main
from nstyle.devices import memory_of, reproducible
from nstyle.errors import DeviceError, Kind
from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.objective import Objective
from nstyle.losses.streamed import Streamed
from nstyle.losses.tiles import Tiling
from nstyle.networks.padding import Padded
from nstyle.networks.vgg19 import VGG19
from nstyle.networks.weights import load_vgg19
from nstyle.offload import MainMemoryRoom
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.optim.descent import descend
from nstyle.painter import tiles
from nstyle.painter.generators import make_generator
from nstyle.painter.painter_file import write_painter
from nstyle.painting import memory
from nstyle.settings.presets import PRESETS

ON_CPU = os.environ.get("NSTYLE_GPU_TESTS") == "cpu"
DEVICE = torch.device("cpu" if ON_CPU else "cuda:0")
PRECISIONS = ["float32"] if ON_CPU else ["float32", "bfloat16"]  # few CPUs have bfloat16; others take very long
EDGE = 48 if ON_CPU else 240  # pixels; large enough that a GPU splits its sums into many blocks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not (ON_CPU or torch.cuda.is_available()), reason="PyTorch finds no CUDA GPU on this machine"),
]
no_gpu_will_do = pytest.mark.skipif(ON_CPU, reason="about the GPU itself")

OUR_PRESETS = [preset for preset in PRESETS if preset != "reference"]

SHORT: dict[str, Any] = {
    "device": str(DEVICE),
    "max_long_edge": EDGE,
    "max_num_epochs": 6,
    "save_epochs": 4,
    "stop_eps": 0,
    "image_format": "png",
}

FURTHER_OFF = 5
"""A GPU sums in another order than the CPU that MXNet ran on: the digits of test_golden.py, times this."""


@pytest.fixture(scope="module")
def network() -> VGG19:
    return load_vgg19(device=DEVICE)


@pytest.fixture
def masks(tmp_path: Path) -> tuple[Path, Path]:
    """Masks of the left of the content, with a soft edge, and of the top of the style picture."""
    left, top = tmp_path / "left.png", tmp_path / "top.png"
    levels = np.clip((24 - np.arange(48)) / 8 + 0.5, 0, 1) * 255
    Image.fromarray(np.tile(levels.astype(np.uint8), (32, 1))).save(left)
    Image.fromarray((np.arange(40)[:, None] < np.full(40, 20)).astype(np.uint8) * 255).save(top)
    return left, top


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_mxnets_digits(case: Case, network: VGG19, golden: Path) -> None:
    expected = dict(np.load(golden / f"{case.name}.npz"))
    content, style, initial, final = (
        torch.from_numpy(expected[name]).to(DEVICE) for name in ("content", "style", "init", "final")
    )
    record, followed = expected["rec"], case.followed
    with reproducible(DEVICE):
        objective = Objective(network, content, style, **case.weights)
        steps = list(descend(objective, initial, stop_eps=0, max_num_epochs=len(record), **case.descent))
    changes = np.array([step.relative_change for step in steps])
    norms = np.array([float(step.evaluation.gradient_norm) for step in steps])
    np.testing.assert_allclose(changes[:1], record[:1, CHANGE], rtol=1e-5 * FURTHER_OFF)
    np.testing.assert_allclose(norms[:1], record[:1, NORM], rtol=1e-5 * FURTHER_OFF)
    np.testing.assert_allclose(changes[:followed], record[:followed, CHANGE], rtol=1e-4 * FURTHER_OFF)
    np.testing.assert_allclose(norms[:followed], record[:followed, NORM], rtol=1e-3 * FURTHER_OFF)
    difference = (steps[-1].image - final).square().mean().sqrt()
    assert difference < (0.02 * FURTHER_OFF if followed == len(record) else 5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_bits_each_time(
    optimizer: str, style_loss: str, precision: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    options = {**SHORT, "optimizer": optimizer, "style_loss": style_loss, "precision": precision}
    first, second = (stylize(*pair, output_dir=tmp_path / name, **options) for name in ("first", "second"))
    assert torch.equal(first.image, second.image)


@pytest.mark.parametrize("pooling", ["avg", "max", "mixed"])
@pytest.mark.parametrize("model", ["vgg19", "filters"])
def test_the_same_bits_from_each_network(model: str, pooling: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**SHORT, "model": model, "pooling": pooling, "range_weight": 10.0, "init": "content"}
    first, second = (stylize(*pair, output_dir=tmp_path / name, **options) for name in ("first", "second"))
    assert torch.equal(first.image, second.image)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", OUR_PRESETS)
def test_the_same_bits_from_each_preset(preset: str, precision: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**SHORT, "preset": preset, "precision": precision, "coarsest_edge": EDGE // 2}
    first, second = (stylize(*pair, output_dir=tmp_path / name, **options) for name in ("first", "second"))
    assert torch.equal(first.image, second.image)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", OUR_PRESETS)
def test_a_preset_that_is_killed_goes_on_as_if_nothing_had_happened(
    preset: str, precision: str, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = {"coarsest_edge": EDGE // 2, "scale_factor": 2.0, "supersampling": 1, "save_epochs": 2}
    options = {**SHORT, "preset": preset, "precision": precision, **scales}
    kill_and_resume(pair, tmp_path, monkeypatch, 9, options, epochs=12)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scales", [1, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    optimizer: str,
    scales: int,
    precision: str,
    pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {**SHORT, "optimizer": optimizer, "scales": scales, "precision": precision, "save_epochs": 2}
    kill_and_resume(pair, tmp_path, monkeypatch, 5 * scales - 2, options, epochs=6 * scales)


FEATURES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "noise": {"init": "noise"},
    "max pooling": {"pooling": "max"},
    "bounded range": {"range_weight": 10.0},
    "filters": {"model": "filters"},
    "scales": {"scales": 2},
    "texture": {"size": "64x48", "content_weight": 0.0, "init": "noise", "max_long_edge": 48},
    "luma": {"preserve_colors": "luma"},
    "histogram": {"preserve_colors": "histogram"},
    "covariance": {"preserve_colors": "covariance"},
    "mask": {"mask": "left"},
    "mask with L-BFGS": {"mask": "left", "optimizer": "lbfgs"},
    "regions": {"style_mask": (("left", "top"),)},
    "patches in regions": {"style_mask": (("left", "top"),), "style_loss": "mrf"},
    "two styles": {"blend_style": (("content", 0.5),)},
    "patches": {"style_loss": "mrf"},
    "lbfgs": {"optimizer": "lbfgs"},
    "adam": {"optimizer": "adam"},
    "wasserstein": {"style_loss": "wasserstein"},
    "wasserstein in regions": {"style_loss": "wasserstein", "style_mask": (("left", "top"),)},
    "relative": {"balance": "relative"},
    "mirrored": {"padding": "mirror", "image_range": "clamped"},
    "seamless": {"seamless": True},
    "grain": {"scales": 2, "grain": 8, "max_long_edge": 200, "enlarge": True},
    "painterly": {"preset": "painterly", "precision": "float32", "coarsest_edge": 48},
}

CLOSE = 1e-3
"""Root mean square in grey levels between the CPU's picture and the GPU's after a few epochs.

An H200 is 1e-4 off at the defaults, and 4e-4 with covariance. With the other roundings of `--convolution winograd`
the CPU itself is 5e-6 off, 4e-5 with Adam and L-BFGS, and 2e-4 from noise.
"""

LESS_CLOSE = {
    "noise": 0.01,
    "adam": 0.01,
    "patches": 0.01,
    "patches in regions": 0.01,
    "bounded range": 0.01,
    "wasserstein": 1.0,
    "wasserstein in regions": 1.0,
    "painterly": 16.0,
}
"""Adam follows the sign of even the smallest gradient; two of the style's patches may be equally near; where maps
vary less than float32 tells, the Wasserstein loss pulls by chance. By Winograd the CPU itself is 7e-5 off mirrored,
0.16 with the Wasserstein loss, and 6.4 after all of painterly's scales: two pictures of one look."""


@pytest.mark.parametrize("name", FEATURES)
def test_nearly_the_cpus_picture(
    name: str, pair: tuple[Path, Path], masks: tuple[Path, Path], tmp_path: Path
) -> None:
    content, style = pair
    paths = {"left": masks[0], "top": masks[1], "content": content}
    options: dict[str, Any] = {**SHORT, "max_long_edge": 96, "max_num_epochs": 4, "init": "content", **FEATURES[name]}
    for setting in ("style_mask", "blend_style"):
        options[setting] = tuple((paths[a], paths.get(b, b)) for a, b in options.get(setting, ()))
    options["mask"] = paths.get(options.get("mask", ""))
    named: dict[str, Any] = (
        {"style_image": style} if "size" in options else {"content_image": content, "style_image": style}
    )
    ours = stylize(output_dir=tmp_path / "ours", **options, **named)
    cpus = stylize(output_dir=tmp_path / "cpus", **{**options, **named, "device": "cpu"})
    difference = (ours.image - cpus.image).square().mean().sqrt()
    assert difference < LESS_CLOSE.get(name, CLOSE)
    assert ours.rgb.shape == cpus.rgb.shape


TILES = Tiling(values=2**19)
"""Small tiles, so that even a picture of 240 pixels has many."""

OFFLOADED = replace(TILES, offloads=True)


@pytest.mark.parametrize("padding", ["zero", "mirror"])
@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_tiles_are_the_whole_picture(style_loss: str, padding: str, golden: Path) -> None:
    """In float64: in float32 the library may choose another algorithm for another size; rounding differs then."""
    expected = np.load(golden / "default.npz")
    content, style, image = (
        F.interpolate(torch.from_numpy(expected[name]).to(DEVICE), scale_factor=EDGE / 72, mode="bicubic")
        for name in ("content", "style", "init")
    )
    image = content + 0.5 * style.roll(7, -1) + image
    double = load_vgg19(device=DEVICE).double()
    network = Padded(double, padding) if padding != "zero" else double
    settings: dict[str, Any] = {"style_loss": style_loss, "padding": padding, "clip": False}
    with reproducible(DEVICE):
        offloaded = Streamed(network, OFFLOADED, room=MainMemoryRoom())
        whole, parts, again = (
            Objective(features, content, style, **settings).gradient(image).gradient
            for features in (network, Streamed(network, TILES), offloaded)
        )
    assert float((parts - whole).double().norm() / whole.double().norm()) < 1e-6
    assert torch.equal(parts, again)


@pytest.mark.parametrize("tiling", [TILES, OFFLOADED])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("preset", ["reference", "painterly"])
def test_a_run_in_tiles_that_is_killed_goes_on_as_if_nothing_had_happened(
    preset: str,
    precision: str,
    tiling: Tiling,
    pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "TILINGS", (tiling,))
    options = {**SHORT, "preset": preset, "precision": precision, "scales": 1, "save_epochs": 2}
    kill_and_resume(pair, tmp_path, monkeypatch, 5, options, epochs=6)
    assert json.loads((tmp_path / "killed" / "run.json").read_text())["tiles"]


@no_gpu_will_do
@pytest.mark.parametrize("preset", ["reference", "painterly"])
@pytest.mark.parametrize("limit", [1_000_000_000, 3_000_000_000])
def test_the_allocator_stays_below_the_limit(
    limit: int, preset: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Of what it holds from the GPU, not only of what tensors use. What is not refused can be painted."""
    options = {**SHORT, "preset": preset, "precision": "float32", "max_memory": f"{limit // 10**6}MB"}
    torch.zeros(1, device=DEVICE)  # loads CUDA
    painted: list[int] = []
    refused: list[tuple[str | None, BaseException | None, bool]] = []
    for edge in (600, 1200, 2400):
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(DEVICE)
        options |= {"max_long_edge": edge, "max_num_epochs": 3, "output_dir": tmp_path / str(edge)}
        try:
            stylize(*pair, **options)
            painted.append(edge)
        except DeviceError as error:  # it does not fit in any way
            refused.append((error.flag, error.__cause__, (tmp_path / str(edge) / "run.json").exists()))
        assert torch.cuda.max_memory_reserved(DEVICE) <= limit
    assert 600 in painted
    by_the_estimate = ("--max-memory", None, False)  # no memory ran out, and no epoch was painted
    assert refused == [by_the_estimate] * len(refused)
    assert torch.cuda.get_per_process_memory_fraction(DEVICE) == 1


@no_gpu_will_do
def test_tf32_is_nearly_float32_and_the_same_each_time(pair: tuple[Path, Path], tmp_path: Path) -> None:
    options = {**SHORT, "init": "content"}
    first, second, exact = (
        stylize(*pair, output_dir=tmp_path / name, **options, precision=precision)
        for name, precision in (("first", "tf32"), ("second", "tf32"), ("exact", "float32"))
    )
    assert torch.equal(first.image, second.image)
    assert 0 < (first.image - exact.image).square().mean().sqrt() < 1
    assert json.loads(first.record.read_text())["precision"] == "tf32"


@no_gpu_will_do
def test_bfloat16_is_nearly_float32(network: VGG19, golden: Path) -> None:
    expected = np.load(golden / "default.npz")
    content, style, initial = (torch.from_numpy(expected[name]).to(DEVICE) for name in ("content", "style", "init"))
    found = []
    for precision in (torch.float32, torch.bfloat16):
        with reproducible(DEVICE):
            evaluation = Objective(load_vgg19(device=DEVICE).to(precision), content, style).gradient(initial)
        assert evaluation.gradient.dtype == torch.float32
        found.append(float(evaluation.loss))
    assert found[1] == pytest.approx(found[0], rel=0.02)


@no_gpu_will_do
@pytest.mark.parametrize("flags", [[], ["--gpu", "0"], ["--device", "cuda:0"], ["--device", "cuda"]])
def test_flags_that_choose_the_gpu(flags: list[str], pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert main([*command(pair, tmp_path / "output"), *flags]) == 0
    record = json.loads((tmp_path / "output" / "run.json").read_text())
    assert (record["device"], record["device_name"]) == ("cuda:0", torch.cuda.get_device_name(0))


@no_gpu_will_do
def test_a_gpu_that_is_not_there(pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(torch.cuda.device_count())
    assert main([*command(pair, tmp_path / "output"), "--gpu", missing]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert f"no cuda:{missing}" in complaint


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Limit the GPU's memory so that the network and a small picture fit, but no large picture.

    The limit includes the memory that cuBLAS and cuDNN allocate and keep, which is more in bfloat16 than in float32.
    """
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(DEVICE) + 1e9) / total, DEVICE)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, DEVICE)
    torch.cuda.empty_cache()


@no_gpu_will_do
@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_too_little_memory_is_said_in_one_line(
    precision: str, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--max-long-edge", "1600", "--precision", precision]
    assert main([*command(pair, tmp_path / "output"), *flags]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "--max-long-edge (now 1600)" in complaint
    assert main([*command(pair, tmp_path / "small"), "--precision", precision]) == 0  # no file is left


def test_a_painter_paints_as_on_the_cpu_also_in_tiles(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    write_painter(tmp_path / "y.safetensors", make_generator("small"), {})
    settings: dict[str, Any] = {"painter": tmp_path / "y.safetensors", "max_long_edge": EDGE, "image_format": "png"}
    on_cpu = stylize(pair[0], output_dir=tmp_path / "cpu", device="cpu", **settings)
    whole = stylize(pair[0], output_dir=tmp_path / "whole", device=str(DEVICE), **settings)
    monkeypatch.setattr("nstyle.painter.one_pass.OnePass.ways", [tiles.Tiling(32, 1)])
    in_tiles = stylize(pair[0], output_dir=tmp_path / "tiles", device=str(DEVICE), **settings)
    for other in (on_cpu, in_tiles):
        assert np.abs(other.rgb.astype(int) - whole.rgb).max() <= 1


@no_gpu_will_do
def test_what_cannot_fit_is_refused_before_it_begins(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with refuses(DeviceError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge"):
        stylize(*pair, output_dir=tmp_path, **{**SHORT, "max_long_edge": 65500})


@no_gpu_will_do
def test_memory_that_pytorch_keeps_for_later_counts_as_free() -> None:
    torch.cuda.empty_cache()
    before = memory_of(DEVICE)
    block = torch.empty(2**28, dtype=torch.uint8, device=DEVICE)
    del block
    after = memory_of(DEVICE)
    assert before is not None
    assert after is not None
    assert after > before - 2**27


@no_gpu_will_do
def test_nothing_is_left_on_the_gpu(pair: tuple[Path, Path], tmp_path: Path) -> None:
    allocated = []
    for name in ("first", "second", "third"):
        stylize(*pair, output_dir=tmp_path / name, **SHORT)
        gc.collect()
        allocated.append(torch.cuda.memory_allocated(DEVICE))
    assert allocated[1] == allocated[2]


@no_gpu_will_do
def test_the_switches_are_set_while_it_paints_and_put_back(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def switches() -> tuple[object, ...]:
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        return (
            cudnn.deterministic,
            cudnn.benchmark,
            cudnn.conv.fp32_precision,  # type: ignore[attr-defined]  # the stubs leave it out
            matmul.fp32_precision,
        )

    before, during = switches(), set()
    stylize(*pair, lambda step: during.add(switches()), output_dir=tmp_path, **SHORT)
    assert during == {(True, False, "ieee", "ieee")}
    assert switches() == before


def command(pair: tuple[Path, Path], output: Path) -> list[str]:
    """The flags of a short painting, without the device."""
    flags = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--output-dir", str(output), "--quiet"]
    return [*flags, "--max-long-edge", "64", "--max-num-epochs", "2"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["johnson", "small", "boosted"])
def test_a_training_continues_bit_for_bit(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    with reproducible(DEVICE):
        check_that_a_training_continues_bit_for_bit(tmp_path, kind, DEVICE, dtype)
