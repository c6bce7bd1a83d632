"""What earlier runs left in a folder, and from which pictures, by their records (`run.json`)."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from nstyle.errors import ImageError
from nstyle.files import known_sha256, open_regular
from nstyle.pictures.limits import MOST_BYTES
from nstyle.storage.layout import RECORD, parse_picture_name
from nstyle.storage.reading import FORMER, read_record

SWEEP_FOLDER, SWEEP_SHEET = "sweep", "sweep.png"
"""Names of the folder with a sweep's paintings and of its contact sheet; both are in the output folder."""

SHEET_NOTE = ("Software", "nstyle contact sheet")
"""Keyword and text of the PNG text by which a contact sheet is known as nstyle's."""

FILM, SHEET = "film.gif", "sheet.png"
"""Names of the pictures that `nstyle-view` makes beside the runs that it shows."""


def recorded_inputs(folder: Path) -> dict[str, tuple[str, str]] | None:
    """Return path and SHA-256 of each picture that a folder's record names, by its setting; None: no record."""
    try:
        inputs = (read_record(folder) or {})["inputs"]
        return {name: (os.path.abspath(one["path"]), str(one["sha256"])) for name, one in inputs.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def is_painted_from(
    inputs: Mapping[str, tuple[str, str]], pictures: Mapping[str, Path], digest: Callable[[Path], str] | None = None
) -> bool:
    """Tell whether a record's inputs are these pictures, each at the same path.

    Args:
        inputs: what `recorded_inputs` returns.
        pictures: files of content and style (of a texture, only the style; of one pass, content and painter) by the
            name of their setting.
        digest: returns the SHA-256 of a file. A picture at another path then counts, too, if its content is the same.

    """
    named = {"content_image", "style_image"} & set(inputs)
    if named != set(pictures) - {"painter"} or not set(pictures) <= set(inputs):
        return False
    try:
        return all(
            inputs[name][0] == os.path.abspath(path) or (digest is not None and inputs[name][1] == digest(path))
            for name, path in pictures.items()
        )
    except OSError:  # the picture is missing: the run will report it
        return False


def is_output(path: Path, folder: Path) -> bool:
    """Tell whether a file is a picture that a run into `folder`, or into a folder below it, wrote there.

    These are the pictures of a run folder, the copies that a batch puts beside its run folders, contact sheets and
    films. A file that a record names as an input is none of them.
    """
    parent = Path(os.path.realpath(path.parent))
    if not parent.is_relative_to(os.path.realpath(folder)):
        return False
    if parse_picture_name(path.name) and (inputs := recorded_inputs(parent)) is not None:
        return not _is_input(path, inputs)
    if path.name in (SWEEP_SHEET, SHEET):
        return is_sheet(path)
    if path.name == FILM:
        return (parent / RECORD).exists() or any(parent.glob(f"*/{RECORD}"))
    inputs = recorded_inputs(parent / path.stem)
    return inputs is not None and not _is_input(path, inputs) and _is_copy(path, parent / path.stem)


def is_sheet(path: Path) -> bool:
    """Tell whether a file is a contact sheet that nstyle wrote."""
    try:
        with open_regular(path, MOST_BYTES, follow=False) as file:
            start = file.read(1000)
    except OSError:
        return False
    return start.startswith(b"\x89PNG") and "\0".join(SHEET_NOTE).encode() in start


def _is_input(path: Path, inputs: Mapping[str, tuple[str, str]]) -> bool:
    """Tell whether a record names this file as an input."""
    return os.path.abspath(path) in {there for there, _ in inputs.values()}


def _is_copy(path: Path, folder: Path) -> bool:
    """Tell whether a file is a copy of the run folder's picture. The record or a recipe tells a copy from before."""
    from nstyle.pictures.embedded_text import read_recipe_text  # late: it imports libraries of pictures

    final = folder / f"final{path.suffix}"
    try:
        if path.samefile(final) or (
            path.stat().st_size == final.stat().st_size and path.read_bytes() == final.read_bytes()
        ):
            return True
    except OSError:
        pass
    former = (read_record(folder) or {}).get(FORMER)
    try:
        return (isinstance(former, list) and known_sha256(path) in former) or read_recipe_text(path) is not None
    except (ImageError, OSError):
        return False
