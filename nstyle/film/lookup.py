"""The frames of a film by number, although a source yields them in order only."""

from collections.abc import Iterator

from nstyle.film.source import Source
from nstyle.pictures.picture import Picture


class FrameLookup:
    """The frames of a film by number. Fast for numbers that mostly go up, or mostly go down.

    A few frames are kept. Numbers that go up are read one after the other; numbers that go down, in blocks of as many
    as are kept, because decoding runs forwards only.

    Args:
        source: where the frames are from.
        numbers: the source's frames that make the film, counted from 0; frame 0 of the film is the first of these.
        kept: how many frames are kept.

    """

    def __init__(self, source: Source, numbers: range, kept: int) -> None:
        self._source, self._numbers, self._most = source, numbers, kept
        self._kept: dict[int, Picture] = {}
        self._coming: Iterator[Picture] = iter(())
        self._next = len(numbers)  # the number of the frame that is coming

    def __call__(self, number: int) -> Picture:
        """Return frame `number` of the film, counted from 0.

        Raises:
            ImageError: it is missing or damaged.

        """
        if number not in self._kept:
            self._read(number)
        return self._kept[number]

    def _read(self, number: int) -> None:
        """Read frames up to this one, and keep the last ones."""
        if not self._next <= number < self._next + self._most:
            goes_down = number + 1 in self._kept and number - 1 not in self._kept
            self._next = max(0, number - self._most + 1) if goes_down else number
            self._coming = self._source.frames(self._numbers[self._next :])
        while self._next <= number:
            here, self._next = self._next, len(self._numbers)  # if reading fails, nothing is coming
            self._kept[here] = next(self._coming)
            self._next = here + 1
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
