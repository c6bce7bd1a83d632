"""The artist's controls in whole runs: several styles, their scale, masks, regions, colors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import painted
from PIL import Image
from torch import Tensor

import nstyle
from nstyle import Config, stylize
from nstyle.losses.functional import gram_matrix
from nstyle.networks.kernels.winograd import convolve
from nstyle.networks.layers import STYLE_LAYERS
from nstyle.networks.model_space import MEAN_RGB, from_model_space, to_model_space
from nstyle.networks.vgg19 import VGG19
from nstyle.painting.prepare import prepare
from nstyle.painting.scale import Scale
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import resize, to_uint8
from nstyle.settings.presets import PRESETS
from nstyle.storage.recipe import read_recipe

SMALL: dict[str, Any] = {
    "max_long_edge": 48,
    "max_num_epochs": 3,
    "save_epochs": 2,
    "stop_eps": 0,
    "image_format": "png",
}

Masks = Callable[[str, NDArray[np.float64]], Path]


@pytest.fixture
def save_mask(tmp_path: Path) -> Masks:
    """Write levels (0 to 1) as a picture."""

    def save(name: str, levels: NDArray[np.float64]) -> Path:
        Image.fromarray(np.rint(levels * 255).astype(np.uint8)).save(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A second style, twice as large as the first."""
    painted(64, 96, seed=9).save(tmp_path / "other.png")
    return tmp_path / "other.png"


def left(height: int = 32, width: int = 48, *, soft: bool = False) -> NDArray[np.float64]:
    """A mask that is white on the left and black on the right. A soft edge is eight pixels wide."""
    edge = np.clip((width / 2 - np.arange(width)) / 8 + 0.5, 0, 1) if soft else np.arange(width) < width / 2
    return np.tile(edge.astype(float), (height, 1))


def paint(pair: tuple[Path, Path], output_dir: Path, **options: Any) -> nstyle.Result:
    return stylize(*pair, output_dir=output_dir, **{**SMALL, **options})


def prepared(pair: tuple[Path, Path], **options: Any) -> Scale:
    config = Config(content_image=pair[0], style_image=pair[1], **{"max_long_edge": 48, **options})
    (scale,) = prepare(config, torch.device("cpu"), torch.float32).scales
    return scale


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def content_pixels(pair: tuple[Path, Path]) -> NDArray[np.uint8]:
    return to_uint8(resize(read_picture(pair[0]).rgb, 32, 48))


