"""The mathematics, compared with autograd, torch's own functions, and defining properties."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from nstyle.losses.functional import gram_matrix, gram_scale, guidance_at, total_variation_gradient
from nstyle.numerics import (
    clip_to_norm,
    distance,
    euclidean_norm,
    inner_product,
    relative_change,
    strips,
    sum_of_squares,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gram_matrix_is_the_product_of_channels() -> None:
    feature_map = random(1, 5, 3, 4)
    flat = feature_map.reshape(5, 12)
    torch.testing.assert_close(gram_matrix(feature_map), flat @ flat.T)


def test_gram_matrix_gradient() -> None:
    assert torch.autograd.gradcheck(gram_matrix, random(1, 4, 3, 2).requires_grad_())


def test_guided_gram_matrix_is_that_of_the_guided_map() -> None:
    feature_map, guidance = random(1, 4, 3, 2), random(1, 1, 3, 2, seed=1)
    torch.testing.assert_close(gram_matrix(feature_map, guidance), gram_matrix(feature_map * guidance))
    assert torch.autograd.gradcheck(lambda x: gram_matrix(x, guidance), feature_map.requires_grad_())
    ones = torch.ones(1, 1, 3, 2, dtype=torch.float64)
    assert torch.equal(gram_matrix(feature_map, ones), gram_matrix(feature_map))


@pytest.mark.parametrize(
    ("size", "layer"), [((16, 24), (2, 3)), ((31, 17), (3, 2)), ((9, 9), (9, 9)), ((12, 9), (5, 4))]
)
def test_guidance_of_a_whole_picture_is_1_everywhere(size: tuple[int, int], layer: tuple[int, int]) -> None:
    guidance, share = guidance_at(torch.ones(1, 1, *size), *layer)
    assert torch.equal(guidance, torch.ones(1, 1, *layer))
    assert share == 1


def test_guidance_is_pooled_like_the_maps_and_scaled_to_their_positions() -> None:
    region = random(1, 1, 13, 9).abs()
    guidance, share = guidance_at(region, 3, 2)
    pooled = torch.nn.functional.avg_pool2d(torch.nn.functional.avg_pool2d(region, 2), 2)
    torch.testing.assert_close(guidance.square(), pooled * (6 / pooled.sum()))
    torch.testing.assert_close(share, pooled.mean())


def test_guidance_where_nothing_of_a_region_is_left() -> None:
    region = torch.zeros(1, 1, 17, 16)
    region[..., 16, :] = 1  # below the last complete square
    guidance, share = guidance_at(region, 1, 1)
    assert guidance == share == 0


def test_gram_matrix_gradient_of_an_asymmetric_function() -> None:
    """The gradient with respect to G need not be symmetric."""
    weights = random(4, 4, seed=1)
    ours, theirs = (random(1, 4, 3, 2).requires_grad_() for _ in range(2))
    flat = theirs.reshape(4, 6)
    torch.testing.assert_close(
        torch.autograd.grad((gram_matrix(ours) * weights).sum(), ours),
        torch.autograd.grad((flat @ flat.T * weights).sum(), theirs),
    )


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_gram_matrix_properties(seed: int) -> None:
    feature_map = random(1, 6, 4, 5, seed=seed)
    gram = gram_matrix(feature_map)
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).min() > -1e-9
    shuffled = feature_map.flatten(2)[:, :, torch.randperm(20)].reshape(feature_map.shape)
    torch.testing.assert_close(gram_matrix(shuffled), gram)


def test_gram_matrix_of_half_precision_is_summed_in_float32() -> None:
    feature_map = random(1, 8, 64, 64).abs().to(torch.bfloat16).requires_grad_()
    gram = gram_matrix(feature_map)
    assert gram.dtype == torch.float32
    exact = gram_matrix(feature_map.detach().double())
    torch.testing.assert_close(gram.double(), exact, rtol=1e-5, atol=0)
    (gradient,) = torch.autograd.grad(gram.sum(), feature_map)
    assert gradient.dtype == torch.bfloat16


def test_gram_scale() -> None:
    assert gram_scale(3, 5 * 7) == 3 * 3 * 5 * 7


def test_total_variation_gradient_is_autograds() -> None:
    """The gradient of 1/16 of the sum of squared differences between neighbors, with 0 outside."""
    image = random(1, 3, 5, 6).requires_grad_()
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    down, right = padded[..., 1:, 1:-1] - padded[..., :-1, 1:-1], padded[..., 1:-1, 1:] - padded[..., 1:-1, :-1]
    (gradient,) = torch.autograd.grad((down.square().sum() + right.square().sum()) / 16, image)
    torch.testing.assert_close(total_variation_gradient(image.detach()), gradient)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("strip", [1, 100, 700])
def test_total_variation_in_strips_changes_no_bit(
    layout: torch.memory_format, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = (100 * torch.randn(1, 3, 41, 53, generator=torch.Generator().manual_seed(1))).to(memory_format=layout)
    whole = total_variation_gradient(image)
    assert whole.stride() == image.stride()
    monkeypatch.setattr("nstyle.losses.functional.STRIP", strip)
    assert torch.equal(total_variation_gradient(image), whole)


def test_total_variation_gradient_of_one_pixel() -> None:
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 1] = 8
    expected = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
    torch.testing.assert_close(total_variation_gradient(image)[0, 0], expected)


@given(seed=st.integers(0, 1000), max_norm=st.floats(1e-3, 1e3))
@settings(max_examples=50, deadline=None)
def test_clipping_never_lengthens_and_keeps_the_direction(seed: int, max_norm: float) -> None:
    gradient = random(1, 3, 4, 4, seed=seed)
    clipped, norm = clip_to_norm(gradient, max_norm)
    torch.testing.assert_close(norm, gradient.norm())
    assert clipped.norm() <= min(max_norm, float(norm)) * (1 + 1e-12)
    torch.testing.assert_close(clipped / clipped.norm(), gradient / norm)


def test_short_gradients_are_left_alone_to_the_bit() -> None:
    gradient = random(1, 3, 4, 4).float()
    clipped, _ = clip_to_norm(gradient, float(gradient.norm()) * 1.01)
    assert torch.equal(clipped, gradient)
    zero, norm = clip_to_norm(torch.zeros(1, 3, 4, 4), 5.0)
    assert torch.equal(zero, torch.zeros(1, 3, 4, 4))
    assert norm == 0


def test_a_norm_beyond_the_numbers_is_not_taken_for_a_direction() -> None:
    clipped, norm = clip_to_norm(torch.full((1, 3, 4, 4), 1e30), 48.0)
    assert norm.isinf()
    assert clipped.isnan().all()


def test_relative_change() -> None:
    old, new = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert relative_change(old, new) == pytest.approx(5 / 4)
    assert relative_change(torch.zeros(3), torch.zeros(3)) == 0
    assert not relative_change(old, torch.tensor([float("nan"), 0])).isfinite()


@pytest.mark.parametrize("shape", [(1, 3, 20, 31), (1, 3, 150, 211), (1, 64, 40, 50)])
def test_norms_and_sums_are_the_same_on_any_number_of_threads(shape: tuple[int, ...]) -> None:
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append([float(euclidean_norm(tensor)), float(sum_of_squares(tensor))])
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]
    exact = float(tensor.double().square().sum())
    assert found[0] == pytest.approx([exact**0.5, exact], rel=1e-6)


@pytest.mark.parametrize("strip", [2**14, 2**15, 2**16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_norms_and_sums_in_strips_are_the_same_to_the_bit(
    layout: torch.memory_format, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (random(1, 3, 311, 257, seed=seed).float().to(memory_format=layout) for seed in (0, 1))

    def found() -> list[float]:
        return [float(value) for value in (distance(first, second), inner_product(first, second))]

    whole = found()
    assert whole[0] == float(euclidean_norm(first - second))
    monkeypatch.setattr("nstyle.numerics.STRIP", strip)
    assert found() == whole
    assert len(list(strips(first))) > 2


def test_strips_have_each_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstyle.numerics.STRIP", 100)
    for shape in ((1, 3, 7, 5), (1, 3, 50, 200), (1, 1, 20, 4), (4, 100)):
        counts = torch.zeros(shape)
        for strip in strips(counts):
            counts[strip] += 1
            assert counts[strip].numel() <= 100 or counts[strip].shape[-2] == 1
        assert (counts == 1).all()
