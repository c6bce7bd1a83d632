"""What a network sees beyond the edges of a picture."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from nstyle.networks.features import Features

MARGINS = {"mirror": 16, "wrap": 32}
"""Pixels on each side, by the name of the padding: one position of relu5_1, the deepest layer of the losses, and two.

Positions of VGG-19's layers up to relu3_1 see no further; those of deeper layers do, and see some of the frame.
No picture has an edge shorter than the mirror's. Of six textures of 96x96 (preset fast), wrapped with 16, 32, the
difference of grey levels across the edges is 1.05, 0.98 times that between other neighbours; of 64x64 with 16, 32, 48
it is 1.18, 1.05, 1.00. An evaluation at 160x160 takes 1.4, 1.6, 2.2 s.
"""


def mirrored(image: Tensor, margin: int) -> Tensor:
    """Continue an image (... x H x W) by so many pixels on each side, each a mirror image of what lies inside.

    The gradient is the same to the bit each time on a GPU, which that of `torch.nn.functional.pad` is not.
    """
    image = torch.cat([image[..., :margin].flip(-1), image, image[..., -margin:].flip(-1)], dim=-1)
    return torch.cat([image[..., :margin, :].flip(-2), image, image[..., -margin:, :].flip(-2)], dim=-2)


def wrapped(image: Tensor, margin: int) -> Tensor:
    """Continue an image (... x H x W) by so many pixels on each side, any number, as if copies of it lay there."""
    for dim in (-1, -2):
        length = image.shape[dim]
        copies, rest = divmod(margin, length)
        before, after = image.narrow(dim, length - rest, rest), image.narrow(dim, 0, rest)
        image = torch.cat([before, *[image] * (2 * copies + 1), after], dim=dim)
    return image


PADDINGS: dict[str, Callable[[Tensor, int], Tensor]] = {"mirror": mirrored, "wrap": wrapped}
"""How an image goes on beyond its edges, by name; what is not named here is up to the network ("zero")."""


class Padded:
    """A network that sees a picture go on beyond its edges. Its maps have the positions of the picture alone.

    The network pads its maps with zeros: a dark frame, whose influence reaches far into the deep layers; and it drops
    what is left over when it halves them. With a margin of picture around the picture the frame is further away: of
    layers that see no further than the margin, no position sees it.

    Args:
        features: the network; its maps are those of the picture, halved up to four times.
        padding: one of `PADDINGS`.

    """

    def __init__(self, features: Features, padding: str) -> None:
        self.features = features
        self.pad = PADDINGS[padding]
        self.margin = MARGINS[padding]

    def __call__(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the feature maps of the named layers: 1 x C x h x w each, as large as without padding."""
        height, width = image.shape[-2:]
        maps = self.features(self.pad(image, self.margin), layers)
        return {layer: self._inside(maps[layer], height, width) for layer in maps}

    def _inside(self, feature_map: Tensor, height: int, width: int) -> Tensor:
        """Cut the margin off a map."""
        stride = _stride(height + 2 * self.margin, feature_map.shape[-2])
        margin = self.margin // stride
        return feature_map[..., margin : margin + height // stride, margin : margin + width // stride]


def seamless(features: Features) -> Padded:
    """Return a network that sees a picture as if copies of it lay around it, whatever it saw there before."""
    return Padded(features.features if isinstance(features, Padded) else features, "wrap")


def _stride(edge: int, positions: int) -> int:
    """Return how many pixels lie between two positions of a map: a power of 2."""
    stride = 1
    while edge // (2 * stride) >= positions:
        stride *= 2
    return stride
