"""Presets: named sets of values for what the user leaves open."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "reference": {
        "init": "noise",
        "grey": "free",
        "style_layers": None,
        "max_num_epochs": 1000,
        "stop_eps": 0.005,
        "optimizer": "nag",
        "precision": "float32",
        "convolution": "direct",
    },
    "fast": {
        "init": "recolored",
        "grey": "keep",
        "style_layers": "relu1_1,relu2_1,relu3_1,relu4_1",
        "max_num_epochs": 60,
        "stop_eps": 0,
        "optimizer": "lbfgs",
        "precision": "auto",
        "convolution": "winograd",
    },
}
"""What each preset sets unless the user names another value; the reference's values are MXNet's."""
