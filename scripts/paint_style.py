"""Paint the sample style picture: a procedural oil painting of whirls and lights.

The picture is made the way a painter makes one.  A flow field of several vortices gives every place a
direction, noise smeared along that field gives it a tone, and four layers of brush strokes, from broad to
fine, are laid along the flow lines.  Each stroke leaves bristle marks in a height map, and in the end this
relief is lit from the upper left.

`python scripts/paint_style.py` paints input/vortices.jpg anew; the same seed and size always give the same
picture.  It is composed for sides of 3:2.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
Palette = Sequence[tuple[int, int, int]]


@dataclass(frozen=True)
class Vortex:
    """A whirl at (x, y), all lengths as fractions of the picture's width; a light if `light` is above 0."""

    x: float
    y: float
    radius: float
    spin: float
    light: float = 0.0

    def polar(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return the distance from the centre, in radii, and the angle of the places x, y (one shape)."""
        dx, dy = x - self.x, y - self.y
        return np.hypot(dx, dy) / self.radius, np.arctan2(dy, dx)


@dataclass(frozen=True)
class Brush:
    """One layer of strokes; lengths in pixels of a picture of the default width."""

    width: float
    length: float
    coverage: float
    variety: float


OUTPUT = Path(__file__).resolve().parent.parent / "input" / "vortices.jpg"
SEED, WIDTH, HEIGHT = 7, 900, 600
SMALLEST = 16

VORTICES = (
    Vortex(0.36, 0.29, 0.165, 1.0),
    Vortex(0.63, 0.40, 0.115, -1.0),
    Vortex(0.85, 0.14, 0.095, 1.0, light=1.0),
    Vortex(0.09, 0.13, 0.055, -1.0, light=0.8),
    Vortex(0.12, 0.47, 0.085, -1.0),
    Vortex(0.42, 0.575, 0.058, 1.0, light=0.7),
    Vortex(0.86, 0.52, 0.100, 1.0),
    Vortex(0.60, 0.10, 0.048, -1.0, light=0.7),
    Vortex(0.90, 0.345, 0.032, -1.0, light=0.6),
    Vortex(0.25, 0.585, 0.034, 1.0, light=0.5),
)
BRUSHES = (
    Brush(26.0, 130.0, 2.6, 0.05),
    Brush(15.0, 90.0, 1.9, 0.07),
    Brush(10.0, 62.0, 1.3, 0.09),
    Brush(6.5, 42.0, 0.45, 0.14),
)
# Two palettes from dark to light (sRGB, 0..255): blues from Prussian to teal, and fire from wine to gold.
COOL: Palette = (
    (7, 13, 38),
    (12, 30, 88),
    (20, 52, 142),
    (30, 92, 182),
    (42, 142, 172),
    (128, 190, 186),
    (238, 232, 204),
)
WARM: Palette = (
    (44, 18, 34),
    (118, 34, 26),
    (206, 66, 28),
    (222, 126, 28),
    (238, 172, 42),
    (248, 208, 96),
    (254, 244, 206),
)


def places(height: int, width: int) -> tuple[Floats, Floats]:
    """Return x and y of every pixel as fractions of the width, both (height, width)."""
    y, x = np.mgrid[0:height, 0:width] / width
    return x, y


def flow_field(height: int, width: int) -> Floats:
    """Return the unit flow vectors (x, y) of every pixel, shape (height, width, 2)."""
    x, y = places(height, width)
    u = 0.55 + 0.20 * np.sin(9.0 * y)
    v = 0.45 * np.sin(7.5 * x + 2.5 * y)
    for vortex in VORTICES:
        r, angle = vortex.polar(x, y)
        pull = 3.2 * np.exp(-0.5 * r**2)
        inward = 0.0 if vortex.light else 0.22
        u -= pull * (vortex.spin * np.sin(angle) + inward * np.cos(angle))
        v += pull * (vortex.spin * np.cos(angle) - inward * np.sin(angle))
    flow: Floats = np.stack([u, v], axis=-1) / (np.hypot(u, v) + 1e-9)[..., None]
    return flow


def sample(field: Floats, points: Floats) -> Floats:
    """Look up a field (height, width, ...) at the pixels nearest to points (..., 2), given as (x, y)."""
    x = np.clip(np.rint(points[..., 0]), 0, field.shape[1] - 1).astype(np.intp)
    y = np.clip(np.rint(points[..., 1]), 0, field.shape[0] - 1).astype(np.intp)
    values: Floats = field[y, x]
    return values


def trace(flow: Floats, start: Floats, step: float, count: int) -> Floats:
    """Follow the flow from start (..., 2), upstream if step < 0; shape (count, ..., 2), start first."""
    points = [start]
    for _ in range(count - 1):
        points.append(points[-1] + step * sample(flow, points[-1]))
    return np.stack(points)


def blur(field: Floats, sigma: float) -> Floats:
    """Smooth a field (height, width) with a Gaussian of sigma pixels."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = np.moveaxis(np.pad(field, reach, mode="edge"), axis, 0)
        size = field.shape[axis]
        summed = sum(weight * padded[i : i + size] for i, weight in enumerate(kernel))
        field = np.moveaxis(np.asarray(summed)[:, reach:-reach], 0, axis)
    return field


def streaks(rng: np.random.Generator, flow: Floats, grain: float, reach: float) -> Floats:
    """Return noise smeared over `reach` pixels up and down the flow (line integral convolution).

    The noise has grains of about `grain` pixels.  The result, (height, width), is evenly spread over 0..1.
    """
    height, width = flow.shape[:2]
    noise = blur(rng.standard_normal((height, width)), grain)
    total = np.zeros_like(noise)
    count = 32
    for step in (reach / count, -reach / count):
        points = np.stack(places(height, width), axis=-1) * width
        for _ in range(count):
            total += sample(noise, points)
            points += step * sample(flow, points)
    ranks: Floats = np.argsort(np.argsort(total, axis=None, kind="stable")) / (total.size - 1)
    return ranks.reshape(height, width)


def compose(rng: np.random.Generator, flow: Floats) -> tuple[Floats, Floats]:
    """Return the lightness and the warmth of every pixel, both (height, width) and about 0..1."""
    height, width = flow.shape[:2]
    scale = width / WIDTH
    x, y = places(height, width)
    light = 0.06 + 0.62 * streaks(rng, flow, 7 * scale, 130 * scale)
    warmth = 0.9 * np.clip(4.0 * streaks(rng, flow, 12 * scale, 220 * scale) - 3.2, 0, 1)
    for vortex in VORTICES:
        r, angle = vortex.polar(x, y)
        if vortex.light:
            glow = vortex.light**0.3 * np.exp(-0.9 * r**2)
            rings = 0.22 * np.cos(3.4 * np.pi * r) * np.exp(-0.5 * r**2)
            light = light * (1 - 0.75 * glow) + 0.86 * glow + rings
            warmth = np.clip(warmth + 1.4 * np.exp(-0.55 * r**2), 0, 1)
        else:
            arms = np.cos(2 * (angle - 3.6 * vortex.spin * np.log(r + 0.15)))
            light = light + 0.24 * arms * np.exp(-0.5 * r**2)
    return light + 0.22 * warmth * (1 - light), warmth


def mix(light: Floats, warmth: Floats) -> Floats:
    """Mix paint of a lightness and a warmth, of one shape and 0..1; returns sRGB 0..1, shape (..., 3)."""

    def ramp(palette: Palette) -> Floats:
        knots, channels = np.linspace(0, 1, len(palette)), np.transpose(palette) / 255
        return np.stack([np.interp(light, knots, channel) for channel in channels], axis=-1)

    share = np.clip(1.8 * warmth - 0.4, 0, 1)[..., None]
    return (1 - share) * ramp(COOL) + share * ramp(WARM)


def along_and_across(line: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return where pixels x, y (h, w) lie beside a line (n, 2).

    The first is the way along it, 0 at its start and 1 at its end, the second the signed distance in pixels.
    """
    near = np.argmin((x - line[:, :1, None]) ** 2 + (y - line[:, 1:, None]) ** 2, axis=0)
    tangent = np.gradient(line, axis=0)
    step = np.hypot(tangent[:, 0], tangent[:, 1]) + 1e-9
    tx, ty = tangent[near, 0] / step[near], tangent[near, 1] / step[near]
    dx, dy = x - line[near, 0], y - line[near, 1]
    return (near + (dx * tx + dy * ty) / step[near]) / (len(line) - 1), dy * tx - dx * ty


def lay_stroke(
    canvas: Floats, relief: Floats, line: Floats, half: float, paint: Floats, rng: np.random.Generator
) -> None:
    """Lay one stroke, in place, on canvas (height, width, 3), 0..1, and relief (height, width), in pixels.

    line (n, 2) is its course, half its half width in pixels, paint (2, 3) the sRGB colours of its two sides.
    """
    height, width = relief.shape
    hairs = int(2 * half) + 3
    bristles, tails = rng.standard_normal(hairs), rng.uniform(0.0, 0.25, hairs)
    x0, y0 = np.maximum(np.floor(line.min(0) - half).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(line.max(0) + half).astype(int) + 1, (width, height))
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float64)
    along, across = along_and_across(line, x, y)
    across = across / half
    hair = (across + 1) / 2 * (hairs - 1)
    ridge = np.interp(hair, np.arange(hairs), bristles)
    tail = np.interp(hair, np.arange(hairs), tails)

    spent = np.clip(along, 0, 1)
    outline = np.minimum(1, 3.5 * np.sqrt(spent)) * np.minimum(1, 1.4 * np.sqrt(1.15 - spent))
    cover = 0.96 * np.clip((outline - np.abs(across)) * half, 0, 1) * np.clip(6 * (1 - tail - along), 0, 1)
    side = np.clip(0.5 + 0.5 * across + 0.15 * ridge, 0, 1)[..., None]
    color = (1 - side) * paint[0] + side * paint[1] + 0.022 * ridge[..., None]
    body = 0.6 * ridge + 0.25 * half * (1 + 0.8 * across**4) * (1.1 - 0.5 * spent)

    box = slice(y0, y1), slice(x0, x1)
    canvas[box] += cover[..., None] * (color - canvas[box])
    relief[box] += cover * (body - 0.65 * relief[box])


def scatter(rng: np.random.Generator, height: int, width: int, spacing: float) -> Floats:
    """Return points (n, 2) as (x, y), about `spacing` pixels apart, in random order."""
    grid = np.mgrid[-spacing / 2 : height + spacing : spacing, -spacing / 2 : width + spacing : spacing]
    points = grid[::-1].reshape(2, -1).T
    return rng.permutation(points + spacing * rng.uniform(-0.5, 0.5, points.shape))


def lay_layer(
    canvas: Floats,
    relief: Floats,
    flow: Floats,
    tone: tuple[Floats, Floats],
    brush: Brush,
    rng: np.random.Generator,
) -> None:
    """Cover canvas (height, width, 3) and relief (height, width), in place, with the strokes of one brush."""
    height, width = relief.shape
    half = max(brush.width / 2 * width / WIDTH, 1.2)
    length = max(brush.length * width / WIDTH, 5 * half)
    step = max(half / 3, 1.0)
    count = max(int(length / 2 / step), 2)
    start = scatter(rng, height, width, float(np.sqrt(2 * half * length / brush.coverage)))
    lines = np.concatenate([trace(flow, start, -step, count)[:0:-1], trace(flow, start, step, count)])
    light, warmth, sheen = rng.standard_normal((3, len(start))) * [[brush.variety], [0.17], [0.06]]
    light, warmth = light + sample(tone[0], start), warmth + sample(tone[1], start)
    paints = np.stack([mix(light - sheen, warmth), mix(light + sheen, warmth)], axis=1)
    halves = half * rng.uniform(0.75, 1.25, len(start))
    cuts = rng.integers(0, count, len(start)) // 2
    for i, cut in enumerate(cuts):
        lay_stroke(canvas, relief, lines[cut : len(lines) - cut, i], halves[i], paints[i], rng)


def lit(canvas: Floats, relief: Floats) -> Floats:
    """Light canvas (height, width, 3), 0..1, from the upper left over its relief (height, width)."""
    slope_y, slope_x = np.gradient(blur(relief, 0.6))
    shade = np.tanh(0.92 * (slope_x + slope_y))[..., None]
    shaded: Floats = canvas * (1 + 0.5 * shade) + 0.13 * np.clip(shade, 0, 1) ** 2
    return np.clip(shaded, 0, 1)


def paint_picture(seed: int = SEED, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Return the finished painting as sRGB bytes, shape (height, width, 3)."""
    rng = np.random.default_rng(seed)
    flow = flow_field(height, width)
    tone = compose(rng, flow)
    canvas, relief = mix(*tone), np.zeros((height, width))
    for brush in BRUSHES:
        lay_layer(canvas, relief, flow, tone, brush, rng)
    return np.rint(255 * lit(canvas, relief)).astype(np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Paint the picture that the command line asks for and save it as a JPEG (or what its name says)."""
    parser = argparse.ArgumentParser(description="Paint the sample style picture.")
    parser.add_argument("output", nargs="?", type=Path, default=OUTPUT, help="picture to write")
    parser.add_argument("--seed", type=int, default=SEED, help="number that fixes the noise and every stroke")
    parser.add_argument("--width", type=int, default=WIDTH, help="width in pixels")
    parser.add_argument("--height", type=int, default=HEIGHT, help="height in pixels")
    options = parser.parse_args(arguments)
    if min(options.width, options.height) < SMALLEST:
        parser.error(f"the sides must be at least {SMALLEST} pixels")
    if options.seed < 0:
        parser.error("the seed must not be negative")
    picture = paint_picture(options.seed, options.width, options.height)
    Image.fromarray(picture).save(options.output, quality=92, subsampling=0)


if __name__ == "__main__":
    main()
