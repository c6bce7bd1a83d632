"""The settings of a painting, one class per group: defaults, meanings, origins and limits.

`method` and `scales` declare further groups.
"""

from dataclasses import dataclass
from pathlib import Path

from nstyle.pictures.formats import WRITTEN, able_to_hold
from nstyle.pictures.limits import LONGEST_EDGE, SHORTEST_EDGE
from nstyle.settings.options import MXNET, OURS, setting
from nstyle.settings.presets import PRESETS, PURPOSES, STRENGTH_SPAN, UNREALNESS

STARTS = ("noise", "content", "style", "recolored")
"""The words that `init` takes besides the path of a picture."""

STARTS_FROM_CONTENT = ("content", "recolored")
"""The words of `STARTS` that need a content picture."""

WHOLE_STYLE = "all"
"""The word that `style_mask` takes instead of a mask of the style picture: the whole picture counts."""

SAMPLES = Path(__file__).parent.parent / "samples"
"""The folder of the sample pair. In the repository it links to input/; in an installed package it holds copies."""

EVERYDAY, TEXTURES, CONTROLS = "the flags that most people need", "textures", "how the style is used, and where"
PAINTERS = "painting in one pass"
PAINTING, TERMS, DESCENT = "weights and start", "layers and losses", "scales and descent"
MACHINE, OUTPUT = "network and device", "output"


