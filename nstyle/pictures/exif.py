"""Read EXIF, the camera's notes in a picture file. It may be damaged anywhere; the pixels do not depend on it."""

import struct

_ORIENTATION = 0x0112
_FORMATS = {1: "B", 3: "H", 4: "I"}  # types of whole numbers: BYTE, SHORT, LONG
_PREFIX = b"Exif\0\0"


def orientation_of(exif: object) -> int:
    """Return EXIF's orientation: how to rotate and mirror the pixels for display, 1 to 8 (EXIF 2.32, 4.6.4).

    Args:
        exif: the block of bytes, a TIFF structure, perhaps after `Exif` and two zeros; anything else counts as none.

    Returns:
        The first directory's orientation; 1, which changes nothing, if it is missing, illegible, not in 1..8, or not
        a single number. Orientation in XMP is ignored in every format, as browsers do.

    """
    if not isinstance(exif, bytes):
        return 1
    while exif.startswith(_PREFIX):  # some programs write it twice
        exif = exif[len(_PREFIX) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for number in range(count):
            tag, kind, values = struct.unpack_from(order + "HHI", exif, start + 2 + 12 * number)
            if tag == _ORIENTATION:
                if values != 1 or kind not in _FORMATS:
                    return 1
                (value,) = struct.unpack_from(order + _FORMATS[kind], exif, start + 10 + 12 * number)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # it points beyond its end
        pass
    return 1
