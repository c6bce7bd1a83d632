"""A glass mosaic of suns and waves. Its tesserae, in dark grout, follow the outlines.

The tesserae are the cells of a centroidal Voronoi diagram with the metric of a square rotated along the flow (A.
Hausner, "Simulating Decorative Mosaics", SIGGRAPH 2001). The flow, and so the rows, follow the level lines of the
picture's bands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from styles.brushwork import WIDTH, Floats, Palette, noise, places, ramp, sample, scatter, turbulence

# Suns: x, y and radius as fractions of the width.
SUNS = ((0.68, 0.24, 0.20), (0.20, 0.16, 0.10), (0.33, 0.47, 0.13), (0.90, 0.53, 0.10), (0.05, 0.44, 0.07))
TILE = 12.5  # pixels from one tessera to the next at the default width
ROUNDS = 10  # of moving the tesserae to the centers of their cells
GOLD: Palette = ((92, 44, 16), (168, 62, 22), (214, 116, 28), (232, 172, 50), (246, 214, 112), (252, 240, 196))
BLUE: Palette = ((8, 18, 58), (16, 46, 120), (26, 88, 168), (34, 138, 172), (96, 190, 184), (208, 232, 214))
GREEN: Palette = ((8, 44, 44), (14, 84, 74), (36, 128, 88), (112, 166, 84), (196, 206, 124), (238, 236, 190))
ROSE: Palette = ((70, 14, 40), (138, 26, 50), (190, 58, 62), (222, 118, 92), (244, 190, 140), (252, 238, 206))
DISKS = (GOLD, ROSE, GOLD, ROSE, GREEN)  # the glass of every sun
RINGS = (3.5, 2.0, 2.5, 2.0, 1.5)  # light rings in every sun
GROUT = (0.12, 0.10, 0.10)


def bands(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return a height whose level lines the rows follow, each pixel's nearest sun, and the relative distance to it.

    The distance is 0 in the center of the sun and 1 at its rim. The number of the sun is also given outside of it.
    """
    x, y = places(height, width)
    field = 0.55 * y + 0.055 * noise(rng, height, width, 0.16 * width)
    ways = np.stack([np.hypot(x - sun_x, y - sun_y) / size for sun_x, sun_y, size in SUNS])
    for r, (_, _, size) in zip(ways, SUNS, strict=True):
        share = 1 / (1 + np.exp(np.clip(40 * size * (r - 1 - 0.03 / size) / 0.1, -50, 50)))
        field = field * (1 - share) + share * r * size
    return field, ways.argmin(0), ways.min(0)


def tesserae(
    height: int, width: int, angle: Floats, sites: Floats, spacing: float
) -> tuple[NDArray[np.intp], Floats]:
    """Return each pixel's nearest site (height, width), and how much farther the second nearest is, in pixels."""
    best, second = np.full((height, width), 1e9), np.full((height, width), 1e9)
    owner = np.zeros((height, width), np.intp)
    reach = int(1.9 * spacing) + 1
    turns = sample(angle, sites)
    for i, (x, y) in enumerate(sites):
        x0, y0 = max(int(x) - reach, 0), max(int(y) - reach, 0)
        box = slice(y0, max(int(y) + reach + 1, 0)), slice(x0, max(int(x) + reach + 1, 0))
        rows, columns = best[box].shape
        if not rows * columns:
            continue
        dx, dy = np.arange(x0, x0 + columns) - x, np.arange(y0, y0 + rows)[:, None] - y
        c, s = np.cos(turns[i]), np.sin(turns[i])
        distance = np.maximum(np.abs(dx * c + dy * s), np.abs(dy * c - dx * s))
        nearer = distance < best[box]
        second[box] = np.where(nearer, best[box], np.minimum(second[box], distance))
        best[box] = np.where(nearer, distance, best[box])
        owner[box][nearer] = i
    return owner, second - best


