"""Folds for any corpus: by speaker, by group, by session, by the owner, or (leaky) by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from unheard.errors import ProtocolError, first_five
from unheard.protocols.fold import Fold, Protocol, fold, guarded

#: Ways to take validation speakers out of training.
VALIDATION = ("next-fold", "speakers")
#: The protocol that leaves out each corpus of a joined table.
LEAVE_CORPUS = "leave-corpus"


def speakers_to_folds(
    table: pl.DataFrame,
    test: Sequence[Sequence[str]],
    validation: Sequence[Sequence[str]],
) -> list[Fold]:
    """Make folds from the test and validation speakers of each; all other speakers train."""
    known = set(table["speaker"].drop_nulls())
    named = {speaker for group in (*test, *validation) for speaker in group}
    if named - known:
        raise ProtocolError(
            f"the table lacks the speaker {first_five(sorted(named - known))} of this protocol"
        )
    folds = []
    for testing, validating in zip(test, validation, strict=True):
        of_part = dict.fromkeys(testing, "test") | dict.fromkeys(validating, "val")
        part = table["speaker"].replace_strict(of_part, default="train", return_dtype=pl.String)
        ids = {name: table.filter(part == name)["id"] for name in ("train", "val", "test")}
        folds.append(fold(**ids))
    return folds


def loso(table: pl.DataFrame) -> Protocol:
    """Leave one speaker out; validation: the next fifth of the speakers in name order (at least one)."""
    speakers = _speakers(table)
    if len(speakers) < 3:
        raise ProtocolError(f"loso needs at least 3 speakers, found {len(speakers)}")
    after = max(1, (len(speakers) - 1) // 5)
    validation = [
        [speakers[(k + j) % len(speakers)] for j in range(1, after + 1)] for k in range(len(speakers))
    ]
    return guarded("loso", table, speakers_to_folds(table, [[s] for s in speakers], validation))


def leave_corpus(table: pl.DataFrame) -> Protocol:
    """Leave one corpus of a joined table out; no validation, since one corpus more would be lost to it."""
    names = sorted(table["corpus"].unique())
    if len(names) < 2:
        raise ProtocolError(
            f"{LEAVE_CORPUS} needs a joined table of two corpora or more, found {names[0]!r} alone"
        )
    of = {name: table.filter(pl.col("corpus") == name)["id"].to_list() for name in names}
    folds = [fold([i for other in names if other != name for i in of[other]], (), of[name]) for name in names]
    return guarded(LEAVE_CORPUS, table, folds)


def next_fold(table: pl.DataFrame, name: str, test: Sequence[Sequence[str]]) -> Protocol:
    """Return the protocol in which each fold's validation speakers are the test speakers of the next one."""
    validation = [test[(k + 1) % len(test)] for k in range(len(test))]
    return guarded(name, table, speakers_to_folds(table, test, validation))


def with_validation(protocol: Protocol, table: pl.DataFrame, way: str = "next-fold") -> Protocol:
    """Take validation out of training for folds that have none.

    Parameters
    ----------
    protocol
        Folds without validation.
    table
        Their utterances.
    way
        ``next-fold`` takes the speakers whom the next fold tests; ``speakers`` every fifth training speaker in
        name order (at least one), but none who alone says a class.

    Raises
    ------
    ProtocolError
        There is a validation part already, or no speaker that could be taken.
    """
    if any(parts.val for parts in protocol.folds):
        raise ProtocolError(
            f"{protocol.name}: its folds have a validation part already; leave --val (validation) out"
        )
    speaker = dict(zip(table["id"], table["speaker"], strict=True))
    label = dict(zip(table["id"], table["label"].cast(pl.String), strict=True))
    folds = []
    for k, parts in enumerate(protocol.folds):
        if way == "next-fold":
            taken = {speaker[i] for i in protocol.folds[(k + 1) % len(protocol.folds)].test} - {None}
        else:
            taken = _fifth([(speaker[i], label[i]) for i in parts.train])
        val = [i for i in parts.train if speaker[i] in taken]
        if not val and way == "next-fold":
            raise ProtocolError(
                f"{protocol.name}, fold {k}: no speaker of the next fold's test split trains here; --val speakers "
                "takes a fifth of the training speakers (validation='speakers' in Python)"
            )
        if not val:
            why = "all are unknown or alone with a class"
            raise ProtocolError(f"{protocol.name}, fold {k}: no training speaker can validate, {why}")
        folds.append(fold(set(parts.train) - set(val), val, parts.test))
    return guarded(
        protocol.name, table, folds, disjoint=protocol.disjoint, leaky=protocol.leaky, unverified=True
    )


