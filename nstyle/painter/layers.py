"""The layers of generators. Each computes any part of its map from the part of its input that this needs.

A layer takes its input maps (1 x C x h x w) and two spans: the rows and columns of its output to compute. Its input
maps hold just the rows and columns that `needs` names. With spans of the whole map, it is an ordinary layer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.networks.model_space import MEAN_RGB
from nstyle.numerics import at_least_float32


@dataclass(frozen=True)
class Span:
    """Rows or columns of a layer's output.

    Attributes:
        start: the first.
        stop: the one after the last.
        below: the number of all rows or columns of the layer's input.

    """

    start: int
    stop: int
    below: int


class Layer(nn.Module):
    """A layer that needs of its input just the positions of its output.

    Attributes:
        coarser: how often it halves the size of its input; -1 if it doubles it.
        extra: number of values at each position of its output that it computes besides them.

    """

    coarser = 0
    extra = 0

    def needs(self, span: Span) -> tuple[int, int]:
        """Return the first position of the input that the span needs, and the one after the last."""
        return span.start, span.stop

    def channels(self, inputs: int) -> int:
        """Return the number of channels of its output, for that of its first input."""
        return inputs

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        raise NotImplementedError


class Conv(Layer):
    """A convolution that keeps the size, or halves it and rounds up.

    Args:
        inputs: number of channels of the input.
        outputs: number of channels of the output.
        kernel: odd length of the kernel's edges.
        stride: 1 or 2.
        padding: how the input continues beyond its edges: "reflect" or "constant" (zeros).
        bias: whether it adds a bias.
        split: whether a CPU splits it; see `_by_columns`. Its stride is 1.

    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: str = "reflect",
        bias: bool = True,
        split: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.stride, self.padding, self.split = stride, padding, split
        self.coarser = stride - 1
        self.extra = kernel * outputs if split else 0
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def channels(self, inputs: int) -> int:
        """Return the number of channels of its output."""
        return self.weight.shape[0]

    def _seen(self, span: Span) -> tuple[int, int]:
        """Return the positions that the span sees; those beyond the input's edges are padding."""
        kernel = self.weight.shape[-1]
        return span.start * self.stride - kernel // 2, (span.stop - 1) * self.stride - kernel // 2 + kernel

    def needs(self, span: Span) -> tuple[int, int]:
        """Return the positions of the input that the span needs."""
        first, last = self._seen(span)
        return max(0, first), min(span.below, last)

    def _beyond(self, span: Span) -> tuple[int, int]:
        first, last = self._seen(span)
        return max(0, -first), max(0, last - span.below)

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        (x,) = maps
        beyond = (*self._beyond(columns), *self._beyond(rows))
        if any(beyond) and self.padding == "reflect" and x.is_cuda and x.requires_grad:
            x = reflected(x, beyond)
        elif any(beyond):
            x = F.pad(x, beyond, mode=self.padding)
        if self.split and x.device.type == "cpu":
            return _by_columns(x, self.weight, self.bias)
        return F.conv2d(x, self.weight, self.bias, self.stride)


