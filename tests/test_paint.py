"""A painting without files: what its observers see, and that it changes no process-wide state."""

import gc
import logging
import os
import shutil
import threading
import warnings
import weakref
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from nstyle import Config, DivergenceError, PaintingStep, stylize
from nstyle.errors import OutputError
from nstyle.losses.objective import Objective
from nstyle.losses.parts import PIXELS, Part
from nstyle.losses.terms import Statistic
from nstyle.networks.model_space import to_model_space
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.optim.lbfgs import Spectrum
from nstyle.painting.finish import Finish
from nstyle.painting.memory import UPDATE_IMAGES
from nstyle.painting.prepare import Prepared, prepare
from nstyle.painting.run import _stretched, paint
from nstyle.painting.session import Session
from nstyle.painting.steps import Ending
from nstyle.pictures.color_transfer import is_grey
from nstyle.pictures.decode import read_picture
from nstyle.pictures.picture import Picture, resize_picture
from nstyle.storage.layout import StopReason


def prepared(pair: tuple[Path, Path], **options: Any) -> Prepared:
    settings: dict[str, Any] = {"max_long_edge": 48, "max_num_epochs": 3, "stop_eps": 0, **options}
    return prepare(Config(content_image=pair[0], style_image=pair[1], **settings), torch.device("cpu"), torch.float32)


class Watching:
    """An observer that records the steps. It can raise at a step or when closed."""

    def __init__(self, at_step: BaseException | None = None, at_close: list[BaseException] | None = None) -> None:
        self.epochs: list[int] = []
        self.endings: list[Ending] = []
        self.at_step = at_step
        self.at_close = at_close or []

    def __call__(self, step: PaintingStep) -> None:
        self.epochs.append(step.epoch)
        if self.at_step is not None:
            raise self.at_step

    def close(self, ending: Ending) -> None:
        if self.at_close:
            raise self.at_close.pop()
        self.endings.append(ending)


def images_held(size: tuple[int, int]) -> int:
    """Return how many images of this width and height live, as tensors."""
    gc.collect()
    pictures = [each for each in gc.get_objects() if type(each) is torch.Tensor]
    return len({each.data_ptr() for each in pictures if each.shape[1:] == (3, *size[::-1])})


