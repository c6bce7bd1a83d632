"""What a network sees beyond the edges of a picture."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from nstyle.networks.features import Features

MARGIN = 16
"""Pixels on each side: one position of relu5_1, the deepest layer of the losses. No picture has a shorter edge.

Positions of VGG-19's layers up to relu3_1 see no further; those of deeper layers do, and see some of the frame."""


def mirrored(image: Tensor, margin: int) -> Tensor:
    """Continue an image (... x H x W) by so many pixels on each side, each a mirror image of what lies inside.

    The gradient is the same to the bit each time on a GPU, which that of `torch.nn.functional.pad` is not.
    """
    image = torch.cat([image[..., :margin].flip(-1), image, image[..., -margin:].flip(-1)], dim=-1)
    return torch.cat([image[..., :margin, :].flip(-2), image, image[..., -margin:, :].flip(-2)], dim=-2)


def wrapped(image: Tensor, margin: int) -> Tensor:
    """Continue an image (... x H x W) by so many pixels on each side as if copies of it lay there."""
    image = torch.cat([image[..., -margin:], image, image[..., :margin]], dim=-1)
    return torch.cat([image[..., -margin:, :], image, image[..., :margin, :]], dim=-2)


PADDINGS: dict[str, Callable[[Tensor, int], Tensor]] = {"mirror": mirrored, "wrap": wrapped}
"""How an image goes on beyond its edges, by name; what is not named here is up to the network ("zero")."""


class Padded:
    """A network that sees a picture go on beyond its edges. Its maps have the positions of the picture alone.

    The network pads its maps with zeros: a dark frame, whose influence reaches far into the deep layers; and it drops
    what is left over when it halves them. With a margin of picture around the picture the frame is further away: of
    layers that see no further than `MARGIN`, no position sees it.

    Args:
        features: the network; its maps are those of the picture, halved up to four times.
        padding: one of `PADDINGS`.

    """

    def __init__(self, features: Features, padding: str) -> None:
        self.features = features
        self.pad = PADDINGS[padding]

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the feature maps of the named layers: 1 x C x h x w each, as large as without padding."""
        height, width = image.shape[-2:]
        maps = self.features(self.pad(image, MARGIN), layers)
        return {layer: self._inside(maps[layer], height, width) for layer in maps}

    def _inside(self, feature_map: Tensor, height: int, width: int) -> Tensor:
        """Cut the margin off a map."""
        stride = _stride(height + 2 * MARGIN, feature_map.shape[-2])
        margin = MARGIN // stride
        return feature_map[..., margin : margin + height // stride, margin : margin + width // stride]


def _stride(edge: int, positions: int) -> int:
    """Return how many pixels lie between two positions of a map: a power of 2."""
    stride = 1
    while edge // (2 * stride) >= positions:
        stride *= 2
    return stride
