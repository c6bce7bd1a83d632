"""Text and numbers from files that anybody may have written, made fit to be shown."""

import re
from typing import Any

MOST_CHARACTERS = 1000
"""Characters of a text that are shown. Longer than any path that a system accepts in practice."""

_HIDDEN = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a reader does not see and that change how others are shown: control characters, line and paragraph
separators, marks and overrides of the writing direction, and halves of surrogate pairs. Joiners are not among them:
emoji and some scripts need them."""


def visible(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return the text with hidden characters written as escapes (backslash, u, code), cut after `most` characters."""
    cut = text if len(text) <= most else text[:most] + "…"
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)


def whole(value: Any, least: int, most: int) -> int | None:
    """Return the value if it is a whole number from `least` to `most`, else None."""
    return value if type(value) is int and least <= value <= most else None
