"""Flat planes of color: a village below a mountain, in facets.

The scene is a map of regions with straight edges: sky, mountain, hill, walls, roofs, trees and ground. Lines
repeatedly cut the picture into facets. Each cut has a shadow on one side and light on the other, which fade with
distance: the "passage" of the cubists. Short parallel strokes fill the facets.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from styles.brushwork import WIDTH, Floats, Palette, lay_stroke, lit, noise, places, sample, scatter

Labels = NDArray[np.intp]
Corners = tuple[tuple[float, float], ...]

SKY, MOUNTAIN, HILL, GROUND, WALL, SHADE, ROOF, TREE = range(8)
PALETTES: tuple[Palette, ...] = (
    ((150, 184, 204), (186, 204, 206), (112, 156, 192), (214, 208, 190), (168, 172, 198)),
    ((98, 118, 164), (134, 140, 178), (176, 158, 176), (206, 176, 158), (74, 98, 148)),
    ((112, 142, 108), (146, 160, 104), (88, 122, 112), (186, 170, 98), (70, 104, 104)),
    ((196, 146, 72), (170, 112, 62), (208, 170, 98), (116, 128, 74), (150, 84, 54)),
    ((232, 204, 152), (222, 182, 118), (238, 220, 182), (214, 164, 108)),
    ((168, 120, 96), (136, 106, 112), (150, 96, 76), (116, 98, 118)),
    ((196, 88, 54), (172, 68, 48), (214, 116, 70), (150, 60, 50)),
    ((44, 78, 66), (62, 98, 70), (34, 60, 66), (92, 116, 66)),
)
# Corners of the regions as fractions of the width. They are painted in this order, each down to the bottom.
SHAPES: tuple[tuple[int, Corners], ...] = (
    (MOUNTAIN, ((-0.1, 0.36), (0.12, 0.25), (0.24, 0.27), (0.44, 0.1), (0.52, 0.135), (0.66, 0.2), (1.1, 0.33))),
    (HILL, ((-0.1, 0.33), (0.16, 0.31), (0.4, 0.37), (0.7, 0.29), (1.1, 0.36))),
    (GROUND, ((-0.1, 0.49), (0.3, 0.5), (0.62, 0.46), (1.1, 0.5))),
)
# Houses: left, right, edge between the lit and the shaded wall, ground, eaves, ridge.
HOUSES = (
    (0.30, 0.46, 0.40, 0.50, 0.37, 0.30),
    (0.44, 0.57, 0.49, 0.51, 0.33, 0.265),
    (0.60, 0.76, 0.71, 0.49, 0.385, 0.325),
    (0.16, 0.29, 0.245, 0.525, 0.42, 0.365),
    (0.50, 0.66, 0.60, 0.555, 0.45, 0.385),
    (0.75, 0.85, 0.79, 0.52, 0.41, 0.36),
    (0.34, 0.47, 0.43, 0.575, 0.475, 0.425),
)
TREES = ((0.09, 0.53, 0.055, 0.30), (0.90, 0.56, 0.075, 0.34), (0.255, 0.42, 0.03, 0.11), (0.585, 0.47, 0.024, 0.14))


def inside(corners: Corners, x: Floats, y: Floats) -> NDArray[np.bool_]:
    """Return whether each place x, y is inside a polygon (even-odd rule)."""
    result = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            result ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return result


def shapes() -> Iterator[tuple[int, Corners]]:
    """Yield the regions and their polygons, farthest first."""
    for kind, crest in SHAPES:
        yield kind, (*crest, (1.1, 0.7), (-0.1, 0.7))
    for left, right, edge, ground, eaves, ridge in HOUSES:
        peak = (left + edge) / 2
        yield WALL, ((left, ground), (left, eaves), (peak, ridge), (edge, eaves), (edge, ground))
        yield SHADE, ((edge, ground), (edge, eaves), (right, eaves), (right, ground - 0.008))
        yield (
            ROOF,
            ((peak, ridge), (right - (edge - peak) * 0.8, ridge), (right + 0.006, eaves + 0.004), (edge, eaves)),
        )
    for x, foot, half, tall in TREES:
        crown, bulge = foot - tall, foot - 0.5 * tall
        yield TREE, ((x - half, foot), (x - 0.8 * half, bulge), (x, crown), (x + half, bulge), (x + 0.7 * half, foot))


def facets(rng: np.random.Generator, height: int, width: int) -> tuple[Labels, Floats, Floats]:
    """Cut the picture into facets and return each pixel's facet number, light of the passages, and direction.

    All have the shape (height, width). The light is about -1 to 1; the direction is the angle of the last cut.
    """
    x, y = (place.ravel() for place in places(height, width))
    labels, light, angle = np.zeros(x.size, np.intp), np.zeros(x.size), np.zeros(x.size)
    queue = [(np.arange(x.size), 0)]
    count = 1
    while queue:
        part, depth = queue.pop(0)
        if depth > 9 or part.size < max(rng.uniform(0.0012, 0.016) * x.size, 3):
            continue
        spread = np.linalg.eigh(np.cov(x[part], y[part]))[1][:, 1]
        turn = np.arctan2(spread[1], spread[0]) + rng.normal(0, 0.42)
        here = part[rng.integers(part.size)]
        middle = 0.6 * np.array([x[part].mean(), y[part].mean()]) + 0.4 * np.array([x[here], y[here]])
        distance = (x[part] - middle[0]) * np.cos(turn) + (y[part] - middle[1]) * np.sin(turn)
        reach = 0.5 * np.sqrt(part.size / x.size) * rng.uniform(0.3, 0.9) + 0.02
        sign = rng.choice([-1.0, 1.0])
        light[part] += 0.55 * 0.9**depth * sign * np.sign(distance) * np.exp(-np.abs(distance) / reach)
        angle[part] = turn + np.pi / 2
        far = distance > 0
        labels[part[far]] = count
        count += 1
        queue += [(part[far], depth + 1), (part[~far], depth + 1)]
    return labels.reshape(height, width), light.reshape(height, width), angle.reshape(height, width)


def weave(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the grain of a canvas (height, width): uneven threads in both directions, standard deviation about 1."""
    threads = [ndimage.gaussian_filter(rng.standard_normal((height, width)), sigma) for sigma in ((0.7, 5), (5, 0.7))]
    grain: Floats = np.sum([thread / thread.std() for thread in threads], axis=0) / np.sqrt(2)
    return grain


