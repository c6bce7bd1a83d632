"""Which device and precision are meant; no GPU is needed to test that."""

import contextlib

import pytest
import torch

from nstyle.devices import (
    choose_device,
    choose_precision,
    describe_device,
    has_native_bfloat16,
    memory_of,
    reproducible,
)
from nstyle.errors import DeviceError

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, as far as PyTorch tells."""
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
    with pytest.raises(DeviceError, match=r"there is no cuda:2 \(PyTorch finds 2 CUDA"):
        choose_device(name, gpu)


def test_choice_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device(None, None) == CPU
    with pytest.raises(DeviceError, match="finds 0 CUDA"):
        choose_device(None, 0)


def test_mps(monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert choose_precision("auto", CPU) == expected
    assert choose_precision("float32", CPU) == torch.float32
    assert choose_precision("bfloat16", CPU) == torch.bfloat16


def test_gpus_are_asked_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 * 10**9, 8 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Titan X")
    assert has_native_bfloat16(GPU)
    assert memory_of(GPU) == 5 * 10**9
    assert describe_device(GPU) == "Titan X"


def test_full_float32_on_a_gpu_and_everything_as_before_afterwards() -> None:
    flags = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn, matmul = flags
    before = (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32)
    matmul.allow_tf32 = True
    try:
        with reproducible(GPU):
            assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark) == (False, True, False)
            assert not matmul.allow_tf32
        assert matmul.allow_tf32
    finally:
        matmul.allow_tf32 = before[3]
    assert (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32) == before


def test_the_cpus_memory_is_plausible() -> None:
    memory = memory_of(CPU)
    assert memory is None or 2**28 < memory < 2**50
