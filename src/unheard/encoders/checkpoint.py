"""A folder of a pretrained model in the field's common form: configuration, preprocessor file and weights.

Weights are ``model.safetensors``, one file or several with an index; ``pytorch_model.bin`` is read where there is
no safetensors form, its tensors alone (nothing is unpickled beyond them). Only the tensors asked for are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unheard.encoders import hub
from unheard.encoders.arrays import check_finite
from unheard.encoders.contract import Settings
from unheard.errors import DataError, UsageError, first_five, need
from unheard.files import digest, file_digest
from unheard.formats import json_text

if TYPE_CHECKING:
    from torch import Tensor

_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
_FORMS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def find(model: str, revision: str | None = None, *, weights: bool = True, tokenizer: bool = False) -> Path:
    """Return the folder of a model: a local one as it is (or that of a file in it), else from the hub.

    Parameters
    ----------
    model
        Folder, file or hub name.
    revision
        Revision of a model on the hub.
    weights
        False where the configuration is enough.
    tokenizer
        Whether a hub model's tokenizer is wanted too.

    Raises
    ------
    UsageError
        Neither a folder nor a name that the hub has (with near matches).
    MachineError
        The hub cannot be reached, or asks for a token.
    """
    path = Path(model).expanduser()
    if path.exists():
        if revision is not None:
            raise UsageError(
                f"encoder.revision is of hub models, but {model!r} is a local path; leave it out"
            )
        return path if path.is_dir() else path.parent
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model) or model.startswith((".", "/")):
        raise UsageError(
            f"unknown model {model!r}: no such folder, and no hub name (owner/model){hub.near(model)}"
        )
    return hub.fetch(model, revision, weights, tokenizer)


def described(options: Settings, family: str, usual: str) -> tuple[Path | None, dict[str, Any], str]:
    """Return folder, configuration and its name in errors; without a model, the family's ``usual`` one."""
    if not options.model:
        return None, {"model_type": family}, usual
    folder = find(options.model, options.revision, weights=options.weights != "random")
    return folder, config(folder), str(folder / _CONFIG)


def config(folder: Path) -> dict[str, Any]:
    """Return the content of ``config.json``.

    Raises
    ------
    DataError
        No such file, or no JSON object in it.
    """
    return _json(folder / _CONFIG, "the model's configuration")


def preprocessor(folder: Path) -> dict[str, Any]:
    """Return the content of ``preprocessor_config.json``, which must say the rate of the audio.

    Raises
    ------
    DataError
        No such file, no JSON object in it, or no ``sampling_rate``.
    """
    path = folder / _PREPROCESSOR
    content = _json(path, "the sampling rate and normalisation that the model was trained with")
    rate = content.get("sampling_rate")
    if type(rate) is not int or rate <= 0:
        raise DataError(f"{path}: no declared rate: sampling_rate is {rate!r}, expected Hz, such as 16000")
    return content


def where(folder: Path) -> dict[str, Path]:
    """Return the file that holds each tensor, by the tensor's name.

    Raises
    ------
    DataError
        No weights, or an index that names files that are not there.
    """
    form = next((folder / name for name in _FORMS if (folder / name).is_file()), None)
    if form is None:
        there = sorted(path.name for path in folder.iterdir())
        raise DataError(
            f"{folder}: no weights; expected one of {', '.join(_FORMS)}, found {first_five(there) or 'nothing'}"
        )
    if form.suffix != ".json":
        return dict.fromkeys(_names(form), form)
    index = _json(form, "which file holds which tensor").get("weight_map")
    if not isinstance(index, dict) or not all(
        isinstance(name, str) and Path(name).name == name for name in index.values()
    ):
        raise DataError(f"{form}: weight_map must name a file of the same folder for each tensor")
    missing = sorted({name for name in index.values() if not (folder / name).is_file()})
    if missing:
        raise DataError(
            f"{form}: names files that are not there: {first_five(missing)}; download the model again"
        )
    return {tensor: folder / name for tensor, name in index.items()}


