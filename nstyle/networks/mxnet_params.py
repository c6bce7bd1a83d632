"""Reader for MXNet's parameter files (`mx.nd.save`), in all three versions of the format.

The layout, little-endian throughout:

    file    uint64 0x112, uint64 0, uint64 n, n arrays, uint64 n, n names (uint64 length, then the bytes)
    array   legacy: shape of uint32;  v1: uint32 0xF993FAC8, shape of int64;
            v2: uint32 0xF993FAC9, int32 storage type (0: dense), shape of int64;
            then, in all three: int32 device type, int32 device number, int32 type of the numbers, the numbers
    shape   uint32 number of dimensions, then each dimension
"""

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nstyle.errors import Kind, WeightsError

MAGIC = struct.pack("<Q", 0x112)
"""The first eight bytes of every such file."""

_V1, _V2 = 0xF993FAC8, 0xF993FAC9
_DENSE = 0
_MOST_DIMENSIONS = 32
_NUMBER_TYPES = dict(enumerate(("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")))


def read_params(path: Path) -> dict[str, NDArray[np.generic]]:
    """Return {name: array}, such as `arg:conv1_1_weight`. The arrays are read-only and keep their dtype.

    Raises:
        WeightsError: the file is truncated or damaged, or holds sparse arrays.

    """
    return _Reader(path).read()


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = memoryview(path.read_bytes())
        self.position = 0

    def read(self) -> dict[str, NDArray[np.generic]]:
        magic, _, count = self.numbers("<QQQ")
        if magic != struct.unpack("<Q", MAGIC)[0]:
            raise self.error("is not an MXNet parameter file")
        arrays = [self.array() for _ in range(count)]
        (names,) = self.numbers("<Q")
        if names != count:
            raise self.error(f"is damaged: it names {names} arrays but holds {count}")
        return {self.name(): array for array in arrays}

    def take(self, size: int) -> memoryview:
        end = self.position + size
        if end > len(self.content):
            raise self.error("is truncated or damaged")
        start, self.position = self.position, end
        return self.content[start:end]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def name(self) -> str:
        (length,) = self.numbers("<Q")
        return bytes(self.take(length)).decode("utf-8", errors="replace")

    def array(self) -> NDArray[np.generic]:
        (first,) = self.numbers("<I")
        if first in (_V1, _V2):
            if first == _V2 and self.numbers("<i") != (_DENSE,):
                raise self.error("holds sparse arrays, but VGG-19 has none", Kind.UNSUPPORTED)
            (dimensions,) = self.numbers("<I")
            dimension = "q"
        else:
            dimensions, dimension = first, "I"
        if not 0 < dimensions <= _MOST_DIMENSIONS:
            raise self.error("is damaged or has an unknown version")
        shape = self.numbers(f"<{dimensions}{dimension}")
        _, _, number_type = self.numbers("<iii")
        if number_type not in _NUMBER_TYPES or min(shape) < 1:
            raise self.error("is damaged or holds numbers of an unknown type")
        dtype = np.dtype(_NUMBER_TYPES[number_type])
        return np.frombuffer(self.take(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)

    def error(self, what: str, kind: Kind = Kind.DAMAGED) -> WeightsError:
        return WeightsError(
            f"{self.path} {what}; download it again (sh scripts/download_vgg19.sh)",
            flag="--weights",
            path=self.path,
            kind=kind,
        )
