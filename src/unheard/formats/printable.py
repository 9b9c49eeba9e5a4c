"""Texts that can be printed as they are: they change no terminal or page, and forge no line there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

#: Embeddings, overrides and isolates of writing direction, and the ends of these.
_TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def check_printable(value: Any, allowed: str = "") -> None:
    """Refuse plain values in which a text, names of fields too, holds what cannot be printed as it is.

    Control characters, escape sequences, half surrogate pairs, separators of lines, and what turns the direction
    of other text. Letters and signs of every script are allowed, those without a glyph of their own too.

    Parameters
    ----------
    value
        A text, or lists and objects with texts inside.
    allowed
        Control characters that are allowed.

    Raises
    ------
    ValueError
        The text, and the character.
    """
    for text in _texts(value):
        if text.isprintable():
            continue
        for place, one in enumerate(text):
            if one not in allowed and _acts(one):
                around = text[max(0, place - 20) : place + 20]
                raise ValueError(f"the text {around!a} holds the control character U+{ord(one):04X}")


def _acts(one: str) -> bool:
    """Return whether a character does something to what stands around it."""
    return unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(one) in _TURNS


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield key
            yield from _texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _texts(inside)
