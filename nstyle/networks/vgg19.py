"""VGG-19 as a feature extractor (Simonyan and Zisserman, 2014), with average pooling by default (Gatys, 2016)."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.errors import Kind, WeightsError
from nstyle.networks.blocks import run_blocks
from nstyle.networks.gates import Gates
from nstyle.networks.kernels import winograd
from nstyle.networks.layers import BLOCKS, VGG19_LAYERS

_CHANNELS = (64, 128, 256, 512, 512)

LAYERS = VGG19_LAYERS
"""relu1_1 ... relu5_4: the names of the feature maps."""

CONVOLUTIONS = tuple(layer.replace("relu", "conv") for layer in LAYERS)
"""conv1_1 ... conv5_4, from the image upwards."""

_POOLINGS = len(BLOCKS) - 1  # one between two blocks

POOLING: dict[str, tuple[Callable[[Tensor, int], Tensor], ...]] = {
    "avg": (F.avg_pool2d,) * _POOLINGS,
    "max": (F.max_pool2d,) * _POOLINGS,
    "mixed": (F.max_pool2d, F.max_pool2d, F.avg_pool2d, F.avg_pool2d),
}
"""The pooling functions by name, for each pooling of the network, from the image upwards.

"mixed" has the clean strokes of maximum pooling, and places large forms as average pooling does: see docs/looks.md.
"""


def _layer(convolution: str) -> str:
    """Return the name of a convolution's feature map, after the ReLU: relu1_1 for conv1_1."""
    return convolution.replace("conv", "relu")


def _weight_shapes() -> dict[str, tuple[int, ...]]:
    """Return {name: shape} of each weight and bias; conv1_1.weight is 64 x 3 x 3 x 3, and so on."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels_in = 3
    for name in CONVOLUTIONS:
        channels = _CHANNELS[int(name[4]) - 1]
        shapes[f"{name}.weight"] = (channels, channels_in, 3, 3)
        shapes[f"{name}.bias"] = (channels,)
        channels_in = channels
    return shapes


WEIGHT_SHAPES = _weight_shapes()

LAST_NEEDED = "conv5_1"
"""Weights must include the convolutions up to this one; the default layers need none above it."""

READABLE = "--weights of a VGG-19, as MXNet .params or as a PyTorch state dict"
"""The weights that nstyle can read, in words for errors."""

WINOGRAD_KERNELS = 128 * 256
"""Product of input and output channels from which Winograd's algorithm is faster."""


