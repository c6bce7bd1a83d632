"""Colors that a file describes without an ICC profile: each scene below must come out as the same sRGB picture."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import profiles
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import chunk, painted, png
from PIL import Image
from refusals import refuses

from nstyle.errors import ImageError, Kind
from nstyle.pictures.decode import read_picture
from nstyle.pictures.embedded_color import avif_profile, boxes_of_file

P3, ADOBE, SRGB, PROPHOTO = profiles.DISPLAY_P3, profiles.ADOBE_RGB, profiles.SRGB, profiles.PROPHOTO
BT2020 = profiles.Space(((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), profiles.D65, None)
DCI_P3 = profiles.Space(P3.primaries, (0.314, 0.351), None)
LINEAR = profiles.Space(SRGB.primaries, SRGB.white, 1.0)
LINEAR_P3 = profiles.Space(P3.primaries, P3.white, 1.0)
OLD_MAC = profiles.Space(SRGB.primaries, SRGB.white, 1.8)
COLORS = (220, 60, 70), (60, 200, 80), (50, 80, 210), (240, 220, 90)
FINE = 0.2  # levels of 8 bits: the tables of a profile in 16 bits


def scene() -> profiles.Floats:
    """Four flat stripes as sRGB levels, 32 x 64 x 3, 0 to 1."""
    return np.repeat(np.array(COLORS) / 255, 16, axis=0)[None].repeat(32, axis=0)


def whole(levels: profiles.Floats, depth: int) -> NDArray[Any]:
    counts: NDArray[Any] = np.rint(levels * (2**depth - 1))
    return counts.astype(np.uint8 if depth == 8 else np.uint16)


def write_png(path: Path, levels: NDArray[Any], *chunks: bytes) -> Path:
    """Write levels (H x W x C, uint8 or uint16) with these chunks before the pixels."""
    depth, color_type = 8 * levels.dtype.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[levels.shape[2]]
    lines = b"".join(b"\0" + line.astype(f">u{depth // 8}").tobytes() for line in levels)
    path.write_bytes(png(levels.shape[1], levels.shape[0], depth, color_type, lines, b"".join(chunks)))
    return path


def check(path: Path, tolerance: float, expected: profiles.Floats | None = None) -> None:
    rgb = read_picture(path).rgb
    expected = scene() if expected is None else expected
    middle = np.arange(4, 64, 16)[:, None] + np.arange(8)  # lossy formats blur the borders of the stripes
    assert np.abs(rgb - expected)[4:-4, middle].max() * 255 <= tolerance


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))


def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full]))


def gama(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


def chrm(space: profiles.Space) -> bytes:
    numbers = [round(number * 100_000) for point in (space.white, *space.primaries) for number in point]
    return chunk(b"cHRM", struct.pack(">8I", *numbers))


SRGB_CHUNK = chunk(b"sRGB", b"\0")
FLAT = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, *(30000, 30000) * 3))

# fmt: off
PNGS = {
    "cICP, Display P3":                  (P3,        [cicp(12, 13)]),
    "cICP, BT.2020":                     (BT2020,    [cicp(9, 14)]),
    "cICP, DCI-P3":                      (DCI_P3,    [cicp(11, 13)]),
    "cICP, linear":                      (LINEAR,    [cicp(1, 8)]),
    "cICP, linear P3":                   (LINEAR_P3, [cicp(12, 8)]),
    "cICP, unspecified":                 (SRGB,      [cicp(2, 2)]),
    "cICP, BT.709":                      (SRGB,      [cicp(1, 1)]),
    "cICP before iCCP":                  (P3,        [iccp(ADOBE.profile()), cicp(12, 13)]),
    "cICP of sRGB before iCCP":          (SRGB,      [cicp(1, 13), iccp(ADOBE.profile())]),
    "cICP before sRGB and gAMA":         (P3,        [SRGB_CHUNK, gama(100_000), cicp(12, 13)]),
    "cICP with a matrix, not valid":     (ADOBE,     [cicp(12, 13, matrix=1), iccp(ADOBE.profile())]),
    "cICP cut short":                    (SRGB,      [chunk(b"cICP", bytes([12, 13, 0]))]),
    "the first cICP":                    (P3,        [cicp(12, 13), cicp(9, 16)]),
    "iCCP before gAMA and cHRM":         (P3,        [gama(100_000), chrm(ADOBE), iccp(P3.profile())]),
    "a damaged iCCP, then gAMA":         (LINEAR,    [chunk(b"iCCP", b"profile\0\0rubbish"), gama(100_000)]),
    "sRGB before gAMA and cHRM":         (SRGB,      [gama(100_000), chrm(ADOBE), SRGB_CHUNK]),
    "gAMA, linear":                      (LINEAR,    [gama(100_000)]),
    "gAMA, 1.8":                         (OLD_MAC,   [gama(55_556)]),
    "gAMA and cHRM":                     (LINEAR_P3, [gama(100_000), chrm(P3)]),
    "gAMA of sRGB and cHRM":             (P3,        [gama(45_455), chrm(P3)]),
    "cHRM alone":                        (P3,        [chrm(P3)]),
    "gAMA of sRGB":                      (SRGB,      [gama(45_455)]),
    "gAMA of sRGB, rounded":             (SRGB,      [gama(45_000)]),
    "gAMA and cHRM of sRGB":             (SRGB,      [gama(45_455), chrm(SRGB)]),
    "gAMA 0":                            (SRGB,      [gama(0)]),
    "cHRM without an area":              (SRGB,      [gama(45_455), FLAT]),
    "cHRM of zeros":                     (SRGB,      [gama(45_455), chunk(b"cHRM", bytes(32))]),
}
# fmt: on


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", PNGS)
def test_a_png_is_converted_as_its_chunks_say(name: str, depth: int, tmp_path: Path) -> None:
    space, chunks = PNGS[name]
    path = write_png(tmp_path / "picture.png", whole(space.from_srgb(scene()), depth), *chunks)
    coarse = 3 if space.gamma is None else 7  # 8-bit levels have wide steps in the dark of linear light
    check(path, FINE if depth == 16 else coarse)
    if space is SRGB:  # as without any chunk, bit for bit
        plain = write_png(tmp_path / "plain.png", whole(scene(), depth))
        np.testing.assert_array_equal(read_picture(path).rgb, read_picture(plain).rgb)


@pytest.mark.parametrize("chunks", [[cicp(9, 16)], [cicp(9, 18)], [cicp(9, 16), iccp(P3.profile())]])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_of_high_dynamic_range_is_refused(depth: int, chunks: list[bytes], tmp_path: Path) -> None:
    path = write_png(tmp_path / "picture.png", whole(scene(), depth), *chunks)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize(("primaries", "transfer"), [(10, 13), (3, 13), (1, 9), (1, 17), (1, 99)])
def test_code_points_that_cannot_be_converted_are_refused(primaries: int, transfer: int, tmp_path: Path) -> None:
    path = write_png(tmp_path / "picture.png", whole(scene(), 8), cicp(primaries, transfer))
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_in_videos_narrow_range(depth: int, tmp_path: Path) -> None:
    unit = 2 ** (depth - 8)
    narrow = np.rint(scene() * 219 * unit + 16 * unit).astype(np.uint8 if depth == 8 else np.uint16)
    check(write_png(tmp_path / "picture.png", narrow, cicp(1, 13, full=0)), 0.6)


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_in_linear_light(depth: int, tmp_path: Path) -> None:
    grey = scene()[..., :1]
    path = write_png(tmp_path / "picture.png", whole(profiles.decode_srgb(grey), depth), gama(100_000))
    check(path, FINE if depth == 16 else 3, np.repeat(grey, 3, axis=2))


def test_a_palette_in_linear_light(tmp_path: Path) -> None:
    picture = Image.fromarray(whole(LINEAR.from_srgb(scene()), 8)).quantize(4)
    path = tmp_path / "picture.png"
    picture.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:33] + gama(100_000) + content[33:])
    check(path, 6)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_level_of_a_grey_png(depth: int, tmp_path: Path) -> None:
    samples = np.zeros((20, 20), np.uint32)
    samples[:, 10:] = 1
    lines = b""
    for row in samples:
        bits = (row[:, None] >> np.arange(depth)[::-1]) & 1
        lines += b"\0" + np.packbits(bits.astype(np.uint8).ravel()).tobytes()
    path = tmp_path / "picture.png"
    path.write_bytes(png(20, 20, depth, 0, lines, chunk(b"tRNS", struct.pack(">H", 1))))
    alpha = read_picture(path).alpha
    assert alpha is not None
    np.testing.assert_array_equal(alpha, 1 - samples)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_color_of_an_rgb_png(depth: int, tmp_path: Path) -> None:
    levels = whole(scene(), depth)
    key = chunk(b"tRNS", struct.pack(">3H", *(int(level) for level in levels[0, 20])))
    picture = read_picture(write_png(tmp_path / "picture.png", levels, key))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha[:, 16:32], 0)
    assert (picture.alpha[:, :16] == 1).all()
    assert (picture.alpha[:, 32:] == 1).all()


def exif_of(color_space: int | None, index: str | None) -> bytes:
    exif = Image.Exif()
    if color_space is not None:
        exif.get_ifd(0x8769)[0xA001] = color_space
    if index is not None:
        exif.get_ifd(0x8769)[0xA005] = {1: index}
    return exif.tobytes()


def save(path: Path, space: profiles.Space, exif: bytes, profile: bytes | None = None) -> None:
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {"lossless": True}
    picture = Image.fromarray(whole(space.from_srgb(scene()), 8))
    picture.save(path, exif=exif, icc_profile=profile, **options)


EXIF = {
    (2, None): ADOBE,
    (0xFFFF, "R03"): ADOBE,
    (0xFFFF, "R98"): SRGB,
    (0xFFFF, None): SRGB,
    (1, "R98"): SRGB,
    (1, "R03"): SRGB,
    (None, "R03"): SRGB,
}


@pytest.mark.parametrize("ending", ["jpg", "webp", "png"])
@pytest.mark.parametrize(("color_space", "index"), EXIF)
def test_adobe_rgb_by_exif(color_space: int | None, index: str | None, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{ending}"
    save(path, EXIF[color_space, index], exif_of(color_space, index))
    check(path, 9 if ending == "jpg" else 3)


@pytest.mark.parametrize("ending", ["jpg", "tif", "webp", "png"])
def test_an_icc_profile_counts_more_than_exif(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{ending}"
    save(path, P3, exif_of(0xFFFF, "R03"), P3.profile())
    check(path, 9 if ending == "jpg" else 3)


def test_an_srgb_chunk_counts_more_than_exif(tmp_path: Path) -> None:
    exif = chunk(b"eXIf", exif_of(2, None).removeprefix(b"Exif\0\0"))
    check(write_png(tmp_path / "picture.png", whole(scene(), 16), SRGB_CHUNK, exif), FINE)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("color_space", "index"), EXIF)
def test_adobe_rgb_by_exif_in_a_tiff(color_space: int | None, index: str | None, depth: int, tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    levels = whole(EXIF[color_space, index].from_srgb(scene()), depth)
    tifffile.imwrite(path, levels, photometric="rgb", metadata=None, extratags=[(0x8768, 4, 1, 0, True)])
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.tags[0x8768].offset
    content = bytearray(path.read_bytes())
    struct.pack_into("<2HII", content, offset, 0x8769, 4, 1, len(content))  # neither library writes these two IFDs
    after = len(content) + 2 + 12 * 2 + 4
    content += struct.pack("<H2HI2H", 2, 0xA001 if color_space else 0xA00F, 3, 1, color_space or 0, 0)
    content += struct.pack("<2HIII", 0xA005, 4, 1, after, 0)
    path.write_bytes(content + struct.pack("<H2HI4sI", 1, 1, 2, 4, (index or "").encode(), 0))
    check(path, FINE if depth == 16 else 3)


def write_avif(path: Path, space: profiles.Space, primaries: int, transfer: int, **options: Any) -> Path:
    """Write an AVIF with these code points: Pillow writes those of sRGB, which are replaced."""
    picture = Image.fromarray(whole(space.from_srgb(scene()), 8))
    picture.save(path, quality=95, subsampling="4:4:4", **options)
    before, box, after = path.read_bytes().partition(b"colrnclx")
    if box:
        after = struct.pack(">HH", primaries, transfer) + after[4:]
    path.write_bytes(before + box + after)
    return path


CODE_POINTS = {(12, 13): P3, (9, 13): BT2020, (9, 14): BT2020, (1, 1): SRGB, (2, 2): SRGB, (1, 6): SRGB}


@pytest.mark.parametrize(("primaries", "transfer"), CODE_POINTS)
def test_an_avif_is_converted_as_its_code_points_say(primaries: int, transfer: int, tmp_path: Path) -> None:
    check(write_avif(tmp_path / "picture.avif", CODE_POINTS[primaries, transfer], primaries, transfer), 6)


def test_an_avif_in_linear_light(tmp_path: Path) -> None:
    check(write_avif(tmp_path / "picture.avif", LINEAR, 1, 8), 14)  # 8 bits are coarse in the dark


@pytest.mark.parametrize("transfer", [16, 18])
def test_an_avif_of_high_dynamic_range_is_refused(transfer: int, tmp_path: Path) -> None:
    path = write_avif(tmp_path / "picture.avif", SRGB, 9, transfer)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


def test_an_avif_with_an_icc_profile_goes_by_it(tmp_path: Path) -> None:
    check(write_avif(tmp_path / "picture.avif", P3, 9, 13, icc_profile=P3.profile()), 6)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


@pytest.mark.parametrize("wide", [False, True])
def test_the_tiles_of_an_avif_say_the_colors_of_the_grid(wide: bool, tmp_path: Path) -> None:
    """Item 7 is a grid without colors of its own, of item 8, whose third property is the colors."""
    number = "I" if wide else "H"
    version = bytes([wide, 0, 0, wide])
    properties = box(b"ispe", bytes(12)) + box(b"pixi", bytes(8))
    properties += box(b"colr", b"nclx" + struct.pack(">3HB", 12, 13, 6, 128))
    index = "H" if wide else "B"
    essential = 0x8000 if wide else 0x80
    associations = struct.pack(f">I{number}B{index}", 2, 7, 1, 1)
    associations += struct.pack(f">{number}B2{index}", 8, 2, 2, essential | 3)
    meta = box(b"pitm", bytes([wide, 0, 0, 0]) + struct.pack(f">{number}", 7))
    meta += box(b"iref", bytes([wide, 0, 0, 0]) + box(b"dimg", struct.pack(f">{number}H{number}", 7, 1, 8)))
    meta += box(b"iprp", box(b"ipco", properties) + box(b"ipma", version + associations))
    path = tmp_path / "grid.avif"
    path.write_bytes(box(b"ftyp", b"avif") + box(b"meta", bytes(4) + meta))
    assert avif_profile(path) is not None
    for length in range(len(path.read_bytes())):  # never an error, wherever the file ends
        path.write_bytes(path.read_bytes()[:-1])
        assert avif_profile(path) is None or length < 30


def write_heic(path: Path, space: profiles.Space, depth: int = 8, **options: Any) -> Path:
    levels = whole(space.from_srgb(scene()), 8 if depth == 8 else 16)
    mode = "RGB" if depth == 8 else "RGB;16"
    heif = pillow_heif.from_bytes(mode, levels.shape[1::-1], levels.tobytes())
    heif.save(path, quality=95, chroma=444, **options)
    return path


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize(("primaries", "transfer"), CODE_POINTS)
def test_a_heic_is_converted_as_its_code_points_say(
    primaries: int, transfer: int, depth: int, tmp_path: Path
) -> None:
    space = CODE_POINTS[primaries, transfer]
    options = {"color_primaries": primaries, "transfer_characteristics": transfer}
    check(write_heic(tmp_path / "picture.heic", space, depth, **options), 8)


def test_a_heic_with_an_icc_profile_goes_by_it(tmp_path: Path) -> None:
    check(write_heic(tmp_path / "picture.heic", P3, icc_profile=P3.profile(), color_primaries=9), 8)


def write_jp2(path: Path, levels: NDArray[Any], *colr: bytes) -> Path:
    """Write a JPEG 2000 whose colors these `colr` boxes describe, instead of Pillow's."""
    Image.fromarray(levels).save(path, irreversible=False)
    content = path.read_bytes()
    start = content.index(b"jp2h") - 4
    header = content[start + 8 : start + int.from_bytes(content[start : start + 4], "big")]
    end = start + 8 + len(header)
    at = header.index(b"colr") - 4
    header = header[:at] + b"".join(box(b"colr", c) for c in colr) + header[at + 15 :]
    path.write_bytes(content[:start] + box(b"jp2h", header) + content[end:])
    return path


