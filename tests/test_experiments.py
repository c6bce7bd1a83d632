"""Experiments in whole runs: layers, inversion, textures, coarse to fine, patches."""

import csv
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refuses

import nstyle
from nstyle import Config, ImageError, OptionError, Result, stylize
from nstyle.errors import Kind
from nstyle.losses.functional import gram_matrix
from nstyle.networks.layers import STYLE_LAYERS
from nstyle.networks.model_space import to_model_space
from nstyle.networks.vgg19 import VGG19
from nstyle.optim.descent import descend
from nstyle.painting.inputs import inputs_of
from nstyle.painting.prepare import prepare
from nstyle.painting.sizes import scale_sizes
from nstyle.painting.steps import PaintingStep
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import fit_long_edge, resize

EPOCHS: dict[str, Any] = {"max_num_epochs": 3, "stop_eps": 0}


def paint(pair: tuple[Path | None, Path], output_dir: Path, **options: Any) -> Result:
    return stylize(*pair, output_dir=output_dir, **{"max_long_edge": 32, "overwrite": True, **EPOCHS, **options})


def columns(output_dir: Path) -> list[str]:
    header = (output_dir / "epochs.csv").read_text().splitlines()[0].split(",")
    return [name.removeprefix("style_loss_") for name in header if name.startswith("style_loss_")]


def test_layers_are_those_chosen(pair: tuple[Path, Path], tmp_path: Path) -> None:
    plain = paint(pair, tmp_path / "plain")
    said = paint(pair, tmp_path / "said", content_layers="relu4_2", style_layers=",".join(STYLE_LAYERS))
    assert torch.equal(said.image, plain.image)
    other = paint(pair, tmp_path / "other", content_layers="relu5_4:2,relu1_1", style_layers="relu2_2,relu1_2:0.5")
    assert columns(tmp_path / "other") == ["relu2_2", "relu1_2"]
    assert not torch.equal(other.image, plain.image)


def test_maximum_pooling_paints_something_else(pair: tuple[Path, Path], tmp_path: Path) -> None:
    average, maximum = (paint(pair, tmp_path / pooling, pooling=pooling) for pooling in ("avg", "max"))
    assert not torch.allclose(average.image, maximum.image, atol=1)


def test_layers_that_the_weights_do_not_reach(pair: tuple[Path, Path], tmp_path: Path, vgg19: VGG19) -> None:
    short = {name: w for name, w in vgg19.weights().items() if name < "conv5_2" or name > "conv5_3"}
    torch.save(short, tmp_path / "short.pth")
    with pytest.raises(OptionError) as refused:
        paint(pair, tmp_path / "output", weights=tmp_path / "short.pth", content_layers="relu5_4")
    assert "--content-layers" in str(refused.value)
    assert "relu5_4" in str(refused.value)
    assert str(refused.value).endswith(", relu5_1")  # the last layer


def test_inversion_rebuilds_the_content(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """A low layer determines nearly all of a picture, a high layer little."""
    content = to_model_space(resize(read_picture(pair[0]).rgb, 21, 32))
    errors = {}
    for layer in ("relu1_1", "relu4_1"):
        result = paint(pair, tmp_path, style_weight=0, tv_weight=0, content_layers=layer, lr=0.01, max_num_epochs=40)
        errors[layer] = float((result.image - content).square().mean().sqrt())
    assert errors["relu1_1"] < 15
    assert errors["relu1_1"] < errors["relu4_1"] / 2


def test_the_bounded_range_prior_keeps_the_picture_in_range(pair: tuple[Path, Path], tmp_path: Path) -> None:
    free, bounded = (
        paint(pair, tmp_path, lr=0.01, range_weight=weight, max_num_epochs=20).image for weight in (0, 100)
    )
    assert bounded.abs().max() < 0.8 * free.abs().max()


def test_a_texture_needs_no_content(pair: tuple[Path, Path], tmp_path: Path, vgg19: VGG19) -> None:
    """No content is read, and the style keeps its aspect ratio, fitted to the long edge."""
    texture: dict[str, Any] = {"content_weight": 0, "size": "40x24", "tv_weight": 0}
    absent = paint((tmp_path / "absent.png", pair[1]), tmp_path / "absent", **texture)
    result = paint((None, pair[1]), tmp_path / "texture", **texture)
    assert torch.equal(absent.image, result.image)
    assert result.image.shape == (1, 3, 24, 40)
    with Image.open(result.path) as picture:
        assert picture.size == (40, 24)
    record = json.loads(result.record.read_text())
    assert record["size"] == [40, 24]
    assert set(record["inputs"]) == {"style_image"}

    rgb = read_picture(pair[1]).rgb
    style = to_model_space(resize(rgb, *fit_long_edge(rgb.shape[0], rgb.shape[1], 32)))
    objective = nstyle.Objective(vgg19, None, style, content_weight=0, tv_weight=0)
    noise = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0)) * 0.2 - 0.1
    *_, last = nstyle.descend(objective, noise, max_num_epochs=3, stop_eps=0)
    torch.testing.assert_close(result.image, last.image)


