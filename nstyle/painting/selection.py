"""From the names that a user gives to files: folders, patterns, and what of them is left out."""

import glob
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.pictures.formats import FORMATS
from nstyle.settings.options import check_not_url, flag
from nstyle.storage.layout import LOCK, OF_A_RUN
from nstyle.storage.outputs import is_output

Names: TypeAlias = str | Path | Sequence[str | Path]

ENDINGS = frozenset(f".{ending}" for form in FORMATS for ending in form.endings)
"""Endings of the files in a folder that count as pictures, in lower case; the case in the folder does not matter."""

SIDECARS = OF_A_RUN | {LOCK, "thumbs.db", "desktop.ini"}
"""Names, in lower case, of files that lie beside pictures and are none: nobody needs to be told of them."""

SIDECAR_ENDINGS = frozenset({".xmp", ".aae"})
"""Endings, in lower case, of files in which other programs note what they did to a picture."""

MOST_READINGS = 64
"""Readings of a pattern with brackets that are tried at most: two for each part of the path, so up to six parts."""


@dataclass
class Selection:
    """The files that names stand for.

    Attributes:
        paths: the files, in order.
        unread: files in the named folders that nstyle does not read, by their endings.
        own: pictures that nstyle painted into the output folder; they are left out of `paths`.
        is_searched: whether a folder or a pattern is among the names, so that the number of files can change.

    """

    paths: list[Path]
    unread: list[Path] = field(default_factory=list)
    own: list[Path] = field(default_factory=list)
    is_searched: bool = False


def expand(setting: str, names: Names) -> list[Path]:
    """Expand names to files, in order.

    A folder becomes the pictures in it, in natural order (f2 before f10): files with a known ending, but not hidden
    files or files in subfolders. A name with one of the characters `*?[` is a glob, unless a file has exactly this
    name. It becomes the files that match, in natural order; `**` matches folders of any depth. Brackets are read
    literally if they are part of a folder's name, or if they match nothing as a class. Any other name is returned
    unchanged.

    Args:
        setting: the setting with these names, for the errors.
        names: one or several names.

    Raises:
        OptionError: there is no name, or a name is empty, a URL, or not a path.
        ImageError: a folder has no pictures, a folder cannot be read, or no file matches a glob.

    """
    return select(setting, names).paths


def select(setting: str, names: Names, output_dir: Path | None = None) -> Selection:
    """Return the files that names stand for, and what is left out of them; see `expand`.

    Pictures that runs painted into `output_dir` are left out, because the same command would otherwise paint its own
    pictures when it is repeated. A single file that is named by itself is never left out.

    Raises:
        OptionError: see `expand`.
        ImageError: see `expand`; or all the files are pictures that nstyle painted into `output_dir`.

    """
    given = [names] if isinstance(names, str | Path) or not isinstance(names, Iterable) else list(names)
    if not given:
        raise OptionError(
            f"{flag(setting)} has no value; name at least one picture", flag=flag(setting), kind=Kind.MISSING
        )
    selection = Selection([])
    for name in given:
        if not isinstance(name, str | Path) or not str(name):
            raise OptionError(
                f"{flag(setting)} must be a path, not {name!r}", flag=flag(setting), kind=Kind.UNSUPPORTED
            )
        check_not_url(flag(setting), name)
        _add(selection, Path(name))
    if output_dir is not None and os.path.isdir(output_dir) and (selection.is_searched or len(given) > 1):
        selection.own = [path for path in selection.paths if is_output(path, output_dir)]
        own = set(selection.own)
        selection.paths = [path for path in selection.paths if path not in own]
    if not selection.paths:
        raise ImageError(
            f"{flag(setting)} names only pictures that nstyle painted into {output_dir}; "
            "to paint them again, choose another --output-dir",
            flag=flag(setting),
            path=output_dir,
            kind=Kind.MISSING,
        )
    return selection


def _add(selection: Selection, path: Path) -> None:
    """Add the files that one name stands for."""
    if os.path.isdir(path):
        selection.is_searched = True
        _add_folder(selection, path)
    elif os.path.lexists(path) or not glob.has_magic(str(path)):
        selection.paths.append(path)
    else:
        selection.is_searched = True
        found = _matches(str(path))
        if not found:
            raise ImageError(f"no file matches {path}; check the name", path=path, kind=Kind.MISSING)
        selection.paths += found


def _add_folder(selection: Selection, folder: Path) -> None:
    """Add the pictures in a folder, and note the files that nstyle does not read."""
    try:
        names = sorted(os.listdir(folder), key=natural)
    except OSError as error:
        raise ImageError(
            f"{folder} cannot be read: {error.strerror}; check its permissions", path=folder, kind=Kind.UNREADABLE
        ) from error
    files = [folder / name for name in names if not _is_sidecar(name) and not os.path.isdir(folder / name)]
    pictures = [path for path in files if path.suffix.lower() in ENDINGS]
    unread = [path for path in files if path.suffix.lower() not in ENDINGS]
    if not pictures:
        others = f", only {listed(unread)}, which nstyle does not read" if unread else ""
        raise ImageError(
            f"{folder} has no pictures in it{others}; name pictures, or a folder with pictures",
            path=folder,
            kind=Kind.MISSING,
        )
    selection.paths += pictures
    selection.unread += unread


def _is_sidecar(name: str) -> bool:
    """Tell whether a file is hidden, or lies beside pictures without being one."""
    return name.startswith(".") or name.lower() in SIDECARS or Path(name).suffix.lower() in SIDECAR_ENDINGS


def _matches(pattern: str) -> list[Path]:
    """Return the files that match a glob, in natural order, without sidecars.

    Folders at the beginning of the pattern that exist are read literally. In the other parts of the path, brackets
    are a class of characters; if nothing matches, they are tried literally, in one part after the other.
    """
    parts = Path(pattern).parts
    literal = next(n for n in range(len(parts), -1, -1) if n == 0 or os.path.isdir(Path(*parts[:n])))
    start = [glob.escape(part) for part in parts[:literal]]
    readings = itertools.product(
        *([part, part.replace("[", "[[]")] if "[" in part else [part] for part in parts[literal:])
    )
    for reading in itertools.islice(readings, MOST_READINGS):
        found = glob.glob(os.path.join(*start, *reading), recursive=True)
        if files := [path for path in map(Path, found) if not os.path.isdir(path) and not _is_sidecar(path.name)]:
            return sorted(files, key=lambda path: list(map(natural, path.parts)))
    return []


def natural(name: str) -> tuple[list[str | int], str]:
    """Return the key of the natural order: numbers count by value (f2 before f10), and case hardly matters."""
    parts: list[str | int] = list(re.split(r"([0-9]+)", name.casefold()))
    parts[1::2] = [int(part) for part in parts[1::2]]
    return parts, name


def listed(paths: Sequence[Path], most: int = 3) -> str:
    """Return the first names of some files as text: "a.cr2, b.mov, c.txt and 4 more"."""
    names = ", ".join(path.name for path in paths[:most])
    return f"{names} and {len(paths) - most} more" if len(paths) > most else names