def tensors(folder: Path, wanted: Iterable[str]) -> dict[str, Tensor]:
    """Return tensors by name, as float32; names that are not there are left out, others are not read.

    Raises
    ------
    DataError
        No weights, a file that cannot be read, or NaN or infinite values.
    """
    lying = where(folder)
    found: dict[str, Tensor] = {}
    names = [name for name in wanted if name in lying]
    for path in dict.fromkeys(lying[name] for name in names):
        found.update(_read(path, [name for name in names if lying[name] == path]))
    check_finite(found, folder)
    return found


def prefix(folder: Path, anchor: str) -> str:
    """Return what the tensors' names begin with in a model with a head, by the name of one of them."""
    return next((name.removesuffix(anchor) for name in where(folder) if name.endswith(anchor)), "")


def check_shapes(
    found: Mapping[str, Tensor], expected: Mapping[str, Sequence[int]], folder: Path, prefix: str = ""
) -> None:
    """Refuse tensors that are missing or of another shape than a network's.

    Parameters
    ----------
    found
        What was read, by name.
    expected
        Shapes by name.
    folder, prefix
        How errors call the place and the tensors.

    Raises
    ------
    DataError
        The first five that do not fit.
    """
    faults = [f"{prefix}{name} is missing" for name in expected if name not in found]
    faults += [
        f"{prefix}{name} is {_by(found[name].shape)}, expected {_by(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name].shape) != tuple(shape)
    ]
    if faults:
        raise DataError(f"{folder}: the weights do not fit config.json: {first_five(faults)}")


def sha256(folder: Path, weights: bool = True) -> str:
    """Return the digest of what decides about the output: weights, configuration and preprocessor file.

    Where the files lie, and the order of their keys, do not matter.
    """
    files = sorted(set(where(folder).values())) if weights else []
    about = {
        name: json_text.read_object(folder / name)
        for name in (_CONFIG, _PREPROCESSOR)
        if (folder / name).is_file()
    }
    # What Transformers notes about itself and about where the files lay says nothing about the model.
    for key in ("_name_or_path", "transformers_version"):
        about.get(_CONFIG, {}).pop(key, None)
    return digest({"weights": [file_digest(path) for path in files], **about})


def licence(folder: Path) -> str:
    """Return the licence that the model's card (``README.md``) declares, or ``unknown``."""
    card = folder / "README.md"
    if not card.is_file():
        return "unknown"
    head = card.read_text("utf-8", errors="replace").partition("\n---")[0]
    named = re.search(r"^license:\s*['\"]?([^'\"\s]+)", head, re.MULTILINE)
    return named[1] if named else "unknown"


def _by(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _json(path: Path, what: str) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path.parent}: no {path.name}, which says {what}; take the model's whole folder")
    return json_text.read_object(path)


def _names(path: Path) -> Iterable[str]:
    if path.suffix == ".safetensors":
        with _safetensors(path) as file:
            return list(file.keys())
    return _pickled(path)


def _read(path: Path, names: Iterable[str]) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        with _safetensors(path) as file:
            return {name: file.get_tensor(name).float() for name in names}
    held = _pickled(path)
    return {name: held[name].float() for name in names}


def _safetensors(path: Path) -> Any:
    try:
        return need("safetensors", "train").safe_open(path, framework="pt")
    except OSError:
        raise
    except Exception as error:  # the reader has an error class of its own, raised for anything in the file
        raise DataError(f"{path}: cannot be read as safetensors: {error}; download it again") from error


def _pickled(path: Path) -> dict[str, Tensor]:
    torch = need("torch", "train")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    except Exception as error:  # anything may come of a file that is no checkpoint
        raise DataError(
            f"{path}: cannot be read as tensors alone, and nothing else is unpickled ({type(error).__name__}); "
            "take a model.safetensors"
        ) from error
    return {name: value for name, value in held.items() if isinstance(value, torch.Tensor)}
