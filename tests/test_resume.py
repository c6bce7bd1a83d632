"""Resuming a run is bit-exact. What nstyle may overwrite, and what not."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from recipes import recipe
from refusals import refuses

from nstyle import Config, RecipeError, stylize
from nstyle.commands.paint import main
from nstyle.errors import Kind
from nstyle.losses.tiles import Tiling
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.optim.descent import DescentState
from nstyle.painting.ways import WHOLE, Way
from nstyle.storage.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

SMALL: dict[str, Any] = {
    "max_long_edge": 32,
    "max_num_epochs": 9,
    "save_epochs": 2,
    "lr_sched_delay": 3,
    "image_format": "png",
}


class KilledError(Exception):
    """Stands for the end of the process."""


def killed_after(epochs: int) -> Any:
    """A callback that ends the run like a power failure: nothing more is saved."""

    def callback(step: Any) -> None:
        if step.epoch + 1 == epochs:
            raise KilledError

    return callback


def save_nothing_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """End a run as if its process were killed."""
    for observer in ("FinalPicture", "Checkpoints", "Record"):
        monkeypatch.setattr(f"nstyle.painting.observers.{observer}.close", lambda self, ending: None)


def files(folder: Path) -> dict[str, Any]:
    """The files of a run in a comparable form, without times."""
    found: dict[str, Any] = {}
    for path in folder.iterdir():
        if path.suffix == ".png":
            found[path.name] = np.asarray(Image.open(path)).tobytes()
        elif path.suffix == ".csv":
            with path.open(newline="") as file:
                found[path.name] = [line[:-1] for line in csv.reader(file)]
        elif path.suffix == ".npz":
            checkpoint, _ = read_checkpoint(path, torch.device("cpu"))
            state = checkpoint.descent
            tensors = {"image": state.image, **state.memory}
            found[path.name] = (
                checkpoint.scale,
                checkpoint.epoch,
                state.epoch,
                state.rate_factor,
                {n: t.numpy().tobytes() for n, t in tensors.items()},
            )
        else:
            facts = json.loads(path.read_text())
            found[path.name] = {
                **facts,
                "started": 0,
                "seconds": 0,
                "settings": {**facts["settings"], "output_dir": 0},
            }
    return found


def counting(epochs: list[int]) -> Any:
    """A callback that records each epoch."""
    return lambda step: epochs.append(step.epoch)


def kill_and_resume(
    pair: tuple[Path, Path],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
    options: dict[str, Any],
    epochs: int,
) -> None:
    """Kill a run during its epochs. It resumes from its last checkpoint and writes the same files."""
    whole = stylize(*pair, output_dir=folder / "whole", **options)
    with monkeypatch.context() as patched:
        save_nothing_at_the_end(patched)
        with pytest.raises(KilledError):
            stylize(*pair, killed_after(after), output_dir=folder / "killed", **options)
    done: list[int] = []
    resumed = stylize(*pair, counting(done), output_dir=folder / "killed", resume=True, **options)
    every = options["save_epochs"]
    assert done == list(range(after // every * every, epochs))
    assert torch.equal(resumed.image, whole.image)
    assert files(folder / "killed") == files(folder / "whole")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("after", [1, 2, 5, 9])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    after: int, optimizer: str, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_and_resume(pair, tmp_path, monkeypatch, after, {**SMALL, "optimizer": optimizer}, epochs=9)


def paint_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `max_memory` decide the way of tiny pictures, too: tiles of several sizes, or whole."""
    ways = {"1GB": Way(Tiling(values=2**12)), "2GB": Way(Tiling(blocks=2, values=2**13)), None: WHOLE}
    monkeypatch.setattr("nstyle.painting.memory.Memory.ways", lambda memory: [ways[memory.config.max_memory]])
    monkeypatch.setattr("nstyle.painting.session.memory_in_use", lambda device: 0)


