"""A command that is told to stop (SIGTERM, a closed terminal) unwinds, so that nothing half written stays."""

from __future__ import annotations

import signal
from types import FrameType


class Stopped(BaseException):
    """Raised where the command is when a signal tells it to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number  # as a shell says it


def stop_on_signals() -> None:
    """Raise :class:`Stopped` on the first signal to stop, and let nothing but a kill disturb the clearing up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # what is ignored (nohup) stays ignored
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
