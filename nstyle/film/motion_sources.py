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
        """Return `between` of the frames' numbers."""
        return self.between(earlier.number, later.number)

    def between(self, earlier: int, later: int) -> Motion:
        """Return the motion between two frames by their numbers, at the files' size.

        Raises:
            ImageError: a file is missing, damaged, or of another size than the other one.

        """
        paths = self._paths(earlier, later)
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

    def check(self, earlier: int, later: int) -> None:
        """Check that both files are there.

        Raises:
            ImageError: a file is missing.

        """
        for path in self._paths(earlier, later):
            if not path.is_file():
                raise ImageError(
                    f"{path} is missing; make it, or leave --flow out to let nstyle estimate the motion",
                    flag="--flow",
                    path=path,
                    kind=Kind.MISSING,
                )

    def _paths(self, earlier: int, later: int) -> tuple[Path, Path]:
        return self.folder / f"forward_{earlier}_{later}.flo", self.folder / f"backward_{later}_{earlier}.flo"
