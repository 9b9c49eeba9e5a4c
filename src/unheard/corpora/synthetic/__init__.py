"""Synthetic speech in RAVDESS' shape, made by our own source-filter synthesiser.

phonemes.py says what is spoken, voice.py speaks, room.py records, people.py says who and how, corpus.py
writes, crowd.py babbles, graders.py votes.
"""

from unheard.corpora.synthetic.corpus import (
    CITATION,
    DESCRIPTION,
    LABELS,
    LANGUAGES,
    LICENCE,
    MARKER,
    NAME,
    scan,
    write,
)

__all__ = [
    "CITATION",
    "DESCRIPTION",
    "LABELS",
    "LANGUAGES",
    "LICENCE",
    "MARKER",
    "NAME",
    "scan",
    "write",
]
