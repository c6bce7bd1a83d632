"""What a film command paints: the frames of a source, in shots, each frame with the same settings."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from nstyle.errors import Kind, OptionError, RecipeError
from nstyle.files import known_sha256
from nstyle.film.opening import open_source
from nstyle.film.shots import shots_of
from nstyle.film.source import Source
from nstyle.film.span import numbers_of, rate_of
from nstyle.film.video import Video
from nstyle.optim.catalog import HISTORY
from nstyle.optim.lbfgs import RECENT
from nstyle.painting.inputs import inputs_of
from nstyle.settings.config import Config
from nstyle.settings.film import FilmSettings

_log = logging.getLogger(__name__)


KEPT_BACKWARDS = 8
"""Frames of the source that are kept decoded if a pass goes backwards. In Full HD they take 200 MB."""

FRAME_BYTES, WARPED_BYTES, FLOW_BYTES, PAIRS_BYTES, PAIR_BYTES = 16, 28, 48, 2 * (2 * RECENT * 3 * 2), 2 * 3 * 4
"""Bytes a pixel: of a frame in float32 with alpha; of a warped painting, what it shows and how far it counts; of the
motion both ways while it is found and compared; and of the last pairs of L-BFGS, in bfloat16: those of
the last frame, and of this one as it ends. PAIR_BYTES: of a pair of L-BFGS that the descent holds, in float32."""


@dataclass(frozen=True)
class FilmPlan:
    """A film to paint.

    Attributes:
        config: the settings of each frame. Its content picture is the source, for messages and the recipe.
        settings: the settings of the film.
        source: what it is made from.
        numbers: the source's frames that are painted, counted from 0. Frame 1 of the film is the first of these.

    """

    config: Config
    settings: FilmSettings
    source: Source
    numbers: range

    @property
    def frames(self) -> int:
        """The number of frames to paint."""
        return len(self.numbers)

    @property
    def name(self) -> str:
        """The name of the film's file, without its ending: that of the video, or of the folder of frames."""
        path = self.source.path
        return (path.stem if len(self.source.files) == 1 else path.resolve().name) or "film"

    def number_in_source(self, number: int) -> int:
        """Return a frame's number in the source, counted from 1, from its number in the film."""
        return self.numbers[number - 1] + 1

    def inputs(self) -> tuple[Path, ...]:
        """Return the user's files: those of the source, and the pictures of styles and masks."""
        others = [one.path for one in inputs_of(self.config).sources if one.name != "content_image"]
        return (*self.source.files, *others)

    @property
    def kept_frames(self) -> int:
        """How many of the source's frames are kept decoded: several if a pass goes backwards, see `FrameLookup`."""
        return KEPT_BACKWARDS if self.settings.passes > 1 else 1

    def memory(self, device: torch.device) -> int:
        """Return the bytes on the device that a frame needs and a picture does not: for what is carried to it.

        If a painter paints each frame alone, only frames and their paintings are kept.
        """
        height, width = self.source.size
        scale = self.config.max_long_edge / max(height, width)
        if not self.config.enlarge:
            scale = min(1.0, scale)
        scale *= self.config.enlargement
        decoded, painted = height * width, height * width * scale**2
        distances = self.settings.distances
        if self.config.in_one_pass:
            frames = decoded * (self.kept_frames + 1) + painted * 2 * max(distances)
            return int(FRAME_BYTES * frames) if device.type == "cpu" else 0
        on_device = painted * WARPED_BYTES * len(distances)
        if self.config.optimizer == "lbfgs":
            on_device += painted * (PAIRS_BYTES + PAIR_BYTES * self._further_pairs())
        if device.type != "cpu":
            return int(on_device)
        frames = decoded * (self.kept_frames + 1) + painted * (1 + 2 * max(distances))
        return int(on_device + FRAME_BYTES * frames + FLOW_BYTES * painted * len(distances))

    def _further_pairs(self) -> int:
        """Return how many more pairs of L-BFGS, at most, a later frame has than the first one at its finest scale.

        A later frame begins with those that are carried to it. If a small picture has fewer scales than there are
        numbers of epochs, its finest scale has more pairs than the last number tells.
        """
        epochs = self.config.max_num_epochs
        finest = epochs if isinstance(epochs, int) else epochs[-1]
        return max(0, min(HISTORY, RECENT + self.settings.frame_epochs - 1) - min(HISTORY, max(0, finest - 1)))

    def digest(self) -> str:
        """Return a SHA-256 of the source: that of the video, or that of the hashes of all pictures.

        Raises:
            OSError: a file cannot be read.

        """
        hashes = [known_sha256(path) for path in self.source.files]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()

    def shots(self, on_frame: Callable[[int], object] = lambda number: None) -> tuple[range, ...]:
        """Return the shots: ranges of the film's frames, counted from 1, that together are the whole film.

        A painter that paints each frame alone needs no cuts.

        Without scenedetect, a film whose motion comes from files is a single shot; the log warns of it.

        Args:
            on_frame: called with the number of each frame of the source that was looked at.

        Raises:
            OptionError: scenedetect is not installed.
            ImageError: a frame is missing or damaged.

        """
        whole = (range(1, self.frames + 1),)
        if not self.settings.cuts or self.frames == 1 or self.config.in_one_pass:
            return whole
        try:
            found = shots_of(self.source, self.numbers, on_frame=on_frame)
        except OptionError:
            if self.settings.flow is None:
                raise
            _log.warning("scenedetect is not installed, so the film is painted as a single shot")
            return whole
        return tuple(range(shot.start + 1, shot.stop + 1) for shot in found)


def plan_film(config: Config, settings: FilmSettings, sha256: str | None = None) -> FilmPlan:
    """Open a film's source, and choose its frames.

    Args:
        config: the settings of each frame; its content picture is ignored.
        settings: the settings of the film.
        sha256: the source's `FilmPlan.digest`, if a record names the source; None: the user does.

    Raises:
        NStyleError: the source cannot be used, has no frame between `from_` and `to`, or is not the record's.

    """
    if config.size is not None:
        raise OptionError(
            "--size paints a texture from the style alone, and --film a film; leave one of them out",
            flag="--size",
            kind=Kind.CONFLICT,
        )
    if config.in_one_pass and settings.passes > 1:
        raise OptionError(
            "--passes is for the optimizer, but a --painter paints each frame alone; leave --passes out, or add "
            "--max-num-epochs",
            flag="--passes",
            kind=Kind.CONFLICT,
        )
    source = open_source(settings.film, rate_of(settings.frame_rate), config.output_dir)
    if isinstance(source, Video) and settings.frame_rate != FilmSettings.frame_rate:
        _log.warning("--frame-rate has no effect: %s has its own times", source.path)
    depth = max(config.bit_depth, source.bit_depth)
    config = replace(
        config, content_image=source.path, image_format="png", bit_depth=depth, stop_after=None, resume=False
    )
    plan = FilmPlan(config, settings, source, numbers_of(source, settings.from_, settings.to, settings.every))
    if sha256 is not None and plan.digest() != sha256:
        raise RecipeError(
            f"{source.path} is not the film that the recipe was made with; name a film with --film",
            flag="--film",
            path=source.path,
            kind=Kind.CONFLICT,
        )
    return plan
