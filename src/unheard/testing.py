"""A toy corpus and a toy encoder for tests, ours and other people's: small and known in every detail."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from unheard.corpora import read, synthetic
from unheard.errors import unknown

#: Family to the module whose ``write(folder, family, seed, config)`` makes its tiny checkpoint.
_TOYS = {
    "wav2vec2": "unheard.encoders.transformer.toy",
    "hubert": "unheard.encoders.transformer.toy",
    "wavlm": "unheard.encoders.transformer.toy",
    "whisper": "unheard.encoders.toys",
    "bert": "unheard.encoders.toys",
    "wav2vec": "unheard.encoders.toys",
}


def toy_corpus(
    folder: str | os.PathLike[str],
    *,
    speakers: int = 4,
    takes: int = 1,
    seed: int = 0,
    emotion: float = 1.0,
    style: float = 1.0,
    identity: float = 1.0,
) -> pl.DataFrame:
    """Write a small corpus of synthetic speech and return its utterance table.

    Each speaker says two sentences in eight emotions (16 clips a take, about 1.7 s each, 16 kHz). Odd speakers are
    men, even ones women; names and labels are RAVDESS'.

    Parameters
    ----------
    folder
        A new or empty folder.
    speakers, takes, seed, emotion, style, identity
        As for :func:`unheard.corpora.synthetic.write`: strengths of what all speakers share in an emotion, of each
        speaker's own way of it, and of what makes the speaker.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     table = toy_corpus(folder, speakers=2)
    >>> table.height, sorted(table["speaker"].unique())
    (32, ['01', '02'])
    """
    synthetic.write(
        folder,
        speakers=speakers,
        takes=takes,
        intensities=("normal",),
        seed=seed,
        emotion=emotion,
        style=style,
        identity=identity,
    )
    return read("synthetic", folder)


def toy_encoder(
    folder: str | os.PathLike[str], family: str = "hubert", *, seed: int = 0, **config: Any
) -> Path:
    """Write a tiny pretrained model with random weights in its family's genuine form, and return its folder.

    Parameters
    ----------
    folder
        The folder to write into; it is created if it is not there.
    family
        ``wav2vec2``, ``hubert``, ``wavlm``, ``whisper`` or ``wav2vec``; or ``bert``, a text encoder for the family
        ``transformers``.
    seed
        Seed of the weights.
    config
        Keys of ``config.json`` with other values than the toy's, such as ``num_hidden_layers=2``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     sorted(path.name for path in toy_encoder(folder, "wavlm").iterdir())
    ['config.json', 'model.safetensors', 'preprocessor_config.json']
    """
    if family not in _TOYS:
        raise unknown("family of a toy encoder", family, _TOYS)
    import_module(_TOYS[family]).write(Path(folder), family, seed, config)
    return Path(folder)