def colr(method: int, content: bytes) -> bytes:
    return bytes([method, 0, 0]) + content


def enumerated(number: int) -> bytes:
    return colr(1, number.to_bytes(4, "big"))


JP2 = {
    "sRGB": (SRGB, [enumerated(16)]),
    "nothing": (SRGB, []),
    "restricted profile": (P3, [colr(2, P3.profile())]),
    "any profile": (P3, [colr(3, P3.profile())]),
    "ROMM RGB": (PROPHOTO, [enumerated(21)]),
    "code points": (P3, [colr(5, struct.pack(">3HB", 12, 13, 0, 128))]),
    "the first of two": (SRGB, [enumerated(16), colr(2, P3.profile())]),
    "the profile first": (P3, [colr(2, P3.profile()), enumerated(16)]),
    "the first that is known": (P3, [colr(4, bytes(16)), colr(2, P3.profile())]),
}


@pytest.mark.parametrize("name", JP2)
def test_a_jpeg_2000_is_converted_as_it_says(name: str, tmp_path: Path) -> None:
    space, boxes = JP2[name]
    check(write_jp2(tmp_path / "picture.jp2", whole(space.from_srgb(scene()), 8), *boxes), 3)


def test_a_jpeg_2000_in_grey_with_a_profile(tmp_path: Path) -> None:
    grey = scene()[..., :1]
    levels = whole(profiles.decode_srgb(grey) ** (1 / profiles.GREY_GAMMA), 8)[..., 0]
    path = write_jp2(tmp_path / "picture.jp2", levels, colr(2, profiles.grey_profile()))
    check(path, 2, np.repeat(grey, 3, axis=2))


