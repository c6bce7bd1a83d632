"""Write the pages of a folder, and update them while a run is going on."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nstyle.errors import ImageError, Kind, OutputError, RecordError
from nstyle.escaping import visible
from nstyle.files import make_folder, replacing
from nstyle.storage.layout import FILM_RECORD, FINISHED, FRAMES, RECORD, is_of_a_run
from nstyle.storage.lock import is_held
from nstyle.storage.outputs import SHEET_NOTE
from nstyle.view import films, page
from nstyle.view.album import Album
from nstyle.view.markup import picture_link
from nstyle.view.previews import write_previews
from nstyle.view.runs import Film, Run, read_folder, subfolders

PAGE = "index.html"

UNWATCHED = 30.0
"""Seconds between reloads of a running run's page that was made without `--watch`, in case it is made again."""

_HEADER_BYTES = 1000  # of a page or a sheet: what nstyle-view writes has its mark there

QUIET = 60.0
"""Seconds without changes until a batch, or a run without a lock, counts as ended. No file says if more follows."""


@dataclass(frozen=True)
class Shown:
    """A published page.

    Attributes:
        page: the HTML file to open.
        run: the run that it shows, if it shows one.
        others: runs with their own pages, which it links to.

    """

    page: Path
    run: Run | None
    others: tuple[Run, ...]

    @property
    def is_running(self) -> bool:
        """Whether any of the runs has not ended."""
        return any(run.is_running for run in (self.run, *self.others) if run is not None)


class Gallery:
    """The pages of a folder that `nstyle` paints into: one for a run; for a batch, also one for each of its runs.

    Args:
        folder: the folder that `nstyle` paints into.
        output_dir: the folder for the page; the pages of a batch's runs go into its sub-folders.

    """

    def __init__(self, folder: Path, output_dir: Path) -> None:
        self.folder = folder
        self.output_dir = output_dir
        self.page = output_dir / PAGE
        self._album = Album()
        self._published: dict[Path, object] = {}

    def publish(self, every: float | None = None) -> Shown:
        """Write the page, and a page for each run of a batch that changed since this gallery last wrote it.

        Args:
            every: seconds between two checks for changes, if the pages are being updated.

        Raises:
            RecordError: there is no run in the folder.
            OutputError: a page cannot be written, or would overwrite a file that nstyle-view did not write.

        """
        run, others = read_folder(self.folder)
        shown = Shown(self.page, run, others)
        for other in others:
            path = self._page_of(other)
            films_ = _films_beside(path, other)
            is_live = other.is_running  # a kill changes no file
            news = (_files_of_a_run(other.folder), films_, is_live)
            if self._published.get(path) != news:
                self._write(path, other, (), films_, every, is_live=is_live, up=self.page)
                self._published[path] = news
        is_live = shown.is_running or (every is not None and bool(others))  # a batch may get more runs
        self._write(self.page, run, others, _films_beside(self.page, run), every, is_live=is_live)
        return shown

    def _page_of(self, other: Run) -> Path:
        return self.output_dir / other.name / PAGE

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
        """Write one page atomically. Raise OutputError if the file exists and nstyle-view did not write it."""
        if isinstance(run, Film):
            write_previews(run, path)
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
        films.refuse_foreign(path, page.GENERATOR, _HEADER_BYTES)
        with replacing(path) as file:
            file.write(content)

    def watch(
        self,
        every: float,
        *,
        on_first: Callable[[Shown], object],
        sleep: Callable[[float], object] = time.sleep,
    ) -> Shown:
        """Publish whenever the folder changes, until its run ends or is killed. If there is no run yet, wait for one.

        A batch ends when all its runs have ended and nothing has changed for a minute. A run that has not ended
        according to its record, but has no lock, ends when nothing has changed for a minute.

        Args:
            every: seconds between two checks.
            on_first: called once, when the first page is written.
            sleep: waits for the given number of seconds.

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
                    if os.path.exists(self.folder) and not os.path.isdir(self.folder):
                        raise
                else:
                    if shown is None:
                        on_first(published)
                    shown = published
                seen = now
            if shown is not None and not is_held(self.folder):
                is_quiet = quiet >= QUIET and not any(is_held(run.folder) for run in shown.others)
                if is_quiet or (not shown.is_running and not shown.others):
                    return self.publish()
            sleep(every)


def _films_beside(path: Path, run: Run | None) -> list[Path]:
    """Return the films and sheets beside a page that are at least as new as the run's record.

    A finished film's own videos are among them if the page may link to them.
    """
    beside = [path.with_name(name) for name in (films.GIF, films.MP4, films.SHEET)]
    record = None if run is None else run.folder / RECORD
    videos: list[Path] = []
    if isinstance(run, Film):
        beside, record = [path.with_name(films.SHEET)], run.folder / FILM_RECORD
        if run.film.stop_reason in FINISHED:
            videos = [video for video in run.videos if picture_link(video, path) is not None]
    try:
        since = 0 if record is None else record.stat().st_mtime_ns
        return videos + [film for film in beside if film.exists() and film.stat().st_mtime_ns >= since]
    except OSError:  # one was just deleted
        return videos


def fingerprint(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return a value that changes when a run in the folder, or in one of its sub-folders, writes a file."""
    return frozenset().union(*map(_files_of_a_run, [folder, *subfolders(folder)]))


def _files_of_a_run(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return path, modification time (ns) and size (bytes) of each file that a run wrote into the folder."""
    found = set()
    try:
        for entry in os.scandir(folder):
            if is_of_a_run(entry.name):
                status = entry.stat()
                found.add((entry.path, status.st_mtime_ns, status.st_size))
    except OSError:  # it was just deleted, or is not readable
        return frozenset()
    return frozenset(found)


def write_films(shown: Shown, *, gif: bool, mp4: bool) -> list[Path]:
    """Write the requested films of each run beside its page, and return their paths.

    Skips runs of a batch that have no snapshots, as films have none.

    Raises:
        ImageError: no run has a picture.
        OutputError: a film cannot be written, or the folder holds one already.

    """
    if isinstance(shown.run, Film):
        raise OutputError(
            f"{shown.run.folder} holds a film: its frames are in {FRAMES}/ and the video beside them; "
            "leave out --gif and --mp4",
            path=shown.run.folder,
            kind=Kind.UNSUPPORTED,
        )
    written = []
    pages = [(run, shown.page.parent / run.name) for run in shown.others if run.snapshots]
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
    """Write the contact sheet as a PNG: a batch's newest pictures, or a run's inputs and snapshots or frames.

    Raises:
        ImageError: there is no picture yet.
        OutputError: the file cannot be written, or is the user's own.

    """
    path = shown.page.with_name(films.SHEET)
    films.refuse_foreign(path, SHEET_NOTE[1].encode(), _HEADER_BYTES)
    # a label of the sheet may have several lines, but a name has one: `visible` spells the others out
    pictures = [(visible(run.name), run.newest) for run in shown.others if run.newest is not None]
    if shown.run is not None:
        originals = [source for source in shown.run.inputs if page.is_intact(source)]
        pictures += [(visible(f"{source.label}: {source.path.stem}"), source.path) for source in originals]
        for snapshot in shown.run.snapshots:
            label = f"stage {snapshot.epoch}" if snapshot.is_of_stage else f"epoch {snapshot.epoch}"
            label = f"final, {label}" if snapshot.is_final else label
            pictures.append((label if snapshot.epoch else "in one pass", snapshot.path))
    if isinstance(shown.run, Film):
        pictures += [(f"frame {number}", shown.run.painted_frame(number)) for number in shown.run.painted]
    films.write_sheet(path, pictures)
    return path
