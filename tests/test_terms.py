"""Each term of the objective: its gradient equals the numerical one, where it is 0, and its weight."""

import functools
import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from pkgutil import resolve_name

import pytest
import torch
from refusals import refuses
from test_objective import SmallNetwork, images
from torch import Tensor

from nstyle.errors import ImageError, Kind
from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.functional import bounded_range_gradient, gram_matrix, total_variation_gradient
from nstyle.losses.gram import GramTerm
from nstyle.losses.mrf import MRF_SCALE, MrfTerm
from nstyle.losses.objective import Objective
from nstyle.losses.parts import PIXELS, Part, Window
from nstyle.losses.patches import nearest_patches, rows_of
from nstyle.losses.regularisers import BoundedRangeTerm, TotalVariationTerm
from nstyle.losses.temporal import TemporalTerm
from nstyle.losses.terms import ContentTerm, Statistic, StyleTermMaker, Term
from nstyle.networks.layers import CONTENT_LAYER, STYLE_LAYERS
from nstyle.networks.model_space import MEAN_RGB

ALL = (*STYLE_LAYERS, CONTENT_LAYER)


def numerical_gradient(function: Callable[[Tensor], Tensor], image: Tensor, h: float) -> Tensor:
    """The gradient by central differences, for each value of the image."""
    gradient = torch.zeros_like(image)
    for i in range(image.numel()):
        bump = torch.zeros_like(image)
        bump.view(-1)[i] = h
        gradient.view(-1)[i] = (function(image + bump) - function(image - bump)) / (2 * h)
    return gradient


def assert_same_gradient(gradient: Tensor, numerical: Tensor) -> None:
    assert numerical.norm() > 0
    assert (gradient - numerical).norm() / numerical.norm() < 1e-6


def loss_of(term: Term, maps: Mapping[str, Tensor]) -> Tensor:
    """The loss of a whole picture with these feature maps, for terms that do not use its pixels."""
    return term.loss(term.statistic(Part(torch.zeros(1, 3, 1, 1), maps)))


