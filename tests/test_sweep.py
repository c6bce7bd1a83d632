"""Sweeps: every combination, and a sheet to choose from."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from refusals import refuses

from nstyle.batch.sweep import plan_sweep
from nstyle.batch.sweep_sheet import losses
from nstyle.commands.paint import main
from nstyle.errors import Kind, OptionError
from nstyle.view import films
from nstyle.view.runs import read_run


def chosen(*sweeps: str, **settings: Any) -> list[tuple[Any, ...]]:
    names = [sweep.partition("=")[0].removeprefix("--").replace("-", "_") for sweep in sweeps]
    planned = plan_sweep("c.jpg", "s.jpg", settings, sweeps)
    return [tuple(getattr(job.config, name) for name in names) for job in planned.jobs]


def test_every_combination() -> None:
    assert chosen("style-weight=0.5,1,2", "content_weight=5,10") == [
        *((0.5, 5.0), (0.5, 10.0), (1.0, 5.0), (1.0, 10.0), (2.0, 5.0), (2.0, 10.0))
    ]
    assert chosen("--seed=1, 2,1") == [(1,), (2,)]
    assert chosen("max-num-epochs=60,30", max_num_epochs=(5, 3)) == [(60,), (30,)]
    assert chosen("init=content,noise", lr=0.5) == [("content",), ("noise",)]


def test_folders_labels_and_sizes() -> None:
    sweep = plan_sweep("c.jpg", "s.jpg", {"output_dir": "out"}, ["style-weight=0.5,1e6", "init=content,a/b.jpg"])
    assert [job.config.output_dir.relative_to(Path.cwd()) for job in sweep.jobs] == [
        *(Path("out/sweep/style-weight=0.5_init=content"), Path("out/sweep/style-weight=0.5_init=a-b.jpg")),
        *(Path("out/sweep/style-weight=1e+06_init=content"), Path("out/sweep/style-weight=1e+06_init=a-b.jpg")),
    ]
    assert sweep.labels[1] == "style-weight 0.5\ninit a/b.jpg"
    assert sweep.jobs[1].title == "c.jpg in the style of s.jpg, style-weight 0.5, init a/b.jpg"
    assert (sweep.columns, sweep.sheet) == (2, Path.cwd() / "out" / "sweep.png")
    assert {job.config.max_long_edge for job in sweep.jobs} == {192}
    assert chosen("max-long-edge=64,128") == [(64,), (128,)]
    given = plan_sweep("c.jpg", "s.jpg", {"max_long_edge": 300}, ["lr=1,2"])
    assert {job.config.max_long_edge for job in given.jobs} == {300}


@pytest.mark.parametrize(
    "sweep",
    [
        *("style-weight", "style-weight=", "=1", "nothing=1", "style-weight=1,x", "seed=1.5", "lr=-1", "resume=True"),
        *("content-image=a.jpg", "mask=a.png", "output-dir=x", "blend-style=a", "style-fit=wide", "lr=1,,2"),
    ],
)
def test_what_cannot_be_swept(sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sweep", sweep]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_one_pair_and_each_setting_once(capsys: pytest.CaptureFixture[str]) -> None:
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--sweep"):
        plan_sweep("c.jpg", "s.jpg", {}, ["lr=1", "lr=2"])
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--sweep"):
        plan_sweep(["c.jpg", "d.jpg"], "s.jpg", {}, ["lr=1"])
    assert main(["--sweep", "lr=1", "--pair"]) == 2
    said = capsys.readouterr().err
    assert "--pair" in said
    assert "--sweep" in said


def test_a_sheet_to_choose_from(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[tuple[list[tuple[str, Path]], int | None]] = []

    def noting(path: Path, pictures: list[tuple[str, Path]], columns: int | None = None) -> None:
        sheets.append((pictures, columns))
        films.write_sheet(path, pictures, columns)

    monkeypatch.setattr("nstyle.batch.sweep_sheet.write_sheet", noting)
    output = tmp_path / "out"
    flags = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--output-dir", str(output)]
    flags += ["--max-long-edge", "24", "--max-num-epochs", "2", "--sweep", "style-weight=0,2", "--sweep"]
    assert main([*flags, "content-weight=5,10,20"]) == 0
    assert f"the contact sheet is {output / 'sweep.png'}" in capsys.readouterr().out
    ((pictures, columns),) = sheets
    assert columns == 3
    assert len(pictures) == 6
    label, picture = pictures[4]
    assert label.splitlines()[:2] == ["style-weight 2", "content-weight 10"]
    assert picture == output / "sweep" / "style-weight=2_content-weight=10" / "final.jpg"
    with (picture.parent / "epochs.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    style = sum(float(value) for name, value in last.items() if name.startswith("style_loss_"))
    wanted = [f"content loss {float(last['content_loss']) / 10:.3g}", f"style loss {style / 2:.3g}"]
    assert label.splitlines()[2:] == wanted
    assert losses(read_run(picture.parent)).splitlines() == wanted
    assert pictures[0][0].splitlines()[3] == "style loss -"
    with Image.open(output / "sweep.png") as sheet:
        wide, high = sheet.size
        assert wide > 3 * 24
        assert sheet.convert("L").crop((0, high // 2, wide, high)).getextrema() == (0, 255)  # words on white
    assert not list(output.glob("*.jpg"))
    assert main([*flags, "content-weight=5,10,20"]) == 0
    assert "6 of them by an earlier run" in capsys.readouterr().out


def test_what_cannot_be_painted_is_not_on_the_sheet(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--output-dir", str(tmp_path / "out")]
    flags += ["--max-long-edge", "24", "--max-num-epochs", "1", "--sweep"]
    assert main([*flags, f"init=content,{tmp_path / 'gone.png'}"]) == 1
    said = capsys.readouterr()
    assert "gone.png" in said.err
    assert (tmp_path / "out" / "sweep.png").exists()
    assert main([*flags, f"init={tmp_path / 'gone.png'}", "--output-dir", str(tmp_path / "none")]) == 1
    assert not (tmp_path / "none" / "sweep.png").exists()


def test_the_sheet_replaces_only_an_earlier_sheet(pair: tuple[Path, Path], tmp_path: Path) -> None:
    flags = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--output-dir", str(tmp_path / "out")]
    flags += ["--model", "filters", "--max-long-edge", "24", "--max-num-epochs", "1", "--quiet", "--sweep"]
    sheet = tmp_path / "out" / "sweep.png"
    for seeds in ("seed=1", "seed=1,2"):
        assert main([*flags, seeds]) == 0
    Image.new("RGB", (9, 9)).save(sheet)
    before = sheet.read_bytes()
    for more in ([], ["--overwrite"]):
        assert main([*flags, "seed=3", *more]) == 1
    assert sheet.read_bytes() == before
    assert not (tmp_path / "out" / "sweep" / "seed=3").exists()


def test_a_recipe_is_swept_small(pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstyle.batch.sweep.LONG_EDGE", 25)
    folder = tmp_path / "one"
    options = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--max-num-epochs", "1"]
    assert main([*options, "--max-long-edge", "24", "--output-dir", str(folder)]) == 0
    swept = ["--recipe", str(folder / "final.jpg"), "--sweep", "seed=1", "--output-dir", str(tmp_path / "two")]
    for size, flags in ((25, []), (27, ["--max-long-edge", "27", "--overwrite"])):
        assert main([*swept, *flags]) == 0
        with Image.open(tmp_path / "two" / "sweep" / "seed=1" / "final.jpg") as picture:
            assert max(picture.size) == size


def test_another_optimizer_than_the_recipes_has_its_own_learning_rate(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "one"
    options = ["--content-image", str(pair[0]), "--style-image", str(pair[1]), "--max-num-epochs", "1"]
    assert main([*options, "--max-long-edge", "24", "--output-dir", str(folder), "--quiet"]) == 0
    swept = [
        "--recipe",
        str(folder / "run.json"),
        "--sweep",
        "optimizer=nag,lbfgs",
        "--max-long-edge",
        "24",
        "--quiet",
    ]
    assert main([*swept, "--output-dir", str(tmp_path / "two")]) == 0
    rates = {}
    for record in (tmp_path / "two" / "sweep").glob("*/run.json"):
        settings = json.loads(record.read_text())["settings"]
        rates[settings["optimizer"]] = settings["lr"]
    assert rates == {"nag": 0.001, "lbfgs": 1}
