"""Names of speakers, labels and clips: which of them mean nobody, and which are one name written in two ways.

Two spellings are *nearly equal* where :func:`comparable` makes the same of both: Unicode forms, case, blanks,
separators, leading zeros and the decimals of a number are what tables lose on their way through other tools.
Nothing is decided by this alone: the audit reports it, and folds that would tear such a group are refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

#: What other tools write where a value is missing, in small letters: unknown, and nobody's name.
UNKNOWN = frozenset({"", "nan", "none", "null", "nat", "<na>"})
#: Columns of the utterance table that hold such names.
COLUMNS = ("speaker", "label", "gender", "language", "session", "dialogue", "split")

_SEPARATORS = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_WHOLE = re.compile(r"(\d+)\.0+")
_RUNS = re.compile(r"\d+|[^\d\s]+")


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
    letters and digits; runs of digits are compared as numbers, and ``1.0`` as ``1``. Runs stay apart, so that
    ``1_12`` and ``11_2`` are two names.
    """
    folded = _SEPARATORS.sub(" ", _folded(name))
    whole = _WHOLE.fullmatch(folded)
    runs = _RUNS.findall(whole[1] if whole else folded)
    return " ".join(run.lstrip("0") or "0" if run.isdecimal() else run for run in runs)


def nearly_equal(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of two or more different names that are nearly equal, sorted."""
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(comparable(name), set()).add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def shown(name: str) -> str:
    """Return a name so that two spellings can be told apart: odd blanks and decomposed letters are escaped."""
    plain = name == " ".join(name.split()) and unicodedata.is_normalized("NFKC", name) and name.isprintable()
    return name if plain else ascii(name)


@lru_cache(maxsize=10_000)
def _folded(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c) != "Cf").strip()
