"""Any speech or text encoder that Transformers knows, frozen, through its ``AutoModel``.

Whether a model takes audio or text is read off its own input. Audio is a waveform at the rate of its preprocessor
file; text is the turns of a dialogue, oldest first, and a frame is a token. Nothing that a model brings along is
executed: its code is Transformers' own, and of its files tensors alone are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from unheard.encoders import checkpoint, hub
from unheard.encoders.arrays import check_finite
from unheard.encoders.contract import Encoder, Layers, Settings, TextExport, Wave, top_layer
from unheard.encoders.precision import device_of, precision_of
from unheard.encoders.windows import by_length, in_windows
from unheard.errors import BundleError, DataError, UnheardError, UsageError, first_five, need
from unheard.files import digest, file_digest
from unheard.inputs import Layer, Source, Turn
from unheard.onnx_graphs.bert import bert_graph
from unheard.settings import PLACE, OneOf, plain
from unheard.text.joining import Joining, spoken
from unheard.text.tokenizer import LEFT_OUT
from unheard.text.tokenizer import check as check_tokenizer

if TYPE_CHECKING:
    from unheard.encoders.hidden_states import HiddenStates

VERSION = 2
#: Tokens of a batch.
BUDGET = {"cpu": 2_000, "cuda": 32_000}
#: Seconds to which a shorter recording is padded with zeros.
SHORTEST = 0.04
#: Tokens of a text where the tokenizer does not say how many the model takes.
LONGEST = 512
#: Parts that no hidden state comes from: a checkpoint may be without weights for them.
UNUSED = ("pooler.", "masked_spec_embed")


@dataclass(frozen=True)
class Options(Settings):
    """Settings of an encoder on Transformers.

    Parameters
    ----------
    medium
        ``audio`` or ``text``. It is filled in when the model is loaded; one that is given must agree.
    tokens
        Which frames a text has: ``all`` of its tokens, of which heads take statistics; the ``first`` alone; or one
        frame that the model's own ``pooler`` makes of the last layer. Many models come without a trained pooler
        (RoBERTa does), and one with random weights is refused.
    """

    medium: Annotated[str | None, OneOf("audio", "text"), PLACE] = None
    tokens: Annotated[str, OneOf("all", "first", "pooler")] = "all"


def load(options: Options) -> AudioEncoder | TextEncoder:
    """Read configuration, tokenizer or preprocessor file, and weights.

    Raises
    ------
    UsageError, DataError, MachineError
        As ``unheard.encoders.load`` says.
    """
    torch = need("torch", "train")
    need("transformers", "train")
    from unheard.encoders import random_weights
    from unheard.encoders.hidden_states import HiddenStates

    if not options.model:
        raise UsageError(
            "encoder.model is empty: name a folder or a hub model (of random weights, its config.json decides)"
        )
    device, precision = device_of(options.device), precision_of(options.precision, options.device)
    drawn = options.weights == "random"
    folder = checkpoint.find(options.model, options.revision, weights=not drawn, tokenizer=True)
    config, model = _model(folder, drawn)
    if getattr(config, "is_encoder_decoder", False):
        model = model.get_encoder()
    if drawn:
        random_weights.draw(model, getattr(config, "initializer_range", 0.02), options.seed)
    elif options.weights == "shuffled":
        random_weights.shuffle(model, options.seed)
    text = model.main_input_name == "input_ids"
    medium = "text" if text else "audio"
    if options.medium not in (None, medium):
        raise UsageError(f"encoder.medium is {options.medium!r}, and {folder} takes {medium}")
    if not text and options.tokens != "all":
        raise UsageError(
            f"encoder.tokens is {options.tokens!r}, and {folder} takes audio, which has no tokens"
        )
    found = _sha256(folder, text, options.seed if drawn else None)
    pooler = _pooler(model, options, folder)
    # The pooler's frame is the only layer then, number 0, and stands on the whole network.
    cut = top_layer(None if pooler is not None else options.cut, config.num_hidden_layers, str(folder))
    states = HiddenStates(model, config.num_hidden_layers, cut)
    model.requires_grad_(False).eval().to(device, getattr(torch, precision))
    settings = {
        "name": "transformers",
        **plain(replace(options, sha256=found, precision=precision, medium=medium)),
    }
    if text:
        return TextEncoder(settings, states, config, folder, pooler)
    return AudioEncoder(settings, states, config, folder)


class AudioEncoder(Encoder):
    """A network on waveforms; each is prepared and computed by itself, a long one in windows."""

    medium = "audio"

    def __init__(self, settings: dict[str, Any], states: HiddenStates, config: Any, folder: Path) -> None:
        self.settings = settings
        self.source = Source(checkpoint.licence(folder))
        self.rate = int(checkpoint.preprocessor(folder)["sampling_rate"])
        with _reading(folder):
            extractor = need("transformers", "train").AutoFeatureExtractor
            self._prepare = extractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self._states = states
        self._input: str = states.network.main_input_name  # type: ignore[assignment]
        self._strides: tuple[int, ...] = tuple(getattr(config, "conv_stride", ()))
        self._kernels: tuple[int, ...] = tuple(getattr(config, "conv_kernel", ()))
        if self._input == "input_values" and self._strides:
            frames = self.rate / prod(self._strides)
        else:
            # Frames of a spectrogram: those of one second more, far from the ends.
            frames = float(self.frames(11 * self.rate)[0] - self.frames(10 * self.rate)[0])
        if frames <= 0:
            raise UsageError(f"{folder}: a {config.model_type} gives clips of every length as many frames")
        self.layers = tuple(Layer(str(k), config.hidden_size, frames) for k in range(states.top + 1))

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a waveform of so many samples."""
        samples = max(samples, self._shortest)
        if self._strides:
            for kernel, stride in zip(self._kernels, self._strides, strict=True):
                samples = (samples - kernel) // stride + 1
        else:
            samples = self._prepared(np.zeros(samples, np.float32))[self._input].shape[1]
        return (samples,) * (self._states.top + 1)

    def _extract(self, items: Sequence[Wave], layers: Sequence[int]) -> list[Layers]:
        hops = [self.hop(k) for k in layers]
        return [in_windows(wave, self.rate, hops, lambda part: self._window(part, layers)) for wave in items]

    def _window(self, wave: Wave, layers: Sequence[int]) -> Layers:
        inputs = self._prepared(np.pad(wave, (0, max(0, self._shortest - len(wave)))))
        parameter = next(self._states.network.parameters())
        inputs = {
            name: value.to(parameter.device, parameter.dtype if name == self._input else value.dtype)
            for name, value in inputs.items()
        }
        (expected, *_) = self.frames(len(wave))
        found = []
        for state in self._states(inputs, layers):
            if state.shape[:2] != (1, expected):
                raise DataError(
                    f"{self.settings['model']}: hidden states of {tuple(state.shape)} for {len(wave)} samples, "
                    f"expected {expected} frames: this is no encoder of speech frames"
                )
            found.append(state[0].float().cpu().numpy())
        return tuple(found)

    def _prepared(self, wave: Wave) -> dict[str, Any]:
        """Return what the network takes of one waveform, a batch of one."""
        made = self._prepare(np.asarray(wave), sampling_rate=self.rate, return_tensors="pt")
        return {self._input: made[self._input]}

    @property
    def _shortest(self) -> int:
        return round(SHORTEST * self.rate)


