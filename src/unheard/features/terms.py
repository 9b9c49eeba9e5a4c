"""Words and pairs of words, counted: what a text says without a pretrained model.

The published classical input is TF-IDF, whose idf belongs to the training rows. Here a text alone decides about
its row, as with every feature; the head standardises by its training rows, which lifts rare terms as idf does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.features.contract import Spec
from unheard.inputs import Turn
from unheard.settings import Within, check

_WORD = re.compile(r"\w+(?:['’]\w+)*|[!?]+")
#: Stands between the words of a pair; it is part of no word.
_JOINT = " "


@dataclass(frozen=True)
class Terms(Spec):
    """Hashed counts of the terms of a text, (dims,) float32 of Euclidean length 1 (0 of a text without a term).

    Terms are words in small letters and runs of ! and ?; a term that occurs n times counts 1 + ln n. Each has a
    place among ``dims`` by its hash, and a sign, so that terms that share a place do not add up (Weinberger et al.
    2009). The turns before a clip's own have places of their own: ``before`` words are other terms.

    Parameters
    ----------
    dims
        Number of places.
    pairs
        Whether pairs of neighbouring words are terms, too.
    """

    dims: Annotated[int, Within(16, 65_536)] = 1024
    pairs: bool = True

    name: ClassVar[str] = "terms"
    version: ClassVar[int] = 1
    medium: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        check(self, "terms")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the places: their numbers."""
        return tuple(f"term{number:05d}" for number in range(self.dims))

    def compute(self, turns: Sequence[Turn]) -> NDArray[np.float32]:  # type: ignore[override]
        """Return the row of a text, whose own turn is the last of ``turns``."""
        *before, own = turns
        counts: Counter[str] = Counter(self._terms(own.text))
        counts.update(f"before{_JOINT}{term}" for turn in before for term in self._terms(turn.text))
        row = np.zeros(self.dims)
        for term, count in counts.items():
            number = int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little")
            row[(number >> 1) % self.dims] += (1 if number & 1 else -1) * (1 + np.log(count))
        length = np.linalg.norm(row)
        return np.asarray(row / length if length else row, dtype=np.float32)

    def _terms(self, text: str) -> list[str]:
        words: list[Any] = _WORD.findall(text.lower().replace("’", "'"))
        return [*words, *map(_JOINT.join, pairwise(words))] if self.pairs else words
