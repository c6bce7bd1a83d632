"""Several paintings in one process: the same pictures as alone, no work done twice, no stop after a failure."""

import gc
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import painted
from PIL import Image

import nstyle
from nstyle import Config, NStyleError, stylize, stylize_many
from nstyle.batch.jobs import Job
from nstyle.batch.local import Outcome, paint
from nstyle.commands.paint import main
from nstyle.losses.objective import Objective, Style, StyleTargets
from nstyle.networks.model import ModelOptions
from nstyle.networks.vgg19 import VGG19
from nstyle.networks.weights import hash_of_weights, read_weights
from nstyle.painting.result import Result
from nstyle.painting.session import Session
from nstyle.painting.stylize import run
from nstyle.pictures.picture import Picture

ROOT = Path(__file__).parent.parent
SMALL: dict[str, Any] = {"max_long_edge": 24, "max_num_epochs": 3, "save_epochs": 2, "image_format": "png"}
SMALL_FLAGS = ["--max-long-edge", "24", "--max-num-epochs", "3", "--save-epochs", "2", "--image-format", "png"]
ON_PATCHES = {"relu2_1": 1.0}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with styles, and contents of two shapes."""
    monkeypatch.chdir(tmp_path)
    for folder, sizes in (("contents", [(30, 40), (40, 30), (30, 40)]), ("styles", [(36, 36), (20, 50)])):
        (tmp_path / folder).mkdir()
        for i, (height, width) in enumerate(sizes):
            painted(height, width, seed=i + len(folder)).save(tmp_path / folder / f"{folder[0]}{i}.png")
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were painted into."""
    noted: list[str] = []

    def noting(config: Config, *rest: Any) -> Result:
        noted.append(config.output_dir.name)
        return run(config, *rest)

    monkeypatch.setattr("nstyle.batch.local.run", noting)
    return noted


def pixels(path: Path) -> bytes:
    return np.asarray(Image.open(path)).tobytes()


def counted(monkeypatch: pytest.MonkeyPatch, name: str, function: Callable[..., Any]) -> list[Any]:
    """Count the calls of one of nstyle's functions."""
    calls: list[Any] = []

    def counting(*given: Any) -> Any:
        calls.append(given)
        return function(*given)

    monkeypatch.setattr(name, counting)
    return calls


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"style_fit": "cover", "style_scale": 1.5},
        {"preserve_colors": "covariance", "style_weight": 3.0},
        {"precision": "bfloat16", "tv_weight": 0.0},
        {"style_loss": "mrf", "style_layers": "relu3_1", "max_long_edge": 44, "scales": 2},
        {"model": "filters", "style_layers": "scale1:2,scale3"},
        {"size": "24x20", "content_weight": 0, "max_long_edge": 50},
    ],
    ids=str,
)
def test_pictures_are_those_of_single_runs_to_the_bit(options: dict[str, Any], here: Path) -> None:
    contents, styles = Path("contents"), Path("styles")
    options = SMALL | options
    outcomes = stylize_many(contents, styles, **options)
    if "size" in options:
        assert [outcome.job.name for outcome in outcomes] == ["s0", "s1"]
    else:
        assert [outcome.job.name for outcome in outcomes] == ["c0_s0", "c1_s0", "c2_s0", "c0_s1", "c1_s1", "c2_s1"]
    for outcome in outcomes:
        content, style = outcome.job.config.content_image, outcome.job.config.style_image
        alone = stylize(content, style, output_dir=here / "alone" / outcome.job.name, **options)
        assert outcome.path == here / "output" / outcome.job.name / "final.png"
        for name in ("final.png", "e_2.png"):
            assert pixels(outcome.path.with_name(name)) == pixels(alone.path.with_name(name)), (outcome, name)
        assert Path("output", f"{outcome.job.name}.png").read_bytes() == outcome.path.read_bytes()
        assert not list(Path("output").glob(".*"))
    assert all(outcome.skipped for outcome in stylize_many(contents, styles, **options))


def test_foreign_weights_are_fitted_to_each_pair(here: Path) -> None:
    """Their scale depends on both pictures, so no result that depends on it may come from a different pair."""
    tensors = read_weights().tensors
    torch.save({**tensors, "conv1_1.weight": tensors["conv1_1.weight"] * 2}, "foreign.pth")
    for outcome in stylize_many("contents", "styles/s0.png", weights="foreign.pth", **SMALL):
        alone = stylize(outcome.job.config.content_image, "styles/s0.png", weights="foreign.pth", **SMALL)
        assert outcome.path is not None
        assert pixels(outcome.path) == pixels(alone.path)
        for path in alone.path.parent.glob("*.*"):
            path.unlink()