def of_network(term: Term) -> Callable[[Tensor], Tensor]:
    network = SmallNetwork()
    return lambda image: loss_of(term, network(image, ALL))


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("larger", [0, 3])
@pytest.mark.parametrize("kind", ["content", *STYLE_LOSSES])
def test_gradient_is_the_numerical_one(kind: str, larger: int, relative: bool) -> None:
    """For styles of the image's size, and for larger ones."""
    content, _, image = images()
    style = torch.randn(1, 3, 6 + larger, 5 + larger, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    target = content if kind == "content" else style
    map_ = SmallNetwork()(target, ["relu3_1"])["relu3_1"]
    term = (
        ContentTerm("relu3_1", map_, 0.7)
        if kind == "content"
        else resolve_name(STYLE_LOSSES[kind].maker)("relu3_1", map_, 0.7)
    )
    of_image = of_network(term.relative() if relative else term)
    x = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(of_image(x), x)
    assert_same_gradient(gradient, numerical_gradient(of_image, image, 1e-5))


def test_gradient_of_the_total_variation_is_the_numerical_one() -> None:
    _, _, image = images()

    def total_variation(x: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
        return sum((padded.diff(dim=dim).square().sum() for dim in (2, 3)), start=torch.zeros(())) / 16

    assert_same_gradient(total_variation_gradient(image), numerical_gradient(total_variation, image, 1e-4))


@pytest.mark.parametrize(("padding", "mode"), [("mirror", "replicate"), ("wrap", "circular")])
def test_total_variation_of_a_picture_that_goes_on(padding: str, mode: str) -> None:
    """The sum over each pixel's differences to its neighbors. A mirrored neighbor equals the pixel."""
    _, _, image = images()
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode=mode)
    sums = [padded.diff(dim=2)[..., 1:-1].square().sum(), padded.diff(dim=3)[..., 1:-1, :].square().sum()]
    if padding == "wrap":  # the seams are there twice
        sums += [-padded.diff(dim=2)[..., :1, 1:-1].square().sum(), -padded.diff(dim=3)[..., 1:-1, :1].square().sum()]
    term = TotalVariationTerm(1.0, padding)
    torch.testing.assert_close(term.loss(term.statistic(Part(image, {}))), torch.stack(sums).sum() / 16)


def test_total_variation_pulls_at_the_edges_only_of_what_goes_on_in_grey() -> None:
    """A picture of one color has no variation, unless it has a grey surrounding."""
    white = torch.full((1, 3, 5, 6), 131.0)
    edges = torch.ones(5, 6, dtype=torch.bool)
    edges[1:-1, 1:-1] = False
    for padding, pulled in (("zero", edges), ("mirror", edges & False), ("wrap", edges & False)):
        x, term = white.clone().requires_grad_(), TotalVariationTerm(1.0, padding)
        (gradient,) = torch.autograd.grad(term.loss(term.statistic(Part(x, {}))), x)
        assert torch.equal(gradient[0, 0] != 0, pulled), padding


def test_gradient_of_the_bounded_range_prior_is_the_numerical_one() -> None:
    """Values inside and outside of the range."""
    _, _, image = images()

    def prior(x: Tensor) -> Tensor:
        return 127.5 / 6 * (x / 127.5).abs().pow(6).sum()

    values = image * 150
    assert_same_gradient(bounded_range_gradient(values), numerical_gradient(prior, values, 1e-3))


def test_bounded_range_prior_acts_on_pixel_values_after_clipping() -> None:
    """1 at black and white, 0 at mid-grey, and steep beyond, even if the clipped gradient is small."""
    mean = torch.tensor(MEAN_RGB, dtype=torch.float64).reshape(1, 3, 1, 1)
    levels = torch.tensor([0.0, 127.5, 255.0, 382.5], dtype=torch.float64).expand(1, 3, 4, 4) - mean
    network, (content, _, _) = SmallNetwork(), images()
    content = torch.nn.functional.interpolate(content, size=(4, 4))
    plain, bounded = (
        Objective(network, content, None, style_weight=0, tv_weight=0, range_weight=weight).gradient(levels).gradient
        for weight in (0.0, 1e9)
    )
    added = (bounded - plain) / 1e9
    torch.testing.assert_close(added[0, 1, 2], torch.tensor([-1.0, 0, 1, 32], dtype=torch.float64), atol=1e-6, rtol=0)


def patches_of(rows: Tensor) -> Tensor:
    """All 3 x 3 patches of an H x W x C map as rows: N x 9C."""
    return rows.unfold(0, 3, 1).unfold(1, 3, 1).flatten(0, 1).flatten(1)


@pytest.mark.parametrize("block", [1, 500, 10**6])
def test_nearest_patches_are_those_of_the_formula(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any size of the blocks in the search."""
    monkeypatch.setattr("nstyle.losses.patches.BLOCK", block)
    generator = torch.Generator().manual_seed(1)
    image, style = (
        torch.randn(h, w, 4, generator=generator, dtype=torch.float64).relu() for h, w in ((9, 7), (8, 11))
    )
    style[:3, :3] = 0  # a zero patch has no direction, so it is similar to none
    p, q = patches_of(image), patches_of(style)
    correlation = p @ q.T / p.norm(dim=1)[:, None] / q.norm(dim=1).clamp(min=1e-9)
    best = correlation.argmax(dim=1)
    rows, columns = best // 9, best % 9
    assert torch.equal(nearest_patches(image, style).flatten(), rows * 11 + columns)
    assert len(best.unique()) > 5


def test_mrf_loss_is_the_formula() -> None:
    _, style, image = images()
    network = SmallNetwork()
    map_, style_map = (network(x, ["relu2_1"])["relu2_1"] for x in (image, style))
    p, q = (patches_of(rows_of(x)) for x in (map_, style_map))
    best = (p @ q.T / q.norm(dim=1)).argmax(dim=1)
    loss = loss_of(MrfTerm.towards("relu2_1", style_map, 3.0), {"relu2_1": map_})
    torch.testing.assert_close(loss, 3.0 * MRF_SCALE * (p - q[best]).square().sum())


def test_mrf_is_indifferent_to_where_the_styles_patches_are() -> None:
    """A shifted part of the style picture has distance 0, except for the border."""
    generator = torch.Generator().manual_seed(2)
    style = torch.randn(1, 4, 9, 9, generator=generator)
    term = MrfTerm.towards("any", style, 1.0)
    assert loss_of(term, {"any": style[..., 2:7, 1:8]}) == 0
    assert loss_of(term, {"any": style.flip(-1)}) > 1


def test_mrf_takes_patches_from_a_part_of_the_style_alone() -> None:
    """Only patches with their center in the mask count, whatever the others are."""
    generator = torch.Generator().manual_seed(2)
    style = torch.randn(1, 4, 9, 12, generator=generator)
    left = torch.zeros(1, 1, 18, 24)
    left[..., :12] = 1
    part, whole = (MrfTerm.towards("any", style, 1.0, mask) for mask in (left, None))
    assert loss_of(part, {"any": style[..., :7]}) == 0
    assert loss_of(whole, {"any": style[..., 7:]}) == 0
    assert loss_of(part, {"any": style[..., 7:]}) > 1
    thin = torch.zeros(1, 1, 18, 24)
    thin[..., 8, 8] = 1
    (row, column) = divmod(
        int(nearest_patches(rows_of(style), rows_of(style), MrfTerm.towards("any", style, 1.0, thin).allowed)[0, 0]),
        12,
    )
    assert (row, column) == (3, 3)  # the patch whose center is this pixel


def test_mrf_looks_at_a_region_of_the_image_alone() -> None:
    generator = torch.Generator().manual_seed(2)
    style, image = torch.randn(2, 1, 4, 8, 8, generator=generator, dtype=torch.float64)
    right = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    right[..., 8:] = 1
    half, everything = (
        MrfTerm.towards("any", style, 1.0, None, region) for region in (right, torch.ones_like(right))
    )
    x = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(half, {"any": x}), x)
    assert (gradient[..., :3] == 0).all()  # left of all patches whose center is in the region
    assert (gradient[..., 5:] != 0).all()
    assert_same_gradient(gradient, numerical_gradient(lambda y: loss_of(half, {"any": y}), image, 1e-5))
    plain = MrfTerm.towards("any", style, 1.0)
    torch.testing.assert_close(loss_of(everything, {"any": image}), loss_of(plain, {"any": image}))


def test_half_precision_is_summed_in_float32() -> None:
    style, image = torch.randn(2, 1, 4, 6, 6, generator=torch.Generator().manual_seed(3)).bfloat16()
    map_ = image.clone().requires_grad_()
    loss = loss_of(MrfTerm.towards("any", style, 1.0), {"any": map_})
    (gradient,) = torch.autograd.grad(loss, map_)
    assert loss.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16


def test_maps_smaller_than_a_patch_are_refused() -> None:
    small, large = torch.randn(1, 4, 2, 5), torch.randn(1, 4, 5, 5)
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge"):
        MrfTerm.towards("relu4_1", small, 1.0)
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--max-long-edge"):
        loss_of(MrfTerm.towards("relu4_1", large, 1.0), {"relu4_1": small})


def test_a_relative_patch_distance_is_a_share_of_the_patches_that_count() -> None:
    """Features outside of the style's mask do not count for the loss of an image without features."""
    generator = torch.Generator().manual_seed(2)
    style, image = torch.randn(2, 1, 4, 9, 12, generator=generator, dtype=torch.float64)
    style[..., 6:] *= 100
    left = torch.zeros(1, 1, 9, 12, dtype=torch.float64)
    left[..., :5] = 1
    term = MrfTerm.towards("any", style, 1.0, left)
    counting = patches_of(rows_of(style[..., :6]))  # patches with their center in the mask
    unit = len(patches_of(rows_of(image))) * counting.square().sum(dim=1).mean()
    shares = [loss_of(one, {"any": image}) for one in (term, term.relative())]
    torch.testing.assert_close(shares[1], shares[0] / MRF_SCALE / unit)


def test_gram_matrices_of_another_size_are_compared_by_position() -> None:
    """A style repeated twice has twice the Gram matrix, and is the same style."""
    _, style, image = images()
    once, twice = style, torch.cat([style, style], dim=3)
    losses = [loss_of(GramTerm.towards("any", x, 1.0), {"any": image}) for x in (once, twice)]
    torch.testing.assert_close(*losses)
    assert losses[0] > 1
    assert loss_of(GramTerm.towards("any", twice, 1.0), {"any": once}) < 1e-20


def classic_gradient(network: SmallNetwork, content: Tensor, style: Tensor, image: Tensor) -> Tensor:
    """The original objective, before there were other terms, operation by operation, at the defaults."""
    style_maps, content_map = network(style, STYLE_LAYERS), network(content, [CONTENT_LAYER])[CONTENT_LAYER]
    x = image.clone().requires_grad_()
    maps = network(x, ALL)
    losses = []
    for layer in STYLE_LAYERS:
        _, c, h, w = maps[layer].shape
        distance = (gram_matrix(maps[layer]) - gram_matrix(style_maps[layer])).square().sum(-1).sum(-1)
        losses.append(1.0 / (c**2 * h * w) * distance)
    difference = (maps[CONTENT_LAYER] - content_map).square()
    losses.append(10.0 * difference.sum(-1).sum(-1).sum(-1).sum(-1))
    (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), x)
    clipped: Tensor = gradient * (image.numel() / torch.linalg.vector_norm(gradient)).clamp(max=1.0)
    return clipped + 0.01 * total_variation_gradient(image)


def test_the_defaults_are_the_classic_objective_to_the_bit() -> None:
    """Left out or given."""
    network, (content, style, image) = SmallNetwork(scale=1.0), images()
    said = Objective(
        network,
        content,
        style,
        range_weight=0.0,
        content_layers={CONTENT_LAYER: 1.0},
        style_layers=dict.fromkeys(STYLE_LAYERS, 1.0),
        style_loss="gram",
    )
    expected = classic_gradient(network, content, style, image)
    assert torch.equal(said.gradient(image).gradient, expected)
    assert torch.equal(Objective(network, content, style).gradient(image).gradient, expected)


def test_layers_and_their_weights() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    objective = Objective(
        network,
        content,
        style,
        content_weight=3.0,
        style_weight=2.0,
        content_layers={"relu2_1": 1.0, "relu4_1": 0.5, "relu5_1": 0.0},
        style_layers={"relu5_1": 4.0, "relu1_1": 1.0, "relu3_1": 0.0},
    )
    assert network.asked == {"relu1_1", "relu2_1", "relu4_1", "relu5_1"}
    evaluation = objective.gradient(image)
    assert list(evaluation.style_losses) == ["relu5_1", "relu1_1"]
    maps, contents, styles = (network(x, ALL) for x in (image, content, style))
    wanted = {n: loss_of(GramTerm.towards(n, styles[n], 1.0), maps) for n in ("relu1_1", "relu5_1")}
    torch.testing.assert_close(evaluation.style_losses["relu1_1"], 2.0 * wanted["relu1_1"])
    torch.testing.assert_close(evaluation.style_losses["relu5_1"], 8.0 * wanted["relu5_1"])
    distance = {n: (maps[n] - contents[n]).square().sum() for n in ("relu2_1", "relu4_1")}
    torch.testing.assert_close(evaluation.content_loss, 3.0 * distance["relu2_1"] + 1.5 * distance["relu4_1"])


def test_mrf_as_the_objectives_style_loss() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    evaluation = Objective(network, content, style, style_loss="mrf").gradient(image)
    assert set(evaluation.style_losses) == {"relu3_1", "relu4_1"}
    loss = loss_of(MrfTerm.towards("relu3_1", network(style, ALL)["relu3_1"], 1.0), network(image, ALL))
    torch.testing.assert_close(evaluation.style_losses["relu3_1"], loss)


def test_a_picture_may_be_missing_whose_weight_is_0() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    assert Objective(network, None, style, content_weight=0).gradient(image).content_loss == 0
    assert Objective(network, content, None, style_weight=0).gradient(image).style_losses == {}
    with pytest.raises(ValueError, match="missing"):
        Objective(network, None, style)


HEIGHT, WIDTH = 11, 13


def in_parts(image: Tensor, map_: Tensor, rows: Sequence[int], columns: Sequence[int], margin: int) -> list[Part]:
    """Cut a picture, and its map of the same size at the layer "any", into parts with margins in positions."""
    parts = []
    for top, bottom in itertools.pairwise((0, *rows, HEIGHT)):
        for left, right in itertools.pairwise((0, *columns, WIDTH)):
            above, before = min(margin, top), min(margin, left)
            window = Window(slice(top, bottom), slice(left, right), above, before, (HEIGHT, WIDTH))
            view = (..., slice(top - above, bottom + margin), slice(left - before, right + margin))
            parts.append(Part(image[view], {"any": map_[view]}, {"any": window, PIXELS: window}))
    return parts


def all_terms() -> dict[str, Term]:
    """One term of each kind, with and without masks and regions, for maps of four channels."""
    generator = torch.Generator().manual_seed(2)
    content, style = (torch.randn(1, 4, HEIGHT, WIDTH, generator=generator, dtype=torch.float64) for _ in range(2))
    mask, region = (torch.rand(1, 1, HEIGHT, WIDTH, generator=generator, dtype=torch.float64) for _ in range(2))
    terms: dict[str, Term] = {
        "content": ContentTerm("any", content, 0.5),
        "content, relative": ContentTerm("any", content, 0.5).relative(),
        "variation": TotalVariationTerm(0.3),
        "variation, mirrored": TotalVariationTerm(0.3, "mirror"),
        "range": BoundedRangeTerm(0.3),
        "temporal": TemporalTerm(content[:, :3], mask, 0.3),
    }
    for name, style_loss in STYLE_LOSSES.items():
        maker: StyleTermMaker = resolve_name(style_loss.maker)
        plain, masked = maker("any", style, 0.7), maker("any", style, 0.7, mask, region)
        terms |= {name: plain, f"{name}, masked": masked}
        terms |= {f"{name}, relative": plain.relative(), f"{name}, masked, relative": masked.relative()}
    return terms


@pytest.mark.parametrize("cuts", [((), (6,)), ((5,), ()), ((3, 4, 9), (1, 6, 12)), ((10,), (12,))])
@pytest.mark.parametrize("kind", all_terms())
def test_terms_add_up_over_parts(kind: str, cuts: tuple[Sequence[int], Sequence[int]]) -> None:
    """Tiles rely on this: statistics, loss and gradient of all parts add up to the whole picture's."""
    term = all_terms()[kind]
    generator = torch.Generator().manual_seed(3)
    image = (100 * torch.randn(1, 3, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)).requires_grad_()
    map_ = torch.randn(1, 4, HEIGHT, WIDTH, generator=generator, dtype=torch.float64).requires_grad_()
    looked_at = map_ if term.layers else image
    whole = term.statistic(Part(image, {"any": map_}))
    statistics = [term.statistic(part) for part in in_parts(image, map_, *cuts, margin=2)]
    together = functools.reduce(operator.add, statistics)
    torch.testing.assert_close(together.sums, whole.sums)
    assert together.positions == whole.positions
    losses = term.loss(together), term.loss(whole)
    torch.testing.assert_close(*losses)
    gradients = [torch.autograd.grad(loss, looked_at)[0] for loss in losses]
    torch.testing.assert_close(*gradients)
    assert gradients[0].norm() > 0
    each = sum((term.loss(statistic) for statistic in statistics), start=torch.zeros((), dtype=torch.float64))
    assert torch.allclose(each, losses[1]) == (term.is_local or len(statistics) == 1)


@pytest.mark.parametrize(
    "term", [*(TotalVariationTerm(0.3, padding) for padding in ("zero", "mirror", "wrap")), BoundedRangeTerm(0.3)]
)
def test_gradient_of_a_regulariser_is_the_numerical_one(term: Term) -> None:
    image = 100 * torch.randn(1, 3, 5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(term.loss(term.statistic(Part(x, {}))), x)
    assert_same_gradient(gradient, numerical_gradient(lambda y: term.loss(term.statistic(Part(y, {}))), image, 1e-3))
    assert (term.layers, term.is_local, term.is_clipped) == ((), True, False)


class Drawn:
    """A term like a film's: it pulls the image toward a different one. Its gradient is not clipped."""

    layers = ("relu1_1",)
    is_local = True
    is_clipped = False

    def statistic(self, part: Part) -> Statistic:
        return Statistic((part.image - 1).square().sum() + 0 * part.maps["relu1_1"].sum())

    def loss(self, statistic: Statistic) -> Tensor:
        return 3 * statistic.sums


def test_a_term_of_ones_own_is_added_after_the_clipping() -> None:
    network, (content, style, image) = SmallNetwork(), images()
    plain = Objective(network, content, style).gradient(image)
    more = Objective(network, content, style).with_terms([Drawn()]).gradient(image)
    torch.testing.assert_close(more.gradient - plain.gradient, 6 * (image - 1))
    assert more.gradient_norm == plain.gradient_norm
    assert more.style_losses == plain.style_losses
