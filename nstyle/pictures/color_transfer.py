"""Color transfer: give a picture the colors of another, mainly to preserve the content's colors in a painting.

After Gatys et al., "Preserving Color in Neural Artistic Style Transfer" (2016).

`rgb` is a picture for display (H x W x 3, float32, sRGB, range 0..1); `colors` is a list of colors (N x 3, float64).
`alpha` (H x W, range 0..1) and `weights` (N) say how much each color counts, so that what transparency hides does
not; None: all count alike.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nstyle.pictures.strips import in_strips, strips

Rgb = NDArray[np.float32]
Alpha = NDArray[np.float32]
Colors = NDArray[np.float64]
Weights = NDArray[np.float64]

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the luminance Y of YIQ (ITU-R BT.601), which the paper's luminance-only transfer uses."""

LIKE_GREY = 1.5 / 255
"""Smallest channel difference that is not grey: rounding to 8 bits makes one level of difference, and no more."""

_NOISE = 0.003
"""Standard deviation below which variation counts as noise or rounding: less than an 8-bit level."""

_CORRECTIONS = 50
"""Most steps of `match_covariance`."""

_CLOSE = 1e-3
"""Relative error of mean and covariance at which `match_covariance` stops."""

_ROTATIONS = 20
"""Sets of axes in `match_histogram`."""

_QUANTILES = np.linspace(0, 1, 513)
"""Quantiles at which `match_histogram` compares two distributions; it interpolates between them."""


