"""Films that were stopped: killed at any moment, interrupted, with another end; and what a new film may replace."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from film_runs import SMALL, contents, negative, painted_film
from films import scene, write_video
from moving import pan
from PIL import Image
from refusals import refuses
from torch import Tensor

from nstyle.commands.paint import main
from nstyle.errors import ImageError, Kind, OutputError
from nstyle.film import sequence, shot_run
from nstyle.film.filling import filled
from nstyle.film.folder import FilmFolder, FrameRow
from nstyle.film.reliability import BoolMask
from nstyle.film.run import FilmProgress
from nstyle.film.sequence import ShotState
from nstyle.film.shot_file import read_shot, write_shot
from nstyle.film.shot_run import ShotPlan
from nstyle.film.video import open_video
from nstyle.pictures.decode import read_picture
from nstyle.storage.lock import locked

ROOT = Path(__file__).parent.parent

KILLED = """
import json, os, pathlib, sys

import av, cv2, scenedetect, skimage.transform, torch
import nstyle

torch.set_num_threads(1)
arguments, moments = json.loads(sys.argv[1]), json.loads(sys.argv[2])
paint = nstyle.stylize_film


def die_at(moment, is_after):
    replace, left = pathlib.Path.replace, [moment]

    def counted(self, target):
        left[0] -= 1
        if left[0] == 0 and not is_after:
            os.kill(os.getpid(), 9)
        replace(self, target)
        if left[0] == 0:
            os.kill(os.getpid(), 9)

    pathlib.Path.replace = counted


ends = []
for moment, is_after in moments:
    child = os.fork()
    if child == 0:
        die_at(moment, is_after)
        paint(**arguments)
        os._exit(0)
    ends.append(os.waitpid(child, 0)[1])
