"""Paint a shot of a film, frame by frame, so that the frames hold together; without files.

It is the method of Ruder, Dosovitskiy and Brox, "Artistic Style Transfer for Videos" (GCPR 2016), sections 4.1 to
4.3. The first frame is painted like a single picture. Each later frame starts from the last painting, carried along
the optical flow, and temporal terms draw it to that. It needs few epochs, and only the finest scale.

More passes (section 4.5) go over the shot backwards and forwards in turn, so that what is known only at one end of
the shot reaches the other one.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nstyle.film.filling import filled
from nstyle.film.flow import Flow, Motion, sharply_warped
from nstyle.film.pairs import LastPairs, carried_pairs
from nstyle.film.reliability import BoolMask, long_term_weights, unseen, weights
from nstyle.film.rest import at_rest
from nstyle.losses.objective import UNIT
from nstyle.losses.temporal import TemporalTerm
from nstyle.losses.terms import Term
from nstyle.networks.model_space import to_model_space
from nstyle.numerics import sum_of_squares
from nstyle.optim.descent import DescentState
from nstyle.painting.painters import Painter, Pass
from nstyle.painting.prepare import Prepared
from nstyle.painting.result import Painted
from nstyle.painting.run import Painting, paint
from nstyle.painting.scale import Scale
from nstyle.painting.session import Session
from nstyle.painting.start import shown_content
from nstyle.painting.steps import Observer
from nstyle.painting.stylize import prepared_for
from nstyle.painting.ways import Way
from nstyle.pictures.color_transfer import luminance
from nstyle.pictures.picture import Picture, Rgb, resize_picture
from nstyle.settings.config import Config
from nstyle.settings.film import TEMPORAL_WEIGHTS
from nstyle.storage.checkpoint import Checkpoint

LEAST_KNOWN = 0.25
"""Smallest share of a frame that earlier paintings must show. A frame with less is painted like a single picture:
after a cut that was not found, its few epochs would not be enough."""

BLEND = 0.5
"""Share of the neighbor's painting in the start of a frame that an earlier pass has painted; the paper's delta."""


@dataclass(frozen=True)
class Frame:
    """A frame of the film, resized to the painting.

    Attributes:
        number: its number in the film.
        picture: its picture.

    """

    number: int
    picture: Picture


class MotionBetween(Protocol):
    """A function that tells the motion between two frames; at the frames' size, or at any other."""

    def __call__(self, earlier: Frame, later: Frame) -> Motion:
        """Return the motion."""


class Paintings(Protocol):
    """The painted images of a shot, kept from one pass to the next.

    While a pass goes on, those of the pass before are read, so neither replaces the other. Older ones may go.
    """

    def put(self, pass_number: int, number: int, image: Tensor) -> None:
        """Keep the image of a frame, painted in a pass; it may replace one that an interrupted run has left."""

    def get(self, pass_number: int, number: int) -> Tensor:
        """Return the image of a frame, painted in a pass, to the bit."""


@dataclass(frozen=True)
class Coherence:
    """How frames hold together.

    Attributes:
        temporal_weight: weight of sum(c (x - warped)^2). Like the weights of the regularizers, it means the same at
            any size. Absolute losses are larger than relative ones, and need a weight of about 3,000.
        distances: how many frames back the paintings lie that a frame is drawn to, 1 among them; J in the paper.
        epochs: the largest number of epochs of each frame after the first.
        rest: the painting of what does not move stays as it is, unless its colors change by this, in grey levels of
            255; 0: never. See `rest.at_rest`.
        passes: how many times the shot is painted, forwards and backwards in turn.

    """

    temporal_weight: float = TEMPORAL_WEIGHTS["relative"]
    distances: tuple[int, ...] = (1,)
    epochs: int = 5
    rest: float = 2.0
    passes: int = 1


@dataclass(frozen=True)
class ShotState:
    """All that a shot needs to go on after a frame, as if it had not stopped.

    Attributes:
        frame: number of the next frame of the pass. After the last one, it is a number beyond the shot's.
        images: the images that the pass has painted, the newest first, as many as the largest distance; each
            1 x 3 x H x W, model space, float32.
        shown: the color that each pixel had when it was last painted, H x W x 3; None before the first frame.
        pass_number: number of the pass, from 1. Odd ones go forwards, even ones backwards.
        pairs: the last steps and changes of the gradient of the last descent (`optim.lbfgs.last_pairs`), in bfloat16;
            empty with other optimizers.

    """

    frame: int
    images: tuple[Tensor, ...] = ()
    shown: Rgb | None = None
    pass_number: int = 1
    pairs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """What is added to a frame's number for the next one of the pass."""
        return 1 if self.pass_number % 2 else -1


@dataclass(frozen=True)
class PaintedFrame:
    """A painted frame.

    Attributes:
        number: its number in the film.
        painted: the painting.
        temporal_error: mean squared difference to the last painting, carried along the flow, of the pixels that it
            shows, in grey levels; None if there is no such pixel, as in the first frame.
        state: the state to go on from after this frame.

    """

    number: int
    painted: Painted
    temporal_error: float | None
    state: ShotState

    @property
    def pass_number(self) -> int:
        """Number of the pass, from 1. Only the last pass's paintings are the film."""
        return self.state.pass_number


