"""From settings to all that a descent needs: pictures, network, objective, start; and from its images to pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nstyle.devices import memory_of
from nstyle.errors import DeviceError, ImageError, OptionError
from nstyle.files import sha256
from nstyle.losses.objective import Objective, Style, StyleTargets
from nstyle.networks.features import Features
from nstyle.networks.layers import check_layers, parse_layers
from nstyle.networks.model import Model, ModelOptions
from nstyle.networks.model_space import from_model_space, to_model_space
from nstyle.painting.finish import Finish
from nstyle.painting.session import Session
from nstyle.pictures.color_transfer import grey, luminance, recolor_style, recolored
from nstyle.pictures.decode import read_picture
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.masks import Mask, rounded, to_mask
from nstyle.pictures.picture import Alpha, Picture, Rgb, fit_long_edge, resize, resize_picture
from nstyle.pictures.style_fit import Frame, frame_style
from nstyle.settings.config import Config, parse_size
from nstyle.settings.options import flag

WHOLE_STYLE = "all"
"""As the part of a style picture that counts (`Config.style_mask`): all of it."""

STARTS = ("noise", "content", "style", "recolored")
"""What a painting may start from, besides a picture file."""

NOISE = 0.1
"""The reference starts from noise, uniform in (-0.1, 0.1), in model space."""

BYTES_PER_PIXEL = {torch.float32: 1900, torch.bfloat16: 1250}
"""Memory that a descent takes for each pixel of the painting, beside what it takes for any; measured on a CPU."""

GUIDED_BYTES_PER_PIXEL = 500
"""What is added to that where Gram matrices are guided by masks: a guided copy of a map at a time."""

STYLE_BYTES_PER_PIXEL = 600
"""Memory that it takes for each pixel of a style picture to compute its Gram matrices."""

MRF_SCALES = 3
"""Scales of a painting by patches, if the setting is silent; as many as Li and Wand have (CVPR 2016)."""

PREVIEW_EDGE = 256
"""Pixels: what the longer edge of the coarsest scale has at least, if the user leaves the number of scales open."""

COARSEST_EDGE = 48
"""Pixels: what those leave of the shorter edge, at least, for relu4_1 to have a few dozen patches."""


@dataclass(frozen=True)
class Prepared:
    """All that a descent needs, and what makes pictures of its images.

    Attributes:
        objective: what is descended.
        start: 1 x 3 x H x W, model space, on the device.
        finish: makes the picture for display of an image of the descent, smoothed by so much (see `denoise`).
        inputs: path and SHA-256 of each picture that was read, by the name of its setting.
        weights: where the network's are from: path, SHA-256, and whether they are the original ones.
        has_alpha: whether the pictures that `finish` makes are transparent anywhere.
        scales: in how many it is to be painted, coarse to fine; this is the finest.
        memory: bytes that the descent takes about, beside what it takes for any painting.

    """

    objective: Objective
    start: Tensor
    finish: Finish
    inputs: dict[str, dict[str, str]]
    weights: dict[str, Any]
    has_alpha: bool
    scales: int
    memory: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the painting."""
        _, _, height, width = self.start.shape
        return width, height


