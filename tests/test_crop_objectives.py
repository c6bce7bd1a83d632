"""The objective of a training: that of a painting, with the style at the size that it has in the painting."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import painted
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.losses.objective import Objective, Style
from nstyle.networks.model import Model, ModelOptions, load_model
from nstyle.networks.model_space import to_model_space
from nstyle.painter import objectives as module
from nstyle.painter.objectives import CropObjectives
from nstyle.painting.prepare import prepare
from nstyle.painting.session import Session
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import fit_long_edge, resize
from nstyle.settings.training import Training

CPU = torch.device("cpu")
SESSION = Session()
MODEL = load_model("filters", ModelOptions())
CROP, IMAGE = (torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 200 - 100 for seed in (3, 4))


def made(folder: Path, size: tuple[int, int] = (40, 40), **given: Any) -> CropObjectives:
    """The objectives of a training; `size` is that of the validation photo."""
    training = Training(output=folder / "y.safetensors", style_image=folder / "style.png", max_long_edge=40)
    return CropObjectives(training.painting({"model": "filters", **given}), size, CPU, torch.float32, SESSION)


def gradient(folder: Path, **given: Any) -> torch.Tensor:
    """The gradient of a training's objective at `IMAGE`; the content is `CROP`."""
    return made(folder, **given)(CROP).gradient(IMAGE).gradient


def expected(styles: list[Style], **options: Any) -> torch.Tensor:
    """The gradient of an objective with these styles."""
    layers: Any = {
        "content_layers": dict.fromkeys(MODEL.content_layers, 1.0),
        "style_layers": dict.fromkeys(MODEL.style_layers, 1.0),
    }
    return Objective(MODEL.features, CROP, styles, clip=False, **layers, **options).gradient(IMAGE).gradient


def style(path: Path, height: int, width: int) -> torch.Tensor:
    return to_model_space(resize(read_picture(path).rgb, height, width))


def test_it_has_the_weights_of_a_painting_and_clips_nothing(tmp_path: Path) -> None:
    painted(60, 80, seed=1).save(tmp_path / "style.png")
    weights: dict[str, Any] = {"content_weight": 3.0, "style_weight": 2.0, "tv_weight": 0.5, "range_weight": 0.1}
    one = Style(style(tmp_path / "style.png", 40, 40))
    assert torch.equal(gradient(tmp_path, **weights), expected([one], **weights))
    relative = {"balance": "relative", "content_weight": 3.0, "tv_weight": 0.5}
    assert torch.equal(gradient(tmp_path, **relative), expected([one], **relative))


@pytest.mark.parametrize("fit", ["stretch", "cover", "contain", "area"])
@pytest.mark.parametrize("size", [(50, 80), (80, 50), (40, 80)])
def test_it_is_that_of_the_painting_of_the_validation_photo(tmp_path: Path, fit: str, size: tuple[int, int]) -> None:
    """The whole photo as a crop has the painting's own objective. Of any other crop, only the content is another."""
    painted(60, 66, seed=1).save(tmp_path / "style.png")
    painted(*size, seed=2).save(tmp_path / "photo.png")
    height, width = fit_long_edge(*size, 40)
    config = replace(made(tmp_path, style_fit=fit)._maker.config, content_image=tmp_path / "photo.png")
    objectives = CropObjectives(config, (height, width), CPU, torch.float32, SESSION)
    painting = prepare(config, CPU, torch.float32, SESSION).scales[-1].objective()
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(5)) * 200 - 100
    whole = objectives(to_model_space(resize(read_picture(tmp_path / "photo.png").rgb, height, width)))
    assert torch.equal(whole.gradient(image).gradient, painting.gradient(image).gradient)
    part = objectives(torch.zeros(1, 3, 32, 20))
    for found, wanted in zip(part.style_terms, painting.style_terms, strict=True):
        assert torch.equal(found.target, wanted.target)  # type: ignore[attr-defined]