def _fifth(clips: Sequence[tuple[str | None, str | None]]) -> set[str]:
    """Return a fifth of the speakers of training clips (speaker, label), so that the others say every class."""
    of_label: dict[str | None, set[str | None]] = {}
    for speaker, label in clips:
        of_label.setdefault(label, set()).add(speaker)
    speakers = sorted({speaker for speaker, _ in clips if speaker is not None})
    number = max(1, len(speakers) // 5)
    taken: set[str] = set()
    # Every fifth in name order first, then the others, until there are enough.
    for speaker in sorted(speakers, key=lambda name: (speakers.index(name) % 5, name)):
        if len(taken) < number and all(rest - taken - {speaker} for rest in of_label.values()):
            taken.add(speaker)
    return taken


def round_robin(table: pl.DataFrame, k: int) -> list[list[str]]:
    """Assign women, then men, then speakers of unknown gender, each in name order, round robin to k folds."""
    gender = _gender_of(table)
    rank = {"female": 0, "male": 1}
    ordered = sorted(_speakers(table), key=lambda speaker: (rank.get(gender[speaker] or "", 2), speaker))
    _enough("this protocol", ordered, k)
    return [ordered[number::k] for number in range(k)]


def group_k(table: pl.DataFrame, k: int, seed: int = 0) -> Protocol:
    """Return K folds of speakers, balanced by gender (unknown is a group of its own), then by class.

    Within each gender the speakers are shuffled with the seed and, longest first, each goes to the fold with
    the fewest speakers of that gender, then to the one whose class counts it leaves most even.
    """
    speakers = _speakers(table)
    _enough(f"group-{k}", speakers, k)
    labels = sorted(str(label) for label in table["label"].drop_nulls().unique())
    counts = {speaker: np.zeros(len(labels)) for speaker in speakers}
    for speaker, label in zip(table["speaker"], table["label"], strict=True):
        if label is not None:
            counts[speaker][labels.index(label)] += 1
    gender = _gender_of(table)
    rng = np.random.default_rng(seed)
    assigned: list[list[str]] = [[] for _ in range(k)]
    load = np.zeros((k, len(labels)))
    for group in ("female", "male", "other", None):
        of_gender = [speaker for speaker in speakers if gender[speaker] == group]
        of_gender = [of_gender[i] for i in rng.permutation(len(of_gender))]
        of_group = np.zeros(k)
        for speaker in sorted(of_gender, key=lambda s: -counts[s].sum()):
            sizes = [len(taken) for taken in assigned]
            uneven = [float(((load[number] + counts[speaker]) ** 2).sum()) for number in range(k)]
            best = min(range(k), key=lambda number: (of_group[number], sizes[number], uneven[number], number))
            assigned[best].append(speaker)
            load[best] += counts[speaker]
            of_group[best] += 1
    return next_fold(table, f"group-{k}", [sorted(taken) for taken in assigned])


def session(table: pl.DataFrame) -> Protocol:
    """Leave one session out; validation: the next session."""
    names = sorted(table["session"].drop_nulls().unique())
    if len(names) < 3 or table["session"].null_count():
        raise ProtocolError("session needs 'session' for every clip, and at least 3 sessions")
    of = {name: list(table.filter(pl.col("session") == name)["id"]) for name in names}
    folds = []
    for k, name in enumerate(names):
        after = names[(k + 1) % len(names)]
        train = [i for other in names if other not in (name, after) for i in of[other]]
        folds.append(fold(train, of[after], of[name]))
    return guarded("session", table, folds, disjoint=("speaker", "session"))


def owner(table: pl.DataFrame, *, declare_leaky: bool = False) -> Protocol:
    """Take the owner's split from the column ``split`` (``train``, ``val`` or ``dev``, ``test``)."""
    names = {
        "train": "train",
        "training": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "dev": "val",
    }
    names |= {"development": "val", "test": "test"}
    found = [str(value) for value in table["split"].drop_nulls().unique().sort()]
    odd = [value for value in found if value.lower() not in names]
    if not found or odd:
        raise ProtocolError(
            f"column 'split' must hold train, val and test; found {first_five(found) or 'nothing'}"
        )
    part = table["split"].str.to_lowercase().replace_strict(names, default=None, return_dtype=pl.String)
    ids = {name: table.filter(part == name)["id"] for name in ("train", "val", "test")}
    return guarded("owner", table, [fold(**ids)], leaky=declare_leaky, unverified=True)


def random_k(table: pl.DataFrame, k: int, seed: int = 0) -> Protocol:
    """LEAKY: stratified K folds over shuffled clips; as many validate as are tested, as in ``group-k``.

    So both train on as many clips, and what one scores above the other is the leak alone. Of two folds, of which
    none would be left for training, a fifth of the rest validates.
    """
    validation = 0.2 if k == 2 else 1 / max(k - 1, 1)
    return guarded(
        f"random-{k}", table, stratified(table, k, seed, validation), disjoint=(), leaky=True, version=2
    )


def stratified(table: pl.DataFrame, k: int, seed: int, validation: float) -> list[Fold]:
    """Return the stratified folds over clips sorted by id, with scikit-learn's shuffling."""
    from sklearn.model_selection import StratifiedKFold, train_test_split

    rows = table.sort("id")
    # Clips without a label, which have votes or dimensions, are a stratum of their own.
    strata = rows["label"].cast(pl.String).fill_null("")
    ids, labels = rows["id"].to_numpy(), strata.to_numpy()
    fewest = int(strata.value_counts()["count"].min())  # type: ignore[arg-type]
    if k < 2 or fewest < max(k, 3):
        raise ProtocolError(
            f"random-{k} needs 2 or more folds and {max(k, 3)} clips of each class; the rarest has {fewest}"
        )
    folds = []
    for rest, test in StratifiedKFold(k, shuffle=True, random_state=seed).split(ids, labels):
        try:
            train, val = train_test_split(
                rest, test_size=validation, random_state=seed, stratify=labels[rest]
            )
        except ValueError as error:
            raise ProtocolError(f"random-{k}: too few clips to validate on each class ({error})") from error
        folds.append(fold(ids[train].tolist(), ids[val].tolist(), ids[test].tolist()))
    return folds


def _speakers(table: pl.DataFrame) -> list[str]:
    """Return the speakers in name order; unknown speakers are refused."""
    blank = table.filter(pl.col("speaker").is_null())["id"]
    if len(blank):
        raise ProtocolError(
            f"column 'speaker' is empty for {first_five(blank)}; a speaker-independent protocol needs it "
            f"(without speakers only random-k is possible, and its score is stamped)"
        )
    return sorted(table["speaker"].unique())


def _gender_of(table: pl.DataFrame) -> Mapping[str, str | None]:
    genders = table.group_by("speaker").agg(pl.col("gender").cast(pl.String).unique())
    return {speaker: found[0] if len(found) == 1 else None for speaker, found in genders.iter_rows()}


def _enough(name: str, speakers: Sequence[str], k: int) -> None:
    if k < 3 or len(speakers) < k:
        raise ProtocolError(
            f"{name} needs 3 or more folds and a speaker for each; asked {k}, found {len(speakers)}"
        )
