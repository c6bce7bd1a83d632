"""One painting without files: it descends at one scale after the other, and shows each step to its observers."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.errors import DivergenceError
from nstyle.losses.terms import Term
from nstyle.optim.descent import DescentState, descend, diverged
from nstyle.painting.prepare import Prepared, Scale
from nstyle.painting.steps import Ending, Observer, PaintingStep
from nstyle.pictures.picture import Picture
from nstyle.storage.checkpoint import Checkpoint
from nstyle.storage.layout import FINISHED, StopReason


@dataclass(frozen=True)
class Painted:
    """A finished painting.

    Attributes:
        image: 1 x 3 x H x W, model space, float32, on the device.
        picture: the same for display.
        epochs: how many were done, in all scales.
        stop_reason: why it ended.

    """

    image: Tensor
    picture: Picture
    epochs: int
    stop_reason: StopReason


def paint(
    prepared: Prepared,
    *,
    start: Tensor | Checkpoint | None = None,
    observers: Sequence[Observer] = (),
    more_terms: Sequence[Term] = (),
) -> Painted:
    """Paint what has been prepared. No file is written, and no state of the process changes, unless an observer does.

    On a GPU the same bits each time need PyTorch's switches for that: see `devices.reproducible`.

    At each scale the objective is descended with the same settings, but for the most epochs. The first scale begins
    with its start, each other one with the result of the scale before, enlarged (Li and Wand, CVPR 2016).

    Args:
        prepared: what is painted; its objectives are made when they are needed.
        start: an image to begin the first scale with (1 x 3 x H x W, model space, of that scale's size), or a
            checkpoint to go on from as if the painting had never been interrupted; None: `prepared`'s own start.
        more_terms: terms besides the objective's own, which fit each scale; a film draws a frame to the one before.
        observers: shown each step, in their order, and closed when the painting is over, however it ends.

    Raises:
        DivergenceError: the image left the range of pictures. Observers are closed with the last good one.
        KeyboardInterrupt: passed on, after the observers were closed.
        ValueError: a checkpoint or an image has not the size of its scale.

    """
    if not isinstance(start, Checkpoint):
        start = beginning(prepared) if start is None else Checkpoint(DescentState(start))
    if not fits(start, prepared):
        raise ValueError(f"an image of {tuple(start.descent.image.shape)} does not fit scale {start.scale}")
    return _Painting(prepared, observers, more_terms, start).paint()


def beginning(prepared: Prepared) -> Checkpoint:
    """Return where the painting begins: the first scale, with its own start."""
    return Checkpoint(DescentState(prepared.scales[0].start))


def fits(checkpoint: Checkpoint, prepared: Prepared) -> bool:
    """Tell whether a painting can go on from a checkpoint: it names a scale, and its image has the size of that."""
    if not 1 <= checkpoint.scale <= len(prepared.scales):
        return False
    return checkpoint.descent.image.shape == prepared.scales[checkpoint.scale - 1].start.shape


def most_epochs(checkpoint: Checkpoint, prepared: Prepared) -> int:
    """Return how many epochs the painting takes at most, those that are done at the scales before included."""
    return checkpoint.epochs_before + sum(prepared.epochs[checkpoint.scale - 1 :])


def _enlarged(image: Tensor, scale: Scale, following: Scale, *, seamless: bool) -> Tensor:
    """Return what a scale begins with: the image of the scale before, stretched bilinearly to its size.

    The scale's share of the start's details is added. These are what the start has at this size beyond its own
    enlargement: a level of its Laplacian pyramid (Burt and Adelson, 1983).
    """
    enlarged = _stretched(image, following.size, seamless=seamless)
    if not following.details:
        return enlarged
    details = following.start - _stretched(scale.start, following.size, seamless=seamless)
    return enlarged + following.details * details


def _stretched(image: Tensor, size: tuple[int, int], *, seamless: bool) -> Tensor:
    """Stretch an image bilinearly to width and height."""
    width, height = size
    if seamless:
        return _wrapped(_wrapped(image, height, -2), width, -1)
    return F.interpolate(image, size=(height, width), mode="bilinear", align_corners=False)


def _wrapped(image: Tensor, length: int, dim: int) -> Tensor:
    """Stretch an image that tiles along a dimension, bilinearly: beyond its last pixels lie its first."""
    pixels = image.shape[dim]
    places = (torch.arange(length, device=image.device) + 0.5) * (pixels / length) - 0.5
    before = places.floor()
    share = (places - before).unsqueeze(-1) if dim == -2 else places - before
    first = before.long() % pixels
    return torch.lerp(image.index_select(dim, first), image.index_select(dim, (first + 1) % pixels), share)


class _Painting:
    """A painting that is under way."""

    def __init__(
        self, prepared: Prepared, observers: Sequence[Observer], more_terms: Sequence[Term], start: Checkpoint
    ) -> None:
        self.prepared = prepared
        self.observers = observers
        self.more_terms = more_terms
        self.checkpoint = start
        self.stop_reason = StopReason.FAILED

    @property
    def scale(self) -> Scale:
        """The current scale."""
        return self.prepared.scales[self.checkpoint.scale - 1]

    def paint(self) -> Painted:
        """Descend at each scale, and close the observers."""
        try:
            self._descend()
            while self.checkpoint.scale < len(self.prepared.scales):
                self._go_to_next_scale()
                self._descend()
            hardly_changed = self.checkpoint.descent.relative_change < self.prepared.descent["stop_eps"]
            self.stop_reason = StopReason.RELATIVE_CHANGE if hardly_changed else StopReason.EPOCHS
        except KeyboardInterrupt:
            self.stop_reason = StopReason.INTERRUPTED
            raise
        except DivergenceError as error:
            self.stop_reason = StopReason.DIVERGED
            scale, scales = self.checkpoint.scale, len(self.prepared.scales)
            if scales == 1:
                raise
            raise diverged(
                self.checkpoint.epoch, self.prepared.descent["lr"], where=f", scale {scale} of {scales}"
            ) from error
        finally:
            self._close()
        image = self.checkpoint.descent.image
        return Painted(image, self.scale.finish(image, 0), self.checkpoint.epoch, self.stop_reason)

    def _descend(self) -> None:
        """Descend at the current scale, and show each step."""
        scale, scales = self.checkpoint.scale, len(self.prepared.scales)
        most = most_epochs(self.checkpoint, self.prepared)
        objective = self.scale.objective().with_terms(self.more_terms)
        settings = {**self.prepared.descent, "max_num_epochs": self.prepared.epochs[scale - 1]}
        for step in descend(objective, self.checkpoint.descent, **settings):
            self.checkpoint = replace(self.checkpoint, descent=step.state)
            shown = PaintingStep(
                epoch=self.checkpoint.epoch - 1,
                image=step.image,
                relative_change=step.relative_change,
                learning_rate=step.learning_rate,
                evaluation=step.evaluation,
                stopped=step.stopped and scale == scales,
                state=step.state,
                scale=scale,
                scales=scales,
                most_epochs=most,
                checkpoint=self.checkpoint,
                finish=self.scale.finish,
            )
            for observer in self.observers:
                observer(shown)

    def _go_to_next_scale(self) -> None:
        """Begin the next scale with the image of this one."""
        self.scale.free()
        following = self.prepared.scales[self.checkpoint.scale]
        # As a checkpoint holds it: an image that was read from one is contiguous, and sums are rounded by layout.
        image = self.checkpoint.descent.image.contiguous()
        enlarged = _enlarged(image, self.scale, following, seamless=self.prepared.seamless)
        if (bounds := self.prepared.descent.get("bounds")) is not None:
            enlarged = enlarged.clamp(*bounds)
        self.checkpoint = Checkpoint(DescentState(enlarged), self.checkpoint.scale + 1, self.checkpoint.epoch)

    def _close(self) -> None:
        """Close each observer, whatever becomes of the others."""
        with ExitStack() as stack:
            for observer in reversed(self.observers):
                stack.callback(self._close_observer, observer)

    def _close_observer(self, observer: Observer) -> None:
        """Close an observer. An interrupt that comes meanwhile waits until that is done.

        If that fails, those that follow learn that the painting failed: without its picture it is not finished.
        """
        ending = Ending(self.stop_reason, self.checkpoint, len(self.prepared.scales), self.scale.finish)
        try:
            observer.close(ending)
        except KeyboardInterrupt:
            observer.close(ending)
            raise
        except BaseException:
            if self.stop_reason in FINISHED:
                self.stop_reason = StopReason.FAILED
            raise
