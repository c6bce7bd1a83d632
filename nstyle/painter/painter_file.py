"""Files of trained painters: safetensors, whose header says what network they hold and how it was trained.

The format (https://github.com/huggingface/safetensors): the length of the header as a little-endian uint64; the
header, a JSON object {name: {"dtype", "shape", "data_offsets"}} with texts under "__metadata__"; then the numbers.
Reading one runs no code: it is JSON and numbers. One of the texts is the SHA-256 of the others and the numbers, so a
changed bit shows.
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nstyle.errors import Kind, OptionError, WeightsError
from nstyle.files import open_regular, replacing
from nstyle.painter.generators import make_generator
from nstyle.painter.graph import Generator

FORMAT = "nstyle painter 1"
"""What the header's "format" says. Another number would be another layout."""

MOST_BYTES, MOST_HEADER_BYTES = 2**28, 2**20
"""Largest file and header that are read. The widest generator has 110 MB, and a header has some 10 kB."""

_METADATA, _TEXTS = "__metadata__", ("format", "generator", "recipe")
_DTYPES: dict[str, np.dtype[np.floating]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_ALIGNMENT = 8  # of the first number, as the format's own program writes it


@dataclass(frozen=True)
class PainterFile:
    """A painter as it was read from its file.

    Attributes:
        generator: the network, for painting: in evaluation mode, float32, on the CPU, without gradients.
        recipe: how it was trained, as JSON values.
        path: the file.
        sha256: the file's hash.

    """

    generator: Generator
    recipe: Mapping[str, Any]
    path: Path
    sha256: str


def write_painter(path: Path, generator: Generator, recipe: Mapping[str, Any]) -> None:
    """Write a painter to a file, atomically.

    Kernels of convolutions are in float16, but for those with a weight beyond its largest number, 65504. All else is
    in float32.

    Args:
        path: the file.
        generator: the network.
        recipe: how it was trained, as JSON values.

    Raises:
        OutputError: the file cannot be written.

    """
    header: dict[str, Any] = {}
    parts, end = [], 0
    for name, tensor in generator.state_dict().items():
        array = tensor.detach().cpu().numpy()
        fits = tensor.ndim > 1 and np.abs(array).max() <= np.finfo(np.float16).max
        dtype = "F16" if fits else "F32"
        part = array.astype(_DTYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [end, end + len(part)]}
        parts.append(part)
        end += len(part)
    about = {"format": FORMAT, "generator": json.dumps(generator.facts), "recipe": json.dumps(dict(recipe))}
    header[_METADATA] = {**about, "sha256": _digest(about, b"".join(parts))}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with replacing(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)


def read_painter(path: Path) -> PainterFile:
    """Read a painter that `write_painter` wrote.

    Raises:
        WeightsError: the file cannot be read, is damaged, or holds another network, such as a generator whose shapes
            were others in an earlier nstyle.

    """
    content, about, header, numbers = _parts(path)
    if "sha256" not in about:
        raise _error(path, f"{path} was made by an earlier nstyle; train it again", Kind.UNSUPPORTED)
    try:
        if about["sha256"] != _digest(about, numbers):
            raise ValueError("a bit was changed")
        facts, recipe = json.loads(about["generator"]), json.loads(about["recipe"])
        with torch.device("meta"):  # no memory and no random numbers
            generator = make_generator(facts["generator"], width=facts["width"], blocks=facts["blocks"])
        if not isinstance(recipe, dict):
            raise ValueError("the recipe is no object")
    except OptionError as error:
        raise _error(path, f"{path}: {error}; install a newer nstyle", Kind.UNSUPPORTED) from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    tensors = _tensors(path, header, numbers, generator)
    generator.load_state_dict(tensors, assign=True)
    return PainterFile(generator.eval().requires_grad_(False), recipe, path, hashlib.sha256(content).hexdigest())


def _digest(about: Mapping[str, str], numbers: bytes | memoryview) -> str:
    """Return the SHA-256 of what a file holds: the texts of its metadata and its numbers."""
    digest = hashlib.sha256("\n".join(about[name] for name in _TEXTS).encode())
    digest.update(numbers)
    return digest.hexdigest()


def is_painter(path: Path) -> bool:
    """Tell whether a file's header says that nstyle wrote it, even if this nstyle cannot use what it holds."""
    try:
        _parts(path)
    except WeightsError:
        return False
    return True


def _parts(path: Path) -> tuple[bytes, dict[str, Any], dict[str, Any], memoryview]:
    """Return a painter's content, and of it the metadata, the rest of the header, and the numbers.

    Raises:
        WeightsError: the file cannot be read, or its header is not that of a painter.

    """
    try:
        with open_regular(path, MOST_BYTES) as file:
            content = file.read()
    except FileNotFoundError as error:
        raise _error(path, f"there is no painter {path}; check --painter", Kind.MISSING) from error
    except OSError as error:
        raise _error(path, f"cannot read {path}: {error.strerror}; check --painter", Kind.UNREADABLE) from error
    header, numbers = _split(path, content)
    about = header.pop(_METADATA, None)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise _error(
            path, f"{path} holds no painter of nstyle's; give --painter a file of nstyle-train", Kind.UNSUPPORTED
        )
    return content, about, header, numbers


def _split(path: Path, content: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the header and the numbers of a file's content."""
    (length,) = struct.unpack("<Q", content[:8].ljust(8, b"\xff"))  # a shorter file would need a huge header
    if length > min(MOST_HEADER_BYTES, len(content) - 8):
        raise _damaged(path)
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(header, dict):
        raise _damaged(path)
    return header, memoryview(content)[8 + length :]


def _tensors(path: Path, header: Mapping[str, Any], numbers: memoryview, generator: Generator) -> dict[str, Tensor]:
    """Return the weights in float32 if they are just those of the generator, and finite numbers."""
    wanted = generator.state_dict()
    if header.keys() != wanted.keys():
        raise _error(
            path, f"{path} has the weights of another network than its header names; make it anew", Kind.DAMAGED
        )
    tensors: dict[str, Tensor] = {}
    for name, tensor in wanted.items():
        entry = header[name]
        try:
            dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
            start, end = entry["data_offsets"]
            if any(type(number) is not int for number in (*shape, start, end)):
                raise ValueError(f"{name} has lengths that are no whole numbers")
            if end - start != math.prod(shape) * dtype.itemsize or start < 0:
                raise ValueError(f"{name} has another size")
            array = np.frombuffer(numbers[start:end], dtype).astype(np.float32).reshape(shape)
        except (ValueError, LookupError, TypeError) as error:
            raise _damaged(path) from error
        if shape != tuple(tensor.shape):
            raise _error(path, f"{path} was made by another version of nstyle; train it again", Kind.UNSUPPORTED)
        if not np.isfinite(array).all():
            raise _error(path, f"{path}: {name} is not finite; train it again", Kind.DAMAGED)
        tensors[name] = torch.from_numpy(array)
    return tensors


def _damaged(path: Path) -> WeightsError:
    return _error(path, f"{path} is damaged, or no painter; copy it again, or give --painter another", Kind.DAMAGED)


def _error(path: Path, message: str, kind: Kind) -> WeightsError:
    return WeightsError(message, flag="--painter", path=path, kind=kind)