@dataclass(frozen=True)
class _Carried:
    """An earlier painting as a frame sees it.

    Attributes:
        image: the painting, warped to the frame; 1 x 3 x H x W.
        shows: which pixels it shows, 1 x 1 x H x W, 0 or 1.
        c: how much each pixel can rely on it, 1 x 1 x H x W, 0..1.
        backward: the flow from the frame to the painting.

    """

    image: Tensor
    shows: Tensor
    c: Tensor
    backward: Flow


@dataclass(frozen=True)
class Shot:
    """A shot to paint: frames without a cut.

    Attributes:
        config: the settings of each frame; its content picture is not read, but messages name it.
        numbers: the numbers of the frames.
        picture: returns the picture of a frame; all have the same size. After a resume it is asked for the frames
            before, too.
        motion: tells the motion between two frames.
        device: the device of the descent.
        dtype: that of the network.
        coherence: how the frames hold together.
        session: the cache, which makes the style's targets only once.
        observers: returns the observers of a frame's painting.
        ways: how to paint each scale of a frame, so that memory that others free or take changes no bit; None: the
            best ways that fit into the memory.
        paintings: where the painted images are kept between passes. A single pass needs none.
        painter: paints the start of a frame to which nothing is carried; without epochs, it paints each frame alone.
            A `Pass` also says in which of its ways; otherwise the first frame of each pass over the shot chooses one.

    Raises:
        ValueError: several passes, and nowhere to keep the paintings.

    """

    config: Config
    numbers: range
    picture: Callable[[int], Picture]
    motion: MotionBetween
    device: torch.device
    dtype: torch.dtype
    coherence: Coherence
    session: Session
    observers: Callable[[int], Sequence[Observer]] = lambda number: ()
    ways: Sequence[Way] | None = None
    paintings: Paintings | None = None
    painter: Painter | Pass | None = None

    def __post_init__(self) -> None:
        if self.coherence.passes > 1 and self.paintings is None:
            raise ValueError("several passes need a place for the paintings")

    def paint(self, start: ShotState | None = None) -> Iterator[PaintedFrame]:
        """Paint the frames in the order of each pass, and yield each.

        Args:
            start: the state to go on from; None: the beginning. With several passes, it must be that of the last
                frame that was yielded, because `paintings` keeps the images of two passes only.

        Raises:
            NStyleError: as `prepare` and `paint` do.

        """
        state = ShotState(self.numbers.start) if start is None else start
        state = yield from self._pass(state)
        while state.pass_number < self.coherence.passes:
            turned = ShotState(state.frame - state.step, (), state.shown, state.pass_number + 1)
            state = yield from self._pass(turned)

    def _pass(self, state: ShotState) -> Generator[PaintedFrame, None, ShotState]:
        """Paint the other frames of a pass; return the state after it."""
        frames: dict[int, Frame] = {}
        painter: Painter | Pass | None = self.painter
        for number in range(state.frame, self.numbers.stop if state.step > 0 else self.numbers.start - 1, state.step):
            in_memory = {"content_image": self.picture(number)}
            prepared = prepared_for(self.config, self.device, self.dtype, self.session, painter, in_memory, self.ways)
            painter = prepared.chosen  # as for the first frame, whatever memory is free later
            content = prepared.scales[-1].content
            frames[number] = Frame(number, content)
            carried = (
                {} if prepared.in_one_pass else self._carried(frames, number, state, prepared.descent.get("bounds"))
            )
            rest = self._rest(content.rgb, carried, state)
            last = LastPairs()
            painted = self._paint(number, prepared, carried, state, rest, last)
            image = painted.image.contiguous()
            if self.paintings is not None and self.coherence.passes > 1:
                self.paintings.put(state.pass_number, number, image)
            images = (image, *state.images)[: max(self.coherence.distances)]
            shown = content.rgb if state.shown is None else np.where(rest[..., None], state.shown, content.rgb)
            state = ShotState(number + state.step, images, shown, state.pass_number, last.pairs)
            yield PaintedFrame(number, painted, _temporal_error(image, carried.get(1)), state)
            frames = {near: frames[near] for near in frames if abs(number - near) < max(self.coherence.distances)}
        return state

    def _paint(
        self,
        number: int,
        prepared: Prepared,
        carried: dict[int, _Carried],
        state: ShotState,
        rest: BoolMask,
        observer: Observer,
    ) -> Painted:
        """Paint a frame: like a single picture if nothing is carried to it. What is at rest keeps its painting."""
        observers, own = [*self.observers(number), observer], self._painted_before(number, state)
        if not carried and own is None:
            return paint(prepared, observers=observers)
        scale = prepared.scales[-1]
        last = state.images[0].to(self.device) if own is None or carried else own
        fixed = _mask(rest, last) > 0
        start = _start(scale, carried, own)
        if scale.mask is not None:  # what is not to be painted stays the content's
            content = to_model_space(shown_content(scale.content.rgb, self.config.preserve_colors))
            start = torch.lerp(content.to(start), start, _mask(scale.mask, start))
        start = torch.where(fixed, last, start).contiguous()
        only_finest = replace(
            prepared,
            scales=(scale,),
            epochs=(0 if rest.all() else self.coherence.epochs,),
            descent={**prepared.descent, "held": fixed},
            stop_after=None,
        )
        terms = self._terms(carried, start.numel())
        painting = Painting(only_finest, _beginning(start, carried, state), terms)  # who alone holds its start
        return painting.paint(observers)

    def _painted_before(self, number: int, state: ShotState) -> Tensor | None:
        """Return the image of a frame that the pass before has painted; None in the first pass."""
        if state.pass_number == 1 or self.paintings is None:
            return None
        return self.paintings.get(state.pass_number - 1, number).to(self.device)

    def _rest(self, now: Rgb, carried: dict[int, _Carried], state: ShotState) -> BoolMask:
        """Tell which pixels keep their painting, H x W: all of the frame at which the direction turns."""
        if state.shown is None or 1 not in carried:
            return np.full(now.shape[:2], state.pass_number > 1 and not state.images)
        last = carried[1]
        known: BoolMask = last.c[0, 0].cpu().numpy() > 0
        return at_rest(last.backward, state.shown, now, self.coherence.rest) & known

    def _carried(
        self, frames: dict[int, Frame], number: int, state: ShotState, bounds: tuple[Tensor, Tensor] | None
    ) -> dict[int, _Carried]:
        """Return the paintings of this pass that a frame is drawn to, by distance, the nearest first.

        There are none if they show too little. If the descent has `bounds`, their values lie within.
        """
        here, carried, short = frames[number], {}, {}
        for distance in sorted(set(self.coherence.distances)):
            if distance > len(state.images):
                break
            near = number - state.step * distance
            neighbor = frames[near] = frames.get(near) or self._resized(near, here)
            motion = self.motion(neighbor, here) if state.step > 0 else self.motion(here, neighbor).reversed
            image, motion = state.images[distance - 1].to(self.device), motion.resized(*here.picture.size)
            short[distance] = weights(motion)
            shows = _mask(1 - unseen(motion), image)
            image = sharply_warped(image, motion.backward)
            image = image if bounds is None else image.clamp(*bounds)
            carried[distance] = _Carried(image, shows, shows, motion.backward)
        if carried and _known(carried).mean() < LEAST_KNOWN:
            return {}
        long = long_term_weights(short)
        return {distance: replace(one, c=_mask(long[distance], one.image)) for distance, one in carried.items()}

    def _resized(self, number: int, like: Frame) -> Frame:
        return Frame(number, resize_picture(self.picture(number), *like.picture.size))

    def _terms(self, carried: dict[int, _Carried], values: int) -> list[Term]:
        """Return the temporal terms; see `Objective` for what a relative one multiplies."""
        factor = values if self.config.balance == "absolute" else 1 / UNIT
        weight = self.coherence.temporal_weight * factor
        return [TemporalTerm(one.image, one.c, weight) for one in carried.values()] if weight > 0 else []


