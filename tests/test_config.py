"""The settings: the reference's defaults, and the checks of values."""

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from refusals import refuses

from nstyle.errors import Kind, OptionError
from nstyle.networks.padding import PADDINGS
from nstyle.networks.vgg19 import POOLING
from nstyle.networks.weights import INPUTS
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.settings.config import Config
from nstyle.settings.options import MXNET, flag, option
from nstyle.settings.presets import PRESETS, PURPOSES, STRENGTH_SPAN, content_factor

# The flags that the reference also has, and their defaults.
REFERENCE = {
    "model": "vgg19",
    "stop_eps": 0.005,
    "content_weight": 10,
    "style_weight": 1,
    "tv_weight": 0.01,
    "max_num_epochs": 1000,
    "max_long_edge": 600,
    "lr": 0.001,
    "output_dir": Path.cwd() / "output",
    "save_epochs": 50,
    "remove_noise": 0.02,
    "lr_sched_delay": 75,
    "lr_sched_factor": 0.9,
}


def test_defaults_are_the_references() -> None:
    config = Config()
    for name, value in REFERENCE.items():
        assert getattr(config, name) == value, name


@pytest.mark.parametrize(("optimizer", "lr"), [("nag", 0.001), ("lbfgs", 1), ("adam", 10)])
def test_each_optimizer_has_its_own_learning_rate(optimizer: str, lr: float) -> None:
    assert Config(optimizer=optimizer).lr == lr
    assert Config(optimizer=optimizer, lr=0.5).lr == 0.5


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_flags_make_of_it(name: str) -> None:
    preset, values = Config(preset=name), PRESETS[name]
    assert dataclasses.replace(preset, preset="reference", **values) == Config(**values)
    assert {setting: getattr(preset, setting) for setting in values} == values
    assert preset.lr == OPTIMIZERS[preset.optimizer].learning_rate
    assert values.keys() == PRESETS["reference"].keys()
    assert name in PURPOSES


def test_what_presets_set_is_open_and_checked_like_a_flag() -> None:
    """Otherwise, an invalid value in a preset would be refused only when somebody uses the preset."""
    settings = {field.name: field for field in dataclasses.fields(Config)}
    for values in PRESETS.values():
        for name, value in values.items():
            assert settings[name].default is None, name
            Config(**{name: value})
    open_ones = {name for name, field in settings.items() if field.default is None}
    # These depend on other settings, or have no default.
    derived = {"lr", "scales", "preview_edge", "stop_after", "content_layers", "size", "mask"}
    derived |= {"gpu", "device", "max_memory", "unrealness", "style_crop", "painter"}
    assert open_ones - derived == PRESETS["reference"].keys()


def test_flags_override_the_preset() -> None:
    fast = Config(preset="fast", init="noise", max_num_epochs=7, optimizer="adam")
    assert (fast.init, fast.max_num_epochs, fast.optimizer, fast.lr) == ("noise", 7, "adam", 10)
    assert fast.stop_eps == PRESETS["fast"]["stop_eps"]


def test_defaults_follow_the_settings_that_they_depend_on() -> None:
    reference = Config()
    assert dataclasses.replace(reference, optimizer="lbfgs").lr == 1
    assert dataclasses.replace(reference, optimizer="lbfgs", lr=0.001).lr == 0.001
    assert dataclasses.replace(Config(lr=0.001), optimizer="lbfgs").lr == 0.001
    assert dataclasses.replace(Config(preset="fast"), preset="reference") == reference
    assert dataclasses.replace(reference, preset="fast") == Config(preset="fast")
    assert dataclasses.replace(reference, preset="fast").lr == Config(preset="fast").lr == 1
    assert dataclasses.replace(Config(preset="fast", init="noise"), preset="reference", lr=2).init == "noise"
    assert dataclasses.replace(Config(preset="fast"), size="64x64", content_weight=0).init == "noise"
    assert dataclasses.replace(Config(preset="fast"), style_loss="mrf").style_layers is None
    assert dataclasses.replace(dataclasses.replace(reference, optimizer="adam"), optimizer="lbfgs").lr == 1


