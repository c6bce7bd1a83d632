"""The style losses by name, and what each one wants. Imports no torch, so that bad flags are refused at once.

To add a style loss, write a class that follows `terms.StyleTerm`, with a function that makes it from a feature map
(`terms.StyleTermMaker`), and name that function here.
"""

from dataclasses import dataclass

from nstyle.networks.layers import MRF_LAYERS, STYLE_LAYERS


@dataclass(frozen=True)
class StyleLoss:
    """What the settings and the objective need to know about a style loss.

    Attributes:
        help: what it compares, in a few words, for `--help`.
        maker: the function that makes its terms, as "module:name"; see `terms.StyleTermMaker`.
        layers: the layers of VGG-19 that it looks at unless the user names others.
        layers_of_model: the attribute of `Model` that holds a network's own layers for it; if that is empty, the
            network's `style_layers` count.
        scales: the number of scales that it is painted in, coarse to fine, unless the user names another.
        coarsest_edge: pixels that the shorter edge of the coarsest of those scales needs.

    """

    help: str
    maker: str
    layers: tuple[str, ...] = STYLE_LAYERS
    layers_of_model: str = "style_layers"
    scales: int = 1
    coarsest_edge: int = 16


STYLE_LOSSES = {
    "gram": StyleLoss(help="Gram matrices", maker="nstyle.losses.gram:GramTerm.towards"),
    "wasserstein": StyleLoss(
        help="mean and covariance, Wasserstein-2 distance", maker="nstyle.losses.wasserstein:WassersteinTerm.towards"
    ),
    "mrf": StyleLoss(
        help="its patches, Li and Wand",
        maker="nstyle.losses.mrf:MrfTerm.towards",
        layers=MRF_LAYERS,
        layers_of_model="mrf_layers",
        scales=3,  # as many as Li and Wand have (CVPR 2016)
        coarsest_edge=48,  # leaves relu4_1 a few dozen patches
    ),
}
"""The first one is the reference's."""
