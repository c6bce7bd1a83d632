"""Writes the pages of a folder, and keeps them fresh while a run is on."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nstyle.errors import ImageError, Kind, OutputError, RecordError
from nstyle.files import make_folder, replacing, unwritable
from nstyle.storage.layout import RECORD, is_of_a_run
from nstyle.view import films, page
from nstyle.view.album import Album
from nstyle.view.runs import Run, read_folder

PAGE = "index.html"

UNWATCHED = 30.0
"""Seconds between the reloads of the page of a running run which, as far as is known, nobody makes anew."""

QUIET = 60.0
"""Seconds without news after which a batch has ended; that there are more runs to come, no file tells."""


@dataclass(frozen=True)
class Shown:
    """What was published.

    Attributes:
        page: the file to open.
        run: the run that it shows.
        others: the runs that it links to, each to a page of its own.

    """

    page: Path
    run: Run | None
    others: tuple[Run, ...]

    @property
    def is_running(self) -> bool:
        """Whether one of the runs has not ended."""
        return any(run.is_running for run in (self.run, *self.others) if run is not None)


class Gallery:
    """The pages of what `nstyle` has painted into a folder: of a run, or of a batch and each of its runs.

    Args:
        folder: what `nstyle` has painted into, or paints into.
        output_dir: where the page goes; those of a batch's runs go into sub-folders.

    """

    def __init__(self, folder: Path, output_dir: Path) -> None:
        self.folder = folder
        self.output_dir = output_dir
        self.page = output_dir / PAGE
        self._album = Album()
        self._published: dict[Path, object] = {}

    def publish(self, every: float | None = None) -> Shown:
        """Write the page, and a page for each of a batch's runs that has news since this gallery's last.

        Args:
            every: seconds between two looks, if the pages are being kept fresh.

        Raises:
            RecordError: there is no run in the folder.
            OutputError: a page cannot be written, or would be written over one that is not ours.

        """
        run, others = read_folder(self.folder)
        shown = Shown(self.page, run, others)
        for other in others:
            path = self._page_of(other)
            films_ = _films_beside(path, other)
            news = (_files_of_a_run(other.folder), films_)
            if self._published.get(path) != news:
                self._write(path, other, (), films_, every, is_live=other.is_running, up=self.page)
                self._published[path] = news
        is_live = shown.is_running or (every is not None and bool(others))  # of a batch, more may come
        self._write(self.page, run, others, _films_beside(self.page, run), every, is_live=is_live)
        return shown

    def _page_of(self, other: Run) -> Path:
        return self.output_dir / other.folder.name / PAGE

    def _write(
        self,
        path: Path,
        run: Run | None,
        others: tuple[Run, ...],
        films_: list[Path],
        every: float | None,
        *,
        is_live: bool,
        up: Path | None = None,
    ) -> None:
        """Write one page, whole or not at all. A page that nstyle-view did not make is never overwritten."""
        content = page.render(
            path,
            run,
            others,
            self._album,
            other_pages=self._page_of,
            films=films_,
            up=up,
            refresh=(every or UNWATCHED) if is_live else None,
            watched=every is not None,
        )
        make_folder(path.parent)
        try:
            with path.open("rb") as file:
                is_ours = page.GENERATOR in file.read(1000)
        except FileNotFoundError:
            is_ours = True
        except OSError as error:
            raise unwritable(path, error) from error
        if not is_ours:
            raise OutputError(
                f"{path} is no page of nstyle-view's; choose another --output-dir",
                flag="--output-dir",
                path=path,
                kind=Kind.IN_THE_WAY,
            )
        with replacing(path) as file:
            file.write(content)

    def watch(
        self,
        every: float,
        *,
        on_first: Callable[[Shown], object],
        sleep: Callable[[float], object] = time.sleep,
    ) -> Shown:
        """Publish whenever the folder has news, until its run has ended; if there is no run yet, wait for one.

        A batch has ended when all of its runs have, and nothing has changed for a minute.

        Args:
            every: seconds between two looks.
            on_first: called when there is a page for the first time.
            sleep: waits for so many seconds.

        Raises:
            RecordError: the folder is a file.
            OutputError: a page cannot be written.

        """
        shown: Shown | None = None
        seen: object = None
        quiet = 0.0
        while True:
            now = fingerprint(self.folder)
            quiet = quiet + every if now == seen else 0.0
            if now != seen:
                try:
                    published = self.publish(every)
                except RecordError:
                    if self.folder.exists() and not self.folder.is_dir():
                        raise
                else:
                    if shown is None:
                        on_first(published)
                    shown = published
                seen = now
            if shown is not None and not shown.is_running and (not shown.others or quiet >= QUIET):
                return self.publish()
            sleep(every)


def _films_beside(path: Path, run: Run | None) -> list[Path]:
    """Find the films and sheets that lie beside a page and are of this run as it is, not of an earlier one."""
    beside = [path.with_name(name) for name in (films.GIF, films.MP4, films.SHEET)]
    record = None if run is None else run.folder / RECORD
    try:
        since = 0 if record is None else record.stat().st_mtime_ns
        return [film for film in beside if film.exists() and film.stat().st_mtime_ns >= since]
    except OSError:  # one has just gone
        return []


def fingerprint(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return what changes when a run in the folder, or in a sub-folder of it, has news."""
    try:
        subfolders = [Path(entry) for entry in os.scandir(folder) if entry.is_dir()]
    except OSError:
        return frozenset()
    return frozenset().union(*map(_files_of_a_run, [folder, *subfolders]))


def _files_of_a_run(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return path, time and size of each file that a run has written into the folder."""
    found = set()
    try:
        for entry in os.scandir(folder):
            if is_of_a_run(entry.name):
                status = entry.stat()
                found.add((entry.path, status.st_mtime_ns, status.st_size))
    except OSError:  # it has just gone, or is not ours to see
        return frozenset()
    return frozenset(found)


def write_films(shown: Shown, *, gif: bool, mp4: bool) -> list[Path]:
    """Write the films that are wanted, each beside its run's page; of a batch's runs those that have pictures.

    Raises:
        ImageError: there is none.
        OutputError: one cannot be written.

    """
    written = []
    pages = [(run, shown.page.parent / run.folder.name) for run in shown.others if run.snapshots]
    if shown.run is not None:
        pages.insert(0, (shown.run, shown.page.parent))
    if not pages:
        raise ImageError(
            f"{shown.page.parent} has no picture to make a film of; wait for the first snapshot",
            path=shown.page.parent,
            kind=Kind.MISSING,
        )
    for run, beside in pages:
        for wanted, name, write in ((gif, films.GIF, films.write_gif), (mp4, films.MP4, films.write_mp4)):
            if wanted:
                write(beside / name, run)
                written.append(beside / name)
    return written


def write_sheet(shown: Shown) -> Path:
    """Write the contact sheet as a picture: a batch's newest pictures, or a run's originals and snapshots.

    Raises:
        ImageError: there is no picture yet.
        OutputError: it cannot be written.

    """
    pictures = [(run.name, run.snapshots[-1].path) for run in shown.others if run.snapshots]
    if shown.run is not None:
        originals = [source for source in shown.run.inputs if page.is_intact(source)]
        pictures += [(f"{source.label}: {source.path.stem}", source.path) for source in originals]
        for snapshot in shown.run.snapshots:
            label = "the end, epoch" if snapshot.is_final else "epoch"
            pictures.append((f"{label} {snapshot.epoch}", snapshot.path))
    path = shown.page.with_name(films.SHEET)
    films.write_sheet(path, pictures)
    return path
