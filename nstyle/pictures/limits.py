"""Limits on the size of pictures."""

SHORTEST_EDGE = 16
"""Shortest edge, in pixels: VGG-19 halves a picture four times before relu5_1, so 16 pixels leave one position."""

LONGEST_EDGE = 65500
"""Longest edge of a painting, in pixels: libjpeg's limit. Other formats may allow less (`Format.longest_edge`)."""

LONGEST_EDGE_READ = 2**16 - 1
"""Longest edge of a picture that is read, in pixels: the largest number in a JPEG header."""

MOST_PIXELS = 2 * 2**30 // 12
"""Most pixels of a picture that is read: 179 million, whose colors fill 2 GiB as float32."""

MOST_JPEG_PIXELS = 2 * MOST_PIXELS
"""Most pixels of a JPEG, which can be read at a reduced size: 358 million."""

LARGE = 64_000_000
"""Pixels above which a picture takes a faster way: a JPEG is read at a reduced size (`reduction`), and
`nstyle.pictures.picture.resize` averages blocks of pixels first. Cameras up to 61 megapixels are below."""

MOST_BYTES = 2 * 2**30
"""Size of the largest file that is read, in bytes: enough for `MOST_PIXELS` of uncompressed 16-bit RGBA."""

MOST_PROFILE_BYTES = 2**25
"""Size of the largest ICC profile that is unpacked, in bytes: those of presses and cameras have a few million."""

MOST_EXIF_BYTES = 2**20
"""Most bytes of EXIF that are read from a JPEG or a JPEG XL; a camera writes at most 64 KiB into a segment."""

MOST_TEXT_BYTES = 2**20
"""Size of the longest text in a PNG that is unpacked, in bytes."""


def reduction(width: int, height: int, edge: int | None) -> int:
    """Return by how much the decoder shrinks a JPEG of this size: 1, 2, 4 or 8 times, on both edges.

    Only a picture above `LARGE` is shrunk: until it is below `MOST_PIXELS`, and as far as both of its edges stay at
    least twice as long as `edge`, the longest edge of what is made from it in pixels; None: as little as possible.
    """
    scale = 1
    while width * height > LARGE and scale < 8:
        small = edge is not None and min(width, height) >= 2 * edge * 2 * scale
        if not small and width * height <= MOST_PIXELS * scale**2:
            break
        scale *= 2
    return scale
