"""Plan paintings: expand files, folders and globs, form pairs, and choose folder names."""

import dataclasses
import glob
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nstyle.errors import ImageError, Kind, OptionError, OutputError
from nstyle.pictures.formats import FORMATS
from nstyle.settings.config import Config
from nstyle.settings.options import check_not_url, flag

Names: TypeAlias = str | Path | Sequence[str | Path]

ENDINGS = frozenset(f".{ending}" for form in FORMATS for ending in form.endings)
"""Endings of the files in a folder that count as pictures, in lower case; the case in the folder does not matter."""


@dataclass(frozen=True)
class Job:
    """One of several paintings.

    Attributes:
        config: its settings, with an output folder of its own.
        title: its description in messages.
        copy: path for a copy of the finished picture; None: no copy.

    """

    config: Config
    title: str
    copy: Path | None = None

    @property
    def name(self) -> str:
        """The name of the output folder."""
        return self.config.output_dir.name


def plan(content: Names, style: Names, settings: Mapping[str, Any], *, pair: bool = False) -> list[Job]:
    """Return the paintings: every content in every style, grouped by style.

    If there are several, each gets a folder `<content>_<style>` in the output folder, and a copy of its picture next
    to that folder.

    Args:
        content: one or several files, folders or globs; see `expand`.
        style: one or several files, folders or globs.
        settings: the other settings of `Config`.
        pair: paint the first content in the first style, the second in the second, and so on.

    Raises:
        OptionError: a setting is invalid, or `pair` is set and the numbers of contents and styles differ.
        ImageError: a folder or glob has no pictures.
        OutputError: a copy would overwrite an input picture.

    """
    contents, styles = expand("content_image", content), expand("style_image", style)
    if pair and len(contents) != len(styles):
        raise OptionError(
            f"--pair needs as many contents as styles, not {len(contents)} and {len(styles)}; "
            "without --pair, every content is painted in every style",
            flag="--pair",
            kind=Kind.CONFLICT,
        )
    if settings.get("size") is not None:  # a texture, which has no content
        contents, pair = contents[:1], False
    if not pair:  # paint a picture once, even if it is named twice
        contents, styles = _once(contents), _once(styles)
    chosen = list(zip(contents, styles, strict=True)) if pair else [(c, s) for s in styles for c in contents]
    pairs = list({(os.path.abspath(c), os.path.abspath(s)): (c, s) for c, s in chosen}.values())
    jobs = [
        Job(Config(**{**settings, "content_image": c, "style_image": s}), _title(c, s, settings)) for c, s in pairs
    ]
    if len(jobs) == 1:
        return jobs
    named = [tuple(_sources(*pair_, settings)) for pair_ in pairs]
    jobs = [_in_its_folder(job, name) for job, name in zip(jobs, folder_names(named), strict=True)]
    sources = {os.path.abspath(path) for paths in named for path in paths}
    for job in jobs:
        if job.copy is not None and os.path.abspath(job.copy) in sources:
            raise OutputError(
                f"{job.copy} is an input picture that the run would overwrite; choose another --output-dir",
                flag="--output-dir",
                path=job.copy,
                kind=Kind.IN_THE_WAY,
            )
    return jobs


def _sources(content: Path, style: Path, settings: Mapping[str, Any]) -> list[Path]:
    """Return the pictures that the painting uses: content and style, or only the style for a texture."""
    return [content, style] if settings.get("size") is None else [style]


def _title(content: Path, style: Path, settings: Mapping[str, Any]) -> str:
    return f"{content} in the style of {style}" if settings.get("size") is None else f"a texture of {style}"


def _in_its_folder(job: Job, name: str) -> Job:
    config, folder = job.config, job.config.output_dir
    own = dataclasses.replace(config, output_dir=folder / name)
    return Job(own, job.title, copy=folder / f"{name}.{config.image_format}")


def expand(setting: str, names: Names) -> list[Path]:
    """Expand names to files, in order.

    A folder becomes the pictures in it, sorted by name: files with a known ending, but not hidden files or files in
    subfolders. A name with one of the characters `*?[` is a glob, unless a file has exactly this name. It becomes the
    files that match, sorted by name; `**` matches folders of any depth. Any other name is returned unchanged.

    Args:
        setting: the setting with these names, for the errors.
        names: one or several names.

    Raises:
        OptionError: there is no name, or a name is empty, a URL, or not a path.
        ImageError: a folder has no pictures, a folder cannot be read, or no file matches a glob.

    """
    given = [names] if isinstance(names, str | Path) or not isinstance(names, Iterable) else list(names)
    if not given:
        raise OptionError(
            f"{flag(setting)} has no value; name at least one picture", flag=flag(setting), kind=Kind.MISSING
        )
    for name in given:
        if not isinstance(name, str | Path) or not str(name):
            raise OptionError(
                f"{flag(setting)} must be a path, not {name!r}", flag=flag(setting), kind=Kind.UNSUPPORTED
            )
        check_not_url(flag(setting), name)
    return [path for name in given for path in _expanded(Path(name))]


def _expanded(path: Path) -> list[Path]:
    if os.path.isdir(path):
        return _pictures_in(path)
    if os.path.lexists(path) or not glob.has_magic(str(path)):
        return [path]
    found = [Path(match) for match in sorted(glob.glob(str(path), recursive=True)) if not os.path.isdir(match)]
    if not found:
        raise ImageError(f"no file matches {path}; check the name", path=path, kind=Kind.MISSING)
    return found


def _pictures_in(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ImageError(
            f"{folder} cannot be read: {error.strerror}; check its permissions", path=folder, kind=Kind.UNREADABLE
        ) from error
    found = [
        folder / name
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS and not (folder / name).is_dir()
    ]
    if not found:
        raise ImageError(
            f"{folder} has no pictures in it; name pictures, or a folder with pictures",
            path=folder,
            kind=Kind.MISSING,
        )
    return found


def _once(paths: Iterable[Path]) -> list[Path]:
    """Remove duplicates: keep one of the paths that lead to the same place."""
    return list({os.path.abspath(path): path for path in paths}.values())


def folder_names(sources: Sequence[tuple[Path, ...]]) -> list[str]:
    """Return a folder name for each painting; no two are equal, even if upper and lower case are ignored.

    A name is `<content>_<style>` without file endings. Names that would be equal keep the endings; if they are still
    equal, a number is added, in the order of the pictures' paths.

    Args:
        sources: the pictures of each painting: content and style, or only the style.

    """
    short = ["_".join(path.stem for path in paths) for paths in sources]
    times = Counter(map(str.casefold, short))
    clashing = [i for i, name in enumerate(short) if times[name.casefold()] > 1]
    order = [i for i in range(len(sources)) if i not in set(clashing)]
    order += sorted(clashing, key=lambda i: tuple(map(os.path.abspath, sources[i])))
    whole = {i: "_".join(path.name for path in sources[i]) for i in clashing}
    numbered = dict(zip(order, unlike([whole.get(i, short[i]) for i in order]), strict=True))
    return [numbered[i] for i in range(len(sources))]


def unlike(names: Iterable[str]) -> list[str]:
    """Make names unique, ignoring case: add a number to each name that occurs earlier in the list."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        number, new = 1, name
        while new.casefold() in taken:
            number += 1
            new = f"{name}_{number}"
        found.append(new)
        taken.add(new.casefold())
    return found
