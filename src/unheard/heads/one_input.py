"""Which of the named inputs a head with one input takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from unheard.errors import UsageError, unknown

T = TypeVar("T")


def name_of(inputs: Mapping[str, T], asked: str | None, head: str) -> str:
    """Return the name of the input that a head asks for; None asks for the only one.

    Raises
    ------
    UsageError
        There is no such input, or there are several and none is asked for.
    """
    if asked is not None:
        if asked not in inputs:
            raise unknown(f"input of the head {head!r}", asked, inputs)
        return asked
    if len(inputs) != 1:
        raise UsageError(
            f"the head {head!r} takes one input, and there are {len(inputs)}: {', '.join(inputs)}; name one "
            "with head.input"
        )
    return next(iter(inputs))


def input_of(inputs: Mapping[str, T], asked: str | None, head: str) -> T:
    """Return the input that a head asks for; None asks for the only one."""
    return inputs[name_of(inputs, asked, head)]