def test_a_value_taken_from_another_config_is_given() -> None:
    reference = Config()
    assert Config(optimizer="lbfgs", lr=reference.lr).lr == 0.001
    assert Config(preset="fast", max_num_epochs=reference.max_num_epochs).max_num_epochs == 1000
    assert dataclasses.replace(Config(lr=reference.lr), optimizer="lbfgs").lr == 0.001


def test_defaults_are_ordinary_values() -> None:
    """Defaults carry a mark. It must not show when they are written, compared or sent to another process."""
    config = pickle.loads(pickle.dumps(Config(preset="reference")))  # noqa: S301  (our own)
    assert config == Config(preset="reference")
    assert json.dumps([config.lr, config.max_num_epochs, config.init]) == '[0.001, 1000, "noise"]'
    assert f"{config.lr} {config.max_num_epochs} {config.init!r}" == "0.001 1000 'noise'"
    for preset in PRESETS:
        config = pickle.loads(pickle.dumps(Config(preset=preset)))  # noqa: S301  (our own)
        assert config == Config(preset=preset)
        text = json.dumps(dataclasses.asdict(config), default=str)
        assert Config(**json.loads(text)) == config


def test_a_texture_starts_from_noise_in_each_preset() -> None:
    for preset in PRESETS:
        assert Config(preset=preset, size="64x64", content_weight=0).init == "noise"
        with pytest.raises(OptionError, match="--init recolored needs a content picture"):
            Config(preset=preset, size="64x64", content_weight=0, init="recolored")


def test_every_setting_says_what_it_means_and_whose_its_default_is() -> None:
    for field in dataclasses.fields(Config):
        declared = option(field)
        assert declared.help
        assert declared.group
        if field.name in REFERENCE:
            assert declared.origin == MXNET, field.name


def test_paths_may_be_text() -> None:
    there = Path.cwd() / "here"
    assert Config(output_dir="here").output_dir == there  # type: ignore[arg-type]  # the point of the test


def test_paths_mean_the_same_in_every_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "w.pth").touch()
    config = Config(
        content_image=Path("c.jpg"),
        init="i.jpg",
        mask=Path("../m.png"),
        blend_style=((Path("b.jpg"), 1),),
        style_mask=((Path("r.png"), "p.png"), (Path("all"), "all")),
        weights="w.pth",
    )
    assert (config.content_image, config.mask) == (tmp_path / "c.jpg", tmp_path / "../m.png")
    assert config.init == str(tmp_path / "i.jpg")
    assert config.output_dir == tmp_path / "output"
    assert config.blend_style == ((tmp_path / "b.jpg", 1.0),)
    assert config.style_mask == ((tmp_path / "r.png", str(tmp_path / "p.png")), (tmp_path / "all", "all"))
    assert config.weights == str(tmp_path / "models" / "w.pth")
    monkeypatch.chdir("models")
    assert dataclasses.replace(config, seed=0) == config
    words = Config(init="content", weights="of another network")
    assert (words.init, words.weights) == ("content", "of another network")


def test_whole_numbers_may_be_floats_of_whole_value() -> None:
    epochs = Config(max_num_epochs=10.0).max_num_epochs  # type: ignore[arg-type]  # the point of the test
    assert epochs == 10
    assert isinstance(epochs, int)


def test_several_numbers_of_epochs() -> None:
    given: Any
    for given in ((60, 30), [60.0, 30], "60,30", " 60, 30"):
        assert Config(max_num_epochs=given).max_num_epochs == (60, 30)
    for given in (60, "60", [60]):
        assert Config(max_num_epochs=given).max_num_epochs == 60


def test_a_preset_may_have_several_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "fast", {**PRESETS["fast"], "max_num_epochs": (60, 30), "coarsest_edge": 192})
    fast = pickle.loads(pickle.dumps(Config(preset="fast")))  # noqa: S301  (our own)
    assert (fast.max_num_epochs, fast.coarsest_edge) == ((60, 30), 192)
    assert json.dumps(fast.max_num_epochs) == "[60, 30]"
    assert dataclasses.replace(fast, preset="reference") == Config()
    assert dataclasses.replace(fast, scales=2).coarsest_edge is None  # only for an open number of scales
    assert dataclasses.replace(fast, scales="auto").coarsest_edge is None


