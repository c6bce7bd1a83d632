"""The painters that `--painter` names: files of trained networks. Imports no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OptionError, WeightsError
from nstyle.networks.weights_files import MODELS

PAINTERS = Path(__file__).parent.parent / "painters"
"""The folder of the painters that come with nstyle."""

ENDING = ".safetensors"
"""Ending of a painter's file."""


def painter_names() -> tuple[str, ...]:
    """Return the names of the painters that come with nstyle, in alphabetical order."""
    return tuple(sorted(path.stem for path in PAINTERS.glob(f"*{ENDING}")))


def find_painter(name: str) -> Path:
    """Return the file of a painter: one that comes with nstyle, this path, or this name in models/.

    Raises:
        WeightsError: there is no such file, or it cannot be accessed.

    """
    if name in painter_names():
        return PAINTERS / f"{name}{ENDING}"
    try:
        for path in (Path(name), MODELS / name, MODELS / f"{name}{ENDING}"):
            if path.is_file():
                return path
        if Path(name).is_dir():
            raise _error(name, f"{name} is a folder: give --painter a file", Kind.UNREADABLE)
    except OSError as error:
        raise _error(
            name,
            f"cannot read {name}: {error.strerror}; check --painter and the permissions of its folder",
            Kind.UNREADABLE,
        ) from error
    known = f"{', '.join(painter_names())}, or " if painter_names() else ""
    raise _error(name, f"there is no painter {name}; give --painter {known}a file of nstyle-train", Kind.MISSING)


def check_style_of_painter(given: Mapping[str, Any]) -> None:
    """Check that there is a style picture if the optimizer goes on from the painting of a painter of one's own.

    Args:
        given: the settings of a painting that the user or a recipe gives, before defaults fill in the others.

    Raises:
        OptionError: there is none. The sample, which would be the default, has hardly the painter's style.

    """
    painter, goes_on = given.get("painter"), str(given.get("max_num_epochs") or 0) != "0"
    if painter is not None and goes_on and "style_image" not in given and str(painter) not in painter_names():
        raise OptionError(
            "--max-num-epochs beside --painter needs the painter's style picture: add --style-image",
            flag="--style-image",
            kind=Kind.MISSING,
        )


def _error(name: str, message: str, kind: Kind) -> WeightsError:
    return WeightsError(message, flag="--painter", path=Path(name), kind=kind)
