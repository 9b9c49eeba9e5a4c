"""Voice profiles of strangers: read and used in bounds, or refused by name.

The digest of a profile is made right after half of the mutations, so that what looks behind it is reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import mutate
import numpy as np
import pytest
from oracle import Oracle, fuzz
from structure import plain_json

from bundle_parts import sound
from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.bundle.runtime import load
from unheard.errors import DataError
from unheard.files import canonical_json, digest
from unheard.formats import json_text

#: Values that stand where a sum was.
ODD = (0, -1e99, 1e99, 1e300, 1e-300, None, True, "1", 2**62)


def sealed(data: bytes, rng: np.random.Generator) -> bytes:
    """Change what stands in a profile, and make its digest right again."""
    changed = plain_json(data, rng)
    try:
        content = json_text.parse_object(changed, "a mutant").get("content")
        return canonical_json({"content": content, "sha256": digest(content)}).encode()
    except (DataError, UnicodeEncodeError):
        return changed


def numbers(data: bytes, rng: np.random.Generator) -> bytes:
    """Write numbers at which things go wrong into the sums of a profile, and make its digest right again."""
    plain = json.loads(data)
    if not isinstance(plain, dict) or not isinstance(plain.get("content"), dict):
        return data
    content = plain["content"]
    inputs = content.get("inputs")
    for each in inputs.values() if isinstance(inputs, dict) else ():
        listed = each.get(("total", "squares")[rng.integers(2)]) if isinstance(each, dict) else None
        if isinstance(listed, list) and listed:
            listed[rng.integers(len(listed))] = ODD[rng.integers(len(ODD))]
    return canonical_json({"content": content, "sha256": digest(content)}).encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("voices")
    bundle = load(make_bundle(place / "adapting", Priors()))
    bundle.enrol([(sound(k), 16_000) for k in range(4)]).save(place / "anna.voice")
    return place


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle("model_calls:voice") as made:
        yield made


def mutated(oracle: Oracle, place: Path, seed: int, count: int) -> dict[str, int]:
    healthy = {"anna.voice": (place / "anna.voice").read_bytes()}
    structured = {"numbers": safe(numbers), "sealed": safe(sealed)}
    return fuzz(oracle, mutate.mutants(healthy, count, seed, structured), place / "mutant.voice")


def safe(mutator: mutate.Mutator) -> mutate.Mutator:
    """Leave what another mutation made unreadable as it is."""

    def change(data: bytes, rng: np.random.Generator) -> bytes:
        try:
            return mutator(data, rng)
        except (ValueError, RecursionError):
            return data

    return change


def test_mutated_profiles(oracle: Oracle, place: Path) -> None:
    outcome, again = oracle.twice(place / "anna.voice")
    assert outcome.kind == again.kind == "answer", outcome
    counts = mutated(oracle, place, 0, 150)
    assert counts["refused"] > 50
    assert counts["answer"] > 5


@pytest.mark.fuzz
def test_many_mutated_profiles(oracle: Oracle, place: Path) -> None:
    print(mutated(oracle, place, mutate.seed(), mutate.count()))  # noqa: T201
