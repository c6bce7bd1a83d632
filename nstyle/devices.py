"""Device, precision and memory of a run."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from nstyle.errors import DeviceError, Kind
from nstyle.system_memory import available_memory, memory_limits

_OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUDA error: out of memory", "_ALLOC_FAILED")
"""Parts of PyTorch's out-of-memory messages: on a CPU, on a GPU that is full at the start, and from cuBLAS, cuDNN
and cuFFT. These errors have no class of their own.
"""

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of glibc's mallopt(3). M_TRIM_THRESHOLD: free() returns memory to the system if more than this many
bytes are free at the end of the heap. M_MMAP_MAX: the number of large blocks that malloc may map one by one; each is
returned to the system when it is freed."""

_LEAST_TILE = 32_000_000  # bytes; less is no reason to return freed memory
_CPU = torch.device("cpu")
_NEVER = -1  # as a trim threshold: free() returns nothing
_ADAPTED_TRIM, _DEFAULT_MMAPS = 2**26, 2**16
"""Values to restore. Trim threshold: 64 MiB, the most that glibc raises it to after large blocks were freed.
Number of mapped blocks: glibc's default."""


def choose_device(name: str | None, gpu: int | None) -> torch.device:
    """Return the device chosen by name or number; by default GPU 0 if there is one, else the CPU.

    Args:
        name: "cpu", "mps", "cuda" or "cuda:1"; None if not given.
        gpu: number of a CUDA device, -1 for the CPU; None if not given. `name` takes precedence.

    Raises:
        DeviceError: the device does not exist.

    """
    flag = "--gpu" if name is None else "--device"
    if name is None:
        gpu = gpu if gpu is not None else 0 if torch.cuda.is_available() else -1
        name = "cpu" if gpu == -1 else f"cuda:{gpu}"
    kind, _, number = name.partition(":")
    index = int(number or 0)
    if kind == "cuda" and index >= torch.cuda.device_count():
        found = f"PyTorch finds {torch.cuda.device_count()} CUDA device(s)"
        raise DeviceError(
            f"there is no cuda:{index} ({found}); choose --gpu -1 or --device cpu for the CPU",
            flag=flag,
            kind=Kind.MISSING,
        )
    device = torch.device(kind, index) if kind == "cuda" else torch.device(kind)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("there is no mps device; choose --device cpu", flag=flag, kind=Kind.MISSING)
    return device


