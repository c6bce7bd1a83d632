"""Small dabs of broken color: a pond of water lilies that mirrors the sky and willows.

Each dab is a short thick stroke of one color. The color is that of the scene at that place, randomly shifted toward a
neighbor on the color wheel, so that colors mix only in the viewer's eye.
"""

from __future__ import annotations

import numpy as np

from styles.brushwork import WIDTH, Floats, Palette, lay_stroke, lit, noise, places, ramp, sample, scatter, turbulence

# Water, from the dark willows to the mirrored clouds.
WATER: Palette = (
    (22, 42, 58),
    (36, 70, 84),
    (54, 92, 128),
    (98, 120, 172),
    (150, 150, 200),
    (206, 176, 204),
    (240, 214, 206),
)
PADS: Palette = ((34, 78, 62), (64, 116, 70), (112, 156, 84), (164, 192, 110), (214, 218, 150))
BLOOMS: Palette = ((160, 46, 88), (214, 96, 128), (240, 160, 176), (252, 226, 220), (255, 246, 214))
# Groups of lily pads: the middle (x, y) and the spread in x and y, as fractions of the width and the height.
DRIFTS = (
    (0.20, 0.86, 0.110, 0.098),
    (0.70, 0.70, 0.132, 0.083),
    (0.34, 0.47, 0.083, 0.045),
    (0.86, 0.33, 0.066, 0.030),
    (0.12, 0.22, 0.066, 0.021),
    (0.60, 0.19, 0.055, 0.018),
    (0.92, 0.95, 0.066, 0.075),
)


def islands(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return lily pads (n, 5): x, y and half width in pixels, lightness, and a number that decides if the pad blooms.

    The pads lie in groups, and are smaller toward the top, for perspective. The last two values are 0 to 1.
    """
    pads = []
    for x, y, spread, tall in DRIFTS:
        for _ in range(int(rng.integers(13, 19))):
            py = (y + tall * rng.normal()) * height
            half = (0.014 + 0.046 * np.clip(py / height, 0, 1)) * width * rng.uniform(0.55, 1.15)
            pads.append([(x + spread * rng.normal()) * width, py, half, rng.uniform(0.1, 0.9), rng.random()])
    return np.array(sorted(pads, key=lambda pad: pad[1]))


def scene(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, Floats, Floats]:
    """Return the colors (height, width, 3), the angle of the dabs (height, width), and the pads, farthest first."""
    x, y = places(height, width)
    v = y * width / height
    clouds = turbulence(rng, height, width, 0.17 * width, 3)
    stretch = np.array([1.0, 3.5])
    tall = noise(rng, int(height / stretch[1]) + 1, width, 0.03 * width)
    willows = tall[np.minimum((np.arange(height) / stretch[1]).astype(int), len(tall) - 1)]
    dark = np.clip(1.1 - 5 * np.abs(x - 0.15 - 0.03 * clouds), 0, 1) + np.clip(
        1.1 - 6 * np.abs(x - 0.90 - 0.02 * clouds), 0, 1
    )
    light = 0.60 + 0.16 * clouds - 0.38 * dark * (1.05 - 0.35 * v) + 0.07 * willows + 0.10 * (0.5 - v)
    canvas = ramp(WATER, np.clip(light, 0, 1))
    green = np.clip(dark * 0.9 + 0.3 * willows - 0.3, 0, 0.8)[..., None]
    canvas = (1 - green) * canvas + green * ramp(PADS, np.clip(0.22 + 0.9 * (light - 0.3) + 0.1 * willows, 0, 0.7))
    angle = np.pi / 2 * np.clip(2.2 * dark - 0.3, 0, 1) + 0.3 * noise(rng, height, width, 0.08 * width)
    pads = islands(rng, height, width)
    rows, columns = np.mgrid[0:height, 0:width]
    for px, py, half, shade, _ in pads:
        flat = half * (0.16 + 0.22 * np.clip(py / height, 0, 1))
        dx, dy = (columns - px) / half, (rows - py) / flat
        r = np.hypot(dx, dy)
        shadow = np.clip(1.5 - 1.5 * np.hypot(dx, dy - 0.7), 0, 0.7)[..., None] * (r > 1)[..., None]
        canvas *= 1 - 0.5 * shadow
        on = r < 1
        canvas[on] = ramp(PADS, np.clip(shade + 0.22 * -dy[on] + 0.15 * (r[on] > 0.75), 0, 1))
        angle[on] = 0.0
    return canvas, angle, pads


def broken(rng: np.random.Generator, colors: Floats, strength: float) -> Floats:
    """Shift colors (n, 3) randomly in lightness, in warmth, and between green and magenta."""
    axes = np.array([[1, 1, 1], [0.9, 0.1, -1.0], [0.7, -0.8, 0.5]])
    shift = rng.standard_normal((len(colors), 3)) * np.array([0.75, 0.7, 0.55]) @ axes
    moved: Floats = np.clip(colors + strength * shift, 0.02, 0.99)
    return moved


def dab(
    canvas: Floats, relief: Floats, at: Floats, turn: float, size: tuple[float, float], color: Floats,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Paint one dab at a point. turn is its angle, size its half width and length in pixels, color its color (3,)."""
    way = np.linspace(-size[1] / 2, size[1] / 2, 7)
    bend = rng.normal(0, 0.35) / size[1]
    c, s = np.cos(turn), np.sin(turn)
    line = at + np.stack([way * c - bend * way**2 * s, way * s + bend * way**2 * c], axis=-1)
    lay_stroke(canvas, relief, line, size[0], np.stack([color - 0.03, color + 0.03]), rng)


def bloom(canvas: Floats, relief: Floats, at: Floats, size: float, rng: np.random.Generator) -> None:
    """Paint a lily with pointed petals and a radius of `size` pixels at a point."""
    tint = rng.uniform(0.25, 0.75)
    for ring, count in ((1.0, 9), (0.6, 7), (0.2, 3)):
        for turn in np.linspace(-np.pi, 0, count) + rng.normal(0, 0.12, count):
            tip = np.array([np.cos(turn), 0.62 * np.sin(turn) + 0.15])
            color = ramp(BLOOMS, np.clip(tint + 0.5 * (1 - ring) + rng.normal(0, 0.13), 0, 1))
            middle = at + 0.6 * ring * size * tip
            dab(
                canvas, relief, middle, float(np.arctan2(tip[1], tip[0])), (0.2 * size + 0.8, 0.75 * size), color, rng
            )


def paint(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the finished painting, shape (height, width, 3)."""
    scale = width / WIDTH
    flat, angle, pads = scene(rng, height, width)
    canvas, relief = flat * 0.9, np.zeros((height, width))
    for half, length, coverage, strength in (
        (7.5, 34.0, 1.5, 0.05),
        (4.2, 19.0, 1.6, 0.075),
        (2.6, 11.0, 0.55, 0.12),
    ):
        half, length = max(half * scale, 1.0), max(length * scale, 4.0)
        starts = scatter(rng, height, width, float(np.sqrt(2 * half * length / coverage)))
        colors = broken(rng, sample(flat, starts), strength)
        turns = sample(angle, starts) + rng.normal(0, 0.22, len(starts))
        for start, color, turn in zip(starts, colors, turns, strict=True):
            stretch = rng.uniform(0.6, 1.3, 2)
            dab(canvas, relief, start, turn, (half * stretch[0], length * stretch[1]), color, rng)
    for x, y, half, _, chance in pads:
        if chance < 0.42:
            bloom(canvas, relief, np.array([x, y - 0.15 * half]), max(0.36 * half, 2.0), rng)
    return lit(canvas, 0.75 * relief)
