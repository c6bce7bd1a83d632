"""Crops of photos for training: sizes, what they depend on, photos that cannot be used."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import painted
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.networks.model_space import from_model_space
from nstyle.painter import photos as module
from nstyle.painter.photos import LARGEST_RATIO, POOL, ROUNDS, Photos, crop_size, drawing_of


def photo(path: Path, height: int = 90, width: int = 120, seed: int = 0) -> Path:
    painted(height, width, seed).save(path)
    return path


def test_crops_are_those_of_the_seed_and_the_step(tmp_path: Path) -> None:
    paths = [photo(tmp_path / f"{n}.png", seed=n) for n in range(3)]
    drawn = Photos(paths, edge=64, crop_edge=32).crops(0, 7, 4)
    assert drawn.shape == (4, 3, 28, 37)
    assert drawn.dtype == torch.float32
    others = Photos(paths, edge=64, crop_edge=32)
    others.crops(0, 3, 2)  # what was drawn before does not count
    assert torch.equal(others.crops(0, 7, 4), drawn)
    assert torch.equal(others.crops(0, 7, 2), drawn[:2])
    assert not torch.equal(others.crops(0, 8, 4), drawn)
    assert not torch.equal(others.crops(1, 7, 4), drawn)
    assert not torch.equal(drawn[0], drawn[1])


def test_crops_come_back_in_another_order_before_new_ones_are_drawn() -> None:
    drawings = [drawing_of(5, step) for step in range(2 * ROUNDS * POOL)]
    rounds = [drawings[start : start + POOL] for start in range(0, len(drawings), POOL)]
    assert rounds[0] == list(range(POOL))
    assert rounds[ROUNDS] == list(range(POOL, 2 * POOL))
    assert all(sorted(one) == rounds[0] for one in rounds[:ROUNDS])
    assert all(sorted(one) == rounds[ROUNDS] for one in rounds[ROUNDS:])
    assert len({tuple(place % POOL for place in one) for one in rounds}) == 2 * ROUNDS - 1
    assert [drawing_of(6, step) for step in range(POOL, 2 * POOL)] != rounds[1]


def test_crops_that_come_back_are_not_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOL", 2)
    paths = [photo(tmp_path / f"{n}.png", seed=n) for n in range(3)]
    photos, drawn = Photos(paths, edge=64, crop_edge=32), []

    def draw(self: Photos, *given: Any) -> Any:
        drawn.append(given)
        return original(self, *given)

    original = Photos._draw_photo
    monkeypatch.setattr(Photos, "_draw_photo", draw)
    for step in range(2 * ROUNDS):
        pool, place = divmod(drawing_of(0, step), 2)
        assert torch.equal(photos.crops(0, step, 2), photos.crops(0, 2 * ROUNDS * pool + place, 2))
    assert len(drawn) == 2 * 2
    monkeypatch.setattr(module, "CROP_BYTES", 0)  # then they are, and are the same
    forgetful = Photos(paths, edge=64, crop_edge=32)
    for step in range(2 * ROUNDS):
        assert torch.equal(photos.crops(0, step, 2), forgetful.crops(0, step, 2))


def test_crops_come_from_the_photo_at_several_scales_and_mirrored(tmp_path: Path) -> None:
    ramp = Image.linear_gradient("L").rotate(90).resize((400, 400)).convert("RGB")  # dark at the left
    ramp.save(tmp_path / "ramp.png")
    crops = Photos([tmp_path / "ramp.png"], edge=200, crop_edge=32).crops(0, 0, 40)
    rises = crops[:, 0].mean(dim=1)[:, -1] - crops[:, 0].mean(dim=1)[:, 0]
    assert 8 <= int((rises < 0).sum()) <= 32  # half of them are mirrored
    # The ramp has 255 levels over 200 / 2**0.5 to 200 * 2**0.5 pixels; a crop spans 31 steps of its 32 pixels.
    assert 28 * 255 / 290 < float(rises.abs().min()) < float(rises.abs().max()) < 33 * 255 / 135
    assert float(rises.abs().max()) > 1.4 * float(rises.abs().min())


def test_large_photos_are_shrunk_and_panoramas_keep_a_crop(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "large.png", 300, 600), photo(tmp_path / "panorama.png", 40, 900)]
    photos = Photos(paths, edge=100, crop_edge=32)
    assert photos._read(paths[0]).shape == (70, 141, 3)
    assert photos._read(paths[1]).shape == (23, 518, 3)  # a crop has 23x45 of that


@pytest.mark.parametrize("size", [(64, 64), (60, 240), (100, 75), (30, 900), (900, 30), (33, 34)])
def test_crops_have_the_shape_of_their_photo(size: tuple[int, int]) -> None:
    height, width = crop_size(48, size)
    assert height * width == pytest.approx(48**2, rel=0.03)
    wanted = min(max(size[1] / size[0], 1 / LARGEST_RATIO), LARGEST_RATIO)
    assert width / height == pytest.approx(wanted, rel=0.03)


def test_a_crop_can_be_the_whole_photo(tmp_path: Path) -> None:
    Image.radial_gradient("L").resize((90, 60)).convert("RGB").save(tmp_path / "rings.png")
    photos = Photos([tmp_path / "rings.png"], edge=40, crop_edge=46)  # 38x56 of a photo that has 38x57 now
    crop = from_model_space(photos.crops(0, 0, 1))
    rings = np.asarray(Image.radial_gradient("L").resize((crop.shape[1], crop.shape[0])), np.float32) / 255
    assert np.abs(crop - rings[..., None]).max() < 0.03


def test_squares_whatever_the_shape(tmp_path: Path) -> None:
    photos = Photos([photo(tmp_path / "photo.png", 60, 90)], edge=64, crop_edge=32, squares=True)
    assert photos.crops(0, 0, 2).shape == (2, 3, 32, 32)


def test_photos_of_another_shape_are_not_stretched(tmp_path: Path) -> None:
    """The photos rise by as much a pixel in both directions, and so do crops of every shape."""
    down = np.arange(300)[:, None] / 2 + np.zeros(300)
    both = np.stack([down, down.T, 0 * down], axis=-1).astype(np.uint8)
    paths = [tmp_path / "wide.png", tmp_path / "tall.png"]
    for path, size in zip(paths, ((100, 200), (200, 100)), strict=True):
        Image.fromarray(both[: size[0], : size[1]]).save(path)
    photos = Photos(paths, edge=100, crop_edge=48)
    for step in range(8):
        crops = photos.crops(0, step, 3)
        down_rise = crops[:, 0].diff(dim=1)[:, 4:-4, 4:-4].mean(dim=(1, 2))
        right_rise = crops[:, 1].diff(dim=2)[:, 4:-4, 4:-4].mean(dim=(1, 2)).abs()
        assert torch.allclose(down_rise, right_rise, rtol=0.06)


def test_a_step_has_crops_of_one_size_from_photos_of_different_shapes(tmp_path: Path) -> None:
    """The window stays inside each photo, also where that photo is smaller than the crop in one direction."""
    paths = [photo(tmp_path / "wide.png", 40, 160), photo(tmp_path / "tall.png", 160, 40, seed=1)]
    sizes = {Photos(paths, edge=100, crop_edge=48).crops(0, step, 6).shape for step in range(20)}
    assert sizes == {(6, 3, 34, 68), (6, 3, 68, 34)}


def test_small_photos_are_enlarged_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = photo(tmp_path / "small.png", 20, 24)
    photos = Photos([path], edge=64, crop_edge=32)
    assert photos.crops(0, 0, 3).shape == (3, 3, 29, 35)
    photos._cache.clear()
    photos.crops(0, 1, 1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "24x20" in caplog.text


def test_unreadable_photos_are_left_out_with_one_warning_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, gone = photo(tmp_path / "good.png"), tmp_path / "bad.jpg", tmp_path / "gone.jpg"
    bad.write_bytes(b"no picture")
    photos = Photos([bad, good, gone], edge=64, crop_edge=32)
    early = [photos.crops(0, step, 4) for step in range(10)]
    assert sorted(record.getMessage().count("it is left out") for record in caplog.records) == [1, 1]
    assert str(bad) in caplog.text
    assert str(gone) in caplog.text
    later = Photos([bad, good, gone], edge=64, crop_edge=32)
    assert torch.equal(later.crops(0, 9, 4), early[9])  # as if the bad ones had been known


def test_a_draw_takes_no_longer_with_many_photos(tmp_path: Path) -> None:
    hashed: list[str] = []

    class Counted(type(tmp_path)):  # type: ignore[misc]
        def __hash__(self) -> int:
            hashed.append(str(self))
            return hash(str(self))

    photos = Photos([Counted(photo(tmp_path / "photo.png"))] * 1000, edge=64, crop_edge=32)
    hashed.clear()
    photos.crops(0, 0, 4)
    assert 0 < len(hashed) < 100


def test_without_a_readable_photo(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    with refuses(ImageError, kind=Kind.UNREADABLE, flag="--photos"):
        Photos([tmp_path / "bad.jpg"] * 2, edge=64, crop_edge=32).crops(0, 0, 1)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_BYTES", 40_000)
    paths = [photo(tmp_path / f"{n}.png", 80, 80, seed=n) for n in range(5)]  # 19,200 bytes each
    photos = Photos(paths, edge=64, crop_edge=32)
    drawn = [photos.crops(0, step, 3) for step in range(4)]
    assert len(photos._cache) == 2
    monkeypatch.setattr(module, "CACHE_BYTES", 400_000)
    roomy = Photos(paths, edge=64, crop_edge=32)
    assert all(torch.equal(roomy.crops(0, step, 3), one) for step, one in enumerate(drawn))


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    image = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    image.save(tmp_path / "clear.png")
    crop = Photos([tmp_path / "clear.png"], edge=64, crop_edge=32).crops(0, 1, 1)
    assert from_model_space(crop).mean() > 0.98