class VGG19(nn.Module):
    """The frozen network without its classifier: 3x3 convolutions, ReLU, 2x2 pooling that rounds sizes down.

    Args:
        weights: {name: tensor} for images in model space: `conv1_1.weight`, `conv1_1.bias` ..., at least up to
            `conv5_1.bias`.
        pooling: "avg" as in Gatys et al. (2016) and the reference, "max" as in the network's training, or "mixed".
        convolution: "direct" or "winograd". With "winograd", float32 convolutions of many channels on a CPU use
            Winograd's algorithm, which is faster and rounds differently. All others are the same for both.

    Attributes:
        layers: names of the feature maps that these weights can compute, among relu1_1 ... relu5_4.

    Raises:
        WeightsError: a weight is missing, has a wrong shape, or is not finite.

    """

    def __init__(self, weights: Mapping[str, Tensor], pooling: str = "avg", convolution: str = "direct") -> None:
        super().__init__()
        check_weights(weights)
        self.pooling = pooling
        self.convolution = convolution
        self._winograd_kernels: dict[str, Tensor] = {}
        self.register_load_state_dict_post_hook(_forget_kernels)  # type: ignore[no-untyped-call]  # PyTorch's own
        self.convolutions = list(
            takewhile(lambda name: {f"{name}.weight", f"{name}.bias"} <= set(weights), CONVOLUTIONS)
        )
        self.layers = tuple(_layer(name) for name in self.convolutions)
        for name in self.convolutions:
            weight = weights[f"{name}.weight"].contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"{name}_weight", weight)
            self.register_buffer(f"{name}_bias", weights[f"{name}.bias"])

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the feature maps of the named layers; compute nothing above the highest of them.

        Args:
            image: 1 x 3 x H x W in model space; for relu5_1, H and W must be at least 16.
            layers: names such as "relu4_2".

        Returns:
            {layer: 1 x C x h x w}, in the precision of the weights.

        Raises:
            ValueError: a layer is unknown, or the weights do not reach it.

        """
        wanted = set(layers)
        if unknown := wanted.difference(self.layers):
            raise ValueError(f"no such layer: {', '.join(sorted(unknown))}; choose from {', '.join(self.layers)}")
        return run_blocks(self.blocks, image, wanted)

    @property
    def blocks(self) -> "tuple[ConvolutionBlock, ...]":
        """The blocks that these weights can compute, from the image upwards."""
        names = [
            [name for name in self.convolutions if name.startswith(f"conv{b}_")] for b in range(1, len(BLOCKS) + 1)
        ]
        poolings = (*POOLING[self.pooling], None)
        return tuple(
            ConvolutionBlock(self, tuple(block), pool) for block, pool in zip(names, poolings, strict=True) if block
        )

    def prepared(self, maps: Tensor) -> Tensor:
        """Convert an image or a map to the precision and memory layout of the weights."""
        dtype = self.get_buffer("conv1_1_weight").dtype
        return maps.to(dtype).contiguous(memory_format=torch.channels_last)

    def convolved(self, name: str, maps: Tensor) -> Tensor:
        """Apply a convolution and its ReLU to the feature map below."""
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        if self._by_winograd(weight, maps):
            return F.relu(winograd.convolve(maps, self._kernels_of(name), bias))
        return F.relu_(F.conv2d(maps, weight, bias, padding=1))

    def convolved_back(self, name: str, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to a convolution's input, from that with respect to its result."""
        weight = self.get_buffer(f"{name}_weight")
        if self._by_winograd(weight, gradient):
            return winograd.convolve_back(gradient, self._kernels_of(name))
        return F.conv_transpose2d(gradient, weight, padding=1)

    def _by_winograd(self, weight: Tensor, maps: Tensor) -> bool:
        """Tell whether to compute a convolution by Winograd's algorithm."""
        many_channels = weight.shape[:2].numel() >= WINOGRAD_KERNELS
        in_float32 = maps.dtype == torch.float32 and maps.device.type == "cpu"
        return self.convolution == "winograd" and many_channels and in_float32

    def winograd_bytes(self, layers: Collection[str]) -> int:
        """Return the bytes that Winograd's algorithm still needs for these layers on a CPU in float32.

        Those of the kernels that are not made yet, 36 values for 9 weights, and of its intermediate results.
        """
        if self.convolution != "winograd":
            return 0
        highest = max((self.layers.index(layer) for layer in layers), default=-1)
        missing = (name for name in self.convolutions[: highest + 1] if name not in self._winograd_kernels)
        weights = (self.get_buffer(f"{name}_weight") for name in missing)
        large = (weight.nbytes for weight in weights if weight.shape[:2].numel() >= WINOGRAD_KERNELS)
        return 4 * sum(large) + winograd.WORKING_BYTES

    def _kernels_of(self, name: str) -> Tensor:
        """Return a convolution's kernels for Winograd's algorithm, computed on first use."""
        if name not in self._winograd_kernels:
            self._winograd_kernels[name] = winograd.transform_kernels(self.get_buffer(f"{name}_weight"))
        return self._winograd_kernels[name]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Convert the weights; `.to()` and similar methods call this."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # PyTorch's own
        _forget_kernels(self)
        return self

    def weights(self) -> dict[str, Tensor]:
        """Return {name: tensor}, `conv1_1.weight` ..., as the constructor takes them."""
        return {
            f"{name}.{kind}": self.get_buffer(f"{name}_{kind}")
            for name in self.convolutions
            for kind in ("weight", "bias")
        }


