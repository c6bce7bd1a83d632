"""How much memory a painting needs, and whether the device has that much."""

import torch

from nstyle.devices import memory_of
from nstyle.errors import DeviceError, Kind
from nstyle.networks.model import Model
from nstyle.networks.padding import MARGINS
from nstyle.painting.inputs import Inputs
from nstyle.painting.sizes import ScaleSize
from nstyle.settings.config import Config, parse_size

BYTES_PER_PIXEL = {torch.float32: 1900, torch.bfloat16: 1250}
"""Bytes of memory that a descent needs per pixel, measured on a CPU; the constant overhead is not included."""

GUIDED_BYTES_PER_PIXEL = 500
"""Bytes per pixel that masks add: a masked copy of one feature map at a time, for the guided Gram matrices."""

STYLE_BYTES_PER_PIXEL = 600
"""Bytes of memory that the network needs per pixel of a style picture."""


def descent_bytes(
    inputs: Inputs, size: ScaleSize, model: Model, precision: torch.dtype, padding: str = "zero"
) -> int:
    """Return the bytes of memory that a descent needs at this size, including the padding around the picture."""
    margin = MARGINS.get(padding, 0)
    guided = inputs.mask is not None or inputs.has_regions
    per_pixel = (model.bytes_per_pixel or BYTES_PER_PIXEL[precision]) + guided * GUIDED_BYTES_PER_PIXEL
    return (size.height + 2 * margin) * (size.width + 2 * margin) * per_pixel


def check_memory(config: Config, painting: int, size: ScaleSize, device: torch.device) -> None:
    """Refuse a painting that does not fit into memory, before the system starts to swap.

    Args:
        config: the settings, for the error.
        painting: bytes that the descent needs.
        size: the finest scale. The network processes its style pictures one at a time, before the descent.
        device: the device whose memory counts.

    Raises:
        DeviceError: the painting or a style picture needs more memory than the device has.

    """
    there = memory_of(device)
    if there is None:
        return
    largest = max(height * width for height, width in (frame.window for frame in size.frames.values()))
    style = largest * STYLE_BYTES_PER_PIXEL
    if painting > there:
        shrink, needed = (there / painting) ** 0.5, painting
        if config.size is None:
            edge = max(size.height, size.width)
            flag, value, fitting = "--max-long-edge", str(edge), str(int(edge * shrink))
        else:
            flag, value = "--size", config.size
            fitting = "x".join(str(int(edge * shrink)) for edge in parse_size(config.size))
    elif style > there:
        shrink, needed = (there / style) ** 0.5, style
        flag, value, fitting = "--style-scale", f"{config.style_scale:g}", f"{config.style_scale * shrink:.2f}"
    else:
        return
    raise DeviceError(
        f"{flag} {value} needs {needed / 1e9:.1f} GB of memory, but {device} has {there / 1e9:.1f} GB; "
        f"lower {flag} to {fitting}",
        flag=flag,
        kind=Kind.OUT_OF_RANGE,
    )
