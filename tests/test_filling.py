"""What a painting does not show begins as copies of what it paints elsewhere."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nstyle.film.filling import filled
from nstyle.film.reliability import BoolMask

HEIGHT, WIDTH = 60, 130


def texture(row_period: int = 19, column_period: int = 53) -> Tensor:
    """Return a random texture that repeats."""
    tile = 255 * torch.rand(1, 3, row_period, column_period, generator=torch.Generator().manual_seed(0)) - 120
    return tile.repeat(1, 1, 4, 12)[..., :HEIGHT, :WIDTH]


def known_but(*, rows: slice = slice(None), columns: slice) -> BoolMask:
    known = np.ones((HEIGHT, WIDTH), dtype=bool)
    known[rows, columns] = False
    return known


@pytest.mark.parametrize("columns", [slice(WIDTH - 5, WIDTH), slice(0, 3), slice(60, 80)])
def test_a_strip_continues_the_texture_beside_it(columns: slice) -> None:
    image, known = texture(), known_but(columns=columns)
    broken = torch.where(torch.from_numpy(known), image, 999.0)
    found = filled(broken, known, torch.zeros_like(image))
    assert torch.equal(found, image)
    assert found.is_contiguous()


def test_copies_come_from_far_away() -> None:
    image, known = texture(19, 11), known_but(columns=slice(WIDTH - 5, WIDTH))
    near = image.clone()
    near[..., 98 : WIDTH - 5] += 1  # so what is near is more alike than what is farther away
    strip = slice(WIDTH - 5, WIDTH)
    assert torch.equal(filled(near, known, torch.zeros_like(image))[..., strip], image[..., strip])


def test_what_is_unknown_is_not_copied() -> None:
    image = texture(19, 53)
    known = known_but(columns=slice(WIDTH - 5, WIDTH)) & known_but(columns=slice(WIDTH - 5 - 53, WIDTH - 53))
    broken = torch.where(torch.from_numpy(known), image, 999.0)
    assert filled(broken, known, torch.zeros_like(image)).max() < 999


def test_the_content_decides_between_places_that_are_painted_alike() -> None:
    image, content = torch.zeros(1, 3, HEIGHT, WIDTH), torch.zeros(1, 3, HEIGHT, WIDTH)
    for column, level in ((16, 10.0), (48, 20.0), (112, 20.0)):  # in the content; the painting is brighter
        content[..., 22:26, column : column + 8] = level
        image[..., 22:26, column : column + 8] = 5 * level
    known = known_but(rows=slice(22, 26), columns=slice(112, 120))
    broken = torch.where(torch.from_numpy(known), image, 999.0)
    assert torch.equal(filled(broken, known, content), image)


def test_where_no_copy_fits_unknown_pixels_mirror_the_known_ones() -> None:
    row, content = torch.arange(12.0).repeat(1, 3, 3, 1), torch.zeros(1, 3, 3, 12)
    known = np.ones((3, 12), dtype=bool)
    known[:, [0, 1, 6, 7, 8]] = False
    assert filled(row, known, content)[0, 0, 0].tolist() == [4, 3, 2, 3, 4, 5, 4, 3, 10, 9, 10, 11]
    known[:, 4:9] = False  # if the mirror image is not known, the nearest pixel is copied
    found = filled(row, known, content)
    assert found[0, 1, 2].tolist() == [2, 3, 2, 3, 2, 3, 3, 11, 10, 9, 10, 11]
    assert found.is_contiguous()
    assert filled(row, np.ones((3, 12), dtype=bool), content) is row


def test_thin_gaps_mirror_the_known_pixels() -> None:
    image, known = texture(), known_but(rows=slice(0, 15), columns=slice(50, 51))
    found = filled(image, known, torch.zeros_like(image))
    assert any(torch.equal(found[..., :15, 50], image[..., :15, column]) for column in (48, 52))
    assert torch.equal(found[..., torch.from_numpy(known)], image[..., torch.from_numpy(known)])
