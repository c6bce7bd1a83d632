"""Small films painted for tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nstyle import FilmResult, stylize_film

SMALL: dict[str, Any] = {"model": "filters", "max_long_edge": 48, "max_num_epochs": 3, "frame_epochs": 2}

FLAGS = ("--model", "filters", "--max-long-edge", "48", "--max-num-epochs", "3", "--frame-epochs", "2")
"""The same as flags."""


def negative(frames: list[Any]) -> list[Any]:
    """Another shot: the colors are inverted."""
    return [np.ascontiguousarray(255 - frame) for frame in frames]


def painted_film(film: Path | str, style: Path, output: Path, **options: Any) -> FilmResult:
    return stylize_film(film, style, output_dir=output, **SMALL | options)


def contents(paths: Iterable[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]
