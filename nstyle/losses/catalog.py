"""The style losses by name, with their defaults. Imports no torch, so that bad flags fail at once.

To add a style loss, write a class that implements `terms.StyleTerm` and a function that makes it from a feature map
(`terms.StyleTermMaker`). Then name that function here.
"""

from dataclasses import dataclass

from nstyle.networks.layers import MRF_LAYERS, STYLE_LAYERS


@dataclass(frozen=True)
class StyleLoss:
    """A style loss and its defaults.

    Attributes:
        help: what it compares, in a few words, for `--help`.
        maker: the function that makes its terms, as "module:name"; see `terms.StyleTermMaker`.
        summed: the class of its terms, as "module:name", if their targets are made from sums over positions
            (`terms.SummedStyle`). Then a style picture can be read in parts. "" if its whole maps are needed.
        working_maps: the number of copies of a layer's map that it holds while its gradient is computed, besides
            those of "gram"; for the estimate of memory.
        working_bytes: bytes that it needs besides that, at any size; likewise.
        layers: its default layers of VGG-19.
        layers_of_model: the attribute of `Model` that holds a network's default layers for this loss; if that is
            empty, the network's `style_layers` are used.
        scales: the default number of scales, coarse to fine.
        coarsest_edge: the least length of the shorter edge at the coarsest scale, in pixels.

    """

    help: str
    maker: str
    summed: str = ""
    working_maps: int = 4
    working_bytes: int = 0
    layers: tuple[str, ...] = STYLE_LAYERS
    layers_of_model: str = "style_layers"
    scales: int = 1
    coarsest_edge: int = 16


STYLE_LOSSES = {
    "gram": StyleLoss(
        help="Gram matrices",
        maker="nstyle.losses.gram:GramTerm.towards",
        summed="nstyle.losses.gram:GramTerm",
        working_maps=0,
    ),
    "wasserstein": StyleLoss(
        help="mean and covariance, Wasserstein-2 distance",
        maker="nstyle.losses.wasserstein:WassersteinTerm.towards",
        summed="nstyle.losses.wasserstein:WassersteinTerm",
        working_maps=0,
        working_bytes=20_000_000,  # matrices of 512 x 512 in float64, and LAPACK's own; measured against "gram"
    ),
    "mrf": StyleLoss(
        help="patches, Li and Wand",
        maker="nstyle.losses.mrf:MrfTerm.towards",
        layers=MRF_LAYERS,
        layers_of_model="mrf_layers",
        scales=3,  # as in Li and Wand (CVPR 2016)
        coarsest_edge=48,  # leaves relu4_1 a few dozen patches
    ),
}
"""Style losses by name; the first is the reference's."""
