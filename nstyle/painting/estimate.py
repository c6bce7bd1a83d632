"""How large a painting will be, and how much memory and time it will take: measured small, without painting it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, pairwise
from statistics import median
from typing import Any, TypeAlias

import torch
from torch import Tensor

from nstyle.devices import choose_device, choose_precision
from nstyle.errors import DeviceError, ImageError, Kind
from nstyle.losses.catalog import STYLE_LOSSES
from nstyle.losses.patches import nearest_patches, work_of_matching
from nstyle.optim.descent import descend
from nstyle.painting.painters import Painter
from nstyle.painting.prepare import Prepared, prepare
from nstyle.painting.run import beginning, most_epochs
from nstyle.painting.scale import Scale
from nstyle.painting.session import Session
from nstyle.painting.stylize import prepared_for, set_up, tuned
from nstyle.painting.ways import Way
from nstyle.pictures.limits import SHORTEST_EDGE
from nstyle.pictures.picture import Picture
from nstyle.settings.config import Config, parse_size
from nstyle.storage.record import warn_of_precision

SMALLEST_EDGE, RATIO = 96, 8 / 3
"""Longer edge of the smaller of the two paintings that are timed, in pixels, and the ratio of the larger one's to it.
Two, because an epoch has a part that does not grow with the picture. Larger ones would take longer, and hardly tell
more: the time grows with the number of pixels, except for the search for patches, which is timed alone."""

MATCHED_EDGE, MATCHED_CHANNELS = 45, 256
"""Positions along an edge, and channels, of two maps for which the search for patches is timed. As many positions
as the search computes at once (`patches.BLOCK`); that takes about 0.1 s on a CPU."""

TIMED_EPOCHS = 4
"""Number of epochs of each; the first does not count, since libraries make their plans in it."""


@dataclass(frozen=True)
class Estimate:
    """What a painting will take.

    Attributes:
        size: width and height in pixels. They are those of the scale at which the painting ends: `stop_after` may end
            it at a coarse one.
        memory: bytes of memory of the whole process, as `max_memory` counts them. The scales after that one count,
            too, so that `resume` can paint them. Without `max_memory`, the command keeps freed memory, and may use up
            to 1.6 times as much (`devices.keeping_freed_memory`).
        way: whether that scale will be painted "whole" or in tiles ("in tiles of 4 million values").
        epochs: the largest number of epochs in all scales; 0: a painter paints in one pass.
        may_stop: whether the painting may end before that, because it hardly changes any more (`stop_eps`).
        seconds: about how long all these epochs take on this machine as it is now, and what they need to begin. The
            finishing of pictures, such as `remove_noise`, and their writing are left out. With `style_loss="mrf"`
            and a network of your own that does not tell its blocks (`networks.blocks`), it will take longer.

    """

    size: tuple[int, int]
    memory: int
    way: str
    epochs: int
    may_stop: bool
    seconds: float


def estimate_run(
    config: Config,
    session: Session | None = None,
    in_memory: Mapping[str, Picture] | None = None,
    painter: Painter | None = None,
    besides: int = 0,
) -> Estimate:
    """Estimate what `stylize.run` would take with the same painter.

    See `painter.run.estimate` for errors, and `prepare` for `in_memory` and `besides`.
    """
    session = Session() if session is None else session
    device = choose_device(config.device, config.gpu)
    precision = choose_precision(config.precision, device)
    warn_of_precision(config.precision, str(precision), device)
    with set_up(config, device, precision):
        begin = time.perf_counter()
        unpainted = None if painter is None else _Unpainted(painter)
        with _naming_other_machines(config):
            prepared = prepared_for(config, device, precision.dtype, session, unpainted, in_memory, besides=besides)
        seconds = time.perf_counter() - begin
        if unpainted is not None:
            seconds += unpainted.seconds(prepared.scales)
        if prepared.in_one_pass:
            memory, way = prepared.process_memory, "" if prepared.chosen is None else str(prepared.chosen.way)
            return Estimate(prepared.size, memory, way, epochs=0, may_stop=False, seconds=seconds)
        with tuned(config, session, device, prepared.memory):
            rate = _time_matching(device) if STYLE_LOSSES[config.style_loss].matches else 0.0
            timer = partial(_time, config, device, precision.dtype, session, in_memory, rate)
            seconds += _seconds_of(prepared, rate, timer)
    last = _last_scale(prepared)
    height, width = last.finish.content.size
    return Estimate(
        (width, height),
        prepared.process_memory,
        str(last.way),
        most_epochs(beginning(prepared), prepared),
        config.stop_eps > 0,
        seconds,
    )


@contextmanager
def _naming_other_machines(config: Config) -> Iterator[None]:
    """Add to the error of a painting that does not fit here how to estimate it for a machine with more memory."""
    try:
        yield
    except DeviceError as error:
        if error.kind != Kind.OUT_OF_RANGE or config.max_memory is not None:
            raise
        raise DeviceError(
            f"{error}; to estimate it for a machine with more memory, say how much: --max-memory",
            flag=error.flag,
            kind=error.kind,
        ) from error


class _Unpainted:
    """A painter that does not paint, but notes what it would have painted, and times that with small images."""

    def __init__(self, painter: Painter) -> None:
        self.painter = painter
        self.calls: list[tuple[Tensor, Any]] = []

    @property
    def ways(self) -> Sequence[Any]:
        """The painter's ways."""
        return self.painter.ways

    @property
    def stages(self) -> int:
        """The number of the painter's stages."""
        return self.painter.stages

    def needed(self, size: tuple[int, int], way: Any) -> int:
        """Return what the painter would need."""
        return self.painter.needed(size, way)

    def __call__(self, image: Tensor, way: Any) -> Tensor:
        """Return the image itself."""
        self.calls.append((image, way))
        return image

    def paintings(self, image: Tensor, way: Any) -> Iterator[Tensor]:
        """Yield the image itself."""
        yield self(image, way)

    def seconds(self, scales: Sequence[Scale]) -> float:
        """Return about how long the painter would take for the starts of these scales."""
        for scale in scales:
            scale.make_start()
        return sum(self._seconds(image, way) for image, way in self.calls)

    def _seconds(self, image: Tensor, way: Any) -> float:
        pixels = image.shape[-2] * image.shape[-1]
        points = []
        for edge in (SMALLEST_EDGE, int(SMALLEST_EDGE * RATIO)):
            small = image.new_zeros(1, 3, edge, edge)
            times = [time.perf_counter()]
            for _ in range(TIMED_EPOCHS):
                self.painter(small, way).sum().item()  # waits for the GPU
                times.append(time.perf_counter())
            _, *seconds = (after - before for before, after in pairwise(times))
            points.append((edge * edge, median(seconds)))
        return _on_line(points[0], points[1], pixels)


