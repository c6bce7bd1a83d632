"""The settings of a painting, a class for each group: default, meaning, whose the default is, and limits."""

from dataclasses import dataclass
from pathlib import Path

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.pictures.formats import WRITTEN, able_to_hold
from nstyle.pictures.limits import LONGEST_EDGE, SHORTEST_EDGE
from nstyle.settings.options import MXNET, OURS, setting
from nstyle.settings.presets import PRESETS, PURPOSES, STRENGTH_SPAN

STARTS = ("noise", "content", "style", "recolored")
"""What a painting may start from (`init`), besides a picture file."""

STARTS_FROM_CONTENT = ("content", "recolored")
"""Those of them that need a content picture."""

WHOLE_STYLE = "all"
"""In `style_mask`, in place of a mask of the style picture: all of it counts."""

PRESET, PICTURES, CONTROLS, PAINTING, TERMS = "look", "pictures", "controls", "painting", "terms of the objective"
DESCENT, MACHINE, OUTPUT = "descent", "machine", "output"


@dataclass(frozen=True)
class Pictures:
    """Which pictures are painted, and how large."""

    content_image: Path = setting(
        Path("input/chelsea.jpg"),
        "the picture to paint; or several, folders and globs among them: each is painted in every style",
        OURS,
        PICTURES,
        metavar="PATH",
        several=True,
    )
    style_image: Path = setting(
        Path("input/vortices.jpg"),
        "the picture to paint it like; or several, likewise",
        OURS,
        PICTURES,
        metavar="PATH",
        several=True,
    )
    max_long_edge: int = setting(
        600,
        "longer edge of the result in pixels; smaller pictures are enlarged",
        MXNET,
        PICTURES,
        at_least=SHORTEST_EDGE,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    size: str | None = setting(
        None,
        "size of a texture, painted of the style alone (--content-weight 0, no content picture); --max-long-edge is "
        "the style picture's, then",
        OURS,
        PICTURES,
        metavar="WxH",
    )
    seamless: bool = setting(
        False,
        "paint what tiles: the painting goes on beyond each edge at the opposite one; for textures (--size), or "
        "content pictures that tile themselves",
        OURS,
        PICTURES,
    )


@dataclass(frozen=True)
class Preset:
    """How a painting is to look in general: how much paint, and values for what is left open."""

    strength: float = setting(
        50.0,
        "how much paint: 0 is a hint of it on the photo, 50 as the preset has it, 100 mostly paint. It divides "
        f"--content-weight by {STRENGTH_SPAN} ^ (S / 50 - 1)",
        OURS,
        PRESET,
        at_least=0,
        at_most=100,
        metavar="S",
    )
    preset: str = setting(
        "reference",
        "values for all that is not said otherwise: " + "; ".join(f"{name}: {PURPOSES[name]}" for name in PRESETS),
        OURS,
        PRESET,
        choices=tuple(PRESETS),
    )


@dataclass(frozen=True)
class Controls:
    """How the style picture is used, and where."""

    style_scale: float = setting(
        1.0,
        "size of the style picture, beside what --style-fit makes of it: strokes are larger above 1, smaller below",
        OURS,
        CONTROLS,
        above=0,
        at_most=16,
        metavar="S",
    )
    style_fit: str = setting(
        None,
        "how style pictures are brought to the content's size: stretched to it, or, in their own shape, "
        "so that they cover it (the middle counts), so that it contains them, or to as many pixels (area)",
        MXNET,
        CONTROLS,
        choices=("stretch", "cover", "contain", "area"),
    )
    blend_style: tuple[tuple[Path, float], ...] = setting(
        (),
        "one more picture to paint it like, and its weight beside the style image's 1; repeatable",
        OURS,
        CONTROLS,
        above=0,
        metavar=("PATH", "WEIGHT"),
    )
    mask: Path | None = setting(
        None,
        "what is painted: a picture, white where it is, black where the content stays as it is",
        OURS,
        CONTROLS,
        metavar="PATH",
    )
    style_mask: tuple[tuple[Path, str], ...] = setting(
        (),
        "where a style goes (a mask of the content), and which part of the style picture counts (a mask of that, "
        "or the word all); repeatable: the first for the style image, the next for each --blend-style; "
        "with one style, all are for it",
        OURS,
        CONTROLS,
        metavar=("REGION", "PART"),
    )
    preserve_colors: str = setting(
        "none",
        "keep the content's colours: luma paints its brightness alone; histogram and covariance "
        "give style and painting its range of colours",
        OURS,
        CONTROLS,
        choices=("none", "luma", "histogram", "covariance"),
    )
    grey: str = setting(
        None,
        "if content and styles are all grey: keep paints in grey alone; free may leave specks of colour",
        MXNET,
        CONTROLS,
        choices=("keep", "free"),
    )


@dataclass(frozen=True)
class Painting:
    """What the painting is to be like, and what it starts from."""

    content_weight: float = setting(
        None, "weight of likeness to the content", MXNET, PAINTING, at_least=0, metavar="W"
    )
    style_weight: float = setting(1.0, "weight of likeness to the style", MXNET, PAINTING, at_least=0, metavar="W")
    tv_weight: float = setting(
        None, "weight of smoothness (total variation)", MXNET, PAINTING, at_least=0, metavar="W"
    )
    init: str = setting(
        None,
        "what the painting starts from: noise, content, style, recolored (the content in the style's colours), or a "
        "picture file",
        MXNET,
        PAINTING,
        metavar="|".join((*STARTS, "PATH")),
    )
    details: float = setting(
        None,
        "share of the start's details (0..1) that is added whenever the picture of one scale is enlarged for the "
        "next: more keeps fine drawing, less looks more like paint",
        OURS,
        PAINTING,
        at_least=0,
        at_most=1,
        metavar="SHARE",
    )
    seed: int = setting(
        0,
        "seed of the noise; the same seed gives the same picture on the same machine",
        OURS,
        PAINTING,
        at_least=0,
        at_most=2**63 - 1,
        metavar="N",
    )


@dataclass(frozen=True)
class Terms:
    """The terms of the objective."""

    content_layers: str | None = setting(
        None,
        "layers at which to be like the content, each with an optional weight: relu4_2 or relu3_1:0.5,relu4_2 "
        "(default: the network's own; of vgg19 relu4_2)",
        MXNET,
        TERMS,
        metavar="LAYER[:W],...",
    )
    style_layers: str | None = setting(
        None,
        "layers at which to be like the style, likewise (default: the network's own; of vgg19 "
        "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1)",
        MXNET,
        TERMS,
        metavar="LAYER[:W],...",
    )
    style_loss: str = setting(
        None,
        "how likeness to the style is measured: "
        + ", ".join(f"{name} ({loss.help})" for name, loss in STYLE_LOSSES.items()),
        MXNET,
        TERMS,
        choices=tuple(STYLE_LOSSES),
    )
    range_weight: float = setting(
        0.0,
        "weight of the bounded-range prior: how hard a black or white value is pulled towards mid-grey",
        OURS,
        TERMS,
        at_least=0,
        metavar="W",
    )
    balance: str = setting(
        None,
        "what the weights weigh: absolute, the reference's sums; or relative, each layer's loss as a share of that "
        "of an image without features, so that they mean the same with any style, size, network and layers",
        MXNET,
        TERMS,
        choices=("absolute", "relative"),
    )
    pooling: str = setting(
        None, "how the network shrinks its maps: by mean or maximum", MXNET, TERMS, choices=("avg", "max")
    )
    padding: str = setting(
        None,
        "how pictures go on beyond their edges: zero (mid-grey) or mirror",
        MXNET,
        TERMS,
        choices=("zero", "mirror"),
    )


@dataclass(frozen=True)
class Descent:
    """How the objective is descended."""

    stop_eps: float = setting(
        None,
        "stop when the picture changes by less than this part of itself in an epoch; 0: never",
        MXNET,
        DESCENT,
        at_least=0,
        metavar="EPS",
    )
    optimizer: str = setting(
        None,
        "; ".join(f"{name}: {optimizer.help}" for name, optimizer in OPTIMIZERS.items())
        + "; along the unclipped gradient --tv-weight and --range-weight weigh less",
        MXNET,
        DESCENT,
        choices=tuple(OPTIMIZERS),
    )
    lr: float = setting(
        None,
        "learning rate; by default "
        + ", ".join(f"{optimizer.learning_rate:g} for {name}" for name, optimizer in OPTIMIZERS.items()),
        MXNET,
        DESCENT,
        above=0,
        metavar="RATE",
    )
    lr_sched_delay: int = setting(
        75, "lower the learning rate every so many epochs", MXNET, DESCENT, at_least=1, metavar="N"
    )
    lr_sched_factor: float = setting(0.9, "... by this factor", MXNET, DESCENT, above=0, at_most=1, metavar="FACTOR")
    image_range: str = setting(
        None,
        "free, or clamped: after each epoch, values beyond black and white are set to these",
        MXNET,
        DESCENT,
        choices=("free", "clamped"),
    )
    on_divergence: str = setting(
        "stop",
        "stop, or backoff: take back the epoch that left the range of pictures, go on with half the learning rate",
        OURS,
        DESCENT,
        choices=("stop", "backoff"),
    )


@dataclass(frozen=True)
class Machine:
    """The network, and what computes it."""

    model: str = setting(
        "vgg19",
        "the network that looks at the pictures: vgg19, filters (a small bank of fixed filters), one that another "
        "package registers, or a function that loads one",
        MXNET,
        MACHINE,
        metavar="vgg19|filters|NAME|MODULE:FUNCTION",
    )
    weights: str = setting(
        "embedded",
        "its weights: embedded, torchvision, or a file (a path, or a name in models/): "
        "MXNet parameters or a PyTorch state dict",
        OURS,
        MACHINE,
        metavar="embedded|torchvision|PATH",
    )
    weights_input: str = setting(
        "auto",
        "what images the weights in a file were trained for: rgb or bgr (0..255 minus the mean), "
        "torchvision (normalised), or auto: recognise it",
        OURS,
        MACHINE,
        choices=("auto", "rgb", "bgr", "torchvision"),
    )
    gpu: int | None = setting(
        None,
        "number of the GPU, -1 for the CPU; without it GPU 0 where there is one, else the CPU",
        OURS,
        MACHINE,
        at_least=-1,
        at_most=127,  # the highest number that PyTorch has for a device
        metavar="N",
    )
    device: str | None = setting(
        None, "the same in PyTorch's words: cpu, cuda, cuda:1, mps", OURS, MACHINE, metavar="NAME"
    )
    precision: str = setting(
        None,
        "of the network's arithmetic: float32 (MXNet's digits), bfloat16 (twice as fast where the hardware has it), "
        "or auto: bfloat16 where the hardware has it",
        MXNET,
        MACHINE,
        choices=("auto", "float32", "bfloat16"),
    )
    convolution: str = setting(
        None,
        "how a CPU computes the network's convolutions in float32: direct (MXNet's digits), or winograd (fewer "
        "multiplications, other roundings)",
        MXNET,
        MACHINE,
        choices=("direct", "winograd"),
    )


@dataclass(frozen=True)
class Output:
    """What is written, and where."""

    output_dir: Path = setting(
        Path("output"), "the folder for pictures and the run record", MXNET, OUTPUT, metavar="DIR"
    )
    save_epochs: int = setting(
        50, "write a snapshot e_N.jpg every so many epochs", MXNET, OUTPUT, at_least=1, metavar="N"
    )
    remove_noise: float = setting(
        0.02,
        "smooth the snapshots by this weight (total variation, Chambolle); 0: not at all; final.jpg never is",
        MXNET,
        OUTPUT,
        at_least=0,
        at_most=1000,
        metavar="W",
    )
    overwrite: bool = setting(
        False, "write over the pictures of an earlier run with other settings", OURS, OUTPUT, recorded=False
    )
    resume: bool = setting(
        False,
        "go on with the earlier run in the output folder, from its last snapshot; start anew if there is none",
        OURS,
        OUTPUT,
        recorded=False,
    )
    image_format: str = setting("jpg", "of the pictures written", MXNET, OUTPUT, choices=tuple(WRITTEN))
    bit_depth: int = setting(
        8,
        "bits a channel of the pictures written: 8, or 16 in " + " and ".join(able_to_hold(bit_depth=16)),
        OURS,
        OUTPUT,
        at_least=8,
        at_most=16,
        metavar="8|16",
    )
