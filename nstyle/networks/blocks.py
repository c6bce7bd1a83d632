"""Networks that tell their blocks, the layers between two poolings. They can run over parts of a picture."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from nstyle.networks.features import Features
from nstyle.networks.gates import Gates
from nstyle.networks.padding import Padded


class Block(Protocol):
    """The layers of a network that lie between two poolings. All its maps have the size of its input.

    Each position sees zeros, or nothing, beyond the edges of the input. After the block comes 2 x 2 pooling that
    rounds sizes down.
    """

    @property
    def reach(self) -> Mapping[str, int]:
        """{layer: reach}: a position of the layer sees the input up to that many positions away on each side."""

    @property
    def reach_of_pooled(self) -> int:
        """Likewise, for the map that is pooled."""

    @property
    def kept(self) -> float:
        """Number of values that its maps have at one position of the input: what autograd keeps for the gradient."""

    @property
    def widest(self) -> int:
        """Number of values that its widest map has at one position of the input."""

    @property
    def pooled_channels(self) -> int:
        """Number of channels of the pooled map."""

    def __call__(
        self, x: Tensor, layers: Collection[str], *, pooled: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return {layer: map} for those of `layers` that are in the block, and the pooled map, if `pooled`.

        Args:
            x: the pooled map of the block below, 1 x C x h x w; for the lowest block, an image in model space.
            layers: names of layers; those of other blocks are ignored.
            pooled: whether to compute the pooled map. Without it, nothing above the highest wanted layer is computed.

        """


@runtime_checkable
class GatedBlock(Block, Protocol):
    """A `Block` whose gradient needs no maps above the highest wanted layer, only their gates. So it is faster."""

    def kept_with_gates(self, layers: Collection[str]) -> float:
        """Return the number of values that autograd keeps at one position of the input, if the gates are set.

        It does not count the gates.
        """

    def with_gates(self, x: Tensor, layers: Collection[str], gates: Gates) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the wanted maps and the pooled map, as the block itself does with `pooled=True`.

        Args:
            x: as for the block.
            layers: as for the block.
            gates: set by the first call. A later call for the same `x` uses them, and computes nothing above the
                highest wanted layer: its pooled map has undefined values, but the right gradient.

        """


class Blockwise(Features, Protocol):
    """A network that tells its blocks."""

    @property
    def blocks(self) -> Sequence[Block]:
        """Its blocks, from the image upwards."""


def run_blocks(blocks: Sequence[Block], image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """Return {layer: feature map} of an image (1 x 3 x H x W); compute nothing above the highest layer."""
    wanted = set(layers)
    maps: dict[str, Tensor] = {}
    x: Tensor | None = image
    for block in blocks:
        missing = wanted - maps.keys()
        if not missing or x is None:
            break
        found, x = block(x, missing, pooled=not missing <= block.reach.keys())
        maps |= found
    return maps


@dataclass(frozen=True)
class Surrounded:
    """The blocks of a network, and how it sees a picture continue beyond its edges.

    Attributes:
        blocks: from the image upwards.
        padded: the network with its padding; None: it pads with zeros itself.

    """

    blocks: tuple[Block, ...]
    padded: Padded | None = None

    @property
    def margin(self) -> int:
        """Number of pixels added on each side of a picture. The lowest block gets the picture with this margin."""
        return 0 if self.padded is None else self.padded.margin

    def surround(self, image: Tensor) -> Tensor:
        """Add the margin to an image."""
        return image if self.padded is None else self.padded.pad(image, self.margin)


def blocks_of(features: Features) -> Surrounded | None:
    """Return the blocks of a network, or None if it does not tell them."""
    padded = features if isinstance(features, Padded) else None
    blocks = getattr(features if padded is None else padded.features, "blocks", None)
    return None if blocks is None else Surrounded(tuple(blocks), padded)