class TextEncoder(Encoder):
    """A network on turns: their tokens in one row, the tokenizer's separator token between two turns.

    Where a turn has a speaker, it reads ``Speaker: text``. What is longer than the network takes loses its oldest
    tokens, so that the last turn is whole. Texts of equally many tokens are computed together, so that nothing is
    padded. Frames are tokens, those that the tokenizer adds among them.
    """

    medium = "text"

    def __init__(
        self, settings: dict[str, Any], states: HiddenStates, config: Any, folder: Path, pooler: Any
    ) -> None:
        self.settings = settings
        self.source = Source(checkpoint.licence(folder))
        with _reading(folder):
            tokenizer = need("transformers", "train").AutoTokenizer
            self._tokenizer = tokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        stated = int(self._tokenizer.model_max_length)
        # Positions of some models begin behind that of padding, at 2.
        room = getattr(config, "max_position_embeddings", LONGEST + 2) - 2
        self.joining = joining_of(self._tokenizer, stated if stated <= 1_000_000 else max(1, room))
        self._states, self._pooler, self._kind = states, pooler, str(settings["tokens"])
        # A frame a token, which is what the length of a text is measured in.
        top = states.top
        names = ["pooler"] if pooler is not None else [str(k) for k in range(top + 1)]
        self.layers = tuple(Layer(name, config.hidden_size, 1.0) for name in names)

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a text of so many tokens."""
        count = min(samples, self.joining.longest) if self._kind == "all" else 1
        return (count,) * len(self.layers)

    def _extract(self, items: Sequence[Sequence[Turn]], layers: Sequence[int]) -> list[Layers]:
        import torch

        tokens = [self.tokens(turns) for turns in items]
        counts = [len(numbers) for numbers in tokens]
        parameter = next(self._states.network.parameters())
        wanted = [self._states.top] if self._pooler is not None else layers
        done: list[Layers] = [()] * len(items)
        for batch in by_length(counts, BUDGET[str(self.settings["device"])], equal=True):
            numbers = torch.tensor([tokens[at] for at in batch], device=parameter.device)
            inputs = {"input_ids": numbers, "attention_mask": torch.ones_like(numbers)}
            found = self._states(inputs, wanted)
            if self._pooler is not None:
                with torch.inference_mode():
                    found = [self._pooler(found[0])[:, None]] * len(layers)
            elif self._kind == "first":
                found = [state[:, :1] for state in found]
            states = [state.float().cpu().numpy() for state in found]
            for row, at in enumerate(batch):
                done[at] = tuple(state[row] for state in states)
        return done

    def tokens(self, turns: Sequence[Turn]) -> list[int]:
        """Return the numbers of the tokens of some turns, oldest first, as the network takes them.

        Raises
        ------
        DataError
            There is no token in them.
        """
        plain = {"add_special_tokens": False, "verbose": False}
        said = [self._tokenizer(spoken(turn), **plain)["input_ids"] for turn in turns]
        return self.joining.joined(said)

    def export_words(self, layers: Sequence[int]) -> TextExport:
        """Return the graph of a BERT or a RoBERTa, and its tokenizer."""
        name = str(self.settings["model"])
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise UsageError(f"{name} has no tokenizer of the package tokenizers; a bundle takes no other")
        plain = json.loads(backend.to_str()) | dict.fromkeys(LEFT_OUT)
        try:
            check_tokenizer(plain, f"the tokenizer of {name}")
        except BundleError as error:
            raise UsageError(f"{error}: it cannot be in a bundle") from error
        graph = bert_graph(self._states.network, layers, self._kind, name)
        return TextExport(graph, json.dumps(plain, ensure_ascii=False).encode(), self.joining)


def _model(folder: Path, drawn: bool) -> tuple[Any, Any]:
    """Return the configuration, and the network with the folder's weights, or with any where they are drawn."""
    torch = need("torch", "train")
    transformers = need("transformers", "train")
    checkpoint.config(folder)
    known: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with _reading(folder):
        config = transformers.AutoConfig.from_pretrained(folder, **known)
        if config.model_type == "whisper":
            raise UsageError(f"{folder} is a Whisper: take encoder.name=whisper, which knows its modes")
        if drawn:
            return config, transformers.AutoModel.from_config(config, dtype=torch.float32)
    lying = checkpoint.where(folder)
    safe = all(path.suffix == ".safetensors" for path in lying.values())
    with _reading(folder):
        model, about = transformers.AutoModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=safe, output_loading_info=True, **known
        )
    missing = [name for name in about["missing_keys"] if not name.startswith(UNUSED)]
    if missing:
        raise DataError(f"{folder}: the weights do not fit config.json: missing are {first_five(missing)}")
    check_finite({name: value.detach() for name, value in model.named_parameters()}, folder)
    return config, model


