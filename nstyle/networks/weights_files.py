"""The files that --weights names. Imports no torch."""

from pathlib import Path

from nstyle.errors import Kind, WeightsError

EMBEDDED = "embedded"
TORCHVISION = "torchvision"
"""The values of --weights that name no file."""

MODELS = Path("models")
"""Folder in which nstyle looks for the file named by --weights if that is no path."""


def find_weights(name: str | Path) -> Path:
    """Find the file with this path, or with this name in models/.

    Raises:
        WeightsError: there is no such file, or it cannot be accessed.

    """
    try:
        for path in (Path(name), MODELS / name):
            if path.is_file():
                return path
        if Path(name).is_dir():
            raise WeightsError(
                f"{name} is a folder: give --weights a file", flag="--weights", path=Path(name), kind=Kind.UNREADABLE
            )
    except OSError as error:
        raise WeightsError(
            f"cannot read {name}: {error.strerror}; check --weights and the permissions of its folder",
            flag="--weights",
            path=Path(name),
            kind=Kind.UNREADABLE,
        ) from error
    raise WeightsError(
        f"there is no file {name} or {MODELS / name}; give --weights a file or 'torchvision', or leave it out",
        flag="--weights",
        path=Path(name),
        kind=Kind.MISSING,
    )
