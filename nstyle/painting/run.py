"""Paint without files: descend at each scale in turn, and show every step to the observers."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (torch's own spelling)

from nstyle.errors import DivergenceError
from nstyle.losses.terms import Term
from nstyle.optim.descent import DescentState, descend, diverged, has_converged
from nstyle.painting.finish import Finish
from nstyle.painting.interrupts import Interrupts
from nstyle.painting.prepare import Prepared
from nstyle.painting.result import Painted
from nstyle.painting.scale import Scale
from nstyle.painting.steps import Ending, Observer, PaintingStep
from nstyle.storage.checkpoint import Checkpoint
from nstyle.storage.layout import FINISHED, StopReason


def paint(
    prepared: Prepared,
    *,
    start: Tensor | Checkpoint | None = None,
    observers: Sequence[Observer] = (),
    more_terms: Sequence[Term] = (),
) -> Painted:
    """Descend at each scale, from the coarsest to the finest.

    The first scale begins with its own start, every other one with the enlarged result of the scale before (Li and
    Wand, CVPR 2016). All scales use the same settings, except for the largest number of epochs.

    This writes no file and changes no state of the process, except that later interrupts wait until the observers are
    closed (see `Interrupts`); only observers may. To get the same bits on a GPU every time, set PyTorch's determinism
    switches: see `devices.reproducible`.

    Args:
        prepared: the painting; each objective is made when it is needed.
        start: an image for the first scale (1 x 3 x H x W, model space, of that scale's size), or a checkpoint, which
            gives the same result as a painting without interruption; None: the start in `prepared`.
        more_terms: additional terms of the objective, valid at every scale, such as a film's temporal term.
        observers: called in this order with each step, and closed when the painting ends, whatever the reason.

    Raises:
        DivergenceError: the image diverged. The observers have been closed with the last good image.
        KeyboardInterrupt: after the observers are closed.
        ValueError: the size of a checkpoint or an image does not match its scale.

    """
    return Painting(prepared, start, more_terms).paint(observers)


def beginning(prepared: Prepared) -> Checkpoint:
    """Return the checkpoint at the beginning: the first scale, with its own start."""
    return Checkpoint(DescentState(prepared.scales[0].start))


def fits(checkpoint: Checkpoint, prepared: Prepared) -> bool:
    """Tell whether a painting can continue from a checkpoint: its scale exists, and its image has that size."""
    if not 1 <= checkpoint.scale <= len(prepared.scales):
        return False
    width, height = prepared.scales[checkpoint.scale - 1].size
    return checkpoint.descent.image.shape == (1, 3, height, width)


def most_epochs(checkpoint: Checkpoint, prepared: Prepared) -> int:
    """Return the largest number of epochs of the whole painting, including those of the finished scales."""
    most = checkpoint.epochs_before + sum(prepared.epochs[checkpoint.scale - 1 :])
    return most if prepared.stop_after is None else min(most, prepared.stop_after)


def _enlarged(image: Tensor, scale: Scale, following: Scale, *, seamless: bool) -> Tensor:
    """Return the image with which the scale `following` begins: that of the scale before, resized bilinearly.

    A share of the details of its start is added: the start minus the enlarged start of the scale before, a level of
    its Laplacian pyramid (Burt and Adelson, 1983). Then grain is added. An enlarged image has no power at fine
    frequencies: without grain, all texture that grows there would have a single period, the one that grows fastest.
    """
    enlarged = _stretched(image, following.size, seamless=seamless)
    if following.details:
        details = following.start - _stretched(scale.start, following.size, seamless=seamless)
        enlarged = enlarged + following.details * details
    if following.make_grain is not None:
        enlarged = enlarged + following.make_grain().to(enlarged.device)
    return enlarged


def _stretched(image: Tensor, size: tuple[int, int], *, seamless: bool) -> Tensor:
    """Resize an image bilinearly to (width, height)."""
    width, height = size
    if seamless:
        return _wrapped(_wrapped(image, height, -2), width, -1)
    return F.interpolate(image, size=(height, width), mode="bilinear", align_corners=False)


def _wrapped(image: Tensor, length: int, dim: int) -> Tensor:
    """Resize an image linearly along one dimension, in which it tiles: the first pixel follows the last one."""
    pixels = image.shape[dim]
    places = (torch.arange(length, device=image.device) + 0.5) * (pixels / length) - 0.5
    before = places.floor()
    share = (places - before).unsqueeze(-1) if dim == -2 else places - before
    first = before.long() % pixels
    return torch.lerp(image.index_select(dim, first), image.index_select(dim, (first + 1) % pixels), share)


class Painting:
    """A painting in progress; `paint` describes the arguments.

    Whoever has a painting to hold does not need to hold its start, which takes memory.

    Attributes:
        checkpoint: the state after the last epoch.

    Raises:
        ValueError: the size of a checkpoint or an image does not match its scale.

    """

    def __init__(
        self, prepared: Prepared, start: Tensor | Checkpoint | None = None, more_terms: Sequence[Term] = ()
    ) -> None:
        if not isinstance(start, Checkpoint):
            start = beginning(prepared) if start is None else Checkpoint(DescentState(start))
        if not fits(start, prepared):
            raise ValueError(f"an image of {tuple(start.descent.image.shape)} does not fit scale {start.scale}")
        self.prepared = prepared
        self.more_terms = more_terms
        self.checkpoint = start
        self.stop_reason = StopReason.FAILED
        self._observers: Sequence[Observer] = ()
        self._before: tuple[Checkpoint, Finish] | None = None  # of the last scale, until this one has an epoch

    @property
    def scale(self) -> Scale:
        """The current scale."""
        return self.prepared.scales[self.checkpoint.scale - 1]

    def paint(self, observers: Sequence[Observer] = ()) -> Painted:
        """Descend at each scale, and close the observers, which no interrupt can prevent."""
        self._observers = observers
        with Interrupts() as interrupts:
            try:
                try:
                    self._descend_all()
                finally:
                    interrupts.hold()
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
        return Painted(image, self.scale.finish, self.checkpoint.epoch, self.stop_reason)

    def _descend_all(self) -> None:
        """Descend at each scale, and set the stop reason."""
        if self.prepared.in_one_pass:
            self.stop_reason = StopReason.ONE_PASS
            return
        self._descend()
        while self.checkpoint.scale < len(self.prepared.scales) and self.checkpoint.epoch != self.prepared.stop_after:
            self._go_to_next_scale()
            self._descend()
        converged = has_converged(self.checkpoint.descent, self.prepared.descent["stop_eps"], self.scale.slowdown)
        self.stop_reason = StopReason.RELATIVE_CHANGE if converged else StopReason.EPOCHS

    def _descend(self) -> None:
        """Descend at the current scale, and show each step to the observers."""
        scale, scales = self.checkpoint.scale, len(self.prepared.scales)
        most = most_epochs(self.checkpoint, self.prepared)
        objective = self.scale.objective().with_terms(self.more_terms)
        at_this_scale = min(self.prepared.epochs[scale - 1], most - self.checkpoint.epochs_before)
        settings = {
            **self.prepared.descent,
            **self.scale.optimizer_settings,
            "max_num_epochs": at_this_scale,
            "slowdown": self.scale.slowdown,
            "parts": self.scale.parts,
            "held": self._held(),
        }
        for step in descend(objective, self.checkpoint.descent, **settings):
            self.checkpoint = replace(self.checkpoint, descent=step.state)
            if step.state.epoch > 0:
                self._before = None
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
            for observer in self._observers:
                observer(shown)
            del step, shown  # they hold the gradient of an epoch that is over

    def _held(self) -> Tensor | None:
        """Return which pixels stay as they are, 1 x 1 x H x W; None: none.

        They are those outside of the mask, and those that the settings of the descent hold. The gradient is 0 outside
        of the mask, but the steps of L-BFGS are not.
        """
        held: Tensor | None = self.prepared.descent.get("held")
        if self.scale.mask is None:
            return held
        outside = torch.from_numpy(self.scale.mask == 0)[None, None].to(self.checkpoint.descent.image.device)
        return outside if held is None else outside | held

    def _go_to_next_scale(self) -> None:
        """Set the checkpoint to the beginning of the next scale."""
        self.scale.free()
        following = self.prepared.scales[self.checkpoint.scale]
        ended = replace(self.checkpoint.descent, memory={})  # the optimizer is done with it, and it is large
        self._before = replace(self.checkpoint, descent=ended), self.scale.finish
        # An image read from a checkpoint is contiguous. The layout affects rounding, so use the same one here.
        image = self.checkpoint.descent.image.contiguous()
        enlarged = _enlarged(image, self.scale, following, seamless=self.prepared.seamless)
        if following.mask is not None:  # what is not painted stays the content's, as at the first scale
            mask = torch.from_numpy(following.mask).to(enlarged.device)
            enlarged = torch.where(mask > 0, enlarged, following.start)
        if (bounds := self.prepared.descent.get("bounds")) is not None:
            enlarged = enlarged.clamp(*bounds)
        self.checkpoint = Checkpoint(DescentState(enlarged), self.checkpoint.scale + 1, self.checkpoint.epoch)

    def _close(self) -> None:
        """Close every observer, even if closing another one fails."""
        with ExitStack() as stack:
            for observer in reversed(self._observers):
                stack.callback(self._close_observer, observer)

    def _close_observer(self, observer: Observer) -> None:
        """Close an observer. If Ctrl-C interrupts that, close it again, then raise the interrupt.

        If an observer fails, the next ones see the stop reason FAILED: a painting whose picture could not be written
        is not finished.
        """
        checkpoint, finish = self._before or (self.checkpoint, self.scale.finish)
        ending = Ending(self.stop_reason, checkpoint, len(self.prepared.scales), finish)
        try:
            observer.close(ending)
        except KeyboardInterrupt:
            observer.close(ending)
            raise
        except BaseException:
            if self.stop_reason in FINISHED:
                self.stop_reason = StopReason.FAILED
            raise
