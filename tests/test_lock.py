"""The lock on a run folder: a living run keeps others out, a dead one does not."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_runs import fake_run
from refusals import refuses

from nstyle import OutputError, stylize
from nstyle.batch import local
from nstyle.batch.jobs import plan
from nstyle.batch.local import Outcome, paint_all, stylize_many
from nstyle.errors import Kind
from nstyle.storage import lock
from nstyle.storage.lock import is_abandoned, is_held, locked
from nstyle.storage.run_folder import RunFolder
from nstyle.view.publish import Gallery, Shown

SMALL: dict[str, Any] = {"max_long_edge": 24, "max_num_epochs": 3, "image_format": "png", "model": "filters"}

HOLD = """
import sys, time
from pathlib import Path
from nstyle.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


class Holder:
    """Another process that holds the lock on a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> "Holder":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)


def test_a_lock_goes_with_its_run(tmp_path: Path) -> None:
    assert (is_held(tmp_path), is_abandoned(tmp_path)) == (False, False)
    with locked(tmp_path):
        assert (is_held(tmp_path), is_abandoned(tmp_path)) == (True, False)
        about = json.loads((tmp_path / "run.lock").read_text())
        assert (about["process"], about["host"]) == (os.getpid(), os.uname().nodename)
        with refuses(OutputError, kind=Kind.BUSY, path=tmp_path, flag="--output-dir"), locked(tmp_path):
            pass  # not even the same process
    assert not list(tmp_path.iterdir())


def test_a_folder_that_another_process_just_deleted_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch deletes the empty folder of a picture that it could not paint."""

    def made_and_deleted(path: Path) -> None:
        path.mkdir()
        path.rmdir()

    monkeypatch.setattr("nstyle.storage.run_folder.make_folder", made_and_deleted)
    with RunFolder(tmp_path / "output", "png", ()).owned():
        assert is_held(tmp_path / "output")


def test_a_second_run_touches_nothing(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "output"
    stylize(*pair, output_dir=output, **SMALL)
    (output / f".final.png.{'a' * 16}.tmp").write_text("being written")
    with Holder(output) as holder:
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.iterdir()}
        for more in ({}, {"overwrite": True}, {"resume": True}, {"lr": 0.002, "overwrite": True}):
            with refuses(OutputError, kind=Kind.BUSY, path=output, flag="--output-dir") as refused:
                stylize(*pair, **{**SMALL, **more, "output_dir": output})
            assert f"process {holder.process.pid} of this host" in str(refused.value)
            assert "another --output-dir" in str(refused.value)
        assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.iterdir()} == before


def test_the_lock_of_a_killed_run_is_taken_over(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "output"
    Holder(output).kill()
    assert (output / "run.lock").exists()
    assert is_abandoned(output)
    stylize(*pair, output_dir=output, **SMALL)
    assert not (output / "run.lock").exists()


def test_a_lock_of_a_run_that_was_killed_before_it_named_itself(tmp_path: Path) -> None:
    (tmp_path / "run.lock").touch()
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def of_another_host(folder: Path, *, silence: float) -> Path:
    """Make the lock of a run of another host that was seen so many seconds ago."""
    path = folder / "run.lock"
    path.write_text('{"host": "far\\u001b[0m", "process": 1}')
    seen = time.time() - silence
    os.utime(path, (seen, seen))
    return path


def test_a_run_of_another_host_lives_as_long_as_it_is_seen(tmp_path: Path) -> None:
    path = of_another_host(tmp_path, silence=10)
    assert is_held(tmp_path)
    with refuses(OutputError, kind=Kind.BUSY, path=tmp_path, flag="--output-dir") as refused, locked(tmp_path):
        pass
    message = str(refused.value)
    assert "process 1 of 'far\\x1b[0m', last seen 1" in message  # the name is a stranger's: no escape codes
    assert f"delete {path}" in message
    assert path.exists()
    of_another_host(tmp_path, silence=lock.SILENCE + 5)
    assert is_abandoned(tmp_path)
    with locked(tmp_path):
        assert is_held(tmp_path)


def test_a_touch_in_the_far_future_keeps_nobody_out(tmp_path: Path) -> None:
    of_another_host(tmp_path, silence=-60)  # a clock that is ahead
    assert is_held(tmp_path)
    of_another_host(tmp_path, silence=-1e9)
    assert is_abandoned(tmp_path)
    with locked(tmp_path):
        assert is_held(tmp_path)


def test_a_living_run_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    threads = threading.active_count()
    with locked(tmp_path):
        os.utime(tmp_path / "run.lock", (0, 0))
        give_up = time.monotonic() + 20
        while (tmp_path / "run.lock").stat().st_mtime == 0:
            assert time.monotonic() < give_up
            time.sleep(0.01)
    assert threading.active_count() == threads


def test_without_flock_the_process_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with Holder(tmp_path) as holder:
        assert is_held(tmp_path)
        with refuses(OutputError, kind=Kind.BUSY, path=tmp_path, flag="--output-dir"), locked(tmp_path):
            pass
        holder.kill()
    assert is_abandoned(tmp_path)
    with locked(tmp_path):
        pass


def test_a_lock_that_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    path.write_text("of another program")
    assert (is_held(tmp_path), is_abandoned(tmp_path)) == (False, False)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=path, flag="--output-dir"), locked(tmp_path):
        pass
    assert path.read_text() == "of another program"


