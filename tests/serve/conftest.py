"""A small bundle that adapts, recordings for it, and its application without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

from bundle_parts import sound
from small_bundle import make_bundle
from unheard.adaptation.profile import Priors
from unheard.bundle.runtime import Bundle, load

pytest.importorskip("fastapi", reason="the extra serve is not installed")
from fastapi.testclient import TestClient

from unheard.serve.app import create_app
from unheard.serve.keys import Keys
from unheard.serve.limits import Limits

Client = Callable[..., TestClient]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load(make_bundle(tmp_path_factory.mktemp("served") / "toy", Priors()))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four clips of a second, the last as FLAC."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [folder / f"clip{k}.{'flac' if k == 3 else 'wav'}" for k in range(4)]
    for k, path in enumerate(paths):
        soundfile.write(path, sound(k, 1.0 + k / 10), 16_000)
    return paths


@pytest.fixture
def client(bundle: Bundle) -> Iterator[Client]:
    """Make clients of applications with other limits or keys."""
    made: list[TestClient] = []

    def make(limits: Limits | None = None, keys: tuple[str, ...] = ()) -> TestClient:
        made.append(TestClient(create_app(bundle, limits, Keys(keys)), raise_server_exceptions=False))
        return made[-1].__enter__()

    yield make
    for each in made:
        each.__exit__(None, None, None)
