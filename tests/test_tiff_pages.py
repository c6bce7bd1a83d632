"""TIFF files whose first page is a thumbnail, and raw photos: the thumbnail is never taken for the picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import painted
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.pictures.decode import read_picture

REDUCED = 1


def levels(height: int, width: int, depth: int, seed: int) -> NDArray[Any]:
    eight = np.asarray(painted(height, width, seed))
    return eight if depth == 8 else eight.astype(np.uint16) * 257


def write(path: Path, *pages: tuple[NDArray[Any], dict[str, Any]], bigtiff: bool = False, order: str = "<") -> None:
    """Write pages, each with options; "subifds" says how many of the next pages belong to it."""
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=order) as tiff:  # type: ignore[arg-type]
        for pixels, options in pages:
            tiff.write(pixels, **{"photometric": "rgb", "metadata": None, **options})


def break_pointer(path: Path) -> None:
    """Let the only SubIFD of the first page lie beyond the end of the file."""
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages.first.tags["SubIFDs"].valueoffset
    content = bytearray(path.read_bytes())
    content[at : at + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(("bigtiff", "order"), [(False, "<"), (False, ">"), (True, "<")])
@pytest.mark.parametrize("subifds", [0, 2])
@pytest.mark.parametrize("depth", [8, 16])
def test_the_picture_behind_a_thumbnail_is_read(
    depth: int, subifds: int, bigtiff: bool, order: str, tmp_path: Path
) -> None:
    path = tmp_path / "picture.tiff"
    thumbnail, picture = levels(20, 30, 8, 1), levels(40, 60, depth, 2)
    write(
        path,
        (thumbnail, {"subfiletype": REDUCED, "subifds": subifds}),
        (levels(24, 36, 8, 3), {"subfiletype": REDUCED}),
        (picture, {"compression": "lzw"}),
        bigtiff=bigtiff,
        order=order,
    )
    rgb = read_picture(path).rgb
    np.testing.assert_allclose(rgb, picture / (255 if depth == 8 else 65535), atol=1e-6)


def test_a_small_copy_without_a_mark_is_a_thumbnail(tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    write(path, (levels(20, 30, 8, 1), {}), (levels(120, 180, 8, 2), {}))
    assert read_picture(path).rgb.shape == (120, 180, 3)


@pytest.mark.parametrize("size", [(60, 90), (120, 20)])
def test_the_first_of_several_pages_is_the_picture(size: tuple[int, int], tmp_path: Path) -> None:
    """A scanned document, or a picture with reduced copies."""
    path = tmp_path / "picture.tiff"
    picture = levels(24, 36, 8, 1)
    write(
        path, (picture, {"subifds": 1}), (levels(20, 30, 8, 2), {"subfiletype": REDUCED}), (levels(*size, 8, 3), {})
    )
    np.testing.assert_allclose(read_picture(path).rgb, picture / 255, atol=1e-6)


def test_a_mark_on_the_only_page_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    picture = levels(24, 36, 8, 1)
    write(path, (picture, {"subfiletype": REDUCED}))
    np.testing.assert_allclose(read_picture(path).rgb, picture / 255, atol=1e-6)


def test_a_wild_pointer_to_more_pages_spoils_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    picture = levels(24, 36, 8, 1)
    write(path, (picture, {"subifds": 1}), (levels(64, 96, 8, 1), {}))
    break_pointer(path)
    np.testing.assert_allclose(read_picture(path).rgb, picture / 255, atol=1e-6)


SENSOR = np.full((64, 96), 900, np.uint16)
RAW: dict[str, list[tuple[NDArray[Any], dict[str, Any]]]] = {
    "thumbnail, sensor": [
        (levels(20, 30, 8, 1), {"subfiletype": REDUCED, "subifds": 1}),
        (SENSOR, {"photometric": 32803}),
    ],
    "sensor, preview": [
        (SENSOR, {"photometric": 32803, "subifds": 1}),
        (levels(64, 96, 8, 1), {"subfiletype": REDUCED}),
    ],
    "preview without a mark, sensor": [
        (levels(64, 96, 8, 1), {"subifds": 1}),
        (SENSOR, {"photometric": 32803}),
    ],
    "thumbnail, linear colors": [
        (levels(20, 30, 8, 1), {"subfiletype": REDUCED, "subifds": 1}),
        (levels(64, 96, 16, 1), {"photometric": 34892}),
    ],
    "thumbnail, grey with a filter pattern": [
        (levels(20, 30, 8, 1), {"subfiletype": REDUCED}),
        (SENSOR, {"photometric": "minisblack", "extratags": [(33421, 3, 2, (2, 2), True)]}),
    ],
    "DNG without its sensor": [(levels(20, 30, 8, 1), {"extratags": [(50706, 1, 4, (1, 4, 0, 0), True)]})],
    "nothing but thumbnails": [
        (levels(20, 30, 8, 1), {"subfiletype": REDUCED}),
        (levels(24, 36, 8, 1), {"subfiletype": REDUCED}),
    ],
}


@pytest.mark.parametrize("name", RAW)
def test_raw_photos_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"  # whatever it is called
    write(path, *RAW[name])
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path) as refused:
        read_picture(path)
    assert "raw photo" in str(refused.value)


def test_a_thumbnail_that_points_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    write(path, (levels(20, 30, 8, 1), {"subfiletype": REDUCED, "subifds": 1}), (SENSOR, {"photometric": 32803}))
    break_pointer(path)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize(
    "head",
    [
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"FUJIFILMCCD-RAW 0201",
        b"II\x1a\0\0\0HEAPCCDR",
        b"FOVb\0\0\3\0",
        b"\0MRM\0\0\0\0",
    ],
)
def test_raw_photos_in_other_containers_are_named(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(head + bytes(500))
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path) as refused:
        read_picture(path)
    assert "raw photo" in str(refused.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colors_on_separate_pages_are_refused(dtype: type, tmp_path: Path) -> None:
    path = tmp_path / "composite.tif"
    tifffile.imwrite(path, np.zeros((3, 24, 36), dtype), imagej=True, metadata={"axes": "CYX", "mode": "composite"})
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)