@dataclass(frozen=True)
class Pictures:
    """The pictures to paint, and their size."""

    content_image: Path = setting(
        (SAMPLES / "chelsea.jpg").resolve(),
        "the picture to paint; several pictures, folders or globs are each painted in every style",
        OURS,
        EVERYDAY,
        default_words="a sample",
        metavar="PATH",
        several=True,
    )
    style_image: Path = setting(
        (SAMPLES / "vortices.jpg").resolve(),
        "the picture whose style to use; or several, like --content-image",
        OURS,
        EVERYDAY,
        default_words="a sample",
        metavar="PATH",
        several=True,
    )
    max_long_edge: int = setting(
        600,
        "longer edge of the result in pixels; smaller pictures are enlarged, except with --no-enlarge",
        MXNET,
        EVERYDAY,
        at_least=SHORTEST_EDGE,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    size: str | None = setting(
        None,
        "paint a texture of this size from the style alone; needs --content-weight 0. --max-long-edge is then the "
        "style picture's longer edge",
        OURS,
        TEXTURES,
        metavar="WxH",
    )
    seamless: bool = setting(
        False,
        "make the result tile: each edge continues at the opposite one; for textures and contents that tile",
        OURS,
        TEXTURES,
    )
    painter: str | None = setting(
        None,
        "a network trained for a style, by file or name: it paints in one pass, without a style picture; with "
        "--max-num-epochs, the optimizer goes on from there",
        OURS,
        PAINTERS,
        metavar="NAME|PATH",
    )


@dataclass(frozen=True)
class Preset:
    """The overall look: the preset, and how strong the style is."""

    preset: str = setting(
        "reference",
        "values of all flags that are not given; " + "; ".join(f"{name}: {PURPOSES[name]}" for name in PRESETS),
        OURS,
        EVERYDAY,
        choices=tuple(PRESETS),
    )
    strength: float = setting(
        50.0,
        "how much style, from a hint (0) to mostly style (100); 50 is the preset's own. It divides --content-weight "
        f"by {STRENGTH_SPAN}^(S/50 - 1)",
        OURS,
        EVERYDAY,
        at_least=0,
        at_most=100,
        metavar="S",
    )


@dataclass(frozen=True)
class Controls:
    """How the style picture is used, and where."""

    style_scale: float = setting(
        1.0,
        "factor on the size that the style picture has otherwise: above 1 for larger strokes, below for smaller",
        OURS,
        CONTROLS,
        above=0,
        at_most=16,
        metavar="S",
    )
    style_fit: str = setting(
        None,
        "resize style pictures to the painting's size (stretch), or keep their aspect ratio and crop them to it "
        "(cover), fit them inside it (contain), or give them as many pixels (area)",
        MXNET,
        CONTROLS,
        choices=("stretch", "cover", "contain", "area"),
    )
    style_crop: str | None = setting(
        None,
        "use only this part of --style-image, as if the file held nothing else: left, top, width and height in "
        "pixels of the upright picture, or in percent of it (25%,25%,50%,50%)",
        OURS,
        CONTROLS,
        metavar="X,Y,W,H",
        separator=";",
    )
    blend_style: tuple[tuple[Path, float], ...] = setting(
        (),
        "one more style picture and its weight; --style-image has weight 1. Repeatable",
        OURS,
        CONTROLS,
        above=0,
        metavar=("PATH", "WEIGHT"),
    )
    mask: Path | None = setting(
        None,
        "where to paint: a picture, white where to paint, black where to keep the content",
        OURS,
        CONTROLS,
        metavar="PATH",
    )
    style_mask: tuple[tuple[Path, str], ...] = setting(
        (),
        "where to use a style (REGION: a mask of the content) and which part of the style picture counts (PART: a "
        "mask of it, or all). Give it once for --style-image, then once for each --blend-style. With a single style, "
        "all pairs are for it",
        OURS,
        CONTROLS,
        metavar=("REGION", "PART"),
    )
    preserve_colors: str = setting(
        "none",
        "keep the content's colors: paint only its brightness (luma), or match the colors of style and result to "
        "it (histogram, covariance)",
        OURS,
        CONTROLS,
        choices=("none", "luma", "histogram", "covariance"),
    )
    grey: str = setting(
        None,
        "if content and styles are grey: keep makes the result grey; free may leave specks of color",
        MXNET,
        CONTROLS,
        choices=("keep", "free"),
    )


@dataclass(frozen=True)
class Painting:
    """The weights of the losses, and the image that the painting starts from."""

    content_weight: float = setting(None, "weight of the content loss", MXNET, PAINTING, at_least=0, metavar="W")
    style_weight: float = setting(None, "weight of the style loss", MXNET, PAINTING, at_least=0, metavar="W")
    unrealness: float | None = setting(
        None,
        "make style weight / content weight 10^U, as in the film Come Swim: 0 is equal weights, less is more photo, "
        "more is more style. The sum of the two stays, unless you give one of them. About losses that are relative; "
        "instead of --strength",
        OURS,
        PAINTING,
        default_words="; ".join(f"{preset}: {value:.2g}" for preset, value in UNREALNESS.items()),
        at_least=-6,
        at_most=6,
        metavar="U",
    )
    tv_weight: float = setting(
        None, "weight of the total variation; more is smoother", MXNET, PAINTING, at_least=0, metavar="W"
    )
    init: str = setting(
        None,
        "what to start from; recolored is the content in the style's colors, PATH another picture",
        MXNET,
        PAINTING,
        metavar="|".join((*STARTS, "PATH")),
    )
    details: float = setting(
        None,
        "share (0 to 1) of the start's fine detail to add whenever the image is enlarged for the next scale: more "
        "keeps fine drawing, less looks more like paint",
        OURS,
        PAINTING,
        at_least=0,
        at_most=1,
        metavar="SHARE",
    )
    grain: float = setting(
        None,
        "noise (0 to 64 grey levels, its standard deviation) to add whenever the image is enlarged for a scale whose "
        "longer edge has 200 pixels or more, so that fine texture grows, not a weave or dots",
        OURS,
        PAINTING,
        at_least=0,
        at_most=64,
        metavar="LEVELS",
    )
    seed: int = setting(
        0,
        "seed of the noise; the same seed repeats the picture on the same machine",
        OURS,
        PAINTING,
        at_least=0,
        at_most=2**63 - 1,
        metavar="N",
    )


@dataclass(frozen=True)
class Machine:
    """The network, and the device and arithmetic that compute it."""

    model: str = setting(
        "vgg19",
        "the network: vgg19, a small bank of fixed filters, one that another package registers, or a function that "
        "loads one",
        MXNET,
        MACHINE,
        metavar="vgg19|filters|NAME|MODULE:FUNCTION",
    )
    weights: str = setting(
        "embedded",
        "its weights; PATH is a file of MXNet parameters or a PyTorch state dict, or its name in models/",
        OURS,
        MACHINE,
        metavar="embedded|torchvision|PATH",
    )
    weights_input: str = setting(
        "auto",
        "input that a weights file expects: rgb or bgr (0..255 minus the mean), torchvision (normalized), or "
        "detect it (auto)",
        OURS,
        MACHINE,
        choices=("auto", "rgb", "bgr", "torchvision"),
    )
    gpu: int | None = setting(
        None,
        "number of the GPU; -1: the CPU",
        OURS,
        MACHINE,
        default_words="0 if there is a GPU, else -1",
        at_least=-1,
        at_most=127,  # the highest number that PyTorch has for a device
        metavar="N",
        hint="a painting runs on one GPU; for several, start a Dask worker on each and name their scheduler with "
        "nstyle --cluster",
    )
    device: str | None = setting(
        None, "instead of --gpu, a device of PyTorch: cpu, cuda, cuda:1, mps", OURS, MACHINE, metavar="NAME"
    )
    precision: str = setting(
        None,
        "the network's arithmetic: MXNet's results, up to float32 rounding (float32), or twice as fast (bfloat16); "
        "tf32: float32 with NVIDIA's rounded products; auto: bfloat16 if the hardware supports it",
        MXNET,
        MACHINE,
        choices=("auto", "float32", "tf32", "bfloat16"),
    )
    convolution: str = setting(
        None,
        "how a CPU computes in float32: MXNet's results, up to float32 rounding (direct), or faster, with other "
        "rounding (winograd)",
        MXNET,
        MACHINE,
        choices=("direct", "winograd"),
    )
    max_memory: str | None = setting(
        None,
        "use at most this much memory: what would need more is painted in tiles, which takes longer and gives the "
        "same picture up to rounding, some of it in temporary files in the output folder; if even that is too much, "
        "L-BFGS remembers fewer steps",
        OURS,
        MACHINE,
        default_words="what is free",
        metavar="4GB|750MB|2GiB",
    )


@dataclass(frozen=True)
class Output:
    """The files that are written."""

    output_dir: Path = setting(
        Path("output"), "folder for the pictures and the record of the run", MXNET, EVERYDAY, metavar="DIR"
    )
    save_epochs: int = setting(50, "epochs between snapshots (e_50.jpg ...)", MXNET, OUTPUT, at_least=1, metavar="N")
    remove_noise: float = setting(
        0.02,
        "smoothing of snapshots, but not of final.jpg (weight of total variation, Chambolle); 0: none",
        MXNET,
        OUTPUT,
        at_least=0,
        at_most=1000,
        metavar="W",
    )
    overwrite: bool = setting(
        False,
        "replace the run in the output folder as soon as there is a new picture; never files that are not nstyle's",
        OURS,
        OUTPUT,
        recorded=False,
    )
    resume: bool = setting(
        False,
        "continue the run in the output folder from its last snapshot, also to a later end (with several scales by "
        "--stop-after); start if there is no run",
        OURS,
        OUTPUT,
        recorded=False,
    )
    enlarge: bool = setting(
        True,
        "enlarge pictures that are smaller than --max-long-edge, or let them keep their own size (--no-enlarge)",
        MXNET,
        OUTPUT,
        default_words="--enlarge",
    )
    no_recipe: bool = setting(
        False,
        "write no recipe into the pictures: nobody learns from them how they were made; run.json still has it",
        OURS,
        OUTPUT,
    )
    keep_metadata: bool = setting(
        False,
        "copy date, description, artist and copyright from the content photo's EXIF into the pictures",
        OURS,
        OUTPUT,
        recorded=False,
    )
    keep_place: bool = setting(
        False,
        "copy the place where the content photo was taken (GPS) into the pictures; a recipe never asks for this",
        OURS,
        OUTPUT,
        recorded=False,
    )
    image_format: str = setting("jpg", "format of the pictures", MXNET, OUTPUT, choices=tuple(WRITTEN))
    bit_depth: int = setting(
        8,
        "bits per channel: 8, or 16 in " + " and ".join(able_to_hold(bit_depth=16)),
        OURS,
        OUTPUT,
        at_least=8,
        at_most=16,
        metavar="8|16",
    )
