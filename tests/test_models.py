"""Models: found by name, entry point or function; the filter bank in a whole run; the user's own models."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refuses

import nstyle
from nstyle import Step
from nstyle.commands.paint import main
from nstyle.errors import Kind, OptionError
from nstyle.losses.objective import Evaluation
from nstyle.networks import registry
from nstyle.networks.filter_bank import LAYERS, FilterBank, filter_bank
from nstyle.networks.layers import VGG19_LAYERS
from nstyle.networks.model import ModelOptions, load_model
from nstyle.networks.vgg19 import VGG19
from nstyle.painting.memory import CONVOLUTION_BYTES

SMALL: dict[str, Any] = {"max_long_edge": 48, "overwrite": True}

OWN_MODEL = """
from collections.abc import Iterable

import torch
import nstyle


class Blur:
    def __call__(self, image, layers):
        maps = {"sharp": image, "blurred": torch.nn.functional.avg_pool2d(image, 2)}
        return {layer: maps[layer] for layer in layers}


class Family:
    @staticmethod
    def load(options: nstyle.ModelOptions) -> nstyle.Model:
        return nstyle.Model(Blur(), ("sharp", "blurred"), content_layers=("sharp",), style_layers=("blurred",))


def wrong(options):
    return Blur()


def no_options():
    return Family.load(None)


def buggy(options):
    return options.brushes


not_a_function = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a user's module that has not been imported yet."""
    name = f"own_model_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(OWN_MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_vgg19_goes_through_the_registry() -> None:
    model = load_model("vgg19", ModelOptions(pooling="max"))
    assert isinstance(model.features, VGG19)
    assert model.features.pooling == "max"
    assert model.layers == VGG19_LAYERS
    assert model.provenance["original"] is True
    assert model.adapt is None


