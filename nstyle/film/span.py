"""Which frames of a film are painted, `--from`, `--to`, `--every`; how fast pictures follow, `--frame-rate`."""

import bisect
import re
from fractions import Fraction

from nstyle.errors import Kind, OptionError
from nstyle.film.source import Source, Timing

# Python refuses to read whole numbers of thousands of digits, and no film has as many frames or seconds.
_SECONDS = re.compile(
    r"(?:(?:(?P<hours>\d{1,9}):)?(?P<minutes>\d{1,9}):)?(?P<seconds>\d{1,9}(?:\.\d{0,40})?|\.\d{1,40})s?", re.ASCII
)
_FRAME = re.compile(r"(\d{1,9})f", re.ASCII)
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,40})?)(?:/(\d{1,9}))?", re.ASCII)

_FASTEST, _SLOWEST = 1000, Fraction(1, 1000)
"""Highest and lowest frame rate, in frames per second. FFmpeg writes no film of 1/100000."""

_LARGEST_DENOMINATOR = 100_000
"""Of a frame rate. FFmpeg's fractions have 32 bits, which 16.6666666667 does not fit: it is 50/3."""


def numbers_of(source: Source, begin: str | None = None, end: str | None = None, every: int = 1) -> range:
    """Return the frames that are painted, counted from 0.

    A moment is a time or a frame: "2.5" or "2.5s" and "1:02:03.5" (hours, minutes, seconds) count from the first
    frame; "84f" is the 84th frame. Times take the frames that begin at `begin` or later, and before `end`; frames are
    both included.

    Args:
        source: the film.
        begin: the moment of `--from`; None: the first frame.
        end: the moment of `--to`; None: the end.
        every: 1 for each frame, 2 for every other one, and so on.

    Raises:
        OptionError: a moment is none, or is not in the film; or there is no frame between the two.

    """
    timing = source.timing
    count = len(timing.starts)
    first = 0 if begin is None else _first(timing, begin)
    stop = count if end is None else _stop(timing, end)
    if every < 1:
        raise OptionError(f"--every must be at least 1, not {every}", flag="--every", kind=Kind.OUT_OF_RANGE)
    if first >= count:
        raise OptionError(
            f"--from {begin} is after the end of {source.path}, which has {count} frames in {_length(timing):.2f} s",
            flag="--from",
            kind=Kind.OUT_OF_RANGE,
        )
    if first >= stop:
        raise OptionError(
            f"there is no frame between --from {begin or '1f'} and --to {end}; choose a later --to",
            flag="--to",
            kind=Kind.CONFLICT,
        )
    return range(first, min(stop, count), every)


def _first(timing: Timing, moment: str) -> int:
    """Return the number of the first frame from a moment on."""
    frame = _FRAME.fullmatch(moment)
    if frame is not None:
        return _frame(frame[1], "--from") - 1
    return bisect.bisect_left(timing.starts, timing.starts[0] + _seconds(moment, "--from"))


def _stop(timing: Timing, moment: str) -> int:
    """Return the number of the first frame that is left out after a moment."""
    frame = _FRAME.fullmatch(moment)
    if frame is not None:
        return _frame(frame[1], "--to")
    return bisect.bisect_left(timing.starts, timing.starts[0] + _seconds(moment, "--to"))


def _frame(digits: str, flag: str) -> int:
    number = int(digits)
    if number < 1:
        raise OptionError(f"{flag} counts frames from 1f, the first", flag=flag, kind=Kind.OUT_OF_RANGE)
    return number


def _seconds(moment: str, flag: str) -> Fraction:
    """Return a time in seconds."""
    parts = _SECONDS.fullmatch(moment.strip())
    if parts is None:
        raise OptionError(
            f"{flag} must be seconds such as 2.5 or 1:02:03, or a frame such as 84f, not {moment!r}",
            flag=flag,
            kind=Kind.UNSUPPORTED,
        )
    hours, minutes = int(parts["hours"] or 0), int(parts["minutes"] or 0)
    return 3600 * hours + 60 * minutes + Fraction(parts["seconds"])


def _length(timing: Timing) -> float:
    return float(timing.end - timing.starts[0])


def rate_of(text: str) -> Fraction:
    """Return a frame rate, in frames per second: "25", "12.5" or "30000/1001".

    "23.976", "23.98", "29.97", "59.94" and "119.88" are short for television's 24000/1001, 30000/1001 and so on. Any
    other rate is the nearest fraction with a denominator up to 100000.

    Raises:
        OptionError: it is no rate, or not from 1/1000 up to 1000.

    """
    parts = _RATE.fullmatch(text.strip())
    rate = Fraction(0) if parts is None or int(parts[2] or 1) == 0 else Fraction(parts[1]) / int(parts[2] or 1)
    if not _SLOWEST <= rate <= _FASTEST:
        raise OptionError(
            f"--frame-rate must be frames per second such as 25 or 30000/1001, from {_SLOWEST} to {_FASTEST}, "
            f"not {text!r}",
            flag="--frame-rate",
            kind=Kind.OUT_OF_RANGE,
        )
    for whole in (24, 30, 60, 120):
        exact = Fraction(1000 * whole, 1001)
        if abs(rate - exact) < Fraction(1, 200):
            return exact
    return rate.limit_denominator(_LARGEST_DENOMINATOR)
