"""Preserving the content's colors: which statistics are kept, and how exactly."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nstyle.pictures.color_transfer import (
    MATCHES,
    grey,
    is_grey,
    luminance,
    match_covariance,
    match_histogram,
    match_luminance,
    recolor_painting,
    recolor_style,
    recolored,
    with_luminance_of,
)
from nstyle.pictures.picture import to_uint8

YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


def rgb(seed: int, *, height: int = 24, width: int = 30, contrast: float = 0.15) -> NDArray[np.float32]:
    """Correlated colors, some of them clipped."""
    generator = np.random.default_rng(seed)
    mixing = np.eye(3) + generator.normal(scale=0.6, size=(3, 3))
    colors = generator.normal(size=(height, width, 3)) @ mixing * contrast + generator.uniform(0.25, 0.75, size=3)
    return np.clip(colors, 0, 1).astype(np.float32)


def moments(colors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    flat = colors.reshape(-1, 3).astype(np.float64)
    return flat.mean(axis=0), np.cov(flat.T, bias=True)


def off(colors: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """The larger of the relative differences in mean and covariance."""
    pairs = zip(moments(colors), moments(wanted), strict=True)
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)


def everywhere(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.ones(picture.shape[:2], dtype=bool)


def test_luminance_is_that_of_yiq_and_of_a_grey_the_grey_itself() -> None:
    picture = rgb(1)
    np.testing.assert_allclose(luminance(picture), picture @ YIQ[0], atol=1e-6)
    levels = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    np.testing.assert_array_equal(luminance(grey(levels)), levels)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_grey_is_what_differs_by_no_more_than_rounding(channel: int) -> None:
    levels = np.linspace(0.1, 0.9, 256, dtype=np.float32).reshape(16, 16)
    assert is_grey(grey(levels))
    for difference, is_rounding in [(1 / 255, True), (-1 / 255, True), (2 / 255, False), (-2 / 255, False)]:
        picture = grey(levels)
        picture[7, 3, channel] += difference
        assert is_grey(picture) == is_rounding


def test_luma_keeps_the_contents_chroma_and_takes_the_paintings_luminance() -> None:
    content, painting = rgb(1), rgb(2, contrast=0.4)
    result = with_luminance_of(content, painting)
    assert result.min() >= 0
    assert result.max() <= 1
    np.testing.assert_allclose(result @ YIQ[1:].T, content @ YIQ[1:].T, atol=1e-6)
    inside = (result.min(axis=-1) > 0) & (result.max(axis=-1) < 1)
    assert 0.2 < inside.mean() < 1  # some colors cannot become that light or dark
    np.testing.assert_allclose(luminance(result)[inside], luminance(painting)[inside], atol=1e-6)


def test_luma_as_written_has_the_contents_chroma_within_rounding() -> None:
    content, painting = rgb(1), rgb(2, contrast=0.4)
    written = to_uint8(recolor_painting("luma", painting, content, everywhere(content))) / 255
    rounding = 0.5 / 255 * np.abs(YIQ[1:]).sum(axis=1)
    assert (np.abs((written - content) @ YIQ[1:].T) <= rounding + 1e-6).all()


def test_luma_paints_with_the_styles_luminance_at_the_contents_level_and_contrast() -> None:
    content, style = rgb(1, contrast=0.1), rgb(2, height=40, contrast=0.1)
    matched = match_luminance(style, content)
    assert np.ptp(matched, axis=-1).max() == 0
    assert matched.mean() == pytest.approx(luminance(content).mean(), abs=1e-3)
    assert luminance(matched).std() == pytest.approx(luminance(content).std(), rel=1e-2)
    assert np.corrcoef(luminance(matched).ravel(), luminance(style).ravel())[0, 1] > 0.99


@pytest.mark.parametrize("how", sorted(MATCHES))
@pytest.mark.parametrize("seeds", [(1, 2), (3, 4), (5, 6), (6, 1)])
def test_colors_as_written_have_the_contents_mean_and_covariance(how: str, seeds: tuple[int, int]) -> None:
    content, painting = (rgb(seed, contrast=0.3) for seed in seeds)
    assert off(painting, content) > 0.05
    assert off(to_uint8(recolor_painting(how, painting, content, everywhere(content))) / 255, content) < 0.01
    style = rgb(seeds[1], height=17)
    assert off(to_uint8(recolor_style(how, style, content, everywhere(content))) / 255, content) < 0.01


def test_covariance_is_matched_by_the_symmetric_roots() -> None:
    """Without clipping, A = S_wanted^(1/2) S^(-1/2), written out here."""
    own, wanted = (rgb(seed, contrast=0.02).reshape(-1, 3).astype(np.float64) for seed in (1, 2))
    (mean, covariance), (wanted_mean, wanted_covariance) = moments(own), moments(wanted)

    def root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        values, vectors = np.linalg.eigh(matrix)
        return np.asarray(vectors @ np.diag(np.sqrt(values)) @ vectors.T)

    expected = (own - mean) @ (root(wanted_covariance) @ np.linalg.inv(root(covariance))).T + wanted_mean
    np.testing.assert_allclose(match_covariance(own, wanted), expected, atol=1e-9)


def test_histogram_follows_what_mean_and_covariance_do_not_tell() -> None:
    """Of two color clusters, histogram matching keeps both, covariance matching does not."""
    generator = np.random.default_rng(0)
    clusters = np.where(generator.random((4000, 1)) < 0.5, [[0.2, 0.3, 0.7]], [[0.8, 0.6, 0.2]])
    wanted = clusters + generator.normal(scale=0.02, size=clusters.shape)
    own = np.clip(generator.normal(0.5, 0.15, size=(4000, 3)), 0, 1)

    def between(colors: NDArray[np.float64]) -> float:
        return float((np.abs(colors[:, 0] - 0.5) < 0.15).mean())

    assert between(wanted) < 0.01
    assert between(match_covariance(own, wanted)) > 0.2
    assert between(match_histogram(own, wanted)) < 0.1


def test_a_grey_picture_gets_no_color_out_of_its_noise() -> None:
    generator = np.random.default_rng(0)
    levels = generator.uniform(0.4, 0.6, size=(500, 1)) + generator.normal(scale=5e-4, size=(500, 3))
    matched = match_covariance(levels, 0.5 + generator.normal(scale=0.05, size=(500, 3)))
    spread = np.linalg.svd(matched - matched.mean(axis=0), compute_uv=False) / np.sqrt(500)
    assert spread[0] > 0.04
    assert spread[1] < 0.02


def test_a_content_of_one_color_makes_all_of_it() -> None:
    flat = np.full((24, 30, 3), [0.2, 0.5, 0.7], dtype=np.float32)
    for how in MATCHES:
        np.testing.assert_allclose(recolor_painting(how, rgb(1), flat, everywhere(flat)), flat, atol=1e-3)


def test_colors_are_matched_where_the_painting_is_and_left_alone_elsewhere() -> None:
    content, painting = rgb(1), rgb(2)
    content[:, 15:] = 1 - content[:, 15:]
    where = everywhere(content)
    where[:, 15:] = False
    result = recolor_painting("covariance", painting.copy(), content, where)
    assert off(result[where], content[where]) < 0.01
    np.testing.assert_array_equal(result[~where], painting[~where])


def test_recolored_a_picture_has_the_others_colors_and_its_own_places() -> None:
    picture, like = rgb(1), rgb(2)[:10]
    result = recolored(picture, like)
    assert off(result, like) < 0.01
    assert result.dtype == np.float32
    assert np.corrcoef(luminance(result).ravel(), luminance(picture).ravel())[0, 1] > 0.5


def test_none_leaves_all_as_it_is() -> None:
    picture = rgb(1)
    assert recolor_painting("none", picture, rgb(2), everywhere(picture)) is picture
    assert recolor_style("none", picture, rgb(2), everywhere(picture)) is picture


def alpha_of(seed: int, *, height: int = 24, width: int = 30) -> NDArray[np.float32]:
    """A third hidden, a third visible, the rest in between, in whole eighths."""
    levels = np.random.default_rng(seed).integers(-4, 13, size=(height, width)) / 8
    return np.clip(levels, 0, 1).astype(np.float32)


def repeated(picture: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """The colors of a picture, each as often as its alpha in eighths; 1 x N x 3."""
    return np.repeat(picture.reshape(-1, 3), np.rint(alpha.ravel() * 8).astype(int), axis=0)[None]


@pytest.mark.parametrize("how", ["luma", "histogram", "covariance"])
def test_what_is_hidden_or_faint_counts_as_much_as_it_shows(how: str) -> None:
    style, content, alpha, seen = rgb(1), rgb(2), alpha_of(3), alpha_of(4)
    found = recolor_style(how, style, content, seen > 0, alpha, seen)
    wanted = repeated(content, seen)
    expected = recolor_style(how, repeated(style, alpha), wanted, everywhere(wanted))
    if how == "histogram":  # its many steps amplify rounding: compare the distributions
        assert off(repeated(found, alpha), wanted) < 0.01
        places = np.linspace(0, 1, 9)
        found_quantiles = np.quantile(repeated(found, alpha), places, axis=1)
        np.testing.assert_allclose(found_quantiles, np.quantile(expected, places, axis=1), atol=0.03)
    else:
        np.testing.assert_allclose(repeated(found, alpha), expected, atol=1e-5)
    style[alpha == 0], content[seen == 0] = (1, 0, 0), (0, 1, 0)
    again = recolor_style(how, style, content, seen > 0, alpha, seen)
    np.testing.assert_array_equal(again[alpha > 0], found[alpha > 0])


@pytest.mark.parametrize("how", [*MATCHES, "recolored"])
def test_the_painting_and_the_start_count_as_much_as_they_show(how: str) -> None:
    painting, content, seen, alpha = rgb(1), rgb(2), alpha_of(3), alpha_of(4)
    if how == "recolored":
        found = recolored(painting, content, seen, alpha)
        wanted = repeated(content, alpha)
    else:
        found = recolor_painting(how, painting, content, seen > 0, seen)
        wanted = repeated(content, seen)
    assert off(repeated(found, seen), wanted) < 0.01
    assert off(found, content) > 0.02


@pytest.mark.parametrize("how", ["luma", *MATCHES])
def test_alpha_that_is_the_same_everywhere_changes_no_bit(how: str) -> None:
    style, content = rgb(1), rgb(2)
    plain = recolor_style(how, style, content, everywhere(content))
    for level in (0, 0.5, 1):
        flat = np.full((24, 30), level, dtype=np.float32)
        np.testing.assert_array_equal(recolor_style(how, style, content, everywhere(content), flat, flat), plain)
