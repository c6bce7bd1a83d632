"""Reed-pen drawing with washes on warm paper: a sun over hills, fields and cypresses.

Each part of the scene has its own marks: rings around the sun, hatching on the hills, rows and dots in the fields,
flames in the trees. The marks are thicker and denser in darker areas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from styles.brushwork import WIDTH, Floats, around, noise, places, sample, scatter, trace, turbulence

PAPER = (0.945, 0.895, 0.79)
INK = (0.085, 0.075, 0.085)
SUN = (0.70, 0.185, 0.075)  # x, y and radius as fractions of the width


@dataclass(frozen=True)
class Marks:
    """How one part of the scene is drawn. Lengths are in pixels at the default width.

    The turn is the angle to the flow of the scene, in radians.
    """

    spacing: float
    half: float
    length: float
    turn: float = 0.0
    again: float = 0.0  # share of marks that are crossed by a second one


MARKS = (
    Marks(9, 1.25, 30),  # sky
    Marks(8, 1.1, 24, 0.9),  # far hills
    Marks(7, 1.25, 20, -0.8, 0.4),  # near hills
    Marks(8.5, 1.5, 30),  # rows of a field
    Marks(7, 1.9, 3),  # a field of dots
    Marks(7.5, 1.3, 15, 1.2),  # a field of stubble
    Marks(9.5, 1.4, 26, -1.35),  # grass in front
    Marks(7, 1.3, 24),  # cypresses
)
CYPRESSES = ((0.17, 0.60, 0.052, 0.47), (0.255, 0.585, 0.03, 0.26), (0.90, 0.62, 0.035, 0.28))
# Washes: part of the scene, color, and strength.
WASHES = (
    (2, (0.30, 0.42, 0.52), 0.45),
    (3, (0.80, 0.60, 0.28), 0.5),
    (5, (0.74, 0.66, 0.40), 0.35),
    (6, (0.46, 0.54, 0.38), 0.4),
    (7, (0.36, 0.48, 0.42), 0.6),
)


def scene(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, Floats, Floats, list[Floats]]:
    """Return each pixel's part of the scene, darkness (0 to 1) and angle, and the outlines (n, 2)."""
    x, y = places(height, width)
    stretch = 1.5 * height / width
    part = np.zeros((height, width))
    clouds = turbulence(rng, height, width, 0.2 * width, 3)
    dx, dy = x - SUN[0], y - SUN[1] * stretch
    r = np.hypot(dx, dy) / SUN[2]
    swirl = np.arctan2(dx, -dy)
    drift = 0.15 + 0.5 * noise(rng, height, width, 0.16 * width)
    share = np.exp(-((r / 4.2) ** 2))
    angle = np.arctan2(
        share * np.sin(swirl) + (1 - share) * np.sin(drift), share * np.cos(swirl) + (1 - share) * np.cos(drift)
    )
    dark = np.clip(0.38 + 0.2 * clouds - 0.35 * np.exp(-((r / 2) ** 2)), 0.05, 1)
    lines = []
    grounds = (
        (0.315, 0.030, 1),
        (0.365, 0.030, 2),
        (0.405, 0.012, 3),
        (0.445, 0.014, 4),
        (0.485, 0.016, 5),
        (0.525, 0.018, 3),
        (0.575, 0.014, 6),
    )
    for base, swing, kind in grounds:
        ridge = stretch * (
            base
            + swing * noise(rng, 1, width, 0.14 * width)[0]
            + (0.0 if kind < 3 else rng.normal(0, 0.05)) * (x[0] - 0.5)
        )
        below = y > ridge
        slope = np.arctan(np.gradient(ridge) * width)
        depth = (y - ridge)[below]
        part[below] = kind
        angle[below] = (np.broadcast_to(slope, x.shape) + 0.25 * noise(rng, height, width, 0.1 * width))[below]
        shade = {1: 0.45, 2: 0.72, 3: 0.36, 4: 0.5, 5: 0.42, 6: 0.34}[kind]
        dark[below] = shade + 0.22 * clouds[below] - (3.5 * depth if kind < 3 else -1.5 * depth)
        lines.append(np.stack([np.arange(width), ridge * width], axis=-1))
    for cx, foot, half, tall in CYPRESSES:
        up = np.clip((foot * stretch - y) / (tall * stretch), 0, 1)
        wide = half * np.sqrt(up) * (1 - up) ** 0.8 * 2.2 + 0.006 * noise(rng, height, width, 0.025 * width)
        inside = (np.abs(x - cx - 0.012 * np.sin(9 * up)) < wide) & (up > 0.0) & (up < 1)
        part[inside] = 7
        angle[inside] = (-np.pi / 2 + 0.6 * noise(rng, height, width, 0.035 * width) - 5 * (x - cx))[inside]
        dark[inside] = np.clip(0.8 + 4 * (x - cx) + 0.2 * clouds, 0.4, 1)[inside]
    return part, np.clip(dark, 0, 1), angle, lines


