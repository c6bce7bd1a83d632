"""Where the motion between two frames comes from: estimated, or read from a folder of .flo files."""

from dataclasses import dataclass, field
from pathlib import Path

from nstyle.errors import ImageError, Kind
from nstyle.film.flow import Motion
from nstyle.film.flow_files import read_flow
from nstyle.film.inverse_search import InverseSearch
from nstyle.film.sequence import Frame


@dataclass(frozen=True)
class EstimatedMotion:
    """Motion estimated by dense inverse search, as a `sequence.MotionBetween`.

    Raises:
        OptionError: OpenCV is not installed.

    """

    search: InverseSearch = field(default_factory=InverseSearch)

    def __call__(self, earlier: Frame, later: Frame) -> Motion:
        """Return the motion at the frames' size."""
        return self.search.motion(earlier.picture.rgb, later.picture.rgb)


@dataclass(frozen=True)
class MotionFolder:
    """Motion from a folder, as a `sequence.MotionBetween`.

    It holds `forward_3_4.flo` and `backward_4_3.flo` for the frames 3 and 4, as in the folders of Ruder et al.'s
    program; for a longer memory, also `forward_2_4.flo` and so on. The flows may have any size, if it is the same.
    """

    folder: Path

    def __call__(self, earlier: Frame, later: Frame) -> Motion:
        """Return the motion at the files' size.

        Raises:
            ImageError: a file is missing, damaged, or of another size than the other one.

        """
        paths = [
            self.folder / f"{name}_{of.number}_{to.number}.flo"
            for name, of, to in (("forward", earlier, later), ("backward", later, earlier))
        ]
        forward, backward = map(read_flow, paths)
        if forward.shape != backward.shape:
            sizes = (f"{flow.shape[1]}x{flow.shape[0]}" for flow in (forward, backward))
            raise ImageError(
                f"{paths[0].name} and {paths[1].name} in {self.folder} differ in size ({' and '.join(sizes)}); "
                "make both from the same frames",
                path=paths[1],
                kind=Kind.CONFLICT,
            )
        return Motion(forward, backward)
