"""Color spaces by formula, and matching ICC profiles made by hand, without any library."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
PCS_WHITE = np.array([0.9642, 1.0, 0.8249])  # ICC.1:2010, 6.3.4.3
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def encode_srgb(light: Floats) -> Floats:
    """Encode light (0 to 1) as sRGB levels (0 to 1), after IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def decode_srgb(levels: Floats) -> Floats:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def xyz(x: float, y: float) -> Floats:
    return np.array([x / y, 1, (1 - x - y) / y])


@dataclass(frozen=True)
class Space:
    """An RGB color space: chromaticities of red, green, blue and white, and its tone curve."""

    primaries: tuple[tuple[float, float], ...]
    white: tuple[float, float]
    gamma: float | None  # None: sRGB's curve

    def to_pcs(self) -> Floats:
        """The matrix from its light to XYZ under D50, with the Bradford transform."""
        columns = np.stack([xyz(*primary) for primary in self.primaries], axis=1)
        matrix = columns * np.linalg.solve(columns, xyz(*self.white))
        scale = (BRADFORD @ PCS_WHITE) / (BRADFORD @ xyz(*self.white))
        adapted: Floats = np.linalg.inv(BRADFORD) @ np.diag(scale) @ BRADFORD @ matrix
        return adapted

    def encode(self, light: Floats) -> Floats:
        return encode_srgb(light) if self.gamma is None else light ** (1 / self.gamma)

    def from_srgb(self, levels: Floats) -> Floats:
        """Levels (0 to 1) in this space with the same color as the given sRGB levels."""
        light = decode_srgb(levels) @ (np.linalg.inv(self.to_pcs()) @ SRGB.to_pcs()).T
        return self.encode(np.clip(light, 0, 1))

    def profile(self, more: dict[bytes, bytes] | None = None) -> bytes:
        """A display profile with three matrix columns and a tone curve, and more tags."""
        tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), self.to_pcs().T, strict=True)}
        return _icc(
            b"mntr", b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(self.gamma)) | (more or {})
        )


SRGB = Space(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65, None)
DISPLAY_P3 = Space(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65, None)
ADOBE_RGB = Space(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, 563 / 256)
PROPHOTO = Space(((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), D50, 461 / 256)

GREY_GAMMA = 461 / 256  # gamma 1.8 with eight fractional bits, as a curve stores it


def grey_profile() -> bytes:
    return _icc(b"mntr", b"GRAY", {b"kTRC": _curve(GREY_GAMMA)})


def cmyk_profile() -> bytes:
    """A CMYK printing profile: the light of each primary is (1 - ink) (1 - black), in a table with 9 steps."""
    nodes = np.array(np.meshgrid(*[np.linspace(0, 1, 9)] * 4, indexing="ij")).reshape(4, -1).T
    light = (1 - nodes[:, :3]) * (1 - nodes[:, 3:])
    table = np.rint(np.clip(light @ SRGB.to_pcs().T, 0, 1.9999) * 32768).astype(">u2").tobytes()
    identity = struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    straight = struct.pack(">2H", 0, 65535)
    lut = b"mft2\0\0\0\0" + bytes([4, 3, 9, 0]) + identity + struct.pack(">2H", 2, 2) + straight * 4 + table
    return _icc(b"prtr", b"CMYK", {b"A2B0": lut + straight * 3})


def inks(light: Floats) -> Floats:
    """CMYK inks, H x W x 4, for the given light of each primary, with as much black as possible."""
    brightest = light.max(axis=-1, keepdims=True)
    return np.concatenate([1 - light / np.maximum(brightest, 1e-9), 1 - brightest], axis=-1)


def lab(levels: Floats) -> Floats:
    """CIE L*a*b* under D50 of sRGB levels, H x W x 3."""
    relative = decode_srgb(levels) @ SRGB.to_pcs().T / PCS_WHITE
    root = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / 3 / (6 / 29) ** 2 + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _xyz(values: Floats) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *np.rint(values * 65536).astype(int))


def _curve(gamma: float | None) -> bytes:
    if gamma is None:
        parameters = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        return b"para\0\0\0\0\0\3\0\0" + struct.pack(">5i", *(round(65536 * p) for p in parameters))
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _icc(kind: bytes, space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """The ICC container: a header of 128 bytes, a table of tags, the tags."""
    tags = {b"wtpt": _xyz(PCS_WHITE)} | tags
    content, table, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", offset + len(content), len(tag))
        content += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4xI4s4s4s12x4s", offset + len(content), 0x04000000, kind, space, b"XYZ ", b"acsp")
    header = header.ljust(68, b"\0") + struct.pack(">3i", *np.rint(PCS_WHITE * 65536).astype(int))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content
