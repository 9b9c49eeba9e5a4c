"""The state of a training on disk, written after every epoch: a kill loses the epoch in hand and nothing else.

A folder holds ``progress.json``, which names the epoch reached and is written last; ``weights-N.safetensors`` and
``optimizer-N.pt`` of that epoch; and ``best-N.safetensors`` of the best one. What a kill left half done is never
named, and the next epoch clears it away. Nothing is unpickled.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from unheard.errors import DataError
from unheard.files import atomic, write_bytes, write_json
from unheard.formats import json_text

Tensors = dict[str, Tensor]


@dataclass
class Progress:
    """How far a training is, in plain values.

    Parameters
    ----------
    identity
        Digest of the settings and rows it belongs to.
    part
        Clips that are computed together: the batch, or less where memory was short.
    history
        One record an epoch; as many epochs are done.
    best
        Epoch of the best record; None without validation rows.
    diverged
        Row numbers of the batch whose loss was not finite, in the epoch after the last record.
    finished
        Whether nothing is left to do.
    """

    identity: str
    part: int
    history: list[dict[str, Any]] = field(default_factory=list)
    best: int | None = None
    diverged: list[int] = field(default_factory=list)
    finished: bool = False


def save(folder: Path, progress: Progress, weights: Tensors, optimizer: torch.optim.Optimizer) -> None:
    """Write the state after an epoch; ``weights`` become the best ones where ``progress`` says that they are."""
    done = len(progress.history)
    write_bytes(_weights(folder, done), save_tensors(_plain(weights)))
    with atomic(_optimizer(folder, done)) as file:
        torch.save(optimizer.state_dict(), file)
    if progress.best == done - 1:
        write_bytes(_best(folder, progress.best), save_tensors(_plain(weights)))
    note(folder, progress)
    kept = {_weights(folder, done), _optimizer(folder, done), folder / "progress.json"}
    if progress.best is not None:
        kept.add(_best(folder, progress.best))
    for kind in ("weights-*.safetensors", "optimizer-*.pt", "best-*.safetensors"):
        for path in folder.glob(kind):
            if path not in kept:
                path.unlink()


def note(folder: Path, progress: Progress) -> None:
    """Write how far the training is."""
    write_json(folder / "progress.json", asdict(progress))


def progress_in(folder: Path, identity: str) -> Progress | None:
    """Read how far a training was; None where it has not written anything.

    Raises
    ------
    DataError
        The state of another training, or a damaged one.
    """
    path = folder / "progress.json"
    if not path.is_file():
        return None
    try:
        found = Progress(**json_text.read_object(path))
    except (ValueError, TypeError, DataError) as error:
        raise DataError(f"{path} is damaged ({error}); remove {folder} to train anew") from error
    if found.identity != identity:
        raise DataError(
            f"{folder} holds the state of a training with other settings, rows or weights; remove it to train anew"
        )
    return found


def weights_in(folder: Path, progress: Progress, *, best: bool) -> Tensors:
    """Read the weights of the epoch reached, or of the best one."""
    last = _weights(folder, len(progress.history))
    path = _best(folder, progress.best) if best and progress.best is not None else last
    try:
        return load_tensors(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} cannot be read ({error}); remove {folder} to train anew") from error


def optimizer_in(folder: Path, progress: Progress) -> dict[str, Any]:
    """Read the optimiser's state of the epoch reached."""
    path = _optimizer(folder, len(progress.history))
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's readers raise whatever comes: of zip archives, of unpickling, of the system.
        raise DataError(f"{path} cannot be read ({error}); remove {folder} to train anew") from error
    return state


def _plain(weights: Tensors) -> Tensors:
    """Return copies, since safetensors refuses tensors that share their memory."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}


def _weights(folder: Path, done: int) -> Path:
    return folder / f"weights-{done:05d}.safetensors"


def _optimizer(folder: Path, done: int) -> Path:
    return folder / f"optimizer-{done:05d}.pt"


def _best(folder: Path, epoch: int) -> Path:
    return folder / f"best-{epoch:05d}.safetensors"
