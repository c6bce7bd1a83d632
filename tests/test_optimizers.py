"""The optimizers on functions with a known minimum. test_descent.py tests Nesterov's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor

from nstyle import descend
from nstyle.losses.functional import total_variation_gradient
from nstyle.losses.objective import Objective
from nstyle.networks.vgg19 import VGG19
from nstyle.numerics import root_mean_square
from nstyle.optim.catalog import HISTORY, OPTIMIZERS
from nstyle.optim.descent import DescentState, DifferentiableObjective
from nstyle.optim.lbfgs import FIRST_RMS, FLAT_BELOW, LARGEST_RMS, LBFGS, RECENT, Spectrum, last_pairs
from nstyle.optim.rules import Adam, Nesterov, UpdateRule

TARGET = 40 * torch.randn(1, 3, 24, 20, generator=torch.Generator().manual_seed(0))
STIFFNESS = torch.logspace(0, 3, TARGET.numel()).reshape(TARGET.shape)


@dataclass
class Slope:
    """An evaluation of a quadratic."""

    gradient: Tensor
    loss: float


class Quadratic:
    """1/2 sum(k (x - t)^2), times a factor. Some values of k are a thousand times as large as others."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def gradient(self, image: Tensor) -> Slope:
        away = image - TARGET
        return Slope(self.factor * STIFFNESS * away, float((STIFFNESS * away.square()).sum() / 2))


def losses(
    optimizer: str, epochs: int, factor: float = 1.0, objective: DifferentiableObjective[Slope] | None = None
) -> list[float]:
    lr = OPTIMIZERS[optimizer].learning_rate
    steps = descend(
        objective or Quadratic(factor),
        torch.zeros_like(TARGET),
        optimizer=optimizer,
        lr=lr,
        stop_eps=0,
        max_num_epochs=epochs,
    )
    return [step.evaluation.loss for step in steps]


def test_lbfgs_finds_the_minimum_of_a_stiff_quadratic() -> None:
    found = losses("lbfgs", 150)
    assert found[-1] < 1e-3 * found[0]


class Waves:
    """A quadratic whose stiffness is a power of the frequency, and larger for green."""

    def __init__(self, power: float) -> None:
        self.spectrum = Spectrum(TARGET)
        self.stiffness = (power * self.spectrum.logs).exp() * torch.tensor([[1.0], [0.5], [8.0]])

    def gradient(self, image: Tensor) -> Slope:
        away = image - TARGET
        gradient = self.spectrum.scale(away, self.stiffness)
        return Slope(gradient, float((away * gradient).sum() / 2))


@pytest.mark.parametrize("power", [1.5, -1.5])
def test_lbfgs_learns_how_stiff_waves_and_colors_are(power: float) -> None:
    image = torch.zeros_like(TARGET).requires_grad_()
    plain = torch.optim.LBFGS([image], max_iter=1, history_size=HISTORY)
    waves, theirs = Waves(power), []

    def closure() -> float:
        slope = waves.gradient(image.detach())
        image.grad = slope.gradient
        theirs.append(slope.loss)
        return slope.loss

    for _ in range(25):
        plain.step(closure)  # type: ignore[no-untyped-call]
    assert losses("lbfgs", 25, objective=waves)[-1] < theirs[-1] / 100


@pytest.mark.parametrize("power", [1.5, -1.5])
def test_the_last_pairs_of_a_descent_help_a_similar_one(power: float) -> None:
    waves = Waves(power)
    near = TARGET + torch.randn(TARGET.shape, generator=torch.Generator().manual_seed(1))

    def later(memory: Mapping[str, Tensor]) -> float:
        *_, last = descend(
            waves, DescentState(near, memory=memory), optimizer="lbfgs", lr=1.0, stop_eps=0, max_num_epochs=3
        )
        return waves.gradient(last.image).loss

    *_, last = descend(waves, torch.zeros_like(TARGET), optimizer="lbfgs", lr=1.0, stop_eps=0, max_num_epochs=12)
    pairs = last_pairs(last.state.memory)
    assert set(pairs) == {f"{name}_{i}" for name in ("step", "change") for i in range(RECENT)}
    number = (len(last.state.memory) - 2) // 2
    assert torch.equal(pairs["step_4"], last.state.memory[f"step_{number - 1}"])
    assert torch.equal(pairs["change_0"], last.state.memory[f"change_{number - 5}"])
    assert later(pairs) < later({}) / 4


