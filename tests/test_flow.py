"""Optical flow: warping, masks, files and estimation, on films whose motion is known exactly."""

import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from moving import Moving, cut_out, pan, turn, zoom
from refusals import refuses
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nstyle.errors import ImageError, Kind, OptionError, OutputError
from nstyle.film.flow import Flow, Motion, resized, sharply_warped, warped
from nstyle.film.flow_files import read_flow, write_flow
from nstyle.film.inverse_search import InverseSearch
from nstyle.film.pairs import carried_pairs
from nstyle.film.reliability import (
    BoolMask,
    disoccluded,
    long_term_weights,
    motion_boundary,
    out_of_frame,
    unseen,
    weights,
)
from nstyle.networks.model_space import to_model_space

SMALL = {"width": 96, "height": 64}


def uniform(x: float, y: float, height: int = 6, width: int = 8) -> Flow:
    return np.full((height, width, 2), (x, y), dtype=np.float32)


def overlap(found: BoolMask, true: BoolMask) -> float:
    """Intersection over union."""
    return float((found & true).sum() / (found | true).sum())


@pytest.mark.parametrize("carry", [warped, sharply_warped])
def test_a_whole_number_of_pixels_copies_values_to_the_bit(carry: Callable[[Tensor, Flow], Tensor]) -> None:
    image = torch.randn(1, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(carry(image, uniform(0, 0)), image)
    moved = carry(image, uniform(2, -1))
    assert torch.equal(moved[..., 1:, :-2], image[..., :-1, 2:])
    assert torch.equal(moved[..., 0, :-2], image[..., 0, 2:])  # out of frame: the nearest edge
    assert moved.is_contiguous()


def test_between_pixels_it_interpolates() -> None:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    ramp = (3 * x - 2 * y)[None, None]
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(warped(ramp, uniform(0.25, -0.5))[inside], (ramp + 0.75 + 1.0)[inside])


def test_details_stay_sharp_between_pixels() -> None:
    """A wave of four pixels keeps its contrast, of which bilinear interpolation takes three tenths."""
    wave = (torch.arange(24.0) * np.pi / 2).cos().repeat(1, 3, 16, 1)
    there = ((torch.arange(24.0) + 0.5) * np.pi / 2).cos().expand(1, 3, 16, -1)
    inside = (..., slice(3, -3), slice(3, -3))
    errors = [
        float((carry(image, flow) - true)[inside].abs().max())
        for image, flow, true in (
            (wave, uniform(0.5, 0.25, 16, 24), there),
            (wave.mT.contiguous(), uniform(-0.25, 0.5, 24, 16), there.mT),
        )
        for carry in (sharply_warped, warped)
    ]
    assert max(errors[::2]) < 0.03
    assert min(errors[1::2]) > 0.2


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # as PyTorch declares it
    """Counts the bytes of the tensors that PyTorch's functions return, while they live; `most` is the peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.most = 0
        self.seen: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = [result] if isinstance(result, Tensor) else result
        for storage in [one.untyped_storage() for one in tensors]:
            self.count(storage)
        return result

    def count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.seen:
            self.seen.add(storage._cdata)
            self.live += storage.nbytes()
            self.most = max(self.most, self.live)
            weakref.finalize(storage, self.forget, storage._cdata, storage.nbytes())

    def forget(self, storage: int, size: int) -> None:
        self.live -= size
        self.seen.discard(storage)


def test_pairs_are_carried_one_after_the_other() -> None:
    """Each as `sharply_warped` carries it, to the bit; together, they need more than three times the memory."""
    pairs = {f"step_{i}": torch.randn(1, 3, 16, 24).bfloat16() for i in range(10)}
    flow = uniform(0.5, -0.25, 16, 24)
    with LiveBytes() as bytes_of:
        carried = carried_pairs(pairs, flow, torch.zeros(1, 3, 16, 24))
    assert bytes_of.most < 300 * 16 * 24
    for name, image in pairs.items():
        assert torch.equal(carried[name], sharply_warped(image.float(), flow))


@pytest.mark.parametrize("film", [pan, zoom, turn, cut_out])
def test_a_frame_carried_along_the_exact_flow_is_the_next_one(film: Callable[..., Moving]) -> None:
    moving = film(**SMALL)
    motion = moving.motion(2, 4)
    known = torch.from_numpy(weights(motion))
    earlier, later = (to_model_space(moving.frame(i)) for i in (2, 4))
    error = (warped(earlier, motion.backward) - later)[..., known > 0]
    alone = (earlier - later)[..., known > 0]
    assert known.mean() > 0.6
    assert error.square().mean() < alone.square().mean() / (1e6 if film in (pan, cut_out) else 10)


def test_a_resized_flow_points_to_the_same_points() -> None:
    moving, half = pan(4, 2, width=96, height=64), pan(2, 1, width=48, height=32)
    motion = moving.motion(1, 2).resized(32, 48)
    np.testing.assert_allclose(motion.backward, half.flow(2, 1), atol=1e-5)
    np.testing.assert_allclose(motion.forward, half.flow(1, 2), atol=1e-5)
    assert resized(motion.forward, 32, 48) is motion.forward


def test_masks_are_those_of_the_formulas() -> None:
    """On flows made by hand, just below and just above each threshold."""
    for beyond in (-1e-4, 1e-4):
        both = Motion(uniform(2, 0), uniform(-2, np.sqrt(0.5 + 0.01 * (4 + 4)) / np.sqrt(0.99) + beyond))
        assert (disoccluded(both) == (beyond > 0)).all()
        steep = np.sqrt(0.002 + 0.01 * 25) + beyond
        sheared = uniform(3, 4)
        sheared[..., 0] += steep * (np.arange(6, dtype=np.float32) - 3)[:, None]
        row = motion_boundary(Motion(uniform(0, 0), sheared))[3]  # where the flow is (3, 4)
        assert (row == (beyond > 0)).all()


def test_beyond_the_edges_nothing_is_known() -> None:
    assert (out_of_frame(uniform(3, 0)).sum(axis=1) == 3).all()
    assert not out_of_frame(uniform(0.4, -0.4)).any()
    assert (weights(Motion(uniform(-3, 0), uniform(3, 0))) == 1 - out_of_frame(uniform(3, 0))).all()


def test_exact_flow_gives_the_exact_occlusion() -> None:
    moving = cut_out(width=320, height=240)
    for i in (0, 5, 10):
        motion = moving.motion(i, i + 1)
        inside = ~out_of_frame(motion.backward)
        hidden = moving.hidden(i, i + 1) & inside
        assert hidden.sum() > 300
        assert overlap(disoccluded(motion), hidden) > 0.9
        assert (unseen(motion) == disoccluded(motion) | ~inside).all()
        assert not (weights(motion)[hidden]).any()


def test_each_pixel_relies_on_the_nearest_frame_that_shows_it() -> None:
    def row(*values: float) -> np.ndarray:
        return np.array([values], dtype=np.float32)

    long = long_term_weights({4: row(1, 1, 1, 0), 1: row(1, 0, 0, 0), 2: row(1, 1, 0, 0)})
    assert {distance: own.tolist() for distance, own in long.items()} == {
        1: [[1, 0, 0, 0]],
        2: [[0, 1, 0, 0]],
        4: [[0, 0, 1, 0]],
    }


def test_a_flow_comes_back_from_its_file(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    flow[0, 0] = 1e10, -np.inf  # not known
    write_flow(tmp_path / "a.flo", flow)
    content = (tmp_path / "a.flo").read_bytes()
    assert float(np.frombuffer(content, "<f4", 1)[0]) == 202021.25
    assert content[4:12] == b"\7\0\0\0\5\0\0\0"
    assert np.frombuffer(content, "<f4", 2, offset=12).tolist() == flow[0, 0].tolist()
    read = read_flow(tmp_path / "a.flo")
    assert read.dtype == np.dtype(np.float32)
    assert read[0, 0].tolist() == [1e9, -1e9]
    np.testing.assert_array_equal(read[1:], flow[1:])
    assert out_of_frame(read)[0, 0]
    with refuses(OutputError, kind=Kind.UNWRITABLE, flag="--output-dir", path=tmp_path / "no" / "a.flo"):
        write_flow(tmp_path / "no" / "a.flo", flow)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (None, Kind.MISSING),
        (b"", Kind.UNSUPPORTED),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), Kind.UNSUPPORTED),
        (b"PIEH\1\0\0", Kind.DAMAGED),
        (b"PIEH\xff\xff\xff\xff\1\0\0\0" + bytes(8), Kind.DAMAGED),
        (b"PIEH\xff\xff\xff\x7f\xff\xff\xff\x7f" + bytes(8), Kind.DAMAGED),
        (b"PIEH\1\0\0\0\1\0\0\0" + bytes(7), Kind.DAMAGED),
        (b"PIEH\1\0\0\0\1\0\0\0" + bytes(9), Kind.DAMAGED),
        (b"PIEH\1\0\0\0\1\0\0\0" + np.array([0, np.nan], "<f4").tobytes(), Kind.DAMAGED),
    ],
)
def test_what_is_no_flow_is_refused(tmp_path: Path, content: bytes | None, kind: Kind) -> None:
    path = tmp_path / "bad.flo"
    if content is not None:
        path.write_bytes(content)
    with refuses(ImageError, kind=kind, path=path):
        read_flow(path)


def test_a_folder_is_no_flow(tmp_path: Path) -> None:
    with refuses(ImageError, kind=Kind.UNREADABLE, path=tmp_path):
        read_flow(tmp_path)


def test_without_opencv_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with refuses(OptionError, kind=Kind.MISSING, flag="--film") as refused:
        InverseSearch()
    assert "nstyle[film]" in str(refused.value)


@pytest.fixture
def search() -> InverseSearch:
    pytest.importorskip("cv2", reason="needs nstyle[film]")
    return InverseSearch()


@pytest.mark.parametrize(("film", "within"), [(pan, 0.05), (zoom, 0.15), (turn, 0.15)])
def test_estimated_flow_is_near_the_exact_one(
    search: InverseSearch, film: Callable[..., Moving], within: float
) -> None:
    moving = film()
    motion, exact = search.motion(moving.frame(3), moving.frame(4)), moving.motion(3, 4)
    for found, true in ((motion.forward, exact.forward), (motion.backward, exact.backward)):
        assert np.linalg.norm(found - true, axis=-1).mean() < within
    assert weights(motion).mean() > 0.95


def test_what_is_at_rest_does_not_flow(search: InverseSearch) -> None:
    frame = pan().frame(0)
    assert not search.motion(frame, frame).backward.any()


def test_estimated_flow_finds_what_was_hidden(search: InverseSearch) -> None:
    moving, found = cut_out(), []
    for i in (0, 5, 10):
        motion = search.motion(moving.frame(i), moving.frame(i + 1))
        inside = ~out_of_frame(moving.flow(i + 1, i))
        found.append(overlap(disoccluded(motion) & inside, moving.hidden(i, i + 1) & inside))
    assert np.mean(found) > 0.7
