"""Speech recognisers: a waveform to words with their times, by faster-whisper or by Transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from unheard.audio.resample import RATE
from unheard.errors import DataError, UnheardError, UsageError, need
from unheard.files import digest, file_digest

#: Version of how recognisers are asked; what another one recognised is not used again.
VERSION = 1
BACKENDS = ("faster-whisper", "transformers")
#: Files of a folder of weights that decide about what is recognised.
_FILES = ("*.bin", "*.safetensors", "config.json", "generation_config.json", "tokenizer.json", "vocabulary.*")


_MARK = re.compile(r"<\|[^|<>]*\|>")


@dataclass(frozen=True)
class Word:
    """A word, when it begins and ends in seconds, and the recogniser's probability of it, if it says one."""

    word: str
    start: float
    end: float
    probability: float | None = None


@dataclass(frozen=True)
class Transcript:
    """What a recogniser took a recording for.

    Parameters
    ----------
    text
        The words as the recogniser writes them; empty where it hears none.
    language
        Two letters, as it was told or found.
    words
        The words in order.
    """

    text: str
    language: str
    words: tuple[Word, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> Self:
        """Make it again of what :meth:`plain` returned."""
        try:
            words = tuple(Word(**word) for word in values["words"])
            return cls(str(values["text"]), str(values["language"]), words)
        except (KeyError, TypeError) as error:
            raise DataError(f"not a transcript: {error}") from error


class Recognizer(Protocol):
    """What turns a waveform into words."""

    @property
    def name(self) -> str:
        """Model and backend, for people, such as ``base (faster-whisper)``."""

    @property
    def key(self) -> str:
        """SHA-256 of what decides about a transcript besides the sound."""

    def transcribe(self, wave: NDArray[np.float32]) -> Transcript:
        """Return the transcript of a mono waveform (samples,) at 16 kHz."""


def load(model: str, backend: str = "faster-whisper", language: str | None = None) -> Recognizer:
    """Open a recogniser.

    Parameters
    ----------
    model
        Folder of a Whisper in the format of the backend, or a name that the backend knows (``base``,
        ``openai/whisper-base``).
    backend
        ``faster-whisper`` or ``transformers``.
    language
        Two letters; None lets the recogniser find out.

    Raises
    ------
    UsageError
        Another backend, or a language that the model does not take.
    DataError
        A folder that holds no such model.
    MachineError
        The package is not installed, or the model cannot be downloaded.
    """
    if backend not in BACKENDS:
        raise UsageError(f"--backend is {backend!r}; expected one of {', '.join(BACKENDS)}")
    made = FasterWhisper if backend == "faster-whisper" else OnTransformers
    return made(model, language)


class FasterWhisper:
    """A Whisper in CTranslate2's format, in int8 on the CPU; greedy, so that it is the same every time."""

    def __init__(self, model: str, language: str | None) -> None:
        library = need("faster_whisper", "words")
        with _opening(model):
            self._model = library.WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1)
        _check_language(model, language, self._model.supported_languages)
        self.language = language
        self.name = f"{Path(model).name} (faster-whisper)"
        self.key = _key("faster-whisper", library.__version__, model, language)

    def transcribe(self, wave: NDArray[np.float32]) -> Transcript:
        """Return the transcript of a mono waveform at 16 kHz."""
        segments, about = self._model.transcribe(
            wave,
            language=self.language,
            beam_size=1,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
        )
        listed = list(segments)
        words = tuple(
            Word(word.word.strip(), round(word.start, 3), round(word.end, 3), round(word.probability, 4))
            for segment in listed
            for word in segment.words or ()
        )
        return Transcript(" ".join(segment.text.strip() for segment in listed), about.language, words)


class OnTransformers:
    """A Whisper on Transformers; words have times where its generation_config.json says how they are found."""

    def __init__(self, model: str, language: str | None) -> None:
        library = need("transformers", "text")
        need("torch", "text")
        with _opening(model):
            self._pipeline = library.pipeline(
                "automatic-speech-recognition", model=model, device="cpu", trust_remote_code=False
            )
        config = self._pipeline.model.generation_config
        self._timestamps = "word" if hasattr(config, "alignment_heads") else None
        _check_language(
            model, language, (mark.strip("<|>") for mark in getattr(config, "lang_to_id", None) or ())
        )
        self.language = language
        self.name = f"{Path(model).name} (transformers)"
        self.key = _key("transformers", library.__version__, model, language)

    def transcribe(self, wave: NDArray[np.float32]) -> Transcript:
        """Return the transcript of a mono waveform at 16 kHz."""
        asked = {} if self.language is None else {"language": self.language}
        sound = {"raw": wave, "sampling_rate": RATE}
        found = self._pipeline(sound, return_timestamps=self._timestamps, generate_kwargs=asked)
        words = []
        for chunk in found.get("chunks", ()):
            start, end = chunk["timestamp"]
            words.append(Word(chunk["text"].strip(), start or 0.0, end or len(wave) / RATE))
        # A tokenizer may not say of its own marks, such as <|notimestamps|>, that they are no text.
        return Transcript(_MARK.sub("", found["text"]).strip(), self.language or "", tuple(words))


def _check_language(model: str, language: str | None, known: Iterable[str]) -> None:
    """Refuse a language that a model cannot be told, before any clip is heard."""
    taken = sorted(known)
    if language is not None and language not in taken:
        raise UsageError(
            f"--language is {language!r}, and {model} can be told {', '.join(taken) or 'none'}; leave it out, or "
            "give one of these"
        )


def _key(backend: str, version: str, model: str, language: str | None) -> str:
    folder = Path(model)
    files = sorted(path for pattern in _FILES for path in folder.glob(pattern)) if folder.is_dir() else []
    content = {path.name: file_digest(path) for path in files} or model
    return digest({"version": VERSION, "backend": [backend, version], "model": content, "language": language})


@contextmanager
def _opening(model: str) -> Iterator[None]:
    """Turn what a library says of a model that it cannot open into an error that names the model."""
    try:
        yield
    except UnheardError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise DataError(
            f"{model}: cannot be opened as a recogniser: {said}; give a folder of a Whisper in the format of the "
            "backend (--backend), or a name that it can download"
        ) from error
