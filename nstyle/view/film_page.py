"""A film's part of its page: the player's HTML and data, and the facts about the film."""

from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from nstyle.settings.paths import name_of
from nstyle.storage.film_record import FrameLine
from nstyle.storage.layout import FRAMES, SOURCE_FRAMES, StopReason
from nstyle.storage.reading import whole
from nstyle.view.markup import curve_value, duration, escaped, part, picture_link
from nstyle.view.previews import ENDING, PREVIEWS, find_previews, needs_previews, prefix
from nstyle.view.runs import Film
from nstyle.wording import counted

_MOST_PASSES = 1000
_MOST_SECONDS = 10**7  # of a frame, four months

_CURVES = ("temporal_error", "loss", "content_loss", "style_loss", "epochs", "seconds")

_ENDINGS: dict[str, str] = {
    StopReason.EPOCHS: "finished: all {frames} painted",
    StopReason.INTERRUPTED: "interrupted after {done} of {frames}",
    StopReason.FAILED: "failed after {done} of {frames}",
    StopReason.RUNNING: "killed after {done} of {frames}",
}


def describe_film(film: Film) -> str:
    """Describe in one line the progress of the film, or how it ended. Each pass over a frame counts."""
    passes = whole(film.settings.get("passes"), 1, _MOST_PASSES) or 1
    done, total = sum(min(line.number_of_pass, passes) for line in film.lines), film.film.frames * passes
    frames = counted(total, "frame") + (f" in {passes} passes" if passes > 1 else "")
    if not film.is_running:
        reason = film.film.stop_reason
        ending = _ENDINGS.get(reason, "ended after {done} of {frames}: {reason}")
        return ending.format(done=done, frames=frames, reason=reason)
    seconds = _seconds(film)
    left = f", about {duration((total - done) * seconds / len(film.lines))} left" if seconds else ""
    return f"painting: {done} of {frames} done{left}"


def describe_video(film: Film) -> dict[str, str]:
    """Return the main facts about the film, as label and text."""
    shots = len(film.film.shots)
    facts = {
        "source": name_of(film.film.source),
        "film": f"{counted(film.film.frames, 'frame')}, {film.film.frame_rate:.5g} a second",
        "shots": f"{shots}" if shots > 1 else "",
    }
    seconds = _seconds(film)
    if seconds:
        passes = "" if all(line.number_of_pass == 1 for line in film.lines) else " (newest passes)"
        facts["time"] = f"{duration(seconds)}, {duration(seconds / len(film.lines))} a frame{passes}"
    return {term: text for term, text in facts.items() if text}


def _seconds(film: Film) -> float:
    """Return the seconds that the newest pass of each frame took."""
    return sum(line.seconds for line in film.lines if line.seconds is not None and 0 <= line.seconds <= _MOST_SECONDS)


def render_player(page: Path, film: Film) -> tuple[dict[str, Any], str]:
    """Return the data that the script `film.js` needs, and the HTML of the player.

    The script forms the addresses of frames from their numbers.
    """
    painted, sources = film.painted, film.sources
    screens = {
        "painted": _screen(page, film, FRAMES, ".png", painted),
        "source": _screen(page, film, SOURCE_FRAMES, ".jpg", sources),
    }
    newest = film.lines[-1].frame if film.lines else None
    facts = {
        "film": {
            "frames": film.film.frames,
            "rate": film.film.frame_rate,
            "shape": film.film.size[1] / film.film.size[0],
            "shots": [list(shot) for shot in film.film.shots],
            "painted": _ranges(painted),
            "newest": newest if film.is_running else None,
            "screens": screens,
        },
        "curves": _curves(film.lines, painted),
    }
    nothing = "No frame is painted yet." if film.is_running else "No painted frame is left of this film."
    return facts, Template(part("film.html")).substitute(nothing=escaped(nothing), frames=film.film.frames)


def _screen(page: Path, film: Film, folder: str, ending: str, frames: Iterable[int]) -> dict[str, Any]:
    """Return how the script forms the address of a frame.

    "shown" are the begin and the end of the address of the picture to play, "whole" those of the frame's file, or
    None if the page must not link to it. Between them stands the number, in six digits. "frames" are the numbers
    that have a picture.
    """
    link = picture_link(film.folder / folder, page)
    whole = None if link is None else [f"{link}/", ending]
    if not needs_previews(film, page):
        return {"shown": whole, "whole": whole, "frames": _ranges(frames)}
    shown = [f"{PREVIEWS}/{prefix(folder)}", ENDING]
    return {"shown": shown, "whole": whole, "frames": _ranges(find_previews(page, folder, frames))}


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return increasing numbers as ranges, each with its first and last number."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


def _curves(lines: Iterable[FrameLine], painted: Iterable[int]) -> dict[str, list[float | None]]:
    """Return the columns of the painted frames' lines, by name, in the order of the frames."""
    by_number = {line.frame: line for line in lines}
    rows = [by_number[number] for number in painted if number in by_number]
    curves: dict[str, list[float | None]] = {"frame": [row.frame for row in rows]}
    for name in _CURVES:
        curves[name] = [curve_value(getattr(row, name)) for row in rows]
    return {name: column for name, column in curves.items() if set(column) - {None}}
