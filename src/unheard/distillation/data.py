"""What a student learns from: the recordings of corpora, without labels and without the speakers left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unheard.corpora.table import clips, corpus_of
from unheard.errors import DataError, UsageError, first_five, unknown
from unheard.extraction.extract import extract
from unheard.features.spec import build
from unheard.inputs import Clip
from unheard.metrics.formatting import counted

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class DistillationData:
    """Clips of one corpus.

    Parameters
    ----------
    corpus : name of the corpus.
    clips : the clips in the order of their ids, without labels.
    speakers : speakers of the clips as far as they are known, sorted.
    excluded : speakers whose recordings were left out, sorted.
    licences : licences of the clips; ``none stated`` where the corpus states none.
    """

    corpus: str
    clips: tuple[Clip, ...]
    speakers: tuple[str, ...]
    excluded: tuple[str, ...]
    licences: tuple[str, ...]


def distillation_data(table: pl.DataFrame, excluded: Collection[str] = ()) -> DistillationData:
    """Return the clips of an utterance table without those of some speakers.

    Raises
    ------
    UsageError
        A speaker who is not in the table.
    DataError
        Speakers are to be left out and some clips do not say whose they are; nothing is left.
    """
    corpus = corpus_of(table)
    for speaker in sorted(excluded):
        known = table["speaker"].drop_nulls().unique().sort().to_list()
        if speaker not in known:
            raise unknown(f"speaker of {corpus}", speaker, known)
    if excluded and table["speaker"].null_count():
        some = table.filter(pl.col("speaker").is_null())["id"]
        raise DataError(
            f"{corpus}: speakers are to be left out, and the speaker of {counted(len(some), 'clip')} is not "
            f"known: {first_five(some)}"
        )
    kept = table.filter(~pl.col("speaker").is_in(sorted(excluded))) if excluded else table
    if not len(kept):
        raise DataError(f"{corpus}: no clip is left once {first_five(sorted(excluded))} are left out")
    return DistillationData(
        corpus,
        tuple(clips(kept.sort("id"))),
        tuple(kept["speaker"].drop_nulls().unique().sort().to_list()),
        tuple(sorted(excluded)),
        tuple(sorted(kept["licence"].fill_null("none stated").unique().to_list())),
    )


class Segments:
    """Log-mels of some corpora, from which segments are drawn.

    A corpus is drawn in proportion to the square root of its hours, and each of its clips equally often, so that
    small corpora neither vanish nor dominate.

    Parameters
    ----------
    corpora : for each corpus the log-mels (frames, bands) of its clips.
    """

    def __init__(self, corpora: Sequence[Sequence[Frames]]) -> None:
        self.corpora = [list(clips) for clips in corpora]
        self.frames = [sum(len(clip) for clip in clips) for clips in self.corpora]
        roots = np.sqrt(self.frames)
        self.shares = roots / roots.sum()

    def draw(self, length: int, rng: np.random.Generator) -> Frames:
        """Return ``length`` successive frames of a clip; a shorter clip is repeated."""
        clips = self.corpora[rng.choice(len(self.corpora), p=self.shares)]
        clip = clips[rng.integers(len(clips))]
        start = int(rng.integers(max(1, len(clip) - length + 1)))
        piece = clip[start : start + length]
        return piece if len(piece) == length else np.tile(piece, (-(-length // len(piece)), 1))[:length]

    def moments(self) -> tuple[Frames, Frames]:
        """Return mean and standard deviation of each band over all frames, shape (bands,) each."""
        total = sum(self.frames)
        clips = [clip for corpus in self.corpora for clip in corpus]
        mean = np.sum([clip.sum(axis=0, dtype=np.float64) for clip in clips], axis=0) / total
        square = np.sum([((clip - mean) ** 2).sum(axis=0) for clip in clips], axis=0) / total
        return mean.astype(np.float32), np.sqrt(np.maximum(square, 1e-6)).astype(np.float32)

    def digest(self) -> str:
        """Return the SHA-256 of all frames in their order."""
        found = hashlib.sha256()
        for corpus in self.corpora:
            found.update(f"{len(corpus)} clips".encode())
            for clip in corpus:
                found.update(f"{clip.shape}".encode())
                found.update(np.ascontiguousarray(clip).data)
        return found.hexdigest()


def segments_of(
    data: Sequence[DistillationData],
    frontend: dict[str, Any],
    *,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Segments:
    """Decode the clips and compute their log-mels, through the store.

    Parameters
    ----------
    frontend : complete settings of a log-mel frontend.
    jobs : number of processes.
    progress : function that is called with (corpus, clips done, all clips).
    say : function that is called with a line for every clip that cannot be used and is left out.

    Raises
    ------
    DataError
        No clip of a corpus can be used.
    """
    if len({one.corpus for one in data}) < len(data):
        raise UsageError("a corpus is given twice; give each once")
    spec = build(frontend)
    corpora = []
    for one in data:
        report = (
            None if progress is None else lambda done, total, name=one.corpus: progress(name, done, total)
        )
        found = extract(one.clips, spec, jobs=jobs, progress=report)
        for bad in found.errors:
            if say is not None:
                say(f"left out: {bad.path}: {bad.reason}")
        if not found.features:
            raise DataError(
                f"{one.corpus}: none of {len(one.clips)} clips can be used: {found.errors[0].reason}"
            )
        corpora.append(list(found.features.values()))
    return Segments(corpora)
