"""Measure how well the frames of a film hold together, and what that costs. Print a table.

Each case is a film whose motion is known exactly. Its frames are painted as a film, and each alone as well.

flicker: how many times as much the frames painted alone differ from one to the next: the mean squared difference
    along the exact flow, of the pixels that both frames show.
style: style loss of the film's frames, divided by that of the frames painted alone, in percent more.
last: the same of the last frame: it tells whether the loss creeps up.
loss: the whole loss of the last frame, in percent more.
painted: as flicker, of each of the painters, which paint each frame alone; not for the film at rest.
time: seconds for a frame after the first one, in percent of those for a picture painted alone.
flow: seconds for the flow between two frames, in percent of those for a picture painted alone.
masks: intersection over union of the pixels found to be hidden before, with those that are.
rest: largest root mean square difference of a frame to the first one, and largest change of the mean luminance, in
    grey levels of 255.

Seconds are those of the processor, so that other programs do not count.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from moving import Moving, at_rest, cut_out, pan, turn, zoom  # noqa: E402  (films with known motion, from the tests)

from nstyle.film.flow import Motion, warped  # noqa: E402
from nstyle.film.motion_sources import EstimatedMotion  # noqa: E402
from nstyle.film.reliability import disoccluded, out_of_frame, weights  # noqa: E402
from nstyle.film.sequence import Coherence, Frame, MotionBetween, Shot  # noqa: E402
from nstyle.painter.one_pass import load_painter  # noqa: E402
from nstyle.painting.one_pass import prepare_one_pass  # noqa: E402
from nstyle.painting.prepare import Prepared, prepare  # noqa: E402
from nstyle.painting.run import paint  # noqa: E402
from nstyle.painting.session import Session  # noqa: E402
from nstyle.pictures.color_transfer import luminance  # noqa: E402
from nstyle.pictures.picture import Picture, Rgb  # noqa: E402
from nstyle.settings.config import Config  # noqa: E402
from nstyle.settings.painters import find_painter  # noqa: E402

FILMS: dict[str, Callable[..., Moving]] = {
    "pan": pan,
    "zoom": zoom,
    "turn": turn,
    "cut-out": cut_out,
    "rest": at_rest,
}
CPU = torch.device("cpu")


@dataclass
class Timed:
    """A source of motion that adds up the seconds that it takes."""

    source: MotionBetween
    seconds: list[float] = field(default_factory=list)

    def __call__(self, earlier: Frame, later: Frame) -> Motion:
        """Return the motion."""
        started = time.process_time()
        motion = self.source(earlier, later)
        self.seconds.append(time.process_time() - started)
        return motion


@dataclass(frozen=True)
class Case:
    """A film, and how its frames are painted."""

    film: Moving
    config: Config
    session: Session

    def picture(self, number: int) -> Picture:
        """Return a frame."""
        return Picture(self.film.frame(number))

    def prepared(self, number: int) -> Prepared:
        """Prepare the painting of a frame alone."""
        in_memory = {"content_image": self.picture(number)}
        return prepare(self.config, CPU, torch.float32, self.session, in_memory=in_memory)

    def exact(self, earlier: Frame, later: Frame) -> Motion:
        """Return the motion as it is known."""
        return self.film.motion(earlier.number, later.number)

    def alone(self) -> tuple[list[Tensor], list[float]]:
        """Paint each frame alone; return the images, and the seconds that each took."""
        return _timed(paint(self.prepared(number)).image for number in range(self.film.count))

    def together(self, coherence: Coherence, motion: MotionBetween) -> tuple[list[Tensor], list[float]]:
        """Paint the frames as a film; return the images, and the seconds that each took."""
        numbers = range(self.film.count)
        shot = Shot(self.config, numbers, self.picture, motion, CPU, torch.float32, coherence, self.session)
        return _timed(frame.painted.image for frame in shot.paint())

    def painted(self, name: str) -> list[Tensor]:
        """Paint each frame with a painter, by its name; return the images."""
        painter = load_painter(find_painter(name), CPU)
        config = Config(content_image=Path("film"), painter=name, max_long_edge=self.config.max_long_edge)
        frames = ({"content_image": self.picture(number)} for number in range(self.film.count))
        return [prepare_one_pass(config, painter, CPU, self.session, frame).scales[0].start for frame in frames]

    def flicker(self, images: Sequence[Tensor]) -> float:
        """Return the mean squared difference from each frame to the next, along the exact flow, where both show."""
        errors = []
        for i in range(1, len(images)):
            motion = self.film.motion(i - 1, i)
            known = torch.from_numpy(weights(motion)) > 0
            errors.append(float((warped(images[i - 1], motion.backward) - images[i])[..., known].square().mean()))
        return float(np.mean(errors))

    def losses(self, images: Sequence[Tensor]) -> tuple[list[float], list[float]]:
        """Return the style loss and the whole loss of each frame after the first."""
        style, whole = [], []
        for i, image in list(enumerate(images))[1:]:
            evaluation = self.prepared(i).scales[-1].objective().gradient(image)
            style.append(float(sum(evaluation.style_losses.values(), start=torch.zeros(()))))
            whole.append(float(evaluation.loss))
        return style, whole

    def overlap(self, source: MotionBetween) -> float | None:
        """Return the intersection over union of the pixels found to be hidden before, with those that are."""
        found, true = [], []
        for i in range(1, self.film.count):
            inside = ~out_of_frame(self.film.flow(i, i - 1))
            found.append(disoccluded(source(*(Frame(j, self.picture(j)) for j in (i - 1, i)))) & inside)
            true.append(self.film.hidden(i - 1, i) & inside)
        union = np.logical_or(found, true).sum()
        return None if union == 0 or not np.any(true) else float(np.logical_and(found, true).sum() / union)

    def drift(self, images: Sequence[Tensor]) -> tuple[float, float]:
        """Return how far a frame is from the first one at most: its root mean square, and its mean luminance."""
        shown: list[Rgb] = [self.prepared(0).scales[-1].finish(image, 0).rgb for image in images]
        rms = max(float(np.sqrt(np.square(255 * (rgb - shown[0])).mean())) for rgb in shown)
        means = [255 * float(luminance(rgb).mean()) for rgb in shown]
        return rms, max(abs(mean - means[0]) for mean in means)


def _timed(images: Iterator[Tensor]) -> tuple[list[Tensor], list[float]]:
    made, seconds, started = [], [], time.process_time()
    for image in images:
        made.append(image)
        seconds.append(time.process_time() - started)
        started = time.process_time()
    return made, seconds


def measure(
    name: str, case: Case, coherence: Coherence, painters: Sequence[str] = (), *, estimated: bool
) -> dict[str, str]:
    """Paint a film both ways, and with painters; return the figures by their names."""
    motion = Timed(EstimatedMotion() if estimated else case.exact)
    together, seconds = case.together(coherence, motion)
    per_frame = np.mean(seconds[1:])
    row = {"film": name, "s": f"{per_frame:.2f}"}
    if name == "rest":
        rms, change = case.drift(together)
        return {**row, "rest": f"{rms:.2f} {change:.2f}"}
    alone, seconds_alone = case.alone()
    single = np.mean(seconds_alone[1:])
    (style, whole), (style_alone, whole_alone) = case.losses(together), case.losses(alone)
    overlap = case.overlap(motion.source)
    flicker = case.flicker(alone)
    of_painters = (f"1/{flicker / case.flicker(case.painted(painter)):.1f}" for painter in painters)
    return {
        **row,
        "flicker": f"1/{flicker / case.flicker(together):.0f}",
        "style": f"{100 * (sum(style) / sum(style_alone) - 1):+.1f}%",
        "last": f"{100 * (style[-1] / style_alone[-1] - 1):+.1f}%",
        "loss": f"{100 * (whole[-1] / whole_alone[-1] - 1):+.1f}%",
        "time": f"{100 * (per_frame - np.mean(motion.seconds) * (not estimated)) / single:.0f}%",
        "flow": f"{100 * np.mean(motion.seconds) / single:.1f}%" if estimated else "",
        "masks": "" if overlap is None else f"{overlap:.2f}",
        "painted": " ".join(of_painters),
    }


COLUMNS = ("film", "flicker", "style", "last", "loss", "time", "s", "flow", "masks", "rest", "painted")


def main() -> None:
    """Measure the chosen cases, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", choices=[*FILMS, "all"], default="all", help="(default: all)")
    parser.add_argument("--size", type=int, default=320, help="longer edge in pixels (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=12, help="(default: %(default)s; at rest four times as many)")
    parser.add_argument("--preset", default="painterly", help="(default: %(default)s)")
    parser.add_argument("--model", default="vgg19", help="network (default: %(default)s)")
    parser.add_argument("--flow", choices=("exact", "estimated"), default="exact", help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, help="epochs of a frame after the first")
    parser.add_argument("--temporal-weight", type=float)
    parser.add_argument("--distances", type=lambda text: tuple(map(int, text.split(","))), metavar="N,N,...")
    parser.add_argument("--painters", default="", metavar="NAME,NAME,...", help="painters to compare with")
    options = parser.parse_args()
    chosen: dict[str, Any] = {
        name: value
        for name in ("epochs", "temporal_weight", "distances")
        if (value := getattr(options, name)) is not None
    }
    config = Config(
        content_image=Path("film"),
        style_image=ROOT / "input" / "vortices.jpg",
        preset=options.preset,
        model=options.model,
        max_long_edge=options.size,
    )
    painters = list(filter(None, options.painters.split(",")))
    print("".join(f"{name:>10}" for name in COLUMNS))
    for name in FILMS if "all" in options.films else options.films:
        count = options.frames * 4 if name == "rest" else options.frames
        film = FILMS[name](width=options.size, height=options.size * 3 // 4, count=count)
        case = Case(film, config, Session())
        row = measure(name, case, Coherence(**chosen), painters, estimated=options.flow == "estimated")
        print("".join(f"{row.get(column, ''):>10}" for column in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