def luminance(rgb: Rgb) -> Rgb:
    """Return the luminance Y, H x W, range 0..1; for a grey pixel, exactly its level."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    y: Rgb = green + np.float32(LUMA[0]) * (red - green) + np.float32(LUMA[2]) * (blue - green)
    return y


def grey(levels: Rgb) -> Rgb:
    """Return a grey picture, H x W x 3, from levels, H x W, clipped to 0..1."""
    return np.repeat(np.clip(levels, 0, 1)[..., None], 3, axis=-1).astype(np.float32, copy=False)


def is_grey(rgb: Rgb) -> bool:
    """Tell whether R, G and B are equal in each pixel, except for the rounding of a color profile."""
    return all((np.abs(rgb[rows] - rgb[rows][..., [1, 2, 0]]) < LIKE_GREY).all() for rows in strips(rgb.shape))


def match_luminance(
    style: Rgb, content: Rgb, weights: Weights | None = None, content_weights: Weights | None = None
) -> Rgb:
    """Return the style in grey, with the mean and standard deviation of the content's luminance.

    L' = sd_C / sd_S (L - mean_S) + mean_C: the paper's linear match before luminance-only transfer.
    """
    own, wanted = (luminance(rgb).astype(np.float64) for rgb in (style, content))
    mean, deviation = _mean_and_deviation(own, weights)
    wanted_mean, wanted_deviation = _mean_and_deviation(wanted, content_weights)
    matched = wanted_deviation / max(deviation, _NOISE) * (own - mean) + wanted_mean
    return grey(matched.astype(np.float32))


def with_luminance_of(content: Rgb, painting: Rgb) -> Rgb:
    """Return the content's colors with the painting's luminance.

    Adding the same number to R, G and B of a pixel changes Y by that number, and leaves I and Q alone. The number is
    limited so that R, G and B stay in 0..1. So the chroma is exactly the content's, and the luminance is as close to
    the painting's as that allows.
    """
    change = luminance(painting) - luminance(content)
    change = np.clip(change, -content.min(axis=-1), 1 - content.max(axis=-1))
    lit: Rgb = np.clip(content + change[..., None], 0, 1)
    return lit


def match_covariance(
    colors: Colors, wanted: Colors, weights: Weights | None = None, wanted_weights: Weights | None = None
) -> Colors:
    """Transform colors linearly to the mean and covariance of the wanted colors.

    c' = A (c - mean) + wanted mean, A = S_wanted^(1/2) S^(-1/2) with symmetric square roots: the paper's "image
    analogies" variant. The paper prefers it to Cholesky factors, which favor some channels.

    Clipping to 0..1 changes mean and covariance, so the step is repeated, at most 50 times, until both are within
    0.1%. If the colors hardly vary in a direction, such as the hue of a grey picture, that variation is noise. It
    is not amplified to the wanted variance.
    """
    mean, covariance = _moments(wanted, wanted_weights)
    del wanted  # of a large picture it takes a lot of memory
    root = _root(covariance)
    for repeated in range(_CORRECTIONS):
        own_mean, own_covariance = _moments(colors, weights)
        off = np.linalg.norm(own_mean - mean), np.linalg.norm(own_covariance - covariance)
        if off[0] <= _CLOSE * np.linalg.norm(mean) and off[1] <= _CLOSE * np.linalg.norm(covariance):
            break
        variances, axes = np.linalg.eigh(own_covariance)
        if repeated:  # a variance that is still far too small is noise: leave it
            along = ((axes.T @ covariance) * axes.T).sum(axis=1)
            variances = np.where(variances < along / 10, along, variances)
        inverse_root = (axes / np.sqrt(np.maximum(variances, _NOISE**2))) @ axes.T
        step = partial(_transformed, before=own_mean, matrix=root @ inverse_root, after=mean)
        colors = in_strips(step, colors, out=colors if repeated else np.empty(colors.shape))
    return colors


def _transformed(colors: Colors, before: Colors, matrix: Colors, after: Colors) -> Colors:
    """Transform colors linearly, so that the color `before` becomes `after`; clipped to 0..1."""
    return np.clip((colors - before) @ matrix.T + after, 0, 1)


def match_histogram(
    colors: Colors, wanted: Colors, weights: Weights | None = None, wanted_weights: Weights | None = None
) -> Colors:
    """Transform colors to the joint distribution of the wanted colors in all three channels.

    Iterative distribution transfer (Pitie, Kokaram, Dahyot, ICCV 2005): along each of three orthogonal axes, map the
    coordinates monotonically to the wanted distribution; then rotate the axes. This is repeated 20 times, with fixed
    rotations. A last linear step corrects mean and covariance.
    """
    generator = np.random.default_rng(0)
    for turn in range(_ROTATIONS):
        axes = np.eye(3) if turn == 0 else np.linalg.qr(generator.normal(size=(3, 3)))[0]
        goal = wanted @ axes
        goals = [_quantiles(goal[:, axis], wanted_weights) for axis in range(3)]
        del goal  # of a large picture it takes a lot of memory
        colors = colors @ axes
        for axis, quantiles in enumerate(goals):
            own = colors[:, axis]
            colors[:, axis] = np.interp(own, _quantiles(own, weights), quantiles)
        colors = colors @ axes.T
    return match_covariance(np.clip(colors, 0, 1, out=colors), wanted, weights, wanted_weights)


def _mean_and_deviation(levels: Colors, weights: Weights | None) -> tuple[float, float]:
    """Return mean and standard deviation of an array; the weights are a list of as many numbers."""
    if weights is None:
        return float(levels.mean()), float(levels.std())
    mean = np.average(levels.ravel(), weights=weights)
    return float(mean), float(np.sqrt(np.average((levels.ravel() - mean) ** 2, weights=weights)))


def _moments(colors: Colors, weights: Weights | None) -> tuple[Colors, Colors]:
    """Return mean (3) and covariance (3 x 3)."""
    if weights is None:
        mean = colors.mean(axis=0)
        centred = colors - mean
        return mean, centred.T @ centred / len(colors)
    mean = np.average(colors, axis=0, weights=weights)
    centred = colors - mean
    return mean, centred.T @ (weights[:, None] * centred) / weights.sum()


def _quantiles(levels: Colors, weights: Weights | None) -> Colors:
    """Return `_QUANTILES` of a list of numbers. With equal weights, they are those of `np.quantile`."""
    if weights is None:
        quantiles: Colors = np.quantile(levels, _QUANTILES)
        return quantiles
    order = np.argsort(levels[weights > 0], kind="stable")
    levels, weights = levels[weights > 0][order], weights[weights > 0][order]
    middles = np.cumsum(weights) - weights / 2
    places = (middles - middles[0]) / max(middles[-1] - middles[0], np.finfo(float).tiny)
    return np.interp(_QUANTILES, places, levels)


def _root(covariance: Colors) -> Colors:
    """Return the symmetric square root of a symmetric, positive semi-definite matrix."""
    variances, axes = np.linalg.eigh(covariance)
    root: Colors = (axes * np.sqrt(np.maximum(variances, 0))) @ axes.T
    return root


MATCHES: dict[str, Callable[[Colors, Colors, Weights | None, Weights | None], Colors]] = {
    "histogram": match_histogram,
    "covariance": match_covariance,
}
"""Functions that match the distribution of colors to that of other colors, by the name of the setting."""


def recolor_style(
    how: str,
    style: Rgb,
    content: Rgb,
    where: NDArray[np.bool_],
    style_alpha: Alpha | None = None,
    alpha: Alpha | None = None,
) -> Rgb:
    """Return a style picture recolored for painting, so that the content's colors are preserved.

    Args:
        how: "none", "luma", "histogram" or "covariance".
        style: the style picture, of any size.
        content: the picture whose colors are wanted.
        where: the pixels of the content that count, H x W.
        style_alpha: the style's alpha.
        alpha: the content's alpha.

    """
    weights, content_weights = _weights(style_alpha), _weights(alpha, where)
    if how == "luma":
        return match_luminance(style, content[where][None], weights, content_weights)
    if how in MATCHES:
        return _matched(how, style, _colors(content[where]), weights, content_weights)
    return style


def recolor_painting(
    how: str, painting: Rgb, content: Rgb, where: NDArray[np.bool_], alpha: Alpha | None = None
) -> Rgb:
    """Return a painting with the content's colors; see `recolor_style`.

    "histogram" and "covariance" change only the pixels in `where`; "none" changes nothing. Both pictures have the
    content's alpha. The result takes the place of `painting`.
    """
    if how == "luma":
        return in_strips(with_luminance_of, content, painting, out=painting)
    if how in MATCHES:
        weights = _weights(alpha, where)
        painting[where] = MATCHES[how](_colors(painting[where]), _colors(content[where]), weights, weights)
    return painting


def recolored(rgb: Rgb, like: Rgb, alpha: Alpha | None = None, like_alpha: Alpha | None = None) -> Rgb:
    """Return a picture with the color mean and covariance of another one; each may have any size, and alpha."""
    return _matched("covariance", rgb, _colors(like), _weights(alpha), _weights(like_alpha))


def _matched(how: str, rgb: Rgb, wanted: Colors, weights: Weights | None, wanted_weights: Weights | None) -> Rgb:
    matched: Rgb = MATCHES[how](_colors(rgb), wanted, weights, wanted_weights).reshape(rgb.shape).astype(np.float32)
    return matched


def _weights(alpha: Alpha | None, where: NDArray[np.bool_] | None = None) -> Weights | None:
    """Return how much the pixels in `where` count (None: all); None if they count alike, or if all are hidden."""
    if alpha is None:
        return None
    weights = (alpha if where is None else alpha[where]).ravel().astype(np.float64)
    return None if weights.min() == weights.max() else weights


def _colors(rgb: Rgb) -> Colors:
    return rgb.reshape(-1, 3).astype(np.float64)
