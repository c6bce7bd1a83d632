"""Names of output folders: readable, valid on every file system, and the same whatever else is painted."""

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from nstyle.files import sha256
from nstyle.storage.outputs import is_painted_from, recorded_inputs

LONGEST_NAME = 200
"""Longest name of an output folder in bytes. File systems allow 255; a copy's ending and the additions of temporary
files need the rest."""

_DIGITS = 8
"""Hexadecimal digits of a hash in a name. Only pictures of the same name need it, so 32 bits are plenty."""

_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
"""Names that Windows reserves for devices, whatever follows a dot."""


def folder_names(
    sources: Sequence[tuple[Path, ...]],
    output_dir: Path,
    ending: str,
    kind: tuple[str, ...] = ("content_image", "style_image"),
) -> list[str]:
    """Return a name for each painting's folder. No two are equal, even if case and Unicode's forms are ignored.

    A name is `<content>_<style>` without file endings. If two paintings would have the same, both keep the endings;
    if that is not enough, a hash of the pictures' paths is added. A folder with a run of the same pictures keeps its
    name, and a folder with a run of other pictures is never used. So a name stays when more pictures are painted.

    Args:
        sources: the files of each painting: content and style, only the style, or content and painter.
        output_dir: the folder that the named folders are in.
        ending: ending of the copies `<name>.<ending>` beside the folders; no folder has such a name either.
        kind: the setting of each file; a texture has only the last one.

    """
    choices = [(plain_name(one), valid("_".join(path.name for path in one)), _hashed(one)) for one in sources]
    names = {i: name for i, name in enumerate(_names_on_disk(sources, choices, output_dir, kind)) if name is not None}
    taken = {key for name in names.values() for key in _keys(name, ending)}
    for level in (0, 1):
        wanted = {i: choices[i][level] for i in range(len(sources)) if i not in names}
        free = {i: name for i, name in wanted.items() if recorded_inputs(output_dir / name) is None}
        times = Counter(key for name in free.values() for key in _keys(name, ending))
        for i, name in free.items():
            if all(times[key] == 1 and key not in taken for key in _keys(name, ending)):
                names[i] = name
        taken.update(key for i in free if i in names for key in _keys(names[i], ending))
    return [names.get(i, choices[i][-1]) for i in range(len(sources))]


def _names_on_disk(
    sources: Sequence[tuple[Path, ...]],
    choices: Sequence[tuple[str, ...]],
    output_dir: Path,
    kind: tuple[str, ...],
) -> list[str | None]:
    """Return the name under which each painting was begun; None: it was not.

    A picture at the path in the record comes before one that has only the same content.
    """
    found: list[str | None] = [None] * len(sources)
    taken: set[str] = set()
    for digest in (None, cache(sha256)):
        for i, names in enumerate(choices):
            pictures = dict(zip(reversed(kind), reversed(sources[i]), strict=False))
            for name in names if found[i] is None else ():
                inputs = recorded_inputs(output_dir / name) if _key(name) not in taken else None
                if inputs is not None and is_painted_from(inputs, pictures, digest):
                    found[i] = name
                    taken.add(_key(name))
                    break
    return found


def plain_name(sources: Iterable[Path]) -> str:
    """Return the name of a painting that is the only one of its name: `<content>_<style>` without file endings."""
    return valid("_".join(path.stem for path in sources))


def _hashed(sources: tuple[Path, ...]) -> str:
    """Return the plain name with a hash of the pictures' paths."""
    paths = "\0".join(map(os.path.abspath, sources))
    return valid("_".join(path.stem for path in sources), _digits(paths))


def valid(name: str, digits: str = "") -> str:
    """Return a name that every file system takes, shows and keeps, with some digits at its end.

    Dots and hyphens at the beginning become `_`, because such files are hidden, or taken for flags; so do dots and
    spaces at the end, which Windows drops. Windows' names of devices get a `_`. A name that is too long loses its
    middle, and gets a hash of the whole name instead.
    """
    name = re.sub(r"^[.-]+|[. ]+$", "_", name)
    if name.partition(".")[0].casefold() in _RESERVED:
        name = f"_{name}"
    room = LONGEST_NAME - (len(digits) + 1 if digits else 0)
    if len(os.fsencode(name)) > room:
        digits = digits or _digits(name)
        half = (LONGEST_NAME - len(digits) - 2) // 2
        name = f"{_cut(name, half)}_{_cut(name[::-1], half)[::-1]}"
    return f"{name}_{digits}" if digits else name


def _cut(name: str, most: int) -> str:
    """Return the beginning of a name in whole characters, at most so many bytes of it."""
    while len(os.fsencode(name)) > most:
        name = name[:-1]
    return name


def _digits(text: str) -> str:
    """Return the first digits of a text's SHA-256."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:_DIGITS]


def _keys(name: str, ending: str) -> tuple[str, str]:
    """Return what no other painting may share: the folder's name and its copy's, as file systems compare them."""
    return _key(name), _key(f"{name}.{ending}")


def _key(name: str) -> str:
    """Return a name as a file system compares it that ignores case and Unicode's forms."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def unlike(names: Iterable[str]) -> list[str]:
    """Make names unique, ignoring case: add a number to each name that occurs earlier in the list."""
    found: list[str] = []
    taken: set[str] = set()
    times: Counter[str] = Counter()
    for name in names:
        new = name
        while _key(new) in taken:
            times[_key(name)] += 1
            new = f"{name}_{times[_key(name)] + 1}"
        found.append(new)
        taken.add(_key(new))
    return found
