"""Settings that have no effect beside others: a user who gives one of them expects something that will not happen."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.settings.config import Config
from nstyle.settings.options import flag
from nstyle.settings.presets import PRESETS
from nstyle.settings.scales import GRAIN_EDGE


@dataclass(frozen=True)
class Idle:
    """Settings without effect, and when.

    Attributes:
        settings: their names.
        when: tells whether they have no effect beside these other settings.
        because: the reason, for people. Names of settings in braces stand for their values.

    """

    settings: tuple[str, ...]
    when: Callable[[Config], bool]
    because: str


def _has_one_scale(config: Config) -> bool:
    scales = STYLE_LOSSES[config.style_loss].scales if config.scales is None else config.scales
    return scales == 1 and config.coarsest_edge is None and config.preview_edge is None


def _is_below_coarsest(config: Config) -> bool:
    """Tell whether `coarsest_edge` is too large for a second scale; see `painting.sizes.coarse_edges`."""
    least = (config.coarsest_edge or 0) * config.scale_factor**0.5
    return config.preview_edge is None and least > config.long_edge * config.enlargement


def _has_grain(config: Config) -> bool:
    return config.grain > 0 and _has_scales(config) and not _is_too_small_for_grain(config)


def _has_scales(config: Config) -> bool:
    return not _has_one_scale(config) and not _is_below_coarsest(config)


def _is_too_small_for_grain(config: Config) -> bool:
    return _has_scales(config) and round(config.long_edge * config.enlargement) < GRAIN_EDGE


def _most_epochs(config: Config) -> int:
    epochs = config.max_num_epochs
    return epochs if isinstance(epochs, int) else max(epochs)


OF_THE_OPTIMIZER = (
    *("preset", "strength", "unrealness", "grey"),
    *("style_image", "style_crop", "style_scale", "style_fit", "blend_style", "style_mask"),
    *("content_weight", "style_weight", "tv_weight", "init", "details", "grain", "seed"),
    *("content_layers", "style_layers", "style_loss", "range_weight", "balance", "pooling", "padding"),
    *("scales", "scale_factor", "coarsest_edge", "preview_edge", "supersampling", "stop_after"),
    *("stop_eps", "optimizer", "lr", "lr_sched_delay", "lr_sched_factor", "image_range", "on_divergence"),
    *("model", "weights", "weights_input", "precision", "convolution", "save_epochs", "remove_noise"),
)
"""Settings of what a painter does without if it paints in one pass."""


def _is_on_gpu(config: Config) -> bool:
    return (config.gpu is not None and config.gpu >= 0) or config.device not in (None, "cpu")


IDLE = (
    Idle(
        OF_THE_OPTIMIZER,
        lambda config: config.in_one_pass,
        "--painter paints in one pass; add --max-num-epochs to go on from there",
    ),
    Idle(
        ("init",),
        lambda config: config.painter is not None and not config.in_one_pass,
        "the start is what the --painter paints",
    ),
    Idle(
        ("seed",),
        lambda config: config.painter is not None and not config.in_one_pass and not _has_grain(config),
        "the start is what the --painter paints",
    ),
    Idle(
        ("seed",),
        lambda config: config.painter is None and config.init != "noise" and not _has_grain(config),
        "--init {init} starts without noise",
    ),
    Idle(
        ("scale_factor", "details", "grain"),
        lambda config: _has_one_scale(config) and not config.in_one_pass,
        "the picture is painted in a single scale; add --scales",
    ),
    Idle(
        ("scale_factor", "details", "grain"),
        lambda config: _is_below_coarsest(config) and not config.in_one_pass,
        "the picture is painted in a single scale, because --coarsest-edge is {coarsest_edge}",
    ),
    Idle(
        ("coarsest_edge",),
        lambda config: (
            _is_below_coarsest(config)
            and not config.in_one_pass
            and PRESETS[config.preset]["coarsest_edge"] is None  # else it replaces the preset's
        ),
        "the picture is too small for a second scale, and painted in one anyway",
    ),
    Idle(
        ("grain",),
        lambda config: _is_too_small_for_grain(config) and not config.in_one_pass,
        f"the longer edge of what is painted has less than {GRAIN_EDGE} pixels",
    ),
    Idle(
        ("scales",),
        lambda config: config.scales == "auto" and config.coarsest_edge is not None and not config.in_one_pass,
        "--coarsest-edge decides how many there are",
    ),
    Idle(
        ("lr_sched_delay", "lr_sched_factor"),
        lambda config: _most_epochs(config) - 2 < config.lr_sched_delay and not config.in_one_pass,
        "the epochs of each scale end before the learning rate is lowered",
    ),
    Idle(
        ("preview_edge",),
        lambda config: config.size is None and (config.preview_edge or 0) >= config.max_long_edge,
        "the picture is not larger: --max-long-edge is {max_long_edge}",
    ),
    Idle(("content_layers",), lambda config: config.content_weight == 0, "--content-weight is 0"),
    Idle(
        ("style_layers", "style_loss", "blend_style", "style_mask"),
        lambda config: config.style_weight == 0,
        "--style-weight is 0",
    ),
    Idle(
        ("style_crop",),
        lambda config: (
            config.style_weight == 0 and config.init not in ("style", "recolored") and config.grey == "free"
        ),
        "--style-weight is 0",
    ),
    Idle(
        ("style_fit",),
        lambda config: config.size is not None and config.style_fit in ("stretch", "area"),
        "the style picture of a texture keeps its aspect ratio",
    ),
    Idle(("content_image",), lambda config: config.size is not None, "--size paints a texture from the style alone"),
    Idle(
        ("weights_input",),
        lambda config: not config.in_one_pass and (config.weights == "embedded" or config.model == "filters"),
        "no weights are read from a file; add --weights",
    ),
    Idle(
        ("convolution",),
        lambda config: config.model == "filters" and not config.in_one_pass,
        "--model filters has no such convolutions",
    ),
    Idle(
        ("convolution",),
        lambda config: (
            config.model != "filters"
            and not config.in_one_pass
            and (_is_on_gpu(config) or config.precision == "bfloat16")
        ),
        "it is for a CPU in float32",
    ),
)
"""All settings that have no effect beside others, as far as the settings alone tell."""


def without_effect(given: Collection[str], configs: Sequence[Config]) -> list[str]:
    """Return a sentence for each setting that the user gave and that has no effect in any of the paintings.

    Args:
        given: names of the settings that the user gave, not those of a preset or a recipe.
        configs: all settings of each painting.

    """
    return [
        f"{flag(name)} has no effect: {idle.because.format(**vars(configs[0]))}"
        for idle in IDLE
        for name in idle.settings
        if name in given and all(map(idle.when, configs))
    ]
