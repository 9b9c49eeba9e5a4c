"""``NAME.tokenizer.json``: what cuts a text into the numbers of tokens, as the package ``tokenizers`` stores it.

The format can ask for more than a bundle may: patterns of any cost, replacements that make a text longer without
bound, chance. What is taken are the parts that BERT, RoBERTa and their kin are made of; anything else is refused
before the package sees it. Tokens around the text, cutting and padding are the bundle's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unheard.errors import BundleError, need
from unheard.formats import json_text

#: Bytes of the file, and characters of a word that WordPiece looks at.
MAX_BYTES, MAX_WORD = 2**25, 1000
#: What may stand in each place, by its ``type``; what is not there is null.
KNOWN = {
    "normalizer": ("BertNormalizer", "Lowercase", "StripAccents", "Strip", "NFC", "NFD", "NFKC", "NFKD"),
    "pre_tokenizer": (
        "BertPreTokenizer", "ByteLevel", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit",
    ),
    "model": ("WordPiece", "BPE", "WordLevel"),
}  # fmt: skip
#: What stands between a text and its numbers on the way out, or is done by ``unheard.text.joining``.
LEFT_OUT = ("truncation", "padding", "post_processor", "decoder")


class Tokenizer:
    """Cuts texts into tokens.

    Parameters
    ----------
    data
        Bytes of the file.
    name
        What errors call it.

    Raises
    ------
    BundleError
        It is too large, no such JSON, asks for what is refused, or ``tokenizers`` cannot read it.
    MachineError
        The package ``tokenizers`` is not installed.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        if len(data) > MAX_BYTES:
            raise BundleError(f"{name} has {len(data)} bytes, expected at most {MAX_BYTES}")
        check(json_text.parse_object(data, name, BundleError), name)
        library = need("tokenizers", "predict-words")
        try:
            self._tokenizer = library.Tokenizer.from_buffer(data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # what panics in it is no Exception
            raise BundleError(f"{name} is no tokenizer: {_first_line(error)}") from error

    def numbers(self, text: str) -> list[int]:
        """Return the numbers of the tokens of a text; none at its ends is added."""
        try:
            found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise BundleError(f"{self._name} cannot read a text: {_first_line(error)}") from error
        return found


def check(plain: Mapping[str, Any], name: str) -> None:
    """Refuse a tokenizer that holds another part than :data:`KNOWN` has, or one that leaves it to chance."""
    for key in LEFT_OUT:
        if plain.get(key) is not None:
            raise BundleError(f"{name}: {key} is {_type(plain[key])}, expected null")
    for key, types in KNOWN.items():
        parts = _sequence(plain.get(key), key)
        strange = [_type(part) for part in parts if _type(part) not in types]
        if strange:
            raise BundleError(f"{name}: {key} is of type {strange[0]}, expected {', '.join(types)} or null")
    model = plain.get("model")
    if not isinstance(model, Mapping):
        raise BundleError(f"{name}: model is {model!r:.60}, expected an object")
    if model.get("dropout") is not None:
        raise BundleError(f"{name}: model.dropout is {model['dropout']!r:.60}, expected null")
    longest = model.get("max_input_chars_per_word", 0)
    if not isinstance(longest, int) or not 0 <= longest <= MAX_WORD:
        raise BundleError(
            f"{name}: model.max_input_chars_per_word is {longest!r:.60}, expected at most {MAX_WORD}"
        )


def _sequence(part: Any, key: str) -> list[Any]:
    """Return the parts of a place: none, one, or those of a sequence, which holds no other sequence."""
    if part is None:
        return []
    if _type(part) != "Sequence":
        return [part]
    listed = part.get("normalizers" if key == "normalizer" else "pretokenizers")
    return listed if isinstance(listed, list) and len(listed) <= len(KNOWN[key]) else [part]


def _type(part: Any) -> str:
    return f"{part.get('type')!s:.60}" if isinstance(part, Mapping) else f"{part!r:.60}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
