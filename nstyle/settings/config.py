"""All settings of one painting, checked. They are declared in `groups` and `scales`, a class for each group.

The command's flags and `--help` are made from them, and the keyword arguments of `nstyle.stylize` are these.
"""

import dataclasses
import re
from dataclasses import InitVar, dataclass
from typing import Any

from nstyle.errors import Kind, OptionError
from nstyle.networks.layers import VGG19_LAYERS, check_layers, parse_layers
from nstyle.networks.registry import where
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.pictures.formats import WRITTEN, able_to_hold
from nstyle.pictures.limits import LONGEST_EDGE, SHORTEST_EDGE
from nstyle.settings.groups import (
    STARTS_FROM_CONTENT,
    Controls,
    Machine,
    Output,
    Painting,
    Pictures,
    Preset,
)
from nstyle.settings.method import Descent, Terms
from nstyle.settings.options import checked, default_of, flag, is_default, option
from nstyle.settings.presets import PRESETS
from nstyle.settings.scales import Scales


@dataclass(frozen=True)
class Config(Output, Machine, Descent, Scales, Terms, Painting, Controls, Preset, Pictures):
    """All settings of one painting, checked and complete.

    A setting that is left open (None) gets a default that may depend on others: on the preset, on the optimizer. Such
    a value is marked, so that `dataclasses.replace(config, optimizer="lbfgs")` has that optimizer's learning rate.

    Args:
        is_replaced: set by `dataclasses.replace`, which hands over all values of another `Config`: of these, the
            marked ones are still open. In a value that is given in any other way a mark means nothing.

    Raises:
        OptionError: a value is of the wrong type or out of range; the message names the flag.

    """

    is_replaced: InitVar[bool] = False

    def __post_init__(self, is_replaced: bool) -> None:
        """Check every value, convert paths given as text, and fill in what is left open."""
        object.__setattr__(self, "is_replaced", True)  # what `dataclasses.replace` hands over
        left_open = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (value is None and field.default is None) or (is_replaced and is_default(value)):
                left_open.append(field)
            else:
                object.__setattr__(self, field.name, checked(flag(field.name), field.type, value, option(field)))
        # The learning rate comes last: it depends on the optimizer, which a preset may choose.
        for field in sorted(left_open, key=lambda field: field.name == "lr"):
            value = checked(flag(field.name), field.type, self._default(field.name), option(field))
            object.__setattr__(self, field.name, default_of(value))
        self._check_weights()
        self._check_styles()
        self._check_terms()
        self._check_texture()
        self._check_scales()
        self._check_device()
        self._check_output()

    def _default(self, name: str) -> Any:
        """Return the value of a setting that is left open."""
        if name == "lr":
            return OPTIMIZERS[self.optimizer].learning_rate
        if name == "coarsest_edge" and self.scales is not None:
            return None  # the user's scales count more than a preset's coarsest edge
        if name == "init" and self.size is not None:
            return "noise"  # a texture has no content
        return PRESETS[self.preset].get(name)

    def descent_settings(self) -> dict[str, Any]:
        """Return the settings that `optim.descent.descend` takes at every scale, by its names for them.

        `max_num_epochs` is not among them: each scale has its own, see `scales.epochs_at_scales`.
        """
        names = (
            "optimizer",
            "lr",
            "lr_sched_delay",
            "lr_sched_factor",
            "stop_eps",
            "on_divergence",
        )
        return {name: getattr(self, name) for name in names}

    def _check_weights(self) -> None:
        """Check that a weight is left, and that there is something to balance if a balance is asked for."""
        if self.content_weight == 0 and self.style_weight == 0:
            raise _conflict("content_weight", "--content-weight and --style-weight are both 0: raise one of them")
        if self.strength != Preset.strength and 0 in (self.content_weight, self.style_weight):
            raise _conflict(
                "strength",
                "--strength balances content against style, and one of them has weight 0: leave it out",
            )

    def _check_styles(self) -> None:
        """Check that there is a mask for each style."""
        styles = 1 + len(self.blend_style)
        if self.style_mask and styles > 1 and len(self.style_mask) != styles:
            raise _conflict(
                "style_mask",
                f"--style-mask is given {len(self.style_mask)} times for {styles} styles: give one for each, "
                "the style image's first, then those of --blend-style in their order",
            )

    def _check_terms(self) -> None:
        """Check the names of the network and of its layers."""
        where(self.model)
        for name in ("content_layers", "style_layers"):
            if (text := getattr(self, name)) is not None:
                layers = parse_layers(flag(name), text)
                if self.model == Machine.model:
                    check_layers(flag(name), layers, VGG19_LAYERS)

    def _check_texture(self) -> None:
        """Check that nothing needs a content picture if a texture is painted, which has none."""
        if self.size is None:
            return
        parse_size(self.size)
        if self.content_weight > 0:
            raise _conflict("size", "--size is a texture's, painted of the style alone: add --content-weight 0")
        if self.mask or self.style_mask or self.preserve_colors != "none":
            raise _conflict(
                "size",
                "--mask, --style-mask and --preserve-colors need a content picture, --size paints without: "
                "leave one of them out",
            )
        if self.init in STARTS_FROM_CONTENT:
            raise _conflict(
                "init", f"--init {self.init} needs a content picture, --size paints without: leave one of them out"
            )

    def _check_scales(self) -> None:
        """Check that what the number of scales follows from is named once."""
        if self.preview_edge is not None and self.size is not None:
            raise _conflict(
                "preview_edge", "--preview-edge needs a content picture, --size paints without: leave it out"
            )
        if self.coarsest_edge is not None and isinstance(self.scales, int):
            raise _conflict(
                "coarsest_edge",
                f"--scales {self.scales} and --coarsest-edge both say how many scales there are: leave one out",
            )

    def _check_device(self) -> None:
        """Check that a device is named once, in PyTorch's words."""
        if self.device is not None and not re.fullmatch(r"cpu|mps|cuda(:(0|[1-9][0-9]{0,2}))?", self.device):
            raise OptionError(
                f"--device must be cpu, cuda, cuda:N or mps, not {self.device!r}", flag="--device", kind=Kind.UNKNOWN
            )
        if self.gpu is not None and self.device is not None:
            raise _conflict("gpu", "--gpu and --device both name a device: leave one of them out")

    def _check_output(self) -> None:
        """Check that the format can hold the picture, and that what becomes of an earlier run is clear."""
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
        if self.overwrite and self.resume:
            raise _conflict("overwrite", "--overwrite and --resume contradict each other: leave one of them out")


def _conflict(name: str, message: str) -> OptionError:
    """Return the error that says that two settings exclude each other."""
    return OptionError(message, flag=flag(name), kind=Kind.CONFLICT)


def parse_size(text: str) -> tuple[int, int]:
    """Read "256x192" as (width, height).

    Raises:
        OptionError: it is something else, or an edge is out of range.

    """
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if not match or not all(SHORTEST_EDGE <= int(edge) <= LONGEST_EDGE for edge in match.groups()):
        raise OptionError(
            f"--size must be WxH, two whole numbers from {SHORTEST_EDGE} to {LONGEST_EDGE}, 256x192; not {text!r}",
            flag="--size",
            kind=Kind.OUT_OF_RANGE,
        )
    width, height = match.groups()
    return int(width), int(height)