def underpaint(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, Floats, Floats]:
    """Return the colors (height, width, 3), and each pixel's stroke angle and facet number (height, width)."""
    x, y = places(height, width)
    y = y * width / height / 1.5
    region = np.full((height, width), SKY)
    for kind, corners in shapes():
        region[inside(corners, x, y)] = kind
    labels, light, angle = facets(rng, height, width)
    _, number = np.unique(labels * len(PALETTES) + region, return_inverse=True)
    number = number.reshape(height, width)
    colors = np.zeros((number.max() + 1, 3))
    kinds = np.zeros(number.max() + 1, np.intp)
    kinds[number.ravel()] = region.ravel()
    for facet, kind in enumerate(kinds):
        palette = np.array(PALETTES[kind]) / 255
        colors[facet] = palette[rng.integers(len(palette))] + rng.normal(0, 0.015, 3)
    warm = np.array([1.0, 0.86, 0.62]) * np.clip(light, 0, None)[..., None]
    cool = np.array([1.0, 0.92, 0.66]) * np.clip(-light, 0, None)[..., None]
    canvas = colors[number]
    canvas = canvas + 0.36 * warm * (1 - canvas) - 0.46 * cool * canvas
    return canvas, angle, number.astype(np.float64)


def outlines(rng: np.random.Generator, number: Floats) -> Floats:
    """Return the darkness (0 to 1) of the lines between facets, given each pixel's facet number. Lines have gaps."""
    height, width = number.shape
    scale = width / WIDTH
    edge = np.zeros((height, width), bool)
    edge[:, 1:] |= number[:, 1:] != number[:, :-1]
    edge[1:] |= number[1:] != number[:-1]
    away = ndimage.distance_transform_edt(~edge) if edge.any() else np.full((height, width), 9.0)
    line = np.exp(-((away / (1.3 * scale + 0.4)) ** 2))
    strength: Floats = line * np.clip(0.5 + 0.5 * noise(rng, height, width, 40 * scale), 0, 1)
    return strength


def paint(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the finished painting, shape (height, width, 3)."""
    scale = width / WIDTH
    canvas, angle, number = underpaint(rng, height, width)
    relief = np.zeros((height, width))
    flat = canvas.copy()
    for half, length, coverage in ((8.0, 46.0, 1.5), (4.5, 30.0, 0.8)):
        half, length = max(half * scale, 1.2), max(length * scale, 5.0)
        for start in scatter(rng, height, width, float(np.sqrt(2 * half * length / coverage))):
            turn = sample(angle, start) + rng.normal(0, 0.12)
            course = np.linspace(-length / 2, length / 2, 8)[:, None] * rng.uniform(0.6, 1.2)
            line = start + course * np.array([np.cos(turn), np.sin(turn)])
            line = line[sample(number, line) == sample(number, start)]  # keep the stroke inside its facet
            if len(line) < 2:
                continue
            color = sample(flat, start) + rng.normal(0, 0.022) + rng.normal(0, 0.012, 3)
            lay_stroke(canvas, relief, line, half, np.stack([color - 0.012, color + 0.012]), rng)
    canvas = 0.6 * canvas + 0.4 * flat
    line = 0.75 * outlines(rng, number)[..., None]
    canvas = canvas * (1 - line) + line * np.array([0.13, 0.14, 0.22])
    canvas = canvas * (1 + 0.035 * weave(rng, height, width)[..., None])
    return lit(canvas, 0.2 * relief)