def prepare(config: Config, device: torch.device, precision: torch.dtype, session: Session | None = None) -> Prepared:
    """Read what the settings name, and make the objective and the start of it; what a session has, is taken from it.

    Raises:
        NStyleError: a file, or the memory, does not allow for it.

    """
    session = Session() if session is None else session
    pictures = {name: read_picture(path) for name, path in picture_paths(config).items()}
    inputs = hash_inputs(config)
    height, width = _working_size(config, pictures)
    scales = scale_count(config, (width, height))
    frames = _frame_styles(config, pictures, (height, width))
    loaded = session.load(config.model, model_options(config, device, precision))
    model = loaded.model
    content_layers = _chosen_layers("content_layers", config.content_layers, model.content_layers, model)
    own = model.mrf_layers if config.style_loss == "mrf" and model.mrf_layers else model.style_layers
    style_layers = _chosen_layers("style_layers", config.style_layers, own, model)
    memory = height * width * _bytes_per_pixel(config, model, precision)
    _check_memory(config, memory, frames, device)
    masks = _fit_masks(config, pictures, frames, (height, width))
    picture = _content_picture(config, pictures, height, width)
    rgb = picture.rgb
    finish = Finish(picture, config.preserve_colors, masks.get("mask"))
    framed = {
        name: session.style_picture((inputs[name]["sha256"], frame), partial(frame.picture, pictures[name]))
        for name, frame in frames.items()
    }
    style_rgbs = {
        name: recolor_style(config.preserve_colors, style.rgb, rgb, finish.where) for name, style in framed.items()
    }
    visible = {"content_image": picture.alpha} | {name: style.alpha for name, style in framed.items()}
    content = to_model_space(grey(luminance(rgb)) if config.preserve_colors == "luma" else rgb).to(device)
    styles = {name: to_model_space(style_rgb).to(device) for name, style_rgb in style_rgbs.items()}
    start = _start(config, pictures, content, style_rgbs["style_image"]).to(device)
    mask = _mask_tensor(masks.get("mask"), device)
    if mask is not None:
        start = mask * start + (1 - mask) * content
    features: StyleTargets | Features = loaded.targets
    if model.adapt is not None:
        shown = (content, styles["style_image"]) if config.size is None else (styles["style_image"],)
        features = model.adapt(shown)
    objective = Objective(
        features,
        content,
        _place_styles(config, styles, masks, visible, device),
        content_weight=config.content_weight,
        style_weight=config.style_weight,
        tv_weight=config.tv_weight,
        range_weight=config.range_weight,
        content_layers=content_layers,
        style_layers=style_layers,
        style_loss=config.style_loss,
        mask=mask,
        clip=config.optimizer == "nag",
    )
    has_alpha = picture.alpha is not None
    return Prepared(objective, start, finish, inputs, dict(model.provenance), has_alpha, scales, memory)


def _content_picture(config: Config, pictures: Mapping[str, Picture], height: int, width: int) -> Picture:
    """Return the content in the painting's size; of a texture, which has none, a black one that never counts."""
    if config.size is not None:
        return Picture(np.zeros((height, width, 3), dtype=np.float32), None)
    return resize_picture(pictures["content_image"], height, width)


def _start(config: Config, pictures: Mapping[str, Picture], content: Tensor, style: Rgb) -> Tensor:
    """Return what the painting starts from, 1 x 3 x H x W as the content; a picture of another size is stretched."""
    height, width = content.shape[-2:]
    if config.init == "noise":
        return _noise(height, width, config.seed)
    if config.init == "content":
        return content
    if config.init == "recolored":
        return to_model_space(recolored(from_model_space(content), style))
    if config.init == "style":
        return to_model_space(style if style.shape[:2] == (height, width) else resize(style, height, width))
    return to_model_space(resize_picture(pictures["init"], height, width).rgb)


