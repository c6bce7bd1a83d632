"""Measure how much faster a batch is than single calls of the command, and whether its memory use grows.

speed: several contents in several styles, first with one call for each pair, then with one call for all. Prints
wall-clock seconds of whole processes, and whether the pictures are bit-exact.
memory: a batch of many tiny pictures. Prints the memory of the process after each.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


def paint(folder: Path, number: int, seed: int, edge: int) -> list[Path]:
    """Write `number` pictures of waves and noise, `edge` pixels wide, and return their paths."""
    folder.mkdir()
    paths = []
    for i in range(number):
        generator = np.random.default_rng(seed + i)
        y, x = np.mgrid[0 : edge * (3 + i % 2) // 4, 0:edge]
        waves = [np.sin(fy * y + fx * x) for fy, fx in generator.uniform(0.02, 0.3, size=(3, 2))]
        rgb = 128 + 90 * np.stack(waves, axis=-1) + generator.normal(scale=10, size=(*y.shape, 3))
        paths.append(folder / f"{folder.name}{i}.png")
        Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).save(paths[-1])
    return paths


def call(*flags: object) -> float:
    """Run nstyle with these flags and return its wall-clock seconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "nstyle", *map(str, flags), "--quiet"], cwd=ROOT, check=True)
    return time.perf_counter() - started


def pixels(path: Path) -> bytes:
    """Return the pixel values of a picture."""
    with Image.open(path) as picture:
        return picture.tobytes()


def speed(folder: Path, options: argparse.Namespace) -> None:
    """Compare single calls with a batch."""
    contents = paint(folder / "c", options.contents, 0, 2 * options.size)
    styles = paint(folder / "s", options.styles, 1000, 2 * options.size)
    flags = ["--max-long-edge", options.size, "--max-num-epochs", options.epochs, "--stop-eps", 0]
    alone = 0.0
    for content in contents:
        for style in styles:
            output = folder / "alone" / f"{content.stem}_{style.stem}"
            alone += call("--content-image", content, "--style-image", style, "--output-dir", output, *flags)
    pictures = ["--content-image", *contents, "--style-image", *styles]
    together = call(*pictures, "--output-dir", folder / "batch", *flags)
    number = len(contents) * len(styles)
    found = (folder / "alone").glob("*/final.jpg")
    same = sum(pixels(path) == pixels(folder / "batch" / path.parent.name / path.name) for path in found)
    print(f"{number} single calls  {alone:7.1f} s")
    print(f"one batch        {together:7.1f} s    {alone / together:.2f} times faster")
    print(f"bit-exact: {same} of {number}")


def memory(folder: Path, options: argparse.Namespace) -> None:
    """Print the resident memory of this process during a batch."""
    from nstyle import stylize_many

    def resident() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    held: list[float] = []
    stylize_many(
        paint(folder / "c", options.pictures // 4, 0, 48),
        paint(folder / "s", 4, 1000, 48),
        watch=lambda outcome: held.append(resident()),
        output_dir=folder / "batch",
        max_long_edge=32,
        max_num_epochs=3,
    )
    for i in sorted({0, 19, *range(49, len(held), 50), len(held) - 1}):
        print(f"after picture {i + 1:4d}  {held[i]:7.1f} MB")
    most, last = (megabytes / held[19] - 1 for megabytes in (max(held[19:]), held[-1]))
    print(f"growth from the 20th on: {most:.1%} at most, {last:.1%} at the end")


def main() -> None:
    """Run the chosen measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory"))
    parser.add_argument("--contents", type=int, default=5, help="contents, for speed (default: %(default)s)")
    parser.add_argument("--styles", type=int, default=4, help="styles, for speed (default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=128, help="longer edge in pixels, for speed (default: %(default)s)"
    )
    parser.add_argument("--epochs", type=int, default=30, help="epochs, for speed (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=200, help="pictures, for memory (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        {"speed": speed, "memory": memory}[options.what](Path(name), options)


if __name__ == "__main__":
    main()