def test_a_jpeg_2000_in_cmyk_with_a_profile(tmp_path: Path) -> None:
    inks = whole(profiles.inks(profiles.decode_srgb(scene())), 8)
    check(write_jp2(tmp_path / "picture.jp2", inks, colr(3, profiles.cmyk_profile())), 4)


@pytest.mark.parametrize("content", [enumerated(14), enumerated(24), colr(4, bytes(16))])
def test_a_jpeg_2000_of_unknown_colors_is_refused(content: bytes, tmp_path: Path) -> None:
    path = write_jp2(tmp_path / "picture.jp2", whole(scene(), 8), content)
    with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
        read_picture(path)


@pytest.mark.parametrize("kind", [1, 2])
def test_a_jpeg_2000_whose_colors_are_multiplied_by_alpha(kind: int, tmp_path: Path) -> None:
    alpha = np.full((32, 64, 1), 0.6)
    levels = np.concatenate([scene() * (0.6 if kind == 2 else 1), alpha], axis=2)
    path = write_jp2(tmp_path / "picture.jp2", whole(levels, 8), enumerated(16))
    content = path.read_bytes()
    assert content.count(struct.pack(">3H", 3, 1, 0)) == 1  # channel 3 is alpha, of the whole picture
    path.write_bytes(content.replace(struct.pack(">3H", 3, 1, 0), struct.pack(">3H", 3, kind, 0)))
    check(path, 1.1)