def test_a_textures_gram_matrices_come_near_to_the_styles(
    pair: tuple[Path, Path], tmp_path: Path, vgg19: VGG19
) -> None:
    """For any size, per position."""
    result = paint(
        (None, pair[1]), tmp_path, content_weight=0, size="48x40", max_long_edge=40, lr=0.01, max_num_epochs=60
    )
    style = to_model_space(resize(read_picture(pair[1]).rgb, 40, 40))
    maps, styles = (vgg19(x, STYLE_LAYERS[:3]) for x in (result.image, style))
    for layer in STYLE_LAYERS[:3]:
        g, a = (gram_matrix(m[layer]) / m[layer][0, 0].numel() for m in (maps, styles))
        assert (g - a).norm() / a.norm() < 0.3, layer


@pytest.mark.parametrize("init", ["style", "path"])
def test_a_texture_may_start_from_a_picture(init: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    source = pair[1] if init == "style" else pair[0]
    result = paint(
        (None, pair[1]),
        tmp_path / "output",
        content_weight=0,
        size="40x24",
        init="style" if init == "style" else source,
        lr=1e-7,
        max_num_epochs=1,
    )
    rgb = read_picture(source).rgb
    seen = resize(rgb, 32, 32) if init == "style" else rgb  # the style of a texture is fitted to the long edge
    start = to_model_space(resize(seen, 24, 40))
    assert (result.image - start).abs().max() < 0.1


def test_a_seamless_texture_tiles(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """At every scale, and in smoothed snapshots."""
    texture: dict[str, Any] = {
        "content_weight": 0,
        "size": "64x56",
        "max_long_edge": 64,
        "preset": "fast",
        "scales": 2,
    }
    texture |= {"style_layers": "relu1_1,relu2_1,relu3_1", "max_num_epochs": 20, "save_epochs": 30}
    for seamless in (False, True):
        folder = tmp_path / str(seamless)
        paint((None, pair[1]), folder, image_format="png", seamless=seamless, **texture)
        for name in ("final.png", "e_30.png"):
            rgb = read_picture(folder / name).rgb
            within = sum(float(np.abs(np.diff(rgb, axis=axis)).mean()) for axis in (0, 1))
            across = float(np.abs(rgb[0] - rgb[-1]).mean() + np.abs(rgb[:, 0] - rgb[:, -1]).mean())
            assert across < 1.3 * within if seamless else across > 2.5 * within


def test_a_texture_that_does_not_fit(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painting.memory.free_memory", lambda device: 10**6)
    with refuses(nstyle.DeviceError, kind=Kind.OUT_OF_RANGE, flag="--size"):
        paint((None, pair[1]), tmp_path, content_weight=0, size="40x24")


def test_patches_of_the_style(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = paint(pair, tmp_path / "mrf", style_loss="mrf", max_long_edge=48)
    assert columns(tmp_path / "mrf") == ["relu3_1", "relu4_1"]
    assert json.loads(result.record.read_text())["settings"]["style_loss"] == "mrf"
    paint(pair, tmp_path / "own", style_loss="mrf", style_layers="relu2_1", max_long_edge=48)
    assert columns(tmp_path / "own") == ["relu2_1"]
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge"):
        paint((pair[1], pair[1]), tmp_path / "small", style_loss="mrf", max_long_edge=20)


def test_each_scale_begins_with_the_last_one_enlarged(pair: tuple[Path, Path], tmp_path: Path) -> None:
    coarse = paint(pair, tmp_path / "coarse", max_long_edge=24)
    content, style = pair
    config = Config(content_image=content, style_image=style, max_long_edge=48, scales=2, **EPOCHS)
    _, finest = prepare(config, torch.device("cpu"), torch.float32).scales
    enlarged = torch.nn.functional.interpolate(coarse.image, size=(32, 48), mode="bilinear")
    for step in descend(
        finest.objective(), enlarged, **config.descent_settings(), max_num_epochs=EPOCHS["max_num_epochs"]
    ):
        image = step.image
    whole = paint(pair, tmp_path / "whole", max_long_edge=48, scales=2)
    assert whole.epochs == 6
    assert torch.equal(whole.image, image)


def test_everything_knows_the_scale(
    pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nstyle")
    seen, records = [], []

    def callback(step: PaintingStep) -> None:
        seen.append((step.epoch, step.scale, step.scales, step.most_epochs, tuple(step.image.shape[2:])))
        records.append(json.loads((tmp_path / "run.json").read_text()))

    result = paint(pair, tmp_path, max_long_edge=96, scales=3, save_epochs=1, callback=callback, image_format="png")
    sizes = {1: (16, 24), 2: (32, 48), 3: (64, 96)}
    scales = [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert seen == [(epoch, scale, 3, 9, sizes[scale]) for epoch, scale in enumerate(scales)]
    assert [(record["stop_reason"], record["scale"], record["scales"]) for record in records] == [
        ("running", scale, 3) for scale in scales
    ]
    record = json.loads(result.record.read_text())
    assert (record["scale"], record["scales"], record["epochs"], result.epochs) == (3, 3, 9, 9)
    with (tmp_path / "epochs.csv").open() as file:
        assert [(int(row["epoch"]), int(row["scale"])) for row in csv.DictReader(file)] == list(enumerate(scales))
    for number, scale in enumerate(scales, start=1):
        with Image.open(tmp_path / f"e_{number}.png") as picture:
            assert picture.size == sizes[scale][::-1]
    assert [message for message in caplog.messages if message.startswith("scale ")] == [
        "scale 1 of 3: 24x16 pixels",
        "scale 2 of 3: 48x32 pixels",
        "scale 3 of 3: 96x64 pixels",
    ]


@pytest.mark.parametrize(
    ("options", "size", "expected"),
    [
        ({}, (384, 255), 1),
        ({"style_loss": "mrf"}, (384, 255), 3),
        ({"style_loss": "mrf"}, (191, 384), 2),
        ({"style_loss": "mrf"}, (48, 32), 1),
        ({"style_loss": "mrf", "scales": 1}, (384, 255), 1),
        ({"scales": 4}, (384, 255), 4),
        ({"scales": "auto"}, (96, 64), 1),
        ({"scales": "auto"}, (511, 340), 1),
        ({"scales": "auto"}, (340, 512), 2),
        ({"scales": "auto"}, (1500, 35), 2),
    ],
)
def test_how_many_scales(options: dict[str, Any], size: tuple[int, int], expected: int) -> None:
    config = Config(max_long_edge=max(size), **options)
    inputs = inputs_of(config)
    found = scale_sizes(config, inputs, dict.fromkeys(inputs.sources, size[::-1]))
    assert len(found) == expected
    assert (found[-1].width, found[-1].height) == size


def test_fewer_scales_where_a_style_picture_would_become_too_small() -> None:
    """With --style-fit contain, a style of 4000x200 becomes 512x25 pixels, and 256x12 one scale below."""
    config = Config(max_long_edge=512, scales="auto", style_fit="contain")
    inputs = inputs_of(config)
    content, style = inputs.sources
    for style_size, expected in (((200, 4000), 1), ((300, 4000), 2)):
        assert len(scale_sizes(config, inputs, {content: (512, 512), style: style_size})) == expected
    with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag="--scales") as refused:
        scale_sizes(
            Config(max_long_edge=512, scales=2, style_fit="contain"),
            inputs,
            {content: (512, 512), style: (200, 4000)},
        )
    assert str(style.path) in str(refused.value)  # this is too small


def test_scales_of_a_texture(pair: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="nstyle")
    result = paint((None, pair[1]), tmp_path, content_weight=0, size="50x40", max_long_edge=40, scales=2)
    assert "scale 1 of 2: 25x20 pixels" in caplog.messages
    assert result.image.shape == (1, 3, 40, 50)


def test_more_scales_than_there_are_pixels(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag="--scales") as refused:
        paint(pair, tmp_path, max_long_edge=48, scales=3)
    assert "48x32 pixels" in str(refused.value)
