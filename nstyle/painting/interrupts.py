"""Interrupts of a painting: the first one ends it, later ones wait until its files are written."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupts:
    """Context manager in which the first signal interrupts, and later ones wait for its end.

    A signal is passed on to the handler that was there before, which usually raises KeyboardInterrupt. Signals that
    are ignored, or end the process at once, stay so. At the end, the first signal that had to wait is passed on,
    unless an earlier one has interrupted. Does nothing in other threads than the main one, which get no signals.

    Attributes:
        is_held: whether signals wait.

    """

    def __init__(self) -> None:
        self.is_held = False
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._waiting: int | None = None

    def __enter__(self) -> "Interrupts":
        """Handle the signals."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Restore the handlers, except those that were changed meanwhile."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, before)
        if self._waiting is not None and not (kind is not None and issubclass(kind, KeyboardInterrupt)):
            self._before[self._waiting](self._waiting, None)

    def hold(self) -> None:
        """Let signals wait from now on."""
        self.is_held = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_held:
            self._waiting = self._waiting or number
            return
        self.is_held = True
        self._before[number](number, frame)
        self.is_held = False  # it has not interrupted