def test_a_lock_that_was_deleted_and_made_again_is_not_ours_to_delete(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / "run.lock").unlink()
        (tmp_path / "run.lock").write_text("of the next run")
    assert (tmp_path / "run.lock").read_text() == "of the next run"


# Batches.


def test_a_batch_takes_other_pictures_and_waits_for_the_last(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One picture is being painted by a process that is killed, another by one that finishes it."""
    contents = [tmp_path / f"c{i}.png" for i in range(4)]
    for path in contents:
        path.write_bytes(pair[0].read_bytes() + path.name.encode())
    output = tmp_path / "output"
    stylize(contents[2], pair[1], output_dir=tmp_path / "theirs", **SMALL)
    killed, finished = Holder(output / "c0_style"), Holder(output / "c2_style")
    waits = []

    def wait(_seconds: float) -> None:
        waits.append("")
        if len(waits) == 2:
            killed.kill()
        if len(waits) == 3:
            for path in (tmp_path / "theirs").iterdir():
                path.rename(output / "c2_style" / path.name)
            finished.kill()

    monkeypatch.setattr(local, "time", SimpleNamespace(sleep=wait))
    outcomes = list(paint_all(plan(contents, pair[1], {**SMALL, "output_dir": output})))
    assert [(outcome.job.name, outcome.skipped) for outcome in outcomes] == [
        ("c1_style", False),
        ("c3_style", False),
        ("c0_style", False),
        ("c2_style", True),
    ]
    assert len(waits) == 3
    assert all((output / f"c{i}_style.png").exists() for i in range(4))


BATCH = """
import json, sys
from nstyle import stylize_many
steps = []
options = json.loads(sys.argv[3])
outcomes = stylize_many(sys.argv[1], sys.argv[2], callback=lambda step, job: steps.append(job.name), **options)
print(json.dumps([steps, [str(outcome.reason) for outcome in outcomes if outcome.path is None]]))
"""


def test_two_equal_batches_paint_everything_once(pair: tuple[Path, Path], tmp_path: Path) -> None:
    contents = tmp_path / "contents"
    contents.mkdir()
    for i in range(6):
        (contents / f"c{i}.png").write_bytes(pair[0].read_bytes())
    options = json.dumps({**SMALL, "max_num_epochs": 20, "stop_eps": 0, "output_dir": str(tmp_path / "output")})
    line = [sys.executable, "-c", BATCH, str(contents), str(pair[1]), options]
    both = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    (one, failed_one), (other, failed_other) = (json.loads(process.communicate()[0]) for process in both)
    assert (failed_one, failed_other) == ([], [])
    assert sorted(one + other) == sorted(f"c{i}_style" for i in range(6) for _ in range(20))
    assert not set(one) & set(other)
    for i in range(6):
        lines = (tmp_path / "output" / f"c{i}_style" / "epochs.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["epoch", *map(str, range(20))]
    skipped = stylize_many(contents, pair[1], **json.loads(options))
    assert all(isinstance(outcome, Outcome) and outcome.skipped for outcome in skipped)


# The viewer.


def watch_until_killed(folder: Path, holder: Holder) -> Shown:
    """Watch a folder, and kill the holder of a lock during the third wait, which must be the last one."""
    waits = []

    def sleep(_seconds: float) -> None:
        waits.append("")
        assert len(waits) < 5
        if len(waits) == 3:
            holder.kill()

    shown = Gallery(folder, folder).watch(1, on_first=lambda shown: None, sleep=sleep)
    assert len(waits) == 3
    return shown


def test_watching_ends_when_the_run_was_killed(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", stop_reason="running")
    holder = Holder(folder)
    shown = watch_until_killed(folder, holder)
    assert not shown.is_running
    assert "killed after 12 epochs" in shown.page.read_text()


def test_a_run_of_a_batch_that_was_killed_gets_a_new_page(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "batch" / "a", stop_reason="running")
    holder = Holder(folder)
    gallery = Gallery(tmp_path / "batch", tmp_path / "batch")
    gallery.publish(1)
    assert "painting: epoch 12" in (folder / "index.html").read_text()
    holder.kill()
    gallery.publish()
    assert "killed after 12 epochs" in (folder / "index.html").read_text()


def test_watching_goes_on_while_a_new_run_has_not_replaced_the_earlier_one(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    hidden = fake_run(folder / ".run-0123456789abcdef", stop_reason="running")
    holder = Holder(folder)
    shown = watch_until_killed(folder, holder)
    assert hidden.exists()
    assert shown.others == ()


def test_a_stopped_process_still_owns_its_folder(tmp_path: Path) -> None:
    with Holder(tmp_path) as holder:
        holder.process.send_signal(signal.SIGSTOP)
        assert is_held(tmp_path)
