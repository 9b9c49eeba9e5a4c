"""Getting to know a voice: sums over the clips of one speaker, and what to beware of in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from unheard.audio.quality import Quality
from unheard.bundle.adaptation import Adaptation
from unheard.bundle.head import Inputs
from unheard.bundle.voice import ENOUGH_CLIPS, VoiceProfile, flags_of
from unheard.errors import DataError, first_five

#: A larger share of the clips that all sound like one expression is warned of, unless it is one of these.
ONE_EXPRESSION, PLAIN = 0.9, ("neutral", "calm")


class Enrolment:
    """The clips of one speaker that a bundle was given so far.

    Parameters
    ----------
    adaptation
        How the bundle standardises its inputs.
    """

    def __init__(self, adaptation: Adaptation) -> None:
        self._adaptation = adaptation
        self._sums = adaptation.sums([])
        self._clips, self._seconds, self._speech = 0, 0.0, 0.0
        self._heard: Counter[str] = Counter()
        self._left_out: list[str] = []

    def leave_out(self, reason: str) -> None:
        """Note why a clip could not be used."""
        self._left_out.append(reason)

    def add(self, inputs: Inputs, quality: Quality, probabilities: Mapping[str, float]) -> None:
        """Add the inputs of a clip, what was measured of it, and what it sounds like to who knows nobody."""
        own = self._adaptation.sums([inputs])
        self._sums = {name: each + own[name] for name, each in self._sums.items()}
        self._clips += 1
        self._seconds += quality.seconds
        self._speech += quality.speech * quality.seconds
        if probabilities:
            self._heard[max(probabilities, key=probabilities.__getitem__)] += 1

    def profile(self, model: str) -> VoiceProfile:
        """Return the profile of the clips so far, made with a bundle of this name.

        Raises
        ------
        DataError
            There is no clip.
        """
        if not self._clips:
            reasons = f": {first_five(self._left_out)}" if self._left_out else ""
            raise DataError(f"no clip from which the voice could be known{reasons}")
        return VoiceProfile(
            model,
            self._adaptation.fingerprint,
            self._clips,
            self._seconds,
            self._speech,
            self._sums,
            tuple(self._flags()),
            tuple(self._left_out),
        )

    def _flags(self) -> list[str]:
        flags = list(flags_of(self._clips, self._speech))
        most = max((count for label, count in self._heard.items() if label not in PLAIN), default=0)
        if self._clips >= ENOUGH_CLIPS and most >= ONE_EXPRESSION * self._clips:
            flags.append("one_expression")
        return flags
