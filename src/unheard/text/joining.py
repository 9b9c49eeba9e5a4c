"""Turns of a dialogue as one row of token numbers, the clip's own turn last and never cut for those before it.

Training and bundles join tokens here, whatever tokenizer made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unheard.errors import DataError
from unheard.inputs import Turn


def spoken(turn: Turn) -> str:
    """Return ``Speaker: text``, or the text where it is not said who speaks."""
    return f"{turn.speaker}: {turn.text}" if turn.speaker else turn.text


def read_with(context: int, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the last turn with so many turns before it; without any it says what was said, and not by whom."""
    if not context:
        return (Turn(None, turns[-1].text),)
    return tuple(turns[-context - 1 :])


@dataclass(frozen=True)
class Joining:
    """How the tokens of turns become what a model takes.

    Parameters
    ----------
    before, after
        Numbers of the tokens that the model wants at the start and at the end, such as of ``[CLS]``.
    between
        Numbers of the tokens between two turns: the tokenizer's own separator. Its name as text would be read as
        text by a tokenizer that calls it otherwise.
    longest
        Largest number of tokens, those at both ends among them.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    longest: int

    def joined(self, turns: Sequence[Sequence[int]]) -> list[int]:
        """Return one row of token numbers of the tokens of each turn, oldest first.

        What is too long loses tokens from its start.

        Raises
        ------
        DataError
            There is no token at all.
        """
        inner: list[int] = []
        for number, tokens in enumerate(turns):
            inner += [*(self.between if number else ()), *tokens]
        room = max(1, self.longest - len(self.before) - len(self.after))
        row = [*self.before, *inner[-room:], *self.after]
        if not row:
            raise DataError("a text without any token")
        return row
