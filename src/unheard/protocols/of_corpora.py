"""Folds of corpora other than RAVDESS: by their speakers and sessions, or the owner's own parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from unheard.corpora.table import classes
from unheard.errors import ProtocolError, first_five
from unheard.protocols.fold import Fold, Protocol, fold, guarded
from unheard.protocols.fold_assignment import next_fold, round_robin, speakers_to_folds

#: The four classes in which IEMOCAP is scored; happy holds excited.
IEMOCAP_CLASSES = ("angry", "happy", "neutral", "sad")
#: Clips of the releases of MSP-Podcast: no table of a release has more.
MSP_PODCAST_CLIPS = {"1.6": 50_362, "1.11": 151_654}


def emodb_loso10(table: pl.DataFrame) -> Protocol:
    """Leave one of the ten speakers out; validation: the next two."""
    speakers = sorted(_of("emodb", table)["speaker"].unique())
    validation = [[speakers[(k + j) % len(speakers)] for j in (1, 2)] for k in range(len(speakers))]
    return guarded("emodb-loso10", table, speakers_to_folds(table, [[s] for s in speakers], validation))


def nemo_speaker9(table: pl.DataFrame) -> Protocol:
    """Leave one of the nine speakers out; validation: the next fold."""
    return next_fold(table, "nemo-speaker9", round_robin(_of("nemo", table), 9))


def speaker5(corpus: str) -> Callable[[pl.DataFrame], Protocol]:
    """Make five folds, assigning women, then men, then speakers of unknown gender; validation: the next fold."""

    def make_folds(table: pl.DataFrame) -> Protocol:
        return next_fold(table, f"{corpus}-speaker5", round_robin(_of(corpus, table), 5))

    make_folds.__doc__ = speaker5.__doc__
    return make_folds


def emotale_languages10(table: pl.DataFrame) -> Protocol:
    """Train on one language and test the other, Danish and English in turn, speakers as in emotale-speaker5."""
    test = round_robin(_of("emotale", table), 5)
    folds = []
    for language in ("da", "en"):
        tested = set(table.filter(pl.col("language") == language)["id"])
        taught = set(table.filter(pl.col("language") != language)["id"])
        folds += [
            fold(taught & {*parts.train}, taught & {*parts.val}, tested & {*parts.test})
            for parts in speakers_to_folds(table, test, [*test[1:], test[0]])
        ]
    return guarded("emotale-languages10", table, folds, disjoint=("speaker",))


def iemocap_session5(table: pl.DataFrame) -> Protocol:
    """Leave one session (two speakers) out; validation: the woman of the next; the other seven train."""
    clips = _four_classes("iemocap-session5", table)
    sessions = _sessions(clips)
    women = [[speaker for speaker in speakers if speaker.endswith("F")] for speakers in sessions]
    validation = [women[(k + 1) % len(women)] for k in range(len(women))]
    return guarded("iemocap-session5", clips, speakers_to_folds(clips, sessions, validation))


def iemocap_speaker10(table: pl.DataFrame) -> Protocol:
    """Leave one of the ten speakers out; validation: the session's other speaker."""
    clips = _four_classes("iemocap-speaker10", table)
    pairs = [
        (one, other)
        for first, second in _sessions(clips)
        for one, other in ((first, second), (second, first))
    ]
    test, validation = [[one] for one, _ in pairs], [[other] for _, other in pairs]
    return guarded("iemocap-speaker10", clips, speakers_to_folds(clips, test, validation))


def meld(table: pl.DataFrame) -> Protocol:
    """LEAKY: the owner's parts, which share the speakers of the series; no dialogue is in two of them."""
    folds = _owners("meld", _of("meld", table), {"train": "train", "dev": "val", "test": "test"})
    return guarded("meld", table, [folds], disjoint=("dialogue",), leaky=True)


def mosei_test(table: pl.DataFrame) -> Protocol:
    """Test on the owner's test part, for models that were trained elsewhere."""
    parts = _owners("mosei-test", _of("mosei", table), {"test": "test"})
    return guarded("mosei-test", table, [parts], unverified=True, test_only=True)


def msp_podcast(release: str) -> Callable[[pl.DataFrame], Protocol]:
    """Train, validate and test (``Test1``) as the owner does; the other tests share its speakers and stay out."""

    def make_folds(table: pl.DataFrame) -> Protocol:
        name, most = f"msp-{release}", MSP_PODCAST_CLIPS[release]
        if len(_of("msp-podcast", table)) > most:
            raise ProtocolError(
                f"{name}: the release has {most:,} clips, the table {len(table):,}: another release"
            )
        part = {"Train": "train", "Development": "val", "Validation": "val", "Test1": "test"}
        return guarded(name, table, [_owners(name, table, part)], unverified=True)

    make_folds.__doc__ = msp_podcast.__doc__
    return make_folds


def _owners(name: str, table: pl.DataFrame, part_of: Mapping[str, str]) -> Fold:
    """Return one fold by the owner's names of the parts; clips of other parts stay out."""
    found = {part: list(table.filter(pl.col("split") == part)["id"]) for part in part_of}
    ids: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for theirs, ours in part_of.items():
        ids[ours] += found[theirs]
    empty = [part for part in set(part_of.values()) if not ids[part]]
    if empty:
        there = first_five(table["split"].drop_nulls().unique().sort()) or "nothing"
        raise ProtocolError(
            f"{name}: column 'split' holds {there}; expected {', '.join(part_of)} as the owner names its parts"
        )
    return fold(**ids)


def _sessions(clips: pl.DataFrame) -> list[tuple[str, str]]:
    """Return the two speakers of each session, in the order of the sessions."""
    pairs: list[tuple[str, str]] = []
    for number in sorted(clips["session"].unique()):
        speakers = sorted(clips.filter(pl.col("session") == number)["speaker"].unique())
        if len(speakers) != 2:
            raise ProtocolError(f"session {number} has the speakers {first_five(speakers)}, expected two")
        pairs.append((speakers[0], speakers[1]))
    if len(pairs) < 3:
        raise ProtocolError(f"this protocol needs three sessions or more, found {len(pairs)}")
    return pairs


def _four_classes(name: str, table: pl.DataFrame) -> pl.DataFrame:
    """Return the clips of the four classes; a table in which they are not told apart so is refused."""
    found = classes(_of("iemocap", table))
    if set(found) != set(IEMOCAP_CLASSES):
        raise ProtocolError(
            f"{name} is over {', '.join(IEMOCAP_CLASSES)} (excited counts as happy), the table has "
            f"{', '.join(found)}; map them first: --labels iemocap-4 (labels='iemocap-4' in Python)"
        )
    return table.filter(pl.col("label").is_not_null())


def _of(corpus: str, table: pl.DataFrame) -> pl.DataFrame:
    found = str(table["corpus"][0])
    if found != corpus:
        raise ProtocolError(f"this protocol needs the corpus {corpus}, found {found!r}")
    return table
