"""Fixtures that every room may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real recordings (``UNHEARD_TEST_DATA``); tests skip where it is absent."""
    folder = Path(os.environ.get("UNHEARD_TEST_DATA", DEFAULT_DATA))
    if not (folder / "ravdess").is_dir():
        pytest.skip(f"no real recordings at {folder} (set UNHEARD_TEST_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests out of the user's cache; workers inherit it through the environment."""
    if "UNHEARD_TEST_KEEP_CACHE" not in os.environ:
        os.environ["UNHEARD_CACHE"] = str(tmp_path_factory.mktemp("cache"))
