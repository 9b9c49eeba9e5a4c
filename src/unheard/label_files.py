"""Mappings of labels as they are stored and as they are typed.

Those that come with the package are data in ``corpora/labels``; each has a version, and whatever is scored or
predicted with one says so.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from unheard.errors import UsageError, need, unknown
from unheard.labels import Labels

#: Merges labels that are nearly equal, which the table alone tells (:func:`unheard.corpora.relabel.mapping_of`).
MERGE = "merge"
FOLDER = files("unheard") / "corpora" / "labels"


def stored() -> list[str]:
    """Return the names of the mappings that come with the package."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in FOLDER.iterdir() if entry.name.endswith(".yaml")
    )


def parse(text: str) -> Labels:
    """Read a mapping from what was typed: the name of a stored one, a YAML file, or ``OLD=NEW,DROPPED=,KEPT``.

    Where a label stands alone (``KEPT``), those that are not named leave.

    Raises
    ------
    UsageError
        Neither of these, or a label named twice.
    """
    if text in stored():
        return _from_yaml(text, _yaml().parse((FOLDER / f"{text}.yaml").read_bytes(), text, UsageError))
    if Path(text).suffix in (".yaml", ".yml"):
        return _from_yaml(text, _yaml().read(text, UsageError))
    if "=" not in text and "," not in text:
        if text == MERGE:
            raise UsageError(
                "labels 'merge' is for tables, whose labels may be written in two ways; name them here"
            )
        raise unknown("mapping of labels", text, [*stored(), MERGE, "FILE.yaml", "OLD=NEW,DROPPED=,KEPT"])
    names: dict[str, str | None] = {}
    others = True
    for part in text.split(","):
        old, equals, new = (piece.strip() for piece in part.partition("="))
        if not old or old in names:
            raise UsageError(
                f"labels {text!r}: {part!r}, expected OLD=NEW, DROPPED= or KEPT, each label once"
            )
        names[old] = (new or None) if equals else old
        others = others and bool(equals)
    return Labels(names, others, text)


def _from_yaml(source: str, found: Any) -> Labels:
    names = found.get("labels") if isinstance(found, dict) else None
    if not isinstance(names, dict):
        names = {None: None}
    texts = all(isinstance(old, str) and isinstance(new, str | None) for old, new in names.items())
    if not texts or found.get("others", "keep") not in ("keep", "drop"):
        raise UsageError(f"{source}: expected {{name, version, labels: {{OLD: NEW}}, others: keep or drop}}")
    return Labels(
        names, found.get("others", "keep") == "keep", str(found.get("name", source)), found.get("version")
    )


def _yaml() -> Any:
    """Return the reader of YAML, which predicting with typed classes can do without."""
    need("yaml", "eval")
    from unheard.formats import yaml_text

    return yaml_text
