"""What the package has of each kind, with a line about each, found where the package itself finds it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

from unheard.errors import unknown


def _corpora() -> dict[str, dict[str, Any]]:
    from unheard.corpora import READERS

    return {
        name: {
            "about": _first_line(reader),
            "licence": getattr(reader, "LICENCE", None),
            "languages": list(getattr(reader, "LANGUAGES", ())),
        }
        for name, reader in READERS.items()
    }


def _encoders() -> dict[str, dict[str, Any]]:
    from unheard.encoders import ENCODERS

    return {name: {"about": _first_line(import_module(module))} for name, module in ENCODERS.items()}


def _heads() -> dict[str, dict[str, Any]]:
    from unheard.heads import HEADS

    return _of_classes(HEADS)


def _features() -> dict[str, dict[str, Any]]:
    from unheard.features.spec import SPECS

    return _of_classes(SPECS)


def _protocols() -> dict[str, dict[str, Any]]:
    from unheard import protocols

    about = {name: _first_line(maker) for name, maker in protocols.NAMED.items()}
    return {name: {"about": about.get(name) or _OF_ALL.get(name, "")} for name in protocols.names()}


def _recipes() -> dict[str, dict[str, Any]]:
    from unheard.recipes import recipe

    found = (recipe.load(name) for name in recipe.names())
    return {r.recipe: {"about": r.about, "corpus": r.corpus, "protocol": r.protocol} for r in found}


#: What can be listed.
KINDS: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {
    "corpora": _corpora,
    "encoders": _encoders,
    "heads": _heads,
    "features": _features,
    "protocols": _protocols,
    "recipes": _recipes,
}

#: Protocols that are no functions with a line of their own.
_OF_ALL = {
    "owner": "The split that the table itself holds.",
    "group-k": "The speakers dealt into k folds.",
    "random-k": "The clips dealt into k folds, whoever speaks: LEAKY, for comparison.",
    "a file (.json, .csv)": "Folds that were written down: id, fold, part.",
    "a folder of EmoBox": "The folds of a set of EmoBox.",
}


def listed(kind: str) -> dict[str, dict[str, Any]]:
    """Return what there is of a kind, by name; each has ``about``, a line of plain words.

    Raises
    ------
    UsageError
        There is no such kind (with near matches).
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    return KINDS[kind]()


def _of_classes(places: dict[str, tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """Return a line about each: of the file, or of the class where a file has several."""
    shared = Counter(module for module, _ in places.values())
    found = {}
    for name, (place, maker) in places.items():
        module = import_module(place)
        found[name] = {"about": _first_line(module if shared[place] == 1 else getattr(module, maker))}
    return found


def _first_line(thing: object) -> str:
    """Return the first paragraph of a docstring on one line, without its marks."""
    text = " ".join((getattr(thing, "__doc__", None) or "").strip().partition("\n\n")[0].split())
    return re.sub(r":\w+:`([^`]*)`", r"\1", text).replace("``", "")
