"""The painters that `--painter` names: files of trained networks. Imports no torch."""

from pathlib import Path

from nstyle.errors import Kind, WeightsError
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


def _error(name: str, message: str, kind: Kind) -> WeightsError:
    return WeightsError(message, flag="--painter", path=Path(name), kind=kind)