def _last_scale(prepared: Prepared) -> Scale:
    """Return the scale at which the painting ends, if no scale before ends early because it hardly changes."""
    stop, done = prepared.stop_after, accumulate(prepared.epochs)
    ends = (scale for scale, epochs in zip(prepared.scales, done, strict=True) if stop is not None and stop <= epochs)
    return next(ends, prepared.scales[-1])


@dataclass(frozen=True)
class _Timed:
    """How long a small painting took.

    Attributes:
        pixels: its size.
        work: the amount of the network's arithmetic in an epoch; see `ways.Work`.
        making: seconds to make its objective, from the content and the styles.
        epoch: seconds of an epoch, without those of the search for patches.

    """

    pixels: int
    work: float
    making: float
    epoch: float


_Timer: TypeAlias = Callable[[Way, int], _Timed]
"""Function that times a painting of one scale, in this way, whose longer edge has so many pixels."""


def _seconds_of(prepared: Prepared, rate: float, timer: _Timer) -> float:
    """Return how long a painting takes after it is prepared; `rate` is that of `_time_matching`."""
    longest: dict[Way, int] = {}
    for scale in prepared.scales:
        longest[scale.way] = max(*scale.size, longest.get(scale.way, 0))
    timed = {way: _time_two(partial(timer, way), edge) for way, edge in longest.items()}
    seconds, left = 0.0, most_epochs(beginning(prepared), prepared)
    for scale, most in zip(prepared.scales, prepared.epochs, strict=True):
        small, large = timed[scale.way]
        width, height = scale.size
        epochs = min(most, left)
        left -= epochs
        if epochs:
            seconds += _on_line((small.pixels, small.making), (large.pixels, large.making), width * height)
            epoch = _on_line((small.work, small.epoch), (large.work, large.epoch), scale.work.network)
            seconds += epochs * (epoch + rate * scale.work.matching)
    return seconds


