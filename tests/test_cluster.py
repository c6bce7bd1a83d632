"""Paintings on the workers of a Dask scheduler: real processes, and one is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from pictures import painted
from PIL import Image
from refusals import refuses

from nstyle import ClusterError, Config
from nstyle.batch.cluster import _paint_there, paint_on_cluster
from nstyle.batch.jobs import Job, plan
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.storage.lock import locked

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's and tornado's own

ROOT = Path(__file__).parent.parent
FLAGS = ["--max-long-edge", "24", "--max-num-epochs", "6", "--save-epochs", "2", "--image-format", "png"]

T = TypeVar("T")


class Cluster:
    """A scheduler and its workers, each in its own process and in a different folder than the pictures."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self.file = folder / "scheduler.json"
        self.folder = folder
        self.closing = closing
        self.scheduler = self.start("scheduler", "--port", "0", "--no-dashboard")

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        log = self.closing.enter_context((self.folder / f"{words[0]}.log").open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--scheduler-file", str(self.file)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )
        self.closing.callback(process.wait)
        self.closing.callback(process.kill)
        return process

    def workers(self, number: int) -> list["subprocess.Popen[bytes]"]:
        words = ("worker", "--no-nanny", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60")
        return [self.start(*words, "--name", f"w{i}") for i in range(number)]

    def _written(self) -> str | None:
        """The scheduler's file when it is whole."""
        text = self.file.read_text() if self.file.exists() else ""
        return text if text.rstrip().endswith("}") else None

    @property
    def address(self) -> str:
        text = wait_for(self._written, self.scheduler)
        address: str = json.loads(text)["address"]
        return address


def wait_for(condition: Callable[[], T | None], *alive: "subprocess.Popen[Any]") -> T:
    """Wait until the condition is true and return its value. Fail if a process ends first or minutes pass."""
    for _ in range(100_000):
        if found := condition():
            return found
        assert all(process.poll() is None for process in alive)
        time.sleep(0.001)
    pytest.fail("this never happened")


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as closing:
        yield Cluster(tmp_path_factory.mktemp("cluster"), closing)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder, number in (("contents", 3), ("styles", 2)):
        (tmp_path / folder).mkdir()
        for i in range(number):
            painted(30, 40, seed=i + number).save(tmp_path / folder / f"{folder[0]}{i}.png")
    return tmp_path


def pixels(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): np.asarray(Image.open(path)).tobytes()
        for path in sorted(folder.rglob("*.png"))
    }


def test_a_picture_that_another_process_paints_comes_last(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr("nstyle.batch.cluster.WAIT", 0.05)
    options = {"model": "filters", "max_long_edge": 24, "max_num_epochs": 1, "image_format": "png"}
    jobs = plan("contents", "styles/s0.png", options)
    jobs[0].config.output_dir.mkdir(parents=True)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as one_worker,
        ExitStack() as other,
    ):
        other.enter_context(locked(jobs[0].config.output_dir))
        names = []
        for outcome in paint_on_cluster(jobs, one_worker.scheduler_address):
            assert outcome.path is not None
            names.append(outcome.job.name)
            if len(names) == 2:
                other.close()
    assert names == ["c1_s0", "c2_s0", "c0_s0"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell what a worker does")
def test_a_killed_workers_pictures_are_painted_again(
    cluster: Cluster, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = ["--content-image", "contents", "--style-image", "styles"]
    assert main([*pictures, *FLAGS, "--quiet", "--output-dir", "alone"]) == 0
    workers = cluster.workers(3)
    command = subprocess.Popen(
        [sys.executable, "-m", "nstyle", *pictures, *FLAGS, "--cluster", cluster.address],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    victim = wait_for(lambda: stopped_amidst_a_picture(workers), command)
    victim.send_signal(signal.SIGKILL)
    said, error = command.communicate()
    assert command.returncode == 0, error
    assert "6 of 6 pictures are done, 0 of them by an earlier run" in said
    assert victim.wait() == -signal.SIGKILL
    assert len(pixels(Path("alone"))) == 6 * (3 + 2)  # snapshots; the picture and its copy
    assert pixels(Path("output")) == pixels(Path("alone"))


def stopped_amidst_a_picture(workers: "list[subprocess.Popen[bytes]]") -> "subprocess.Popen[bytes] | None":
    """Find a worker that is painting, stop it, and return it."""
    for worker in workers:
        if is_painting(worker.pid):
            worker.send_signal(signal.SIGSTOP)
            if is_painting(worker.pid):
                return worker
            worker.send_signal(signal.SIGCONT)
    return None


def is_painting(process: int) -> bool:
    """Tell whether a process has a run's epochs file open."""
    try:
        return any(os.readlink(link).endswith("epochs.csv") for link in Path(f"/proc/{process}/fd").iterdir())
    except OSError:
        return False


def test_what_is_done_is_skipped_and_what_fails_is_listed(
    cluster: Cluster, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["--content-image", "contents/c0.png", "contents/c1.png", "--style-image", "styles/s0.png", *FLAGS]) == 0
    )
    before = Path("output/c0_s0.png").stat().st_mtime_ns
    Path("contents/bad.jpg").write_text("no picture")
    cluster.workers(1)
    flags = ["--content-image", "contents", "--style-image", "styles/s0.png", *FLAGS, "--cluster", cluster.address]
    capsys.readouterr()
    assert main(flags) == 1
    said = capsys.readouterr()
    assert "contents/bad.jpg in the style of styles/s0.png: contents/bad.jpg" in said.err
    assert "3 of 4 pictures are done, 2 of them by an earlier run" in said.out
    assert Path("output/c0_s0.png").stat().st_mtime_ns == before
    assert Path("output/c2_s0.png").exists()
    jobs = plan(["gone.png", "contents/c0.png"], "styles/s1.png", {"max_long_edge": 24, "max_num_epochs": 1})
    (first, *rest) = paint_on_cluster(jobs, cluster.address, fail_fast=True)
    assert first.reason is not None
    assert not rest
    Path("contents/bad.jpg").unlink()
    assert main(["--content-image", "contents", "--style-image", "styles/s0.png", *FLAGS, "--cluster", "nobody"]) == 0


def test_nobody_there(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstyle.batch.cluster.PATIENCE", 1)
    given = ["--content-image", "contents/c0.png", "--style-image", "styles/s0.png", *FLAGS]
    assert main([*given, "--cluster", "tcp://127.0.0.1:9"]) == 1
    assert "tcp://127.0.0.1:9" in capsys.readouterr().err
    with refuses(ClusterError, kind=Kind.MISSING, flag="--cluster"):
        next(paint_on_cluster(plan("contents", "styles", {}), "tcp://127.0.0.1:9"))


def test_without_dask(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with refuses(ClusterError, kind=Kind.MISSING, flag="--cluster") as refused:
        next(paint_on_cluster(plan("contents", "styles", {}), "tcp://127.0.0.1:9"))
    assert "nstyle[cluster]" in str(refused.value)


def test_a_worker_paints_as_if_it_were_here(here: Path, tmp_path: Path) -> None:
    (here / "elsewhere").mkdir()
    config = Config(
        content_image=Path("contents/c0.png"), style_image=Path("styles/s0.png"), max_long_edge=24, max_num_epochs=1
    )
    os.chdir("elsewhere")
    outcome = _paint_there(Job(config, "a pair"), str(here), None)
    assert Path.cwd() == here / "elsewhere"
    assert outcome.path == here / "output" / "final.jpg"
    assert (here / "output" / "final.jpg").exists()
    outcome = _paint_there(Job(config, "a pair"), str(here / "nowhere"), None)
    assert str(here / "nowhere") in str(outcome.reason)
