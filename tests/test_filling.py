"""What a painting does not show begins as copies of what it paints elsewhere."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nstyle.film.filling import filled
from nstyle.film.reliability import BoolMask

HEIGHT, WIDTH = 60, 200
EVERYWHERE, PLAIN = np.ones((HEIGHT, WIDTH), dtype=bool), np.zeros((HEIGHT, WIDTH), dtype=np.float32)


def texture(row_period: int = 19, column_period: int = 53) -> Tensor:
    """Return a random texture that repeats."""
    tile = 255 * torch.rand(1, 3, row_period, column_period, generator=torch.Generator().manual_seed(0)) - 120
    return tile.repeat(1, 1, 4, 20)[..., :HEIGHT, :WIDTH]


def known_but(*, rows: slice = slice(None), columns: slice) -> BoolMask:
    known = np.ones((HEIGHT, WIDTH), dtype=bool)
    known[rows, columns] = False
    return known


@pytest.mark.parametrize("columns", [slice(WIDTH - 5, WIDTH), slice(0, 3), slice(100, 120)])
def test_a_strip_continues_the_texture_beside_it(columns: slice) -> None:
    image, known = texture(), known_but(columns=columns)
    broken = torch.where(torch.from_numpy(known), image, 999.0)
    before = known.copy()
    found = filled(broken, known, EVERYWHERE, PLAIN)
    assert torch.equal(found, image)
    assert np.array_equal(known, before)
    assert found.is_contiguous()


@pytest.mark.parametrize("columns", [slice(150, 220), slice(0, 70)])
def test_a_wide_gap_is_filled_from_its_edges_inward(columns: slice) -> None:
    """In its middle, only blocks that are filled already tell what fits."""
    image = torch.cat([texture(), texture()[..., WIDTH % 53 :]], dim=-1)
    known = np.ones(image.shape[-2:], dtype=bool)
    known[:, columns] = False
    assert torch.equal(
        filled(
            torch.where(torch.from_numpy(known), image, 999.0),
            known,
            np.ones_like(known),
            np.zeros(known.shape, np.float32),
        ),
        image,
    )


def test_copies_come_from_far_away() -> None:
    image, known = texture(19, 11), known_but(columns=slice(WIDTH - 5, WIDTH))
    near = image.clone()
    near[..., WIDTH - 32 : WIDTH - 5] += 1  # so what is near is more alike than what is farther away
    strip = slice(WIDTH - 5, WIDTH)
    assert torch.equal(filled(near, known, EVERYWHERE, PLAIN)[..., strip], image[..., strip])


def test_what_is_unknown_is_not_copied() -> None:
    image = texture(19, 53)
    image[..., :115] = image[..., :115].flip(-1)  # nothing else is alike
    known = known_but(columns=slice(WIDTH - 5, WIDTH)) & known_but(columns=slice(WIDTH - 5 - 53, WIDTH - 53))
    broken = torch.where(torch.from_numpy(known), image, 999.0)
    assert filled(broken, known, EVERYWHERE, PLAIN).max() < 999


def test_what_is_not_painted_is_neither_copied_nor_filled() -> None:
    image, known = texture(), known_but(columns=slice(WIDTH - 5, WIDTH))
    painted = np.ones_like(known)
    painted[:, WIDTH - 5 - 53 : WIDTH - 53] = False
    marked = image.clone()
    marked[..., WIDTH - 5 - 53 : WIDTH - 53] = 999
    assert torch.equal(filled(marked, known, painted, PLAIN)[..., -5:], image[..., -5:])
    painted[20:, -5:] = False
    assert not torch.equal(filled(marked, known, painted, PLAIN)[..., 32:, -5:], image[..., 32:, -5:])


def test_blocks_at_the_edge_are_smaller_and_filled_all_the_same() -> None:
    image, known = texture()[..., :24, :], known_but(columns=slice(WIDTH - 1, WIDTH))[:24]
    broken = torch.where(torch.from_numpy(known), image, 999.0)
    assert torch.equal(filled(broken, known, EVERYWHERE[:24], PLAIN[:24]), image)


def test_the_content_decides_between_places_that_are_painted_alike() -> None:
    image, content = torch.zeros(1, 3, HEIGHT, WIDTH), PLAIN.copy()
    for column, level in ((32, 0.1), (96, 0.2), (160, 0.2)):  # in the content; the painting is brighter
        content[22:26, column : column + 8] = level
        image[..., 22:26, column : column + 8] = 500 * level
    known = known_but(rows=slice(22, 26), columns=slice(160, 168))
    broken = torch.where(torch.from_numpy(known), image, 999.0)
    assert torch.equal(filled(broken, known, np.ones_like(known), content), image)


def test_where_no_copy_fits_unknown_pixels_mirror_the_known_ones() -> None:
    row, content = torch.arange(12.0).repeat(1, 3, 3, 1), np.zeros((3, 12), dtype=np.float32)
    known = np.ones((3, 12), dtype=bool)
    known[:, [0, 1, 6, 7, 8]] = False
    assert filled(row, known, np.ones_like(known), content)[0, 0, 0].tolist() == [
        4,
        3,
        2,
        3,
        4,
        5,
        4,
        3,
        10,
        9,
        10,
        11,
    ]
    known[:, 4:9] = False  # if the mirror image is not known, the nearest pixel is copied
    found = filled(row, known, np.ones_like(known), content)
    assert found[0, 1, 2].tolist() == [2, 3, 2, 3, 2, 3, 3, 11, 10, 9, 10, 11]
    assert found.is_contiguous()
    assert filled(row, np.ones_like(known), known, content) is row


def test_thin_gaps_mirror_the_known_pixels() -> None:
    image, known = texture(), known_but(rows=slice(0, 15), columns=slice(50, 51))
    found = filled(image, known, EVERYWHERE, PLAIN)
    assert any(torch.equal(found[..., :15, 50], image[..., :15, column]) for column in (48, 52))
    assert torch.equal(found[..., torch.from_numpy(known)], image[..., torch.from_numpy(known)])