def _by_columns(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return `F.conv2d(x, weight, bias)`, sooner than PyTorch if the kernel is large and has few output channels.

    Such a convolution leaves most of a processor's lanes empty. Here, each column of the kernel is a convolution of
    its own. All of them are done as one, and their maps are added, each shifted by its column. The sum is in float32
    or better.
    """
    outputs, kernel = weight.shape[0], weight.shape[-1]
    width = x.shape[-1] - kernel + 1
    by_column = weight.permute(3, 0, 1, 2).flatten(0, 1)[..., None]
    columns = torch.split(F.conv2d(x, by_column), outputs, dim=1)
    total = at_least_float32(columns[0][..., :width])
    for shift, column in enumerate(columns[1:], start=1):
        total = total + column[..., shift : shift + width]
    return total if bias is None else total + bias.reshape(-1, 1, 1)


def reflected(maps: Tensor, beyond: tuple[int, int, int, int]) -> Tensor:
    """Extend maps as `F.pad(maps, beyond, mode="reflect")` does: at the left, the right, the top and the bottom.

    On a GPU, the gradient is bit-identical in each run; that of `F.pad` is not.
    """
    for dim, before, after in ((-1, *beyond[:2]), (-2, *beyond[2:])):
        length = maps.shape[dim]
        first, last = maps.narrow(dim, 1, before), maps.narrow(dim, length - 1 - after, after)
        maps = torch.cat([first.flip(dim), maps, last.flip(dim)], dim=dim)
    return maps


class Enlarge(Layer):
    """Doubles the size by nearest-neighbor interpolation, and drops what exceeds the picture's size."""

    coarser = -1

    def needs(self, span: Span) -> tuple[int, int]:
        """Return the positions of the input that the span needs."""
        return span.start // 2, (span.stop + 1) // 2

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        x = F.interpolate(maps[0], scale_factor=2.0, mode="nearest")
        top, left = rows.start % 2, columns.start % 2
        return x[..., top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]


class Transposed(Layer):
    """A transposed convolution of stride 2 without bias, cut to twice the size of its input or less.

    Args:
        inputs: number of channels of the input.
        outputs: number of channels of the output.
        kernel: length of the kernel's edges.
        cut: number of rows and columns to drop at the beginning, as MXNet's padding and `Crop` do together.

    """

    coarser = -1

    def __init__(self, inputs: int, outputs: int, kernel: int, cut: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, kernel, kernel))
        self.cut = cut
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def channels(self, inputs: int) -> int:
        """Return the number of channels of its output."""
        return self.weight.shape[1]

    def needs(self, span: Span) -> tuple[int, int]:
        """Return the positions of the input that the span needs."""
        kernel = self.weight.shape[-1]
        first = max(0, -(-(span.start + self.cut - kernel + 1) // 2))
        return first, min(span.below, (span.stop - 1 + self.cut) // 2 + 1)

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        x = F.conv_transpose2d(maps[0], self.weight, stride=2)
        top, left = (span.start + self.cut - 2 * self.needs(span)[0] for span in (rows, columns))
        return x[..., top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]


@dataclass(frozen=True)
class Statistics:
    """Mean and variance of each channel of a map; of one part after the other, as `with_part` adds them.

    They are float64, except on Apple's GPUs, which have none: there they have the map's dtype.

    Attributes:
        mean: one for each channel.
        variance: one for each channel, divided by the number of positions.
        positions: the number of positions of the map.

    """

    mean: Tensor
    variance: Tensor
    positions: int

    def with_part(self, other: "Statistics") -> "Statistics":
        """Return the statistics of two parts together (Chan, Golub and LeVeque, 1979)."""
        positions = self.positions + other.positions
        share = other.positions / positions
        apart = other.mean - self.mean
        variance = self.variance * (1 - share) + other.variance * share + apart.square() * share * (1 - share)
        return Statistics(self.mean + apart * share, variance, positions)


def statistics(part: Tensor) -> Statistics:
    """Return the statistics of a part of a map, 1 x C x h x w."""
    variance, mean = torch.var_mean(part, dim=(0, 2, 3), correction=0)
    wide = part.dtype if part.device.type == "mps" else torch.float64
    return Statistics(mean.to(wide), variance.to(wide), part.shape[-2] * part.shape[-1])


class InstanceNorm(Layer):
    """Instance normalization (Ulyanov, Vedaldi and Lempitsky, 2016), then ReLU or nothing.

    Each channel gets mean 0 and variance 1 over the whole map, then a learned scale and shift.
    """

    EPSILON = 1e-5

    def __init__(self, channels: int, *, relu: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.relu = relu

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return the output for whole maps."""
        x = F.instance_norm(maps[0], weight=self.weight, bias=self.bias, eps=self.EPSILON)
        return x.relu_() if self.relu else x

    def normalized(self, part: Tensor, whole: Statistics) -> Tensor:
        """Return the output for a part of a map whose statistics are known."""
        mean, variance = (value.to(part.dtype).reshape(1, -1, 1, 1) for value in (whole.mean, whole.variance))
        scale = self.weight.reshape(1, -1, 1, 1) * (variance + self.EPSILON).rsqrt()
        shift = self.bias.reshape(1, -1, 1, 1) - mean * scale
        x = torch.addcmul(shift, part, scale)
        return x.relu_() if self.relu else x


class BatchNorm(Layer):
    """Batch normalization, then an activation. In training, it counts averages, with which it normalizes later.

    MXNet's constants: epsilon 0.001, and averages that keep 0.9 of their value at each step.

    Attributes:
        counts: whether it counts averages in training.

    """

    EPSILON, MOMENTUM = 1e-3, 0.1

    def __init__(self, channels: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.activation = activation
        self.counts = True

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        (x,) = maps
        mean, variance = (self.mean, self.variance) if self.counts or not self.training else (None, None)
        x = F.batch_norm(x, mean, variance, self.weight, self.bias, self.training, self.MOMENTUM, self.EPSILON)
        return self.activation(x)


@contextmanager
def keeping_averages(network: nn.Module) -> Iterator[None]:
    """Let the batch normalizations of a network count nothing while the block runs; else they do as in training."""
    layers = [layer for layer in network.modules() if isinstance(layer, BatchNorm)]
    for layer in layers:
        layer.counts = False
    try:
        yield
    finally:
        for layer in layers:
            layer.counts = True


class Scaled(Layer):
    """An image divided by a number."""

    def __init__(self, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        return maps[0] / self.divisor


class ScaledTanh(Layer):
    """The hyperbolic tangent, times a number, in at least float32: bfloat16 has steps of up to a grey level."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        return at_least_float32(maps[0]).tanh() * self.factor


class Sum(Layer):
    """The sum of two maps."""

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output."""
        return maps[0] + maps[1]


class Blend(Layer):
    """MXNet's mixture of a generator's output t (-1..1) and its input: 0.4 (128 t + 128 - mean) + 0.6 input."""

    def forward(self, maps: Sequence[Tensor], rows: Span, columns: Span) -> Tensor:
        """Return this part of the output, from t and the image in model space."""
        painted, image = maps
        mean = image.new_tensor(MEAN_RGB).reshape(1, 3, 1, 1)
        return 0.4 * (128 * painted + 128 - mean) + 0.6 * image
