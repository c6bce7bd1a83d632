"""The settings whose values are paths, or may be."""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from nstyle.networks.weights_files import EMBEDDED, TORCHVISION
from nstyle.settings.groups import STARTS, WHOLE_STYLE
from nstyle.settings.painters import painter_names

_PATHS = ("content_image", "style_image", "mask", "output_dir")
_PATHS_OR_WORDS = {"init": STARTS, "weights": (EMBEDDED, TORCHVISION)}


def with_paths(settings: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """Return the settings with each path changed.

    Args:
        settings: the settings as JSON values. Values of another type stay as they are.
        change: function from a path's name, such as "mask" or "style_mask[0][1]", and the path to the new path.

    """

    def changed(name: str, value: Any, words: tuple[str, ...] = ()) -> Any:
        return change(name, value) if isinstance(value, str) and value not in words else value

    new = dict(settings)
    for name in _PATHS:
        if name in new:
            new[name] = changed(name, new[name])
    for name, words in {**_PATHS_OR_WORDS, "painter": painter_names()}.items():
        if name in new:
            new[name] = changed(name, new[name], words)
    pairs: Any
    if _are_pairs(pairs := new.get("blend_style")):
        new["blend_style"] = [[changed(f"blend_style[{i}]", path), weight] for i, (path, weight) in enumerate(pairs)]
    if _are_pairs(pairs := new.get("style_mask")):
        new["style_mask"] = [
            [changed(f"style_mask[{i}][0]", region), changed(f"style_mask[{i}][1]", part, (WHOLE_STYLE,))]
            for i, (region, part) in enumerate(pairs)
        ]
    return new


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)


def named_paths(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths in the settings by their names."""
    found: dict[str, str] = {}
    with_paths(settings, lambda name, path: found.setdefault(name, path))
    return found


def with_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with file names instead of paths, which would tell strangers of users and folders."""
    return with_paths(settings, lambda _, path: name_of(path))


def name_of(path: str) -> str:
    r"""Return the last part of a path of this system, or of one such as C:\pictures\cat.jpg."""
    is_windows = re.match(r"[A-Za-z]:\\|\\\\", path)
    return PureWindowsPath(path).name if is_windows else PurePosixPath(path).name