print(json.dumps(ends))
"""
"""Paints a film in child processes, each of which kills itself before or after its nth file is put in place."""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", [*scene(4), *negative(scene(2, tint=(200, 60, 30)))])


def test_killed_ten_times_it_is_the_same_film(clip: Path, style: Path, tmp_path: Path) -> None:
    """Each run puts its record and the log in place first, then a source's frame, a frame and a state in turn."""
    whole = painted_film(clip, style, tmp_path / "whole")
    chance = np.random.default_rng(5)
    later = zip(chance.integers(3, 7, size=8).tolist(), (chance.random(8) < 0.5).tolist(), strict=True)
    moments = [(1, True), (2, False), *later]
    arguments = {"film": str(clip), "style_image": str(style), "output_dir": str(tmp_path / "killed"), **SMALL}
    command = [sys.executable, "-c", KILLED, json.dumps(arguments), json.dumps(moments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ends = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert ends == [signal.SIGKILL] * 10
    record = json.loads((tmp_path / "killed" / "film.json").read_text())
    assert record["stop_reason"] == "running"
    more = painted_film(clip, style, tmp_path / "killed")
    assert 0 < more.painted < 6
    assert contents(more.frames) == contents(whole.frames)
    assert more.path is not None
    assert whole.path is not None
    assert more.path.read_bytes() == whole.path.read_bytes()
    names = [
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        for folder in (tmp_path / "killed", tmp_path / "whole")
    ]
    assert names[0] == names[1]
    first, second = ((tmp_path / name / "frames.csv").read_text().splitlines() for name in ("killed", "whole"))
    assert [row.rpartition(",")[0] for row in first] == [row.rpartition(",")[0] for row in second]  # but the seconds


def test_ctrl_c(clip: Path, style: Path, tmp_path: Path) -> None:
    flags = [
        *("--film", str(clip), "--style-image", str(style), "--model", "filters", "--max-long-edge", "48"),
        *("--max-num-epochs", "3", "--frame-epochs", "30", "--output-dir", str(tmp_path / "output")),
    ]
    command = subprocess.Popen(
        [sys.executable, "-m", "nstyle", *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "output" / "frames.csv"
    while not log.exists() or log.read_text().count("\n") < 2:
        assert command.poll() is None
        time.sleep(0.005)
    command.send_signal(signal.SIGINT)
    said, error = command.communicate()
    assert command.returncode == 130
    record = json.loads((tmp_path / "output" / "film.json").read_text())
    assert record["stop_reason"] == "interrupted"
    painted = len((tmp_path / "output" / "frames.csv").read_text().splitlines()) - 1
    assert 1 <= painted < 6
    assert error == f"nstyle: error: interrupted; {painted} of 6 frames are painted; the same command continues\n"
    assert "Traceback" not in said
    assert not (tmp_path / "output" / "clip.mp4").exists()
    assert not (tmp_path / "output" / "run.lock").exists()


@pytest.mark.parametrize("is_logged", [False, True])
def test_an_interruption_around_the_log_loses_no_frame(
    is_logged: bool, clip: Path, style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_log = FilmFolder.add_to_log

    def interrupted(folder: FilmFolder, row: FrameRow) -> None:
        if row.frame < 2 or is_logged:
            add_to_log(folder, row)
        if row.frame == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(FilmFolder, "add_to_log", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        painted_film(clip, style, tmp_path / "output", cuts=False)
    assert caught.value.__notes__ == ["2 of 6 frames are painted; the same command continues"]
    log = (tmp_path / "output" / "frames.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["frame", "1", "2"]


def test_an_interruption_between_a_row_and_its_state_saves_neither() -> None:
    class Rows(list[FrameRow]):
        def append(self, row: FrameRow) -> None:
            super().append(row)
            if len(self) == 3:
                raise KeyboardInterrupt

    class Film:
        frames = range(1, 9)
        saved: ClassVar[list[tuple[int, int]]] = []

        def save(self, state: ShotState, rows: list[FrameRow]) -> int:
            self.saved.append((state.frame, len(rows)))
            return 10**12  # bytes: the next state is saved much later

    saver, row = shot_run._Saver(cast(ShotPlan, Film()), Rows(), lambda: True), cast(FrameRow, None)
    saver.add(ShotState(2), row)
    saver.add(ShotState(3), row)
    with pytest.raises(KeyboardInterrupt):
        saver.add(ShotState(4), row)
    saver.close()
    assert Film.saved == [(2, 1), (3, 2)]


@pytest.mark.parametrize("kept", [-30, 100])
def test_a_state_that_is_cut_off_does_not_count(
    kept: int, clip: Path, style: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    painted_film(clip, style, tmp_path / "output", to="2f", cuts=False)
    path = tmp_path / "output" / "shots" / "0001.npz"
    path.write_bytes(path.read_bytes()[:kept])
    begun: list[tuple[int, int]] = []
    progress = FilmProgress(begun=lambda frames, done: begun.append((frames, done)))
    assert painted_film(clip, style, tmp_path / "output", to="2f", cuts=False, progress=progress).painted == 2
    assert begun == [(2, 0)]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"{path} is damaged, or does not fit this film: its shot is painted again"
    ]


def test_a_finished_film_is_not_painted_again(clip: Path, style: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    first = painted_film(clip, style, output)
    before = {path: path.stat().st_mtime_ns for path in first.frames}
    looked: list[int] = []
    again = painted_film(clip, style, output, progress=FilmProgress(looked=looked.append))
    assert again.painted == 0
    assert not looked
    assert {path: path.stat().st_mtime_ns for path in again.frames} == before
    assert again.frames == first.frames
    moved = clip.rename(tmp_path / "moved.mp4")  # the content of the source counts, not its name
    assert painted_film(moved, style, output).painted == 0
    assert (output / "moved.mp4").exists()
    again.frames[1].unlink()
    assert painted_film(moved, style, output).painted == 4  # its shot
    (output / "shots" / "0002.npz").write_bytes(b"damaged")
    assert painted_film(moved, style, output).painted == 2


def test_another_end(clip: Path, style: Path, tmp_path: Path) -> None:
    whole = painted_film(clip, style, tmp_path / "whole")
    output = tmp_path / "output"
    assert painted_film(clip, style, output, to="3f").painted == 3
    more = painted_film(clip, style, output)
    assert more.painted == 3
    assert contents(more.frames) == contents(whole.frames)
    fewer = painted_film(clip, style, output, to="2f")
    assert (fewer.painted, len(fewer.frames)) == (0, 2)
    record = json.loads(fewer.record.read_text())
    assert (record["film"]["frames"], record["film"]["extent"]) == (2, 6)
    assert len(open_video(output / "clip.mp4").timing.starts) == 2
    again = painted_film(clip, style, output)
    assert (again.painted, len(again.frames)) == (0, 6)
    assert contents(again.frames) == contents(whole.frames)
    assert len(open_video(output / "clip.mp4").timing.starts) == 6


def test_a_film_that_copies_what_comes_in_goes_on_the_same(
    style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[bool] = []

    def watched(image: Tensor, known: BoolMask, *others: Any) -> Tensor:
        found = filled(image, known, *others)
        copied.append(not torch.equal(found, filled(image, known, ~known, others[1])))  # mirrored only
        return found

    monkeypatch.setattr(sequence, "filled", watched)
    moving, photos = pan(6, 0, width=176, height=64), tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        Image.fromarray((255 * moving.frame(number)).round().astype(np.uint8)).save(photos / f"{number}.png")
    options = {"cuts": False, "max_long_edge": 176}
    whole = painted_film(photos, style, tmp_path / "whole", **options)
    assert copied == [True] * 3
    painted_film(photos, style, tmp_path / "output", to="2f", **options)
    more = painted_film(photos, style, tmp_path / "output", **options)
    assert more.painted == 2
    assert contents(more.frames) == contents(whole.frames)


@pytest.mark.parametrize("supersampling", [1, 1.5])
def test_stopped_after_each_frame(supersampling: float, clip: Path, style: Path, tmp_path: Path) -> None:
    options = {"to": "3f", "supersampling": supersampling}
    whole, output, painted = (
        painted_film(clip, style, tmp_path / "whole", **options),
        tmp_path / "output",
        list[int](),
    )

    class StoppedError(Exception):
        pass

    def stop(row: Any) -> None:
        painted.append(row.frame)
        raise StoppedError

    for _ in range(3):
        with pytest.raises(StoppedError):
            painted_film(clip, style, output, progress=FilmProgress(painted=stop), **options)
    assert painted == [1, 2, 3]
    result = painted_film(clip, style, output, **options)
    assert contents(result.frames) == contents(whole.frames)
    assert {max(read_picture(path).size) for path in result.frames} == {48}
    sources = [*(output / "source").iterdir()]
    assert {max(read_picture(path).size) for path in sources} == {48}


@pytest.mark.parametrize(("passes", "supersampling"), [(2, 1), (3, 1), (2, 1.5)])
def test_stopped_after_each_frame_of_several_passes(
    passes: int, supersampling: float, clip: Path, style: Path, tmp_path: Path
) -> None:
    options = {"passes": passes, "to": "5f", "supersampling": supersampling}
    whole, output = painted_film(clip, style, tmp_path / "whole", **options), tmp_path / "output"

    class StoppedError(Exception):
        pass

    def stop(row: Any) -> None:
        raise StoppedError

    for _ in range(5 * passes):
        with pytest.raises(StoppedError):
            painted_film(clip, style, output, progress=FilmProgress(painted=stop), **options)
    left = output / "shots" / "0001"  # what a run leaves that is killed before it has cleared it
    left.mkdir()
    (left / "odd_000001.npy").write_text("left")
    result = painted_film(clip, style, output, **options)
    assert result.painted == 0
    assert contents(result.frames) == contents(whole.frames)
    assert [path.name for path in sorted((output / "shots").iterdir())] == ["0001.npz", "0002.npz"]
    once = painted_film(clip, style, tmp_path / "once", to="5f")
    assert contents(once.frames) != contents(whole.frames)


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("passes", [1, 2])
def test_large_states_are_not_saved_after_each_frame(
    passes: int, is_killed: bool, clip: Path, style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But at the first frame, at the end of each pass, and when the film is stopped; if killed, more is painted."""
    options = {"passes": passes, "to": "4f"}
    whole, output = painted_film(clip, style, tmp_path / "whole", **options), tmp_path / "output"
    monkeypatch.setattr(shot_run, "STATE_RATE", 1e-3)
    saved: list[tuple[int, int]] = []
    save = ShotPlan.save

    def noted(self: ShotPlan, state: ShotState, rows: list[FrameRow]) -> int:
        if json.loads(self.folder.record.read_text())["stop_reason"] == "running":  # the film still owns its folder
            saved.append((state.pass_number, state.frame))
        return save(self, state, rows)

    class StoppedError(Exception):
        pass

    def stop(row: FrameRow) -> None:
        if (row.pass_, row.frame) == (passes, 3):
            raise StoppedError

    with monkeypatch.context() as context:
        context.setattr(ShotPlan, "save", noted)
        if is_killed:
            context.setattr(shot_run._Saver, "close", lambda self: None)
        with pytest.raises(StoppedError):
            painted_film(clip, style, output, progress=FilmProgress(painted=stop), **options)
    at_end = [] if is_killed else [(1, 4) if passes == 1 else (2, 2)]
    assert saved == [(1, 2), *([(1, 5)] if passes == 2 else []), *at_end]
    begun: list[int] = []
    again = painted_film(
        clip, style, output, progress=FilmProgress(begun=lambda frames, done: begun.append(done)), **options
    )
    assert begun == [{(1, False): 3, (1, True): 1, (2, False): 6, (2, True): 4}[passes, is_killed]]
    assert contents(again.frames) == contents(whole.frames)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_num_epochs": 4}, "--max-num-epochs 3 (now 4)"),
        ({"temporal_weight": 2.0}, "--temporal-weight 3000 (now --temporal-weight 2)"),
        ({"from_": "2f"}, "--from 1f (now --from 2f)"),
        ({"temporal_distances": (1, 2)}, "--temporal-distances 1 (now --temporal-distances 1,2)"),
        ({"cuts": False}, "--cuts (now --no-cuts)"),
    ],
)
def test_another_film_is_refused(
    options: dict[str, Any],
    named: str,
    clip: Path,
    style: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "output"
    first = painted_film(clip, style, output, to="2f")
    before = contents(first.frames)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output, flag="--output-dir") as refused:
        painted_film(clip, style, output, to="2f", **options)
    assert named in str(refused.value)
    assert contents(first.frames) == before
    other = write_video(tmp_path / "other.mp4", scene(2, tint=(9, 200, 9)))
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output, flag="--output-dir") as refused:
        painted_film(other, style, output, to="2f")
    assert "other.mp4" in str(refused.value)


def test_overwrite_replaces_a_longer_film(clip: Path, style: Path, tmp_path: Path) -> None:
    """Also if the new film is stopped before its end: the old frames go when the new film is there."""
    output = tmp_path / "output"
    (output / "frames").mkdir(parents=True)
    mine = output / "frames" / "000099.png"
    mine.write_text("mine")
    painted_film(clip, style, output)
    options: dict[str, Any] = {"to": "3f", "film_codec": "lossless", "max_num_epochs": 2, "cuts": False}

    class StoppedError(Exception):
        pass

    def stop(row: Any) -> None:
        if row.frame == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        painted_film(clip, style, output, overwrite=True, progress=FilmProgress(painted=stop), **options)
    assert (output / "frames" / "000006.png").exists()
    assert (output / "clip.mp4").exists()
    result = painted_film(clip, style, output, **options)
    assert result.painted == 1
    assert sorted(path.name for path in (output / "frames").iterdir()) == [
        *(f"{number:06}.png" for number in (1, 2, 3, 99))
    ]
    assert [path.name for path in (output / "shots").iterdir()] == ["0001.npz"]
    assert len(list((output / "source").iterdir())) == 3
    assert not (output / "clip.mp4").exists()
    assert (output / "clip.mkv").exists()
    assert mine.read_text() == "mine"
    record = json.loads(result.record.read_text())["film"]
    assert (record["extent"], record["replaces"], record["files"]) == (3, None, ["clip.mkv"])
    alone = painted_film(clip, style, tmp_path / "alone", **options)
    assert contents(result.frames) == contents(alone.frames)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["frames/000002.png", "clip.mp4", "film.json", "frames.csv", "shots/0001.npz"])
def test_files_of_strangers_stay(
    name: str,
    overwrite: bool,
    clip: Path,
    style: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "output"
    (output / name).parent.mkdir(parents=True)
    (output / name).write_text("mine")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / name, flag="--output-dir"):
        painted_film(clip, style, output, overwrite=overwrite)
    assert (output / name).read_text() == "mine"
    assert [path for path in output.rglob("*") if path.is_file()] == [output / name]


@pytest.mark.parametrize("name", ["frames", "source", "shots", "shots/0001", "frames/000001.png", "clip.mp4"])
def test_links_are_not_followed(name: str, clip: Path, style: Path, tmp_path: Path) -> None:
    output, elsewhere = tmp_path / "output", tmp_path / "elsewhere"
    (output / name).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (output / name).symlink_to(elsewhere)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / name, flag="--output-dir"):
        painted_film(clip, style, output, overwrite=True, passes=2)
    assert not list(elsewhere.iterdir())


def test_a_record_that_names_files_elsewhere_deletes_none(clip: Path, style: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    result = painted_film(clip, style, output, to="2f")
    (output / "mine.txt").write_text("mine")
    record = json.loads(result.record.read_text())
    record["film"]["files"] += ["../clip.mp4", str(clip), "frames", "mine.txt", "run.lock"]
    result.record.write_text(json.dumps(record))
    painted_film(clip, style, output, to="2f", overwrite=True)
    assert clip.exists()
    assert (output / "mine.txt").exists()
    assert (output / "frames").is_dir()


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"{", b"[]", b'{"kind": "film"}', b'{"kind": "film", "film": 5}'),
        *(b'{"kind": "film", "film": {"shots": [[1]], "settings": {}}}', b"\xff\xfe"),
    ],
)
def test_a_damaged_record(damage: bytes, clip: Path, style: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "film.json").write_bytes(damage)
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / "film.json", flag="--output-dir"):
        painted_film(clip, style, output, overwrite=True)
    assert (output / "film.json").read_bytes() == damage
    assert main(["--recipe", str(output / "film.json"), "--output-dir", str(tmp_path / "more")]) == 1


@pytest.mark.parametrize("damage", [{"shots": [[1, 9]]}, {"settings": 5}, {"files": 5}])
def test_the_settings_of_a_damaged_record_are_not_left_out(
    damage: dict[str, Any], clip: Path, style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(painted_film(clip, style, tmp_path / "film", to="1f").record.read_text())
    record["film"] |= damage
    recipe = tmp_path / "film.json"
    recipe.write_text(json.dumps(record))
    for film in ([], ["--film", str(clip)]):
        assert main(["--recipe", str(recipe), *film, "--output-dir", str(tmp_path / "more")]) == 1
        assert "film.json is a film's record, but damaged" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("name", ["frames", "source", "shots"])
def test_a_film_is_not_painted_between_its_own_pictures(name: str, style: Path, tmp_path: Path) -> None:
    pictures = tmp_path / name
    pictures.mkdir()
    for number, frame in enumerate(scene(2)):
        Image.fromarray(frame).save(pictures / f"shot{number}.png")
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=pictures, flag="--output-dir"):
        painted_film(pictures, style, tmp_path, overwrite=True)
    assert len(list(pictures.iterdir())) == 2


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_painted_frame_that_was_changed(is_damaged: bool, clip: Path, style: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    changed = painted_film(clip, style, output, to="2f").frames[0]
    before = changed.read_bytes()
    if is_damaged:
        changed.write_bytes(before[:100])
    else:
        Image.new("RGB", (20, 20)).save(changed)
    with refuses(OutputError, kind=Kind.DAMAGED, path=changed) as refused:
        painted_film(clip, style, output, to="2f", film_codec="lossless")
    assert "delete it" in str(refused.value)
    changed.unlink()
    assert painted_film(clip, style, output, to="2f", film_codec="lossless").painted == 2
    assert changed.read_bytes() == before


@pytest.mark.parametrize("recipe", [None, 5, {}, {"settings": {"unknown": 1}}])
def test_a_film_of_another_nstyle_is_kept_or_replaced(recipe: Any, clip: Path, style: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    result = painted_film(clip, style, output, to="2f")
    record = json.loads(result.record.read_text())
    del record["recipe"]
    record |= {} if recipe is None else {"recipe": recipe}
    result.record.write_text(json.dumps(record))
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output, flag="--output-dir") as refused:
        painted_film(clip, style, output, to="2f")
    assert "--overwrite" in str(refused.value)
    assert painted_film(clip, style, output, to="1f", overwrite=True).painted == 1
    assert len(list((output / "frames").iterdir())) == 1


def test_a_source_in_the_output_folder(style: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    clip = write_video(output / "clip.mp4", scene(2))
    before = clip.read_bytes()
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=clip, flag="--output-dir"):
        painted_film(clip, style, output, overwrite=True)
    assert clip.read_bytes() == before
    result = painted_film(clip, style, output, film_codec="prores")
    assert result.path == output / "clip.mov"
    assert clip.read_bytes() == before
    with refuses(OutputError, kind=Kind.IN_THE_WAY, path=output / "frames", flag="--output-dir"):
        painted_film(output / "frames", style, output, overwrite=True)
    assert painted_film(output / "frames", style, tmp_path / "twice").painted == 2


def test_two_runs_do_not_share_a_folder(clip: Path, style: Path, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    with (
        locked(tmp_path / "output"),
        refuses(OutputError, kind=Kind.BUSY, path=tmp_path / "output", flag="--output-dir"),
    ):
        painted_film(clip, style, tmp_path / "output")


def test_what_cannot_be_painted_leaves_no_record(clip: Path, tmp_path: Path) -> None:
    with refuses(ImageError, kind=Kind.MISSING, path=tmp_path / "none.png"):
        painted_film(clip, tmp_path / "none.png", tmp_path / "output")
    assert not (tmp_path / "output" / "film.json").exists()
    assert not list((tmp_path / "output").rglob("*"))


@pytest.mark.parametrize(
    "change",
    [
        lambda state: replace(state, frame=-3),
        lambda state: replace(state, images=()),
        lambda state: replace(state, images=(torch.zeros(1, 3, 20, 30),), shown=None),
        lambda state: replace(state, images=(torch.zeros(1, 3, 20, 30),), shown=np.zeros((20, 30, 3), np.float32)),
        lambda state: replace(state, images=tuple(image * torch.nan for image in state.images)),
    ],
    ids=["frame", "images", "size", "size of all", "values"],
)
def test_a_state_that_somebody_changed_does_not_count(
    change: Callable[[ShotState], ShotState],
    clip: Path,
    style: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    painted_film(clip, style, tmp_path / "output", to="2f", cuts=False)
    path = tmp_path / "output" / "shots" / "0001.npz"
    state, facts = read_shot(path)
    write_shot(path, change(state), facts)
    begun: list[tuple[int, int]] = []
    progress = FilmProgress(begun=lambda frames, done: begun.append((frames, done)))
    again = painted_film(clip, style, tmp_path / "output", to="3f", cuts=False, progress=progress)
    assert (again.painted, begun) == (3, [(3, 0)])
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        f"{path} is damaged, or does not fit this film: its shot is painted again"
    ]
    whole = painted_film(clip, style, tmp_path / "whole", to="3f", cuts=False)
    assert contents(again.frames) == contents(whole.frames)