def test_network_and_style_are_looked_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = counted(monkeypatch, "nstyle.networks.model.read_weights", read_weights)
    seen: list[tuple[int, ...]] = []
    forward = VGG19.forward

    def noting(self: VGG19, image: torch.Tensor, layers: Any) -> Any:
        if not image.requires_grad and "relu5_1" in layers:
            seen.append(tuple(image.shape[2:]))
        return forward(self, image, layers)

    monkeypatch.setattr(VGG19, "forward", noting)
    stylize_many("contents", "styles", **SMALL)
    assert len(loads) == 1
    assert seen == [(18, 24), (24, 18)] * 2  # each style once per content size


def test_targets_are_known_by_all_that_they_are_made_of(vgg19: VGG19) -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(1, 3, 20, 24, generator=generator) * 50
    part = torch.rand(1, 1, 20, 24, generator=generator)
    shared = StyleTargets(vgg19)
    for style in (
        *(Style(image), Style(image + 1), Style(image, 0.5), Style(image, mask=part), Style(image, region=part)),
        *(Style(image, mask=1 - part), Style(image.reshape(1, 3, 24, 20)), Style(image)),
    ):
        for weight in (1.0, 3.0):
            content = torch.zeros(1, 3, 20, 24)
            for options in (
                {},
                {"style_layers": {"relu1_1": 0.5}},
                {"style_loss": "mrf", "style_layers": ON_PATCHES},
            ):
                ours, alone = (
                    Objective(features, content, [style], style_weight=weight, **options).gradient(image)
                    for features in (shared, vgg19)
                )
                assert torch.equal(ours.gradient, alone.gradient)
                assert ours.style_losses == alone.style_losses


def test_a_session_keeps_style_pictures_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstyle.painting.session.STYLE_BYTES", 10)
    made: list[int] = []

    def make(size: int) -> Picture:
        made.append(size)
        return Picture(np.zeros((1, 1, size), np.uint8))

    session = Session()
    for size in (3, 4, 3, 5, 3, 4, 11, 3):
        assert session.style_picture(f"of {size}", partial(make, size)).rgb.nbytes == size
    assert made == [3, 4, 5, 4, 11]  # 5 evicts 4, 4 evicts 5; 11 never fits


def test_a_session_knows_a_network_by_the_content_of_its_weights(own_weights: str, tmp_path: Path) -> None:
    weights = tmp_path / "w.bin"
    weights.write_bytes(b"first")
    os.utime(weights, (0, 0))
    session, options = Session(), ModelOptions(weights=str(weights))
    first = session.load(own_weights, options)
    assert session.load(own_weights, options) is first
    assert first.model.provenance["sha256"] == "first"
    weights.write_bytes(b"other")
    os.utime(weights, (0, 0))  # its name, size and time are the same
    assert session.load(own_weights, options).model.provenance["sha256"] == "other"
    os.utime(weights, (1, 1))  # only the time is another
    assert len({id(session.load(own_weights, options)) for _ in range(3)}) == 1
    weights.unlink()
    with pytest.raises(FileNotFoundError):
        session.load(own_weights, options)


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that says what is in its weights file."""
    (tmp_path / "with_weights.py").write_text(OWN_WEIGHTS)
    monkeypatch.syspath_prepend(tmp_path)
    return "with_weights:load"


OWN_WEIGHTS = """
import pathlib
import nstyle


def load(options):
    text = pathlib.Path(options.weights).read_text()
    return nstyle.Model(None, (), (), (), provenance={"path": options.weights, "sha256": text, "original": True})
