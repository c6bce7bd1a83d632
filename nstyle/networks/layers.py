"""Layers by name: VGG-19's own, and the text that chooses among a network's layers. Knows no tensors."""

import math
from collections.abc import Iterable, Mapping

from nstyle.errors import Kind, OptionError

BLOCKS = (2, 2, 4, 4, 4)
"""Convolutions in each block of VGG-19."""

VGG19_LAYERS = tuple(f"relu{block}_{i}" for block, n in enumerate(BLOCKS, 1) for i in range(1, n + 1))
"""relu1_1 ... relu5_4: VGG-19's feature maps, from the image upwards."""


def parse_layers(flag: str, text: str) -> dict[str, float]:
    """Read a choice of layers such as "relu1_1,relu2_1:0.5": names with a weight each, 1 where none is given.

    Returns:
        {layer: weight} in the order of the text.

    Raises:
        OptionError: no name, a name twice, a weight that is no finite number from 0 on, or nothing but zeros; the
            message names the flag.

    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, colon, number = (piece.strip() for piece in part.partition(":"))
        if not name:
            raise OptionError(
                f"{flag} must be layers with optional weights, relu1_1,relu2_1:0.5; not {text!r}",
                flag=flag,
                kind=Kind.MISSING,
            )
        if name in weights:
            raise OptionError(f"{flag} names {name} twice: leave one of them out", flag=flag, kind=Kind.CONFLICT)
        try:
            weights[name] = float(number) if colon else 1.0
        except ValueError:
            weights[name] = math.nan
        if not 0 <= weights[name] < math.inf:
            raise OptionError(
                f"{flag}: the weight of {name} must be a finite number, at least 0; not {number!r}",
                flag=flag,
                kind=Kind.OUT_OF_RANGE,
            )
    if not any(weights.values()):
        raise OptionError(f"{flag} weighs every layer 0: raise one of them", flag=flag, kind=Kind.OUT_OF_RANGE)
    return weights


def check_layers(flag: str, layers: Mapping[str, float], known: Iterable[str]) -> None:
    """Make sure that a network has the layers chosen.

    Raises:
        OptionError: it has not; the message lists those that it has.

    """
    known = tuple(known)
    for name in layers:
        if name not in known:
            raise OptionError(
                f"{flag}: no layer {name!r}; there are {', '.join(known)}", flag=flag, kind=Kind.UNKNOWN
            )


STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
MRF_LAYERS = ("relu3_1", "relu4_1")
CONTENT_LAYER = "relu4_2"