@dataclass(frozen=True)
class ConvolutionBlock:
    """A block of VGG-19; see `blocks.Block`.

    Attributes:
        network: the network.
        convolutions: names of the block's convolutions.
        pool: the pooling that follows; None after the highest block.

    """

    network: VGG19
    convolutions: tuple[str, ...]
    pool: Callable[[Tensor, int], Tensor] | None

    @property
    def reach(self) -> dict[str, int]:
        """Each convolution sees one position further than the one below."""
        return {_layer(name): number for number, name in enumerate(self.convolutions, 1)}

    @property
    def reach_of_pooled(self) -> int:
        """That of the highest layer."""
        return len(self.convolutions)

    @property
    def pooled_channels(self) -> int:
        """Those of each map of the block."""
        return len(self.network.get_buffer(f"{self.convolutions[0]}_bias"))

    @property
    def widest(self) -> int:
        """All maps of the block have as many channels."""
        return self.pooled_channels

    @property
    def kept(self) -> float:
        """The maps, the pooled map, and where each of its maxima is (64 bits each)."""
        pooled = 0 if self.pool is None else 3 if self.pool is F.max_pool2d else 1
        return self.widest * (len(self.convolutions) + pooled / 4)

    def kept_with_gates(self, layers: Collection[str]) -> float:
        """Return the number of values of the maps up to the highest wanted layer, and of the pooled map."""
        needed = self._needed(layers)
        return self.kept if needed == len(self.convolutions) else self.widest * (needed + 1 / 4)

    def __call__(
        self, x: Tensor, layers: Collection[str], *, pooled: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the maps of those of `layers` that are in this block, and the pooled map."""
        needed = len(self.convolutions) if pooled else self._needed(layers)
        maps, x = self._run(x, layers, self.convolutions[:needed])
        return maps, self.pool(x, 2) if pooled and self.pool is not None else None

    def with_gates(self, x: Tensor, layers: Collection[str], gates: Gates) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the wanted maps and the pooled map; the gates are those above the highest wanted layer."""
        needed = self._needed(layers)
        above = self.convolutions[needed:]
        if self.pool is None or not above:
            return self(x, layers, pooled=True)
        maps, x = self._run(x, layers, self.convolutions[:needed])
        if gates.are_set:
            share = 1.0 if self.pool is F.max_pool2d else 1 / 4
            return maps, gates.replay(x, share, [partial(self.network.convolved_back, name) for name in above])
        for name in above:
            x = self.network.convolved(name, x)
            gates.add(x, self.pool if name == above[-1] and self.pool is F.max_pool2d else None)
        return maps, self.pool(x, 2)

    def _needed(self, layers: Collection[str]) -> int:
        """Return the number of convolutions up to the highest wanted layer."""
        return max((number for layer, number in self.reach.items() if layer in layers), default=0)

    def _run(self, x: Tensor, layers: Collection[str], names: Iterable[str]) -> tuple[dict[str, Tensor], Tensor]:
        """Apply convolutions, from the lowest; return the wanted maps and the last map."""
        x = self.network.prepared(x)
        maps = {}
        for name in names:
            x = self.network.convolved(name, x)
            if (layer := _layer(name)) in layers:
                maps[layer] = x
        return maps, x


def _forget_kernels(network: VGG19, *_: object) -> None:
    """Drop the Winograd kernels, because the weights behind them change."""
    network._winograd_kernels.clear()


def check_weights(weights: Mapping[str, Tensor]) -> None:
    """Check that `weights` belong to a VGG-19.

    Raises:
        WeightsError: see `VGG19`.

    """
    needed = CONVOLUTIONS[: CONVOLUTIONS.index(LAST_NEEDED) + 1]
    for name in (f"{convolution}.{kind}" for convolution in needed for kind in ("weight", "bias")):
        if name not in weights:
            raise WeightsError(f"{name} is missing: this is no VGG-19; give {READABLE}", kind=Kind.MISSING)
    for name, tensor in weights.items():
        check_shape(name, tensor)
        # A sum is finite only if each number is, and is much faster than testing each.
        if not torch.isfinite(tensor.sum(dtype=torch.float64)):
            raise WeightsError(
                f"{name} holds NaN or infinity: the file is damaged; download it again", kind=Kind.DAMAGED
            )


def check_shape(name: str, tensor: Tensor) -> None:
    """Check that a tensor has the shape of the VGG-19 weight with this name.

    Raises:
        WeightsError: it has another shape.

    """
    if tuple(tensor.shape) != WEIGHT_SHAPES[name]:
        shapes = f"{tuple(tensor.shape)}, but VGG-19 has {WEIGHT_SHAPES[name]}"
        raise WeightsError(f"{name} has the shape {shapes}: give --weights of a VGG-19", kind=Kind.UNSUPPORTED)


def mean_activations(network: VGG19, images: Iterable[Tensor]) -> dict[str, float]:
    """Return {layer: mean activation} over channels, positions and images (1 x 3 x H x W each)."""
    layers = network.layers
    means = []
    for image in images:
        with torch.no_grad():
            maps = network(image, layers)
        means.append({layer: float(maps.pop(layer).float().mean()) for layer in layers})
    return {layer: sum(of_image[layer] for of_image in means) / len(means) for layer in layers}


def match_activations(network: VGG19, reference: VGG19, images: Iterable[Tensor]) -> VGG19:
    """Rescale a network so that each layer's mean activation on `images` equals that of `reference`.

    A ReLU network is positively homogeneous: if a layer's weights and bias are multiplied by a positive factor and
    the next layer's weights are divided by it, only the scale of that one feature map changes. So the new network
    computes the same maps in the units that the default loss weights, step sizes and clipping are made for.

    Raises:
        WeightsError: a layer's mean activation is 0 or not finite.

    """
    images = list(images)
    found, wanted = mean_activations(network, images), mean_activations(reference, images)
    weights: dict[str, Tensor] = {}
    below = 1.0
    for name in network.convolutions:
        layer = _layer(name)
        if not 0 < found[layer] < float("inf"):
            raise WeightsError(
                f"{layer} does not respond to these pictures: give --weights of a trained VGG-19",
                flag="--weights",
                kind=Kind.UNSUPPORTED,
            )
        scale = wanted[layer] / found[layer]
        weights[f"{name}.weight"] = network.weights()[f"{name}.weight"] * (scale / below)
        weights[f"{name}.bias"] = network.weights()[f"{name}.bias"] * scale
        below = scale
    return VGG19(weights, network.pooling, network.convolution)
