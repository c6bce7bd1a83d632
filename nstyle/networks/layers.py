"""Names of layers: VGG-19's, and the text that chooses layers of a network. Imports no torch."""

import math
from collections.abc import Iterable, Mapping

from nstyle.errors import Kind, OptionError

BLOCKS = (2, 2, 4, 4, 4)
"""Number of convolutions in each block of VGG-19."""

VGG19_LAYERS = tuple(f"relu{block}_{i}" for block, n in enumerate(BLOCKS, 1) for i in range(1, n + 1))
"""relu1_1 ... relu5_4: VGG-19's feature maps, from the image upwards."""


def parse_layers(flag: str, text: str) -> dict[str, float]:
    """Parse a choice of layers such as "relu1_1,relu2_1:0.5": names with optional weights, 1 by default.

    Returns:
        {layer: weight} in the order of the text.

    Raises:
        OptionError: a name is missing or repeated, a weight is negative or no finite number, or all weights are 0.
            The message names the flag.

    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = (piece.strip() for piece in part.partition(":"))
        if not name:
            raise OptionError(
                f"{flag} must be layers with optional weights, such as relu1_1,relu2_1:0.5; not {text!r}",
                flag=flag,
                kind=Kind.MISSING,
            )
        if name in weights:
            raise OptionError(f"{flag} names {name} twice: remove one of them", flag=flag, kind=Kind.CONFLICT)
        try:
            weights[name] = float(number) if colon else 1.0
        except ValueError:
            weights[name] = math.nan
        if not 0 <= weights[name] < math.inf:
            raise OptionError(
                f"{flag}: the weight of {name} must be a finite number of at least 0, not {number!r}",
                flag=flag,
                kind=Kind.OUT_OF_RANGE,
            )
    if not any(weights.values()):
        raise OptionError(f"{flag} gives every layer weight 0: raise one of them", flag=flag, kind=Kind.OUT_OF_RANGE)
    return weights


def check_layers(flag: str, layers: Mapping[str, float], known: Iterable[str]) -> None:
    """Check that a network has the chosen layers.

    Raises:
        OptionError: a layer is unknown; the message lists the network's layers.

    """
    known = tuple(known)
    for name in layers:
        if name not in known:
            raise OptionError(
                f"{flag}: there is no layer {name!r}; choose from {', '.join(known)}", flag=flag, kind=Kind.UNKNOWN
            )


# The style layers of the reference, those of Li and Wand (CVPR 2016), and the reference's content layer.
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
MRF_LAYERS = ("relu3_1", "relu4_1")
CONTENT_LAYER = "relu4_2"
