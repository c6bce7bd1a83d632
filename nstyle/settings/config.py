"""The settings of a run: their names, defaults, what they mean, where each default is from, and what is allowed.

The command's flags and `--help` are made from here, and the keyword arguments of `nstyle.stylize` are these.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OptionError
from nstyle.networks.layers import VGG19_LAYERS, check_layers, parse_layers
from nstyle.networks.registry import where
from nstyle.pictures.formats import WRITTEN, able_to_hold
from nstyle.pictures.limits import LONGEST_EDGE, SHORTEST_EDGE
from nstyle.settings.options import MXNET, OURS, _checked, _option, flag, option
from nstyle.settings.presets import LEARNING_RATES, PRESETS

PRESET, PICTURES, CONTROLS, PAINTING = "preset", "pictures", "controls", "painting"
TERMS, DESCENT, MACHINE, OUTPUT = "terms of the objective", "descent", "machine", "output"


@dataclass(frozen=True)
class Config:
    """All settings of one run, checked.

    Raises:
        OptionError: a value is of the wrong type or out of range; the message names the flag.

    """

    content_image: Path = _option(
        Path("input/chelsea.jpg"),
        "the picture to paint; or several, folders and globs among them: each is painted in every style",
        OURS,
        PICTURES,
        metavar="PATH",
        several=True,
    )
    style_image: Path = _option(
        Path("input/vortices.jpg"),
        "the picture to paint it like; or several, likewise",
        OURS,
        PICTURES,
        metavar="PATH",
        several=True,
    )
    preset: str = _option(
        "reference",
        "values for all that is not said otherwise: reference (MXNet's) or fast ("
        + ", ".join(f"{name.replace('_', '-')} {value}" for name, value in PRESETS["fast"].items())
        + ")",
        OURS,
        PRESET,
        choices=tuple(PRESETS),
    )
    max_long_edge: int = _option(
        600,
        "longer edge of the result in pixels; smaller pictures are enlarged",
        MXNET,
        PICTURES,
        at_least=SHORTEST_EDGE,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    size: str | None = _option(
        None,
        "size of a texture, painted of the style alone (--content-weight 0, no content picture); --max-long-edge is "
        "the style picture's, then",
        OURS,
        PICTURES,
        metavar="WxH",
    )
    style_scale: float = _option(
        1.0,
        "size of the style picture, beside what --style-fit makes of it: strokes are larger above 1, smaller below",
        OURS,
        CONTROLS,
        above=0,
        at_most=16,
        metavar="S",
    )
    style_fit: str = _option(
        "stretch",
        "how style pictures are brought to the content's size: stretched to it, or, in their own shape, "
        "so that they cover it (the middle counts), or so that it contains them",
        MXNET,
        CONTROLS,
        choices=("stretch", "cover", "contain"),
    )
    blend_style: tuple[tuple[Path, float], ...] = _option(
        (),
        "one more picture to paint it like, and its weight beside the style image's 1; repeatable",
        OURS,
        CONTROLS,
        above=0,
        metavar=("PATH", "WEIGHT"),
    )
    mask: Path | None = _option(
        None,
        "what is painted: a picture, white where it is, black where the content stays as it is",
        OURS,
        CONTROLS,
        metavar="PATH",
    )
    style_mask: tuple[tuple[Path, str], ...] = _option(
        (),
        "where a style goes (a mask of the content), and which part of the style picture counts (a mask of that, "
        "or the word all); repeatable: the first for the style image, the next for each --blend-style; "
        "with one style, all are for it",
        OURS,
        CONTROLS,
        metavar=("REGION", "PART"),
    )
    preserve_colors: str = _option(
        "none",
        "keep the content's colours: luma paints its brightness alone; histogram and covariance "
        "give style and painting its range of colours",
        OURS,
        CONTROLS,
        choices=("none", "luma", "histogram", "covariance"),
    )
    content_weight: float = _option(
        10.0, "weight of likeness to the content", MXNET, PAINTING, at_least=0, metavar="W"
    )
    style_weight: float = _option(1.0, "weight of likeness to the style", MXNET, PAINTING, at_least=0, metavar="W")
    tv_weight: float = _option(
        0.01, "weight of smoothness (total variation)", MXNET, PAINTING, at_least=0, metavar="W"
    )
    init: str = _option(
        None,
        "what the painting starts from: noise, content, style, recolored (the content in the style's colours), or a "
        "picture file",
        MXNET,
        PAINTING,
        metavar="noise|content|style|recolored|PATH",
    )
    seed: int = _option(
        0,
        "seed of the noise; the same seed gives the same picture on the same machine",
        OURS,
        PAINTING,
        at_least=0,
        at_most=2**63 - 1,
        metavar="N",
    )
    content_layers: str | None = _option(
        None,
        "layers at which to be like the content, each with an optional weight: relu4_2 or relu3_1:0.5,relu4_2 "
        "(default: the network's own; of vgg19 relu4_2)",
        MXNET,
        TERMS,
        metavar="LAYER[:W],...",
    )
    style_layers: str | None = _option(
        None,
        "layers at which to be like the style, likewise (default: the network's own; of vgg19 "
        "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1)",
        MXNET,
        TERMS,
        metavar="LAYER[:W],...",
    )
    style_loss: str = _option(
        "gram",
        "how likeness to the style is measured: gram (Gram matrices), or mrf (its patches, Li and Wand)",
        MXNET,
        TERMS,
        choices=("gram", "mrf"),
    )
    range_weight: float = _option(
        0.0,
        "weight of the bounded-range prior: how hard a black or white value is pulled towards mid-grey",
        OURS,
        TERMS,
        at_least=0,
        metavar="W",
    )
    pooling: str = _option(
        "avg", "how the network shrinks its maps: by mean or maximum", MXNET, TERMS, choices=("avg", "max")
    )
    scales: int | str | None = _option(
        None,
        "paint coarse to fine in so many scales, each twice the last and begun from it enlarged; auto: as many as "
        "have 256 pixels or more (default: 1; with --style-loss mrf up to 3, as the picture allows)",
        OURS,
        DESCENT,
        at_least=1,
        at_most=12,
        choices=("auto",),
        metavar="N|auto",
    )
    max_num_epochs: int = _option(None, "stop after so many epochs", MXNET, DESCENT, at_least=1, metavar="N")
    stop_eps: float = _option(
        None,
        "stop when the picture changes by less than this part of itself in an epoch; 0: never",
        MXNET,
        DESCENT,
        at_least=0,
        metavar="EPS",
    )
    optimizer: str = _option(
        None,
        "nag (Nesterov's accelerated gradient along the clipped gradient, as MXNet), or lbfgs or adam, which follow "
        "the gradient unclipped: so --tv-weight and --range-weight weigh less with them",
        MXNET,
        DESCENT,
        choices=tuple(LEARNING_RATES),
    )
    lr: float = _option(
        None,
        "learning rate; " + ", ".join(f"{rate:g} is {optimizer}'s" for optimizer, rate in LEARNING_RATES.items()),
        MXNET,
        DESCENT,
        above=0,
        metavar="RATE",
    )
    lr_sched_delay: int = _option(
        75, "lower the learning rate every so many epochs", MXNET, DESCENT, at_least=1, metavar="N"
    )
    lr_sched_factor: float = _option(0.9, "... by this factor", MXNET, DESCENT, above=0, at_most=1, metavar="FACTOR")
    on_divergence: str = _option(
        "stop",
        "stop, or backoff: take back the epoch that left the range of pictures, go on with half the learning rate",
        OURS,
        DESCENT,
        choices=("stop", "backoff"),
    )
    model: str = _option(
        "vgg19",
        "the network that looks at the pictures: vgg19, filters (a small bank of fixed filters), one that another "
        "package registers, or a function that loads one",
        MXNET,
        MACHINE,
        metavar="vgg19|filters|NAME|MODULE:FUNCTION",
    )
    weights: str = _option(
        "embedded",
        "its weights: embedded, torchvision, or a file (a path, or a name in models/): "
        "MXNet parameters or a PyTorch state dict",
        OURS,
        MACHINE,
        metavar="embedded|torchvision|PATH",
    )
    weights_input: str = _option(
        "auto",
        "what images the weights in a file were trained for: rgb or bgr (0..255 minus the mean), "
        "torchvision (normalised), or auto: recognise it",
        OURS,
        MACHINE,
        choices=("auto", "rgb", "bgr", "torchvision"),
    )
    gpu: int | None = _option(
        None,
        "number of the GPU, -1 for the CPU; without it GPU 0 where there is one, else the CPU",
        OURS,
        MACHINE,
        at_least=-1,
        at_most=127,  # the highest number that PyTorch has for a device
        metavar="N",
    )
    device: str | None = _option(
        None, "the same in PyTorch's words: cpu, cuda, cuda:1, mps", OURS, MACHINE, metavar="NAME"
    )
    precision: str = _option(
        None,
        "of the network's arithmetic: float32 (MXNet's digits), bfloat16 (twice as fast where the hardware has it), "
        "or auto: bfloat16 where the hardware has it",
        MXNET,
        MACHINE,
        choices=("auto", "float32", "bfloat16"),
    )
    convolution: str = _option(
        None,
        "how a CPU computes the network's convolutions in float32: direct (MXNet's digits), or winograd (fewer "
        "multiplications, other roundings)",
        MXNET,
        MACHINE,
        choices=("direct", "winograd"),
    )
    output_dir: Path = _option(
        Path("output"), "the folder for pictures and the run record", MXNET, OUTPUT, metavar="DIR"
    )
    save_epochs: int = _option(
        50, "write a snapshot e_N.jpg every so many epochs", MXNET, OUTPUT, at_least=1, metavar="N"
    )
    remove_noise: float = _option(
        0.02,
        "smooth the snapshots by this weight (total variation, Chambolle); 0: not at all; final.jpg never is",
        MXNET,
        OUTPUT,
        at_least=0,
        at_most=1000,
        metavar="W",
    )
    overwrite: bool = _option(
        False, "write over the pictures of an earlier run with other settings", OURS, OUTPUT, recorded=False
    )
    resume: bool = _option(
        False,
        "go on with the earlier run in the output folder, from its last snapshot; start anew if there is none",
        OURS,
        OUTPUT,
        recorded=False,
    )
    image_format: str = _option("jpg", "of the pictures written", MXNET, OUTPUT, choices=tuple(WRITTEN))
    bit_depth: int = _option(
        8,
        "bits a channel of the pictures written: 8, or 16 in " + " and ".join(able_to_hold(bit_depth=16)),
        OURS,
        OUTPUT,
        at_least=8,
        at_most=16,
        metavar="8|16",
    )

    def __post_init__(self) -> None:
        """Check every value, and convert paths given as text."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None:
                value = self._default(field.name)
            object.__setattr__(self, field.name, _checked(flag(field.name), field.type, value, option(field)))
        if self.content_weight == 0 and self.style_weight == 0:
            raise OptionError("--content-weight and --style-weight are both 0: raise one of them")
        styles = 1 + len(self.blend_style)
        if self.style_mask and styles > 1 and len(self.style_mask) != styles:
            raise OptionError(
                f"--style-mask is given {len(self.style_mask)} times for {styles} styles: give one for each, "
                "the style image's first, then those of --blend-style in their order"
            )
        self._check_terms()
        if self.device is not None and not re.fullmatch(r"cpu|mps|cuda(:(0|[1-9][0-9]{0,2}))?", self.device):
            raise OptionError(f"--device must be cpu, cuda, cuda:N or mps, not {self.device!r}")
        if self.gpu is not None and self.device is not None:
            raise OptionError("--gpu and --device both name a device: leave one of them out")
        self._check_format()
        if self.overwrite and self.resume:
            raise OptionError("--overwrite and --resume contradict each other: leave one of them out")

    def _check_format(self) -> None:
        """Check that the format of the pictures written can hold them."""
        form = WRITTEN[self.image_format]
        if self.bit_depth not in form.bit_depths:
            raise OptionError(
                f"--bit-depth {self.bit_depth} is not to be had in {form.name}; 16 is, "
                f"with --image-format {' or '.join(able_to_hold(bit_depth=16))}",
                flag="--bit-depth",
                kind=Kind.UNSUPPORTED,
            )
        name, edge = "--max-long-edge", self.max_long_edge
        if self.size is not None:
            name, edge = "--size", max(parse_size(self.size))
        if not form.can_hold(edge, self.bit_depth):
            raise OptionError(
                f"{name} makes a picture with an edge of {edge} pixels, {form.name} has at most {form.longest_edge}; "
                f"lower it, or choose --image-format {' or '.join(able_to_hold(edge, self.bit_depth))}",
                flag=name,
                kind=Kind.OUT_OF_RANGE,
            )

    def descent_settings(self) -> dict[str, Any]:
        """Return those settings that `descend` takes, by its names for them."""
        return {
            "optimizer": self.optimizer,
            "lr": self.lr,
            "lr_sched_delay": self.lr_sched_delay,
            "lr_sched_factor": self.lr_sched_factor,
            "stop_eps": self.stop_eps,
            "max_num_epochs": self.max_num_epochs,
            "on_divergence": self.on_divergence,
        }

    def _default(self, name: str) -> Any:
        """Return a setting's value where the user names none; it may depend on settings that stand before it."""
        if name == "lr":
            return LEARNING_RATES[self.optimizer]
        if name == "init" and self.size is not None:
            return "noise"  # a texture has no content
        if name == "style_layers" and (self.model != "vgg19" or self.style_loss != "gram"):
            return None
        return PRESETS[self.preset].get(name)

    def _check_terms(self) -> None:
        """Check what the terms of the objective are of."""
        where(self.model)
        for name in ("content_layers", "style_layers"):
            if (text := getattr(self, name)) is not None:
                layers = parse_layers(flag(name), text)
                if self.model == "vgg19":
                    check_layers(flag(name), layers, VGG19_LAYERS)
        if self.size is not None:
            parse_size(self.size)
            if self.content_weight > 0:
                raise OptionError("--size is a texture's, painted of the style alone: add --content-weight 0")
            if self.mask or self.style_mask or self.preserve_colors != "none":
                raise OptionError(
                    "--mask, --style-mask and --preserve-colors need a content picture, --size paints without: "
                    "leave one of them out"
                )
            if self.init in ("content", "recolored"):
                raise OptionError(
                    f"--init {self.init} needs a content picture, --size paints without: leave one of them out"
                )


def parse_size(text: str) -> tuple[int, int]:
    """Read "256x192" as (width, height).

    Raises:
        OptionError: it is something else, or an edge is out of range.

    """
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if not match or not all(SHORTEST_EDGE <= int(edge) <= LONGEST_EDGE for edge in match.groups()):
        raise OptionError(
            f"--size must be WxH, two whole numbers from {SHORTEST_EDGE} to {LONGEST_EDGE}, 256x192; not {text!r}"
        )
    width, height = match.groups()
    return int(width), int(height)
