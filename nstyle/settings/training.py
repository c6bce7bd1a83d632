"""The settings of a training: which generator learns what, and for how long."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OptionError, WeightsError
from nstyle.pictures.limits import LONGEST_EDGE
from nstyle.settings.config import Config
from nstyle.settings.groups import EVERYDAY, SAMPLES, Controls, Machine, Painting, Pictures, Preset
from nstyle.settings.method import Terms
from nstyle.settings.options import MXNET, OURS, checked, flag, option, setting
from nstyle.settings.painters import ENDING, find_painter

FOLDER_ENDING = ".training"
"""Ending of the folder beside it, with the record, the state and the paintings of the training."""

LEARNING, WATCHING = "how the painter learns", "saving and watching"

GENERATORS = {
    "johnson": "the network of Johnson, Alahi and Fei-Fei",
    "small": "a small one that learns quickly",
    "boosted": "MXNet's chain of four",
}
"""The kinds of generators, in a few words."""

MOST_WIDTH = 128
"""Largest width of a generator: four times that of Johnson's network as published."""

GENERATOR = "johnson"
"""The kind if neither a kind nor a painter to start from is given."""

STEPS = 20_000
"""Number of steps if neither steps nor minutes are given."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "width": {"johnson": 16, "small": 8, "boosted": 64},
    "crop_edge": {"johnson": 128, "small": 128, "boosted": 384},
    "batch_size": {"johnson": 2, "small": 2, "boosted": 1},
    "lr": {"johnson": 0.01, "small": 0.01, "boosted": 0.0001},
}
"""Defaults that depend on the generator. Those of "boosted" are MXNet's (example/neural-style/end_to_end)."""

OBJECTIVE_DEFAULTS: dict[str, Any] = {"precision": "auto", "convolution": "winograd"}
"""Defaults of a training that are not those of a painting: it needs speed, not MXNet's bits."""

STYLE_WEIGHT_OF_BOOSTED = 1.2
"""MXNet's style weight for its chain of generators."""

_NOT_LEARNED = frozenset(
    {"content_image", "style_image", "max_long_edge", "size", "seamless", "mask", "style_mask"}
    | {"preserve_colors", "grey", "init", "details", "grain", "seed", "max_memory", "painter"}
)

OF_THE_OBJECTIVE = tuple(
    field.name
    for group in (Pictures, Preset, Controls, Painting, Terms, Machine)
    for field in fields(group)
    if field.name not in _NOT_LEARNED
)
"""Names of the settings of a painting that are flags of `nstyle-train`, too: they say what the painter learns."""


def _default_words(name: str) -> str:
    """Return the default of each generator in words: "16; small: 8; boosted: 64"."""
    (_, usual), *others = DEFAULTS[name].items()
    return "; ".join([f"{usual:g}", *(f"{kind}: {value:g}" for kind, value in others if value != usual)])


