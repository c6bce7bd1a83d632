"""Presets: named sets of default values."""

import math
from typing import Any

STRENGTH_SPAN = 8
"""Ratio of the content weight at strength 0 to that at 50, and of that at 50 to that at 100. Chosen by eye."""

PURPOSES = {
    "reference": "MXNet's results, up to float32 rounding",
    "painterly": "the picture that most judges choose, with coherent strokes at any size",
    "fast": "close to painterly, in half the time at 512 pixels",
}
"""Purpose of each preset, for `--help`."""

PRESETS: dict[str, dict[str, Any]] = {
    "reference": {
        "style_fit": "stretch",
        "content_weight": 10.0,
        "style_weight": 1.0,
        "tv_weight": 0.01,
        "init": "noise",
        "details": 0.0,
        "grain": 0.0,
        "grey": "free",
        "style_loss": "gram",
        "style_layers": None,
        "balance": "absolute",
        "pooling": "avg",
        "padding": "zero",
        "scale_factor": 2.0,
        "supersampling": 1.0,
        "coarsest_edge": None,
        "max_num_epochs": 1000,
        "stop_eps": 0.005,
        "optimizer": "nag",
        "image_range": "free",
        "precision": "float32",
        "convolution": "direct",
    },
    "painterly": {
        "style_fit": "area",
        "content_weight": 1.0,
        "style_weight": 1.0,
        "tv_weight": 1.0,
        "init": "content",
        "details": 0.7,
        "grain": 7.0,
        "grey": "keep",
        "style_loss": "wasserstein",
        "style_layers": "relu1_1:2,relu2_1:1.4,relu3_1:1,relu4_1:0.7,relu5_1:0.5",
        "balance": "photo",
        "pooling": "mixed",
        "padding": "mirror",
        "scale_factor": 2**0.5,
        "supersampling": 2**0.5,
        "coarsest_edge": 64,
        "max_num_epochs": (30, 22, 16, 12, 10, 8, 6, 4),
        "stop_eps": 0,
        "optimizer": "lbfgs",
        "image_range": "clamped",
        "precision": "auto",
        "convolution": "winograd",
    },
    "fast": {
        "style_fit": "area",
        "content_weight": 0.15,
        "style_weight": 1.0,
        "tv_weight": 0.15,
        "init": "content",
        "details": 1.0,
        "grain": 0.0,
        "grey": "keep",
        "style_loss": "gram",
        "style_layers": None,
        "balance": "relative",
        "pooling": "mixed",
        "padding": "mirror",
        "scale_factor": 2.0,
        "supersampling": 1.0,
        "coarsest_edge": 128,
        "max_num_epochs": (40, 20, 10),
        "stop_eps": 0,
        "optimizer": "lbfgs",
        "image_range": "clamped",
        "precision": "auto",
        "convolution": "winograd",
    },
}
"""Values of each preset; the user's own values override them. The values of "reference" are MXNet's."""

UNREALNESS = {
    name: math.log10(values["style_weight"] / values["content_weight"])
    for name, values in PRESETS.items()
    if values["balance"] != "absolute"
}
"""The unrealness (see `unreal_weights`) that a preset's weights come to; absolute losses have none."""


def content_factor(strength: float) -> float:
    """Return the factor on the content weight for a strength (0 to 100): `STRENGTH_SPAN ** (1 - strength / 50)`.

    It is exactly 1 at 50.
    """
    return float(STRENGTH_SPAN ** (1 - strength / 50))


def unreal_weights(unrealness: float, given: tuple[float | None, float | None], preset: str) -> tuple[float, float]:
    """Return the content weight and the style weight for an unrealness u: style weight = 10^u content weight.

    This is u of Joshi, Stewart and Shapiro, "Bringing Impressionism to Life with Neural Style Transfer in Come Swim"
    (2017).

    Args:
        unrealness: u.
        given: the content weight and the style weight that the user gives, at most one of them; None: open. If both
            are open, their sum is the preset's: so the weights of other terms and the learning rate mean the same
            for every u.
        preset: the name of the preset.

    """
    ratio: float = 10.0**unrealness
    content, style = given
    if style is not None:
        return style / ratio, style
    if content is None:
        content = (PRESETS[preset]["content_weight"] + PRESETS[preset]["style_weight"]) / (1 + ratio)
    return content, content * ratio
