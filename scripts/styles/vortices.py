"""An oil painting of whirls and lights.

A flow field of several vortices sets the direction at each place, and noise smeared along that field sets the tone.
Four layers of brush strokes, from broad to fine, follow the flow lines. Each stroke leaves bristle marks in a height
map. Finally, this relief is lit from the upper left. The picture is composed for an aspect ratio of 3:2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from styles.brushwork import WIDTH, Floats, Palette, lay_stroke, lit, places, ramp, sample, scatter, streaks, trace


@dataclass(frozen=True)
class Vortex:
    """A whirl at (x, y), with lengths as fractions of the picture's width. It is a light if `light` is above 0."""

    x: float
    y: float
    radius: float
    spin: float
    light: float = 0.0

    def polar(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return the distance from the center, in radii, and the angle of places x, y (equal shapes)."""
        dx, dy = x - self.x, y - self.y
        return np.hypot(dx, dy) / self.radius, np.arctan2(dy, dx)


@dataclass(frozen=True)
class Brush:
    """One layer of strokes, with lengths in pixels at the default width."""

    width: float
    length: float
    coverage: float
    variety: float


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
# Two palettes from dark to light (sRGB, 0 to 255): Prussian blue to teal, and wine red to gold.
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


def flow_field(height: int, width: int) -> Floats:
    """Return the unit flow vector (x, y) of every pixel, shape (height, width, 2)."""
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


def compose(rng: np.random.Generator, flow: Floats) -> tuple[Floats, Floats]:
    """Return the lightness and warmth of every pixel, both (height, width) and about 0 to 1."""
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
    """Mix colors from lightness and warmth, both 0 to 1 and of equal shape. Returns sRGB, 0 to 1, shape (..., 3)."""
    share = np.clip(1.8 * warmth - 0.4, 0, 1)[..., None]
    return (1 - share) * ramp(COOL, light) + share * ramp(WARM, light)


def lay_layer(
    canvas: Floats,
    relief: Floats,
    flow: Floats,
    tone: tuple[Floats, Floats],
    brush: Brush,
    rng: np.random.Generator,
) -> None:
    """Cover canvas (height, width, 3) and relief (height, width) in place with the strokes of one brush."""
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


def paint(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the finished painting, shape (height, width, 3)."""
    flow = flow_field(height, width)
    tone = compose(rng, flow)
    canvas, relief = mix(*tone), np.zeros((height, width))
    for brush in BRUSHES:
        lay_layer(canvas, relief, flow, tone, brush, rng)
    return lit(canvas, relief)
