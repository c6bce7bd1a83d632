"""Files of tensors with facts about them: checkpoints, and states of trainings and of shots.

They are archives of numpy arrays that hold numbers and text only: reading them runs no code.
"""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nstyle.files import replacing

# What numpy raises if an archive is truncated, corrupted or malicious.
READING_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    MemoryError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)

_ABOUT = "about"


def write_archive(path: Path, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name, and facts about them (JSON values). The write is atomic.

    Raises:
        OutputError: the file cannot be written.
        ValueError: a tensor is named "about", as the facts are, or "file", an argument of numpy's.

    """
    if taken := {_ABOUT, "file"} & tensors.keys():
        raise ValueError(f"no tensor can be named {', '.join(sorted(taken))}")
    arrays: dict[str, Any] = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    arrays[_ABOUT] = json.dumps(dict(about))
    with replacing(path) as file:
        np.savez(file, **arrays)


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the facts and the tensors, on the CPU, of a file that `write_archive` wrote.

    Reading needs as much memory as the file's size.

    Raises:
        Exception: one of `READING_ERRORS`; the file is missing or damaged.

    """
    with _opened(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
            raise ValueError("compressed: the file's size would not bound the memory that reading needs")
        names = [name for name in archive.files if name != _ABOUT]
        return _about(archive), {name: torch.from_numpy(archive[name]) for name in names}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        yield archive


def _about(archive: Any) -> dict[str, Any]:
    return dict(json.loads(str(archive[_ABOUT])))
