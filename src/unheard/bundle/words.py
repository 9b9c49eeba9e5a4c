"""What was said, as a caller gives it to a bundle: a text, or the turns of a dialogue."""

from __future__ import annotations

from collections.abc import Sequence

from unheard.errors import UsageError
from unheard.inputs import Turn

#: A text; or turns, or pairs of who speaks (or None) and what is said, the oldest first, the clip's own last.
Words = str | Sequence[Turn | tuple[str | None, str]]

#: Characters of all turns together.
MAX_CHARACTERS = 100_000


def turns_of(words: Words | None) -> tuple[Turn, ...]:
    """Return turns, oldest first; none where nothing was said.

    Raises
    ------
    UsageError
        Something else than text or turns, more than 100,000 characters, or what is no Unicode text.
    """
    if words is None:
        return ()
    given = [(None, words)] if isinstance(words, str) else words
    turns = []
    for turn in given if isinstance(given, Sequence) else [given]:
        speaker, text = (turn.speaker, turn.text) if isinstance(turn, Turn) else _pair(turn)
        turns.append(Turn(speaker, text))
    total = sum(len(turn.text) + len(turn.speaker or "") for turn in turns)
    if total > MAX_CHARACTERS:
        raise UsageError(f"the text has {total} characters, expected at most {MAX_CHARACTERS}")
    try:
        "".join(f"{turn.speaker}{turn.text}" for turn in turns).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the text holds half a character, {error.object[error.start]!a}") from error
    return tuple(turns) if turns and turns[-1].text.strip() else ()


def _pair(turn: object) -> tuple[str | None, str]:
    if (
        isinstance(turn, tuple | list)
        and len(turn) == 2
        and isinstance(turn[0], str | None)
        and isinstance(turn[1], str)
    ):
        return turn[0], turn[1]
    raise UsageError(f"what was said is {turn!r:.60}, expected a text, or turns (speaker or None, text)")
