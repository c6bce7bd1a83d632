"""Paintings in tiles are those of one piece, and need the memory that is said."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from nstyle.painter.footprint import bytes_needed
from nstyle.painter.generators import make_generator
from nstyle.painter.graph import Generator
from nstyle.painter.layers import statistics
from nstyle.painter.tiles import TILINGS, Plan, Tiling, paint, paintings

TINY = [Tiling(7, 0), Tiling(16, 1), Tiling(20, 2), Tiling(13, 9)]


def generator(name: str, **sizes: int) -> Generator:
    """Make a network whose batch norms have seen pictures."""
    torch.manual_seed(0)
    made = make_generator(name, **{"width": 4, "blocks": 2, **sizes})
    with torch.no_grad():
        for _ in range(3):
            made(50 * torch.randn(2, 3, 40, 40))
    return made.eval()


@pytest.mark.parametrize("tiling", [*TINY, *TILINGS], ids=lambda tiling: f"{tiling.edge}-{tiling.kept}")
@pytest.mark.parametrize("name", ["johnson", "boosted"])
@pytest.mark.parametrize("size", [(70, 83), (16, 19)], ids=str)
def test_tiles_are_exact(name: str, size: tuple[int, int], tiling: Tiling) -> None:
    made, image = generator(name).double(), 50 * torch.randn(1, 3, *size, dtype=torch.float64)
    for in_tiles, whole in zip(paintings(made, image, tiling), paintings(made, image), strict=True):
        torch.testing.assert_close(in_tiles, whole, rtol=0, atol=1e-9)


def test_tiles_in_single_precision_are_within_a_hundredth_of_a_grey_level() -> None:
    made, image = generator("small"), 50 * torch.randn(1, 3, 150, 90)
    assert (paint(made, image, Tiling(32, 1)) - paint(made, image)).abs().max() < 0.01


def test_statistics_are_those_of_the_whole_picture() -> None:
    """Two halves of a picture that differ much would be painted in another way alone."""
    made = generator("small").double()
    image = torch.cat([-100 * torch.ones(1, 3, 48, 48), 100 * torch.rand(1, 3, 48, 48)], dim=-1).double()
    alone = torch.cat([paint(made, half) for half in (image[..., :48], image[..., 48:])], dim=-1)
    whole = paint(made, image)
    assert (alone - whole).abs().max() > 1
    torch.testing.assert_close(paint(made, image, Tiling(48, 1)), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float64), ("mps", torch.float32)])
def test_statistics_are_wide_where_the_device_can(
    device: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "device", torch.device(device))
    found = statistics(torch.ones(1, 2, 3, 4))
    assert (found.mean.dtype, found.variance.dtype) == (dtype, dtype)


def test_full_size_maps_are_computed_twice_and_coarse_ones_once() -> None:
    """That is what tiles cost."""
    graph = generator("johnson").graphs[0]
    steps = Plan(graph, Tiling(512, 1)).steps
    assert [name for name in steps if graph.coarseness[name] == 0] == ["first_conv", "up2_conv", "painted"]
    assert len(steps) == len(set(steps))


def test_the_tiles_of_each_step_run_in_a_context_of_their_own() -> None:
    """A process can keep freed memory for them, and return it before the next step."""
    ended = []

    @contextmanager
    def noted() -> Iterator[None]:
        yield
        ended.append(True)

    made, image = generator("small"), torch.zeros(1, 3, 64, 64)
    paint(made, image, None, noted)
    assert not ended
    tiling = Tiling(32, 1)
    paint(made, image, tiling, noted)
    assert len(ended) == len(Plan(made.graphs[0], tiling).steps)


_MEASURE = """
import torch
from nstyle.painter.footprint import bytes_needed
from nstyle.painter.generators import make_generator
from nstyle.painter.tiles import Tiling, paint, paintings
torch.set_num_threads(1)

def peak():  # not that of `resource`, which begins with the peak of the process that started this one
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

made = make_generator("johnson", width={width}, blocks=1).eval()
paint(made, torch.zeros(1, 3, 64, 64))
image, tiling = torch.zeros(1, 3, 768, 768), {tiling}
before = peak()
paint(made, image, tiling)
print(peak() - before - 2 * image.nbytes, bytes_needed(made, (768, 768), tiling))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the peak in this way")
@pytest.mark.parametrize(
    ("width", "tiling"),
    [
        (8, None),
        (8, Tiling(256, 1)),
        (8, Tiling(256, 2)),
        (2, None),  # most of it is for the last convolution, which is split
        (2, Tiling(512, 2)),
    ],
    ids=str,
)
def test_the_memory_is_what_is_said(width: int, tiling: Tiling | None) -> None:
    code = _MEASURE.format(width=width, tiling=repr(tiling))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    measured, said = map(int, done.stdout.split())
    assert measured <= said <= measured + 100_000_000


def test_ten_megapixels_fit_into_a_gigabyte() -> None:
    """The network's part; the picture, the start and the painting need another 0.36 GB."""
    with torch.device("meta"):
        made = make_generator("johnson", width=16)
    assert bytes_needed(made, (2582, 3873), TILINGS[0]) < 640_000_000
    assert bytes_needed(made, (2582, 3873), None) > 3_000_000_000
    assert bytes_needed(made, (2582, 3873), TILINGS[-1]) <= bytes_needed(made, (2582, 3873), TILINGS[0])