def test_only_lbfgs_has_pairs() -> None:
    for optimizer in ("adam", "nag"):
        *_, last = descend(Quadratic(), torch.zeros_like(TARGET), optimizer=optimizer, lr=1e-3, max_num_epochs=3)
        assert last.state.memory
        assert last_pairs(last.state.memory) == {}
    assert last_pairs({}) == {}


def test_a_pair_along_which_the_gradient_falls_is_left_out() -> None:
    rule = LBFGS()
    rule.remember({"step_0": TARGET, "change_0": -TARGET, "step_1": TARGET, "change_1": 2 * TARGET})
    assert len(rule.pairs) == 1
    assert rule(TARGET, TARGET, 1.0).isfinite().all()


def test_a_spectrum_scales_waves_symmetrically() -> None:
    spectrum = Spectrum(TARGET)
    other = torch.randn(TARGET.shape, generator=torch.Generator().manual_seed(1))
    factors = (-spectrum.logs).exp() * torch.tensor([[1.0], [2.0], [3.0]])
    assert float((other * spectrum.scale(TARGET, factors)).sum()) == pytest.approx(
        float((TARGET * spectrum.scale(other, factors)).sum()), rel=1e-4
    )
    torch.testing.assert_close(spectrum.scale(TARGET, torch.ones_like(factors)), TARGET, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(24, 20), (1, 1), (2, 1), (16, 90)])
def test_a_spectrum_compares_amplitudes(size: tuple[int, int]) -> None:
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    spectrum = Spectrum(image)
    grey = image.mean(dim=1, keepdim=True)
    step = 2 * grey + 5 * (image - grey)
    ratio = spectrum.compare(step, image)
    torch.testing.assert_close(
        spectrum.factors([ratio]),
        torch.tensor([[2.0], [5], [5]]).expand(-1, spectrum.logs.numel()),
        rtol=1e-3,
        atol=0,
    )
    assert spectrum.factors([ratio, ratio - 2]).allclose(spectrum.factors([ratio - 1]))
    assert spectrum.compare(0 * step, image).isfinite().all()
    longest, shortest = spectrum.factors([])[0].max(), spectrum.factors([])[0].min()
    assert longest <= 1 / FLAT_BELOW + 1e-3
    assert shortest >= 2**0.5 - 1e-3


def test_lbfgs_does_not_mind_the_scale_of_the_loss() -> None:
    usual, large = losses("lbfgs", 20), losses("lbfgs", 20, factor=2.0**30)
    assert large == pytest.approx(usual, rel=1e-3)


def test_lbfgs_learns_nothing_where_the_loss_is_not_convex() -> None:
    rule, image = LBFGS(), torch.zeros_like(TARGET)
    for _ in range(3):
        image = rule(image, -image - 1, 1.0)  # of -1/2 x^2 - x
    assert not rule.pairs
    assert image.isfinite().all()


def test_a_step_of_lbfgs_is_no_longer_than_the_greatest_one() -> None:
    rule, image, lengths = LBFGS(), torch.zeros_like(TARGET), []
    for _ in range(8):
        new = rule(image, 1e-3 * (image - 100 * TARGET), 1.0)
        lengths.append(float(root_mean_square(new - image)))
        image = new
    assert lengths[0] == pytest.approx(FIRST_RMS, rel=1e-5)
    assert lengths[1:] == pytest.approx([LARGEST_RMS] * 7, rel=1e-5)


def test_without_a_gradient_lbfgs_stays_where_it_is() -> None:
    rule, image = LBFGS(), TARGET
    for _ in range(2):
        image = rule(image, torch.zeros_like(TARGET), 1.0)
    assert torch.equal(image, TARGET)


