"""Text from files, made harmless: what a file is called, or says, neither steers a terminal nor disguises a page."""

import re

_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (C0 with ESC and BEL, DEL, C1), separators of lines, marks that reverse the direction of text
(Unicode's bidirectional formatting), and halves of characters, by which Python spells bytes that are no text.
"""


def visible(text: str) -> str:
    r"""Return the text with each character that would steer a terminal or reorder a line spelled out, as \x1b.

    All output of the commands, and all text on their pages, passes through here.
    """
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