"""


def test_targets_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def features(image: torch.Tensor, layers: Any) -> dict[str, torch.Tensor]:
        looks.append(float(image[0, 0, 0, 0]))
        return {layer: image.expand(1, 64, 4, 4) for layer in layers}

    monkeypatch.setattr("nstyle.losses.objective.TARGET_BYTES", 2 * 64 * 64 * 4)  # two Gram matrices
    targets = StyleTargets(features)
    for value in (1.0, 2.0, 1.0, 3.0, 1.0, 2.0):
        targets.of(Style(torch.full((1, 1, 4, 4), value)), ["relu1_1"], "gram")
    targets.of(Style(torch.full((1, 1, 4, 4), 2.0)), ["relu1_1", "relu1_2"], "gram")
    assert looks == [1, 2, 3, 2, 2]


def test_bad_pictures_stop_nothing_and_nothing_is_painted_twice(
    here: Path, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("contents/bad.jpg").write_text("no picture")
    Path("styles/none.jpg").touch()
    flags = ["--content-image", "contents", "missing.jpg", "--style-image", "styles", *SMALL_FLAGS]
    assert main(flags) == 1
    said = capsys.readouterr()
    reasons = said.err.splitlines()
    assert len(reasons) == 5 * 3 - 3 * 2 + 1
    assert all(line.startswith("nstyle: error: ") for line in reasons)
    assert "missing.jpg in the style of styles/s0.png: missing.jpg" in said.err
    assert "contents/c0.png in the style of styles/none.jpg: styles/none.jpg" in said.err
    assert reasons[-1] == "nstyle: error: 9 of 15 pictures could not be painted"
    assert "6 of 15 pictures are done" in said.out
    assert len(list(Path("output").glob("*.png"))) == 6
    assert {path.name for path in Path("output").iterdir() if path.is_dir()} == {
        f"c{c}_s{s}" for c in range(3) for s in range(2)
    }
    before = {path: path.stat().st_mtime_ns for path in Path("output").rglob("*.png")}
    runs.clear()
    assert main(flags) == 1
    assert not [name for name in runs if "bad" not in name and "none" not in name and "missing" not in name]
    assert capsys.readouterr().err.splitlines() == reasons
    assert {path: path.stat().st_mtime_ns for path in Path("output").rglob("*.png")} == before


def test_fail_fast_leaves_out_the_rest(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--content-image", "missing.jpg", "contents", "--style-image", "styles", *SMALL_FLAGS, "--fail-fast"]
    assert main(flags) == 1
    assert "1 of 8 pictures could not be painted; 7 not tried" in capsys.readouterr().err
    assert not list(Path().glob("output/*.png"))


def test_keep_going_is_the_default(here: Path) -> None:
    given = ["--content-image", "missing.jpg", "contents/c0.png", "--style-image", "styles/s0.png", *SMALL_FLAGS]
    assert main([*given, "--keep-going"]) == 1
    assert Path("output/c0_s0.png").exists()


def test_a_bug_shows_its_traceback(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("nstyle.batch.local.run", broken)
    with pytest.raises(ZeroDivisionError):
        stylize_many("contents", "styles", **SMALL)


def again(runs: list[str], **options: Any) -> list[str]:
    """Repeat a batch and return what was painted."""
    runs.clear()
    outcomes = stylize_many("contents", "styles/s0.png", **{**SMALL, **options})
    assert [outcome.job.name for outcome in outcomes if not outcome.skipped and not outcome.reason] == runs
    return list(runs)


def test_only_what_is_finished_with_the_same_recipe_is_skipped(here: Path, runs: list[str]) -> None:
    everything = ["c0_s0", "c1_s0", "c2_s0"]
    assert again(runs) == everything
    assert again(runs) == []
    assert again(runs, resume=True) == []
    assert again(runs, overwrite=True) == everything
    Path("output/c1_s0.png").unlink()  # the copy is restored without painting
    assert again(runs) == []
    assert pixels(Path("output/c1_s0.png")) == pixels(Path("output/c1_s0/final.png"))
    Path("output/c1_s0/final.png").unlink()
    assert again(runs) == ["c1_s0"]
    record = Path("output/c2_s0/run.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"stop_reason": "interrupted"}))
    assert again(runs) == ["c2_s0"]
    painted(30, 40, seed=99).save("contents/c0.png")  # a different picture with the same name
    outcomes = stylize_many("contents", "styles/s0.png", **SMALL)
    assert "c0.png has changed since" in str(outcomes[0].reason)
    assert again(runs, overwrite=True, lr=0.002) == everything
    assert pixels(Path("output/c0_s0.png")) == pixels(Path("output/c0_s0/final.png"))
    assert again(runs, lr=0.002, weights="embedded") == []


def test_a_picture_that_is_not_the_records_is_painted_anew(here: Path, runs: list[str]) -> None:
    """A full disk may cause this: the record says finished, but the picture is of an interrupted run."""
    again(runs)
    stylize("contents/c0.png", "styles/s0.png", output_dir="cut", **{**SMALL, "max_num_epochs": 1})
    Path("cut/final.png").replace("output/c0_s0/final.png")
    assert again(runs) == ["c0_s0"]


def test_finished_batches_load_no_network(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise AssertionError

    stylize_many("contents", "styles", **SMALL)
    monkeypatch.setattr("nstyle.networks.model.read_weights", load)
    assert all(outcome.skipped for outcome in stylize_many("contents", "styles", **SMALL))


def test_weights_are_known_by_their_files(tmp_path: Path) -> None:
    assert hash_of_weights("embedded") == read_weights().sha256
    torch.save(dict(read_weights().tensors), tmp_path / "mine.pth")
    assert hash_of_weights(str(tmp_path / "mine.pth")) == read_weights(tmp_path / "mine.pth").sha256
    with pytest.raises(NStyleError):
        hash_of_weights("nothing.pth")


def test_resume_goes_on_with_each(here: Path) -> None:
    whole = stylize_many("contents", "styles/s0.png", **SMALL)
    (Path("output")).rename("whole")
    stylize_many("contents", "styles/s0.png", **{**SMALL, "max_num_epochs": 2})
    epochs: list[tuple[str, int]] = []
    stylize_many(
        *("contents", "styles/s0.png"),
        callback=lambda step, job: epochs.append((job.name, step.epoch)),
        resume=True,
        **SMALL,
    )
    assert epochs == [("c0_s0", 2), ("c1_s0", 2), ("c2_s0", 2)]
    for outcome in whole:
        name = outcome.job.name
        assert pixels(Path("output", f"{name}.png")) == pixels(Path("whole", f"{name}.png"))


@pytest.mark.parametrize("kind", ["picture", "painting", "folder"])
def test_a_copy_is_laid_over_nothing_of_the_users(kind: str, here: Path, runs: list[str]) -> None:
    Path("output").mkdir()
    copy = Path("output/c1_s0.png")
    if kind == "picture":
        painted(20, 20).save(copy)
    elif kind == "painting":
        stylize("contents/c0.png", "styles/s1.png", output_dir="other", **SMALL).path.rename(copy)
    else:
        copy.mkdir()
    before = pixels(copy) if copy.is_file() else b""
    outcomes = stylize_many("contents", "styles/s0.png", **SMALL)
    assert [outcome.reason is None for outcome in outcomes] == [True, False, True]
    assert str(copy) in str(outcomes[1].reason)
    if kind != "folder":
        assert again(runs, overwrite=True) == ["c0_s0", "c2_s0"]
        assert pixels(copy) == before
        copy.unlink()
        assert again(runs) == ["c1_s0"]
        assert pixels(copy) == pixels(Path("output/c1_s0/final.png"))


def test_a_copy_without_a_recipe_is_known_by_the_record(here: Path, runs: list[str]) -> None:
    """A batch goes on after Ctrl-C: its old copy is neither the picture in the folder, nor has it a recipe."""
    options: dict[str, Any] = {**SMALL, "model": "filters", "stop_eps": 0, "no_recipe": True}

    def stop(step: Any, _: Job) -> None:
        if step.epoch == 2:
            raise KeyboardInterrupt

    stylize_many("contents/c*0.png", "styles/s0.png", **{**options, "max_num_epochs": 1})
    with pytest.raises(KeyboardInterrupt):
        stylize_many(
            "contents/c*0.png", "styles/s0.png", callback=stop, resume=True, **{**options, "max_num_epochs": 5}
        )
    copy, final = Path("output/c0_s0.png"), Path("output/c0_s0/final.png")
    assert pixels(copy) != pixels(final)
    (outcome,) = stylize_many("contents/c*0.png", "styles/s0.png", **{**options, "max_num_epochs": 5}, resume=True)
    assert outcome.reason is None
    assert pixels(copy) == pixels(final)
    copy.unlink()
    painted(20, 20).save(copy)
    (outcome,) = stylize_many("contents/c*0.png", "styles/s0.png", **options, overwrite=True)
    assert str(copy) in str(outcome.reason)


def test_a_copy_where_there_are_no_links(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    (first, *_) = stylize_many("contents", "styles/s0.png", **SMALL)
    assert first.path is not None
    assert Path("output/c0_s0.png").read_bytes() == first.path.read_bytes()
    assert not Path("output/c0_s0.png").samefile(first.path)


def test_what_python_gets(here: Path) -> None:
    watched: list[Outcome] = []
    steps: list[str] = []
    outcomes = stylize_many(
        ["contents/c0.png", "gone.png"],
        ["styles/s0.png", "styles/s1.png"],
        pair=True,
        callback=lambda step, job: steps.append(job.name),
        watch=watched.append,
        **SMALL,
    )
    assert outcomes == watched
    assert [(outcome.path, outcome.skipped) for outcome in outcomes] == [
        *((here / "output/c0_s0/final.png", False), (None, False))
    ]
    assert "gone.png" in str(outcomes[1].reason)
    assert steps == ["c0_s0"] * 3
    assert nstyle.Outcome is Outcome
    (followed,) = stylize_many(
        "contents/c0.png", "styles/s0.png", recipe="output/c0_s0.png", output_dir="again", max_num_epochs=1
    )
    assert followed.job.config.image_format == "png"
    assert Path("again/final.png").exists()


def test_lines_name_the_pair(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--content-image", "contents/c0.png", "contents/c1.png", "--style-image", "styles/s0.png", *SMALL_FLAGS]
    assert main(flags) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 of 2: contents/c1.png in the style of styles/s0.png" in lines
    assert [line.split(":")[0] for line in lines if "epoch 1 of at most 3" in line] == ["c0_s0", "c1_s0"]
    assert lines[-1] == "2 of 2 pictures are done, 0 of them by an earlier run"
    assert main([*flags, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_two_bars_on_a_terminal(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["--content-image", "contents", "--style-image", "styles/s0.png", *SMALL_FLAGS]) == 0
    shown = terminal.getvalue()
    assert "3/3" in shown
    assert "picture" in shown
    assert "epoch/s" in shown
    assert "epoch 1 of" not in shown


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--content-image", "contents", "--style-image", "styles", "--pair"], "--pair"),
        (["--content-image", "contents", "--lr", "-1"], "--lr"),
        (["--keep-going", "--fail-fast"], "not allowed"),
    ],
)
def test_wrong_usage(flags: list[str], word: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(flags)
    except SystemExit as stop:
        code = int(str(stop.code))
    assert code == 2
    assert word in capsys.readouterr().err


def test_nothing_that_matches(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--content-image", "nowhere/*.jpg", "--style-image", "styles"]) == 1
    said = capsys.readouterr().err
    assert "nowhere/*.jpg" in said
    assert said.count("\n") == 1


def test_interrupted(here: Path) -> None:
    flags = ["--content-image", "contents", "--style-image", "styles/s0.png", "--max-long-edge", "24", "--verbose"]
    endless = ["--max-num-epochs", "1000000", "--stop-eps", "0"]
    stylize_many("contents/c0.png", "styles/s0.png", output_dir="output/c0_s0", max_long_edge=24, max_num_epochs=1)
    command = subprocess.Popen(
        [sys.executable, "-m", "nstyle", *flags, *endless],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    for line in command.stdout:
        if line.startswith("c1_s0: epoch 3 "):
            break
    command.send_signal(signal.SIGINT)
    _, error = command.communicate()
    assert command.returncode == 130
    assert error.count("\n") == 1
    assert "epochs is output/c1_s0/final.jpg" in error
    assert "; 0 of 3 pictures are done" in error
    assert not Path("output/c1_s0.jpg").exists()
    assert json.loads(Path("output/c1_s0/run.json").read_text())["stop_reason"] == "interrupted"


def tensors_held() -> tuple[int, int]:
    """Number and total bytes of the tensors in this process."""
    gc.collect()
    held = [thing for thing in gc.get_objects() if type(thing) in (torch.Tensor, torch.nn.Parameter)]
    return len(held), sum(tensor.nbytes for tensor in held)


def resident() -> int:
    """Resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell")
def test_memory_stays_flat(here: Path) -> None:
    """No more tensors after 86 pictures than after 21, when the caches are full.

    Memory outside of Python grows by at most 8 MB in between, as measured; one network has 80 MB.
    `scripts/bench_batch.py` measures this for 200 pictures.
    """
    for i in range(40):
        painted(16 + i % 5, 24, seed=i).save(f"contents/many{i}.png")
    held: list[tuple[int, int]] = []
    memory: list[int] = []

    def watch(outcome: Outcome) -> None:
        memory.append(resident())
        if len(memory) in (21, 86):
            held.append(tensors_held())

    stylize_many("contents", "styles", watch=watch, max_long_edge=24, max_num_epochs=1)
    assert len(memory) == 86
    assert held[1] == held[0]
    assert memory[-1] < memory[20] + 25e6


def test_a_failure_holds_no_picture(here: Path) -> None:
    outcome = paint(Job(Config(content_image=Path("gone.png")), "gone"), Session())
    assert outcome.reason is not None
    assert not any(isinstance(value, BaseException) for value in vars(outcome).values())
