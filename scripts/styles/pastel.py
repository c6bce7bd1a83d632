"""Soft pastel on toned paper: a rose evening sky over teal hills, an ochre meadow and round blossoms.

Chalk takes on the tops of the paper's tooth only: how much of it stays depends on the pressure of the stroke and on
the height of the grain.  Broad strokes come first and are smudged a little, finer ones follow and stay crisp.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from styles.brushwork import WIDTH, Floats, Palette, around, noise, places, ramp, ranks, sample, scatter, turbulence

PAPER = (0.44, 0.40, 0.39)
SKY: Palette = ((78, 112, 130), (132, 152, 160), (196, 160, 162), (226, 176, 160), (240, 208, 172), (250, 232, 204))
HILLS: Palette = ((30, 66, 80), (48, 98, 106), (86, 132, 132), (140, 160, 152), (168, 150, 160))
MEADOW: Palette = ((84, 70, 58), (124, 112, 66), (170, 138, 74), (208, 170, 98), (232, 206, 150))
BLOSSOMS: Palette = ((120, 44, 66), (176, 74, 92), (214, 124, 130), (238, 178, 164), (252, 226, 204))


def scene(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, Floats]:
    """Return the colors (height, width, 3) and the angle of the strokes (height, width)."""
    x, y = places(height, width)
    v = y * width / height
    clouds = turbulence(rng, height, width, 0.22 * width, 3)
    sun = np.exp(-((np.hypot(x - 0.66, (y - 0.27)) / 0.17) ** 2))
    canvas = ramp(SKY, np.clip(0.08 + 0.9 * v + 0.15 * clouds + 0.45 * sun, 0, 1))
    angle = -0.5 + 0.5 * noise(rng, height, width, 0.25 * width)
    for depth, (base, swing, shade) in enumerate(((0.44, 0.045, 0.95), (0.52, 0.05, 0.62), (0.61, 0.035, 0.3))):
        ridge = base + swing * noise(rng, 1, width, (0.20 - 0.03 * depth) * width)[0]
        below = v > ridge
        tone = shade - 1.3 * (v - ridge) + 0.07 * clouds
        canvas[below] = ramp(HILLS, np.clip(tone, 0, 1))[below]
        slope = np.arctan2(np.gradient(ridge) * height, 1.0)
        angle[below] = np.broadcast_to(slope + (0.9, -0.8, 0.5)[depth], angle.shape)[below]
    ridge = 0.68 + 0.03 * noise(rng, 1, width, 0.25 * width)[0]
    below = v > ridge
    patches = ranks(turbulence(rng, height, width, 0.12 * width, 3))
    canvas[below] = ramp(MEADOW, np.clip(0.85 * patches + 0.3 * (0.85 - v), 0, 1))[below]
    angle[below] = (-1.2 + 0.5 * noise(rng, height, width, 0.1 * width))[below]
    return canvas, angle


def chalk(
    canvas: Floats, tooth: Floats, line: Floats, half: float, color: Floats, pressure: float, rng: np.random.Generator
) -> None:
    """Draw one stroke of chalk on canvas (height, width, 3), in place, over the paper's tooth (height, width), 0..1.

    line (n, 2) is its course, half its half width in pixels, pressure 0..1 how deep the chalk goes into the tooth.
    """
    box, along, across = around(line, half + 1, tooth.shape)
    if not along.size:
        return
    hairs = int(2 * half) + 3
    furrows = np.interp((across / half + 1) / 2 * (hairs - 1), np.arange(hairs), rng.standard_normal(hairs))
    ends = np.clip(9 * np.minimum(along + 0.02, 1.02 - along), 0, 1)
    edge = np.clip(half - np.abs(across), 0, 1) * ends
    press = pressure * (1 - 0.35 * np.clip(along, 0, 1)) + 0.08 * furrows
    cover = edge * np.clip(4.0 * (press - (1 - tooth[box])) + 0.5, 0, 0.93)
    canvas[box] += cover[..., None] * (color - canvas[box])


def layer(
    canvas: Floats, tooth: Floats, flat: Floats, angle: Floats, size: tuple[float, float], coverage: float,
    pressure: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Cover the canvas with strokes of one half width and length, in the colors `flat` and at the angles given."""
    height, width = tooth.shape
    scale = width / WIDTH
    half, length = max(size[0] * scale, 1.0), max(size[1] * scale, 5.0)
    for start in scatter(rng, height, width, float(np.sqrt(2 * half * length / coverage))):
        turn = sample(angle, start) + rng.normal(0, 0.14)
        way = np.linspace(-length / 2, length / 2, 9) * rng.uniform(0.6, 1.3)
        bend = rng.normal(0, 0.4) / length
        c, s = np.cos(turn), np.sin(turn)
        line = start + np.stack([way * c - bend * way**2 * s, way * s + bend * way**2 * c], axis=-1)
        accent = rng.normal(0, 0.045) + rng.normal(0, 0.03, 3)
        chalk(canvas, tooth, line, half, sample(flat, start) + accent, pressure * rng.uniform(0.7, 1.2), rng)


def blossoms(canvas: Floats, tooth: Floats, rng: np.random.Generator) -> None:
    """Draw round blossoms over the meadow, larger toward the bottom, each of curled strokes, and stalks and leaves."""
    height, width = tooth.shape
    for v in np.sort(rng.uniform(0.70, 1.02, 46)):
        size = (0.006 + 0.085 * (v - 0.66)) * width * rng.uniform(0.7, 1.2)
        middle = np.array([width * rng.uniform(-0.02, 1.02), height * v])
        for side in (-1, 1, -1):
            way = np.linspace(0, 1, 9)
            stalk = middle + size * np.stack([side * rng.uniform(0.2, 1.2) * way**2, 2.6 * way], axis=-1)
            chalk(canvas, tooth, stalk, max(0.1 * size, 1.0), ramp(HILLS, np.array(rng.uniform(0, 0.5))), 0.7, rng)
        tint = rng.uniform(0.15, 0.7)
        for r in np.repeat([0.85, 0.55, 0.2], [13, 9, 4]):
            turn = rng.uniform(0, 2 * np.pi)
            arc = turn + np.linspace(0, rng.uniform(0.7, 1.5), 8)
            line = middle + r * size * np.stack([np.cos(arc), 0.85 * np.sin(arc)], axis=-1)
            light = tint - 0.3 * np.sin(turn + 0.8) + 0.15 * (1 - r) + rng.normal(0, 0.08)
            color = ramp(BLOSSOMS, np.clip(light, 0, 1))
            chalk(canvas, tooth, line, max(0.2 * size, 1.0), color, rng.uniform(0.6, 0.9), rng)


def paint(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the finished drawing, shape (height, width, 3)."""
    scale = width / WIDTH
    tooth = ranks(noise(rng, height, width, 1.1) + 0.45 * noise(rng, height, width, 2.6))
    flat, angle = scene(rng, height, width)
    canvas = np.array(PAPER) * (
        1 + 0.05 * (tooth[..., None] - 0.5) + 0.03 * noise(rng, height, width, 9 * scale)[..., None]
    )
    layer(canvas, tooth, flat, angle, (13, 90), 2.2, 0.55, rng)
    smudged = ndimage.gaussian_filter(canvas, (2.2 * scale, 2.2 * scale, 0))
    canvas = 0.45 * canvas + 0.55 * smudged
    layer(canvas, tooth, flat, angle, (6.5, 56), 1.3, 0.5, rng)
    layer(canvas, tooth, flat, angle + 0.3, (2.6, 34), 0.6, 0.62, rng)
    blossoms(canvas, tooth, rng)
    return np.clip(canvas, 0, 1)
