"""The choice of device and precision, tested without a GPU."""

import contextlib
import itertools
import platform
import subprocess
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch
from refusals import refuses

from nstyle.devices import (
    choose_device,
    choose_precision,
    describe_device,
    has_native_bfloat16,
    limited_memory,
    memory_of,
    reproducible,
)
from nstyle.errors import DeviceError, Kind

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make PyTorch report two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "gpu", "expected"),
    [
        (None, None, "cuda:0"),
        (None, 0, "cuda:0"),
        (None, 1, "cuda:1"),
        (None, -1, "cpu"),
        ("cpu", None, "cpu"),
        ("cuda", None, "cuda:0"),
        ("cuda:1", None, "cuda:1"),
    ],
)
def test_choice_with_gpus(name: str | None, gpu: int | None, expected: str) -> None:
    assert str(choose_device(name, gpu)) == expected


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(("name", "gpu"), [(None, 2), ("cuda:2", None)])
def test_a_gpu_too_many(name: str | None, gpu: int | None) -> None:
    with refuses(DeviceError, kind=Kind.MISSING, flag="--device" if name else "--gpu"):
        choose_device(name, gpu)


def test_choice_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device(None, None) == CPU
    with refuses(DeviceError, kind=Kind.MISSING, flag="--gpu"):
        choose_device(None, 0)


def test_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with refuses(DeviceError, kind=Kind.MISSING, flag="--device"):
        choose_device("mps", None)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps", None).type == "mps"
    assert not has_native_bfloat16(torch.device("mps"))
    assert memory_of(torch.device("mps")) is None
    assert describe_device(torch.device("mps")) == "mps"


@pytest.mark.parametrize(("has", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_only_where_it_is_native(
    has: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": has})
    assert choose_precision("auto", CPU).dtype == expected
    for name in ("float32", "bfloat16"):
        assert str(choose_precision(name, CPU)) == name


def test_gpus_are_asked_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 * 10**9, 8 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Titan X")
    assert has_native_bfloat16(GPU)
    assert memory_of(GPU) == 5 * 10**9
    assert describe_device(GPU) == "Titan X"


OLDER = """
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = {}
"""
NEWER = """
torch.backends.fp32_precision = torch.backends.cudnn.fp32_precision = "{0}"
torch.backends.cudnn.conv.fp32_precision = torch.backends.cuda.matmul.fp32_precision = "{0}"
"""
SWITCHES = """
import torch
from nstyle.devices import reproducible

cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

def switches():
    return cudnn.conv.fp32_precision, matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark

def older():  # raises an error where the older switches contradict the newer ones
    return cudnn.allow_tf32, matmul.allow_tf32

{change}
cudnn.benchmark = True
before = switches()
with reproducible(torch.device("cuda:0")):
    print(switches() == ("ieee", "ieee", True, False), older() == (False, False))
print(switches() == before, {tell})
"""


@pytest.mark.parametrize(
    ("change", "tell"),
    [
        ("", "older() == (True, False)"),
        (OLDER.format(True), "older() == (True, True)"),
        (OLDER.format(False), "older() == (False, False)"),
        (NEWER.format("tf32"), "True"),
        (NEWER.format("ieee"), "True"),
        ('torch.backends.fp32_precision = "tf32"', "True"),
    ],
    ids=["untouched", "older on", "older off", "newer on", "newer off", "for all"],
)
def test_full_float32_on_a_gpu_and_everything_as_before_afterwards(change: str, tell: str) -> None:
    """The user may have set PyTorch's old or new switches. Each case runs in its own process."""
    script = ["-W", "error", "-c", SWITCHES.format(change=change, tell=tell)]
    found = subprocess.run([sys.executable, *script], check=True, capture_output=True, text=True).stdout.split()
    assert found == ["True"] * 4


def test_runs_that_overlap_share_the_switches() -> None:
    """The first one to end does not reset them for the other."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.deterministic, matmul.allow_tf32
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(reproducible(GPU))
        second.enter_context(reproducible(GPU))
        first.close()
        assert (cudnn.deterministic, matmul.allow_tf32) == (True, False)
    assert (cudnn.deterministic, matmul.allow_tf32) == before


@pytest.mark.parametrize("order", list(itertools.permutations([400, 200, 950])))
def test_runs_that_overlap_keep_to_the_lowest_limit(order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the last of them ends, in whatever order; then what was there before is back."""
    share = 0.9

    def set_share(value: float, device: torch.device) -> None:
        nonlocal share
        share = value

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=1000))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: share)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", set_share)
    runs = {limit: ExitStack() for limit in (400, 200, 950)}
    for limit, run in runs.items():
        run.enter_context(limited_memory(GPU, limit))
    assert share == 0.2
    for limit in order:
        runs.pop(limit).close()
        assert share == min(900, *runs, 1000) / 1000


