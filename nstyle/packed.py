"""3x3 convolutions on a CPU with kernels that are laid out once: PyTorch does it anew at every convolution.

oneDNN, which computes PyTorch's convolutions on x86, wants the kernels in blocks of channels. At 128 pixels it
takes an eighth to a fifth of an epoch to lay them out. With the kernels turned by half a turn, the convolution's
adjoint is a convolution, too. The results are those of `conv2d`, to the bit where oneDNN chooses the same algorithm.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FEWEST_VALUES = 20480
"""Maps of so few values PyTorch convolves without oneDNN, and rounds otherwise."""

MOST_POSITIONS = 2048
"""Of larger maps, for which laying the kernels out takes a percent of the convolution: not worth the memory."""


@dataclass(frozen=True)
class Kernels:
    """Kernels of a convolution and of its adjoint, in oneDNN's layout."""

    forwards: Tensor
    backwards: Tensor


def worth_packing(maps: Tensor) -> bool:
    """Tell whether PyTorch convolves the maps by oneDNN, and they are small enough that laid-out kernels pay."""
    x86 = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    operations = torch.ops.mkldnn
    if maps.device.type != "cpu" or not (x86 and hasattr(operations, "_convolution_pointwise")):
        return False
    in_bfloat16 = maps.dtype == torch.bfloat16 and operations._is_mkldnn_bf16_supported()
    small = maps.numel() > FEWEST_VALUES and maps.shape[2:].numel() <= MOST_POSITIONS
    return small and (maps.dtype == torch.float32 or in_bfloat16)


def pack(weight: Tensor) -> Kernels:
    """Lay out kernels (C_out x C_in x 3 x 3)."""
    return Kernels(_laid_out(weight), _laid_out(weight.flip(2, 3).transpose(0, 1)))


def convolve(maps: Tensor, kernels: Kernels, bias: Tensor) -> Tensor:
    """Return what `conv2d` of the maps with padding 1 is; differentiable by the maps.

    Args:
        maps: 1 x C_in x H x W, which are `worth_packing`, or any that oneDNN can convolve.
        kernels: from `pack`.
        bias: C_out.

    Returns:
        1 x C_out x H x W, in channels_last.

    """
    convolved: Tensor = _Convolution.apply(maps, kernels, bias)  # type: ignore[no-untyped-call]  # so are PyTorch's stubs
    return convolved


class _Convolution(torch.autograd.Function):
    """The convolution and its adjoint, which is a convolution with other kernels."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Kernels, bias: Tensor) -> Tensor:
        ctx.kernels = kernels.backwards
        return _convolved(maps, kernels.forwards, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _convolved(gradient, ctx.kernels, None), None, None


def _laid_out(weight: Tensor) -> Tensor:
    dense = weight.contiguous().to_mkldnn()
    packed: Tensor = torch._C._nn.mkldnn_reorder_conv2d_weight(dense, [1, 1], [1, 1], [1, 1], 1)
    return packed


def _convolved(maps: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve by the operation that `torch.compile` calls: the public ones take no kernels of that layout."""
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(
        maps, kernels, bias, [1, 1], [1, 1], [1, 1], 1, "none", [], ""
    )
    return result