def test_a_function_of_the_users_own(own_module: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = nstyle.stylize(
        *pair, model=f"{own_module}:Family.load", max_long_edge=32, max_num_epochs=2, output_dir=tmp_path / "output"
    )
    header = (tmp_path / "output" / "epochs.csv").read_text().splitlines()[0]
    assert "style_loss_blurred" in header
    record = json.loads(result.record.read_text())
    assert record["settings"]["model"] == f"{own_module}:Family.load"
    assert record["weights"] == {"path": "", "sha256": "", "original": True}
    with refuses(OptionError, kind=Kind.UNKNOWN, flag="--style-layers") as refused:
        nstyle.stylize(
            *pair, model=f"{own_module}:Family.load", style_layers="relu1_1", output_dir=tmp_path / "output"
        )
    assert "choose from sharp, blurred" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("resnet", Kind.UNKNOWN),
        ("no_such_module:load", Kind.MISSING),
        ("nstyle.no_such_module:load", Kind.MISSING),
        ("{own}:absent", Kind.UNKNOWN),
        ("{own}:Family.absent", Kind.UNKNOWN),
        ("{own}:not_a_function", Kind.UNSUPPORTED),
        ("a b:c", Kind.UNSUPPORTED),
        (":load", Kind.UNSUPPORTED),
        ("module:", Kind.UNSUPPORTED),
        ("os:system", Kind.UNSUPPORTED),
        ("subprocess:call", Kind.UNSUPPORTED),
        ("builtins:print", Kind.UNSUPPORTED),
        ("torch:relu", Kind.UNSUPPORTED),
        ("torch:tensor", Kind.UNSUPPORTED),
        ("torch.nn:Linear", Kind.UNSUPPORTED),
        ("{own}:Blur", Kind.UNSUPPORTED),
        ("{own}:no_options", Kind.UNSUPPORTED),
    ],
)
def test_what_is_not_there(name: str, kind: Kind, own_module: str) -> None:
    with refuses(OptionError, kind=kind, flag="--model"):
        registry.find(name.format(own=own_module))


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import surely_not_there", "ModuleNotFoundError: No module named 'surely_not_there'"),
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero"),
        ("def load(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported_says_where_it_fails(
    code: str, what: str, tmp_path: Path, own_module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / f"broken_{own_module}.py"
    broken.write_text(code)
    with refuses(OptionError, kind=Kind.DAMAGED, flag="--model") as refused:
        registry.find(f"{broken.stem}:load")
    assert what in str(refused.value)
    assert f"{broken}, line {code.count(chr(10)) + 1}" in str(refused.value)
    assert main(["--model", f"{broken.stem}:load", "--output-dir", str(tmp_path / "output")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_in_the_users_own_function_shows_itself(own_module: str) -> None:
    with pytest.raises(AttributeError, match="brushes"):
        load_model(f"{own_module}:buggy", ModelOptions())
    with refuses(OptionError, kind=Kind.UNSUPPORTED, flag="--model") as refused:
        load_model(f"{own_module}:wrong", ModelOptions())
    assert "returned a Blur" in str(refused.value)


def test_an_entry_point_of_another_package(own_module: str, tmp_path: Path) -> None:
    """Fake what pip installs: importlib reads the metadata in the folder."""
    folder = tmp_path / "own-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        f"[nstyle.models]\nblur = {own_module}:Family.load\nvgg19 = {own_module}:wrong\n"
    )
    assert load_model("blur", ModelOptions()).layers == ("sharp", "blurred")
    assert nstyle.Config(model="blur").model == "blur"
    assert registry.where("vgg19") == registry.OWN["vgg19"]
    with refuses(OptionError, kind=Kind.UNKNOWN, flag="--model") as refused:
        registry.where("other")
    assert "choose from blur, vgg19, filters" in str(refused.value)


def test_names_are_checked_without_torch() -> None:
    code = """
        import sys
        from nstyle import Config
        for options in ({"model": "none"}, {"style_layers": "none"}, {"size": "none"}):
            try:
                Config(**options)
            except ValueError:
                assert "torch" not in sys.modules
            else:
                raise SystemExit(f"{options} passed")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_the_filter_banks_maps() -> None:
    bank = FilterBank("avg", torch.device("cpu"), torch.float32)
    maps = bank(torch.randn(1, 3, 40, 33), ["scale5", "scale1"])
    assert {name: map_.shape for name, map_ in maps.items()} == {"scale1": (1, 78, 40, 33), "scale5": (1, 78, 2, 2)}
    assert all(map_.min() >= 0 for map_ in maps.values())
    flat = bank(torch.full((1, 3, 40, 40), 50.0), ["scale1"])["scale1"][0, :, 20, 20]
    assert (flat > 1e-3).sum() == 1  # lightness, in the Gaussian; filters for edges, lines and other colors give 0
    strongest = bank(torch.linspace(-100, 100, 40).expand(1, 3, 40, 40), ["scale1"])["scale1"][0, :, 20, 20]
    upright = bank(torch.linspace(-100, 100, 40)[:, None].expand(1, 3, 40, 40), ["scale1"])["scale1"][0, :, 20, 20]
    assert strongest[3:].argmax() != upright[3:].argmax()  # edges have a direction
    assert not torch.equal(
        maps["scale5"],
        FilterBank("max", torch.device("cpu"), torch.float32)(torch.randn(1, 3, 40, 33), ["scale5"])["scale5"],
    )


def test_the_filter_banks_mixed_pooling_is_maximum_then_average() -> None:
    x = torch.randn(1, 3, 40, 33)
    bank = FilterBank("mixed", torch.device("cpu"), torch.float32)
    maps = bank(x, LAYERS)
    maximum, mean = torch.nn.MaxPool2d(2), torch.nn.AvgPool2d(2)
    for layer, pool in zip(LAYERS[1:], (maximum, maximum, mean, mean), strict=True):
        x = pool(x)
        assert torch.equal(maps[layer], bank(x, LAYERS[:1])[LAYERS[0]]), layer


def test_the_filter_bank_paints(pair: tuple[Path, Path], tmp_path: Path) -> None:
    losses: list[float] = []

    def watch(step: Step[Evaluation]) -> None:
        losses.append(float(step.evaluation.loss))

    nstyle.stylize(*pair, watch, model="filters", lr=0.01, max_num_epochs=30, **SMALL, output_dir=tmp_path)
    assert losses[-1] < losses[0] / 5
    result = nstyle.stylize(
        *pair, model="filters", max_num_epochs=1, precision="bfloat16", **SMALL, output_dir=tmp_path
    )
    record = json.loads(result.record.read_text())
    assert record["settings"]["model"] == "filters"
    assert record["precision"] == "bfloat16"
    header = (tmp_path / "epochs.csv").read_text().splitlines()[0].split(",")
    assert [name for name in header if name.startswith("style_loss_")] == [f"style_loss_{n}" for n in LAYERS]


def test_the_filter_bank_has_no_weights() -> None:
    with refuses(OptionError, kind=Kind.CONFLICT, flag="--weights"):
        filter_bank(ModelOptions(weights="torchvision"))


def test_memory_is_estimated_of_the_model_chosen(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = 48 * 32
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: CONVOLUTION_BYTES + pixels * 2100)
    nstyle.stylize(*pair, model="filters", max_num_epochs=1, **SMALL, output_dir=tmp_path)
    with pytest.raises(nstyle.DeviceError, match="--max-long-edge 48 needs"):
        nstyle.stylize(*pair, max_num_epochs=1, **SMALL, output_dir=tmp_path)
