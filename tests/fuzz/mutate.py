"""Seeded mutations of bytes: pure functions of the bytes and a random generator, and mutants of healthy files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Mutator = Callable[[bytes, np.random.Generator], bytes]

#: Integers at which sizes, counts and offsets go wrong, by their width in bytes.
INTERESTING = {
    width: sorted(
        {n % top for n in (0, 1, 2, 3, 7, 8, 16, 255, 256, 1000, 4096, 65535, 65536, 1_000_000_000)}
        | {n % top for n in (-1, -2, -8, top // 2, top // 2 - 1, top // 2 + 1, top // 4)}
    )
    for width, top in {1: 2**8, 2: 2**16, 4: 2**32, 8: 2**64}.items()
}


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        if changed:
            changed[_place(changed, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwrite(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite up to 64 bytes with zeros, ones or noise."""
    place, length = _place(data, rng), int(rng.integers(1, 65))
    filler = (bytes(length), b"\xff" * length, rng.bytes(length))[rng.integers(3)]
    return data[:place] + filler[: len(data) - place] + data[place + length :]


def set_integer(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite 1, 2, 4 or 8 bytes with an integer at which sizes and counts go wrong."""
    width = int(rng.choice(list(INTERESTING)))
    number = INTERESTING[width][rng.integers(len(INTERESTING[width]))]
    place = _place(data, rng)
    written = number.to_bytes(width, "big" if rng.integers(2) else "little")
    return data[:place] + written[: len(data) - place] + data[place + width :]


def delete(data: bytes, rng: np.random.Generator) -> bytes:
    """Leave out up to 64 bytes."""
    place = _place(data, rng)
    return data[:place] + data[place + int(rng.integers(1, 65)) :]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    """Put up to 64 bytes of noise in between."""
    place = _place(data, rng)
    return data[:place] + rng.bytes(int(rng.integers(1, 65))) + data[place:]


def duplicate(data: bytes, rng: np.random.Generator) -> bytes:
    """Repeat a piece of up to 1,024 bytes where it stands."""
    place = _place(data, rng)
    end = place + int(rng.integers(1, 1025))
    return data[:end] + data[place:]


def truncate(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut off the end."""
    return data[: _place(data, rng)]


#: Mutators that know nothing of a format.
GENERIC: Mapping[str, Mutator] = {
    each.__name__: each for each in (flip_bits, overwrite, set_integer, delete, insert, duplicate, truncate)
}


def splice(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Begin as one file and go on as another."""
    return data[: _place(data, rng)] + other[_place(other, rng) :]


@dataclass(frozen=True)
class Mutant:
    """A mutated file: what it holds, and from which seed it can be made again."""

    data: bytes
    origin: str


def mutant(
    seeds: Mapping[str, bytes], seed: int, number: int, more: Mapping[str, Mutator] | None = None
) -> Mutant:
    """Return mutant ``number`` of the given seed: one of the files after one to three mutations.

    Parameters
    ----------
    seeds
        The healthy files by name.
    more
        Mutators that know the format; half of all mutations are theirs.
    """
    rng = np.random.default_rng([seed, number])
    names = sorted(seeds)
    name = names[rng.integers(len(names))]
    data, steps = seeds[name], []
    for _ in range(rng.integers(1, 4)):
        if more and rng.integers(2):
            step = sorted(more)[rng.integers(len(more))]
            data = more[step](data, rng)
        elif rng.integers(8) == 0:
            step = f"splice with {(other := names[rng.integers(len(names))])}"
            data = splice(data, seeds[other], rng)
        else:
            step = sorted(GENERIC)[rng.integers(len(GENERIC))]
            data = GENERIC[step](data, rng)
        steps.append(step)
    return Mutant(data, f"{name} after {', '.join(steps)} (mutant {number} of seed {seed})")


def mutants(
    seeds: Mapping[str, bytes], count: int, seed: int = 0, more: Mapping[str, Mutator] | None = None
) -> Iterator[Mutant]:
    """Yield that many mutants of a seed; ``mutant`` gives one of them alone."""
    return (mutant(seeds, seed, number, more) for number in range(count))


def count() -> int:
    """Return how many cases a test with the marker ``fuzz`` tries: ``UNHEARD_FUZZ``, or 1,000."""
    return int(os.environ.get("UNHEARD_FUZZ", "1000"))


def seed() -> int:
    """Return the seed of tests with the marker ``fuzz``: ``UNHEARD_FUZZ_SEED``, or 1."""
    return int(os.environ.get("UNHEARD_FUZZ_SEED", "1"))


def _place(data: bytes | bytearray, rng: np.random.Generator) -> int:
    """Return a place in the data; half of all lie within the first 256 bytes, where headers are."""
    length = len(data) if rng.integers(2) else min(len(data), 256)
    return int(rng.integers(length)) if length else 0
