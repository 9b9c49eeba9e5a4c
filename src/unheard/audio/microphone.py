"""What a microphone hears, as it hears it; sounddevice (PortAudio) records it."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import MachineError

#: Seconds of a piece.
PIECE = 0.1


def record(rate: int, device: int | str | None = None) -> Iterator[NDArray[np.float32]]:
    """Yield pieces of (n,) samples, one channel at ``rate`` Hz, without end.

    Parameters
    ----------
    rate
        Hz.
    device
        Number or name of the microphone; None: the system's own choice.

    Raises
    ------
    MachineError
        There is no such microphone, or PortAudio is missing.
    """
    try:
        import sounddevice
    except OSError as error:
        raise MachineError(f"no sound can be recorded: {error}; install PortAudio (libportaudio2)") from error
    heard: SimpleQueue[NDArray[np.float32]] = SimpleQueue()

    def keep(samples: Any, *_: object) -> None:
        heard.put(samples[:, 0].copy())

    try:
        with sounddevice.InputStream(
            rate, round(rate * PIECE), device, channels=1, dtype="float32", callback=keep
        ):
            while True:
                yield heard.get()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise MachineError(
            f"the microphone cannot be used: {error}; python -m sounddevice lists those that there are"
        ) from error
