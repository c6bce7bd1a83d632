"""The settings of the method: the terms of the objective, and how it is minimized."""

from dataclasses import dataclass

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.settings.groups import DESCENT, TERMS
from nstyle.settings.options import MXNET, OURS, setting


@dataclass(frozen=True)
class Terms:
    """The terms of the objective."""

    content_layers: str | None = setting(
        None,
        "layers of the content loss with optional weights: relu3_1:0.5,relu4_2",
        MXNET,
        TERMS,
        default_words="the network's; vgg19: relu4_2",
        metavar="LAYER[:W],...",
    )
    style_layers: str | None = setting(
        None,
        "layers of the style loss, likewise",
        MXNET,
        TERMS,
        default_words="the network's; vgg19: relu1_1,relu2_1,relu3_1,relu4_1,relu5_1; painterly, with its own "
        "--style-loss: relu1_1:2,relu2_1:1.4,relu3_1,relu4_1:0.7,relu5_1:0.5",
        metavar="LAYER[:W],...",
    )
    style_loss: str = setting(
        None,
        "how to compare styles: " + ", ".join(f"{name} ({loss.help})" for name, loss in STYLE_LOSSES.items()),
        MXNET,
        TERMS,
        choices=tuple(STYLE_LOSSES),
    )
    range_weight: float = setting(
        0.0,
        "weight of the bounded-range prior, which pulls black and white values towards mid-grey",
        OURS,
        TERMS,
        at_least=0,
        metavar="W",
    )
    balance: str = setting(
        None,
        "absolute: the losses are MXNet's sums; relative: each layer's loss is divided by its value for an image "
        "without features, so that the same weights work for any style, size, network and layers; photo: likewise, "
        "and the style loss is also divided by the photo's, so that a style far from the photo leaves as much of it "
        "(with --content-weight 0, as relative)",
        MXNET,
        TERMS,
        choices=("absolute", "relative", "photo"),
    )
    pooling: str = setting(
        None,
        "pooling of the network's feature maps: mean, maximum, or maximum of the two finest and mean of the others "
        "(mixed)",
        MXNET,
        TERMS,
        choices=("avg", "max", "mixed"),
    )
    padding: str = setting(
        None,
        "how the network pads pictures beyond their edges; zero is mid-grey",
        MXNET,
        TERMS,
        choices=("zero", "mirror"),
    )


@dataclass(frozen=True)
class Descent:
    """How the objective is minimized."""

    stop_eps: float = setting(
        None,
        "stop if an epoch changes the image by less than this, relatively; 0: never",
        MXNET,
        DESCENT,
        at_least=0,
        metavar="EPS",
    )
    optimizer: str = setting(
        None,
        "; ".join(f"{name}: {optimizer.help}" for name, optimizer in OPTIMIZERS.items())
        + ". Unclipped, --tv-weight and --range-weight have less effect",
        MXNET,
        DESCENT,
        choices=tuple(OPTIMIZERS),
    )
    lr: float = setting(
        None,
        "learning rate",
        MXNET,
        DESCENT,
        default_words=", ".join(f"{optimizer.learning_rate:g} for {name}" for name, optimizer in OPTIMIZERS.items()),
        above=0,
        at_most=1e30,  # its products must be numbers in float32
        metavar="RATE",
    )
    lr_sched_delay: int = setting(
        75,
        "lower the learning rate every N epochs of a scale",
        MXNET,
        DESCENT,
        at_least=1,
        metavar="N",
    )
    lr_sched_factor: float = setting(
        0.9, "factor on the learning rate when it is lowered", MXNET, DESCENT, above=0, at_most=1, metavar="FACTOR"
    )
    image_range: str = setting(
        None,
        "clip the image to black and white after each epoch (clamped), or leave it free",
        MXNET,
        DESCENT,
        choices=("free", "clamped"),
    )
    on_divergence: str = setting(
        "stop",
        "if an epoch leaves the range of pictures: stop, or undo it and halve the learning rate (backoff)",
        OURS,
        DESCENT,
        choices=("stop", "backoff"),
    )
