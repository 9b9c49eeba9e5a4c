"""Names of speakers, labels and clips: which of them mean nobody, and which are one name written in two ways.

Two spellings are *nearly equal* where :func:`comparable` makes the same of both: Unicode forms, case, blanks,
separators, leading zeros and the decimals of a number are what tables lose on their way through other tools.
Nothing is decided by this alone: the audit reports it, and folds that would tear such a group are refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

#: What people and other tools write where a value is missing, in small letters: unknown, and nobody's name.
UNKNOWN = frozenset(
    {
        "",
        "nan",
        "none",
        "null",
        "nat",
        "<na>",
        "n/a",
        "#n/a",
        "n.a.",
        "?",
        "-",
        "--",
        "unknown",
        "<unknown>",
        "unk",
        "<unk>",
    }
)
#: Columns of the utterance table that hold such names.
COLUMNS = ("speaker", "label", "gender", "language", "session", "dialogue", "split")

#: A label is taken for a mistyped one where its letters are like those of another with many more clips: at most
#: the first share of its clips and this similarity, or the second share where one letter is missing, added or
#: another, or two are swapped.
RARE, ALIKE, RARE_LETTER = 0.05, 0.85, 0.25
SHORT = 4  # letters; of shorter names one letter makes another word (sad, mad)

_SEPARATORS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_WHOLE = re.compile(r"(\d+)\.0+")
_RUNS = re.compile(r"\d+|[^\d\s]+")
#: What stands around a name without being part of it.
_AROUND = " .,;:'\"`´‘’“”„«»"


def known(name: str | None) -> str | None:
    """Return a name as it stands, or None where it only says that there is none."""
    return None if name is None or _folded(name) in UNKNOWN else name


def with_known(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a table with null in the place of names that mean nobody."""
    texts = {name: row[name] for name in COLUMNS if isinstance(row.get(name), str)}
    return {**row, **{name: known(text) for name, text in texts.items()}}


@lru_cache(maxsize=10_000)
def comparable(name: str) -> str:
    """Return what nearly equal spellings of a name have in common: ``S_03``, ``s 3`` and ``S3`` all give ``s 3``.

    Names are compared after Unicode NFKC, without invisible characters, case, outer blanks and separators between
    letters and digits, and quotes and full stops around them; runs of digits, in whatever script, are compared as
    numbers, and ``1.0`` as ``1``. Runs stay apart, so that ``1_12`` and ``11_2`` are two names.
    """
    folded = _SEPARATORS.sub(" ", _folded(name).strip(_AROUND))
    whole = _WHOLE.fullmatch(folded)
    runs = _RUNS.findall(whole[1] if whole else folded)
    return " ".join(run.lstrip("0") or "0" if run.isdecimal() else run for run in runs)


def nearly_equal(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of two or more different names that are nearly equal, sorted."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(comparable(name), set()).add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def merged(clips: Mapping[str, int]) -> dict[str, str]:
    """Return the name for every one that is nearly equal to another: the one with the most clips, else the first.

    Parameters
    ----------
    clips
        Number of clips of each name.
    """
    groups = nearly_equal(clips)
    return {name: min(group, key=lambda each: (-clips[each], each)) for group in groups for name in group}


def mistyped(clips: Mapping[str, int]) -> dict[str, str]:
    """Return the labels of few clips that look like a mistyped one with many, by which one that is.

    Parameters
    ----------
    clips
        Number of clips of each label.
    """
    found: dict[str, str] = {}
    for rare in clips:
        near = {common: likeness for common in clips if (likeness := _likeness(rare, common, clips)) > 0}
        if near:
            found[rare] = max(near, key=lambda common: near[common])
    return found


def _likeness(rare: str, common: str, clips: Mapping[str, int]) -> float:
    """Return how alike the letters of two labels are; 0 where the first is none that was meant for the second.

    Digits that differ tell classes apart.
    """
    a, b = comparable(rare), comparable(common)
    if a == b or [c for c in a if c.isdecimal()] != [c for c in b if c.isdecimal()]:
        return 0.0
    ratio = SequenceMatcher(None, a, b, autojunk=False).ratio()
    share = clips[rare] / max(1, clips[common])
    letter = min(len(a), len(b)) >= SHORT and _one_letter_apart(a, b)
    plural = a == f"{b}s"
    return (
        ratio if (share <= RARE and ratio >= ALIKE) or (share <= RARE_LETTER and (letter or plural)) else 0.0
    )


def _one_letter_apart(a: str, b: str) -> bool:
    """Return whether one letter more, less or other, or two that are swapped, makes one name of the other."""
    if len(a) > len(b):
        a, b = b, a
    first = next((k for k in range(len(a)) if a[k] != b[k]), len(a))
    if len(a) < len(b):
        return a[first:] == b[first + 1 :]
    swapped = a[first : first + 2] == b[first : first + 2][::-1] and a[first + 2 :] == b[first + 2 :]
    return a[first + 1 :] == b[first + 1 :] or swapped


def shown(name: str) -> str:
    """Return a name so that two spellings can be told apart: odd blanks and decomposed letters are escaped."""
    plain = name == " ".join(name.split()) and unicodedata.is_normalized("NFKC", name) and name.isprintable()
    return name if plain else ascii(name)


@lru_cache(maxsize=10_000)
def _folded(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    folded = folded.replace("i\u0307", "i").replace("ı", "i")  # what casing makes of the Turkish i
    kept = (c for c in folded if unicodedata.category(c) != "Cf")
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in kept).strip()
