"""Several heads over the same frames, each fitted by itself, that answer together (docs/heads.md)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard import heads
from unheard.errors import UsageError
from unheard.heads.settings import between, pack, settings_of, unpack
from unheard.training.examples import Examples, Features, Part


@dataclass(kw_only=True)
class Committee:
    """The mean of the members' log probabilities: a product of experts with equal weights, fixed in advance.

    Parameters
    ----------
    members
        Settings of each head; heads over frames, and linear heads, which take statistics over frames. Beside its
        own settings a member may have ``dims``, ``[first, end]``: it hears these of the frames' dims alone, such
        as those of one of several joined encoders.
    seed
        Member k of m has the seed m · seed + k: no two members, and no two committees, share one.
    threads
        Of each member.
    """

    name: ClassVar[str] = "committee"
    takes: ClassVar[str] = "frames"

    members: tuple[dict[str, Any], ...] = ({"name": "probe"}, {"name": "convolutional"})
    seed: int = 0
    threads: int = 1
    #: What each member chose, its number before the name (``1.C``, ``2.epochs``).
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    members_: list[heads.Head] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        between(self, "seed", 0, 2**53)
        between(self, "threads", 1, 64)
        if len(self.members) < 2:
            raise UsageError(f"head.members must be two heads or more, found {len(self.members)}")
        whole = []
        for number, settings in enumerate(self.members, 1):
            dims = settings.get("dims")
            head = heads.build(_own(settings))
            if head.takes == "layers" or head.name == self.name:
                raise UsageError(
                    f"head.members: number {number}, {head.name!r}, does not learn from the frames of one entry"
                )
            if dims is not None and not _is_range(dims):
                raise UsageError(
                    f"head.members: number {number}: dims is {dims!r}; expected [first, end], such as [0, 1000]"
                )
            plain = {key: value for key, value in head.settings().items() if key not in ("seed", "threads")}
            whole.append(plain if dims is None else {**plain, "dims": list(dims)})
        self.members = tuple(whole)

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Fit each member by itself, as it would be alone."""
        self.members_ = [
            member.fit(self._heard(number, train), None if val is None else self._heard(number, val))
            for number, member in enumerate(self._unfitted())
        ]
        self._collect()
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new head whose members learned from ``rows`` with what each chose."""
        head = copy(self)
        members = self._unfitted()
        for number, member in enumerate(members, 1):
            own = f"{number}."
            member.chosen_ = {
                key.removeprefix(own): value for key, value in self.chosen_.items() if key.startswith(own)
            }
        head.members_ = [member.refit(self._heard(number, rows)) for number, member in enumerate(members)]
        head._collect()
        return head

    def logits(self, features: Features) -> NDArray[np.float64]:
        """Mean of the members' log probabilities, shape (n, classes)."""
        if not hasattr(self, "members_"):
            raise UsageError(f"the head {self.name!r} is not fitted")
        answers = [
            _log_softmax(member.logits(self._part(number, features)))
            for number, member in enumerate(self.members_)
        ]
        mean: NDArray[np.float64] = np.mean(answers, axis=0)
        return mean

    def settings(self) -> dict[str, Any]:
        """Plain values from which ``heads.build`` makes the same unfitted head."""
        return settings_of(self)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that was learned and set; a member's arrays under its number."""
        arrays = pack(self)
        for number, member in enumerate(self.members_, 1):
            arrays |= {f"{number}.{name}": value for name, value in member.state().items()}
        return arrays

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make the fitted head again."""
        head: Self = unpack(cls, state)
        head.members_ = []
        for number, member in enumerate(head._unfitted(), 1):
            own = f"{number}."
            arrays = {name.removeprefix(own): state[name] for name in state if name.startswith(own)}
            head.members_.append(type(member).from_state(arrays))
        return head

    def _unfitted(self) -> list[heads.Head]:
        count = len(self.members)
        return [
            heads.build({**_own(settings), "seed": count * self.seed + number, "threads": self.threads})
            for number, settings in enumerate(self.members)
        ]

    def _part(self, number: int, features: Features) -> Features:
        dims = self.members[number].get("dims")
        return features if dims is None else Part(features, *dims)

    def _heard(self, number: int, rows: Examples) -> Examples:
        return replace(
            rows,
            features=self._part(number, rows.features),
            variants=tuple(self._part(number, variant) for variant in rows.variants),
        )

    def _collect(self) -> None:
        self.chosen_, self.history_ = {}, []
        for number, member in enumerate(self.members_, 1):
            self.chosen_ |= {f"{number}.{key}": value for key, value in member.chosen_.items()}
            self.history_ += [{"member": number, **record} for record in member.history_]


def _own(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != "dims"}


def _is_range(dims: Any) -> bool:
    if (
        not isinstance(dims, list | tuple)
        or len(dims) != 2
        or not all(type(number) is int for number in dims)
    ):
        return False
    return bool(0 <= dims[0] < dims[1])


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