TILED: dict[str, Any] = {**SMALL, "model": "filters", "init": "content", "max_long_edge": 48, "max_memory": "1GB"}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_run_in_tiles_goes_on_in_the_same_memory_as_if_nothing_had_happened(
    optimizer: str,
    pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paint_in_tiles(monkeypatch)
    kill_and_resume(pair, tmp_path, monkeypatch, 5, {**TILED, "optimizer": optimizer}, epochs=9)
    assert json.loads((tmp_path / "killed" / "run.json").read_text())["tiles"][0]["values"] == 2**12
    assert "other tiles" not in caplog.text


@pytest.mark.parametrize(("memory", "tiles"), [("2GB", [{"blocks": 2, "values": 2**13}]), (None, None)])
def test_a_killed_run_in_tiles_goes_on_in_other_memory_as_near_as_rounding(
    memory: str | None,
    tiles: object,
    pair: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paint_in_tiles(monkeypatch)
    whole = stylize(*pair, output_dir=tmp_path / "whole", **TILED)
    with monkeypatch.context() as patched:
        save_nothing_at_the_end(patched)
        with pytest.raises(KilledError):
            stylize(*pair, killed_after(5), output_dir=tmp_path / "killed", **TILED)
    assert "other tiles" not in caplog.text
    resumed = stylize(*pair, output_dir=tmp_path / "killed", resume=True, **{**TILED, "max_memory": memory})
    assert "killed was painted in other tiles" in caplog.text
    assert not torch.equal(resumed.image, whole.image)
    torch.testing.assert_close(resumed.image, whole.image, rtol=0, atol=0.01)
    assert json.loads(resumed.record.read_text()).get("tiles") == tiles


def test_an_interrupted_run_goes_on_where_it_was(pair: tuple[Path, Path], tmp_path: Path) -> None:
    def interrupt(step: Any) -> None:
        if step.epoch == 4:
            raise KeyboardInterrupt

    whole = stylize(*pair, output_dir=tmp_path / "whole", **SMALL)
    with pytest.raises(KeyboardInterrupt):
        stylize(*pair, interrupt, output_dir=tmp_path / "cut", **SMALL)
    epochs: list[int] = []
    resumed = stylize(*pair, counting(epochs), output_dir=tmp_path / "cut", resume=True, **SMALL)
    assert epochs == [5, 6, 7, 8]
    assert torch.equal(resumed.image, whole.image)
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_a_finished_run_is_left_as_it_is_or_made_longer(pair: tuple[Path, Path], tmp_path: Path) -> None:
    longer = {**SMALL, "max_num_epochs": 13}
    whole = stylize(*pair, output_dir=tmp_path / "whole", **longer)
    short = stylize(*pair, output_dir=tmp_path / "short", **SMALL)
    before = files(tmp_path / "short")
    again = stylize(*pair, output_dir=tmp_path / "short", resume=True, **SMALL)
    assert (again.epochs, again.stop_reason) == (9, "epochs")
    assert torch.equal(again.image, short.image)
    assert files(tmp_path / "short") == before
    resumed = stylize(*pair, output_dir=tmp_path / "short", resume=True, **longer)
    assert torch.equal(resumed.image, whole.image)
    assert files(tmp_path / "short") == files(tmp_path / "whole")


def test_a_run_that_stopped_by_itself_stays_stopped_unless_less_change_is_asked_for(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    stopped = stylize(*pair, output_dir=tmp_path, stop_eps=0.4, **SMALL)
    assert (stopped.epochs, stopped.stop_reason) == (4, "relative change")
    again = stylize(*pair, output_dir=tmp_path, stop_eps=0.4, resume=True, **SMALL)
    assert (again.epochs, again.stop_reason) == (4, "relative change")
    with refuses(RecipeError, kind=Kind.CONFLICT, path=tmp_path, flag="--stop-eps"):
        stylize(*pair, output_dir=tmp_path, stop_eps=0.5, resume=True, **SMALL)
    further = stylize(*pair, output_dir=tmp_path, stop_eps=0, resume=True, **SMALL)
    assert torch.equal(further.image, stylize(*pair, output_dir=tmp_path / "whole", stop_eps=0, **SMALL).image)


def test_without_an_earlier_run_it_begins(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert stylize(*pair, output_dir=tmp_path, resume=True, **SMALL).epochs == 9


def test_what_cannot_be_taken_up(pair: tuple[Path, Path], tmp_path: Path) -> None:
    stylize(*pair, output_dir=tmp_path, **SMALL)
    before = files(tmp_path)
    with refuses(RecipeError, kind=Kind.CONFLICT, path=tmp_path, flag="--resume") as refused:
        stylize(*pair, output_dir=tmp_path, resume=True, lr=0.002, **SMALL)
    assert "--lr 0.001 (now 0.002)" in str(
        refused.value
    )  # what differs, and how to continue with the earlier settings
    assert f"--recipe {tmp_path / 'run.json'} --resume" in str(refused.value)
    with refuses(RecipeError, kind=Kind.CONFLICT, path=tmp_path, flag="--max-num-epochs"):
        stylize(*pair, output_dir=tmp_path, resume=True, **{**SMALL, "max_num_epochs": 5})
    with refuses(RecipeError, kind=Kind.CONFLICT, path=tmp_path, flag="--resume") as refused:
        stylize(pair[1], pair[1], output_dir=tmp_path, resume=True, **SMALL)
    assert f"--content-image {pair[0]} (now {pair[1]})" in str(refused.value)
    assert files(tmp_path) == before


def test_a_recipe_and_resume_go_together(pair: tuple[Path, Path], tmp_path: Path) -> None:
    whole = stylize(*pair, output_dir=tmp_path / "whole", **SMALL)
    with pytest.raises(KilledError):
        stylize(*pair, killed_after(4), output_dir=tmp_path / "cut", **SMALL)
    assert main(["--recipe", str(tmp_path / "cut" / "run.json"), "--resume", "--quiet"]) == 0
    assert files(tmp_path / "cut")["final.png"] == files(whole.path.parent)["final.png"]


def test_pictures_of_other_settings_are_not_written_over(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "output"
    stylize(*pair, output_dir=output, **SMALL)
    before = files(output)
    flags = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--output-dir", str(output), "--quiet"]
    flags += ["--max-long-edge", "32", "--max-num-epochs", "3", "--image-format", "png"]
    assert main(flags) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "--max-num-epochs 9 (now 3)" in complaint
    assert "--overwrite" in complaint
    assert files(output) == before
    assert main([*flags, "--overwrite"]) == 0
    assert sorted(path.name for path in output.iterdir()) == ["epochs.csv", "final.png", "run.json", "state.npz"]
    assert main(flags) == 0  # the same command may be repeated
    assert main([*flags, "--image-format", "jpg"]) == 1  # even beside them, the record would be lost


def test_a_run_that_never_made_a_picture_is_in_nobodys_way(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    facts = recipe(Config(seed=5)).facts()
    (output / "run.json").write_text(json.dumps(facts))
    assert stylize(*pair, output_dir=output, **SMALL).epochs == 9


def test_overwriting_spares_the_users_own_pictures(pair: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "output"
    stylize(*pair, output_dir=output, **{**SMALL, "image_format": "jpg"})
    own = output / "e_77.png"
    pair[0].rename(own)
    stylize(own, pair[1], output_dir=output, overwrite=True, **{**SMALL, "image_format": "jpg", "max_num_epochs": 3})
    assert sorted(path.name for path in output.glob("*_*")) == ["e_2.jpg", "e_77.png"]


def test_state_and_back(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    image, velocity = (torch.randn(1, 3, 20, 20, generator=generator) for _ in range(2))
    ours = recipe(Config(seed=4))
    for memory in ({}, {"velocity": velocity}):
        written = Checkpoint(DescentState(image, 7, memory, 0.25, 0.1 + 0.2), scale=2, epochs_before=5)
        write_checkpoint(tmp_path / "state.npz", written, ours)
        checkpoint, its_recipe = read_checkpoint(tmp_path / "state.npz", torch.device("cpu"))
        state = checkpoint.descent
        assert (checkpoint.scale, checkpoint.epochs_before, checkpoint.epoch) == (2, 5, 12)
        assert its_recipe == ours
        assert (state.epoch, state.rate_factor, state.relative_change) == (7, 0.25, 0.1 + 0.2)
        assert torch.equal(state.image, image)
        assert set(state.memory) == set(memory)
        assert all(torch.equal(state.memory[name], memory[name]) for name in memory)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "other size", "compressed", "array", "header"])
def test_damaged_states(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    write_checkpoint(path, Checkpoint(DescentState(torch.zeros(1, 3, 20, 20), 7)), recipe())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage in ("empty", "cut", "flipped", "text"):
        whole = path.read_bytes()
        path.write_bytes(
            {"empty": b"", "cut": whole[: len(whole) // 2], "flipped": bytes(content), "text": b"no state"}[damage]
        )
    elif damage == "header":  # found by scripts/fuzz.py: numpy's reader fails on it
        path.write_bytes(path.read_bytes().replace(b"20, 20), }", b"20, 20   }"))
    elif damage == "other size":
        write_checkpoint(path, Checkpoint(DescentState(torch.zeros(1, 3, 20, 21), 7)), recipe())
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        with np.load(path) as archive:
            np.savez_compressed(path, **dict(archive))
    with refuses(RecipeError, kind=Kind.DAMAGED, path=path):
        read_checkpoint(path, torch.device("cpu"))


@pytest.mark.parametrize(("scale", "height", "width"), [(1, 20, 32), (2, 21, 32), (0, 21, 32)])
def test_a_state_of_no_scale_of_the_painting(
    scale: int, height: int, width: int, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    stylize(*pair, output_dir=tmp_path, **SMALL)
    path = tmp_path / "state.npz"
    _, its_recipe = read_checkpoint(path, torch.device("cpu"))
    write_checkpoint(path, Checkpoint(DescentState(torch.zeros(1, 3, height, width), 7), scale), its_recipe)
    with refuses(RecipeError, kind=Kind.DAMAGED, path=path):
        stylize(*pair, output_dir=tmp_path, resume=True, **SMALL)


FULL_DISK = """
set -eu
mount -t tmpfs -o size={size}k tmpfs "$1"
shift
set +e
"$@"
echo "exit $?"
cp -r "$OUT" "$COPY"
"""


@pytest.mark.parametrize("size", [40, 90, 150])
def test_a_full_disk_leaves_what_was_there(size: int, pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A file system in memory of this many kB, which fills up while snapshots are written."""
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    command = [sys.executable, "-m", "nstyle", "--content-image", str(pair[0]), "--style-image", str(pair[1])]
    command += ["--output-dir", str(disk / "output"), "--max-long-edge", "48", "--save-epochs", "1", "--quiet"]
    command += ["--image-format", "tiff", "--device", "cpu", "--max-num-epochs", "100"]
    script = ["sh", "-c", FULL_DISK.format(size=size), "sh", str(disk), *command]
    unshare = ["unshare", "--mount", "--map-root-user"]
    environment = {**os.environ, "OUT": str(disk / "output"), "COPY": str(copy)}
    try:
        done = subprocess.run([*unshare, *script], capture_output=True, text=True, env=environment, timeout=300)
    except FileNotFoundError:
        pytest.skip("this system has no unshare to mount a small disk with")
    if "exit" not in done.stdout:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    assert "exit 1\n" in done.stdout
    complaint = [line for line in done.stderr.splitlines() if "nstyle" in line or "Traceback" in line]
    assert len(complaint) == 1, done.stderr
    assert complaint[0].startswith("nstyle: error: cannot write ")
    assert "No space left on device" in complaint[0]
    snapshots = list(copy.glob("e_*.tiff"))
    assert snapshots or size == 40
    for path in [*snapshots, *copy.glob("final.*")]:
        with Image.open(path) as picture:
            picture.load()
    assert not list(copy.glob(".*"))
    if (copy / "state.npz").exists():
        checkpoint, _ = read_checkpoint(copy / "state.npz", torch.device("cpu"))
        assert checkpoint.epoch in (len(snapshots), len(snapshots) - 1)
    else:
        assert size == 40
