"""Optical flow in files: Middlebury's .flo (Baker et al., "A Database and Evaluation Methodology for Optical Flow").

A file holds "PIEH", which is 202021.25 as a float32; width and height as int32; then x and y of each pixel, row by
row, as float32. All are little-endian. In the benchmark, values beyond 10^9 mean that the flow is not known.
"""

import struct
from pathlib import Path

import numpy as np

from nstyle.errors import ImageError, Kind
from nstyle.files import replacing
from nstyle.film.flow import Flow
from nstyle.pictures.limits import LONGEST_EDGE

MAGIC = b"PIEH"
HEADER = struct.Struct("<4sii")

UNKNOWN = np.float32(1e9)
"""Largest component of a vector, in pixels; longer ones are cut to it, and point out of every frame."""


def read_flow(path: Path) -> Flow:
    """Read a flow from a .flo file.

    Raises:
        ImageError: the file is missing, no .flo file, truncated, or holds values that are not numbers.

    """
    try:
        content = path.read_bytes()
    except OSError as error:
        kind = Kind.MISSING if isinstance(error, FileNotFoundError) else Kind.UNREADABLE
        raise ImageError(f"cannot read {path}: {error.strerror}", path=path, kind=kind) from error
    if content[: len(MAGIC)] != MAGIC:
        raise ImageError(
            f"{path} is no flow: it does not begin with PIEH; give a .flo file", path=path, kind=Kind.UNSUPPORTED
        )
    if len(content) < HEADER.size:
        raise _damaged(path, "it ends within its header")
    _, width, height = HEADER.unpack_from(content)
    if not (0 < width <= LONGEST_EDGE and 0 < height <= LONGEST_EDGE):
        raise _damaged(path, f"it says {width}x{height} pixels")
    needed = HEADER.size + 8 * width * height
    if len(content) != needed:
        raise _damaged(path, f"{width}x{height} pixels need {needed} bytes, and it has {len(content)}")
    flow = np.frombuffer(content, "<f4", offset=HEADER.size).reshape(height, width, 2).astype(np.float32)
    if np.isnan(flow).any():
        raise _damaged(path, "it holds values that are not numbers")
    return np.clip(flow, -UNKNOWN, UNKNOWN)


def write_flow(path: Path, flow: Flow) -> None:
    """Write a flow as a .flo file.

    Raises:
        OutputError: the file cannot be written.

    """
    height, width, _ = flow.shape
    with replacing(path) as file:
        file.write(HEADER.pack(MAGIC, width, height))
        file.write(flow.astype("<f4").tobytes())


def _damaged(path: Path, what: str) -> ImageError:
    return ImageError(f"{path} is damaged: {what}; make the flow again", path=path, kind=Kind.DAMAGED)