@pytest.mark.parametrize("history", [HISTORY, 3, 1])
def test_lbfgs_remembers_so_much_and_no_more(history: int) -> None:
    rule, image = LBFGS(history), torch.zeros_like(TARGET)
    for _ in range(history + 5):
        image = rule(image, Quadratic().gradient(image).gradient, 1.0)
    assert len(rule.pairs) == history
    assert len(rule.memory()) == 2 * history + 2


@pytest.mark.parametrize("history", [0, -1])
def test_lbfgs_must_remember_a_step(history: int) -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        next(descend(Quadratic(), torch.zeros_like(TARGET), optimizer="lbfgs", history=history))


def test_adam_is_torchs() -> None:
    rule, image = Adam(), torch.zeros_like(TARGET)
    theirs = torch.zeros_like(TARGET)
    adam = torch.optim.Adam([theirs], lr=10, foreach=False)
    for _ in range(12):
        image = rule(image, Quadratic().gradient(image).gradient, 10)
        theirs.grad = Quadratic().gradient(theirs).gradient
        adam.step()
        assert torch.equal(image, theirs)
    assert losses("adam", 60)[-1] < 0.01 * losses("adam", 1)[0]


@pytest.mark.parametrize("make", [LBFGS, partial(LBFGS, 3), Adam])
@pytest.mark.parametrize("after", [0, 1, 3, 14])
def test_what_is_remembered_is_all_there_is(make: Callable[[], LBFGS | Adam], after: int) -> None:
    def step(rule: LBFGS | Adam, image: Tensor) -> Tensor:
        return rule(image, Quadratic().gradient(image).gradient, 1.0)

    rule, image = make(), torch.zeros_like(TARGET)
    for _ in range(after):
        image = step(rule, image)
    memory = rule.memory()
    kept = {name: tensor.clone() for name, tensor in memory.items()}
    other = make()
    step(other, image + 1)
    other.remember(memory)
    for _ in range(4):
        image, copy = step(rule, image), step(other, image)
        assert torch.equal(image, copy)
    assert all(torch.equal(memory[name], kept[name]) for name in kept)


def test_the_gradient_that_is_not_clipped_is_that_of_the_losses(vgg19: VGG19) -> None:
    generator = torch.Generator().manual_seed(1)
    content, style, image = (60 * torch.randn(1, 3, 32, 32, generator=generator) for _ in range(3))
    whole = Objective(vgg19, content, style, tv_weight=0.0, clip=False).gradient(image)
    smooth = Objective(vgg19, content, style, tv_weight=2.0, clip=False).gradient(image)
    clipped = Objective(vgg19, content, style, tv_weight=0.0).gradient(image)
    assert whole.gradient_norm > image.numel()
    assert whole.gradient.norm() == pytest.approx(float(whole.gradient_norm), rel=1e-5)
    torch.testing.assert_close(clipped.gradient, whole.gradient * (image.numel() / whole.gradient_norm))
    torch.testing.assert_close(smooth.gradient, whole.gradient + 2 * total_variation_gradient(image))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("make", [Adam, partial(Nesterov, 0.95, 1e-4), LBFGS])
def test_updates_in_strips_change_no_bit(
    make: Callable[[], UpdateRule], layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the memory layout, which affects the rounding of what follows. L-BFGS has one of its own."""
    generator = torch.Generator().manual_seed(0)
    image, *gradients = (100 * torch.randn(1, 3, 53, 41, generator=generator) for _ in range(4))
    image = image.to(memory_format=layout)

    def updated() -> list[Tensor]:
        rule, images = make(), [image]
        for gradient in gradients:
            images.append(rule(images[-1], gradient.to(memory_format=torch.channels_last), 0.5))
        return [*images, *rule.memory().values()]

    whole = updated()
    monkeypatch.setattr("nstyle.numerics.STRIP", 1000)
    for found, expected in zip(updated(), whole, strict=True):
        assert torch.equal(found, expected)
        assert found.stride() == expected.stride()
    assert make is LBFGS or whole[1].stride() == image.stride()