@pytest.mark.parametrize(("capability", "found"), [((7, 5), "float32"), ((8, 0), "tf32"), ((9, 0), "tf32")])
def test_tf32_where_the_gpu_has_it(capability: tuple[int, int], found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert str(choose_precision("tf32", GPU)) == found
    assert choose_precision("tf32", GPU).dtype == torch.float32
    assert str(choose_precision("tf32", CPU)) == "float32"


def test_tf32_is_for_convolutions_and_not_for_others_at_the_same_time() -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.conv.fp32_precision, matmul.fp32_precision  # type: ignore[attr-defined]  # the stubs leave it out
    with reproducible(GPU, tf32=True):
        assert (cudnn.conv.fp32_precision, matmul.fp32_precision) == ("tf32", "ieee")  # type: ignore[attr-defined]
        with refuses(DeviceError, kind=Kind.UNSUPPORTED, flag="--precision"), reproducible(GPU):
            pass
        with reproducible(GPU, tf32=True):
            pass
    with reproducible(GPU):
        assert not cudnn.allow_tf32
    assert (cudnn.conv.fp32_precision, matmul.fp32_precision) == before  # type: ignore[attr-defined]


def test_the_cpus_memory_is_plausible() -> None:
    memory = memory_of(CPU)
    assert memory is None or 2**28 < memory < 2**50


FREED_MEMORY = """
import contextlib, resource, sys
import torch
from nstyle import devices

BLOCK_BYTES = 2**27  # more than malloc ever keeps by itself

def new_pages():  # that the system makes for a block, which is filled and freed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * BLOCK_BYTES
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def memory():  # bytes: of addresses, of pages that are there
    return [int(pages) * resource.getpagesize() for pages in open("/proc/self/statm").read().split()[:2]]

new_pages()
usual = new_pages()
there, device = 10**12, "cpu"
{change}
devices.memory_of = lambda device: there
with contextlib.suppress(KeyboardInterrupt), devices.keeping_freed_memory(torch.device(device), 10**9):
    new_pages()
    kept = new_pages() < usual / 10
    with_the_block = memory()[1]
    {end}
given_back = with_the_block - memory()[1]
below, above = b"x" * BLOCK_BYTES, b"x" * BLOCK_BYTES
del below  # in the heap it would leave a hole for the next
after = new_pages()
print(kept, given_back > BLOCK_BYTES * 0.9, after >= usual * 0.9)
"""

glibc_only = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")


def freed_memory(change: str = "", end: str = "") -> list[str]:
    """Return whether a freed block is kept inside the context, returned at its end, and not kept afterwards."""
    script = FREED_MEMORY.format(change=change, end=end)
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()


@glibc_only
@pytest.mark.parametrize("end", ["", "raise KeyboardInterrupt"])
def test_freed_memory_is_kept_for_the_next_block_and_given_back_in_the_end(end: str) -> None:
    assert freed_memory(end=end) == ["True", "True", "True"]


@glibc_only
def test_while_freed_memory_is_kept_nobody_gives_it_back() -> None:
    end = "devices.return_freed_memory(); kept = memory()[1] > with_the_block - BLOCK_BYTES / 2"
    assert freed_memory(end=end) == ["True", "True", "True"]


@glibc_only
def test_a_context_inside_another_ends_nothing() -> None:
    """So the tiles' stages do not end what keeps memory for the whole run."""
    end = "with devices.reusing_freed_memory(): pass\n    new_pages(); kept = new_pages() < usual / 10"
    assert freed_memory(end=end) == ["True", "True", "True"]


BETWEEN_TILES = """
import contextlib, torch
from nstyle import devices

def resident():
    return devices.memory_in_use(torch.device("cpu"))

def grown_after_a_tile(megabytes):
    before = resident()
    del bytearray(megabytes * 10**6)[:]
    between()
    return round((resident() - before) / 1e8)

with {around} as outer, devices.reusing_freed_memory() as between:
    print(*map(grown_after_a_tile, (100, 100, 180, 500, 100)))
"""


@glibc_only
@pytest.mark.parametrize(
    ("around", "growth"),
    [("contextlib.nullcontext()", "1 0 1 -2 1"), ("devices.reusing_freed_memory()", "1 0 1 3 0")],
)
def test_between_tiles_what_is_more_than_two_of_them_is_given_back(around: str, growth: str) -> None:
    """Not where freed memory is kept for the whole run. All of it is given back, so that the next tile is new."""
    script = BETWEEN_TILES.format(around=around)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == growth


@glibc_only
def test_more_than_two_gigabytes_are_kept() -> None:
    free_and_look = "before = memory()[0]; bytearray(3 * 2**30); kept = memory()[0] > before + 3 * 2**30 * 0.9"
    assert freed_memory(end=free_and_look)[0] == "True"


@glibc_only
@pytest.mark.parametrize(
    "change",
    ["there = 3 * 10**9 - 1", "there = None", "device = 'cuda'", "sys.platform = 'darwin'"],
    ids=["scarce", "unknown", "GPU", "not Linux"],
)
def test_freed_memory_is_not_kept(change: str) -> None:
    assert freed_memory(change) == ["False", "False", "True"]
