"""From settings to all that a descent needs: pictures, network, objective, start; and from its images to pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstyle.color_transfer import grey, luminance, recolor_style
from nstyle.config import Config
from nstyle.devices import memory_of
from nstyle.errors import DeviceError, ImageError
from nstyle.files import sha256
from nstyle.finishing import Finish
from nstyle.framing import Frame, frame_style
from nstyle.images import SMALLEST_EDGE, Alpha, Picture, Rgb, fit_long_edge, resize, resize_picture
from nstyle.masks import Mask, rounded, to_mask
from nstyle.model_space import to_model_space
from nstyle.objective import Objective, Style
from nstyle.picture_files import read_picture
from nstyle.vgg19 import VGG19, match_activations
from nstyle.weights import load_vgg19, read_weights

WHOLE_STYLE = "all"
"""As the part of a style picture that counts (`Config.style_mask`): all of it."""

NOISE = 0.1
"""The reference starts from noise, uniform in (-0.1, 0.1), in model space."""

BYTES_PER_PIXEL = {torch.float32: 1900, torch.bfloat16: 1250}
"""Memory that a descent takes for each pixel of the painting, beside what it takes for any; measured on a CPU."""

GUIDED_BYTES_PER_PIXEL = 500
"""What is added to that where Gram matrices are guided by masks: a guided copy of a map at a time."""

STYLE_BYTES_PER_PIXEL = 600
"""Memory that it takes for each pixel of a style picture to compute its Gram matrices."""


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

    """

    objective: Objective
    start: Tensor
    finish: Finish
    inputs: dict[str, dict[str, str]]
    weights: dict[str, Any]
    has_alpha: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the painting."""
        _, _, height, width = self.start.shape
        return width, height


def prepare(config: Config, device: torch.device, precision: torch.dtype) -> Prepared:
    """Read what the settings name, and make the objective and the start of it.

    Raises:
        NStyleError: a file, or the memory, does not allow for it.

    """
    pictures, inputs = _read_pictures(config)
    height, width = _working_size(config, pictures["content_image"])
    frames = _frame_styles(config, pictures, (height, width))
    _check_memory(config, height * width, frames, device, precision)
    masks = _fit_masks(config, pictures, frames, (height, width))
    picture = resize_picture(pictures["content_image"], height, width)
    rgb = picture.rgb
    finish = Finish(picture, config.preserve_colors, masks.get("mask"))
    framed = {name: frame.picture(pictures[name]) for name, frame in frames.items()}
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
    network, weights = _load_network(config, (content, styles["style_image"]))
    objective = Objective(
        network.to(precision),
        content,
        _place_styles(config, styles, masks, visible, device),
        content_weight=config.content_weight,
        style_weight=config.style_weight,
        tv_weight=config.tv_weight,
        mask=mask,
    )
    return Prepared(objective, start, finish, inputs, weights, picture.alpha is not None)


def _start(config: Config, pictures: Mapping[str, Picture], content: Tensor, style: Rgb) -> Tensor:
    """Return what the painting starts from, 1 x 3 x H x W as the content; a picture of another size is stretched."""
    height, width = content.shape[-2:]
    if config.init == "noise":
        return _noise(height, width, config.seed)
    if config.init == "content":
        return content
    if config.init == "style":
        return to_model_space(style if style.shape[:2] == (height, width) else resize(style, height, width))
    return to_model_space(resize_picture(pictures["init"], height, width).rgb)


def _frame_styles(config: Config, pictures: Mapping[str, Picture], size: tuple[int, int]) -> dict[str, Frame]:
    """Return how each style picture is brought to its size, by the name of its setting: the style image's first.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    frames, paths = {}, picture_paths(config)
    for name in ("style_image", *(_blend_name(i) for i in range(len(config.blend_style)))):
        frame = frame_style(pictures[name].size, size, config.style_fit, config.style_scale)
        height, width = frame.window
        if min(height, width) < SMALLEST_EDGE:
            raise ImageError(
                f"{paths[name]} becomes {width}x{height} pixels with --style-fit {config.style_fit} at --style-scale "
                f"{config.style_scale:g}; raise that, or --max-long-edge: each edge needs {SMALLEST_EDGE}"
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
    """Return each picture file that is read, by the name of its setting."""
    paths = {"content_image": config.content_image, "style_image": config.style_image}
    paths |= {_blend_name(i): path for i, (path, _) in enumerate(config.blend_style)}
    if config.init not in ("noise", "content", "style"):
        paths["init"] = Path(config.init)
    if config.mask is not None:
        paths["mask"] = config.mask
    for i, (region_path, part_path) in enumerate(config.style_mask):
        region, part = _style_mask_names(i)
        paths[region] = region_path
        if part_path != WHOLE_STYLE:
            paths[part] = Path(part_path)
    return paths


def _read_pictures(config: Config) -> tuple[dict[str, Picture], dict[str, dict[str, str]]]:
    """Read the pictures that are named: content, styles, masks, and what to start from if that is another one.

    Returns:
        Under the names of their settings: the pictures, and where each is from, with its SHA-256.

    """
    paths = picture_paths(config)
    pictures = {name: read_picture(path) for name, path in paths.items()}
    inputs = {name: {"path": str(path.absolute()), "sha256": sha256(path)} for name, path in paths.items()}
    return pictures, inputs


def _working_size(config: Config, content: Picture) -> tuple[int, int]:
    """Return height and width of the painting.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    height, width = fit_long_edge(*content.size, config.max_long_edge)
    if min(height, width) < SMALLEST_EDGE:
        raise ImageError(
            f"{config.content_image} becomes {width}x{height} pixels at --max-long-edge {config.max_long_edge}; "
            f"raise that, or crop the picture: each edge needs {SMALLEST_EDGE}"
        )
    return height, width


def _noise(height: int, width: int, seed: int) -> Tensor:
    """Return the reference's start, 1 x 3 x H x W: drawn on the CPU, so that it is the same on every device."""
    uniform = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return (uniform * 2 - 1) * NOISE


def _load_network(config: Config, images: tuple[Tensor, ...]) -> tuple[VGG19, dict[str, Any]]:
    """Return the network, on the images' device and in the original's scale, and where its weights are from."""
    device = images[0].device
    weights = read_weights(config.weights, config.weights_input)
    network = VGG19(weights.tensors).to(device)
    if not weights.original:
        network = match_activations(network, load_vgg19(device=device), images)
    return network, {"path": str(weights.source), "sha256": weights.sha256, "original": weights.original}


def _check_memory(
    config: Config, pixels: int, frames: Mapping[str, Frame], device: torch.device, precision: torch.dtype
) -> None:
    """Refuse at once what cannot fit, before the machine grinds to a halt.

    Args:
        config: what is to be lowered.
        pixels: of the painting.
        frames: of the style pictures; the network sees one after the other, before the descent begins.
        device: where the memory is.
        precision: of the network.

    Raises:
        DeviceError: the painting, or a style picture, needs more memory than there is.

    """
    there = memory_of(device)
    if there is None:
        return
    bytes_per_pixel = BYTES_PER_PIXEL[precision]
    if config.mask is not None or config.style_mask:
        bytes_per_pixel += GUIDED_BYTES_PER_PIXEL
    style_pixels = max(frame.window[0] * frame.window[1] for frame in frames.values())
    for flag_, value, needed in (
        ("--max-long-edge", config.max_long_edge, pixels * bytes_per_pixel),
        ("--style-scale", config.style_scale, style_pixels * STYLE_BYTES_PER_PIXEL),
    ):
        if needed > there:
            fitting = value * (there / needed) ** 0.5
            raise DeviceError(
                f"{flag_} {value:g} needs {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f}; "
                f"lower it to {int(fitting) if isinstance(value, int) else f'{fitting:.2f}'}"
            )
