"""Measure nstyle on a GPU and print a Markdown table: sh scripts/gpu_check.sh measure.

Paints the sample pair with three presets, measures an epoch at several sizes, whole and in tiles, and searches for a
limited time for the largest picture that fits in the GPU's memory. Memory is the peak of PyTorch's allocator.
"""

import argparse
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nstyle import Config, stylize
from nstyle.devices import Precision, choose_device, choose_precision, describe_device, reproducible
from nstyle.losses.objective import Objective
from nstyle.losses.streamed import Streamed
from nstyle.losses.tiles import Tiling
from nstyle.networks.features import Features
from nstyle.networks.weights import load_vgg19
from nstyle.optim.descent import descend
from nstyle.painting.prepare import prepare
from nstyle.painting.run import paint
from nstyle.painting.steps import Ending, PaintingStep
from nstyle.painting.ways import Way

ROOT = Path(__file__).parent.parent
PAIR: dict[str, Any] = {
    "content_image": ROOT / "input" / "chelsea.jpg",
    "style_image": ROOT / "input" / "vortices.jpg",
}
PRECISIONS = ("float32", "tf32", "bfloat16")
WAYS: dict[str, Tiling | None] = {
    "": None,
    ", two blocks in large tiles": Tiling(blocks=2, values=2**28),
    ", in large tiles": Tiling(values=2**28),
    ", in tiles": Tiling(),
    ", in tiles, offloaded": Tiling(offloads=True),
}
EPOCHS = 12  # the first two warm up and are not counted
ASPECT = 1.5  # of the sample pair, long edge to short edge
STEP = 32  # pixels; long edges that are tried are multiples of it
GB = 1e9

Table = dict[str, dict[str, str]]