@dataclass(frozen=True)
class Training:
    """The settings of a training that are not settings of a painting, checked and complete.

    Raises:
        OptionError: a value has the wrong type or is out of range, or two values conflict; `flag` names the flag.

    """

    output: Path = setting(
        None, f"file for the painter, such as models/oil{ENDING}", OURS, EVERYDAY, metavar=f"PATH{ENDING}"
    )
    style_image: Path = setting(
        (SAMPLES / "vortices.jpg").resolve(),
        "the picture whose style to learn",
        OURS,
        EVERYDAY,
        default_words="a sample",
        metavar="PATH",
    )
    generator: str | None = setting(
        None,
        "; ".join(f"{name}: {words}" for name, words in GENERATORS.items()),
        OURS,
        EVERYDAY,
        default_words=GENERATOR,
        choices=tuple(GENERATORS),
    )
    max_long_edge: int = setting(
        256,
        "longer edge, in pixels, of the paintings from which the painter learns: a larger one has larger strokes",
        OURS,
        EVERYDAY,
        at_least=32,
        at_most=LONGEST_EDGE,
        metavar="PIXELS",
    )
    steps: int | None = setting(
        None,
        "number of steps; more paint better",
        OURS,
        EVERYDAY,
        default_words=f"{STEPS}, unless --minutes is given",
        at_least=1,
        at_most=10**9,
        metavar="N",
    )
    minutes: float | None = setting(
        None,
        "instead of --steps: as many as take about this long, by the time of the first ones",
        OURS,
        EVERYDAY,
        above=0,
        at_most=10**6,
        metavar="M",
    )
    width: int | None = setting(
        None,
        "number of channels of the generator's first layer; its size and its part of the time grow with the square",
        OURS,
        LEARNING,
        default_words=_default_words("width"),
        at_least=1,
        at_most=MOST_WIDTH,
        metavar="N",
    )
    crop_edge: int | None = setting(
        None,
        "edge of a square with as many pixels as a crop. Crops have the shape of their photos; boosted: squares",
        MXNET,
        LEARNING,
        default_words=_default_words("crop_edge"),
        at_least=32,
        at_most=4096,
        metavar="PIXELS",
    )
    batch_size: int | None = setting(
        None,
        "number of crops in a step",
        MXNET,
        LEARNING,
        default_words=_default_words("batch_size"),
        at_least=1,
        at_most=1024,
        metavar="N",
    )
    lr: float | None = setting(
        None,
        "highest learning rate: it rises to this and falls again. boosted: constant",
        MXNET,
        LEARNING,
        default_words=_default_words("lr"),
        above=0,
        at_most=100,
        metavar="RATE",
    )
    stability: float = setting(
        0.0,
        "for films: how much it counts if the same photo with noise, cut elsewhere, is painted differently; try 10",
        OURS,
        LEARNING,
        at_least=0,
        at_most=10**6,
        metavar="W",
    )
    start_from: Path | None = setting(
        None,
        "a painter to start from, even one of another style: its file, or the name of one that comes along; its "
        "generator and width are used",
        OURS,
        LEARNING,
        metavar="PATH",
    )
    seed: int = setting(
        0,
        "seed of the first weights and of the crops; the same seed repeats the painter on the same machine",
        OURS,
        LEARNING,
        at_least=0,
        at_most=2**63 - 1,
        metavar="N",
    )
    validation_photo: Path = setting(
        (SAMPLES / "chelsea.jpg").resolve(),
        "the photo that is painted whenever the painter is saved; --style-fit resizes the style for this painting",
        OURS,
        WATCHING,
        default_words="a sample",
        metavar="PATH",
    )
    save_steps: int = setting(
        500, "steps after which the painter is saved again", OURS, WATCHING, at_least=1, metavar="N"
    )
    overwrite: bool = setting(
        False, "replace another painter and its training; never files that are not nstyle's", OURS, WATCHING
    )

    def __post_init__(self) -> None:
        """Check every value, convert text to paths, and fill in defaults."""
        if self.output is None:
            raise OptionError(
                f"--output is missing; name a file for the painter: --output models/oil{ENDING}",
                flag="--output",
                kind=Kind.MISSING,
            )
        if self.start_from is not None:
            with suppress(WeightsError):  # a file that is not there is refused when it is read
                object.__setattr__(self, "start_from", find_painter(str(self.start_from)))
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, checked(flag(field.name), field.type, value, option(field)))
        if self.output.suffix != ENDING:
            raise OptionError(
                f"--output must end in {ENDING}, not {self.output.name!r}: write {self.output.stem}{ENDING}",
                flag="--output",
                kind=Kind.UNSUPPORTED,
            )
        if self.steps is not None and self.minutes is not None:
            raise OptionError(
                "--steps and --minutes both set the number of steps: leave one of them out",
                flag="--minutes",
                kind=Kind.CONFLICT,
            )
        if self.start_from is not None and (self.width, self.generator) != (None, None):
            raise OptionError(
                "--start-from uses the generator of that painter: leave --generator and --width out",
                flag="--start-from",
                kind=Kind.CONFLICT,
            )
        if self.start_from is not None and self.start_from.resolve() == self.output.resolve():
            raise OptionError(
                "--start-from and --output name the same file; choose another --output",
                flag="--start-from",
                kind=Kind.CONFLICT,
            )

    def value(self, name: str, kind: str) -> Any:
        """Return a setting whose default depends on the generator; `kind` is that of the generator."""
        given = getattr(self, name)
        return DEFAULTS[name][kind] if given is None else given

    @property
    def folder(self) -> Path:
        """The folder of the training, beside the painter's file."""
        return self.output.with_suffix(FOLDER_ENDING)

    def painting(self, given: Mapping[str, Any], kind: str | None = None) -> Config:
        """Return the settings of a painting that has the objective of the training, and the validation photo.

        Args:
            given: values of settings in `OF_THE_OBJECTIVE`; the others get their defaults.
            kind: that of the generator, if it is the one of the painter to start from.

        Raises:
            OptionError: see `Config`.

        """
        defaults = {**OBJECTIVE_DEFAULTS}
        sets_weights = given.get("unrealness") is not None or given.get("preset") not in (None, "reference")
        if (kind or self.generator) == "boosted" and not sets_weights:
            defaults["style_weight"] = STYLE_WEIGHT_OF_BOOSTED
        return Config(
            **{**defaults, **given},
            content_image=self.validation_photo,
            style_image=self.style_image,
            max_long_edge=self.max_long_edge,
            seed=self.seed,
            init="content",
            optimizer="adam",  # it follows the gradient that is not clipped
            scales=1,
            supersampling=1,
            max_num_epochs=self.steps or STEPS,
            save_epochs=self.save_steps,
            output_dir=self.folder,
        )
