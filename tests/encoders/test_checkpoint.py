"""Folders and hub names of pretrained models: what is read, and what each fault is called."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors as hub_errors
from safetensors.torch import load_file, save_file

from unheard import encoders
from unheard.encoders import checkpoint
from unheard.encoders.hub import near
from unheard.errors import DataError, MachineError, UsageError
from unheard.testing import toy_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toy_encoder(tmp_path / "model")


def load(model: Path | str, **settings: Any) -> Any:
    return encoders.load({"name": "hubert", "model": str(model), **settings})


def test_only_what_is_asked_for_is_read(folder: Path) -> None:
    wanted = ["encoder.layer_norm.bias", "encoder.layer_norm.weight", "not.there"]
    found = checkpoint.tensors(folder, wanted)
    assert list(found) == wanted[:2]
    assert all(tensor.dtype == torch.float32 for tensor in found.values())
    assert set(wanted[:2]) < set(checkpoint.where(folder))


def test_a_file_stands_for_its_folder(folder: Path) -> None:
    assert checkpoint.find(str(folder / "config.json")) == folder
    assert checkpoint.find(str(folder)) == folder


def test_digest_follows_content_alone(folder: Path, tmp_path: Path) -> None:
    twin = toy_encoder(tmp_path / "twin")
    config = json.loads((twin / "config.json").read_text())
    renamed = {**dict(reversed(config.items())), "_name_or_path": "elsewhere", "transformers_version": "9"}
    (twin / "config.json").write_text(json.dumps(renamed))
    assert checkpoint.sha256(twin) == checkpoint.sha256(folder)
    described = json.loads((twin / "preprocessor_config.json").read_text())
    (twin / "preprocessor_config.json").write_text(json.dumps({**described, "do_normalize": True}))
    assert checkpoint.sha256(twin) != checkpoint.sha256(folder)
    assert checkpoint.sha256(toy_encoder(tmp_path / "other", seed=1)) != checkpoint.sha256(folder)


def test_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"no weights; expected one of model.safetensors.*found config.json"):
        load(folder)
    assert tuple(layer.name for layer in load(folder, weights="random").layers)


def test_shards_that_are_not_there(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}))
    with pytest.raises(DataError, match="files that are not there: model-00001"):
        load(folder)
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(DataError, match="of the same folder"):
        load(folder)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(folder: Path, bad: float) -> None:
    held = load_file(folder / "model.safetensors")
    held["encoder.layers.1.attention.k_proj.bias"][3] = bad
    save_file(held, folder / "model.safetensors")
    with pytest.raises(
        DataError, match=r"NaN or infinite values in 1 .* encoder.layers.1.attention.k_proj.bias"
    ):
        load(folder)
    assert tuple(layer.name for layer in load(folder, cut=1).layers) == ("0", "1")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_files_that_are_no_checkpoints(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"\x80\x04 nothing of the kind" * 50)
    with pytest.raises(DataError, match=f"{name}: cannot be read as"):
        load(folder)


def test_nothing_but_tensors_is_unpickled(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"run": print}, folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="nothing else is unpickled"):
        load(folder)


def test_safetensors_are_preferred(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"of unknown origin")
    assert tuple(layer.name for layer in load(folder).layers)


@pytest.mark.parametrize("rate", [None, 0, "16000"])
def test_no_declared_rate(folder: Path, rate: Any) -> None:
    path = folder / "preprocessor_config.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "sampling_rate": rate}))
    with pytest.raises(DataError, match=r"preprocessor_config.json: no declared rate: sampling_rate is"):
        load(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"no preprocessor_config.json, which says the sampling rate"):
        load(folder)


def test_no_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    with pytest.raises(DataError, match="holds list, expected a JSON object"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(DataError, match=r"no config.json"):
        load(folder)


@pytest.mark.parametrize("model", ["wavlm-large", "./wavlm-large", "/no/such/wavlm-large"])
def test_neither_a_folder_nor_a_hub_name(model: str) -> None:
    with pytest.raises(UsageError, match=r"no such folder, .* did you mean 'microsoft/wavlm-large'"):
        load(model)


def test_a_known_name_is_not_suggested_in_its_own_place() -> None:
    assert near("microsoft/wavlm-large") == ""
    assert near("microsoft/wavlm-larg").startswith("; did you mean 'microsoft/wavlm-large'")


def test_revisions_are_of_hub_models(folder: Path) -> None:
    with pytest.raises(UsageError, match="revision"):
        load(folder, revision="main")


def refused(status: int) -> Any:
    """What the client keeps of a server's answer, whatever library it speaks with."""
    return SimpleNamespace(status_code=status, headers={}, request=None)


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (
            hub_errors.RepositoryNotFoundError("404", response=refused(404)),
            UsageError,
            r"no model 'microsoft/wavlm-larg' .* did you mean 'microsoft/wavlm-large'",
        ),
        (hub_errors.GatedRepoError("403", response=refused(403)), MachineError, r"gated: accept .* token"),
        (hub_errors.RevisionNotFoundError("404", response=refused(404)), UsageError, "no revision 'v9'"),
        (hub_errors.LocalEntryNotFoundError("offline"), MachineError, r"no network.*did you mean"),
        (hub_errors.HfHubHTTPError("500", response=refused(500)), MachineError, "could not be downloaded"),
    ],
    ids=["unknown", "gated", "revision", "network", "server"],
)
def test_faults_of_the_hub(
    fault: Exception, kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise fault

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(kind, match=message):
        load("microsoft/wavlm-larg", revision="v9")


def test_the_cache_needs_no_network(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in the hub client's own cache loads while the client is told to stay offline."""
    commit = "0" * 40
    cached = tmp_path / "hub" / "models--owner--toy"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    folder.rename(cached / "snapshots" / commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda *names, **options: real(*names, cache_dir=str(tmp_path / "hub"), **options),
    )
    assert tuple(layer.name for layer in load("owner/toy").layers) == ("0", "1", "2", "3")
    with pytest.raises(MachineError, match="HF_HUB_OFFLINE"):
        load("owner/another")


def test_pickled_weights_are_fetched_where_there_are_no_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    load("owner/toy")
    assert len(asked) == 1
    assert not any(pattern.endswith(".bin") for pattern in asked[0])
    load("owner/toy", weights="random")
    assert asked[1] == ["config.json", "preprocessor_config.json", "README.md"]
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match="no weights"):
        load("owner/toy")
    assert "pytorch_model.bin" in asked[-1]
