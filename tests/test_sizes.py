"""Sizes of a painting at its scales, counted down from the full size or up from the coarsest edge."""

import itertools
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given
from refusals import refuses

from nstyle.errors import ImageError, Kind, OptionError
from nstyle.painting.inputs import inputs_of
from nstyle.painting.sizes import coarse_edges, longest_edge, scale_sizes
from nstyle.pictures.picture import fit_long_edge
from nstyle.settings.config import Config
from nstyle.settings.scales import MOST_COUNTED_UP, epochs_at_scales

SQUARE = (4000, 4000)


def edges_of(content: tuple[int, int], style: tuple[int, int] = SQUARE, **options: Any) -> list[tuple[int, int]]:
    """Return height and width at each scale."""
    config = Config(**options)
    inputs = inputs_of(config)
    read = {source: style if source.name == "style_image" else content for source in inputs.sources}
    return [(size.height, size.width) for size in scale_sizes(config, inputs, read)]


COARSEST = st.integers(16, 600)
FACTOR = st.floats(1.0, 4.0, exclude_min=True)
LONG = st.integers(16, 5000)


def ladder(coarsest: int, factor: float, own: int) -> list[int]:
    """Return the longer edges at all scales; skip the example if there are too many."""
    try:
        return [*coarse_edges(coarsest, factor, own), own]
    except OptionError:
        assume(False)
        raise


@given(coarsest=COARSEST, factor=FACTOR, own=LONG)
def test_edges_grow_by_the_factor(coarsest: int, factor: float, own: int) -> None:
    edges = ladder(coarsest, factor, own)
    assert len(edges) <= MOST_COUNTED_UP
    assert edges[-1] == own
    assert edges[0] == min(coarsest, own) or edges == [own]
    assert all(lower < upper for lower, upper in itertools.pairwise(edges))
    for lower, upper in itertools.pairwise(edges[:-1]):
        assert upper == pytest.approx(lower * factor, abs=0.5 + 0.5 * factor) or factor < 1.1
    if len(edges) > 1:
        *_, lower, upper = edges
        assert (lower - 0.5) * factor**0.5 <= upper
        assert (lower + 0.5) * factor**1.5 >= upper or factor < 1.1


@given(coarsest=COARSEST, factor=FACTOR, own=LONG, larger=LONG)
def test_a_larger_painting_has_the_same_coarse_scales(coarsest: int, factor: float, own: int, larger: int) -> None:
    own, larger = sorted((own, larger))
    few, many = ladder(coarsest, factor, own)[:-1], ladder(coarsest, factor, larger)
    if factor > 1.1:  # with a factor of nearly 1, rounding leaves no size between the last scale and a small painting
        assert many[: len(few)] == few


@given(
    height=st.integers(64, 3000), width=st.integers(64, 3000), own=st.integers(300, 2000), scales=st.integers(1, 4)
)
def test_counted_down_edges_are_halved(height: int, width: int, own: int, scales: int) -> None:
    wanted = [fit_long_edge(height, width, own >> halvings) for halvings in reversed(range(scales))]
    assume(min(wanted[0]) >= 16)
    assert edges_of((height, width), max_long_edge=own, scales=scales) == wanted


def test_counted_down_by_another_factor() -> None:
    assert edges_of((600, 300), max_long_edge=600, scales=3, scale_factor=1.5) == [(267, 133), (400, 200), (600, 300)]
    assert edges_of((600, 300), max_long_edge=600, scales="auto", scale_factor=1.5) == edges_of(
        (600, 300), max_long_edge=600, scales=3, scale_factor=1.5
    )
    with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag="--scales") as refused:
        edges_of((100, 100), max_long_edge=100, scales=3, scale_factor=3)
    assert "by 3" in str(refused.value)


@pytest.mark.parametrize("scales", [None, "auto"])
def test_counted_up_the_content_keeps_its_shape(scales: str | None) -> None:
    options: dict[str, Any] = {"coarsest_edge": 200, "scales": scales}
    assert edges_of((900, 600), **options, max_long_edge=1000) == [(200, 133), (400, 266), (1000, 666)]
    assert edges_of((900, 600), **options, max_long_edge=2000) == [
        *[(200, 133), (400, 266), (800, 533)],
        (2000, 1333),
    ]
    assert edges_of((900, 600), **options, max_long_edge=200) == [(200, 133)]
    assert edges_of((900, 600), **options, max_long_edge=282) == [(282, 188)]
    assert edges_of((900, 600), **options, max_long_edge=283) == [(200, 133), (283, 188)]


def test_counted_up_a_texture_has_its_own_longer_edge() -> None:
    options: dict[str, Any] = {"content_weight": 0, "coarsest_edge": 64, "scale_factor": 3}
    config = Config(**options, size="600x200", max_long_edge=300)
    inputs = inputs_of(config)
    sizes = scale_sizes(config, inputs, dict.fromkeys(inputs.sources, (300, 150)))
    assert [(size.width, size.height) for size in sizes] == [(64, 21), (192, 64), (600, 200)]
    assert [max(frame.window) for size in sizes for frame in size.frames.values()] == [32, 96, 300]
    assert edges_of(SQUARE, **options, size="1200x400")[:2] == [(21, 64), (64, 192)]