def _frame_styles(config: Config, pictures: Mapping[str, Picture], size: tuple[int, int]) -> dict[str, Frame]:
    """Return how each style picture is brought to its size, by the name of its setting: the style image's first.

    For a texture it is not fitted to the painting, but, in its own shape, to the long edge.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    frames, paths = {}, picture_paths(config)
    fit, box = config.style_fit, size
    if config.size is not None:
        fit, box = "cover" if fit == "cover" else "contain", (config.max_long_edge, config.max_long_edge)
    for name in ("style_image", *(_blend_name(i) for i in range(len(config.blend_style)))):
        frame = frame_style(pictures[name].size, box, fit, config.style_scale)
        height, width = frame.window
        if min(height, width) < SHORTEST_EDGE:
            raise ImageError(
                f"{paths[name]} becomes {width}x{height} pixels with --style-fit {config.style_fit} at --style-scale "
                f"{config.style_scale:g}; raise that, or --max-long-edge: each edge needs {SHORTEST_EDGE}"
            )
        frames[name] = frame
    return frames


def _fit_masks(
    config: Config, pictures: Mapping[str, Picture], frames: Mapping[str, Frame], size: tuple[int, int]
) -> dict[str, Mask]:
    """Return the masks, by the names of their settings, in the sizes of the pictures that they are for.

    Raises:
        ImageError: one has another shape than its picture, or nothing of it is left where it is needed.

    """
    paths, masks = picture_paths(config), {}

    def fit(name: str, of: str, frame: Frame) -> None:
        if name in paths:
            levels = to_mask(pictures[name], pictures[of], str(paths[name]), str(paths[of]))
            masks[name] = rounded(frame.levels(levels))
            if not masks[name].any():
                raise ImageError(f"{paths[name]} is black wherever {paths[of]} is seen; paint white what it is for")

    content = Frame(size, size)
    fit("mask", "content_image", content)
    for i in range(len(config.style_mask)):
        region, part = _style_mask_names(i)
        style = _style_of_mask(config, i)
        fit(region, "content_image", content)
        fit(part, style, frames[style])
        if "mask" in masks and not (masks[region] * masks["mask"]).any():
            raise ImageError(f"{paths[region]} and {config.mask} have nothing in common: that style would go nowhere")
    return masks


def _place_styles(
    config: Config,
    styles: Mapping[str, Tensor],
    masks: Mapping[str, Mask],
    visible: Mapping[str, Alpha | None],
    device: torch.device,
) -> list[Style]:
    """Return the styles with their weights, and where they go: nowhere where either picture is transparent.

    Without regions, each has its share of the style weight, so that one more does not outweigh the content. With
    them, each has its own weight in its region, however many there are elsewhere.
    """
    weights = {"style_image": 1.0} | {_blend_name(i): weight for i, (_, weight) in enumerate(config.blend_style)}

    def place(name: str, weight: float, region: Mask | None = None, part: Mask | None = None) -> Style:
        seen = _mask_tensor(_both(part, visible[name]), device)
        return Style(styles[name], weight, seen, _mask_tensor(_both(region, visible["content_image"]), device))

    if not config.style_mask:
        total = sum(weights.values())
        return [place(name, weight / total) for name, weight in weights.items()]
    placed = []
    for i in range(len(config.style_mask)):
        name = _style_of_mask(config, i)
        region, part = (masks.get(mask) for mask in _style_mask_names(i))
        placed.append(place(name, weights[name], region, part))
    return placed


def _both(mask: Mask | None, alpha: Alpha | None) -> Mask | None:
    """Return the product of those that there are."""
    if mask is None or alpha is None:
        return alpha if mask is None else mask
    return mask * alpha


def _style_of_mask(config: Config, i: int) -> str:
    """Return the name of the style that the i-th style mask is for: the i-th, or the only one."""
    return _blend_name(i - 1) if i > 0 and config.blend_style else "style_image"


def _blend_name(i: int) -> str:
    return f"blend_style[{i}]"


def _style_mask_names(i: int) -> tuple[str, str]:
    return f"style_mask[{i}][0]", f"style_mask[{i}][1]"


def _mask_tensor(mask: Mask | None, device: torch.device) -> Tensor | None:
    """Return a mask as a tensor, 1 x 1 x H x W."""
    return None if mask is None else torch.from_numpy(mask)[None, None].to(device)


def picture_paths(config: Config) -> dict[str, Path]:
    """Return each picture file that is read, by the name of its setting; of a texture there is no content."""
    paths = {"content_image": config.content_image} if config.size is None else {}
    paths |= {"style_image": config.style_image}
    paths |= {_blend_name(i): path for i, (path, _) in enumerate(config.blend_style)}
    if config.init not in STARTS:
        paths["init"] = Path(config.init)
    if config.mask is not None:
        paths["mask"] = config.mask
    for i, (region_path, part_path) in enumerate(config.style_mask):
        region, part = _style_mask_names(i)
        paths[region] = region_path
        if part_path != WHOLE_STYLE:
            paths[part] = Path(part_path)
    return paths


def hash_inputs(config: Config) -> dict[str, dict[str, str]]:
    """Return where each picture that is read is from, with its SHA-256, by the name of its setting.

    Raises:
        OSError: one is not there.

    """
    return {
        name: {"path": str(path.absolute()), "sha256": sha256(path)} for name, path in picture_paths(config).items()
    }


def _working_size(config: Config, pictures: Mapping[str, Picture]) -> tuple[int, int]:
    """Return height and width of the painting: the content's, fitted to the long edge, or a texture's own.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    if config.size is not None:
        width, height = parse_size(config.size)
        return height, width
    height, width = fit_long_edge(*pictures["content_image"].size, config.max_long_edge)
    if min(height, width) < SHORTEST_EDGE:
        raise ImageError(
            f"{config.content_image} becomes {width}x{height} pixels at --max-long-edge {config.max_long_edge}; "
            f"raise that, or crop the picture: each edge needs {SHORTEST_EDGE}"
        )
    return height, width


