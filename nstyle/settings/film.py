"""The settings of a film: what it is made from, how its frames hold together, and how it is written."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nstyle.errors import Kind, OptionError
from nstyle.settings.options import OURS, checked, flag, option, setting

FILM = "films"
"""The heading of these flags in `--help`."""

CODECS = ("h264", "prores", "lossless")
"""The ways to encode a film; `nstyle.film.writing` says how."""

TEMPORAL_WEIGHTS = {"relative": 1.0, "absolute": 3_000.0}
"""The default of `temporal_weight` if the losses are relative, and if they are absolute, which are larger."""


@dataclass(frozen=True)
class FilmSettings:
    """All settings of a film besides those of each frame (`Config`), checked.

    Raises:
        OptionError: a value has the wrong type or is out of range; `flag` names the flag.

    """

    film: Path = setting(
        None,
        "paint a film: a video file, a folder of frames, or a pattern such as 'frames/*.png'. The frames are "
        "output/frames/000001.png ..., the film is output/NAME.mp4. Video files need pip install 'nstyle[film]'",
        OURS,
        FILM,
        metavar="PATH",
    )
    from_: str | None = setting(
        None,
        "where to begin: seconds (2.5, 1:02:03) or a frame (84f)",
        OURS,
        FILM,
        metavar="MOMENT",
    )
    to: str | None = setting(
        None,
        "where to end: seconds, or the last frame",
        OURS,
        FILM,
        metavar="MOMENT",
    )
    every: int = setting(
        1, "paint only every Nth frame, for a quick look", OURS, FILM, at_least=1, at_most=10_000, metavar="N"
    )
    frame_rate: str = setting(
        "24", "frames per second of a film made from pictures, such as 25 or 30000/1001", OURS, FILM, metavar="RATE"
    )
    film_codec: str = setting(
        "h264",
        "how the film is encoded: h264 (.mp4), prores (.mov, 10 bits, alpha) or lossless (.mkv, 16 bits, alpha)",
        OURS,
        FILM,
        choices=CODECS,
    )
    frame_epochs: int = setting(
        5, "largest number of epochs of each frame after a shot's first", OURS, FILM, at_least=1, metavar="N"
    )
    temporal_weight: float | None = setting(
        None,
        "how strongly a frame is drawn to the last painting, carried along the motion; 0: not at all",
        OURS,
        FILM,
        default_words="{relative:g}; with --balance absolute: {absolute:g}".format(**TEMPORAL_WEIGHTS),
        at_least=0,
        at_most=1e12,
        metavar="W",
    )
    temporal_distances: int | tuple[int, ...] = setting(
        1,
        "how many frames back the paintings are that a frame is drawn to; 1,2,4 also remembers what was hidden for "
        "a moment",
        OURS,
        FILM,
        at_least=1,
        at_most=64,
        metavar="N,N,...",
    )
    passes: int = setting(
        1,
        "paint each shot so many times, forwards and backwards in turn: better where things come in from the border",
        OURS,
        FILM,
        at_least=1,
        at_most=1000,
        metavar="N",
    )
    flow: Path | None = setting(
        None,
        "folder with the motion between frames, forward_3_4.flo and backward_4_3.flo for the frames 3 and 4",
        OURS,
        FILM,
        default_words="estimated",
        metavar="DIR",
    )
    cuts: bool = setting(
        True,
        "find the cuts, so that each shot begins afresh, or paint the film as a single shot (--no-cuts)",
        OURS,
        FILM,
        default_words="--cuts",
    )

    def __post_init__(self) -> None:
        """Check every value, and convert text to paths and numbers."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, checked(flag(field.name), field.type, value, option(field)))
        if 1 not in self.distances:
            raise OptionError(
                f"--temporal-distances must have 1 among its numbers, not {self.temporal_distances}",
                flag="--temporal-distances",
                kind=Kind.OUT_OF_RANGE,
            )

    @property
    def distances(self) -> tuple[int, ...]:
        """`temporal_distances` as a tuple, in ascending order."""
        given = self.temporal_distances
        return (given,) if isinstance(given, int) else tuple(sorted(set(given)))

    def weight(self, balance: str) -> float:
        """Return `temporal_weight`, or its default for this `balance`."""
        if self.temporal_weight is not None:
            return self.temporal_weight
        return TEMPORAL_WEIGHTS["absolute" if balance == "absolute" else "relative"]

    def recorded(self) -> dict[str, Any]:
        """Return the settings that a film's record contains, as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }


FILM_SETTINGS = tuple(field.name for field in dataclasses.fields(FilmSettings))
"""The names of these settings."""
