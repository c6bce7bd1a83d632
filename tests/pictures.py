"""Pictures made for tests."""

import struct
import zlib

import numpy as np
from PIL import Image


def painted(height: int, width: int, seed: int = 0) -> Image.Image:
    """A small picture with smooth color and some detail, so that the network finds features."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    frequencies = generator.uniform(0.05, 0.4, size=(3, 2))
    waves = [np.sin(fy * y + fx * x) for fy, fx in frequencies]
    noise = generator.normal(scale=10, size=(height, width, 3))
    return Image.fromarray(np.clip(128 + 90 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, color_type: int, lines: bytes, chunks: bytes = b"") -> bytes:
    """A PNG file made by hand, for kinds that Pillow does not write. Color type 0 is grey, 2 RGB, 4 LA, 6 RGBA."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + pixels + chunk(b"IEND", b"")
