"""Limits on the size of pictures."""

SHORTEST_EDGE = 16
"""Shortest edge, in pixels: VGG-19 halves a picture four times before relu5_1, so 16 pixels leave one position."""

LONGEST_EDGE = 65500
"""Longest edge of a painting, in pixels: libjpeg's limit. Other formats may allow less (`Format.longest_edge`)."""

LONGEST_EDGE_READ = 2**16 - 1
"""Longest edge of a picture that is read, in pixels: the largest number in a JPEG header."""

MOST_PIXELS = 2 * 2**30 // 12
"""Most pixels of a picture that is read: 179 million, whose colors fill 2 GiB as float32."""

MOST_BYTES = 2 * 2**30
"""Size of the largest file that is read, in bytes: enough for `MOST_PIXELS` of uncompressed 16-bit RGBA."""
