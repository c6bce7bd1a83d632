"""Pieces of HTML, JSON and links, safe whatever a stranger's file says."""

import html
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nstyle.escaping import visible

_LARGEST = 1e150
"""Largest value of a curve that is drawn. No float32 is as large, and the page can still compute with it."""


def part(name: str) -> str:
    """Return the text of a file in this package."""
    return resources.files("nstyle.view").joinpath(name).read_text(encoding="utf-8")


def escaped(text: str) -> str:
    """Return the text as HTML, for content or attribute; control characters are spelled out."""
    return html.escape(visible(text))


def json_text(facts: dict[str, Any]) -> str:
    """Return JSON that is safe inside a script element: no text in it can end the element."""
    return json.dumps(facts, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def link_to(target: Path, page: Path) -> str:
    """Return the URL of a file, relative to the page; absolute if the two are on different drives."""
    try:
        relative = os.path.relpath(target.resolve(), page.parent.resolve())
    except ValueError:  # a different drive
        return target.resolve().as_uri()
    return quote(os.fsencode(Path(relative).as_posix()))


def picture_link(target: Path, page: Path) -> str | None:
    """Return the URL of a picture, or None if it would name folders elsewhere: people publish pages.

    A picture is linked if it is below the page's folder, or directly in a folder that contains the page's.
    """
    picture, folder = target.resolve(), page.parent.resolve()
    is_near = picture.is_relative_to(folder) or picture.parent in folder.parents
    return link_to(target, page) if is_near else None


def terms(facts: dict[str, str]) -> str:
    """Return the facts as HTML terms and descriptions."""
    pairs = [(escaped(term), escaped(text)) for term, text in facts.items()]
    return "\n".join(f"<div><dt>{term}</dt><dd>{text}</dd></div>" for term, text in pairs)


def duration(seconds: float) -> str:
    """Format a time span in its one or two largest units, such as "2 min 3 s"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{seconds:.1f} s" if whole < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def curve_value(value: float | None) -> float | None:
    """Return a point of a curve with five digits; None if it is missing, not a number, or too large to be drawn."""
    return float(f"{value:.5g}") if value is not None and abs(value) <= _LARGEST else None
