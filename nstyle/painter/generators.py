"""The networks that paint in one pass, by name. They take and give images in model space, of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.errors import Kind, OptionError
from nstyle.painter.graph import CHAIN, IMAGE, Generator, Graph
from nstyle.painter.layers import BatchNorm, Blend, Conv, Enlarge, InstanceNorm, Scaled, ScaledTanh, Sum, Transposed
from nstyle.settings.training import DEFAULTS, MOST_WIDTH

INPUT_SCALE = 128.0
"""Divisor of the image: a range of about -1..1 suits the usual initial weights."""

OUTPUT_SCALE = 150.0
"""Factor on the last tanh, from Johnson's program. Black and white in model space are about -124 and 151."""

LAST_GAIN = 0.1
"""Factor on the initial weights of the last convolution, so that the first paintings are nearly grey. Without it, the
tanh saturates at once, and parts of the paintings stay black: after 150 steps of Adam on squares of 64 pixels, the
loss of a photo was 3.6e12 instead of 1.6e12."""

LEAK = 0.25
"""Slope of MXNet's leaky ReLU below 0."""

MOST_BLOCKS = 16
"""Largest number of blocks: three times that of the published networks."""


@dataclass(frozen=True)
class GeneratorKind:
    """A kind of generator.

    Attributes:
        make: makes its graphs from its width and its number of blocks.
        blocks: default number of its blocks.

    """

    make: Callable[[int, int], list[Graph]]
    blocks: int


def make_generator(name: str, *, width: int | None = None, blocks: int | None = None) -> Generator:
    """Make a generator with initial weights, which PyTorch's random numbers decide.

    Args:
        name: one of `GENERATORS`.
        width: number of channels of its first map; None: that of a training by default.
        blocks: number of residual blocks; of "boosted", number of stages; None: the default.

    Raises:
        OptionError: the name is unknown, or a number is out of range.

    """
    if name not in GENERATORS:
        raise OptionError(
            f"--generator must be one of {', '.join(GENERATORS)}; not {name!r}", flag="--generator", kind=Kind.UNKNOWN
        )
    kind = GENERATORS[name]
    width = DEFAULTS["width"][name] if width is None else width
    blocks = kind.blocks if blocks is None else blocks
    for what, value, most in (("width", width, MOST_WIDTH), ("blocks", blocks, MOST_BLOCKS)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise OptionError(
                f"the generator's {what} must be a whole number from 1 to {most}, not {value!r}",
                flag="--generator",
                kind=Kind.OUT_OF_RANGE,
            )
    return Generator(kind.make(width, blocks), {"generator": name, "width": width, "blocks": blocks})


def _residual(width: int, blocks: int, *, kernel: int, deepest: int) -> list[Graph]:
    """Make the network of Johnson, Alahi and Fei-Fei (ECCV 2016): halve twice, residual blocks, double twice.

    Instead of batch norm it has instance norm (Ulyanov et al., 2016), and instead of transposed convolutions it
    enlarges to the nearest neighbor before a convolution, which makes no checkerboard (Odena et al., 2016).

    Args:
        width: channels of the first map; those of half the size have twice as many.
        blocks: number of residual blocks.
        kernel: edge of the first and the last convolution.
        deepest: channels of the maps of a quarter of the size, as a multiple of the width.

    """
    graph, deep = Graph(), deepest * width

    def normalized(
        name: str, x: str, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, relu: bool = True
    ) -> str:
        x = graph.add(f"{name}_conv", Conv(inputs, outputs, kernel, stride=stride, bias=False), x)
        return graph.add(f"{name}_norm", InstanceNorm(outputs, relu=relu), x)

    x = graph.add("scaled", Scaled(INPUT_SCALE), IMAGE)
    x = normalized("first", x, 3, width, kernel)
    x = normalized("down1", x, width, 2 * width, stride=2)
    x = normalized("down2", x, 2 * width, deep, stride=2)
    for i in range(1, blocks + 1):
        inner = normalized(f"block{i}_1", x, deep, deep)
        inner = normalized(f"block{i}_2", inner, deep, deep, relu=False)
        x = graph.add(f"block{i}", Sum(), x, inner)
    x = normalized("up1", graph.add("enlarged1", Enlarge(), x), deep, 2 * width)
    x = normalized("up2", graph.add("enlarged2", Enlarge(), x), 2 * width, width)
    last = Conv(width, 3, kernel, split=True)
    last.weight.data *= LAST_GAIN
    x = graph.add("last", last, x)
    graph.add("painted", ScaledTanh(OUTPUT_SCALE), x)
    return [graph]


def _boosted(width: int, stages: int) -> list[Graph]:
    """Make MXNet's chain of generators (example/neural-style/end_to_end).

    Its first and last stage are flat, those between are U-shaped.
    """
    return [_flat(width) if i in (0, stages - 1) else _u_shaped(width) for i in range(stages)]


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAK)