def test_counted_up_scales_that_leave_too_little_are_left_out() -> None:
    options: dict[str, Any] = {"coarsest_edge": 32, "max_long_edge": 512}
    assert edges_of((512, 64), **options) == [(128, 16), (256, 32), (512, 64)]
    whole = edges_of((512, 512), **options)
    assert whole == [(edge, edge) for edge in (32, 64, 128, 256, 512)]
    assert edges_of((512, 512), (200, 1000), style_fit="contain", **options) == whole[2:]


def test_a_preview_that_is_too_small_is_named_by_its_own_flag() -> None:
    path = Config().content_image
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, flag="--preview-edge", path=path) as refused:
        edges_of((200, 300), preview_edge=20, max_long_edge=600)
    assert "becomes 20x13 pixels at --preview-edge 20" in str(refused.value)


def test_the_style_picture_of_a_texture_is_read_at_the_size_of_its_box() -> None:
    assert longest_edge(Config(size="256x128", content_weight=0, max_long_edge=2048)) == 2048
    assert longest_edge(Config(size="4096x128", content_weight=0, max_long_edge=2048)) == 4096


def test_too_many_scales() -> None:
    with refuses(OptionError, kind=Kind.OUT_OF_RANGE, flag="--scale-factor") as refused:
        edges_of((600, 600), coarsest_edge=16, scale_factor=1.1)
    assert f"{MOST_COUNTED_UP} scales from 16 to 600 pixels" in str(refused.value)
    assert len(coarse_edges(16, 2**0.5, 55000)) == MOST_COUNTED_UP - 1


@pytest.mark.parametrize(
    ("given", "epochs"),
    [(7, (7, 7, 7)), ([7], (7, 7, 7)), ((7, 5), (7, 5, 5)), ((7, 5, 3), (7, 5, 3)), ((7, 5, 3, 1), (7, 5, 3))],
)
def test_epochs_at_scales(given: Any, epochs: tuple[int, ...]) -> None:
    assert epochs_at_scales(given, 3) == epochs


@given(height=st.integers(1, 20000), width=st.integers(1, 20000), edge=st.integers(16, 65535))
def test_the_longer_edge_is_whole_and_the_other_is_the_references(height: int, width: int, edge: int) -> None:
    fitted = fit_long_edge(height, width, edge)
    assert max(fitted) == edge
    factor = edge / max(height, width)  # the reference's own words
    for own, whole, theirs in zip((height, width), fitted, (int(height * factor), int(width * factor)), strict=True):
        assert whole == theirs or (own * edge % max(height, width) == 0 and theirs == whole - 1)


def test_a_size_at_which_the_reference_loses_a_pixel() -> None:
    assert int(49 * (600 / 49)) == 600 > int(93 * (300 / 93))
    assert fit_long_edge(31, 93, 300) == (100, 300)


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ((300, 400), {}, [(300, 400)]),
        ((300, 400), {"max_long_edge": 200}, [(150, 200)]),
        ((300, 400), {"scales": 2}, [(150, 200), (300, 400)]),
        ((300, 400), {"coarsest_edge": 100}, [(75, 100), (150, 200), (300, 400)]),
        ((300, 400), {"preview_edge": 200, "max_long_edge": 800}, [(150, 200), (300, 400)]),
        ((300, 400), {"preview_edge": 500, "max_long_edge": 800}, [(300, 400)]),
        ((300, 400), {"preset": "fast"}, [(96, 128), (192, 256), (300, 400)]),
    ],
)
def test_a_small_picture_can_keep_its_size(
    content: tuple[int, int], options: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    assert edges_of(content, enlarge=False, **options) == expected
    large = {"max_long_edge": 600, **options}
    assert edges_of((3000, 4000), enlarge=False, **large) == edges_of((3000, 4000), **large)


def test_a_texture_leaves_its_small_style_picture_as_it_is() -> None:
    options: dict[str, Any] = {"size": "256x256", "content_weight": 0}
    for enlarge, expected in ((True, (300, 600)), (False, (50, 100))):
        config = Config(**options, enlarge=enlarge)
        inputs = inputs_of(config)
        (size,) = scale_sizes(config, inputs, dict.fromkeys(inputs.sources, (50, 100)))
        assert [frame.window for frame in size.frames.values()] == [expected]


def test_what_is_too_small_may_be_enlarged() -> None:
    assert edges_of((10, 100)) == [(60, 600)]
    with refuses(ImageError, kind=Kind.OUT_OF_RANGE, path=Config().content_image, flag="--no-enlarge"):
        edges_of((10, 100), enlarge=False)


@pytest.mark.parametrize("settings", [{"coarsest_edge": 64, "scale_factor": 2}, {"scale_factor": 2}])
def test_scales_at_which_a_style_picture_is_too_small_for_the_style_loss_are_left_out(
    settings: dict[str, Any],
) -> None:
    settings |= {"style_loss": "mrf", "max_long_edge": 512}
    assert [max(edges) for edges in edges_of((512, 512), (512, 512), **settings)][-2:] == [256, 512]
    assert edges_of((512, 512), (512, 512), style_scale=0.15, **settings) == [(512, 512)]
