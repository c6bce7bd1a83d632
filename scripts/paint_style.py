"""Paint one of our own style pictures, in one of several manners.

`python scripts/paint_style.py` paints input/vortices.jpg, an oil painting of whirls and lights.
`--manner planes --output planes.png` paints a different picture. The same manner, seed and size always give the same
picture. The pictures are composed for an aspect ratio of 3:2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from styles import dabs, ink, mosaic, pastel, planes, vortices
from styles.brushwork import HEIGHT, WIDTH, Floats

MANNERS: dict[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "vortices": vortices.paint,
    "planes": planes.paint,
    "ink": ink.paint,
    "pastel": pastel.paint,
    "mosaic": mosaic.paint,
    "dabs": dabs.paint,
}
OUTPUT = Path(__file__).resolve().parent.parent / "input" / "vortices.jpg"
SEED = 7
SMALLEST = 16


def paint(manner: str = "vortices", width: int = WIDTH, height: int = HEIGHT, seed: int = SEED) -> NDArray[np.uint8]:
    """Return a finished picture in one of the `MANNERS`, as sRGB uint8 of shape (height, width, 3)."""
    canvas = MANNERS[manner](np.random.default_rng(seed), height, width)
    return np.rint(255 * np.clip(canvas, 0, 1)).astype(np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Paint the picture that the command line asks for, and save it in the format of its file name."""
    parser = argparse.ArgumentParser(description="Paint a style picture.")
    parser.add_argument("path", nargs="?", metavar="PATH", type=Path, help="picture to write; the same as --output")
    parser.add_argument("--output", metavar="PATH", type=Path, help="picture to write (default: input/vortices.jpg)")
    parser.add_argument("--manner", choices=MANNERS, default="vortices", help="how to paint (default: vortices)")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the noise and the strokes")
    parser.add_argument("--width", type=int, default=WIDTH, help="width in pixels")
    parser.add_argument("--height", type=int, default=HEIGHT, help="height in pixels")
    options = parser.parse_args(arguments)
    if min(options.width, options.height) < SMALLEST:
        parser.error(f"the sides must be at least {SMALLEST} pixels")
    if options.seed < 0:
        parser.error("the seed must not be negative")
    if options.path and options.output:
        parser.error("PATH and --output both name the picture to write: leave one of them out")
    output = options.path or options.output
    if output is None and options.manner != "vortices":
        parser.error(f"--manner {options.manner} needs --output PATH: only vortices has a default path")
    picture = paint(options.manner, options.width, options.height, options.seed)
    Image.fromarray(picture).save(output or OUTPUT, quality=92, subsampling=0)


if __name__ == "__main__":
    main()