def test_of_each_picture_there_is_one_tensor_while_an_epoch_is_computed(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image and its velocity; not content, style and start, nor the gradient of the epoch before."""
    painting, held = prepared(pair, model="filters", max_long_edge=47, max_num_epochs=4), []
    gradient = Objective.gradient

    def counted(objective: Objective, image: torch.Tensor) -> Any:
        held.append(images_held(painting.size))
        return gradient(objective, image)

    monkeypatch.setattr(Objective, "gradient", counted)
    before = images_held(painting.size)
    paint(painting)
    assert before == 0
    assert held == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("optimizer", "of_gradient", "of_update"), [("nag", [3, 4, 4], [4, 5, 5]), ("adam", [3, 5, 5], [5, 7, 7])]
)
def test_an_update_makes_only_the_images_that_it_needs(
    optimizer: str,
    of_gradient: list[int],
    of_update: list[int],
    pair: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Image, velocity and gradient; and the gradient of the total variation, or the new velocity and image.

    Adam has two moments in place of the velocity. The plan counts as many.
    """
    painting = prepared(pair, model="filters", max_long_edge=47, max_num_epochs=3, optimizer=optimizer)
    held: dict[str, list[int]] = {}

    def count(name: str) -> None:
        module, _, function = name.rpartition(".")
        original = getattr(import_module(module), function)

        def counted(*arguments: Any) -> Any:
            held.setdefault(function, []).append(images_held(painting.size))
            return original(*arguments)

        monkeypatch.setattr(name, counted)

    count("nstyle.losses.regularisers.inner_product")
    count("nstyle.optim.descent.distance")
    paint(painting)
    assert held == {"inner_product": of_gradient, "distance": of_update}
    assert max(of_update) == 1 + 1 + OPTIMIZERS[optimizer].images + UPDATE_IMAGES


def test_an_update_of_lbfgs_makes_only_the_images_that_it_needs(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan counts as many, and hardly more."""
    epochs, held = 5, []
    settings = {"optimizer": "lbfgs", "init": "content", "stop_eps": 0}
    painting = prepared(pair, model="filters", max_long_edge=47, max_num_epochs=epochs, **settings)
    scale = Spectrum.scale

    def counted(spectrum: Spectrum, image: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        held.append(images_held(painting.size))
        return scale(spectrum, image, factors)

    monkeypatch.setattr(Spectrum, "scale", counted)
    paint(painting)
    peak = max(held) + 3  # planes, waves and the result
    planned = 1 + 1 + OPTIMIZERS["lbfgs"].images + 2 * (epochs - 1) + UPDATE_IMAGES
    assert planned - 3 <= peak <= planned


def test_a_finished_picture_is_made_when_it_is_asked_for(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for the file, and once for Python."""
    made, finish = [], Finish.__call__

    def counted(self: Finish, *arguments: Any) -> Picture:
        made.append(1)
        return finish(self, *arguments)

    monkeypatch.setattr(Finish, "__call__", counted)
    result = stylize(*pair, model="filters", max_long_edge=32, max_num_epochs=2, output_dir=tmp_path)
    assert len(made) == 1
    assert result.picture is result.picture
    assert result.rgb.shape == (*result.picture.size, 3)
    assert len(made) == 2


def test_nothing_is_written(pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    watching = Watching()
    painted = paint(prepared(pair), observers=[watching])
    assert (painted.epochs, painted.stop_reason, watching.epochs) == (3, StopReason.EPOCHS, [0, 1, 2])
    assert painted.picture.size == (32, 48)
    assert not list(folder.iterdir())


def test_the_pictures_that_were_read_are_let_go_of(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """They may need gigabytes, and only results computed from them are needed."""
    read = []

    def reading(path: Path, edge: int) -> Picture:
        picture = read_picture(path, edge)
        read.append(weakref.ref(picture.rgb))
        return picture

    monkeypatch.setattr("nstyle.painting.session.read_picture", reading)
    ready = prepared(pair, scales=2, max_long_edge=64)
    gc.collect()
    assert len(read) == 2
    assert not any(reference() is not None for reference in read)
    assert paint(ready).epochs == 6


def test_a_picture_that_cannot_be_written_is_not_finished(pair: tuple[Path, Path]) -> None:
    """Observers that are closed after it, such as the record, learn about the failure."""
    failing, last = Watching(at_close=[OutputError("no room")]), Watching()
    with pytest.raises(OutputError):
        paint(prepared(pair), observers=[failing, last])
    assert [ending.stop_reason for ending in last.endings] == [StopReason.FAILED]


def test_it_goes_on_from_any_step_that_was_shown(pair: tuple[Path, Path]) -> None:
    steps: list[PaintingStep] = []

    class Keeping(Watching):
        def __call__(self, step: PaintingStep) -> None:
            steps.append(step)

    ready = prepared(pair, scales=2, max_long_edge=64, optimizer="lbfgs")
    whole = paint(ready, observers=[Keeping()])
    for step in list(steps):
        again = paint(ready, start=step.checkpoint)
        assert torch.equal(again.image, whole.image)
        assert again.epochs == 6


def test_an_objective_that_cannot_be_made_says_why_each_time(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = prepared(pair, model="filters")
    with monkeypatch.context() as patched:
        patched.setattr("nstyle.painting.prepare.Objective", Mock(side_effect=MemoryError))
        for _ in range(2):
            with pytest.raises(MemoryError):
                paint(ready)
    assert paint(ready).epochs == 3


def test_a_start_of_ones_own(pair: tuple[Path, Path]) -> None:
    ready = prepared(pair, max_num_epochs=1, lr=1e-8)
    start = torch.full((1, 3, 32, 48), 20.0)
    assert (paint(ready, start=start).image - start).abs().max() < 0.5
    with pytest.raises(ValueError, match="does not fit scale 1"):
        paint(ready, start=torch.zeros(1, 3, 32, 32))


class Towards:
    """A term that pulls the painting toward an image, like a film's frame toward the previous one."""

    layers = ()
    is_local = True
    is_clipped = False

    def __init__(self, image: torch.Tensor) -> None:
        self.image = image

    def statistic(self, part: Part) -> Statistic:
        return Statistic((part.owned(PIXELS) - part.cut(PIXELS, self.image)).square().sum())

    def loss(self, statistic: Statistic) -> torch.Tensor:
        return 1e7 * statistic.sums


def test_a_seamless_image_is_enlarged_as_if_it_lay_among_copies_of_itself() -> None:
    image = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    for width, height in ((12, 10), (9, 7), (6, 5)):
        tiles = torch.nn.functional.interpolate(
            image.repeat(1, 1, 3, 3), size=(3 * height, 3 * width), mode="bilinear", align_corners=False
        )
        enlarged = _stretched(image, (width, height), seamless=True)
        torch.testing.assert_close(enlarged, tiles[..., height:-height, width:-width])
    moved = _stretched(image.roll((2, 3), (2, 3)), (12, 10), seamless=True)
    torch.testing.assert_close(moved, _stretched(image, (12, 10), seamless=True).roll((4, 6), (2, 3)))


def test_a_share_of_the_starts_details_is_added(pair: tuple[Path, Path]) -> None:
    def painted(details: float) -> torch.Tensor:
        ready = prepared(pair, init="content", scales=2, details=details, lr=1e-20, max_num_epochs=1)
        return paint(ready).image

    ready = prepared(pair, init="content", scales=2)
    coarse, finest = (scale.start for scale in ready.scales)
    enlarged = _stretched(coarse, (48, 32), seamless=False)
    assert (finest - enlarged).abs().max() > 1
    torch.testing.assert_close(painted(0), enlarged)
    torch.testing.assert_close(painted(0.5), (enlarged + finest) / 2)
    torch.testing.assert_close(painted(1), finest)


def test_grain_is_added_to_every_enlarged_image_of_200_pixels(pair: tuple[Path, Path]) -> None:
    def painted(grain: float, **changes: Any) -> torch.Tensor:
        settings = {"model": "filters", "init": "content", "lr": 1e-20, "max_num_epochs": 1, "max_long_edge": 200}
        return paint(prepared(pair, **{**settings, **changes}, enlarge=True, grain=grain)).image

    added = painted(8, scales=2) - painted(0, scales=2)
    assert added.mean().abs() < 0.5
    assert added.std() == pytest.approx(8, rel=0.1)
    assert added[..., 1:].mul(added[..., :-1]).mean().abs() < 2  # neighbors are independent
    torch.testing.assert_close(added[:, 0], added[:, 2], atol=1e-4, rtol=0)  # grey: all colors get the same
    assert torch.equal(painted(8, scales=2) - painted(0, scales=2), added)
    torch.testing.assert_close(painted(2, scales=2) - painted(0, scales=2), added / 4, atol=1e-3, rtol=0)
    assert (painted(8, scales=2, seed=1) - painted(8, scales=2)).std() > 8
    assert torch.equal(painted(8, scales=1), painted(0, scales=1))
    smaller = {"scales": 2, "max_long_edge": 199}
    assert torch.equal(painted(8, **smaller), painted(0, **smaller))


@pytest.mark.parametrize("optimizer", ["nag", "adam", "lbfgs"])
def test_what_is_not_painted_stays_the_contents_at_every_scale(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    monkeypatch.setattr("nstyle.painting.prepare.GRAIN_EDGE", 16)
    levels = np.zeros((32, 48), dtype=np.uint8)
    levels[:, :30] = 255
    Image.fromarray(levels).save(tmp_path / "mask.png")
    options = {"optimizer": optimizer, "max_long_edge": 96, "scales": 2, "max_num_epochs": 10, "grain": 8}
    painting = prepared(pair, model="filters", mask=tmp_path / "mask.png", **options)
    black = torch.from_numpy(painting.scales[1].mask) == 0
    content = to_model_space(painting.scales[1].content.rgb)
    image = paint(painting).image
    assert 0.2 < black.float().mean() < 0.5
    assert torch.equal(image[..., black], content[..., black])
    assert not torch.allclose(image, content, atol=5)


def test_a_painting_that_ends_before_the_first_epoch_of_a_scale_shows_the_scale_before(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"max_long_edge": 96, "scales": 2, "max_num_epochs": 2, "stop_eps": 0}
    run: dict[str, Any] = {"output_dir": tmp_path / "run", "image_format": "png", "model": "filters", **options}
    evaluate, shapes = Objective.gradient, list[int]()

    def interrupted(objective: Objective, image: torch.Tensor) -> Any:
        shapes.append(image.shape[-1])
        if shapes[-1] == 96:
            raise KeyboardInterrupt
        return evaluate(objective, image)

    with monkeypatch.context() as patched:
        patched.setattr(Objective, "gradient", interrupted)
        for name in ("once", "twice"):
            with pytest.raises(KeyboardInterrupt):
                stylize(*pair, resume=name == "twice", **run)
            shutil.copy(tmp_path / "run" / "final.png", tmp_path / f"{name}.png")
    assert shapes == [48, 48, 96, 96]
    assert stylize(*pair, resume=True, stop_after=2, **run).epochs == 2
    shutil.copy(tmp_path / "run" / "final.png", tmp_path / "stopped.png")
    for name in ("once", "twice", "stopped"):
        shown = read_picture(tmp_path / f"{name}.png").rgb
        assert shown.shape[1] == 48
        again = stylize(recipe=tmp_path / f"{name}.png", output_dir=tmp_path / f"again {name}")
        assert np.array_equal(read_picture(again.path).rgb, shown)
    resumed = stylize(*pair, resume=True, **run)
    assert torch.equal(resumed.image, paint(prepared(pair, model="filters", **options)).image)


def test_whether_grey_is_kept_is_decided_at_the_finest_scale(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """Specks of color vanish in small pictures; all scales are painted alike."""
    grey = np.full((96, 96, 3), 128, dtype=np.uint8)
    grey[::2, ::2, 0] += 3
    grey[1::2, 1::2, 2] += 3
    for name, picture in {"specks": grey, "grey": np.full_like(grey, 90)}.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    options: dict[str, Any] = {"model": "filters", "grey": "keep", "max_long_edge": 96, "scales": 2}
    found = prepared((tmp_path / "specks.png", tmp_path / "grey.png"), **options)
    assert is_grey(found.scales[0].content.rgb)
    assert not is_grey(found.scales[1].content.rgb)
    assert [scale.objective().grey for scale in found.scales] == [False, False]


def test_a_session_does_not_mix_styles_that_were_read_at_different_sizes(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large JPEGs are read in a part of their size, if a painting needs no more."""
    read = Session.read

    def reduced(session: Session, path: Path, edge: int | None = None) -> Picture:
        picture = read(session, path, edge)
        return resize_picture(picture, 20, 24) if path == pair[1] and edge == 48 else picture

    monkeypatch.setattr(Session, "read", reduced)
    session = Session()
    options: dict[str, Any] = {"model": "filters", "coarsest_edge": 48, "max_num_epochs": 1, "stop_eps": 0}
    results = []
    for edge, used in ((48, session), (96, session), (96, Session())):
        config = Config(content_image=pair[0], style_image=pair[1], max_long_edge=edge, **options)
        results.append(paint(prepare(config, torch.device("cpu"), torch.float32, used)).image)
    assert torch.equal(results[1], results[2])


def test_one_more_term(pair: tuple[Path, Path]) -> None:
    ready, towards = (
        prepared(pair, optimizer="lbfgs", max_num_epochs=6, init="content"),
        torch.full((1, 3, 32, 48), 20.0),
    )
    plain, drawn = paint(ready), paint(ready, more_terms=[Towards(towards)])
    assert (drawn.image - towards).norm() < 0.1 * (plain.image - towards).norm()


def test_every_observer_is_closed_whatever_becomes_of_the_others(pair: tuple[Path, Path]) -> None:
    first, failing, interrupted, last = (
        Watching(),
        Watching(at_close=[OutputError("no room")]),
        Watching(at_close=[KeyboardInterrupt()]),
        Watching(),
    )
    with pytest.raises((OutputError, KeyboardInterrupt)):
        paint(prepared(pair), observers=[first, failing, interrupted, last])
    assert [len(one.endings) for one in (first, failing, interrupted, last)] == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), StopReason.INTERRUPTED),
        (DivergenceError("too far"), StopReason.DIVERGED),
        (ValueError("a bug"), StopReason.FAILED),
    ],
)
def test_observers_learn_why_it_ended(error: BaseException, reason: StopReason, pair: tuple[Path, Path]) -> None:
    watching = Watching(at_step=error)
    with pytest.raises(type(error)):
        paint(prepared(pair), observers=[watching])
    (ending,) = watching.endings
    assert (ending.stop_reason, ending.checkpoint.epoch) == (reason, 1)


def state_of_the_process() -> list[Any]:
    """The process-wide state that other threads share with a painting."""
    return [
        list(warnings.filters),
        warnings.showwarning,
        os.readlink("/proc/self/fd/2") if os.path.exists("/proc/self/fd/2") else None,
        [
            (name, log.disabled, log.level)
            for name, log in logging.root.manager.loggerDict.items()
            if isinstance(log, logging.Logger)
        ],
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.initial_seed(),
        torch.get_default_dtype(),
        Path.cwd(),
    ]


def test_no_state_of_the_process_changes(pair: tuple[Path, Path]) -> None:
    """Not even while it paints: checked from a step, which runs during painting, and from another thread."""
    prepared(pair)  # the first run imports libraries that have loggers
    before = state_of_the_process()
    seen = []

    class Looking(Watching):
        def __call__(self, step: PaintingStep) -> None:
            thread = threading.Thread(target=lambda: seen.append(state_of_the_process()))
            thread.start()
            thread.join()

    paint(prepared(pair), observers=[Looking()])
    assert seen == [before] * 3
    assert state_of_the_process() == before


def test_paintings_in_several_threads_are_those_of_one(pair: tuple[Path, Path]) -> None:
    alone = [paint(prepared(pair, seed=seed)).image for seed in range(3)]
    images: dict[int, torch.Tensor] = {}

    def work(seed: int) -> None:
        images[seed] = paint(prepared(pair, seed=seed)).image

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(images[seed], image) for seed, image in enumerate(alone))


def test_style_pictures_are_dropped_when_their_targets_are_made(pair: tuple[Path, Path]) -> None:
    ready = prepared(pair, scales=2, max_long_edge=64)
    coarse, fine = ready.scales
    pictures = [weakref.ref(scale.make_objective.keywords["styles"][0].image) for scale in (coarse, fine)]  # type: ignore[union-attr]
    assert all(picture() is not None for picture in pictures)
    for scale in (coarse, fine):
        scale.objective()
    gc.collect()
    assert [picture() is not None for picture in pictures] == [True, False]  # a coarser scale may be painted again
    fine.free()
    with pytest.raises(ValueError, match="prepare the painting anew"):
        fine.objective()