def test_strength_is_a_factor_on_the_contents_weight_that_is_1_at_50() -> None:
    assert content_factor(50) == 1.0
    assert content_factor(Config().strength) == 1.0
    assert (content_factor(0), content_factor(100)) == (STRENGTH_SPAN, 1 / STRENGTH_SPAN)
    factors = [content_factor(strength) for strength in range(101)]
    assert factors == sorted(factors, reverse=True)
    assert content_factor(25) * content_factor(75) == pytest.approx(1)


def test_settings_survive_being_written_as_json() -> None:
    texture = Config(
        content_weight=0,
        size="64x48",
        style_layers="scale1,scale2:0.5",
        content_layers="scale3:2",
        style_loss="mrf",
        pooling="max",
        range_weight=0.1 + 0.2,
        scales=2,
        model="filters",
    )
    coarse_to_fine = Config(coarsest_edge=192, scale_factor=1.5, max_num_epochs=(60, 30, 10))
    for config in (Config(output_dir=Path("there"), lr=0.1 + 0.2, gpu=1), texture, coarse_to_fine):
        text = json.dumps(dataclasses.asdict(config), default=str)
        assert Config(**json.loads(text)) == config


def test_repeatable_settings_survive_being_written_as_json() -> None:
    config = Config(
        blend_style=(("a.jpg", 0.5), (Path("b.jpg"), 2)),  # type: ignore[arg-type]  # the point of the test
        style_mask=[("l.png", "all"), ("m.png", "part.png"), ("r.png", "all")],  # type: ignore[arg-type]
        mask="mask.png",  # type: ignore[arg-type]
        style_scale=1.5,
        style_fit="cover",
        preserve_colors="histogram",
    )
    here = Path.cwd()
    assert config.blend_style == ((here / "a.jpg", 0.5), (here / "b.jpg", 2.0))
    assert config.style_mask[1] == (here / "m.png", str(here / "part.png"))
    text = json.dumps(dataclasses.asdict(config), default=str)
    assert Config(**json.loads(text)) == config
    assert hash(config) == hash(Config(**json.loads(text)))


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_long_edge", [0, -1, 15, 600.5, NAN, INFINITY, "600", None, True]),
        ("content_weight", [-1, NAN, INFINITY, "10"]),
        ("style_weight", [-1, NAN, INFINITY]),
        ("tv_weight", [-0.01, NAN, INFINITY]),
        ("seed", [-1, 2**63, 0.5, NAN]),
        (
            "max_num_epochs",
            [0, -1, 1.5, NAN, INFINITY, [], [5, 0], [5, None], [[5]], "", "5,", "5,x", "5,1.5", "9" * 5000],
        ),
        ("scale_factor", [1, 0, -2, 4.1, NAN, "2"]),
        ("coarsest_edge", [15, 65501, 0, -1, 20.5, NAN, "64"]),
        ("stop_eps", [-1, NAN, INFINITY]),
        ("lr", [0, -1, NAN, INFINITY, -INFINITY]),
        ("lr_sched_delay", [0, -1, 0.5, NAN]),
        ("lr_sched_factor", [0, -1, 1.1, NAN, INFINITY]),
        ("gpu", [-2, 0.5, NAN, "cuda"]),
        ("device", ["gpu", "cuda:", "cuda:x", "CPU", "", 1]),
        ("save_epochs", [0, -1, 0.5, NAN]),
        ("remove_noise", [-1, NAN, INFINITY]),
        ("optimizer", ["sgd", "", 3]),
        ("model", ["vgg16", 19, "", "a b:c", None]),
        ("content_layers", ["", "relu6_1", "relu4_2:", "relu4_2:-1", "relu4_2:0", 42]),
        ("style_layers", ["relu1_1,,", "relu1_1,relu1_1", "RELU1_1"]),
        ("style_loss", ["patches"]),
        ("range_weight", [-1, NAN, INFINITY]),
        ("pooling", ["mean"]),
        ("size", ["256", "256x", "256x256x3", "15x256", "256x65501", "-256x256", "256.0x256", 256]),
        ("scales", [0, -1, 1.5, 13, "0", "13", "1.5", "all", ""]),
        ("precision", ["float16", "double"]),
        ("preset", [None, "slow", "", 1]),
        ("image_format", ["bmp", ".png"]),
        ("weights", ["", None, 3]),
        ("weights_input", ["rgba"]),
        ("content_image", ["", None, 3]),
        ("init", ["", 3]),
        ("style_scale", [0, -1, 17, NAN, "1"]),
        ("style_fit", ["crop", ""]),
        ("style_crop", ["", "1,2,3", "1,2,3,4,5", "-1,0,9,9", "1.5,0,9,9", "10%,0,9,9", "0,0,9,9%", "1, 2,3,4", 4]),
        ("unrealness", [-6.5, 7, NAN, INFINITY, "1", True]),
        ("strength", [-1, 100.5, NAN, INFINITY, "50", None]),
        ("balance", ["equal", "", 1]),
        ("padding", ["reflect", "", 0]),
        ("image_range", ["clipped", "", True]),
        ("preserve_colors", ["hue", "", None]),
        ("grey", ["gray", "", True]),
        ("mask", ["", 3]),
        ("blend_style", [None, "a.jpg", ["a.jpg"], [("a.jpg",)], [("a.jpg", 0)], [("a.jpg", "x")], [("", 1)]]),
        ("blend_style", [[("a.jpg", NAN)], [("a.jpg", -1)], [("a.jpg", None)], [("a.jpg", 1, 2)], {"a.jpg": 1}]),
        ("style_mask", [None, [("r.png", "")], [("", "all")], [("r.png", 1)], [("r.png",)]]),
    ],
)
def test_bad_values_are_named_with_their_flag(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(OptionError) as caught:
            Config(**{name: value})
        assert flag(name) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.flag == flag(name)
        assert caught.value.kind is not None


def test_settings_that_contradict_each_other() -> None:
    blended: dict[str, Any] = {"blend_style": ((Path("a.jpg"), 1),)}
    for flag_, settings in (
        ("--content-weight", {"content_weight": 0, "style_weight": 0}),
        ("--style-mask", {**blended, "style_mask": ((Path("r.png"), "all"),)}),
        ("--style-mask", {**blended, "style_mask": ((Path("r.png"), "all"),) * 3}),
        ("--size", {"size": "64x64"}),
        ("--size", {"size": "64x64", "content_weight": 0, "mask": "m.png"}),
        ("--size", {"size": "64x64", "content_weight": 0, "preserve_colors": "luma"}),
        ("--init", {"size": "64x64", "content_weight": 0, "init": "content"}),
        ("--strength", {"strength": 60, "content_weight": 0}),
        ("--strength", {"strength": 0, "style_weight": 0}),
        ("--strength", {"strength": 60, "size": "64x64", "content_weight": 0}),
        ("--coarsest-edge", {"scales": 1, "coarsest_edge": 64}),
        ("--gpu", {"gpu": 0, "device": "cpu"}),
        ("--overwrite", {"overwrite": True, "resume": True}),
    ):
        with refuses(OptionError, kind=Kind.CONFLICT, flag=flag_):
            Config(**settings)


def test_words_are_those_that_the_parts_know() -> None:
    """The settings do not import PyTorch, so these names are written twice."""
    choices = {field.name: set(option(field).choices) for field in dataclasses.fields(Config)}
    assert choices["padding"] == {"zero", *PADDINGS} - {"wrap"}  # --seamless implies it
    assert choices["weights_input"] == set(INPUTS)
    assert choices["pooling"] == set(POOLING)


def test_layers_of_another_network_are_checked_once_it_is_loaded() -> None:
    assert Config(model="filters", style_layers="scale1:2").style_layers == "scale1:2"


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:3", "mps"])
def test_devices(device: str) -> None:
    assert Config(device=device).device == device


def test_strength_50_may_be_said_where_there_is_nothing_to_balance() -> None:
    assert Config(strength=50, content_weight=0) == Config(content_weight=0)


def test_zero_is_a_value_where_it_means_never_or_none() -> None:
    config = Config(stop_eps=0, tv_weight=0, remove_noise=0, content_weight=0, gpu=-1, seed=0)
    assert config.stop_eps == config.tv_weight == config.remove_noise == config.content_weight == 0
