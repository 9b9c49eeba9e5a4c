"""Other names for classes: renamed, merged, dropped or chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unheard.errors import UsageError, unknown


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
        if not self.names and self.others:
            return dict(old)
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
        none = "as they are" if self.others else "chosen"
        return f"labels by {self.name}{version}: {', '.join(pairs) or none}{rest}"
