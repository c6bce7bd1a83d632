"""Notes in picture files: rubbish in EXIF, XMP, texts and profiles spoils no picture; EXIF alone turns it."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import profiles
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import chunk, painted, png
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_text import read_recipe_text
from nstyle.pictures.exif import orientation_of
from nstyle.pictures.jpeg_file import parse_jpeg
from nstyle.pictures.png_file import unpack

HEIGHT, WIDTH = 24, 40
XMP_KEY = b"XML:com.adobe.xmp\0\0\0\0\0"
XMP_TURNED = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def exif(orientation: int, kind: int = 3, count: int = 1, order: str = "<") -> bytes:
    """EXIF with nothing but an orientation. Kinds: 3 is SHORT, 4 LONG, 2 text."""
    value = struct.pack(order + {3: "HH", 4: "I", 2: "I"}[kind], *([orientation, 0] if kind == 3 else [orientation]))
    entry = struct.pack(order + "HHI", 0x0112, kind, count) + value
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"Exif\0\0" + head + struct.pack(order + "H", 1) + entry + bytes(4)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    file = io.BytesIO()
    painted(HEIGHT, WIDTH).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()[:2] + b"".join(segments) + file.getvalue()[2:]


def png_of(depth: int, *chunks: bytes) -> bytes:
    levels = np.asarray(painted(HEIGHT, WIDTH), np.uint16) * (257 if depth == 16 else 1)
    rows = levels.astype(">u2" if depth == 16 else np.uint8)
    return png(WIDTH, HEIGHT, depth, 2, b"".join(b"\0" + row.tobytes() for row in rows), b"".join(chunks))


def written(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    painted(HEIGHT, WIDTH).save(file, form, **options)
    return file.getvalue()


def avif_with(block: bytes) -> bytes:
    """An AVIF with EXIF as it is; Pillow writes none that it cannot read."""
    mark = Image.Exif()
    mark[0x010E] = "x" * 900
    file = written("AVIF", quality=90, exif=mark.tobytes())
    at = file.index(b"II*\0") if b"II*\0" in file else file.index(b"MM\0*")
    block = block.removeprefix(b"Exif\0\0").ljust(900, b"\0")
    return file[:at] + block + file[at + len(block) :]


def tiff(depth: int, xmp: bytes) -> bytes:
    file = io.BytesIO()
    levels = np.asarray(painted(HEIGHT, WIDTH), np.uint16) * (257 if depth == 16 else 1)
    tags = [(700, 1, len(xmp), xmp, True)]
    tifffile.imwrite(file, levels.astype(f"u{depth // 8}"), photometric="rgb", metadata=None, extratags=tags)
    return file.getvalue()


def read(content: bytes, path: Path) -> NDArray[np.float32]:
    path.write_bytes(content)
    return read_picture(path).rgb


RUBBISH = b"Exif\0\0" + bytes(range(256)) * 3
WILD = b"Exif\0\0II*\0" + struct.pack("<I", 2**31)  # its first directory lies beyond its end
BOMB = zlib.compress(bytes(2**25))

NOTES: dict[str, tuple[Callable[[], bytes], Callable[[], bytes]]] = {
    # name: (a file with the notes, the same file without them)
    "jpeg, rubbish": (lambda: jpeg(segment(0xE1, RUBBISH)), jpeg),
    "jpeg, rubbish, no resolution": (lambda: jpeg(segment(0xE1, RUBBISH)).replace(b"JFIF", b"JFIG"), jpeg),
    "jpeg, wild": (lambda: jpeg(segment(0xE1, WILD)), jpeg),
    "jpeg, half a segment of Adobe's": (lambda: jpeg(segment(0xEE, b"Adobe")), jpeg),
    "jpeg, an index of pictures": (lambda: jpeg(segment(0xE2, b"MPF\0" + bytes(range(99)))), jpeg),
    "jpeg, half a profile": (lambda: jpeg(segment(0xE2, b"ICC_PROFILE\0\1")), jpeg),
    **{
        f"png {depth}, {name}": (lambda d=depth, c=chunks: png_of(d, *c), lambda d=depth: png_of(d))  # type: ignore[misc]
        for depth in (8, 16)
        for name, chunks in {
            "rubbish": [chunk(b"eXIf", RUBBISH)],
            "a text called exif": [chunk(b"tEXt", b"exif\0none")],
            "an international text called exif": [chunk(b"iTXt", b"exif\0\0\0\0\0none")],
            "ImageMagick's, rubbish": [chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  4\nxyz!\n")],
            "a long text": [chunk(b"zTXt", b"comment\0\0" + zlib.compress(b"x" * 3_000_000))],
            "long XMP": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"x" * 2_000_000)],
            "a text with a wrong checksum": [chunk(b"tEXt", b"a\0b")[:-1] + b"?"],
            "a text that unpacks to much": [chunk(b"zTXt", b"comment\0\0" + BOMB)],
            "a profile that unpacks to much": [chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2**26)))],
            "half a resolution": [chunk(b"pHYs", b"\0\0")],
            "half a frame": [chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"fcTL", b"\0\0")],
        }.items()
    },
    "webp, rubbish": (lambda: written("WEBP", lossless=True, exif=RUBBISH), lambda: written("WEBP", lossless=True)),
    "avif, rubbish": (lambda: avif_with(RUBBISH), lambda: avif_with(exif(1))),
    "avif, wild": (lambda: avif_with(WILD), lambda: avif_with(exif(1))),
    "webp, wild": (lambda: written("WEBP", lossless=True, exif=WILD), lambda: written("WEBP", lossless=True)),
}


@pytest.mark.parametrize("name", NOTES)
def test_rubbish_in_notes_spoils_no_picture(name: str, tmp_path: Path) -> None:
    noted, plain = NOTES[name]
    path = tmp_path / "noted"
    np.testing.assert_array_equal(read(noted(), path), read(plain(), tmp_path / "plain"), strict=True)
    assert read_recipe_text(path) is None


@pytest.mark.parametrize("depth", [8, 16])
def test_a_profile_of_megabytes_is_applied(depth: int, tmp_path: Path) -> None:
    profile = profiles.DISPLAY_P3.profile()
    padded = bytearray(profile + bytes(2_000_000))
    padded[:4] = struct.pack(">I", len(padded))
    files = [png_of(depth, chunk(b"iCCP", b"p3\0\0" + zlib.compress(bytes(p)))) for p in (profile, padded)]
    converted, also = (read(file, tmp_path / "picture.png") for file in files)
    np.testing.assert_array_equal(converted, also)
    assert np.abs(converted - read(png_of(depth), tmp_path / "plain.png")).max() > 0.02


def test_a_recipe_that_unpacks_to_much_is_refused_but_its_picture_is_read(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    bomb = chunk(b"iTXt", b"nstyle\0\1\0\0\0" + BOMB)
    np.testing.assert_array_equal(read(png_of(8, bomb), path), read(png_of(8), tmp_path / "plain.png"))
    path.write_bytes(png_of(8, bomb))
    with refuses(ImageError, kind=Kind.DAMAGED, path=path):
        read_recipe_text(path)


def test_unpacking_is_bounded() -> None:
    tracemalloc.start()
    assert unpack(BOMB, 1000) is None
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
    assert unpack(zlib.compress(bytes(1000)), 1000) == bytes(1000)
    assert unpack(b"no zlib", 1000) is None


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (exif(6), 6),
        (exif(6, order=">"), 6),
        (exif(6, kind=4), 6),
        (b"Exif\0\0" + exif(8), 8),
        (exif(3).removeprefix(b"Exif\0\0"), 3),
        (exif(0), 1),
        (exif(9), 1),
        (exif(6, count=2), 1),
        (exif(6, kind=2), 1),
        (exif(6)[:20], 1),
        (RUBBISH, 1),
        (WILD, 1),
        (b"", 1),
        (None, 1),
    ],
)
def test_orientation_is_one_legible_number(block: bytes | None, expected: int) -> None:
    assert orientation_of(block) == expected


TURNABLE: dict[str, Callable[[bytes, bytes], bytes]] = {
    # format: a file with EXIF (or none: empty) and XMP
    "jpeg": lambda e, x: jpeg(segment(0xE1, e), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + x)),
    "png 8": lambda e, x: png_of(8, chunk(b"eXIf", e[6:]) if e else b"", chunk(b"iTXt", XMP_KEY + x)),
    "png 16": lambda e, x: png_of(16, chunk(b"eXIf", e[6:]) if e else b"", chunk(b"iTXt", XMP_KEY + x)),
    "webp": lambda e, x: written("WEBP", lossless=True, xmp=x, **({"exif": e} if e else {})),
}


@pytest.mark.parametrize("form", TURNABLE)
def test_exif_alone_turns_a_picture(form: str, tmp_path: Path) -> None:
    make = TURNABLE[form]
    for block in (b"", exif(1), RUBBISH):
        assert read(make(block, XMP_TURNED), tmp_path / "picture").shape == (HEIGHT, WIDTH, 3), block
    assert read(make(exif(6), XMP_TURNED.replace(b"6", b"3")), tmp_path / "picture").shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("depth", [8, 16])
def test_xmp_does_not_turn_a_tiff(depth: int, tmp_path: Path) -> None:
    assert read(tiff(depth, XMP_TURNED), tmp_path / "picture").shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("depth", [8, 16])
def test_exif_behind_the_pixels_of_a_png_turns_it(depth: int, tmp_path: Path) -> None:
    whole = png_of(depth)
    file = whole[:-12] + chunk(b"eXIf", exif(6)[6:]) + whole[-12:]
    np.testing.assert_array_equal(
        read(file, tmp_path / "picture"), np.rot90(read(whole, tmp_path / "plain"), -1), strict=True
    )


def test_around_a_smaller_first_frame_a_gif_is_transparent(tmp_path: Path) -> None:
    path = tmp_path / "picture.gif"
    painted(HEIGHT, WIDTH).quantize(32).save(path)
    whole, content = read_picture(path), bytearray(path.read_bytes())
    assert whole.alpha is None
    for at, length in ((6, WIDTH + 20), (8, HEIGHT + 10)):  # a larger canvas
        content[at : at + 2] = length.to_bytes(2, "little")
    path.write_bytes(content)
    picture = read_picture(path)
    assert picture.alpha is not None
    assert picture.size == (HEIGHT + 10, WIDTH + 20)
    np.testing.assert_array_equal(picture.alpha, np.pad(np.ones((HEIGHT, WIDTH)), ((0, 10), (0, 20))))
    np.testing.assert_array_equal(picture.rgb[:HEIGHT, :WIDTH], whole.rgb)


def test_exif_of_a_jpeg_in_many_segments_is_joined_up_to_a_limit() -> None:
    part = segment(0xE1, b"Exif\0\0" + b"ab")
    assert parse_jpeg(Path("few"), jpeg(part, part, part)).exif == b"Exif\0\0" + b"ab" * 3
    large = segment(0xE1, b"Exif\0\0" + bytes(60_000))
    joined = parse_jpeg(Path("many"), jpeg(*[large] * 40)).exif
    assert joined is not None
    assert len(joined) <= 2**20


def test_half_of_what_zlib_packed_is_damaged() -> None:
    packed = zlib.compress(b"text" * 100)
    assert unpack(packed, 400) == b"text" * 100
    assert unpack(packed[:-5], 400) is None
    assert unpack(packed, 399) is None
