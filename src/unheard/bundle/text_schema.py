"""The description of an encoder of words in ``bundle.json``, and how what was said goes through its graph.

    turns → the last ``context + 1`` → tokens of each (``NAME.tokenizer.json``) → one row of numbers → graph → form

The graph takes a single clip, ``unheard.tokens`` (tokens,) int64, and gives ``unheard.NAME`` (frames, width)
float32 for each layer that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unheard.bundle.encoder_schema import NetworkDescription, parse_network, whole
from unheard.bundle.fields import listed, number, refuse
from unheard.text.joining import Joining

#: Ends the name of the file that makes tokens for an input of words.
TOKENIZER = ".tokenizer.json"
#: Largest number of a token, of tokens of a row, of tokens around it, and of turns before a clip's own.
MAX_TOKEN, MAX_TOKENS, MAX_AROUND, MAX_CONTEXT = 2**24, 8192, 16, 100


@dataclass(frozen=True, kw_only=True)
class TextEncoderDescription(NetworkDescription):
    """The description of an encoder of words.

    Parameters
    ----------
    before, between, after
        Numbers of the tokens at the start, between two turns and at the end.
    longest
        Largest number of tokens of a row; the oldest are left out.
    context
        Number of turns of the dialogue before the clip's own that are read with it. Without any a turn is its
        text, and with some it says who speaks.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    longest: int
    context: int

    @property
    def joining(self) -> Joining:
        """How the tokens of turns become a row."""
        return Joining(self.before, self.between, self.after, self.longest)


def parse_text_encoder(plain: Mapping[str, Any], at: str) -> TextEncoderDescription:
    """Read and check the object of an encoder of words; errors call its fields ``at`` and their name."""
    before, between, after = (_tokens(plain, key, at) for key in ("before", "between", "after"))
    longest = whole(plain, "longest", 1, MAX_TOKENS, at)
    if longest <= len(before) + len(after):
        refuse(f"{at}longest", str(longest), "more than the tokens of before and after together")
    return TextEncoderDescription(
        **parse_network(plain, at),
        before=before,
        between=between,
        after=after,
        longest=longest,
        context=whole(plain, "context", 0, MAX_CONTEXT, at),
    )


def _tokens(plain: Mapping[str, Any], key: str, at: str) -> tuple[int, ...]:
    values = listed(plain, key, at)
    if len(values) > MAX_AROUND:
        refuse(at + key, f"{len(values)} tokens", f"at most {MAX_AROUND}")
    return tuple(int(number({key: value}, key, 0, MAX_TOKEN, whole=True, inside=at)) for value in values)
