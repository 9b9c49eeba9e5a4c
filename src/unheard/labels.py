"""Other names for classes: renamed, merged, dropped or chosen, by a mapping in a file or as it was typed.

Mappings that come with the package are data in ``corpora/labels``; each has a version, and whatever is scored or
predicted with one says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from unheard.errors import UsageError, need, unknown

FOLDER = files("unheard") / "corpora" / "labels"


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

    def classes(self, old: Sequence[str]) -> tuple[str, ...]:
        """Return the new classes of old ones, in the order of those that they came from."""
        return tuple(dict.fromkeys(made for label in old if (made := self.of(label)) is not None))

    def shares(self, old: Mapping[str, float]) -> dict[str, float]:
        """Return the probabilities of the new classes: those of merged ones added, of dropped ones left out.

        They are scaled to sum to 1 where a class was dropped; where nothing is left for any, they are equal.
        """
        names = self.classes(list(old))
        sums = {name: sum(p for label, p in old.items() if self.of(label) == name) for name in names}
        if all(self.of(label) is not None for label in old):
            return sums
        whole = sum(sums.values())
        return {name: p / whole if whole > 0 else 1 / len(sums) for name, p in sums.items()}

    def check(self, known: Iterable[str], what: str) -> None:
        """Refuse a mapping without a version that names a label which is not there, and one that leaves no class.

        Raises
        ------
        UsageError
            Names the label, with near matches among those that are there.
        """
        there = list(dict.fromkeys(known))
        strange = [label for label in self.names if label not in there]
        if strange and self.version is None:
            raise unknown(f"label of {what}", strange[0], there)
        if not self.classes(there):
            raise UsageError(f"labels {self.name}: none of the classes {', '.join(there)} is left")

    def __str__(self) -> str:
        """Return the mapping as a line: name, version, and what becomes of which label."""
        version = "" if self.version is None else f", version {self.version}"
        pairs = [f"{old} → {new or '(dropped)'}" for old, new in self.names.items() if new != old]
        rest = "" if self.others else "; what is not named is dropped"
        return f"labels by {self.name}{version}: {', '.join(pairs) or 'chosen'}{rest}"


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
