"""Text as a medium: a turn with some of the turns before it, known by the words themselves."""

from __future__ import annotations

from dataclasses import dataclass

from unheard.errors import DataError, UsageError
from unheard.files import digest
from unheard.inputs import Clip, Turn
from unheard.text.joining import read_with


@dataclass(frozen=True)
class TextMedium:
    """Turns of a dialogue; the extractor joins them.

    Parameters
    ----------
    context
        Number of turns before the clip's own that are given with it. Who speaks is given where there is context:
        a turn that stands alone says what was said, and nothing else.
    """

    context: int = 0

    def __post_init__(self) -> None:
        if self.context < 0:
            raise UsageError(f"context is {self.context} turns; give 0 or more")

    @property
    def name(self) -> str:
        """``text``."""
        return "text"

    def key(self, clip: Clip) -> str:
        """Return a SHA-256 of the texts and of who says them."""
        return digest({"medium": self.name, "turns": [[turn.speaker, turn.text] for turn in self.open(clip)]})

    def size(self, clip: Clip) -> float:
        """Return the number of words, as blanks part them."""
        return 0.0 if clip.turn is None else float(sum(len(turn.text.split()) for turn in self.open(clip)))

    def open(self, clip: Clip) -> tuple[Turn, ...]:
        """Return the turns, oldest first, the clip's own last.

        Raises
        ------
        DataError
            Nobody wrote down what was said.
        """
        if clip.turn is None or not clip.turn.text.strip():
            raise DataError("has no text")
        return read_with(self.context, (*clip.context, clip.turn))
