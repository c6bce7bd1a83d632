"""Updating pages: when they are written, and when watching ends."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fake_runs import advance_run, change_record, fake_run, finish_run
from refusals import refuses
from test_view_page import Page

from nstyle.errors import Kind, RecordError
from nstyle.storage.lock import locked
from nstyle.view.publish import QUIET, Gallery, Shown, fingerprint


class Clock:
    """Replaces waiting: records the page, then performs the next event."""

    def __init__(self, page: Path, *happenings: Callable[[], Any]) -> None:
        self.page = page
        self.happenings = list(happenings)
        self.epochs: list[int | None] = []
        self.refreshes: list[float | None] = []
        self.written: list[int] = []
        self.waited = 0.0

    def sleep(self, seconds: float) -> None:
        self.waited += seconds
        if self.page.exists():
            facts = Page(self.page).facts
            self.epochs.append(len(facts["curves"].get("epoch", [])))
            self.refreshes.append(facts["refresh"])
            self.written.append(self.page.stat().st_mtime_ns)
        else:
            self.epochs.append(None)
        if self.happenings:
            self.happenings.pop(0)()


def watch(folder: Path, clock: Clock) -> tuple[Shown, list[Shown]]:
    first: list[Shown] = []
    return Gallery(folder, folder).watch(2.0, on_first=first.append, sleep=clock.sleep), first


def nothing() -> None:
    """Nothing happens."""


def test_a_run_is_watched_to_its_end(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=2, stop_reason="running")
    clock = Clock(
        folder / "index.html",
        lambda: advance_run(folder, 2, 5),
        nothing,
        lambda: finish_run(folder, 5),
    )
    shown, first = watch(folder, clock)
    assert clock.epochs == [2, 5, 5]
    assert clock.refreshes == [2.0] * 3
    assert clock.written[1] == clock.written[2] > clock.written[0]
    assert len(first) == 1
    assert shown.run is not None
    assert not shown.is_running
    page = Page(folder / "index.html")
    assert page.facts["refresh"] is None
    assert [each["name"] for each in page.facts["snapshots"]] == ["e_3.jpg", "final.jpg"]
    assert "This page updates" not in page.text


def test_a_run_without_a_lock_is_watched_until_it_is_quiet(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", epochs=2, stop_reason="running")

    def stop() -> None:
        raise AssertionError("it is still watched")

    changes = [lambda: advance_run(folder, 2, 5)]
    clock = Clock(folder / "index.html", *changes, *[nothing] * int(QUIET / 2 + 1), stop)
    watch(folder, clock)
    assert clock.waited == QUIET + 2.0


def test_a_run_that_has_not_begun_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    clock = Clock(
        folder / "index.html",
        lambda: folder.mkdir(),
        lambda: fake_run(folder, epochs=1, stop_reason="running"),
        lambda: finish_run(folder, 1),
    )
    shown, first = watch(folder, clock)
    assert clock.epochs == [None, None, 1]
    assert len(first) == 1
    assert shown.page == folder / "index.html"


def test_a_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with refuses(RecordError, kind=Kind.UNREADABLE, path=tmp_path / "run"):
        watch(tmp_path / "run", Clock(tmp_path / "none"))


def test_a_batch_has_ended_when_nothing_has_changed_for_a_minute(tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    fake_run(batch / "a", epochs=4)
    second = batch / "b"
    owner = ExitStack()

    def begin() -> None:
        fake_run(second, epochs=2, stop_reason="running")
        owner.enter_context(locked(second))

    def end() -> None:
        finish_run(second, 5)
        owner.close()

    clock = Clock(
        batch / "index.html",
        *[nothing] * 20,  # less than a minute between two runs
        begin,
        *[nothing] * 40,  # a long epoch of a run that lives
        lambda: advance_run(second, 2, 5),
        end,
    )
    with owner:
        shown, _ = watch(batch, clock)
    assert not clock.happenings
    assert [other.name for other in shown.others] == ["a", "b"]
    assert clock.waited == 2.0 * 63 + QUIET
    assert set(clock.refreshes) == {2.0}
    assert Page(batch / "index.html").facts["refresh"] is None
    assert Page(second / "index.html").facts["refresh"] is None
    assert len(Page(second / "index.html").facts["snapshots"]) == 2


def test_of_a_batch_only_pages_with_news_are_written_again(tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    old, new = fake_run(batch / "old"), fake_run(batch / "new", epochs=3, stop_reason="running")
    gallery = Gallery(batch, batch)
    gallery.publish(every=1)
    before = {folder: (folder / "index.html").stat().st_mtime_ns for folder in (batch, old, new)}
    advance_run(new, 3, 4)
    gallery.publish(every=1)
    after = {folder: (folder / "index.html").stat().st_mtime_ns for folder in (batch, old, new)}
    assert [after[folder] > before[folder] for folder in (batch, old, new)] == [True, False, True]


def test_what_counts_as_news(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    before = fingerprint(folder)
    Gallery(folder, folder).publish()
    (folder / ".e_3.jpg.17.tmp").write_bytes(b"half")
    (folder / "notes.txt").touch()
    assert fingerprint(folder) == before
    change_record(folder, seconds=3.25)
    changed = fingerprint(folder)
    assert changed != before
    fake_run(folder / "other")
    assert fingerprint(folder) > changed
    shutil.rmtree(folder)
    assert fingerprint(folder) == frozenset()
