"""What tables call women and men: words of a column ``gender``, in English and in the languages of corpora.

Codes such as 0 and 1 mean either, and are refused.
"""

from __future__ import annotations

#: Counted up with every change of the words.
VERSION = 1

WORDS = {
    **dict.fromkeys(
        ("female", "f", "fem", "femme", "woman", "women", "w", "weiblich", "frau", "girl"), "female"
    ),
    **dict.fromkeys(("male", "m", "man", "men", "männlich", "maennlich", "mann", "homme", "boy"), "male"),
    **dict.fromkeys(
        ("other", "o", "x", "d", "divers", "diverse", "nonbinary", "non-binary", "non binary"), "other"
    ),
}


def gender_in(text: str) -> str:
    """Return ``female``, ``male`` or ``other`` for a word that a table holds.

    Raises
    ------
    ValueError
        It is none of the words known.
    """
    found = WORDS.get(text.strip().casefold())
    if found is None:
        raise ValueError(
            f"{text!r}, expected female, male, other (or f, m, w, woman, man and the like), or nothing"
        )
    return found
