"""From settings to all that a descent needs: pictures, network, objective, start; and from its images to pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstyle.config import Config
from nstyle.devices import memory_of
from nstyle.errors import DeviceError, ImageError
from nstyle.files import sha256
from nstyle.images import SMALLEST_EDGE, Picture, denoise, fit_long_edge, resize_picture
from nstyle.model_space import from_model_space, to_model_space
from nstyle.objective import Objective
from nstyle.picture_files import read_picture
from nstyle.vgg19 import VGG19, match_activations
from nstyle.weights import load_vgg19, read_weights

NOISE = 0.1
"""The reference starts from noise, uniform in (-0.1, 0.1), in model space."""

BYTES_PER_PIXEL = {torch.float32: 1900, torch.bfloat16: 1250}
"""Memory that a descent takes for each pixel of the painting, beside what it takes for any; measured on a CPU."""


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
    finish: Callable[[Tensor, float], Picture]
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
    _check_memory(height * width, device, precision, config.max_long_edge)
    pictures = {name: resize_picture(picture, height, width) for name, picture in pictures.items()}
    fitted = {name: to_model_space(picture.rgb).to(device) for name, picture in pictures.items()}
    content, style = fitted["content_image"], fitted["style_image"]
    starts = {"noise": _noise(height, width, config.seed), "content": content, "style": style}
    start = starts[config.init] if config.init in starts else fitted["init"]
    network, weights = _load_network(config, (content, style))
    objective = Objective(
        network.to(precision),
        content,
        style,
        content_weight=config.content_weight,
        style_weight=config.style_weight,
        tv_weight=config.tv_weight,
    )
    alpha = pictures["content_image"].alpha

    def finish(image: Tensor, remove_noise: float) -> Picture:
        return Picture(denoise(from_model_space(image), remove_noise), alpha)

    return Prepared(objective, start.to(device), finish, inputs, weights, alpha is not None)


def _read_pictures(config: Config) -> tuple[dict[str, Picture], dict[str, dict[str, str]]]:
    """Read the pictures that are named: content, style, and what to start from if that is a third one.

    Returns:
        Under the names of their settings: the pictures, and where each is from, with its SHA-256.

    """
    paths = {"content_image": config.content_image, "style_image": config.style_image}
    if config.init not in ("noise", "content", "style"):
        paths["init"] = Path(config.init)
    pictures = {name: read_picture(path) for name, path in paths.items()}
    inputs = {name: {"path": str(path.absolute()), "sha256": sha256(path)} for name, path in paths.items()}
    return pictures, inputs


def _working_size(config: Config, content: Picture) -> tuple[int, int]:
    """Return height and width of the painting.

    Raises:
        ImageError: an edge becomes too short for the network.

    """
    height, width = fit_long_edge(content.rgb.shape[0], content.rgb.shape[1], config.max_long_edge)
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


def _check_memory(pixels: int, device: torch.device, precision: torch.dtype, long_edge: int) -> None:
    """Refuse at once what cannot fit, before the machine grinds to a halt.

    Raises:
        DeviceError: the painting needs more memory than there is.

    """
    needed, there = pixels * BYTES_PER_PIXEL[precision], memory_of(device)
    if there is not None and needed > there:
        raise DeviceError(
            f"--max-long-edge {long_edge} needs {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f}; "
            f"lower it to {int(long_edge * (there / needed) ** 0.5)}"
        )