def write_bmp(path: Path, space: profiles.Space, color_space: bytes, profile: bytes = b"", version: int = 5) -> Path:
    """Write a BMP with a header of version 4 or 5, with the space's primaries and gamma, and perhaps a profile."""
    rows = whole(space.from_srgb(scene()), 8)[::-1, :, ::-1].tobytes()
    size = {4: 108, 5: 124}[version]
    header = struct.pack("<IiiHHIIiiII16x4s", size, 64, 32, 1, 24, 0, len(rows), 0, 0, 0, 0, color_space)
    for point in space.primaries:
        light = np.linalg.solve(np.stack([profiles.xyz(*p) for p in space.primaries], 1), profiles.xyz(*space.white))
        xyz = profiles.xyz(*point) * light[space.primaries.index(point)]
        header += struct.pack("<3i", *(round(number / 2 * 2**30) for number in xyz))
    header += struct.pack("<3I", *[round((space.gamma or 2.2) * 2**16)] * 3)
    header += struct.pack("<4I", 4, size + len(rows), len(profile), 0) if version == 5 else b""
    start = struct.pack("<2sIII", b"BM", 14 + size + len(rows) + len(profile), 0, 14 + size)
    path.write_bytes(start + header + rows + profile)
    return path


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("space", [P3, OLD_MAC, SRGB])
def test_a_bmp_that_gives_its_primaries_and_gamma(space: profiles.Space, version: int, tmp_path: Path) -> None:
    check(write_bmp(tmp_path / "picture.bmp", space, bytes(4), version=version), 3)