def _pooler(model: Any, options: Options, folder: Path) -> Any:
    """Return the model's own pooler where it is asked for, which has to be trained; else None."""
    if options.tokens != "pooler":
        return None
    pooler = getattr(model, "pooler", None)
    if pooler is None:
        raise UsageError(f"encoder.tokens is 'pooler', and {folder} has none; take 'all' or 'first'")
    if options.weights == "pretrained" and not any(
        ".pooler." in f".{name}" for name in checkpoint.where(folder)
    ):
        raise UsageError(
            f"encoder.tokens is 'pooler', and {folder} holds no weights of a pooler: it would be random; take "
            "'all' or 'first'"
        )
    return pooler


def _sha256(folder: Path, text: bool, seed: int | None) -> str:
    """Return the digest of what decides about the output; with a seed, that of weights which are drawn."""
    about: dict[str, Any] = {"model": checkpoint.sha256(folder, weights=seed is None), "seed": seed}
    if text:
        files = sorted(path for name in hub.TOKENIZER for path in folder.glob(name))
        about["tokenizer"] = {path.name: file_digest(path) for path in files}
    return digest(about)


def joining_of(tokenizer: Any, longest: int) -> Joining:
    """Return how the tokens of turns are joined for the model of a tokenizer, which takes ``longest`` tokens."""
    one = tokenizer("a", add_special_tokens=False)["input_ids"]
    framed = tokenizer("a")["input_ids"]
    at = next((k for k in range(len(framed)) if one and framed[k : k + len(one)] == one), 0)
    between = next((n for n in (tokenizer.sep_token_id, tokenizer.eos_token_id) if n is not None), None)
    return Joining(
        before=tuple(framed[:at]),
        between=() if between is None else (int(between),),
        after=tuple(framed[at + len(one) :]),
        longest=longest,
    )


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Turn what Transformers says of a folder that it cannot read into an error that names the folder, quietly."""
    logging = need("transformers.utils.logging", "train")
    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except UnheardError:
        raise
    except Exception as error:  # it has error classes of its own for what a file may hold
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise DataError(f"{folder}: Transformers cannot read this model: {said}") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