def scale_count(config: Config, size: tuple[int, int]) -> int:
    """Return the number of scales for a painting of this width and height: the setting's, or the style loss's own.

    Raises:
        OptionError: so many scales leave too little of the coarsest one.

    """
    shorter = min(size)
    if config.scales == "auto":
        most = min(max(size) // PREVIEW_EDGE, shorter // SHORTEST_EDGE)
        return max(1, most.bit_length())
    if not isinstance(config.scales, int):
        most = MRF_SCALES if config.style_loss == "mrf" else 1
        return max(n for n in range(1, most + 1) if n == 1 or shorter >> (n - 1) >= COARSEST_EDGE)
    if shorter >> (config.scales - 1) < SHORTEST_EDGE:
        raise OptionError(
            f"--scales {config.scales} leaves too little of {size[0]}x{size[1]} pixels, each halves them; lower it"
        )
    return config.scales


def _noise(height: int, width: int, seed: int) -> Tensor:
    """Return the reference's start, 1 x 3 x H x W: drawn on the CPU, so that it is the same on every device."""
    uniform = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return (uniform * 2 - 1) * NOISE


def model_options(config: Config, device: torch.device, precision: torch.dtype) -> ModelOptions:
    """Return what the settings have the network loaded with."""
    return ModelOptions(config.weights, config.weights_input, config.pooling, device, precision, config.convolution)


def _chosen_layers(name: str, text: str | None, own: tuple[str, ...], model: Model) -> dict[str, float]:
    """Return the layers that a setting chooses, with their weights, or the network's own.

    Raises:
        OptionError: the network, as far as its weights reach, has no such layer.

    """
    if text is None:
        return dict.fromkeys(own, 1.0)
    layers = parse_layers(flag(name), text)
    check_layers(flag(name), layers, model.layers)
    return layers


def _bytes_per_pixel(config: Config, model: Model, precision: torch.dtype) -> int:
    """Return the memory that a descent takes for each pixel of the painting."""
    guided = config.mask is not None or bool(config.style_mask)
    return (model.bytes_per_pixel or BYTES_PER_PIXEL[precision]) + guided * GUIDED_BYTES_PER_PIXEL


def _check_memory(config: Config, painting: int, frames: Mapping[str, Frame], device: torch.device) -> None:
    """Refuse at once what cannot fit, before the machine grinds to a halt.

    Args:
        config: what is to be lowered.
        painting: bytes that the descent takes.
        frames: of the style pictures; the network sees one after the other, before the descent begins.
        device: where the memory is.

    Raises:
        DeviceError: the painting, or a style picture, needs more memory than there is.

    """
    there = memory_of(device)
    if there is None:
        return
    style = max(frame.window[0] * frame.window[1] for frame in frames.values()) * STYLE_BYTES_PER_PIXEL
    edge, scale = config.max_long_edge, config.style_scale
    if painting > there:
        shrink = (there / painting) ** 0.5
        if config.size is None:
            refused, fitting = f"--max-long-edge {edge}", str(int(edge * shrink))
        else:
            refused, fitting = (
                f"--size {config.size}",
                "x".join(str(int(n * shrink)) for n in parse_size(config.size)),
            )
        needed = painting
    elif style > there:
        refused, fitting = f"--style-scale {scale:g}", f"{scale * (there / style) ** 0.5:.2f}"
        needed = style
    else:
        return
    raise DeviceError(f"{refused} needs {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f}; lower it to {fitting}")
