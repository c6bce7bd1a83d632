"""Settings without effect beside others: they are named, and they have none indeed."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import painted

from nstyle.commands.paint import main
from nstyle.pictures.decode import read_picture
from nstyle.settings.config import Config
from nstyle.settings.effects import IDLE, OF_THE_OPTIMIZER, without_effect
from nstyle.settings.options import flag

CASES: dict[str, tuple[list[str], list[str]]] = {
    # setting: (the flags beside which it has no effect, two values of it; "": it is not given)
    "seed": (["--init", "content"], ["1", "2"]),
    "scale_factor": ([], ["1.5", "2"]),
    "details": (["--scales", "1"], ["0", "1"]),
    "grain": (["--scales", "1"], ["0", "8"]),
    "coarsest_edge": ([], ["100", "200"]),
    "preview_edge": ([], ["40", "64"]),
    "scales": (["--coarsest-edge", "20"], ["auto", ""]),
    "lr_sched_delay": ([], ["1", "2"]),
    "lr_sched_factor": ([], ["0.5", "0.9"]),
    "style_fit": (["--size", "32x32", "--content-weight", "0"], ["stretch", "area"]),
    "content_layers": (["--content-weight", "0"], ["scale1", "scale2"]),
    "style_layers": (["--style-weight", "0"], ["scale1", "scale2"]),
    "style_loss": (["--style-weight", "0", "--scales", "1"], ["gram", "wasserstein"]),
    "style_crop": (["--style-weight", "0"], ["0,0,20,20", "20,20,20,20"]),
    "content_image": (["--size", "32x32", "--content-weight", "0"], ["content.png", "other.png"]),
    "weights_input": ([], ["rgb", "bgr"]),
    "convolution": ([], ["direct", "winograd"]),
}
PAIRS: dict[str, tuple[list[str], list[list[str]]]] = {
    "blend_style": (["--style-weight", "0"], [["other.png", "1"], ["style.png", "9"]]),
    "style_mask": (["--style-weight", "0"], [["other.png", "all"], ["style.png", "all"]]),
}


def arguments(beside: list[str]) -> list[str]:
    given = [] if "--size" in beside else ["--content-image", "content.png"]
    tiny = ["--model", "filters", "--max-long-edge", "40", "--max-num-epochs", "2", "--device", "cpu"]
    return ["--style-image", "style.png", *given, *tiny, *beside]


@pytest.mark.parametrize("name", [*CASES, *PAIRS])
def test_what_is_said_to_have_no_effect_has_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, file in enumerate(("content", "style", "other")):
        painted(40, 40, seed=number).save(f"{file}.png")
    beside, values = PAIRS[name] if name in PAIRS else (CASES[name][0], [[value] for value in CASES[name][1]])
    results = []
    for number, value in enumerate(values):
        argv = arguments(beside)
        if name == "content_image":
            argv = [word for word in argv if word != "content.png"]
        given = [] if value == [""] else [flag(name), *value]
        assert main([*argv, *given, "--output-dir", str(number), "--image-format", "png"]) == 0
        said = capsys.readouterr().out
        assert said.count(f"warning: {flag(name)} has no effect: ") == said.count("has no effect") == bool(given)
        results.append(read_picture(Path(str(number)) / "final.png").rgb)
    assert np.array_equal(results[0], results[1])


def test_every_setting_is_tried() -> None:
    # test_one_pass.py tries those that a painter does without.
    assert {name for idle in IDLE for name in idle.settings} == {*CASES, *PAIRS, *OF_THE_OPTIMIZER}
    assert {name for idle in IDLE for name in idle.settings} <= {each.name for each in dataclasses.fields(Config)}


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({"seed": 3}, ["seed"]),
        ({"seed": 3, "init": "content"}, ["init"]),
        (
            {"preset": "painterly", "scale_factor": 2, "details": 0.1, "grain": 1},
            ["scale_factor", "details", "grain"],
        ),
        ({"style_loss": "mrf", "scale_factor": 2}, ["scale_factor"]),
        ({"coarsest_edge": 128, "max_long_edge": 96, "supersampling": 2}, ["coarsest_edge", "scale_factor"]),
        ({"size": "256x256", "content_weight": 0, "style_fit": "cover"}, ["style_fit"]),
        ({"scales": "auto", "details": 1, "grain": 1}, ["details", "grain"]),
        ({"scales": 2, "grain": 1, "init": "content", "max_long_edge": 200}, ["grain", "seed"]),
        ({"preview_edge": 300}, ["preview_edge"]),
        ({"preset": "painterly", "coarsest_edge": 300, "max_long_edge": 100}, ["coarsest_edge"]),
        ({"max_num_epochs": 77}, ["lr_sched_delay", "lr_sched_factor"]),
        ({"weights": "vgg.pth", "weights_input": "bgr"}, ["weights_input"]),
        ({"gpu": -1, "convolution": "winograd"}, ["convolution"]),
        (
            {},
            [
                each.name
                for each in dataclasses.fields(Config)
                if each.name not in ("scale_factor", "details", "grain")
            ],
        ),
    ],
)
def test_what_has_an_effect_is_not_named(settings: dict[str, Any], given: list[str]) -> None:
    found = without_effect(given, [Config(**settings)])
    assert [sentence for sentence in found if "weights-input" not in sentence or settings] == []


def test_grain_needs_two_scales_and_200_pixels() -> None:
    settings: dict[str, Any] = {"scales": 2, "grain": 1, "init": "content", "max_long_edge": 199}
    (sentence,) = without_effect(["grain"], [Config(**settings)])
    assert "200 pixels" in sentence
    assert len(without_effect(["seed"], [Config(**settings)])) == 1
    assert len(without_effect(["grain", "seed"], [Config(**{**settings, "max_long_edge": 200, "scales": 1})])) == 2


def test_on_a_gpu_or_in_bfloat16_there_is_one_convolution() -> None:
    for settings in ({"gpu": 0}, {"device": "cuda:1"}, {"device": "mps"}, {"precision": "bfloat16"}):
        assert len(without_effect(["convolution"], [Config(**settings)])) == 1


def test_of_several_paintings_one_with_an_effect_is_enough() -> None:
    with_noise, without = Config(init="noise"), Config(init="content")
    assert without_effect(["seed"], [without, with_noise]) == []
    assert without_effect(["seed"], [without, without]) == [
        "--seed has no effect: --init content starts without noise"
    ]
