"""The ways in which a scale may be painted in little memory, and the work of an epoch."""

from dataclasses import dataclass

from nstyle.losses.tiles import Tiling

TILINGS: tuple[Tiling | None, ...] = (
    None,
    Tiling(blocks=2, values=2**28),
    Tiling(blocks=2, values=2**26),
    Tiling(blocks=2),
    Tiling(blocks=2, values=2**23),
    Tiling(values=2**28),
    Tiling(values=2**26),
    Tiling(),
    Tiling(values=2**26, offloads=True),
    Tiling(offloads=True),
    Tiling(values=2**23, offloads=True),
    Tiling(values=2**21, offloads=True),
)
"""How the network may run over the picture; whole first, then the fastest. Small tiles need the least memory. See
`memory.GPU_VALUES` for the exception."""

CPU_VALUES = 2**26
"""Most values of a tile on a CPU. Tiles of four times as many gain 2% there, and malloc keeps four times their bytes:
a painting of 100 megapixels took 9.2 GB, with a limit of 8."""


@dataclass(frozen=True)
class Way:
    """How a scale is painted in the memory that there is.

    Attributes:
        tiling: how the network runs over parts of the image; None: over the whole image.
        history: the number of steps that the optimizer remembers; None: its own.

    """

    tiling: Tiling | None = None
    history: int | None = None

    def __str__(self) -> str:
        """Say it in words: "whole", "in tiles of 4 million values"."""
        words, tiling = "whole", self.tiling
        if tiling is not None:
            words = f"in tiles of {tiling.values // 2**20} million values"
            if tiling.blocks is not None:
                words += f" (the {tiling.blocks} lowest blocks of the network only)"
            if tiling.offloads:
                words += ", with maps offloaded"
        return words if self.history is None else f"{words}, remembering {self.history} steps only"


WHOLE = Way()
"""The way of a painting that has all the memory it needs."""


@dataclass(frozen=True)
class Work:
    """The amount of arithmetic of an epoch, to compare with that of another size in the same way.

    Attributes:
        network: of the network; the unit differs from network to network.
        matching: products that the search for patches takes (`patches.work_of_matching`); 0 if there is none.

    """

    network: float = 0.0
    matching: float = 0.0