def describe_device(device: torch.device) -> str:
    """Return the name of the hardware, as far as PyTorch knows it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')}, {torch.get_num_threads()} threads"
    return str(device)


def has_native_bfloat16(device: torch.device) -> bool:
    """Tell whether the hardware computes in bfloat16, instead of emulating it slowly."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def has_tf32(device: torch.device) -> bool:
    """Tell whether the hardware computes in TF32: in float32, but with 10 bits of each factor of a product."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


@dataclass(frozen=True)
class Precision:
    """Precision of the network's arithmetic; as text "float32", "tf32" or "bfloat16".

    Attributes:
        dtype: dtype of the weights and the feature maps.
        tf32: whether convolutions of float32 are in TF32.

    """

    dtype: torch.dtype
    tf32: bool = False

    def __str__(self) -> str:
        return "tf32" if self.tf32 else str(self.dtype).removeprefix("torch.")


def choose_precision(name: str, device: torch.device) -> Precision:
    """Return the precision named. "auto" is bfloat16 if the hardware has it; without TF32, "tf32" is float32."""
    if name == "bfloat16" or (name == "auto" and has_native_bfloat16(device)):
        return Precision(torch.bfloat16)
    return Precision(torch.float32, tf32=name == "tf32" and has_tf32(device))


_lock = threading.Lock()
_reproducible_runs = 0
_blocks_that_reuse = 0  # freed memory
_runs_in_tf32 = False
_switches_before = ExitStack()
_memory_shares: dict[torch.device, list[float]] = {}
"""For each GPU with a limit: the share of its memory, 0..1, that PyTorch could take before, and that of each run."""


def _set_float32(convolution: str, recurrence: str, matmul: str) -> None:
    """Set how cuDNN and cuBLAS compute float32: "ieee" (full precision), "tf32" or "none" (PyTorch's default).

    PyTorch has older and newer switches for this. It raises an error if they contradict each other, so this sets
    both.
    """
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn.allow_tf32, cublas.allow_tf32 = convolution == "tf32", matmul == "tf32"
    cudnn.conv.fp32_precision = convolution  # type: ignore[attr-defined]  # the stubs leave it out
    cudnn.rnn.fp32_precision = recurrence  # type: ignore[attr-defined]
    cublas.fp32_precision = matmul


def _float32() -> tuple[str, str, str]:
    """Return the float32 precision of cuDNN's convolutions, of its recurrences and of cuBLAS; see `_set_float32`."""
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, cublas.fp32_precision  # type: ignore[attr-defined]


@contextmanager
def reproducible(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
    """Make a GPU compute in full float32 and in the same order each time; a CPU always does.

    PyTorch's switches apply to the whole process. If runs overlap, the first sets the switches and the last restores
    them.

    Args:
        device: the device of the run.
        tf32: whether convolutions are in TF32; see `has_tf32`. All other arithmetic is in full float32.

    Raises:
        DeviceError: a run with another `tf32` is going on in this process.

    """
    global _reproducible_runs, _runs_in_tf32
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with _lock:
        if _reproducible_runs > 0 and tf32 != _runs_in_tf32:
            raise DeviceError(
                "paintings with and without --precision tf32 cannot run in one process at once; paint one by one",
                flag="--precision",
                kind=Kind.UNSUPPORTED,
            )
        if _reproducible_runs == 0:
            _runs_in_tf32 = tf32
            _switches_before.callback(_set_float32, *_float32())
            _set_float32("tf32" if tf32 else "ieee", "ieee", "ieee")
            for switch, value in (("enabled", True), ("benchmark", False), ("deterministic", True)):
                _switches_before.callback(setattr, cudnn, switch, getattr(cudnn, switch))
                setattr(cudnn, switch, value)
        _reproducible_runs += 1
    try:
        yield
    finally:
        with _lock:
            _reproducible_runs -= 1
            if _reproducible_runs == 0:
                _switches_before.close()


@contextmanager
def out_of_memory_as_error(device: torch.device, flag: str, what: str) -> Iterator[None]:
    """Turn out-of-memory errors into a `DeviceError` while the block runs.

    Args:
        device: the device that it names.
        flag: the flag that helps.
        what: the rest of its message after "ran out of memory": where, and what to do.

    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise DeviceError(f"{device} ran out of memory{what}", flag=flag, kind=Kind.OUT_OF_RANGE) from error


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell whether Python or PyTorch found no memory; some of PyTorch's errors can be told only by their messages."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def memory_of(device: torch.device) -> int | None:
    """Return the bytes of memory that a process can expect on the device; None if unknown.

    On a GPU, that is free memory plus what PyTorch keeps cached for new tensors. On a CPU, it is physical memory or
    the limit of a control group, such as a container's, whichever is less.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "cpu" and hasattr(os, "sysconf"):
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min([physical, *(limit for limit, _ in memory_limits())])
    return None


def free_memory(device: torch.device) -> int | None:
    """Return the bytes of memory that are free on the device now, for this process; None if unknown.

    On a CPU, that is what the system calls available, or what is left in a control group, such as a container's,
    whichever is less.
    """
    there = memory_of(device)
    if device.type != "cpu" or there is None:
        return there
    return min([there, *available_memory(), *(limit - used for limit, used in memory_limits())])


def memory_in_use(device: torch.device) -> int:
    """Return the bytes of memory that this process uses on the device; 0 if unknown.

    On a GPU, what PyTorch keeps cached for new tensors does not count.
    """
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    with suppress(OSError, ValueError):  # not Linux
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


@contextmanager
def limited_memory(device: torch.device, limit: int | None) -> Iterator[None]:
    """Hold PyTorch to a limit in bytes on a GPU: rather than exceed it, PyTorch gives up what it keeps cached.

    This applies to the whole process, so the caller's own tensors count, too. If runs overlap, the lowest limit
    applies; the last run restores the one before. A CPU has no such switch.
    """
    if device.type != "cuda" or limit is None:
        yield
        return
    share = limit / torch.cuda.get_device_properties(device).total_memory
    with _lock:
        if device not in _memory_shares:
            _memory_shares[device] = [torch.cuda.get_per_process_memory_fraction(device)]
        _memory_shares[device].append(share)
        torch.cuda.set_per_process_memory_fraction(min(_memory_shares[device]), device)
    try:
        yield
    finally:
        with _lock:
            _memory_shares[device].remove(share)
            torch.cuda.set_per_process_memory_fraction(min(_memory_shares[device]), device)
            if len(_memory_shares[device]) == 1:
                del _memory_shares[device]


def return_freed_memory() -> None:
    """Return to the system what the C library keeps of freed memory, also between blocks that are in use.

    After many small tensors, large ones cannot use it: each of them gets pages of its own. Only glibc can do this.
    While `reusing_freed_memory` keeps it, nothing is returned.
    """
    if _blocks_that_reuse == 0:
        _trim()


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class _Excess:
    """Return freed memory to the system between tiles, if the process grew by more than twice its first tile."""

    def __init__(self) -> None:
        self._start = memory_in_use(_CPU)
        self._tile: int | None = None  # bytes of the first tile

    def __call__(self) -> None:
        grown = memory_in_use(_CPU) - self._start
        if self._tile is None:
            self._tile = max(grown, _LEAST_TILE)
        elif grown > 2 * self._tile:
            _trim()
            self._start = memory_in_use(_CPU)


@contextmanager
def reusing_freed_memory() -> Iterator[Callable[[], None]]:
    """Make the C library keep freed memory for the next feature maps, and return all of it at the end.

    New pages from the system take a fifth of the time of an epoch. But what is kept does not always fit what is asked
    for: at 800 pixels, tiles of one stage after the other took three times the memory that they need. So networks in
    tiles reuse memory within a stage only. It is done only with glibc. Maps that other threads than the main one
    allocate still come from the system, because glibc's heaps for those threads are too small for them.

    Yields:
        A function to call between tiles. What each tile leaves behind, however small, takes a piece of what could
        hold the next one: after some hundreds of tiles, the heap had 6 GB for tiles of 0.5 GB. So it returns freed
        memory when that is more than twice what a tile needs.

    """
    global _blocks_that_reuse
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        yield lambda: None
        return
    _blocks_that_reuse += 1
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
    try:
        yield _Excess() if _blocks_that_reuse == 1 else lambda: None
    finally:
        _blocks_that_reuse -= 1
        if _blocks_that_reuse == 0:
            mallopt(_M_MMAP_MAX, _DEFAULT_MMAPS)
            mallopt(_M_TRIM_THRESHOLD, _ADAPTED_TRIM)
            return_freed_memory()


def keeping_freed_memory(device: torch.device, needed: int) -> AbstractContextManager[object]:
    """Reuse freed memory for a whole run (`reusing_freed_memory`), if the device has three times what it needs.

    Every epoch frees and allocates the same large maps. A run that keeps them can use 1.6 times the memory. It is
    done only on a CPU: PyTorch caches GPU memory anyway.

    Args:
        device: the device of the descent.
        needed: bytes of the descent's feature maps, roughly.

    """
    there = memory_of(device)
    is_plenty = device.type == "cpu" and there is not None and there >= 3 * needed
    return reusing_freed_memory() if is_plenty else nullcontext()
