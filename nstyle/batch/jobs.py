"""From what the user names to the paintings that are to be made of it: files, folders, globs, pairs, names."""

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
"""Files in a folder that end so, in upper or lower case, count as pictures."""


@dataclass(frozen=True)
class Job:
    """One painting of several.

    Attributes:
        config: its settings; its folder is its own.
        title: what it is, for people.
        copy: where its finished picture goes besides; None: nowhere.

    """

    config: Config
    title: str
    copy: Path | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.config.output_dir.name


def plan(content: Names, style: Names, settings: Mapping[str, Any], *, pair: bool = False) -> list[Job]:
    """Return the paintings: every content in every style, all of a style one after the other.

    Of several, each gets the folder `<content>_<style>` in the output folder, and a copy beside that.

    Args:
        content: files, folders and globs, one or several: see `expand`.
        style: likewise.
        settings: all others of `Config`.
        pair: the first content in the first style, the second in the second, and so on.

    Raises:
        OptionError: a setting makes no sense, or there are not as many contents as styles for `pair`.
        ImageError: a folder or glob has no pictures.
        OutputError: a copy would be written over one of the pictures.

    """
    contents, styles = expand("content_image", content), expand("style_image", style)
    if pair and len(contents) != len(styles):
        raise OptionError(
            f"--pair needs as many contents as styles, not {len(contents)} and {len(styles)}; "
            "leave it out to paint every content in every style",
            flag="--pair",
            kind=Kind.CONFLICT,
        )
    if settings.get("size") is not None:  # a texture, painted of the style alone
        contents, pair = contents[:1], False
    if not pair:  # a picture that is named twice is painted once
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
                f"{job.copy} would be painted over; choose another --output-dir",
                flag="--output-dir",
                path=job.copy,
                kind=Kind.IN_THE_WAY,
            )
    return jobs


def _sources(content: Path, style: Path, settings: Mapping[str, Any]) -> list[Path]:
    """Return those of the two that are painted of: a texture has no content."""
    return [content, style] if settings.get("size") is None else [style]


def _title(content: Path, style: Path, settings: Mapping[str, Any]) -> str:
    return f"{content} in the style of {style}" if settings.get("size") is None else f"a texture of {style}"


def _in_its_folder(job: Job, name: str) -> Job:
    config, folder = job.config, job.config.output_dir
    own = dataclasses.replace(config, output_dir=folder / name)
    return Job(own, job.title, copy=folder / f"{name}.{config.image_format}")


def expand(setting: str, names: Names) -> list[Path]:
    """Return the files that names mean, in their order.

    What exists under a name is meant by it, whatever characters it has. A folder means the pictures in it, by their
    endings, in the order of their names; hidden ones and those in its folders don't count. Any other name with one of
    the characters `*?[` is a glob, which a shell has left as it was: the files that match it, in the order of their
    names; `**` stands for folders of any depth.

    Args:
        setting: whose value they are, for the errors.
        names: one or several.

    Raises:
        OptionError: there is no name, an empty one, or a URL.
        ImageError: there is no picture in a folder, or for a glob.

    """
    given = [names] if isinstance(names, str | Path) or not isinstance(names, Iterable) else list(names)
    if not given:
        raise OptionError(
            f"{flag(setting)} must be one path or several, not none", flag=flag(setting), kind=Kind.MISSING
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
        raise ImageError(
            f"no file is called {path}, and none matches it; name pictures", path=path, kind=Kind.MISSING
        )
    return found


def _pictures_in(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise ImageError(
            f"{folder} may not be read: {error.strerror}; check the folder", path=folder, kind=Kind.UNREADABLE
        ) from error
    found = [
        folder / name
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS and not (folder / name).is_dir()
    ]
    if not found:
        raise ImageError(
            f"{folder} is a folder without a picture in it; name pictures, or a folder of them",
            path=folder,
            kind=Kind.MISSING,
        )
    return found


def _once(paths: Iterable[Path]) -> list[Path]:
    """Return the paths; of those that name the same only one."""
    return list({os.path.abspath(path): path for path in paths}.values())


def folder_names(sources: Sequence[tuple[Path, ...]]) -> list[str]:
    """Return a name for what is painted of each content and style; no two are alike, whatever the case.

    That is `<content>_<style>`, without the pictures' endings. Those for which that would be the same keep the
    endings; where that does not help either, a number follows, in the order of the pictures' paths.
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
    """Return the names, a number added to each that is one before it, whatever the case."""
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
