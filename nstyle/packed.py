"""3x3 convolutions on a CPU with kernels that are laid out once: PyTorch does it anew at every convolution.

oneDNN, which computes PyTorch's convolutions on x86, wants the kernels in blocks of channels. For small maps it takes
a good part of the convolution's time to lay them out. With the kernels turned by half a turn, the convolution's
adjoint is a convolution, too. The results are those of `conv2d`, to the bit where oneDNN chooses the same algorithm.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

FEWEST_VALUES = 20480
"""Maps of so few values PyTorch convolves without oneDNN in float32, and rounds otherwise."""

MOST_POSITIONS = 2048
"""Where maps have more, laying out is a few percent of the convolution, and not worth the memory."""


class Kernels:
    """A convolution's kernels (C_out x C_in x 3 x 3) in oneDNN's layout, and its adjoint's when they are needed."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self.forwards = _laid_out(weight)

    @cached_property
    def backwards(self) -> Tensor:
        """The adjoint's."""
        return _laid_out(self._weight.flip(2, 3).transpose(0, 1))


def worth_packing(maps: Tensor) -> bool:
    """Tell whether PyTorch convolves the maps by oneDNN, and they are small enough that laid-out kernels pay.

    They do with AVX-512 alone: with AVX2 oneDNN's layout is not the one for maps in channels_last, and twice as slow.
    """
    avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    has_onednn = torch.backends.mkldnn.enabled and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    if maps.device.type != "cpu" or not avx512 or not has_onednn:
        return False
    if maps.dtype == torch.float32:
        by_onednn = maps.numel() > FEWEST_VALUES
    else:
        by_onednn = maps.dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return by_onednn and maps.shape[2:].numel() <= MOST_POSITIONS


def convolve(maps: Tensor, kernels: Kernels, bias: Tensor) -> Tensor:
    """Return what `conv2d` of the maps with padding 1 is; differentiable by the maps.

    Args:
        maps: 1 x C_in x H x W, which are `worth_packing`, or any that oneDNN can convolve.
        kernels: of the maps' precision.
        bias: C_out.

    Returns:
        1 x C_out x H x W, in channels_last.

    """
    convolved: Tensor = _Convolution.apply(maps, kernels, bias, False)  # type: ignore[no-untyped-call]  # so are PyTorch's stubs
    return convolved


class _Convolution(torch.autograd.Function):
    """The convolution, or its adjoint; each is the other's."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Kernels, bias: Tensor | None, adjoint: bool) -> Tensor:
        ctx.kernels, ctx.adjoint = kernels, adjoint
        laid_out = kernels.backwards if adjoint else kernels.forwards
        return _convolved(maps, laid_out, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Convolution.apply(gradient, ctx.kernels, None, not ctx.adjoint), None, None, None  # type: ignore[no-untyped-call]


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
