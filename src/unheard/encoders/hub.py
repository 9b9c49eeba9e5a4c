"""Model files from the Hugging Face hub, through its own client and cache: what is cached needs no network."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from unheard.errors import MachineError, UsageError, need

#: Names that near matches are looked for among; any other name of the hub works as well.
KNOWN = (
    "facebook/wav2vec2-base",
    "facebook/wav2vec2-base-960h",
    "facebook/wav2vec2-large",
    "facebook/wav2vec2-large-960h",
    "facebook/wav2vec2-large-lv60",
    "facebook/wav2vec2-large-robust",
    "facebook/wav2vec2-large-xlsr-53",
    "facebook/wav2vec2-xls-r-300m",
    "facebook/wav2vec2-xls-r-1b",
    "facebook/wav2vec2-xls-r-2b",
    "facebook/hubert-base-ls960",
    "facebook/hubert-large-ll60k",
    "facebook/hubert-large-ls960-ft",
    "facebook/hubert-xlarge-ll60k",
    "microsoft/wavlm-base",
    "microsoft/wavlm-base-plus",
    "microsoft/wavlm-large",
    "openai/whisper-tiny",
    "openai/whisper-base",
    "openai/whisper-small",
    "openai/whisper-medium",
    "openai/whisper-large-v2",
    "openai/whisper-large-v3",
)
#: Files that a tokenizer is made of, as patterns.
TOKENIZER = (
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "bpe.codes",
    "*.model",
)
_ABOUT = ("config.json", "preprocessor_config.json", "README.md")
_SAFETENSORS = ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json")


def fetch(name: str, revision: str | None, weights: bool, tokenizer: bool = False) -> Path:
    """Return the folder of a model's files, downloaded where they are not in the cache.

    Parameters
    ----------
    name
        ``owner/model``.
    revision
        Branch, tag or commit; None for the main branch.
    weights
        False for the configuration alone. Of weights, safetensors are preferred.
    tokenizer
        Whether the files that a tokenizer is made of are wanted too.

    Raises
    ------
    UsageError
        No such model (with near matches) or revision.
    MachineError
        A gated model without a token that may read it, no network, no client installed.
    """
    about = (*_ABOUT, *TOKENIZER) if tokenizer else _ABOUT
    folder = _snapshot(name, revision, (*about, *_SAFETENSORS) if weights else about)
    if weights and not any(folder.glob("model*.safetensors")):
        folder = _snapshot(name, revision, (*about, *_PICKLED))
    return folder


def near(name: str) -> str:
    """Return a hint: known names that look like this one; nothing where this one is known."""
    if name in KNOWN:
        return ""
    short = {known.rpartition("/")[2]: known for known in KNOWN}
    found = get_close_matches(name, KNOWN, n=3)
    found += [short[match] for match in get_close_matches(name.rpartition("/")[2], list(short), n=3)]
    names = list(dict.fromkeys(found))[:3]
    if not names:
        return "; for example 'microsoft/wavlm-large'"
    return f"; did you mean {' or '.join(repr(n) for n in names)}?"


def _snapshot(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    hub = need("huggingface_hub", "train")
    errors = need("huggingface_hub.errors", "train")
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except errors.GatedRepoError as error:
        raise MachineError(
            f"model {name!r} is gated: accept its terms at https://huggingface.co/{name} and give a token that "
            "may read it (`hf auth login`, or HF_TOKEN)"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UsageError(
            f"no model {name!r} on the Hugging Face hub (or a private one, without a token for it){near(name)}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UsageError(
            f"model {name!r} has no revision {revision!r}; leave it out for the main branch"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise MachineError(
            f"model {name!r} is not in the cache, and the Hugging Face hub cannot be reached: no network, or "
            f"HF_HUB_OFFLINE is set; download it elsewhere and give its folder as encoder.model{near(name)}"
        ) from error
    except (errors.HfHubHTTPError, OSError) as error:
        raise MachineError(
            f"model {name!r} could not be downloaded from the Hugging Face hub: {error}"
        ) from error
