"""How large pictures may be."""

SHORTEST_EDGE = 16
"""Pixels: VGG-19 halves a picture four times before relu5_1, so 16 are the fewest that leave one position there."""

LONGEST_EDGE = 65500
"""Pixels of the longest edge that is painted; a format may have room for less (`Format.longest_edge`)."""

LONGEST_EDGE_READ = 2**16 - 1
"""Pixels of the longest edge that is read: the most that the header of a JPEG can state."""

MOST_PIXELS = 2 * 2**30 // 12
"""Pixels of the largest picture that is read: 179 million, whose colours alone fill 2 GiB as float32."""

MOST_BYTES = 2 * 2**30
"""Bytes of the largest file that is read: an uncompressed picture of `MOST_PIXELS` in 16-bit RGBA is smaller."""