def _start(scale: Scale, carried: dict[int, _Carried], own: Tensor | None) -> Tensor:
    """Return the image that a frame starts from: for each pixel the nearest painting that shows it.

    What none shows is filled from the painting elsewhere. If it were the content, its style loss would be higher even
    after the epochs of a frame, and would add up from frame to frame.

    If an earlier pass has painted the frame (`own`), it is a blend of that with the paintings that are known:
    (1 - delta c) own + delta c warped (section 4.5).
    """
    if own is not None:
        for one in carried.values():
            own = torch.lerp(own, one.image, BLEND * one.c)
        return own
    *nearer, farthest = carried.values()
    start = farthest.image
    for one in reversed(nearer):
        start = torch.where(one.shows > 0, one.image, start)
    return filled(start, _known(carried), scale.where, luminance(scale.content.rgb))


def _beginning(start: Tensor, carried: dict[int, _Carried], state: ShotState) -> Checkpoint:
    """Return a checkpoint at an image, with the last frame's pairs as memory."""
    memory = carried_pairs(state.pairs, carried[1].backward, start) if carried else {}
    return Checkpoint(DescentState(start, memory=memory))


def _known(carried: dict[int, _Carried]) -> BoolMask:
    """Tell which pixels any of the paintings shows, H x W."""
    known: BoolMask = torch.stack([one.shows for one in carried.values()]).amax(dim=(0, 1, 2)).cpu().numpy() > 0
    return known


def _temporal_error(image: Tensor, last: _Carried | None) -> float | None:
    """Return the mean of (x - warped)^2 over the values of the pixels with c > 0; None if there are none."""
    if last is None or not last.c.any():
        return None
    return float(sum_of_squares(last.c * (image - last.image)) / (image.shape[1] * last.c.sum()))


def _mask(levels: object, like: Tensor) -> Tensor:
    """Return an H x W array as a tensor, 1 x 1 x H x W."""
    return torch.as_tensor(levels).to(like)[None, None]
