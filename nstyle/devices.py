"""Which device and which precision a run uses."""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from nstyle.errors import DeviceError, Kind

_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of glibc's mallopt(3): free memory at the end of the heap beyond the first is given back; as many large blocks as
the second are had from the system each for itself, and given back when they are freed."""

_NEVER = -1
_ADAPTED_TRIM, _DEFAULT_MMAPS = 2**26, 2**16
"""What glibc itself has raised the one to, at most, by the time that large blocks have been freed; and the other."""


def choose_device(name: str | None, gpu: int | None) -> torch.device:
    """Return the device that the settings mean: by name, by number, or GPU 0 where there is one, else the CPU.

    Args:
        name: "cpu", "mps", "cuda" or "cuda:1"; None: not said.
        gpu: number of a CUDA device, -1 for the CPU; None: not said.

    Raises:
        DeviceError: there is no such device.

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
    """Return the name of the hardware, as far as PyTorch tells it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')}, {torch.get_num_threads()} threads"
    return str(device)


def has_native_bfloat16(device: torch.device) -> bool:
    """Tell whether the device computes in bfloat16 by itself, instead of emulating it slowly."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the precision of the network: as named, or for "auto" bfloat16 where the device has it, else float32."""
    if name == "bfloat16" or (name == "auto" and has_native_bfloat16(device)):
        return torch.bfloat16
    return torch.float32


_lock = threading.Lock()
_reproducible_runs = 0
_switches_before = ExitStack()


def _set_float32(convolution: str, recurrence: str, matmul: str) -> None:
    """Set what cuDNN and cuBLAS compute float32 in: "ieee" (all its digits), "tf32", or "none" (PyTorch's default).

    PyTorch has older and newer switches for this, and raises an error if they contradict each other: both are set.
    """
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn.allow_tf32, cublas.allow_tf32 = convolution == "tf32", matmul == "tf32"
    cudnn.conv.fp32_precision = convolution  # type: ignore[attr-defined]  # the stubs leave it out
    cudnn.rnn.fp32_precision = recurrence  # type: ignore[attr-defined]
    cublas.fp32_precision = matmul


def _float32() -> tuple[str, str, str]:
    """Return what cuDNN's convolutions and recurrences, and cuBLAS, compute float32 in."""
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, cublas.fp32_precision  # type: ignore[attr-defined]


@contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Have a GPU compute in full float32 and in the same order each time; a CPU does so by itself.

    PyTorch's switches are the process's. Runs that overlap share them: the first one sets them, the last one puts
    them back.
    """
    global _reproducible_runs
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with _lock:
        if _reproducible_runs == 0:
            _switches_before.callback(_set_float32, *_float32())
            _set_float32("ieee", "ieee", "ieee")
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


def memory_of(device: torch.device) -> int | None:
    """Return the bytes of memory that a process may hope for on the device; None where nobody tells.

    Of a GPU, what PyTorch keeps of earlier tensors for later ones is among them.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "cpu" and hasattr(os, "sysconf"):
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        try:
            return min(physical, int(_CONTAINER_LIMIT.read_text()))
        except (OSError, ValueError):  # not in a container, or in one without a limit ("max")
            return physical
    return None


@contextmanager
def keeping_freed_memory(device: torch.device, needed: int) -> Iterator[None]:
    """Have the C library keep what is freed meanwhile, for the next maps: new memory from the system takes time.

    An epoch frees and allocates the same large maps as the last; at 1024 pixels a fifth of it was for new pages. It
    may take 1.4 times the memory, so that is done only where there is three times as much; with glibc alone, and on
    the CPU, as PyTorch keeps a GPU's memory anyway. In the end all that is free is given back. Maps that another than
    the main thread allocates are had from the system as before: glibc's heaps of those are too small for them.

    Args:
        device: where the descent is.
        needed: bytes that the descent's maps take, about.

    """
    there = memory_of(device)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if device.type != "cpu" or mallopt is None or there is None or there < 3 * needed:
        yield
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        mallopt(_M_MMAP_MAX, _DEFAULT_MMAPS)
        mallopt(_M_TRIM_THRESHOLD, _ADAPTED_TRIM)
        ctypes.CDLL(None).malloc_trim(0)
