"""All settings of one painting, checked. `groups` and `scales` declare them, with one class for each group.

The command's flags, `--help` and the keyword arguments of `nstyle.stylize` all come from these declarations.
"""

import dataclasses
import math
import re
from contextlib import suppress
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OptionError, WeightsError
from nstyle.networks.layers import VGG19_LAYERS, check_layers, parse_layers
from nstyle.networks.registry import where
from nstyle.networks.weights_files import EMBEDDED, TORCHVISION, find_weights
from nstyle.optim.catalog import OPTIMIZERS
from nstyle.pictures.formats import WRITTEN, able_to_hold
from nstyle.pictures.limits import LONGEST_EDGE, SHORTEST_EDGE
from nstyle.settings.groups import (
    STARTS,
    STARTS_FROM_CONTENT,
    WHOLE_STYLE,
    Controls,
    Machine,
    Output,
    Painting,
    Pictures,
    Preset,
)
from nstyle.settings.method import Descent, Terms
from nstyle.settings.options import checked, default_of, flag, is_default, option
from nstyle.settings.painters import find_painter, painter_names
from nstyle.settings.presets import PRESETS, unreal_weights
from nstyle.settings.scales import Scales
from nstyle.settings.style_crop import parse_crop
from nstyle.wording import counted


@dataclass(frozen=True)
class Config(Output, Machine, Descent, Scales, Terms, Painting, Controls, Preset, Pictures):
    """All settings of one painting, checked and complete.

    A setting of None gets a default, which may depend on other settings, such as the preset or the optimizer. Default
    values are marked, so `dataclasses.replace(config, optimizer="lbfgs")` uses the learning rate of L-BFGS.

    Args:
        is_replaced: set by `dataclasses.replace`, which passes all values of another `Config`. Marked values then get
            new defaults. Otherwise a marked value counts as given by the user.

    Raises:
        OptionError: a value has the wrong type or is out of range, or two values conflict; `flag` names the flag.

    """

    is_replaced: InitVar[bool] = False

    def __post_init__(self, is_replaced: bool) -> None:
        """Check every value, convert text to paths, and fill in defaults."""
        object.__setattr__(self, "is_replaced", True)  # `dataclasses.replace` passes this on
        left_open = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (value is None and field.default is None) or (is_replaced and is_default(value)):
                left_open.append(field)
            else:
                object.__setattr__(self, field.name, checked(flag(field.name), field.type, value, option(field)))
        # The learning rate comes last, because it depends on the optimizer, which a preset may set.
        for field in sorted(left_open, key=lambda field: field.name == "lr"):
            value = checked(flag(field.name), field.type, self._default(field.name), option(field))
            object.__setattr__(self, field.name, default_of(value))
        if self.in_one_pass:  # painters compute in float32
            object.__setattr__(self, "precision", default_of("float32"))
        self._make_absolute()
        self._check_epochs()
        self._check_weights()
        self._check_styles()
        self._check_terms()
        self._check_texture()
        self._check_scales()
        self._check_device()
        self._check_output()

    def _make_absolute(self) -> None:
        """Make the paths absolute that settings hold as text, so that they mean the same in every working folder.

        Settings of the type `Path` already are. A name of weights that is no file stays, for the network to explain.
        """
        if self.init not in STARTS:
            object.__setattr__(self, "init", str(Path(self.init).absolute()))
        if self.weights not in (EMBEDDED, TORCHVISION):
            with suppress(WeightsError):
                object.__setattr__(self, "weights", str(find_weights(self.weights).absolute()))
        if self.painter is not None and self.painter not in painter_names():
            with suppress(WeightsError):
                object.__setattr__(self, "painter", str(find_painter(self.painter).absolute()))
        pairs = (
            (region, part if part == WHOLE_STYLE else str(Path(part).absolute())) for region, part in self.style_mask
        )
        object.__setattr__(self, "style_mask", tuple(pairs))

    def _default(self, name: str) -> Any:
        """Return the default of a setting that the user did not give."""
        if name == "lr":
            return OPTIMIZERS[self.optimizer].learning_rate
        if name == "coarsest_edge" and self.scales is not None:
            return None  # the user's scales override a preset's coarsest edge
        if name == "scales" and self.coarsest_edge is not None:
            return None  # and the user's coarsest edge a painter's single scale
        if name == "style_layers" and not self._has_preset_layers:
            return None
        if name == "init" and self.size is not None:
            return "noise"  # a texture has no content
        if self.painter is not None and name in WITH_PAINTER:
            return WITH_PAINTER[name]
        if self.unrealness is not None:
            if name == "balance":
                preset = PRESETS[self.preset]["balance"]
                return "relative" if preset == "absolute" else preset
            if name in ("content_weight", "style_weight"):
                given = self._given("content_weight"), self._given("style_weight")
                content, style = unreal_weights(self.unrealness, given, self.preset)
                return content if name == "content_weight" else style
        return PRESETS[self.preset].get(name)

    @property
    def _has_preset_layers(self) -> bool:
        """Whether the network and the style loss are those for which a preset chooses the layers."""
        style_loss = PRESETS[self.preset]["style_loss"]
        return self.model == Machine.model and self._given("style_loss") in (None, style_loss)

    def _given(self, name: str) -> Any:
        """Return the value of a setting that the user gave; None if it is left open."""
        value = getattr(self, name)
        return None if is_default(value) else value

    def descent_settings(self) -> dict[str, Any]:
        """Return the keyword arguments of `optim.descent.descend` that are the same at every scale.

        `max_num_epochs` is not included: it differs by scale, see `scales.epochs_at_scales`.
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

    @property
    def in_one_pass(self) -> bool:
        """Whether a painter paints the picture alone, without an optimizer and a style picture."""
        return self.painter is not None and self.max_num_epochs == 0

    @property
    def long_edge(self) -> int:
        """Longer edge of the picture for display, in pixels, as the settings ask for it."""
        return self.max_long_edge if self.size is None else max(parse_size(self.size))

    @property
    def enlargement(self) -> float:
        """How many times as large the picture is painted: `supersampling`.

        A painter alone paints in the size for which it was trained.
        """
        return 1.0 if self.in_one_pass else self.supersampling

    @property
    def memory_limit(self) -> int | None:
        """`max_memory` in bytes; None: no limit but what is free."""
        return None if self.max_memory is None else parse_memory(self.max_memory)

    def _check_epochs(self) -> None:
        """Check that there are epochs, unless a painter does without, and that a painter has a content picture."""
        numbers = (self.max_num_epochs,) if isinstance(self.max_num_epochs, int) else self.max_num_epochs
        if 0 in numbers and not self.in_one_pass:
            raise OptionError(
                "--max-num-epochs must be a whole number, at least 1 unless a --painter paints alone, not "
                f"{','.join(map(str, numbers))}",
                flag="--max-num-epochs",
                kind=Kind.OUT_OF_RANGE,
            )
        if self.painter is not None and self.size is not None:
            raise _conflict(
                "painter", "--painter paints a content picture, but --size paints without one: leave one of them out"
            )
        if self.in_one_pass and self.seamless:
            raise _conflict("seamless", "--painter makes no picture that tiles: leave --seamless out")

    def _check_weights(self) -> None:
        """Check that one of the two weights is positive, and both if `strength` or `unrealness` balances them."""
        self._check_unrealness()
        if self.content_weight == 0 and self.style_weight == 0:
            raise _conflict("content_weight", "--content-weight and --style-weight are both 0: raise one of them")
        if self.strength != Preset.strength and 0 in (self.content_weight, self.style_weight):
            raise _conflict(
                "strength",
                "--strength balances content against style, but one of the two weights is 0: leave --strength out",
            )

    def _check_unrealness(self) -> None:
        """Check that nothing else sets the ratio of the two weights if `unrealness` does."""
        if self.unrealness is None:
            return
        if 0 in (self.content_weight, self.style_weight):
            raise _conflict(
                "unrealness",
                "--unrealness balances content against style, but one of the two weights is 0: leave one of them out",
            )
        if self.strength != Preset.strength:
            raise _conflict(
                "unrealness", "--unrealness and --strength both balance content against style: leave one of them out"
            )
        if self.balance == "absolute":
            raise _conflict(
                "unrealness",
                "--unrealness is about relative losses, but --balance is absolute: leave one of them out",
            )
        # Rounded: a recipe holds the weights, too.
        if not math.isclose(self.style_weight, self.content_weight * 10**self.unrealness, rel_tol=1e-6):
            raise _conflict(
                "unrealness",
                f"--unrealness {self.unrealness:g} contradicts --content-weight {self.content_weight:g} and "
                f"--style-weight {self.style_weight:g}: leave one of the three out",
            )

    def _check_styles(self) -> None:
        """Check the crop, and that several styles have one mask each, or none."""
        if self.style_crop is not None:
            parse_crop(self.style_crop)
        styles = 1 + len(self.blend_style)
        if self.style_mask and styles > 1 and len(self.style_mask) != styles:
            raise _conflict(
                "style_mask",
                f"--style-mask is given {counted(len(self.style_mask), 'time')} for {styles} styles: "
                "give one for each style, first for --style-image, then for each --blend-style in order",
            )

    def _check_terms(self) -> None:
        """Check the names of the network and its layers."""
        where(self.model)
        for name in ("content_layers", "style_layers"):
            if (text := getattr(self, name)) is not None:
                layers = parse_layers(flag(name), text)
                if self.model == Machine.model:
                    check_layers(flag(name), layers, VGG19_LAYERS)

    def _check_texture(self) -> None:
        """Check that no setting needs a content picture if `size` asks for a texture, which has none."""
        if self.size is None:
            return
        parse_size(self.size)
        if self.keep_metadata or self.keep_place:
            raise _conflict(
                "size",
                "--keep-metadata and --keep-place copy from a content picture, but --size paints without one: leave "
                "them out",
            )
        if self.content_weight > 0:
            raise _conflict("size", "--size paints a texture from the style alone: add --content-weight 0")
        if self.mask or self.style_mask or self.preserve_colors != "none":
            raise _conflict(
                "size",
                "--mask, --style-mask and --preserve-colors need a content picture, but --size paints without one: "
                "leave --size or the other flag out",
            )
        if self.init in STARTS_FROM_CONTENT:
            raise _conflict(
                "init",
                f"--init {self.init} needs a content picture, but --size paints without one: leave one of them out",
            )

    def _check_scales(self) -> None:
        """Check that only one setting determines the number of scales."""
        if self.preview_edge is not None and self.size is not None:
            raise _conflict(
                "preview_edge",
                "--preview-edge needs a content picture, but --size paints without one: leave --preview-edge out",
            )
        if self.coarsest_edge is not None and isinstance(self.scales, int):
            raise _conflict(
                "coarsest_edge",
                f"--scales {self.scales} and --coarsest-edge both set the number of scales: leave one out",
            )

    def _check_device(self) -> None:
        """Check that only one setting names the device, and that PyTorch knows such a name."""
        if self.device is not None and not re.fullmatch(r"cpu|mps|cuda(:(0|[1-9][0-9]{0,2}))?", self.device):
            raise OptionError(
                f"--device must be cpu, cuda, cuda:N or mps, not {self.device!r}", flag="--device", kind=Kind.UNKNOWN
            )
        if self.max_memory is not None:
            parse_memory(self.max_memory)
        if self.gpu is not None and self.device is not None:
            raise _conflict("gpu", "--gpu and --device both name a device: leave one of them out")

    def _check_output(self) -> None:
        """Check that the format supports size and bit depth, and that `overwrite` and `resume` are not both set."""
        form = WRITTEN[self.image_format]
        if self.bit_depth not in form.bit_depths:
            raise OptionError(
                f"{form.name} does not support --bit-depth {self.bit_depth}; "
                f"for 16 bits add --image-format {' or '.join(able_to_hold(bit_depth=16))}",
                flag="--bit-depth",
                kind=Kind.UNSUPPORTED,
            )
        name, edge = "--max-long-edge", self.max_long_edge
        if self.size is not None:
            name, edge = "--size", max(parse_size(self.size))
        if not form.can_hold(edge, self.bit_depth):
            raise OptionError(
                f"{name} asks for an edge of {edge} pixels, but {form.name} supports at most {form.longest_edge}; "
                f"lower it, or choose --image-format {' or '.join(able_to_hold(edge, self.bit_depth))}",
                flag=name,
                kind=Kind.OUT_OF_RANGE,
            )
        if self.overwrite and self.resume:
            raise _conflict("overwrite", "--overwrite and --resume contradict each other: leave one of them out")


WITH_PAINTER: dict[str, Any] = {
    "max_num_epochs": 0,
    "scales": 1,
    "coarsest_edge": None,
    "supersampling": 1,
    "stop_eps": 0,
}
"""Defaults beside `painter`, whatever the preset: it paints at the full size, and what follows only refines that."""


def _conflict(name: str, message: str) -> OptionError:
    """Return the error for settings that exclude each other; `name` is the setting at fault."""
    return OptionError(message, flag=flag(name), kind=Kind.CONFLICT)


def parse_size(text: str) -> tuple[int, int]:
    """Parse a size such as "256x192" into (width, height) in pixels.

    Raises:
        OptionError: the text has another form, or an edge is out of range.

    """
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if not match or not all(SHORTEST_EDGE <= int(edge) <= LONGEST_EDGE for edge in match.groups()):
        raise OptionError(
            f"--size must be WxH, such as 256x192, each from {SHORTEST_EDGE} to {LONGEST_EDGE} pixels; not {text!r}",
            flag="--size",
            kind=Kind.OUT_OF_RANGE,
        )
    width, height = match.groups()
    return int(width), int(height)


_MEMORY_UNITS = {"k": 1, "m": 2, "g": 3, "t": 4}
"""Letters of the units of memory, each with its power of 1000 (kB, MB ...), or of 1024 (KiB, MiB ...)."""


def parse_memory(text: str) -> int:
    """Parse an amount of memory such as "4GB", "1.5 GB", "750MB" or "2GiB" into bytes.

    The unit may be in lower case, and lack the B of a unit of 1000.

    Raises:
        OptionError: the text has another form, or is below 1 MB.

    """
    match = re.fullmatch(r"((?=[.]?[0-9])[0-9]{0,12}(?:[.][0-9]{0,12})?) ?([kmgt])(ib|b?)", text.strip().lower())
    if match is None:
        raise OptionError(
            f"--max-memory must be an amount of memory, such as 4GB, 750MB or 2GiB, not {text!r}",
            flag="--max-memory",
            kind=Kind.OUT_OF_RANGE,
        )
    size = round(float(match[1]) * (1024.0 if match[3] == "ib" else 1000.0) ** _MEMORY_UNITS[match[2]])
    if size < 10**6:
        raise OptionError(
            f"--max-memory must be at least 1MB, not {text}", flag="--max-memory", kind=Kind.OUT_OF_RANGE
        )
    return size
