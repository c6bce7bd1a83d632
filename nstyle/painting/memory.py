"""How much memory a painting takes, and whether the device has it."""

import torch

from nstyle.devices import memory_of
from nstyle.errors import DeviceError, Kind
from nstyle.networks.model import Model
from nstyle.networks.padding import MARGINS
from nstyle.painting.inputs import Inputs
from nstyle.painting.sizes import ScaleSize
from nstyle.settings.config import Config, parse_size

BYTES_PER_PIXEL = {torch.float32: 1900, torch.bfloat16: 1250}
"""Memory that a descent takes for each pixel of the painting, beside what any painting takes; measured on a CPU."""

GUIDED_BYTES_PER_PIXEL = 500
"""What masks add to that, where they guide Gram matrices: a guided copy of one map at a time."""

STYLE_BYTES_PER_PIXEL = 600
"""Memory that the network takes for each pixel of a style picture."""


def descent_bytes(
    inputs: Inputs, size: ScaleSize, model: Model, precision: torch.dtype, padding: str = "zero"
) -> int:
    """Return the bytes that a descent takes at this size, with what the network sees beyond the edges."""
    margin = MARGINS.get(padding, 0)
    guided = inputs.mask is not None or inputs.has_regions
    per_pixel = (model.bytes_per_pixel or BYTES_PER_PIXEL[precision]) + guided * GUIDED_BYTES_PER_PIXEL
    return (size.height + 2 * margin) * (size.width + 2 * margin) * per_pixel


def check_memory(config: Config, painting: int, size: ScaleSize, device: torch.device) -> None:
    """Refuse what cannot fit before the machine grinds to a halt.

    Args:
        config: what has to be lowered.
        painting: bytes that the descent takes.
        size: the finest scale. The network sees its style pictures one after the other, before the descent begins.
        device: where the memory is.

    Raises:
        DeviceError: the painting, or a style picture, needs more memory than there is.

    """
    there = memory_of(device)
    if there is None:
        return
    largest = max(height * width for height, width in (frame.window for frame in size.frames.values()))
    style = largest * STYLE_BYTES_PER_PIXEL
    if painting > there:
        shrink, needed = (there / painting) ** 0.5, painting
        if config.size is None:
            flag, value, fitting = (
                "--max-long-edge",
                str(config.max_long_edge),
                str(int(config.max_long_edge * shrink)),
            )
        else:
            flag, value = "--size", config.size
            fitting = "x".join(str(int(edge * shrink)) for edge in parse_size(config.size))
    elif style > there:
        shrink, needed = (there / style) ** 0.5, style
        flag, value, fitting = "--style-scale", f"{config.style_scale:g}", f"{config.style_scale * shrink:.2f}"
    else:
        return
    raise DeviceError(
        f"{flag} {value} needs {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f}; lower it to {fitting}",
        flag=flag,
        kind=Kind.OUT_OF_RANGE,
    )
