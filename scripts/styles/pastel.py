"""Soft pastel on toned paper: a rose evening sky over teal hills, an ochre meadow and round blossoms.

Chalk sticks only to the high points of the paper's grain (its tooth): how much sticks depends on the pressure of the
stroke and the height of the grain. Broad strokes come first and are slightly smudged; finer ones follow and stay
crisp.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from styles.brushwork import WIDTH, Floats, Palette, around, noise, places, ramp, ranks, sample, scatter, turbulence

PAPER = (0.44, 0.40, 0.39)
SKY: Palette = (
    (56, 104, 130),
    (92, 138, 152),
    (150, 160, 172),
    (206, 156, 166),
    (232, 172, 156),
    (246, 206, 164),
    (254, 238, 208),
)
HILLS: Palette = ((22, 58, 76), (36, 88, 100), (72, 126, 130), (122, 156, 154), (176, 168, 172), (220, 186, 176))
# Ridges of the hills, farthest first: height on the page, amplitude, and lightness along the crest.
RIDGES = ((0.44, 0.040, 0.48), (0.52, 0.026, 0.24), (0.59, 0.018, 0.0))
MEADOW: Palette = ((92, 84, 72), (128, 124, 76), (184, 150, 78), (222, 182, 98), (242, 216, 156))
BLOSSOMS: Palette = ((120, 44, 66), (176, 74, 92), (214, 124, 130), (238, 178, 164), (252, 226, 204))


def scene(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, Floats]:
    """Return the colors (height, width, 3) and the angle of the strokes (height, width)."""
    x, y = places(height, width)
    v = y * width / height
    sun = np.exp(-((np.hypot(x - 0.66, 1.3 * (y - 0.24)) / 0.20) ** 2))
    billows = turbulence(rng, height, width, 0.09 * width)[:, np.arange(width) // 2]
    cloud = 1 / (1 + np.exp(-2.4 * (billows + 3.5 * (v - 0.24))))
    lit_side = np.clip(0.5 + 0.4 * noise(rng, height, width, 0.05 * width), 0, 1)
    canvas = ramp(SKY, np.clip(0.04 + 0.28 * v + 0.34 * cloud + 0.2 * cloud * lit_side + 0.45 * sun, 0, 1))
    angle = 0.35 * noise(rng, height, width, 0.25 * width) - 0.5 * cloud
    for depth, (base, swing, shade) in enumerate(RIDGES):
        ridge = base + swing * turbulence(rng, 1, width, (0.24 - 0.05 * depth) * width, 3)[0]
        below = v > ridge
        patches = 0.07 * turbulence(rng, height, width, 0.08 * width, 3)
        tone = shade + 1.7 * (v - ridge) + patches + 0.2 * sun
        canvas[below] = ramp(HILLS, np.clip(tone, 0, 1))[below]
        slope = np.arctan2(np.gradient(ridge) * height, 1.0)
        angle[below] = np.broadcast_to(slope + (0.25, -0.5, 0.9)[depth], angle.shape)[below]
    ridge = 0.66 + 0.025 * turbulence(rng, 1, width, 0.25 * width, 3)[0]
    below = v > ridge
    patches = ranks(turbulence(rng, height, width, 0.12 * width, 3) + 6 * (0.8 - v))
    canvas[below] = ramp(MEADOW, 0.08 + 0.92 * patches)[below]
    angle[below] = (-1.25 + 0.4 * noise(rng, height, width, 0.1 * width))[below]
    return canvas, angle


def chalk(
    canvas: Floats, tooth: Floats, line: Floats, half: float, color: Floats, pressure: float, rng: np.random.Generator
) -> None:
    """Draw one chalk stroke in place on canvas (height, width, 3), over the paper's tooth (height, width), 0 to 1.

    line (n, 2) is its path, half its half width in pixels, and pressure (0 to 1) how deep the chalk fills the tooth.
    """
    box, along, across = around(line, half + 1, tooth.shape)
    if not along.size:
        return
    hairs = int(2 * half) + 3
    furrows = np.interp((across / half + 1) / 2 * (hairs - 1), np.arange(hairs), rng.standard_normal(hairs))
    ends = np.clip(9 * np.minimum(along + 0.02, 1.02 - along), 0, 1)
    edge = np.clip(half - np.abs(across), 0, 1) * ends
    press = pressure * (1 - 0.35 * np.clip(along, 0, 1)) + 0.08 * furrows
    cover = edge * np.clip(1.5 * (press - 1 + tooth[box]) + 0.3, 0, 0.95)
    canvas[box] += cover[..., None] * (color - canvas[box])


def layer(
    canvas: Floats, tooth: Floats, flat: Floats, angle: Floats, size: tuple[float, float], coverage: float,
    pressure: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Cover the canvas with strokes of one half width and length, with the colors `flat` and the given angles."""
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
    """Draw blossoms of curled strokes on the meadow, with stalks and leaves; they are larger toward the bottom."""
    height, width = tooth.shape
    clumps = rng.uniform(-0.05, 1.05, 9)
    for v in np.sort(rng.triangular(0.70, 0.98, 1.06, 90)):
        size = (0.003 + 0.085 * (v - 0.68)) * width * rng.uniform(0.7, 1.25)
        middle = np.array([width * (rng.choice(clumps) + rng.normal(0, 0.05)), height * v])
        for side in rng.uniform(-1, 1, 4):
            way = np.linspace(0, 1, 9)
            stalk = middle + size * np.stack([1.5 * side * way**2, (3.2 - abs(side)) * way], axis=-1)
            chalk(canvas, tooth, stalk, max(0.13 * size, 1.0), ramp(HILLS, rng.uniform(0, 0.5, ())), 0.8, rng)
        tint, squash = rng.uniform(0.0, 0.65), rng.uniform(0.6, 0.9)
        petals = int(np.clip(1.4 * size, 6, 34))
        for r in np.sqrt(np.linspace(1.1, 0.02, petals)) * rng.uniform(0.75, 1.1, petals):
            turn = rng.uniform(0, 2 * np.pi)
            arc = turn + np.linspace(-0.5, 0.5, 8) * rng.uniform(0.8, 1.8)
            line = middle + r * size * np.stack([np.cos(arc), squash * np.sin(arc)], axis=-1)
            light = tint + 0.12 * (1 - r) - 0.16 * np.sin(turn + 0.7) + rng.normal(0, 0.17)
            color = ramp(BLOSSOMS, np.clip(light, 0, 1))
            chalk(canvas, tooth, line, max(0.17 * size, 1.0), color, rng.uniform(0.65, 1.0), rng)


def paint(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the finished drawing, shape (height, width, 3)."""
    scale = width / WIDTH
    tooth = ranks(noise(rng, height, width, 0.6) + 0.35 * noise(rng, height, width, 2.4 * scale))
    flat, angle = scene(rng, height, width)
    mottle = 0.05 * (tooth - 0.5) + 0.03 * noise(rng, height, width, 9 * scale)
    canvas: Floats = np.array(PAPER) * (1 + mottle[..., None])
    canvas = 0.55 * canvas + 0.45 * ndimage.gaussian_filter(flat, (8 * scale, 8 * scale, 0))  # rubbed in
    layer(canvas, tooth, flat, angle, (13, 90), 2.6, 0.8, rng)
    canvas = 0.3 * canvas + 0.7 * ndimage.gaussian_filter(canvas, (3.5 * scale, 3.5 * scale, 0))
    layer(canvas, tooth, flat, angle, (7, 64), 1.7, 0.62, rng)
    layer(canvas, tooth, flat, angle + 0.25, (2.4, 40), 0.5, 0.75, rng)
    blossoms(canvas, tooth, rng)
    return canvas
