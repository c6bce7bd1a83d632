"""Steps of a training: they lower the loss, and depend on nothing but the state."""

import gc
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import painted
from refusals import refuses
from torch import Tensor

from nstyle.errors import DivergenceError, Kind, RecipeError
from nstyle.losses.objective import Objective
from nstyle.painter.generators import make_generator
from nstyle.painter.graph import Generator
from nstyle.painter.layers import reflected
from nstyle.painter.objectives import CropObjectives
from nstyle.painter.optimizers import ADAM_SHARE, WEIGHT_DECAY
from nstyle.painter.photos import Photos
from nstyle.painter.state import read_state, write_state
from nstyle.painter.training import FIRST_SHARE, LAST_SHARE, Lesson, Trainer, one_cycle
from nstyle.painting.session import Session
from nstyle.settings.training import Training

CPU = torch.device("cpu")
LESSON = Lesson(steps=8, learning_rate=0.01, batch_size=2)
OBJECTIVE = {"model": "filters", "style_layers": "scale2", "content_layers": "scale2"}
SESSION = Session()


def generator(kind: str = "small", seed: int = 1) -> Generator:
    torch.manual_seed(seed)
    return make_generator(kind, width=4, blocks=2)


def trainer(
    folder: Path,
    kind: str = "small",
    lesson: Lesson = LESSON,
    seed: int = 1,
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
) -> Trainer:
    painted(60, 80, seed=3).save(folder / "photo.png")
    painted(40, 50, seed=4).save(folder / "style.png")
    training = Training(output=folder / "y.safetensors", style_image=folder / "style.png", max_long_edge=48)
    objectives = CropObjectives(training.painting(OBJECTIVE), (36, 48), device, dtype, SESSION)
    photos = Photos([folder / "photo.png"], edge=64, crop_edge=32)
    return Trainer(generator(kind, seed).to(device), photos, objectives, lesson, dtype)


def equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["small", "boosted"])
def test_a_training_that_continues_has_the_same_weights_bit_for_bit(
    tmp_path: Path, kind: str, dtype: torch.dtype
) -> None:
    check_that_a_training_continues_bit_for_bit(tmp_path, kind, CPU, dtype)


def check_that_a_training_continues_bit_for_bit(
    tmp_path: Path, kind: str, device: torch.device, dtype: torch.dtype
) -> None:
    whole, first = (trainer(tmp_path, kind, device=device, dtype=dtype) for _ in range(2))
    for _ in range(6):
        whole.step()
    for _ in range(3):
        first.step()
    write_state(tmp_path / "state.npz", first.done, first.state(), {"crop": 32})
    done, state, facts = read_state(tmp_path / "state.npz", device)
    assert (done, facts) == (3, {"crop": 32})
    second = trainer(tmp_path, kind, seed=2, device=device, dtype=dtype)  # its own first weights do not count
    second.restore(done, state)
    second.paint(torch.zeros(1, 3, 32, 32, device=device))  # nor what it paints meanwhile
    for _ in range(3):
        step = second.step()
    assert (second.done, step.number, step.steps) == (6, 6, 8)
    assert equal(whole.state(), second.state())
    whole.step()
    assert not equal(whole.state(), second.state())


def test_a_training_continues_bit_for_bit_where_crops_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstyle.painter.photos.POOL", 2)  # steps 3 to 6 have the crops of the first two
    check_that_a_training_continues_bit_for_bit(tmp_path, "small", CPU, torch.float32)


def test_a_state_of_another_generator_is_refused(tmp_path: Path) -> None:
    other = trainer(tmp_path)
    other.step()
    boosted = trainer(tmp_path, "boosted")
    before = {name: tensor.clone() for name, tensor in boosted.state().items()}
    with pytest.raises(ValueError, match="another generator"):
        boosted.restore(1, other.state())
    state = {
        name: tensor.reshape(-1) if name.startswith("optimizer") else tensor for name, tensor in other.state().items()
    }
    with pytest.raises(ValueError, match="another generator"):
        trainer(tmp_path).restore(1, state)
    assert equal(before, boosted.state())


@pytest.mark.parametrize("kind", ["small", "boosted"])
def test_a_state_without_what_the_optimizer_keeps_is_refused(tmp_path: Path, kind: str) -> None:
    """PyTorch would take the rest, begin anew with what is missing, and end with other weights."""
    one = trainer(tmp_path, kind)
    one.step()
    state = one.state()
    kept = [name for name in state if name.startswith("optimizer.") and ".1." in name]
    assert {name.split(".")[1] for name in kept} == ({"sgd"} if kind == "boosted" else {"muon", "adam"})
    broken = [{name: tensor for name, tensor in state.items() if name != without} for without in kept]
    broken += [{**state, kept[-1]: state[kept[-1]].double()}, {**state, f"{kept[0]}.more": torch.zeros(())}]
    for each in broken:
        with pytest.raises(ValueError, match="incomplete"):
            trainer(tmp_path, kind).restore(1, each)
    trainer(tmp_path, kind).restore(1, state)


