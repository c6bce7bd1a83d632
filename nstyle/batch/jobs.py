"""Plan paintings: choose the pictures, form pairs, and give each pair a folder of its own."""

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.batch.naming import folder_names
from nstyle.errors import Kind, OptionError, OutputError
from nstyle.painting.selection import Names, Selection, listed, select
from nstyle.settings.config import Config
from nstyle.settings.painters import find_painter

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One of several paintings.

    Attributes:
        config: its settings, with an output folder of its own.
        title: its description in messages.
        copy: path for a copy of the finished picture; None: no copy.
        earlier: other folders where an earlier run may have finished the same painting.

    """

    config: Config
    title: str
    copy: Path | None = None
    earlier: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The name of the output folder."""
        return self.config.output_dir.name


def choose(content: Names, style: Names, settings: Mapping[str, Any]) -> tuple[Selection, Selection]:
    """Return the contents and the styles that the names stand for, and log which files are left out.

    Raises:
        OptionError, ImageError: see `selection.select`.

    """
    named = settings.get("output_dir", Config.output_dir)
    output_dir = Path(named) if isinstance(named, str | Path) else None  # `Config` refuses anything else
    chosen = select("content_image", content, output_dir), select("style_image", style, output_dir)
    for what, paths in (
        ("of formats that nstyle does not read", [path for one in chosen for path in one.unread]),
        (f"that nstyle painted into {output_dir}", [path for one in chosen for path in one.own]),
    ):
        if paths := list(dict.fromkeys(paths)):
            _log.warning("left out %d file%s %s: %s", len(paths), "s" * (len(paths) > 1), what, listed(paths))
    return chosen


def plan(content: Names, style: Names, settings: Mapping[str, Any], *, pair: bool = False) -> list[Job]:
    """Return the paintings: every content in every style, grouped by style.

    Each gets a folder `<content>_<style>` in the output folder (see `naming`), and a copy of its picture next to that
    folder. Only a single content and style that are named as files are painted into the output folder itself.

    Args:
        content: one or several files, folders or globs; see `selection.expand`.
        style: one or several files, folders or globs.
        settings: the other settings of `Config`.
        pair: paint the first content in the first style, the second in the second, and so on.

    Raises:
        OptionError: a setting is invalid, or `pair` is set and the numbers of contents and styles differ.
        ImageError: a folder or glob has no pictures.
        OutputError: a copy would overwrite an input picture.

    """
    chosen = choose(content, style, settings)
    contents, styles = (one.paths for one in chosen)
    if pair and len(contents) != len(styles):
        raise OptionError(
            f"--pair needs as many contents as styles, not {len(contents)} and {len(styles)}; "
            "without --pair, every content is painted in every style",
            flag="--pair",
            kind=Kind.CONFLICT,
        )
    kind = _kind_of(settings)
    if kind == ("style_image",):
        contents, pair = contents[:1], False
    if "style_image" not in kind:
        styles, pair = styles[:1], False
    if not pair:  # paint a picture once, even if it is named twice
        contents, styles = _once(contents), _once(styles)
    together = list(zip(contents, styles, strict=True)) if pair else [(c, s) for s in styles for c in contents]
    pairs = list({(os.path.abspath(c), os.path.abspath(s)): (c, s) for c, s in together}.values())
    named = [{**settings, "content_image": content, "style_image": style} for content, style in pairs]
    jobs = [Job(Config(**one), _title(one, kind)) for one in named]
    searched = dict(zip(("content_image", "style_image"), (one.is_searched for one in chosen), strict=True))
    if len(jobs) == 1 and not any(searched.get(name) for name in kind):
        return jobs
    return _in_their_folders(jobs, kind)


def _kind_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the settings whose files make the paintings: those that name their folders."""
    if settings.get("size") is not None:
        return ("style_image",)  # a texture has no content
    others = {name: value for name, value in settings.items() if name not in ("content_image", "style_image")}
    if settings.get("painter") is not None and Config(**others).in_one_pass:
        return "content_image", "painter"
    return "content_image", "style_image"


def _title(settings: Mapping[str, Any], kind: tuple[str, ...]) -> str:
    if "content_image" not in kind:
        return f"a texture of {settings['style_image']}"
    if "painter" in kind:
        return f"{settings['content_image']} by the painter {settings['painter']}"
    return f"{settings['content_image']} in the style of {settings['style_image']}"


def _in_their_folders(jobs: list[Job], kind: tuple[str, ...]) -> list[Job]:
    """Return the jobs, each with a folder of its own in the output folder, and a copy beside it.

    Args:
        jobs: the paintings, all with the same output folder and format.
        kind: the settings whose files name the folders.

    Raises:
        OutputError: a copy would overwrite an input picture.

    """
    output_dir, ending = jobs[0].config.output_dir, jobs[0].config.image_format
    sources = [tuple(_file_of(job.config, name) for name in kind) for job in jobs]
    inputs = {os.path.abspath(path) for paths in sources for path in paths}
    placed = []
    for job, name, paths in zip(jobs, folder_names(sources, output_dir, ending, kind), sources, strict=True):
        copy = output_dir / f"{name}.{ending}"
        if os.path.abspath(copy) in inputs:
            raise OutputError(
                f"{copy} is an input picture that the run would overwrite; choose another --output-dir",
                flag="--output-dir",
                path=copy,
                kind=Kind.IN_THE_WAY,
            )
        own = dataclasses.replace(job.config, output_dir=output_dir / name)
        older = output_dir / "_".join(path.stem for path in paths)  # nstyle once took any name as it was
        placed.append(Job(own, job.title, copy, (output_dir,) if older.name == name else (output_dir, older)))
    return placed


def _file_of(config: Config, name: str) -> Path:
    """Return the file that one of these settings names."""
    return find_painter(str(config.painter)) if name == "painter" else Path(getattr(config, name))


def _once(paths: Iterable[Path]) -> list[Path]:
    """Remove duplicates: keep one of the paths that lead to the same place."""
    return list({os.path.abspath(path): path for path in paths}.values())
