"""The table of picture formats: which are read, which are written, and what each can store.

To write a new format, add a row with its bit depths here, and an encoder in `nstyle.pictures.encode`.
"""

from dataclasses import dataclass

from nstyle.pictures.limits import MOST_TEXT_BYTES


@dataclass(frozen=True)
class Format:
    """A picture format.

    Attributes:
        name: its name in `image_format`, and the ending of written files.
        title: its name in messages.
        endings: endings of its files, in lower case and without the dot.
        pillow: Pillow's names of the plugins that read it; empty if another library reads it.
        bit_depths: supported bits per channel for writing; empty if it is only read.
        longest_edge: longest edge that it can store, in pixels; None: no limit.
        longest_text: longest text that is embedded, in bytes.
        has_alpha: whether it stores transparency.
        shown_by_browsers: whether web browsers display it.

    """

    name: str
    title: str
    endings: tuple[str, ...]
    pillow: tuple[str, ...] = ()
    bit_depths: tuple[int, ...] = ()
    longest_edge: int | None = None
    longest_text: int = MOST_TEXT_BYTES
    has_alpha: bool = False
    shown_by_browsers: bool = False

    def can_hold(self, edge: int, bit_depth: int = 8) -> bool:
        """Tell whether a picture with this longer edge (pixels) and bit depth (per channel) can be written."""
        return bit_depth in self.bit_depths and (self.longest_edge is None or edge <= self.longest_edge)


# Pillow supports more formats, and runs other programs for some (Ghostscript for EPS), so only these are allowed.
# They are tried in this order. It matters because some formats, such as TGA, have no signature.
FORMATS = (
    Format(
        "jpg",
        "JPEG",
        ("jpg", "jpeg", "jpe", "jfif", "mpo"),
        ("JPEG", "MPO"),
        bit_depths=(8,),
        longest_edge=65500,  # libjpeg's limit
        longest_text=60_000,  # one segment has 65,533 bytes, also for the photo's metadata
        shown_by_browsers=True,
    ),
    Format("png", "PNG", ("png",), ("PNG",), bit_depths=(8, 16), has_alpha=True, shown_by_browsers=True),
    Format("tiff", "TIFF", ("tif", "tiff"), ("TIFF",), bit_depths=(8, 16), has_alpha=True),
    Format(
        "webp",
        "WebP",
        ("webp",),
        ("WEBP",),
        bit_depths=(8,),
        longest_edge=16383,  # 14 bits in its header
        has_alpha=True,
        shown_by_browsers=True,
    ),
    Format("gif", "GIF", ("gif",), ("GIF",), has_alpha=True, shown_by_browsers=True),
    Format("bmp", "BMP", ("bmp",), ("BMP",), shown_by_browsers=True),
    Format("avif", "AVIF", ("avif",), ("AVIF",), has_alpha=True, shown_by_browsers=True),
    Format("jp2", "JPEG 2000", ("jp2", "j2k", "jpx"), ("JPEG2000",), has_alpha=True),
    Format("ppm", "PPM", ("ppm", "pgm", "pbm", "pnm"), ("PPM",)),
    Format("tga", "TGA", ("tga",), ("TGA",), has_alpha=True),
    Format("ico", "ICO", ("ico",), ("ICO",), has_alpha=True, shown_by_browsers=True),
    Format("pcx", "PCX", ("pcx",), ("PCX",)),
    Format("dib", "DIB", ("dib",), ("DIB",)),
    Format("qoi", "QOI", ("qoi",), ("QOI",), has_alpha=True),
    Format("sgi", "SGI", ("sgi",), ("SGI",), has_alpha=True),
    Format("jxl", "JPEG XL", ("jxl",), has_alpha=True),
    Format("heic", "HEIC", ("heic", "heif", "hif"), has_alpha=True),
)

WRITTEN = {form.name: form for form in FORMATS if form.bit_depths}
"""The formats that can be written, by name; the name is also the ending of the file."""


def able_to_hold(edge: int = 1, bit_depth: int = 8) -> list[str]:
    """Return the names of the formats that can store such a picture; see `Format.can_hold`."""
    return [name for name, form in WRITTEN.items() if form.can_hold(edge, bit_depth)]