def settle(angle: Floats, sites: Floats, spacing: float) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Move every site to the center of its cell, several times, and return the sites, the cells and the gaps."""
    height, width = angle.shape
    for _ in range(ROUNDS):
        owner, _ = tesserae(height, width, angle, sites, spacing)
        number = np.arange(len(sites))
        size = np.bincount(owner.ravel(), minlength=len(sites))
        y, x = np.mgrid[0:height, 0:width]
        middle = [np.bincount(owner.ravel(), at.ravel(), len(sites)) / np.maximum(size, 1) for at in (x, y)]
        sites = np.where(size[number, None] > 0, np.stack(middle, axis=-1), sites)[size > 0]
    owner, gap = tesserae(height, width, angle, sites, spacing)
    return sites, owner, gap


def rows(rng: np.random.Generator, height: int, width: int, spacing: float) -> Floats:
    """Return the initial sites (n, 2): rings in each sun, two rings around it, scattered elsewhere."""
    sites = scatter(rng, height, width, spacing)
    for sun_x, sun_y, size in SUNS:
        middle, outer = np.array([sun_x, sun_y]) * width, size * width
        sites = sites[np.hypot(*(sites - middle).T) > outer + 2 * spacing]
        for r in np.arange(outer + 1.5 * spacing, 0, -spacing):
            turns = np.linspace(0, 2 * np.pi, max(round(2 * np.pi * r / spacing), 1), endpoint=False) + rng.uniform(
                0, 6
            )
            sites = np.concatenate([sites, middle + r * np.stack([np.cos(turns), np.sin(turns)], axis=-1)])
    return sites[((sites > -spacing) & (sites < np.array([width, height]) + spacing)).all(-1)]


def glass(
    rng: np.random.Generator, sites: Floats, field: Floats, sun: NDArray[np.intp], radius: Floats, waves: Floats
) -> Floats:
    """Return the color of every tessera (n, 3), from the fields at its site."""
    at, r, wave = (sample(values, sites) for values in (field, radius, waves))
    number = sample(sun.astype(float), sites).astype(int)
    jitter = rng.standard_normal((3, len(sites)))
    width = sun.shape[1]
    swell = 0.5 + 0.5 * np.sin(at * 62 + 1.5 * wave)
    blue = ramp(BLUE, np.clip(0.10 + 0.62 * swell**1.4 + 0.08 * wave + 0.09 * jitter[0], 0, 1))
    green = ramp(GREEN, np.clip(0.12 + 0.6 * swell + 0.09 * jitter[0], 0, 1))
    color = np.where((wave + 0.35 * jitter[1] > 0.55)[:, None], green, blue)
    for i, (palette, turns) in enumerate(zip(DISKS, RINGS, strict=True)):
        turn = np.arctan2(sites[:, 1] - SUNS[i][1] * width, sites[:, 0] - SUNS[i][0] * width)
        petals = np.clip(3 * r, 0, 1) * np.cos(round(60 * SUNS[i][2]) * turn)
        tone = 0.98 - 0.68 * r + 0.10 * np.cos(2 * np.pi * turns * r) + 0.13 * petals + 0.07 * jitter[0]
        color = np.where(((number == i) & (r < 1))[:, None], ramp(palette, np.clip(tone, 0, 1)), color)
    beyond = (r - 1) * np.array([size for _, _, size in SUNS])[number] * width / max(TILE * width / WIDTH, 4.0)
    color[beyond > 0] = np.where((beyond < 1)[:, None], ramp(BLUE, 0.05 + 0.02 * jitter[0]), color)[beyond > 0]
    ring = (beyond > 1) & (beyond < 2)
    color[ring] = ramp(BLUE, np.clip(0.72 + 0.1 * jitter[1], 0, 1))[ring]
    spark = rng.random(len(sites)) < 0.025
    color[spark] = np.array([0.70, 0.16, 0.13]) + 0.06 * rng.standard_normal((spark.sum(), 3))
    return np.clip(color + 0.025 * rng.standard_normal(color.shape), 0.02, 1)


def paint(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return the finished mosaic, shape (height, width, 3)."""
    scale = width / WIDTH
    spacing = max(TILE * scale, 4.0)
    field, sun, radius = bands(rng, height, width)
    slope_y, slope_x = np.gradient(ndimage.gaussian_filter(field, spacing / 3))
    angle = np.arctan2(slope_y, slope_x)
    sites, owner, gap = settle(angle, rows(rng, height, width, spacing), spacing)
    waves = noise(rng, height, width, 0.2 * width)
    color = glass(rng, sites, field, sun, radius, waves)
    tilt = 0.10 * rng.standard_normal((len(sites), 2))
    y, x = np.mgrid[0:height, 0:width]
    off = (np.stack([x, y], axis=-1) - sites[owner]) / spacing
    shine = 1 + (tilt[owner] * off).sum(-1) * 2 - 0.16 * (off[..., 0] + off[..., 1])
    body = color[owner] * (shine + 0.05 * turbulence(rng, height, width, 5 * scale, 3))[..., None]
    cover = np.clip((gap - 1.7 * scale) / (1.6 * scale + 0.2) + 0.15 * noise(rng, height, width, 3 * scale), 0, 1)[
        ..., None
    ]
    rim = np.exp(-gap / (3 * scale))[..., None]
    grout = np.array(GROUT) * (1 + 0.25 * noise(rng, height, width, 1.5)[..., None])
    picture: Floats = cover * body * (1 - 0.35 * rim) + (1 - cover) * grout
    return picture
