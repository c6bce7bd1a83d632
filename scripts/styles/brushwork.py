"""Functions that all manners share: noise, flow, colors, strokes and light on the paint.

Fields are arrays of shape (height, width) or (height, width, 2 or 3). Points are (x, y) in pixels. Colors are sRGB,
0 to 1, unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
Palette = Sequence[tuple[int, int, int]]

WIDTH, HEIGHT = 900, 600  # pixels of the default picture; sizes of brushes and grains are for this size


def places(height: int, width: int) -> tuple[Floats, Floats]:
    """Return x and y of every pixel as fractions of the width, both (height, width)."""
    y, x = np.mgrid[0:height, 0:width] / width
    return x, y


def sample(field: Floats, points: Floats) -> Floats:
    """Look up a field (height, width, ...) at the pixels nearest to points (..., 2), given as (x, y)."""
    x = np.clip(np.rint(points[..., 0]), 0, field.shape[1] - 1).astype(np.intp)
    y = np.clip(np.rint(points[..., 1]), 0, field.shape[0] - 1).astype(np.intp)
    values: Floats = field[y, x]
    return values


def trace(flow: Floats, start: Floats, step: float, count: int) -> Floats:
    """Follow the flow from start (..., 2), upstream if step < 0.

    Returns count points, shape (count, ..., 2), beginning with start.
    """
    points = [start]
    for _ in range(count - 1):
        points.append(points[-1] + step * sample(flow, points[-1]))
    return np.stack(points)


def blur(field: Floats, sigma: float) -> Floats:
    """Smooth a field (height, width) with a Gaussian whose standard deviation is sigma pixels."""
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
    """Return noise smeared over `reach` pixels in both directions of the flow (line integral convolution).

    The noise has grains of about `grain` pixels. The result, (height, width), is uniformly distributed over 0 to 1.
    """
    height, width = flow.shape[:2]
    speckle = blur(rng.standard_normal((height, width)), grain)
    total = np.zeros_like(speckle)
    count = 32
    for step in (reach / count, -reach / count):
        points = np.stack(places(height, width), axis=-1) * width
        for _ in range(count):
            total += sample(speckle, points)
            points += step * sample(flow, points)
    return ranks(total)


def ramp(palette: Palette, at: Floats) -> Floats:
    """Interpolate a palette at positions `at` (...), from its first color (0) to its last (1).

    The palette has values 0 to 255; the result (..., 3) is sRGB, 0 to 1.
    """
    knots, channels = np.linspace(0, 1, len(palette)), np.transpose(palette) / 255
    return np.stack([np.interp(at, knots, channel) for channel in channels], axis=-1)


def ranks(field: Floats) -> Floats:
    """Replace the values of a field by their ranks, scaled to 0 to 1."""
    order: Floats = np.argsort(np.argsort(field, axis=None, kind="stable")) / (field.size - 1)
    return order.reshape(field.shape)


def noise(rng: np.random.Generator, height: int, width: int, grain: float) -> Floats:
    """Return smooth noise (height, width) with mean 0, standard deviation 1 and grains of about `grain` pixels."""
    cell = max(grain / 3, 1.0)
    rows, columns = int(height / cell) + 8, int(width / cell) + 8
    coarse = ndimage.gaussian_filter(rng.standard_normal((rows, columns)), grain / cell, mode="wrap")
    at = np.mgrid[0:height, 0:width] / cell + 3.5
    values: Floats = ndimage.map_coordinates(coarse, at, order=3, mode="nearest")
    values -= values.mean()
    return values / max(float(values.std()), 1e-9)


def turbulence(rng: np.random.Generator, height: int, width: int, grain: float, octaves: int = 4) -> Floats:
    """Return the sum of several octaves of noise, each half as coarse and 0.6 times as strong as the previous one."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        total += 0.6**octave * noise(rng, height, width, max(grain / 2**octave, 0.8))
    return total


def along_and_across(line: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the position of pixels x, y (h, w) along a line (n, 2), and their distance from it.

    The position is 0 at the start of the line and 1 at its end. The distance is signed, in pixels.
    """
    near = np.argmin((x - line[:, :1, None]) ** 2 + (y - line[:, 1:, None]) ** 2, axis=0)
    tangent = np.gradient(line, axis=0)
    step = np.hypot(tangent[:, 0], tangent[:, 1]) + 1e-9
    tx, ty = tangent[near, 0] / step[near], tangent[near, 1] / step[near]
    dx, dy = x - line[near, 0], y - line[near, 1]
    return (near + (dx * tx + dy * ty) / step[near]) / (len(line) - 1), dy * tx - dx * ty


def around(line: Floats, half: float, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], Floats, Floats]:
    """Return the bounding box of pixels within `half` of a line (n, 2), and their `along_and_across`.

    The box is clipped to a picture of `shape` (height, width). It is empty if the line is outside the picture.
    """
    x0, y0 = np.maximum(np.floor(line.min(0) - half).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(line.max(0) + half).astype(int) + 1, (shape[1], shape[0]))
    if x0 >= x1 or y0 >= y1:
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0)), np.zeros((0, 0))
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float64)
    return (slice(y0, y1), slice(x0, x1)), *along_and_across(line, x, y)


def lay_stroke(
    canvas: Floats, relief: Floats, line: Floats, half: float, paint: Floats, rng: np.random.Generator
) -> None:
    """Paint one stroke in place on canvas (height, width, 3), 0 to 1, and relief (height, width), in pixels.

    line (n, 2) is its path, half its half width in pixels, and paint (2, 3) the sRGB colors of its two sides.
    """
    hairs = int(2 * half) + 3
    bristles, tails = rng.standard_normal(hairs), rng.uniform(0.0, 0.25, hairs)
    box, along, across = around(line, half, relief.shape)
    if not along.size:
        return
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

    canvas[box] += cover[..., None] * (color - canvas[box])
    relief[box] += cover * (body - 0.65 * relief[box])


def scatter(rng: np.random.Generator, height: int, width: int, spacing: float) -> Floats:
    """Return points (n, 2) as (x, y), about `spacing` pixels apart, in random order."""
    grid = np.mgrid[-spacing / 2 : height + spacing : spacing, -spacing / 2 : width + spacing : spacing]
    points = grid[::-1].reshape(2, -1).T
    return rng.permutation(points + spacing * rng.uniform(-0.5, 0.5, points.shape))


def lit(canvas: Floats, relief: Floats) -> Floats:
    """Shade canvas (height, width, 3), 0 to 1, by light from the upper left on its relief (height, width)."""
    slope_y, slope_x = np.gradient(blur(relief, 0.6))
    shade = np.tanh(0.92 * (slope_x + slope_y))[..., None]
    shaded: Floats = canvas * (1 + 0.5 * shade) + 0.13 * np.clip(shade, 0, 1) ** 2
    return np.clip(shaded, 0, 1)