def test_the_same_crop_has_the_same_objective_while_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted(60, 80, seed=1).save(tmp_path / "style.png")
    objectives = made(tmp_path)
    kept = objectives(CROP)
    assert objectives(CROP.clone()) is kept
    assert objectives(IMAGE) is not kept
    monkeypatch.setattr(module, "CACHE_BYTES", 100)
    forgetful = made(tmp_path)
    again = forgetful(CROP)
    assert forgetful(CROP) is not again
    assert torch.equal(again.gradient(IMAGE).gradient, kept.gradient(IMAGE).gradient)


def adapting(options: ModelOptions) -> Model:
    """A model that adapts its network to the pictures."""
    model = load_model("filters", options)
    return replace(model, adapt=lambda images: model.features)


def test_networks_that_are_adapted_are_not_kept(tmp_path: Path) -> None:
    painted(60, 80, seed=1).save(tmp_path / "style.png")
    objectives, plain = made(tmp_path, model="test_crop_objectives:adapting"), made(tmp_path)
    assert objectives(CROP) is not objectives(CROP)
    assert (len(objectives._kept), len(objectives._maker.loaded.targets._kept)) == (0, 0)
    assert torch.equal(objectives(CROP).gradient(IMAGE).gradient, plain(CROP).gradient(IMAGE).gradient)


@pytest.mark.parametrize(
    ("limit", "given"), [(400_000, {}), (400_000, {"content_weight": 0.0}), (4_000_000, {"padding": "mirror"})]
)
def test_the_memory_of_the_objectives_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, given: dict[str, Any]
) -> None:
    monkeypatch.setattr(module, "CACHE_BYTES", limit)
    painted(60, 80, seed=1).save(tmp_path / "style.png")
    objectives = made(tmp_path, **given)
    for n in range(60):
        objectives(torch.full((1, 3, 32, 32 + n % 20), float(n)))
    kept = list(objectives._kept.values())
    assert 1 < len(kept) < 60
    values = [value for one in kept for term in one.terms for value in vars(term).values()]
    storages = [value.untyped_storage() for value in values if isinstance(value, torch.Tensor)]
    held = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
    style = sum(term.bytes_held for term in kept[0].style_terms)  # shared by all
    assert held - style == sum(map(module._bytes_held, kept)) - module.OBJECTIVE_BYTES * len(kept) <= limit


def test_a_style_that_becomes_too_small(tmp_path: Path) -> None:
    painted(20, 80, seed=1).save(tmp_path / "style.png")
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--style-scale", path=tmp_path / "style.png"):
        made(tmp_path, style_fit="contain")
    made(tmp_path, style_fit="stretch")


def test_strength_and_scale_and_crop_of_the_style(tmp_path: Path) -> None:
    painted(60, 80, seed=1).save(tmp_path / "style.png")
    stronger = expected([Style(style(tmp_path / "style.png", 45, 60))], content_weight=10 / 8)
    assert torch.equal(gradient(tmp_path, strength=100.0, style_scale=1.5, style_fit="contain"), stronger)
    with Image.open(tmp_path / "style.png") as picture:
        picture.crop((10, 20, 50, 60)).save(tmp_path / "part.png")
    part = expected([Style(style(tmp_path / "part.png", 40, 40))])
    assert torch.equal(gradient(tmp_path, style_crop="10,20,40,40"), part)


def test_several_styles_share_the_weight_and_transparent_parts_do_not_count(tmp_path: Path) -> None:
    painted(30, 40, seed=1).save(tmp_path / "style.png")
    other = painted(40, 40, seed=2).convert("RGBA")
    other.paste((0, 0, 0, 0), (0, 0, 20, 40))
    other.save(tmp_path / "other.png")
    mask = torch.ones(1, 1, 40, 40)
    mask[..., :20] = 0
    styles = [
        Style(style(tmp_path / "style.png", 40, 40), 0.25),
        Style(style(tmp_path / "other.png", 40, 40), 0.75, mask),
    ]
    found = gradient(tmp_path, blend_style=[(tmp_path / "other.png", 3.0)])
    assert torch.allclose(found, expected(styles), rtol=1e-5)


@pytest.mark.parametrize("style_loss", ["wasserstein", "mrf"])
def test_other_style_losses(tmp_path: Path, style_loss: str) -> None:
    painted(60, 80, seed=1).save(tmp_path / "style.png")
    assert gradient(tmp_path, style_loss=style_loss, style_layers="scale2").isfinite().all()