def gram_distance(vgg19: VGG19, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The sum over layers of the relative squared distance of the mean Gram matrices."""

    def grams(rgb: NDArray[np.uint8]) -> list[torch.Tensor]:
        maps = vgg19(to_model_space(rgb / 255), STYLE_LAYERS)
        return [gram_matrix(maps[layer]) / maps[layer][0, 0].numel() for layer in STYLE_LAYERS]

    pairs = zip(grams(one), grams(other), strict=True)
    return sum(float((a - b).square().sum() / b.square().sum()) for a, b in pairs)


def test_defaults_said_aloud_change_nothing(pair: tuple[Path, Path], tmp_path: Path) -> None:
    plain = paint(pair, tmp_path / "plain")
    said = paint(
        pair,
        tmp_path / "said",
        style_scale=1,
        style_fit="stretch",
        blend_style=[],
        mask=None,
        style_mask=[],
        preserve_colors="none",
    )
    assert torch.equal(plain.image, said.image)


def test_the_controls_together(pair: tuple[Path, Path], other: Path, save_mask: Masks, tmp_path: Path) -> None:
    """Use all controls at once. The record lists every picture that was read."""
    mask, region = save_mask("mask.png", left(soft=True)), save_mask("region.png", left(64, 96))
    part = save_mask("part.png", left(30, 30))
    result = paint(
        pair,
        tmp_path / "output",
        style_scale=0.8,
        style_fit="cover",
        blend_style=[(other, 0.5)],
        mask=mask,
        style_mask=[(region, part), (mask, "all")],
        preserve_colors="covariance",
    )
    record = json.loads(result.record.read_text())
    assert set(record["inputs"]) == {
        *("content_image", "style_image", "blend_style[0]", "mask"),
        *("style_mask[0][0]", "style_mask[0][1]", "style_mask[1][0]"),
    }
    assert record["inputs"]["blend_style[0]"]["path"] == str(other)
    assert len(record["inputs"]["style_mask[0][1]"]["sha256"]) == 64
    assert Config(**record["settings"]).style_mask == ((region, str(part)), (mask, "all"))
    assert result.image.isfinite().all()


def test_blended_styles_share_the_weight(pair: tuple[Path, Path], other: Path) -> None:
    """The term of each style equals that of a run with this style alone, times its share."""
    both = prepared(pair, blend_style=[(other, 3)])
    alone = [prepared((pair[0], style)) for style in (pair[1], other)]
    losses = [p.objective().gradient(both.start).style_losses for p in (both, *alone)]
    for layer in STYLE_LAYERS:
        torch.testing.assert_close(losses[0][layer], 0.25 * losses[1][layer] + 0.75 * losses[2][layer])


def test_a_style_blended_with_itself_is_that_style(pair: tuple[Path, Path]) -> None:
    plain, blended = prepared(pair), prepared(pair, blend_style=[(pair[1], 2)])
    one, other = (p.objective().gradient(plain.start) for p in (plain, blended))
    torch.testing.assert_close(one.gradient, other.gradient, rtol=1e-3, atol=1e-3)


def test_regions_have_the_weights_as_given(pair: tuple[Path, Path], other: Path, save_mask: Masks) -> None:
    everywhere = save_mask("white.png", np.ones((32, 48)))
    placed = prepared(pair, blend_style=[(other, 3)], style_mask=[(everywhere, "all"), (everywhere, "all")])
    alone = [prepared((pair[0], style)) for style in (pair[1], other)]
    losses = [p.objective().gradient(placed.start).style_losses for p in (placed, *alone)]
    for layer in STYLE_LAYERS:
        torch.testing.assert_close(losses[0][layer], losses[1][layer] + 3 * losses[2][layer])


def test_one_style_may_have_several_regions_and_parts(pair: tuple[Path, Path], save_mask: Masks) -> None:
    halves = [save_mask("left.png", left()), save_mask("right.png", 1 - left())]
    part = save_mask("part.png", left(40, 40))
    objective = prepared(pair, style_mask=[(halves[0], part), (halves[1], "all")]).objective()
    assert len(objective.style_terms) == 2 * len(STYLE_LAYERS)
    gradient = objective.gradient(torch.zeros(1, 3, 32, 48)).gradient
    assert (gradient[..., :8].abs().max() > 0) & (gradient[..., -8:].abs().max() > 0)


def test_strokes_are_scaled(pair: tuple[Path, Path]) -> None:
    """A style picture of the content's size at scale 0.5 equals the style picture at half size."""
    half = pair[0].with_name("half.png")
    small = resize(read_picture(pair[1]).rgb, 16, 24)
    Image.fromarray(to_uint8(small)).save(half)
    image = torch.zeros(1, 3, 32, 48)
    scaled = prepared(pair, style_scale=0.5).objective().gradient(image).loss
    own = prepared((pair[0], half), style_scale=0.5).objective().gradient(image).loss
    plain = prepared(pair).objective().gradient(image).loss
    assert float(scaled) == pytest.approx(float(own), rel=1e-2)
    assert abs(float(plain) / float(scaled) - 1) > 0.03


def test_start_from_a_style_of_another_size_is_stretched(pair: tuple[Path, Path]) -> None:
    assert prepared(pair, init="style", style_scale=0.5).start.shape == (1, 3, 32, 48)
    assert torch.equal(prepared(pair, init="style").start, prepared(pair, init=str(pair[1])).start)


def test_start_from_the_content_in_the_styles_colors(pair: tuple[Path, Path]) -> None:
    start, content, style = (prepared(pair, init=init).start for init in ("recolored", "content", "style"))
    assert start.shape == content.shape
    torch.testing.assert_close(start.mean(dim=(2, 3)), style.mean(dim=(2, 3)), rtol=0, atol=0.5)
    torch.testing.assert_close(start.std(dim=(2, 3)), style.std(dim=(2, 3)), rtol=0.02, atol=0)
    assert (start.mean(dim=(2, 3)) - content.mean(dim=(2, 3))).abs().max() > 2
    assert torch.corrcoef(torch.stack([start.mean(dim=1).flatten(), content.mean(dim=1).flatten()]))[0, 1] > 0.5


@pytest.mark.parametrize("preserve_colors", ["none", "luma", "histogram", "covariance"])
def test_outside_of_the_mask_the_pixels_are_the_contents(
    pair: tuple[Path, Path], save_mask: Masks, tmp_path: Path, preserve_colors: str
) -> None:
    """Exactly, and also in the smoothed snapshots."""
    levels = left(soft=True)
    result = paint(
        pair,
        tmp_path / "output",
        mask=save_mask("mask.png", levels),
        preserve_colors=preserve_colors,
        max_num_epochs=12,
        save_epochs=12,
        remove_noise=0.3,
    )
    content = content_pixels(pair)
    for path in (result.path, tmp_path / "output" / "e_12.png"):
        np.testing.assert_array_equal(pixels(path)[levels == 0], content[levels == 0])
        assert np.abs(pixels(path)[levels == 1].astype(int) - content[levels == 1]).mean() > 5
    np.testing.assert_array_equal(pixels(result.path), result.rgb)


def test_start_under_a_mask_is_the_content_elsewhere(pair: tuple[Path, Path], save_mask: Masks) -> None:
    masked = prepared(pair, mask=save_mask("mask.png", left()))
    start, content = masked.start, prepared(pair, init="content").start
    assert masked.objective().gradient(start).gradient[..., 24:].abs().max() == 0
    assert torch.equal(start[..., 24:], content[..., 24:])
    assert start[..., :24].abs().max() <= 0.1


def test_each_half_is_nearer_to_its_own_style(
    pair: tuple[Path, Path], save_mask: Masks, vgg19: VGG19, tmp_path: Path
) -> None:
    """If the halves are swapped, the distances are swapped."""
    warm, cold = tmp_path / "warm.png", tmp_path / "cold.png"
    stripes = np.asarray(painted(64, 64, seed=4)).astype(float)
    Image.fromarray(np.clip(stripes * [1.4, 0.7, 0.2] + [60, 0, 0], 0, 255).astype(np.uint8)).save(warm)
    Image.fromarray(np.clip(stripes[:, ::-1] * [0.2, 0.5, 1.1], 0, 255).astype(np.uint8)).save(cold)
    halves = [(save_mask("left.png", left()), "all"), (save_mask("right.png", 1 - left()), "all")]
    for regions in (halves, halves[::-1]):
        result = paint(
            (pair[0], warm),
            tmp_path / regions[0][0].stem,
            blend_style=[(cold, 1)],
            style_mask=regions,
            content_weight=0.1,
            init="content",
            lr=0.005,
            max_num_epochs=40,
        )
        warm_half, cold_half = (result.rgb[:, :24], result.rgb[:, 24:])[:: 1 if regions is halves else -1]
        styles = {name: to_uint8(resize(read_picture(name).rgb, 32, 48)) for name in (warm, cold)}
        assert gram_distance(vgg19, warm_half, styles[warm]) < gram_distance(vgg19, warm_half, styles[cold])
        assert gram_distance(vgg19, cold_half, styles[cold]) < gram_distance(vgg19, cold_half, styles[warm])


def test_a_parts_style_is_cut_as_its_picture_is(pair: tuple[Path, Path], save_mask: Masks, tmp_path: Path) -> None:
    """The white middle of an upright style is exactly the part that --style-fit cover shows."""
    upright = tmp_path / "upright.png"
    painted(96, 48, seed=3).save(upright)
    middle = np.zeros((96, 48))
    middle[32:64] = 1
    half = middle.copy()
    half[48:] = 0
    options = {"style_fit": "cover", "init": "content"}
    white, part = save_mask("white.png", np.ones((32, 48))), save_mask("middle.png", middle)
    smaller_part = save_mask("half.png", half)
    image = torch.zeros(1, 3, 32, 48)
    all_, of_part, of_smaller_part = (
        prepared((pair[0], upright), style_mask=[(white, which)], **options).objective().gradient(image)
        for which in ("all", part, smaller_part)
    )
    torch.testing.assert_close(of_part.gradient, all_.gradient)
    assert (of_smaller_part.gradient - all_.gradient).norm() > 0.01 * all_.gradient.norm()


def test_luma_paints_in_grey_and_keeps_the_contents_chroma(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = paint(pair, tmp_path / "output", preserve_colors="luma", max_num_epochs=12)
    chroma = np.array([[0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    written, content = result.rgb / 255, resize(read_picture(pair[0]).rgb, 32, 48)
    rounding = 0.5 / 255 * np.abs(chroma).sum(axis=1)
    assert (np.abs((written - content) @ chroma.T) <= rounding + 1e-6).all()
    assert np.abs(written - content).mean() > 0.02
    network_sees = prepared(pair, preserve_colors="luma", init="content").start
    assert np.ptp(from_model_space(network_sees), axis=-1).max() < 1e-5


@pytest.fixture
def grey_pair(pair: tuple[Path, Path]) -> tuple[Path, Path]:
    """A grey pair. The content's channels differ by single levels, as after a color conversion."""
    content, style = (np.asarray(Image.open(path).convert("L").convert("RGB")) for path in pair)
    content = np.clip(content, 1, 254)
    content[::3, ::2, 0] += 1
    content[1::3, ::2, 2] -= 1
    for path, rgb in zip(pair, (content, style), strict=True):
        Image.fromarray(rgb).save(path)
    return pair


def chroma(rgb: NDArray[np.uint8]) -> int:
    """The largest difference between the channels of a pixel."""
    return int(np.ptp(rgb.astype(int), axis=-1).max())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adam", "init": "noise"},
        {"preset": "reference", "grey": "keep"},
        {"preserve_colors": "luma"},
        {"image_format": "jpg", "remove_noise": 0.3},
    ],
    ids=str,
)
def test_grey_stays_grey(grey_pair: tuple[Path, Path], tmp_path: Path, options: dict[str, Any]) -> None:
    """In the snapshots, in the final picture, and in all images that the network sees."""
    mean = torch.tensor(MEAN_RGB).reshape(1, 3, 1, 1)
    seen: list[tuple[Tensor, Tensor]] = []
    options = {"preset": "fast", "max_num_epochs": 12, "save_epochs": 12, **options}
    result = stylize(
        *grey_pair,
        lambda step: seen.append((step.image + mean).aminmax(dim=1)),
        **SMALL | options,
        output_dir=tmp_path / "output",
    )
    assert all((high - low).max() < 0.01 for low, high in seen)
    assert chroma(result.rgb) == chroma(pixels(result.path)) == 0
    assert chroma(pixels(next((tmp_path / "output").glob("e_12.*")))) == 0
    assert result.rgb.std() > 2


def test_grey_stays_grey_with_masks_and_a_start_in_colour(
    grey_pair: tuple[Path, Path], other: Path, save_mask: Masks, tmp_path: Path
) -> None:
    """The start does not decide the colors. Outside of the mask there is the content, in grey."""
    options: dict[str, Any] = {"preset": "fast", "init": str(other), "mask": save_mask("mask.png", left(soft=True))}
    result = paint(grey_pair, tmp_path / "output", **options)
    assert chroma(result.rgb) == 0
    assert np.abs(result.rgb.astype(int) - content_pixels(grey_pair))[left(soft=True) == 0].max() <= 1
    assert chroma(paint(grey_pair, tmp_path / "free", **options, grey="free").rgb) > 10


def test_a_style_recoloured_by_a_grey_content_is_grey(pair: tuple[Path, Path], tmp_path: Path) -> None:
    Image.open(pair[0]).convert("L").save(pair[0])
    result = paint(pair, tmp_path / "output", preset="fast", preserve_colors="covariance")
    assert chroma(result.rgb) == 0


def test_a_texture_of_a_grey_style_is_grey(grey_pair: tuple[Path, Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"size": "32x24", "content_weight": 0, "preset": "fast", "max_num_epochs": 8}
    results = {
        grey: nstyle.stylize(style_image=grey_pair[1], output_dir=tmp_path / grey, grey=grey, **SMALL | options)
        for grey in ("keep", "free")
    }
    assert chroma(results["keep"].rgb) == 0
    assert results["keep"].rgb.std() > 10
    assert chroma(results["free"].rgb) > 5


@pytest.mark.parametrize("colored", [0, 1])
def test_with_any_colour_nothing_is_kept_grey(pair: tuple[Path, Path], tmp_path: Path, colored: int) -> None:
    grey = pair[1 - colored]
    Image.open(grey).convert("L").save(grey)
    kept, free = (paint(pair, tmp_path / how, preset="fast", grey=how) for how in ("keep", "free"))
    assert torch.equal(kept.image, free.image)
    assert chroma(kept.rgb) > 10


def test_the_reference_leaves_grey_free(grey_pair: tuple[Path, Path]) -> None:
    scale = prepared(grey_pair)
    assert not scale.objective().grey
    assert not scale.finish.grey
    assert (scale.start[:, 0] != scale.start[:, 1]).any()
    assert Config().grey == "free"
    assert Config(preset="fast").grey == "keep"


def test_luma_paints_in_grey_where_grey_is_kept_but_the_picture_is_in_colour(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    assert prepared(pair, preset="fast", preserve_colors="luma").objective().grey
    result = paint(pair, tmp_path / "output", preset="fast", preserve_colors="luma")
    assert chroma(result.rgb) > 50


@pytest.mark.parametrize("preserve_colors", ["histogram", "covariance"])
def test_the_written_picture_has_the_contents_mean_and_covariance(
    pair: tuple[Path, Path], tmp_path: Path, preserve_colors: str
) -> None:
    result = paint(pair, tmp_path / "output", preserve_colors=preserve_colors, max_num_epochs=12, save_epochs=12)
    content = resize(read_picture(pair[0]).rgb, 32, 48).reshape(-1, 3).astype(np.float64)
    for rgb in (result.rgb, pixels(tmp_path / "output" / "e_12.png")):
        colors = rgb.reshape(-1, 3) / 255
        mean, wanted_mean = colors.mean(axis=0), content.mean(axis=0)
        covariance, wanted = (np.cov(x.T, bias=True) for x in (colors, content))
        assert np.linalg.norm(mean - wanted_mean) < 0.01 * np.linalg.norm(wanted_mean)
        assert np.linalg.norm(covariance - wanted) < 0.01 * np.linalg.norm(wanted)


def test_another_optimizer_gets_the_gradient_unclipped(pair: tuple[Path, Path]) -> None:
    objectives = {name: prepared(pair, optimizer=name).objective() for name in ("nag", "lbfgs", "adam")}
    assert {name: objective.clip for name, objective in objectives.items()} == {
        "nag": True,
        "lbfgs": False,
        "adam": False,
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_computes_with(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    by_winograd = []

    def counted(maps: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        by_winograd.append(maps.shape)
        return convolve(maps, kernels, bias)

    monkeypatch.setattr("nstyle.networks.vgg19.winograd.convolve", counted)
    evaluations = []
    stylize(
        *pair,
        lambda step: evaluations.append(step.evaluation),
        preset=preset,
        precision="float32",
        max_long_edge=48,
        max_num_epochs=3,
        output_dir=tmp_path / "output",
    )
    values = PRESETS[preset]
    assert bool(by_winograd) == (values["convolution"] == "winograd")
    assert set(evaluations[0].style_losses) == set(STYLE_LAYERS)
    settings = read_recipe(tmp_path / "output" / "run.json").settings
    assert settings["preset"] == preset
    assert settings["optimizer"] == values["optimizer"]
