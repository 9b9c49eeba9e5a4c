"""Voice profiles that clients made: in memory alone, each its client's own, gone after a while."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from unheard.bundle.voice import VoiceProfile
from unheard.serve.errors import BusyError, MissingError
from unheard.serve.limits import Limits


@dataclass(frozen=True)
class Voice:
    """A profile under the name by which its client asks for it.

    Attributes
    ----------
    id
        Name that cannot be guessed.
    owner
        By what the client is known.
    profile
        The profile.
    until
        Time at which it goes, by the clock of :class:`Voices`.
    """

    id: str
    owner: str
    profile: VoiceProfile
    until: float


class Voices:
    """The profiles of all clients.

    Parameters
    ----------
    limits
        How many are kept, of all and of one client, and how long.
    clock
        Gives the time in seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock, self._lock = limits, clock, Lock()
        self._voices: dict[str, Voice] = {}

    def __len__(self) -> int:
        return len(self._voices)

    def add(self, owner: str, profile: VoiceProfile) -> Voice:
        """Keep a profile.

        Raises
        ------
        BusyError
            As many are kept as may be.
        """
        with self._lock:
            self._forget()
            own = sum(voice.owner == owner for voice in self._voices.values())
            if own >= self._limits.voices_per_key or len(self._voices) >= self._limits.voices:
                raise BusyError(
                    f"{own} of your voice profiles and {len(self._voices)} in all are kept, as many as may be; "
                    "delete one, or try again when one has expired",
                    retry_after=60,
                )
            until = self._clock() + self._limits.voice_seconds
            voice = Voice(secrets.token_urlsafe(18), owner, profile, until)
            self._voices[voice.id] = voice
            return voice

    def get(self, owner: str, name: str) -> Voice:
        """Return a profile of this client.

        Raises
        ------
        MissingError
            The client has none by this name, or has it no longer.
        """
        with self._lock:
            self._forget()
            voice = self._voices.get(name)
        if voice is None or voice.owner != owner:
            raise MissingError(
                "no such voice profile: it never was, has expired, or was deleted; make it again"
            )
        return voice

    def all(self, owner: str) -> list[Voice]:
        """Return the profiles of this client, oldest first."""
        with self._lock:
            self._forget()
            return [voice for voice in self._voices.values() if voice.owner == owner]

    def remove(self, owner: str, name: str) -> None:
        """Forget a profile; raises :class:`MissingError` as :meth:`get` does."""
        self.get(owner, name)
        with self._lock:
            self._voices.pop(name, None)

    def left(self, voice: Voice) -> float:
        """Return for how many seconds more a profile is kept."""
        return max(0.0, voice.until - self._clock())

    def forget(self) -> None:
        """Forget those whose time is over; whoever keeps the server calls it now and then."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        now = self._clock()
        self._voices = {name: voice for name, voice in self._voices.items() if voice.until > now}
