"""The chunks of a PNG file: pixels, profile, EXIF and texts, each apart, so that a bad note spoils no picture."""

import struct
import zlib
from collections.abc import Iterator

from nstyle.pictures.limits import MOST_TEXT_BYTES

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PIXELS = {b"tRNS"}
"""Ancillary chunks that change pixels; kept even if they are damaged, so that the decoder refuses them."""

_COLORS = {b"cICP", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}
"""Small ancillary chunks about color; kept if they are intact."""

Chunk = tuple[bytes, memoryview, bool]
"""Type, content, and whether the chunk is whole and its checksum is right."""


def png_chunks(content: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a PNG file, in order, up to IEND or the end of the file (PNG 3rd edition, 5.3)."""
    view, at = memoryview(content), len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        body = view[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", bytes(view[at + 8 + length : at + 12 + length]).rjust(4, b"\0"))
        whole = at + 12 + length <= len(content) and zlib.crc32(body, zlib.crc32(kind)) == checksum
        yield kind, body, whole
        if kind == b"IEND":
            return
        at += 12 + length


def plain_png(content: bytes) -> tuple[bytes, bytes, str | None]:
    """Return a PNG file without its notes, its EXIF, and a complaint about damage.

    Returns:
        The file with nothing but pixels and small chunks about color: texts, profile, EXIF and the further frames of
        an animation are left out, because decoders refuse the picture for a bad one. If the end of the file is
        missing, it gets an end, so that a file with all of its pixels can be read. Then EXIF with its prefix; empty
        if there is none. Then what is missing; None if nothing is.

    """
    kept: list[bytes | memoryview] = [SIGNATURE]
    exif, ended = b"", False
    for kind, body, whole in png_chunks(content):
        if kind == b"IEND":
            ended = whole
        elif not kind[:1].islower() or kind in _PIXELS or (kind in _COLORS and whole):
            checksum = zlib.crc32(body, zlib.crc32(kind)) ^ (not whole and kind != b"IDAT")
            kept += [struct.pack(">I4s", len(body), kind), body, struct.pack(">I", checksum)]
        elif whole:
            exif = _exif(kind, bytes(body)) or exif
    kept.append(struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND")))
    return b"".join(kept), exif, None if ended else "lacks its last bytes; its pixels are all there"


def _exif(kind: bytes, body: bytes) -> bytes:
    """Return the EXIF of a chunk, with its prefix; empty if the chunk holds none."""
    if kind == b"eXIf":
        return b"Exif\0\0" + body
    keyword, text = png_text(kind, body)
    if keyword == "Raw profile type exif" and text is not None:  # ImageMagick's way, older than eXIf
        try:
            return bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            pass
    return b""


def png_text(kind: bytes, body: bytes) -> tuple[str, str | None]:
    """Return keyword and text of a tEXt, zTXt or iTXt chunk (PNG 3rd edition, 11.3.3); ("", None) for any other.

    The text is None if it is damaged or longer than `MOST_TEXT_BYTES`; memory is bounded by that.
    """
    keyword, _, rest = body.partition(b"\0")
    text: bytes | None = rest
    if kind == b"zTXt":
        text = unpack(rest[1:], MOST_TEXT_BYTES)
    elif kind == b"iTXt":
        packed, words = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
        text = None if len(words) < 3 else unpack(words[2], MOST_TEXT_BYTES) if packed else words[2]
    elif kind != b"tEXt":
        return "", None
    if text is None or len(text) > MOST_TEXT_BYTES:
        return keyword.decode("latin-1"), None
    return keyword.decode("latin-1"), text.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")


def unpack(packed: bytes, most: int) -> bytes | None:
    """Return what zlib packed; None if it is damaged, cut off or larger than `most` bytes, which bounds memory."""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(packed, most + 1)
    except zlib.error:
        return None
    return unpacked if unpacking.eof and len(unpacked) <= most else None
