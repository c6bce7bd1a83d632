"""The objective on a small random network, without an optimizer."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.functional import gram_matrix, gram_scale, total_variation_gradient
from nstyle.losses.gram import GramTerm
from nstyle.losses.objective import LEAST_DISTANCE, UNIT, Objective, Style
from nstyle.networks.features import Features
from nstyle.networks.layers import CONTENT_LAYER, STYLE_LAYERS
from nstyle.networks.padding import Padded, seamless
from nstyle.numerics import clip_to_norm, sum_of_squares


class SmallNetwork:
    """A stack of random 3x3 convolutions, one for each name; smooth, so that it is differentiable."""

    def __init__(self, scale: float = 0.3) -> None:
        generator = torch.Generator().manual_seed(3)
        channels = [3, 4, 5, 4, 6, 5, 4]
        self.layers = (*STYLE_LAYERS[:4], CONTENT_LAYER, STYLE_LAYERS[4])
        self.kernels = [
            torch.randn(out, in_, 3, 3, generator=generator, dtype=torch.float64) * scale
            for in_, out in itertools.pairwise(channels)
        ]
        self.asked: set[str] = set()

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(layers)
        self.asked |= wanted
        maps = {}
        for name, kernel in zip(self.layers, self.kernels, strict=True):
            image = torch.nn.functional.softplus(torch.nn.functional.conv2d(image, kernel, padding=1))
            maps[name] = image
        return {name: map_ for name, map_ in maps.items() if name in wanted}


def images(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    content, style, image = torch.randn(3, 1, 3, 6, 5, generator=generator, dtype=torch.float64)
    return content, style, image


def scalar_loss(network: SmallNetwork, content: Tensor, style: Tensor, image: Tensor, cw: float, sw: float) -> Tensor:
    """The formula, written out."""
    maps, contents, styles = (network(x, (*STYLE_LAYERS, CONTENT_LAYER)) for x in (image, content, style))
    loss = cw * (maps[CONTENT_LAYER] - contents[CONTENT_LAYER]).square().sum()
    for layer in STYLE_LAYERS:
        f, a = maps[layer][0].flatten(1), styles[layer][0].flatten(1)
        loss = loss + sw / (f.shape[0] ** 2 * f.shape[1]) * (f @ f.T - a @ a.T).square().sum()
    return loss


def test_gradient_is_that_of_the_formula_where_nothing_is_clipped() -> None:
    network, (content, style, image) = SmallNetwork(scale=0.1), images()
    evaluation = Objective(network, content, style, content_weight=3, style_weight=2, tv_weight=0).gradient(image)
    x = image.clone().requires_grad_()
    loss = scalar_loss(network, content, style, x, cw=3, sw=2)
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient.norm() < image.numel()
    torch.testing.assert_close(evaluation.gradient, gradient)
    torch.testing.assert_close(evaluation.gradient_norm, gradient.norm())
    torch.testing.assert_close(evaluation.loss, loss.detach())


def test_gradient_is_the_numerical_one() -> None:
    network, (content, style, image) = SmallNetwork(scale=0.1), images()
    objective = Objective(network, content, style, content_weight=3, style_weight=2, tv_weight=0)
    gradient, h = objective.gradient(image).gradient, 1e-5
    for index in [(0, 0, 0, 0), (0, 1, 3, 2), (0, 2, 5, 4)]:
        bump = torch.zeros_like(image)
        bump[index] = h
        up, down = (objective.gradient(image + sign * bump).loss for sign in (1, -1))
        assert float(gradient[index]) == pytest.approx(float(up - down) / (2 * h), rel=1e-6)


def test_gradient_is_clipped_before_total_variation_is_added() -> None:
    network, (content, style, image) = SmallNetwork(scale=2.0), images()
    objective = Objective(network, content, style, tv_weight=50.0)
    evaluation = objective.gradient(image)
    limit = image.numel()
    assert evaluation.gradient_norm > limit
    variation = 50.0 * total_variation_gradient(image)
    assert variation.norm() > limit / 2  # if it were added first, the sum would be clipped
    assert (evaluation.gradient - variation).norm() == pytest.approx(limit)


def test_losses_are_weighted_and_named_by_layer() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    evaluation = Objective(network, content, style, content_weight=10, style_weight=2).gradient(image)
    maps, styles = network(image, STYLE_LAYERS), network(style, STYLE_LAYERS)
    for layer in STYLE_LAYERS:
        distance = (gram_matrix(maps[layer]) - gram_matrix(styles[layer])).square().sum()
        torch.testing.assert_close(
            evaluation.style_losses[layer], 2 * distance / gram_scale(*maps[layer].flatten(2).shape[1:])
        )
    torch.testing.assert_close(evaluation.loss, evaluation.content_loss + sum(evaluation.style_losses.values()))
    assert not evaluation.loss.requires_grad
    assert not evaluation.gradient.requires_grad


def test_nothing_is_left_to_do_at_the_target() -> None:
    network, (content, _, _) = SmallNetwork(), images()
    evaluation = Objective(network, content, content, tv_weight=0).gradient(content)
    assert evaluation.loss == 0
    assert evaluation.gradient.abs().max() == 0


def test_terms_of_weight_0_are_not_computed() -> None:
    content, style, image = images()
    network = SmallNetwork()
    evaluation = Objective(network, content, style, content_weight=0).gradient(image)
    assert network.asked == set(STYLE_LAYERS)
    assert evaluation.content_loss == 0
    network = SmallNetwork()
    evaluation = Objective(network, content, style, style_weight=0).gradient(image)
    assert network.asked == {CONTENT_LAYER}
    assert evaluation.style_losses == {}
    with pytest.raises(ValueError, match="both 0"):
        Objective(network, content, style, content_weight=0, style_weight=0)


def test_style_of_another_size_than_the_content() -> None:
    network, (content, _, image) = SmallNetwork(), images()
    style = torch.randn(1, 3, 9, 4, dtype=torch.float64)
    assert Objective(network, content, style).gradient(image).gradient.shape == image.shape


def random_mask(*size: int, seed: int) -> Tensor:
    return torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def guided_objective(
    network: SmallNetwork, content: Tensor, style: Tensor, *, mask: Tensor | None, **options: Any
) -> Objective:
    """Two styles of different sizes and weights. One has a region and a mask of its own picture."""
    larger = torch.cat([style, -style, style], dim=3)
    placed = Style(larger, 0.7, mask=random_mask(*larger.shape[2:], seed=1), region=random_mask(6, 5, seed=2))
    styles = [Style(style, 0.3), placed]
    return Objective(network, content, styles, content_weight=3, style_weight=2, tv_weight=0, mask=mask, **options)


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
@pytest.mark.parametrize("distance", [0.3, 1, 30])
def test_balance_photo_sets_the_style_loss_of_the_photo(style_loss: str, distance: float) -> None:
    network, (content, style, image) = SmallNetwork(scale=0.1), images()
    style = content + distance * (style - content)
    relative, photo = (
        guided_objective(network, content, style, mask=None, style_loss=style_loss, balance=balance, clip=False)
        for balance in ("relative", "photo")
    )
    here, there = (objective.gradient(content) for objective in (relative, photo))
    factor = float(there.loss / here.loss)
    layers = len(here.style_losses)
    # a mask of the style and a region of its own, so that a picture's share of the weight is not 1
    weights = 2 * (0.3 + 0.7 * float(random_mask(6, 5, seed=2).mean())) * layers * UNIT * content.numel()
    assert float(there.loss) == pytest.approx(min(weights, float(here.loss) / LEAST_DISTANCE))
    here, there = (objective.gradient(image) for objective in (relative, photo))
    assert float(there.content_loss) == pytest.approx(float(here.content_loss))
    for layer, loss in there.style_losses.items():
        assert float(loss) == pytest.approx(factor * float(here.style_losses[layer]))


def test_a_style_that_is_the_photo_does_not_outweigh_it() -> None:
    network, (content, _, image) = SmallNetwork(), images()
    relative, photo = (Objective(network, content, content, balance=balance) for balance in ("relative", "photo"))
    losses = [sum(objective.gradient(image).style_losses.values()) for objective in (relative, photo)]
    assert float(losses[1]) == pytest.approx(float(losses[0]) / LEAST_DISTANCE)


@pytest.mark.parametrize("weight", [{"content_weight": 0}, {"style_weight": 0}])
def test_balance_photo_is_relative_without_photo_or_style(weight: dict[str, Any]) -> None:
    network, (content, style, image) = SmallNetwork(), images()
    relative, photo = (
        Objective(network, content, style, balance=balance, **weight) for balance in ("relative", "photo")
    )
    assert torch.equal(relative.gradient(image).gradient, photo.gradient(image).gradient)


@pytest.mark.parametrize("balance", ["absolute", "relative", "photo"])
@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_gradient_of_guided_and_blended_styles_is_the_numerical_one(style_loss: str, balance: str) -> None:
    network, (content, style, image) = SmallNetwork(scale=0.1), images()
    objective = guided_objective(
        network, content, style, mask=None, style_loss=style_loss, balance=balance, clip=False
    )
    gradient, h = objective.gradient(image).gradient, 1e-5
    found, numerical = [], []
    for index in itertools.product([0], range(3), [0, 2, 5], [0, 3]):
        bump = torch.zeros_like(image)
        bump[index] = h
        up, down = (objective.gradient(image + sign * bump).loss for sign in (1, -1))
        found.append(gradient[index])
        numerical.append((up - down) / (2 * h))
    difference = torch.stack(found) - torch.stack(numerical)
    assert difference.norm() < 1e-6 * torch.stack(numerical).norm()


def test_gradient_under_a_mask_is_the_numerical_one_times_the_mask() -> None:
    network, (content, style, image) = SmallNetwork(scale=0.1), images()
    mask = random_mask(6, 5, seed=3)
    mask[..., :2] = 0
    objective, h = guided_objective(network, content, style, mask=mask), 1e-5
    gradient = objective.gradient(image).gradient
    assert gradient[..., :2].abs().max() == 0
    for index in [(0, 0, 0, 2), (0, 1, 3, 3), (0, 2, 5, 4)]:
        bump = torch.zeros_like(image)
        bump[index] = h
        up, down = (objective.gradient(image + sign * bump).loss for sign in (1, -1))
        numerical = float(mask[0, 0, index[2], index[3]]) * float(up - down) / (2 * h)
        assert float(gradient[index]) == pytest.approx(numerical, rel=1e-6), index


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_style_everywhere_is_the_classic_formula_to_the_bit(dtype: torch.dtype) -> None:
    """Support for several styles and masks must not change a run without them."""
    network = SmallNetwork(scale=0.3)
    network.kernels = [kernel.to(dtype) for kernel in network.kernels]
    content, style, image = (x.to(dtype) for x in images())
    evaluation = Objective(
        network, content, [Style(style)], content_weight=3, style_weight=2, tv_weight=0.5
    ).gradient(image)
    maps, styles = network(image.requires_grad_(), (*STYLE_LAYERS, CONTENT_LAYER)), network(style, STYLE_LAYERS)
    losses = [
        2.0
        / gram_scale(*maps[layer].flatten(2).shape[1:])
        * sum_of_squares(gram_matrix(maps[layer]) - gram_matrix(styles[layer]))
        for layer in STYLE_LAYERS
    ]
    losses.append(3 * sum_of_squares(maps[CONTENT_LAYER] - network(content, (CONTENT_LAYER,))[CONTENT_LAYER]))
    (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), image)
    gradient, norm = clip_to_norm(gradient, image.numel())
    assert torch.equal(evaluation.gradient_norm, norm)
    assert torch.equal(evaluation.gradient, gradient + 0.5 * total_variation_gradient(image.detach()))
    assert [evaluation.style_losses[layer] for layer in STYLE_LAYERS] == losses[:5]


def test_all_ones_as_masks_change_nothing() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    plain = Objective(network, content, style, tv_weight=5.0).gradient(image)
    ones = torch.ones(1, 1, 6, 5, dtype=torch.float64)
    masked = Objective(network, content, [Style(style, mask=ones, region=ones)], tv_weight=5.0, mask=ones)
    torch.testing.assert_close(masked.gradient(image).gradient, plain.gradient)


def test_losses_of_several_styles_are_summed_by_layer() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    both = Objective(network, content, [Style(style, 0.25), Style(content, 0.5)]).gradient(image)
    first, second = (Objective(network, content, x).gradient(image).style_losses for x in (style, content))
    assert list(both.style_losses) == list(STYLE_LAYERS)
    for layer in STYLE_LAYERS:
        torch.testing.assert_close(both.style_losses[layer], 0.25 * first[layer] + 0.5 * second[layer])
    torch.testing.assert_close(both.loss, both.content_loss + sum(both.style_losses.values()))


class Pixels:
    """A network whose feature map is the image itself, so that each position depends only on itself."""

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        return dict.fromkeys(layers, image)


def test_size_of_the_style_picture_does_not_change_the_balance() -> None:
    """A picture and its 2 x 3 tiling have the same statistics, so they are the same style."""
    _, style, image = images()
    tiled = style.repeat(1, 1, 2, 3)
    once, often = (Objective(Pixels(), image, x, content_weight=0).gradient(image) for x in (style, tiled))
    torch.testing.assert_close(often.gradient, once.gradient)
    torch.testing.assert_close(often.loss, once.loss)


def test_size_of_a_region_does_not_change_how_strongly_its_pixels_are_pulled() -> None:
    """The left half has the gradient of a picture that is only the left half. The right half has none."""
    _, style, image = images()
    wide = torch.cat([image, 5 * image], dim=3)
    region = torch.zeros(1, 1, 6, 10, dtype=torch.float64)
    region[..., :5] = 1
    alone = Objective(Pixels(), image, style, content_weight=0, style_weight=1e-3, tv_weight=0).gradient(image)
    placed = Objective(
        Pixels(), wide, [Style(style, region=region)], content_weight=0, style_weight=1e-3, tv_weight=0
    ).gradient(wide)
    torch.testing.assert_close(placed.gradient[..., :5], alone.gradient)
    assert placed.gradient[..., 5:].abs().max() == 0
    torch.testing.assert_close(placed.loss, alone.loss)


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_a_style_in_two_half_regions_is_as_strong_as_everywhere(style_loss: str) -> None:
    network, (content, style, image) = SmallNetwork(), images()
    half = torch.full((1, 1, 6, 5), 0.5, dtype=torch.float64)
    halves = [Style(style, region=half), Style(style, region=half)]
    everywhere, split = (
        Objective(network, content, styles, style_loss=style_loss, tv_weight=0, clip=False).gradient(image)
        for styles in (style, halves)
    )
    torch.testing.assert_close(split.gradient, everywhere.gradient)
    torch.testing.assert_close(split.loss, everywhere.loss)


def test_a_style_that_fades_into_itself_is_as_strong_as_everywhere() -> None:
    """For a picture of equal columns, of which each part has the same statistics."""
    _, style, image = images()
    columns = image[..., :1].expand(1, 3, 6, 9)
    ramp = torch.linspace(0, 1, 9, dtype=torch.float64).expand(1, 1, 6, 9)
    fading = [Style(style, region=ramp), Style(style, region=1 - ramp)]
    everywhere, split = (
        Objective(Pixels(), columns, styles, content_weight=0, tv_weight=0, clip=False).gradient(columns)
        for styles in (style, fading)
    )
    torch.testing.assert_close(split.gradient, everywhere.gradient)
    torch.testing.assert_close(split.loss, everywhere.loss)


def test_positions_of_a_style_picture_count_by_its_mask() -> None:
    """At half strength a part counts half as much: as if the other part were there twice."""
    _, style, image = images()
    weighted = torch.ones(1, 1, 6, 10, dtype=torch.float64)
    weighted[..., 5:] = 0.5
    one, other = (
        Objective(Pixels(), image, x, content_weight=0).gradient(image).gradient
        for x in ([Style(torch.cat([style, image], dim=3), mask=weighted)], torch.cat([style, style, image], dim=3))
    )
    torch.testing.assert_close(one, other)


def test_only_the_part_of_the_style_picture_that_counts_counts() -> None:
    _, style, image = images()
    part = torch.zeros(1, 1, 6, 15, dtype=torch.float64)
    part[..., 5:10] = 1
    strange = torch.cat([style * 9, style, style * -7], dim=3)
    one, other = (
        Objective(Pixels(), image, x, content_weight=0).gradient(image).gradient
        for x in (style, [Style(strange, mask=part)])
    )
    torch.testing.assert_close(one, other)


def test_a_part_too_small_for_a_layer_is_left_out_there() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    evaluation = Objective(network, content, [Style(style, mask=torch.zeros(1, 1, 6, 5))]).gradient(image)
    assert all(loss == 0 for loss in evaluation.style_losses.values())


def test_gradient_is_clipped_to_the_values_that_are_painted() -> None:
    network, (content, style, image) = SmallNetwork(scale=2.0), images()
    mask = torch.zeros(1, 1, 6, 5, dtype=torch.float64)
    mask[..., 1:3, 1:4] = 1
    evaluation = Objective(network, content, style, tv_weight=0, mask=mask).gradient(image)
    assert evaluation.gradient.norm() == pytest.approx(3 * 6)


def test_nothing_moves_what_is_not_painted() -> None:
    """This includes total variation, which is added last."""
    network, (content, style, image) = SmallNetwork(), images()
    mask = torch.zeros(1, 1, 6, 5, dtype=torch.float64)
    mask[..., 3:] = 1
    gradient = Objective(network, content, style, tv_weight=50.0, mask=mask).gradient(image).gradient
    assert gradient[..., :3].abs().max() == 0
    assert gradient[..., 3:].abs().min() > 0


def test_grey_averages_the_gradient_over_the_channels() -> None:
    """For every term. The average is clipped."""
    network, (content, style, image) = SmallNetwork(), images()
    free, grey = (
        Objective(network, content, style, tv_weight=50.0, range_weight=1e9, clip=False, grey=grey).gradient(image)
        for grey in (False, True)
    )
    torch.testing.assert_close(grey.gradient, free.gradient.mean(dim=1, keepdim=True).expand(1, 3, 6, 5))
    assert torch.equal(grey.gradient[:, :1].expand(1, 3, 6, 5), grey.gradient)
    torch.testing.assert_close(grey.loss, free.loss)
    clipped = Objective(SmallNetwork(scale=2.0), content, style, tv_weight=0, grey=True).gradient(image).gradient
    assert clipped.norm() == pytest.approx(image.numel())


def test_grey_stays_so_under_a_mask() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    mask = random_mask(6, 5, seed=3)
    mask[..., :2] = 0
    gradient = Objective(network, content, style, mask=mask, grey=True).gradient(image).gradient
    assert torch.equal(gradient[:, :1].expand(1, 3, 6, 5), gradient)
    assert gradient[..., :2].abs().max() == 0
    assert gradient[..., 2:].abs().max() > 0


def test_styles_go_only_where_it_is_painted() -> None:
    """The losses under a mask equal those in a region; with both, those in their intersection."""
    network, (content, style, image) = SmallNetwork(), images()
    mask, region = random_mask(6, 5, seed=1), random_mask(6, 5, seed=2)
    masked = Objective(network, content, [Style(style, region=region)], mask=mask).gradient(image)
    placed = Objective(network, content, [Style(style, region=region * mask)]).gradient(image)
    assert masked.style_losses == placed.style_losses
    masked = Objective(network, content, style, mask=mask).gradient(image)
    placed = Objective(network, content, [Style(style, region=mask)]).gradient(image)
    assert masked.style_losses == placed.style_losses


def relative_objective(network: Features, content: Tensor, style: Tensor, **options: Any) -> Objective:
    return Objective(network, content, style, balance="relative", tv_weight=0, clip=False, **options)


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_relative_losses_are_shares(style_loss: str) -> None:
    """Relative losses: absolute ones divided by those of an image without features, times `UNIT` for each value."""
    network, (content, style, image) = SmallNetwork(), images()
    relative, absolute = (
        Objective(network, content, style, style_loss=style_loss, content_weight=3, style_weight=2, balance=balance)
        for balance in ("relative", "absolute")
    )
    shares, losses = relative.gradient(image), absolute.gradient(image)
    nothing = network(content, [CONTENT_LAYER])[CONTENT_LAYER].square().sum()
    torch.testing.assert_close(shares.content_loss, UNIT * image.numel() * losses.content_loss / nothing)
    ratios = torch.stack([shares.style_losses[layer] / losses.style_losses[layer] for layer in losses.style_losses])
    assert ratios.max() / ratios.min() > 2  # each layer has its own factor


class Blind:
    """A network that finds features in all images except one."""

    def __init__(self, network: Features, image: Tensor) -> None:
        self.network = network
        self.image = image

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        maps = self.network(image, layers)
        seen = 0.0 if torch.equal(image, self.image) else 1.0
        return {layer: seen * map_ for layer, map_ in maps.items()}


@pytest.mark.parametrize("style_loss", ["gram", "wasserstein"])
def test_a_relative_loss_is_1_for_an_image_without_features(style_loss: str) -> None:
    """Exactly, at each layer. For patches only on average, because the nearest patch to no features is arbitrary."""
    content, style, image = images()
    evaluation = relative_objective(
        Blind(SmallNetwork(), image), content, style, style_loss=style_loss, content_weight=1
    ).gradient(image)
    one = UNIT * image.numel()
    assert [float(loss) for loss in evaluation.style_losses.values()] == [one] * 5
    assert float(evaluation.content_loss) == pytest.approx(one, rel=1e-12)


class Amplified:
    """A network with its weights multiplied by a factor."""

    def __init__(self, network: Features, factor: float) -> None:
        self.network = network
        self.factor = factor

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        return {layer: self.factor * map_ for layer, map_ in self.network(image, layers).items()}


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
@pytest.mark.parametrize("factor", [0.125, 1024.0])
def test_relative_losses_do_not_depend_on_the_size_of_the_features(factor: float, style_loss: str) -> None:
    """Bit-exact for a power of two. So the loss weights need not change with the network or its scale."""
    content, style, image = images()
    plain, amplified = (
        relative_objective(network, content, style, style_loss=style_loss).gradient(image)
        for network in (SmallNetwork(), Amplified(SmallNetwork(), factor))
    )
    assert amplified.style_losses == plain.style_losses
    assert amplified.content_loss == plain.content_loss
    assert torch.equal(amplified.gradient, plain.gradient)


@pytest.mark.parametrize("style_loss", ["gram", "wasserstein"])
def test_relative_losses_do_not_depend_on_the_size_of_the_pictures(style_loss: str) -> None:
    """If the pictures are tiled, the losses per value and the gradient stay the same."""
    once, often = (
        relative_objective(Pixels(), content, style, style_loss=style_loss).gradient(image)
        for content, style, image in (images(), [x.repeat(1, 1, 2, 3) for x in images()])
    )
    torch.testing.assert_close(often.loss / 6, once.loss)
    torch.testing.assert_close(often.gradient, once.gradient.repeat(1, 1, 2, 3))


@pytest.mark.parametrize("style_loss", ["gram", "wasserstein"])
def test_size_of_what_is_painted_does_not_change_how_strongly_its_pixels_are_pulled(style_loss: str) -> None:
    """With relative losses, too: relative to content and total variation, a part is painted like a whole picture."""
    content, style, image = images()
    mask = torch.zeros(1, 1, 6, 15, dtype=torch.float64)
    mask[..., 5:10] = 1
    alone = relative_objective(Pixels(), content, style, style_loss=style_loss).gradient(image)
    part = relative_objective(Pixels(), content.repeat(1, 1, 1, 3), style, style_loss=style_loss, mask=mask).gradient(
        image.repeat(1, 1, 1, 3)
    )
    torch.testing.assert_close(part.gradient[..., 5:10], alone.gradient)
    assert part.gradient[..., :5].abs().max() == 0


def test_a_layer_without_features_is_no_share_of_anything() -> None:
    content, style, image = images()
    network = Amplified(SmallNetwork(), 0.0)
    for style_loss in STYLE_LOSSES:
        evaluation = relative_objective(network, content, style, style_loss=style_loss).gradient(image)
        assert evaluation.loss == 0
        assert torch.isfinite(evaluation.gradient).all()


def test_a_seamless_image_has_no_edges() -> None:
    """The gradient shifts with the image. The style is not wrapped: its edges stay edges."""
    network, (_, style, _) = SmallNetwork(), images()
    image = torch.randn(1, 3, 17, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options: dict[str, Any] = {"content_weight": 0, "tv_weight": 5.0}
    tiling = Objective(network, None, style, seamless=True, **options)
    gradient, moved = (tiling.gradient(x).gradient for x in (image, image.roll((2, 3), (2, 3))))
    torch.testing.assert_close(moved, gradient.roll((2, 3), (2, 3)))
    plain = Objective(network, None, style, **options)
    for one, other in zip(tiling.style_terms, plain.style_terms, strict=True):
        assert isinstance(one, GramTerm)
        assert isinstance(other, GramTerm)
        torch.testing.assert_close(one.target, other.target)


def test_seamless_takes_the_place_of_other_padding() -> None:
    network = SmallNetwork()
    assert seamless(network).features is seamless(Padded(network, "mirror")).features is network
