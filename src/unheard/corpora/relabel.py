"""Other classes for a table: renamed, merged, dropped or chosen, by a mapping in a file or as it was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from unheard.corpora.table import DIMENSIONS, VOTE, check, classes
from unheard.errors import UsageError, first_five, unknown
from unheard.formats import yaml_text

FOLDER = files("unheard.corpora") / "labels"


@dataclass(frozen=True)
class Labels:
    """A mapping between labels.

    Parameters
    ----------
    names
        New label of an old one; None drops it.
    others
        Whether labels that are not named stay as they are.
    name, version
        Name and version of a stored mapping; for a mapping given as text, the text and None.
    """

    names: Mapping[str, str | None]
    others: bool = True
    name: str = ""
    version: int | None = None

    def of(self, label: str | None) -> str | None:
        """Return the new label of an old one; None where it is dropped or there was none."""
        return None if label is None else self.names.get(label, label if self.others else None)


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
        return _from_yaml(text, yaml_text.parse((FOLDER / f"{text}.yaml").read_bytes(), text, UsageError))
    if Path(text).suffix in (".yaml", ".yml"):
        return _from_yaml(text, yaml_text.read(text, UsageError))
    if "=" not in text and "," not in text:
        raise unknown("mapping of labels", text, [*stored(), "FILE.yaml", "OLD=NEW,DROPPED=,KEPT"])
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


def relabel(table: pl.DataFrame, labels: Labels) -> pl.DataFrame:
    """Return a table with other classes, in the order of those that they came from; votes follow.

    A clip whose label is dropped stays without one; a vote for a dropped label leaves, unless it has dimensions.

    Raises
    ------
    UsageError
        A mapping without a version names a label that the table does not have, or no class is left.
    """
    old = classes(table)
    strange = [label for label in labels.names if label not in old]
    if strange and labels.version is None:
        raise unknown("label of the table", strange[0], old)
    new = list(dict.fromkeys(made for label in old if (made := labels.of(label)) is not None))
    if not new:
        raise UsageError(f"labels {labels.name}: none of the classes {first_five(old)} is left")
    column = pl.Series("label", [labels.of(label) for label in table["label"]], dtype=pl.String).cast(
        pl.Enum(new)
    )
    mapped = table.with_columns(column)
    if "votes" in table.columns:
        votes = [_votes(given, labels) for given in table["votes"].to_list()]
        mapped = mapped.with_columns(pl.Series("votes", votes, dtype=pl.List(VOTE)))
    return check(mapped)


def _votes(votes: list[dict[str, Any]] | None, labels: Labels) -> list[dict[str, Any]] | None:
    renamed = ({**vote, "label": labels.of(vote["label"])} for vote in votes or ())
    said = [vote for vote in renamed if any(vote[name] is not None for name in ("label", *DIMENSIONS))]
    return said or None


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