def _flat(width: int) -> Graph:
    """Make MXNet's gen_v4: seven convolutions at the picture's size."""
    graph, x, inputs = Graph(), IMAGE, 3
    for i, (share, kernel) in enumerate(((48, 5), (32, 5), (64, 3), (32, 5), (48, 5), (32, 5)), start=1):
        outputs = max(1, width * share // 64)
        x = graph.add(f"conv{i}", Conv(inputs, outputs, kernel, padding="constant", bias=i < 6), x)
        x = graph.add(f"norm{i}", BatchNorm(outputs, _leaky), x)
        inputs = outputs
    x = graph.add("conv7", Conv(inputs, 3, 3, padding="constant", bias=False), x)
    x = graph.add("norm7", BatchNorm(3, torch.tanh), x)
    graph.add("painted", Blend(), x, IMAGE)
    return _with_mxnet_weights(graph)


def _u_shaped(width: int) -> Graph:
    """Make MXNet's gen_v3: halve three times, double three times, with sums of maps of the same size."""
    graph = Graph()

    def conv(name: str, x: str, inputs: int, outputs: int, *, halves: bool = False) -> str:
        kernel, stride = (5, 2) if halves else (3, 1)
        x = graph.add(f"{name}_conv", Conv(inputs, outputs, kernel, stride=stride, padding="constant"), x)
        return graph.add(f"{name}_norm", BatchNorm(outputs, _leaky), x)

    def doubled(name: str, x: str, inputs: int, outputs: int) -> str:
        x = graph.add(f"{name}_conv", Transposed(inputs, outputs, 7, 3), x)  # padding 2, then cropped by 1
        return graph.add(f"{name}_norm", BatchNorm(outputs, _leaky), x)

    narrow = max(1, width * 3 // 4)  # 48 of 64
    down1 = conv("down1", IMAGE, 3, width, halves=True)
    down2 = conv("down2", conv("down1_1", down1, width, narrow), narrow, 2 * width, halves=True)
    down3 = conv("down3", conv("down2_1", down2, 2 * width, 2 * narrow), 2 * narrow, 4 * width, halves=True)
    x = doubled("up1", conv("down3_1", down3, 4 * width, 4 * narrow), 4 * narrow, 2 * width)
    x = graph.add("sum1", Sum(), x, down2)
    middle = max(1, width * 5 // 2)  # 160 of 64
    x = doubled("up2", conv("up1_1", x, 2 * width, middle), middle, width)
    x = graph.add("sum2", Sum(), x, down1)
    middle = max(1, width * 3 // 2)  # 96 of 64
    x = graph.add("up3_conv", Transposed(middle, 3, 8, 3), conv("up2_1", x, width, middle))
    x = graph.add("up3_norm", BatchNorm(3, torch.tanh), x)
    graph.add("painted", Blend(), x, IMAGE)
    return _with_mxnet_weights(graph)


def _with_mxnet_weights(graph: Graph) -> Graph:
    """Draw the initial weights as MXNet's Xavier(magnitude=2) does: uniformly within sqrt(4 / (inputs + outputs))."""
    for layer in graph.layers.values():
        if isinstance(layer, Conv | Transposed):
            nn.init.xavier_uniform_(layer.weight, gain=(2 / 3) ** 0.5)
    return graph


GENERATORS: dict[str, GeneratorKind] = {
    "johnson": GeneratorKind(partial(_residual, kernel=9, deepest=4), 5),
    "small": GeneratorKind(partial(_residual, kernel=5, deepest=2), 2),
    CHAIN: GeneratorKind(_boosted, 4),
}
"""The generators by name. `settings.training.GENERATORS` says what each is."""
