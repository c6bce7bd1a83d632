"""Shots of a film on the workers of a Dask scheduler: real processes, and one is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from film_runs import FLAGS, contents, negative, painted_film
from films import scene, write_video
from PIL import Image
from test_cluster import ROOT, Cluster, wait_for

from nstyle.commands.paint import main

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's and tornado's own


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as closing:
        yield Cluster(tmp_path_factory.mktemp("cluster"), closing)


@pytest.fixture
def here(style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shots = [scene(4), negative(scene(3, tint=(200, 60, 30))), scene(3, tint=(9, 200, 9))]
    write_video(tmp_path / "clip.mp4", [frame for shot in shots for frame in shot], sound=0.4)
    return tmp_path


def test_the_film_is_the_same_although_a_worker_is_killed(cluster: Cluster, here: Path) -> None:
    alone = painted_film("clip.mp4", here / "style.png", here / "alone")
    (first,) = cluster.workers(1)
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "nstyle", "--film", "clip.mp4", "--style-image", "style.png", *FLAGS),
            *("--cluster", cluster.address),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(Path("output/shots/0001.npz").exists, command)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    painted = len(list(Path("output/frames").iterdir()))
    assert 0 < painted < 10
    cluster.workers(1)
    said, error = command.communicate()
    assert command.returncode == 0, error
    assert "painting 3 shots on 1 worker of " in said
    assert contents(sorted(Path("output/frames").iterdir())) == contents(alone.frames)
    assert alone.path is not None
    assert Path("output/clip.mp4").read_bytes() == alone.path.read_bytes()
    record = json.loads(Path("output/film.json").read_text())
    assert (record["stop_reason"], record["film"]["shots"]) == ("epochs", [[1, 4], [5, 7], [8, 10]])
    rows = Path("output/frames.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(number) for number in range(1, 11)]
    # What is done needs no cluster.
    assert main(["--film", "clip.mp4", "--style-image", "style.png", *FLAGS, "--cluster", "tcp://127.0.0.1:9"]) == 0


def test_after_ctrl_c_a_worker_paints_no_further_frame(
    cluster: Cluster, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import Client

    def interrupt() -> None:
        wait_for(Path("output/shots/0001.npz").exists)
        os.kill(os.getpid(), signal.SIGINT)

    cluster.workers(1)
    flags = ["--film", "clip.mp4", "--style-image", "style.png", *FLAGS, "--frame-epochs", "20", "--no-cuts"]
    thread = threading.Thread(target=interrupt)
    thread.start()
    assert main([*flags, "--cluster", cluster.address]) == 130
    thread.join()
    assert capsys.readouterr().err.startswith("nstyle: error: interrupted; ")
    with Client(cluster.address) as client:
        assert client.submit(int).result() == 0  # when the worker has ended its task
    assert 0 < len(list(Path("output/frames").iterdir())) < 10


def test_a_worker_names_a_broken_frame(cluster: Cluster, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    for number, frame in enumerate(scene(3), start=1):
        Image.fromarray(frame).save(f"photos/{number}.png")
    whole = Path("photos/2.png").read_bytes()
    Path("photos/2.png").write_bytes(whole[: len(whole) // 2])
    cluster.workers(1)
    flags = ["--film", "photos", "--style-image", "style.png", *FLAGS, "--no-cuts", "--cluster", cluster.address]
    assert main(flags) == 1
    error = capsys.readouterr().err
    assert error.startswith("nstyle: error: frame 2: photos/2.png ")
    assert error.count("\n") == 1
    assert [path.name for path in Path("output/frames").iterdir()] == ["000001.png"]
    assert np.asarray(Image.open("output/frames/000001.png")).shape == (32, 48, 3)