def stroke(canvas: Floats, line: Floats, half: float, rng: np.random.Generator) -> None:
    """Draw one ink line (n, 2) in place: thick at high pressure, pointed at its end, dry in places."""
    box, along, across = around(line, 1.5 * half + 1, canvas.shape[:2])
    if not along.size:
        return
    press = np.interp(along, np.linspace(0, 1, 5), [0.75, *rng.uniform(0.75, 1.25, 3), 0.25])
    ends = np.clip((np.minimum(along, 1 - along) * len(line) + 1.5) / 2, 0, 1)
    cover = np.clip(half * press - np.abs(across) + 0.5, 0, 1) * ends * rng.uniform(0.82, 1.0)
    canvas[box] *= 1 - cover[..., None] * (1 - np.array(INK) / np.array(PAPER))


def wash(canvas: Floats, where: Floats, color: Floats, strength: float, rng: np.random.Generator) -> None:
    """Paint a wash in place, where `where` (height, width) is above 0. It is uneven, and darker along its edge."""
    height, width = where.shape
    scale = width / WIDTH
    wet = where + 0.15 * noise(rng, height, width, 26 * scale) + 0.05 * noise(rng, height, width, 6 * scale)
    area = np.clip(wet * 9, 0, 1)
    edge = np.exp(-ndimage.distance_transform_edt(wet > 0) / (3.0 * scale + 0.5)) * (wet > 0)
    load = (
        strength
        * area
        * (0.75 + 0.16 * turbulence(rng, height, width, 60 * scale) + 0.06 * noise(rng, height, width, 1.2))
        + 0.22 * edge
    )
    canvas *= 1 - np.clip(load, 0, 0.9)[..., None] * (1 - color)


def hatch(canvas: Floats, part: Floats, dark: Floats, angle: Floats, kind: int, rng: np.random.Generator) -> None:
    """Draw the marks of one part of the scene in place."""
    height, width = part.shape
    scale = width / WIDTH
    marks = MARKS[kind]
    turned = angle + marks.turn
    flow = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    starts = scatter(rng, height, width, max(marks.spacing * scale, 3.0))
    tones = sample(dark, starts)
    starts = starts[(sample(part, starts) == kind) & (tones + rng.normal(0, 0.12, len(starts)) > 0.22)]
    near = 0.75 + 0.5 * starts[:, 1] / height
    count = np.maximum((marks.length * scale * near * rng.uniform(0.6, 1.35, len(starts)) / 2).astype(int), 2)
    lines = trace(flow, starts, 2.0, int(count.max(initial=2)))
    halves = (
        np.maximum(marks.half * scale * near, 0.55)
        * (0.55 + 0.85 * sample(dark, starts))
        * rng.uniform(0.8, 1.2, len(starts))
    )
    for i, steps in enumerate(count):
        line = lines[:steps, i]
        stroke(canvas, line, halves[i], rng)
        if rng.random() < marks.again * sample(dark, starts[i]):
            middle = line.mean(0)
            stroke(canvas, middle + (line - middle) @ np.array([[0.2, 0.98], [-0.98, 0.2]]), 0.8 * halves[i], rng)


def paint(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the finished drawing, shape (height, width, 3)."""
    scale = width / WIDTH
    part, dark, angle, lines = scene(rng, height, width)
    grain = 0.012 * noise(rng, height, width, 1.2) + 0.012 * turbulence(rng, height, width, 90 * scale)
    canvas = np.array(PAPER) * (1 + grain[..., None])
    x, y = places(height, width)
    r = np.hypot(x - SUN[0], y - SUN[1] * 1.5 * height / width) / SUN[2]
    wash(canvas, 3 * (1 - r), np.array([0.86, 0.36, 0.16]), 0.85, rng)
    for kind, color, strength in WASHES:
        cover = ndimage.gaussian_filter((part == kind).astype(float), 5 * scale) - 0.55
        wash(canvas, cover, np.array(color), strength, rng)
    for kind in range(len(MARKS)):
        hatch(canvas, part, dark, angle, kind, rng)
    for line in lines:
        for begin in range(0, width, max(int(70 * scale), 8)):
            piece = line[begin : begin + int(80 * scale) + 4 : 3]
            if len(piece) > 3 and rng.random() < 0.93 and sample(part, piece).max() < 7:
                stroke(
                    canvas, piece + rng.normal(0, 0.8 * scale, 2), max(2.2 * scale, 0.7) * rng.uniform(0.6, 1.2), rng
                )
    return canvas