class Clock:
    """Records the time at the end of each epoch, when the step's image is computed."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def __call__(self, step: PaintingStep) -> None:
        """Record the current time."""
        self.ends.append(time.perf_counter())

    def close(self, ending: Ending) -> None:
        """Do nothing."""

    @property
    def seconds(self) -> float:
        """Median seconds of the epochs after the second."""
        return statistics.median(b - a for a, b in zip(self.ends[1:], self.ends[2:], strict=False))


def start_anew(device: torch.device) -> None:
    """Empty PyTorch's cache of GPU memory and reset the recorded peak."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> int:
    """Return the peak memory in bytes since `start_anew`; 0 without a GPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def note(table: Table, row: str, precision: str, value: str) -> None:
    """Add a value to the table and print it."""
    table.setdefault(row, {})[precision] = value
    print(f"{precision}: {row}: {value}", flush=True)


def measure_samples(device: torch.device, table: Table, **settings: Any) -> None:
    """Paint the sample pair with three presets, including all files."""
    for precision in PRECISIONS:
        for preset in ("reference", "fast", "painterly"):
            with tempfile.TemporaryDirectory() as folder:
                start_anew(device)
                clock, started = Clock(), time.perf_counter()
                done = stylize(
                    **PAIR,
                    callback=clock,
                    output_dir=folder,
                    preset=preset,
                    precision=precision,
                    device=str(device),
                    **settings,
                )
                seconds = time.perf_counter() - started
            row = f"the sample, `--preset {preset}`"
            note(table, row, precision, f"{seconds:.1f} s, {done.epochs} epochs, {peak(device) / GB:.2f} GB")


def measure_epochs(device: torch.device, table: Table, edges: list[int]) -> None:
    """Measure an epoch of the reference preset at each long edge, whole and in tiles."""
    for precision in PRECISIONS:
        chosen = choose_precision(precision, device)
        for edge, (way, tiling) in itertools.product(edges, WAYS.items()):
            start_anew(device)
            clock = Clock()
            config = Config(**PAIR, max_long_edge=edge, max_num_epochs=EPOCHS, stop_eps=0, precision=precision)
            with reproducible(device, tf32=chosen.tf32):
                prepared = prepare(config, device, chosen.dtype, ways=[Way(tiling)])
                paint(prepared, observers=[clock])
            width, height = prepared.size
            used = f"{peak(device) / GB:.2f} GB, {peak(device) / (width * height):.0f} bytes a pixel"
            note(table, f"an epoch at {width}x{height}{way}", precision, f"{1000 * clock.seconds:.1f} ms; {used}")
            del prepared


def epoch_at(edge: int, network: Features, device: torch.device, precision: Precision) -> float:
    """Descend two epochs with random content, style and start, and return the seconds of the second."""
    height = int(edge / ASPECT)
    with reproducible(device, tf32=precision.tf32):
        content, style, image = (torch.rand(1, 3, height, edge, device=device) * 255 - 127 for _ in range(3))
        ends = []
        for _ in descend(Objective(network, content, style), image, stop_eps=0, max_num_epochs=2):
            ends.append(time.perf_counter())
    return ends[1] - ends[0]


def largest_that(fits: Callable[[int], bool], first: int, deadline: float) -> tuple[int, int]:
    """Return the longest edge that fits and the shortest that does not, about 3% apart.

    Doubles the edge until it does not fit, then bisects. If time runs out (`deadline`), the two are further apart.
    """
    lower, upper = 0, first
    while fits(upper) and time.perf_counter() < deadline:
        lower, upper = upper, 2 * upper
    while upper - lower > max(STEP, upper // 32) and time.perf_counter() < deadline:
        middle = (lower + upper) // 2 // STEP * STEP
        lower, upper = (middle, upper) if fits(middle) else (lower, middle)
    return lower, upper


def measure_largest(device: torch.device, table: Table, seconds: float) -> None:
    """Search for the largest picture that fits in memory, whole and in tiles, for `seconds` each."""
    for precision, way in itertools.product(("float32", "bfloat16"), ("", ", in tiles")):
        chosen = choose_precision(precision, device)
        whole = load_vgg19(device=device).to(chosen.dtype)
        network: Features = Streamed(whole, Tiling(values=2**28)) if way else whole
        times: dict[int, float] = {}

        def fits(
            edge: int,
            network: Features = network,
            precision: Precision = chosen,
            times: dict[int, float] = times,
        ) -> bool:
            start_anew(device)
            try:
                times[edge] = epoch_at(edge, network, device, precision)
            except RuntimeError as error:  # out of memory, or a size that a library does not support
                print(f"  {edge}: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
                return False
            print(f"  {edge}: {times[edge]:.2f} s an epoch, {peak(device) / GB:.1f} GB", flush=True)
            return True

        lower, upper = largest_that(fits, 9600 if way else 4800, time.perf_counter() + seconds)
        at = f" ({times[lower]:.1f} s an epoch)" if lower else ""
        note(table, f"longest edge that fits, 3:2{way}", precision, f"{lower}, not {upper}{at}")
    start_anew(device)


def main() -> None:
    """Run the chosen measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("sample", "epoch", "largest"), help="default: all")
    parser.add_argument("--edges", type=int, nargs="+", default=[600, 1200, 2400], help="default: 600 1200 2400")
    parser.add_argument("--seconds", type=float, default=30, help="time for each search for the largest")
    parser.add_argument("--max-num-epochs", type=int, help="epochs of the sample (default: as the preset says)")
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    options = parser.parse_args()
    only = options.only or ("sample", "epoch", "largest")
    device = choose_device(options.device, None)
    print(f"{describe_device(device)}, PyTorch {torch.__version__}", flush=True)
    table: Table = {}
    measure_epochs(device, {}, [64])  # warm-up: loads kernels and decodes the weights
    if "sample" in only:
        given = {} if options.max_num_epochs is None else {"max_num_epochs": options.max_num_epochs}
        measure_samples(device, table, **given)
    if "epoch" in only:
        measure_epochs(device, table, options.edges)
    if "largest" in only:
        measure_largest(device, table, options.seconds)
    print(
        f"\n| {describe_device(device)}, PyTorch {torch.__version__} | {' | '.join(PRECISIONS)} |\n|---|---|---|---|"
    )
    for row, cells in table.items():
        print(f"| {row} | {' | '.join(cells.get(precision, '') for precision in PRECISIONS)} |")


if __name__ == "__main__":
    main()