def test_the_noisy_photo_of_stability_does_not_count_in_the_averages(tmp_path: Path) -> None:
    averages = []
    for stability in (0.0, 10.0):
        one = trainer(tmp_path, "boosted", replace(LESSON, stability=stability))
        one.step()
        averages.append({name: tensor.clone() for name, tensor in one.generator.named_buffers()})
    assert averages[0]
    assert equal(*averages)


def test_a_trainer_goes_on_after_a_painting_that_failed(tmp_path: Path) -> None:
    one = trainer(tmp_path)
    with pytest.raises(RuntimeError):
        one.paint(torch.zeros(1, 5, 32, 32))
    assert one.generator.training


@pytest.mark.parametrize("kind", ["johnson", "small"])
def test_the_first_paintings_are_nearly_grey(kind: str) -> None:
    """A tanh that saturates in the beginning would have no gradient: parts would stay black."""
    torch.manual_seed(3)
    painting = make_generator(kind)(200 * torch.rand(1, 3, 48, 64) - 100)
    assert 1 < float(painting.detach().std()) < 40


def test_reflection_is_that_of_pytorch() -> None:
    image = torch.rand(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    for beyond in ((4, 4, 4, 4), (1, 0, 0, 2), (0, 3, 1, 0)):
        padded = reflected(image, beyond)
        expected = torch.nn.functional.pad(image, beyond, mode="reflect")
        assert torch.equal(padded, expected)
        weights = torch.rand_like(expected)
        (found,) = torch.autograd.grad((padded * weights).sum(), image)
        (wanted,) = torch.autograd.grad((expected * weights).sum(), image)
        assert torch.allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04rubbish"])
def test_a_damaged_state_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.npz"
    path.write_bytes(content)
    with refuses(RecipeError, kind=Kind.DAMAGED, path=path):
        read_state(path, CPU)


def test_a_state_runs_no_code(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "state.npz", about=np.array([{"done": 1}], dtype=object))
    with refuses(RecipeError, kind=Kind.DAMAGED, path=tmp_path / "state.npz"):
        read_state(tmp_path / "state.npz", CPU)


def test_the_loss_falls(tmp_path: Path) -> None:
    one = trainer(tmp_path, lesson=replace(LESSON, steps=25))
    losses = [one.step().loss for _ in range(25)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_loss_falls_at_each_stage_of_a_chain(tmp_path: Path) -> None:
    one = trainer(tmp_path, "boosted", replace(LESSON, steps=20, learning_rate=1e-3, batch_size=1))
    steps = [one.step() for _ in range(20)]
    for first, last in zip(
        *(map(sum, zip(*(step.stage_losses for step in some), strict=True)) for some in (steps[:5], steps[-5:])),
        strict=True,
    ):
        assert last < 0.95 * first
    assert steps[0].loss == pytest.approx(steps[0].stage_losses[-1], rel=1e-5)


def test_a_chain_learns_as_in_mxnet(tmp_path: Path) -> None:
    """SGD at a constant rate; weights and scales decay, biases do not; each gradient value is clipped to 5."""
    one = trainer(tmp_path, "boosted", replace(LESSON, learning_rate=1e-4))
    before = {name: weight.detach().clone() for name, weight in one.generator.named_parameters()}
    assert one.step().learning_rate == 1e-4
    for name, weight in one.generator.named_parameters():
        assert weight.grad is not None
        assert float(weight.grad.abs().max()) <= 5
        decay = WEIGHT_DECAY * before[name] if name.endswith(".weight") else 0
        assert torch.allclose(weight, before[name] - 1e-4 * (weight.grad + decay), atol=1e-9), name


def test_each_crop_counts_alike_except_in_a_chain(tmp_path: Path) -> None:
    """If the objective of each crop is multiplied by its own number, only a chain's gradients change."""
    for kind, changes in (("small", False), ("boosted", True)):
        gradients = []
        for factors in ((1.0, 1.0), (1.0, 1e3)):
            one = trainer(tmp_path, kind, replace(LESSON, stability=1.0))
            one.objective_of = Scaled(one.objective_of, list(factors))
            one.step()
            gradients.append(torch.cat([weight.grad.flatten() for weight in one.generator.parameters()]))  # type: ignore[union-attr]
        difference = float((gradients[0] - gradients[1]).norm() / gradients[0].norm())
        assert (difference > 0.1) == changes
        assert changes or difference < 1e-4


class Scaled:
    """Objectives whose content and style each count by a factor, one for each objective that is made."""

    def __init__(self, objective_of: Callable[[Tensor], Objective], factors: list[float]) -> None:
        self.objective_of, self.factors = objective_of, factors

    def __call__(self, crop: Tensor) -> Objective:
        objective, factor = self.objective_of(crop), self.factors.pop()
        terms: list[Any] = objective.terms
        for term in terms:
            object.__setattr__(term, "weight", term.weight * factor)
        return objective


def test_a_trainer_frees_its_memory_at_once(tmp_path: Path) -> None:
    one = trainer(tmp_path)
    one.step()
    gone = weakref.ref(one)
    gc.disable()
    try:
        del one
        assert gone() is None
    finally:
        gc.enable()


def test_kernels_learn_by_pytorchs_muon(tmp_path: Path) -> None:
    """As matrices with a row for each output, without decay."""
    one = trainer(tmp_path)
    kernels = {name: weight for name, weight in one.generator.named_parameters() if weight.dim() == 4}
    expected = {name: torch.nn.Parameter(kernel.detach().flatten(1).clone()) for name, kernel in kernels.items()}
    muon = torch.optim.Muon(expected.values(), weight_decay=0)
    for _ in range(3):
        rate = one.step().learning_rate
        for name, matrix in expected.items():
            gradient = kernels[name].grad
            assert gradient is not None
            matrix.grad = gradient.flatten(1)
        muon.param_groups[0]["lr"] = rate
        muon.step()  # type: ignore[no-untyped-call]
        assert all(torch.equal(kernels[name].flatten(1), matrix) for name, matrix in expected.items())


def test_kernels_learn_by_muon_and_the_rest_by_adam(tmp_path: Path) -> None:
    """The first step of Adam moves each weight by the rate. That of Muon has nearly equal singular values."""
    one = trainer(tmp_path)
    before = {name: weight.detach().clone() for name, weight in one.generator.named_parameters()}
    rate = one.step().learning_rate
    for name, weight in one.generator.named_parameters():
        moved = before[name] - weight.detach()
        assert weight.grad is not None
        assert float((moved * weight.grad).sum()) > 0, name
        if weight.dim() == 4:
            rows, columns = moved.flatten(1).shape
            found = torch.linalg.svdvals(moved.flatten(1)) / rate / max(1, rows / columns) ** 0.5
            assert 0.5 < float(found.median()) < 1.5, name
            assert float(found.max()) < 1.5, name
        elif float(weight.grad.abs().max()) > 1e-6:  # a shift that the next norm takes away has no gradient
            assert moved.abs().max() == pytest.approx(ADAM_SHARE * rate, rel=0.01), name


def test_in_bfloat16_the_weights_and_the_paintings_stay_in_float32(tmp_path: Path) -> None:
    """A chain runs in float32 altogether: it learns as in MXNet."""
    for kind, is_exact in (("small", False), ("boosted", True)):
        exact, rounded = (trainer(tmp_path, kind, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
        losses = [one.step().loss for one in (exact, rounded)]
        assert losses[1] == pytest.approx(losses[0], rel=0.02)
        assert {tensor.dtype for tensor in rounded.state().values()} == {torch.float32}
        crop = rounded.photos.crops(0, 0, 1)
        exact.generator.load_state_dict(rounded.generator.state_dict())
        for stage, other in zip(rounded.stages, exact.stages, strict=True):
            painting = stage(crop)
            assert painting.dtype == torch.float32
            assert not torch.equal(painting, painting.bfloat16().float())
            assert torch.equal(painting, other(crop)) == is_exact


def test_the_learning_rate_has_one_cycle() -> None:
    rates = [one_cycle(step, 1000) for step in range(1000)]
    assert rates[0] == FIRST_SHARE
    assert max(rates) == rates[100] == pytest.approx(1)
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert LAST_SHARE < rates[-1] < 2 * LAST_SHARE
    assert [one_cycle(0, steps) for steps in (1, 2)] == [FIRST_SHARE] * 2


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    one = trainer(tmp_path)
    one.step()
    kept = {name: tensor.clone() for name, tensor in one.state().items()}
    broken: Any = one.generator.graphs[0].layer("last")
    bias = broken.bias.detach().clone()
    with torch.no_grad():
        broken.bias[0] = torch.nan
    with refuses(DivergenceError, kind=Kind.OUT_OF_RANGE, flag="--lr"):
        one.step()
    with torch.no_grad():
        broken.bias[:] = bias
    assert one.done == 1
    assert equal(one.state(), kept)


def flicker(one: Trainer) -> float:
    """How much the painting of a crop differs from that of the same crop with noise, in grey levels."""
    (crop,) = one.photos.crops(99, 0, 1)
    noise = 4 * torch.randn(crop.shape, generator=torch.Generator().manual_seed(1))
    return float((one.paint(crop[None]) - one.paint((crop + noise)[None])).square().mean().sqrt())


def test_stability_makes_paintings_depend_less_on_noise(tmp_path: Path) -> None:
    found = []
    for stability in (0.0, 300.0):
        one = trainer(tmp_path, lesson=replace(LESSON, steps=25, stability=stability))
        for _ in range(25):
            one.step()
        found.append(flicker(one))
    assert found[1] < 0.8 * found[0]