def test_a_bmp_with_a_profile(tmp_path: Path) -> None:
    check(write_bmp(tmp_path / "picture.bmp", P3, b"DEBM", P3.profile()), 3)


@pytest.mark.parametrize("color_space", [b"BGRs", b" niW", b"KNIL"])
def test_a_bmp_that_is_srgb(color_space: bytes, tmp_path: Path) -> None:
    path = write_bmp(tmp_path / "picture.bmp", LINEAR, color_space)
    check(path, 0.01, whole(LINEAR.from_srgb(scene()), 8) / 255)


@pytest.mark.parametrize("transfer", [13, 16, 18])
def test_a_profile_for_high_dynamic_range_is_refused(transfer: int, tmp_path: Path) -> None:
    profile = P3.profile({b"cicp": b"cicp\0\0\0\0" + bytes([12, transfer, 0, 1])})
    path = write_png(tmp_path / "picture.png", whole(P3.from_srgb(scene()), 8), iccp(profile))
    if transfer == 13:
        check(path, 3)
    else:
        with refuses(ImageError, kind=Kind.UNSUPPORTED, path=path):
            read_picture(path)


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "webp", "bmp", "jp2", "avif", "qoi", "gif"])
def test_a_picture_that_says_nothing_is_read_as_it_is(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{ending}"
    painted(40, 50).save(path)
    with Image.open(path) as picture:
        expected = np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)
    np.testing.assert_array_equal(read_picture(path).rgb, expected)


def test_a_file_of_countless_boxes_is_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "boxes"
    path.write_bytes(box(b"free", b"") * 900 + box(b"want", b"1") + box(b"free", b"") * 5000 + box(b"want", b"2"))
    assert boxes_of_file(path, b"want", 100) == [b"1"]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_profile_behind_the_pixels_of_a_png_does_not_count(depth: int, tmp_path: Path) -> None:
    path = write_png(tmp_path / "picture.png", whole(scene(), depth))
    path.write_bytes(path.read_bytes()[:-12] + iccp(P3.profile()) + chunk(b"IEND", b""))
    check(path, FINE)