def _time_two(timer: Callable[[int], _Timed], longest: int) -> tuple[_Timed, _Timed]:
    """Time two sizes up to this longer edge, the smaller first; if there is only one, return it twice.

    Sizes at which a picture is too small for the network, or a mask vanishes, are skipped.
    """
    found: list[_Timed] = []
    edge = min(longest, SMALLEST_EDGE)
    while edge < longest and len(found) < 2:
        with suppress(ImageError):
            found.append(timer(edge))
        edge = min(longest, int(edge * RATIO))
    if len(found) < 2:
        found.append(timer(longest))
    return found[0], found[-1]


def _on_line(first: tuple[float, float], second: tuple[float, float], x: float) -> float:
    """Return the height at x of the line through two points (x, y), or of that through 0 if it is lower there.

    A line that would fall, or be negative at 0, comes from an unsteady clock.
    """
    (x1, y1), (x2, y2) = first, second
    slope = (y2 - y1) / (x2 - x1) if x2 > x1 else 0.0
    at_zero = y1 - slope * x1
    if slope <= 0 or at_zero < 0:
        slope, at_zero = y2 / x2, 0.0
    return at_zero + slope * x


def _time(
    config: Config,
    device: torch.device,
    dtype: torch.dtype,
    session: Session,
    in_memory: Mapping[str, Picture] | None,
    rate: float,
    way: Way,
    edge: int,
) -> _Timed:
    """Paint a few epochs of a small painting, and time them; `rate` is that of `_time_matching`.

    Nothing goes to files: on a CPU, offloading takes hardly any time.
    """
    if way.tiling is not None and device.type == "cpu":
        way = replace(way, tiling=replace(way.tiling, offloads=False))
    prepared = prepare(replace(config, **_small(config, edge)), device, dtype, session, (way,), in_memory)
    (scale,) = prepared.scales
    width, height = scale.size
    times = [time.perf_counter()]
    objective = scale.objective()
    settings = {**prepared.descent, **scale.optimizer_settings, "stop_eps": 0.0, "on_divergence": "backoff"}
    times.append(time.perf_counter())
    for _ in descend(objective, scale.start, **settings, parts=scale.parts, max_num_epochs=TIMED_EPOCHS):
        times.append(time.perf_counter())
    making, _, *epochs = (after - before for before, after in pairwise(times))
    epoch = max(0.0, median(epochs) - rate * scale.work.matching)
    return _Timed(width * height, scale.work.network, making, epoch)


def _time_matching(device: torch.device) -> float:
    """Return the seconds that the search for patches takes per product; see `patches.work_of_matching`."""
    feature_map = torch.ones(MATCHED_EDGE, MATCHED_EDGE, MATCHED_CHANNELS, device=device)
    times = [time.perf_counter()]
    for _ in range(TIMED_EPOCHS):
        nearest_patches(feature_map, feature_map).sum().item()  # waits for the GPU
        times.append(time.perf_counter())
    size = MATCHED_EDGE, MATCHED_EDGE
    _, *seconds = (after - before for before, after in pairwise(times))
    return median(seconds) / work_of_matching(size, size, MATCHED_CHANNELS)


def _small(config: Config, edge: int) -> Mapping[str, Any]:
    """Return the settings of a painting in one scale whose longer edge is `edge`."""
    one_scale = {"scales": 1, "coarsest_edge": None, "preview_edge": None, "supersampling": 1}
    changed: dict[str, Any] = {**one_scale, "max_long_edge": edge}
    if config.size is not None:
        lengths = (*parse_size(config.size), config.max_long_edge)
        shrink = edge / max(lengths[:2])
        width, height, of_style = (max(SHORTEST_EDGE, round(length * shrink)) for length in lengths)
        changed |= {"size": f"{width}x{height}", "max_long_edge": of_style}
    return changed
