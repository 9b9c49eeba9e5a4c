"""The contract of every encoder, as an extractor of several layers, and the settings that all families share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from unheard.audio.trim import limits
from unheard.errors import DataError, UsageError
from unheard.inputs import Layer, Source
from unheard.settings import CONTENT, PLACE, OneOf, Within, check
from unheard.text.joining import Joining

Wave = NDArray[np.float32]
#: One array (frames, dims) float32 for each layer asked for.
Layers = tuple[NDArray[np.float32], ...]

#: Trained weights; random weights of the same architecture, drawn from ``seed``; or trained weights that are
#: shuffled inside each tensor, which keeps their distribution. The last two are stamped RANDOM WEIGHTS.
WEIGHTS = ("pretrained", "random", "shuffled")


@dataclass(frozen=True)
class Settings:
    """The settings that every family has; a family adds its own fields.

    Parameters
    ----------
    model
        Folder or file of weights, or a name on the Hugging Face hub. Empty in a recipe that leaves it to the user.
    revision
        Branch, tag or commit of a hub model.
    sha256
        Digest of the weights and of everything else that the output depends on (configuration, normalisation).
        It is filled in when the model is loaded; a given one must agree.
    weights, seed
        One of ``WEIGHTS``; ``seed`` draws ``random`` ones and shuffles ``shuffled`` ones.
    cut
        Last layer to compute: layers above are neither loaded nor computed. With None all are.
    trim
        How silence is cut off both ends of a recording first: what lies this many decibels below its loudest
        frame, or with two numbers also what lies less than the second above its noise (``unheard.audio.trim``).
    precision
        ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the processor multiplies in it, else float32.
    device
        ``cpu`` or ``cuda``.
    """

    model: Annotated[str, PLACE] = ""
    revision: Annotated[str | None, PLACE] = None
    sha256: Annotated[str, CONTENT] = ""
    weights: Annotated[str, OneOf(*WEIGHTS)] = "pretrained"
    seed: int = 0
    cut: Annotated[int | None, Within(0, 10_000)] = None
    trim: float | tuple[float, ...] | None = None
    precision: Annotated[str, OneOf("float32", "bfloat16", "auto")] = "float32"
    device: Annotated[str, OneOf("cpu", "cuda"), PLACE] = "cpu"

    #: Whether the network can be trained together with a head.
    tunable: ClassVar[bool] = False

    @property
    def medium(self) -> str | None:
        """Name of the medium that the encoder takes; None where it depends on the model."""
        return "audio"

    def __post_init__(self) -> None:
        check(self, "encoder")
        if self.trim is not None and not all(
            1 <= decibels <= 200 for decibels in limits(self.trim) if decibels
        ):
            raise UsageError(f"encoder.trim is {self.trim!r}; decibels must be in 1 … 200")
        if self.revision is not None and not self.model:
            raise UsageError("encoder.revision belongs to a hub name in encoder.model, which is empty")


@dataclass(frozen=True)
class LocalSettings(Settings):
    """Settings of families whose weights are a local file and that run on the CPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision not in ("float32", "auto"):
            raise UsageError(
                f"encoder.precision is {self.precision!r}, but this family computes in the types that its "
                "file was written with; take 'float32' or 'auto'"
            )
        if self.device != "cpu":
            raise UsageError(f"encoder.device is {self.device!r}, but this family runs on 'cpu'")
        if self.revision is not None:
            raise UsageError("encoder.revision: this family takes a file or a folder, not a hub name")


@dataclass(frozen=True)
class Export:
    """An encoder as an ONNX graph, and how a waveform becomes the input of the graph.

    Parameters
    ----------
    graph
        An ONNX ``ModelProto``. It takes ``unheard.samples`` (samples,), or ``unheard.frames`` (frames, dims)
        behind a frontend, and gives ``unheard.NAME`` (frames, dims) for each layer that was asked for.
    window
        A recording of up to ``longest`` samples is encoded in one piece, a longer one in windows of ``length``
        samples every ``step``, which is rounded down to where the layers have a frame.
    frontend
        Complete settings of the frontend that makes the graph's frames (``unheard.features.frontends``); None
        where the graph takes samples.
    standardise
        Whether the waveform is brought to mean 0 and variance 1 first.
    shortest, multiple
        A waveform is padded with zeros at its end to at least ``shortest`` samples, and to a multiple of
        ``multiple``.
    own
        Which frames are the clip's own: ``ceil`` or ``floor`` of samples by hop; None for all.
    """

    graph: Any
    window: Mapping[str, int]
    frontend: dict[str, Any] | None = None
    standardise: bool = False
    shortest: int = 1
    multiple: int = 1
    own: str | None = None


@dataclass(frozen=True)
class TextExport:
    """An encoder of words as an ONNX graph, and how turns become its input.

    Parameters
    ----------
    graph
        An ONNX ``ModelProto``. It takes ``unheard.tokens`` (tokens,) int64, and gives ``unheard.NAME``
        (frames, dims) for each layer that was asked for.
    tokenizer
        Bytes of ``tokenizer.json`` as the package ``tokenizers`` reads it, without what joins tokens.
    joining
        How the tokens of turns are joined.
    """

    graph: Any
    tokenizer: bytes
    joining: Joining


class Encoder:
    """A loaded network: an extractor (``unheard.inputs.Extractor``) of waveforms, or of the turns of a text.

    Layer 0 is what enters the first layer, layer k what leaves it (docs/encoders.md). A family gives ``settings``
    and ``layers``, and overrides :meth:`_compute`, or :meth:`_extract` where it computes several clips together.

    Attributes
    ----------
    settings
        As ``load`` was given them, with defaults, ``sha256``, the last layer as ``cut`` and the precision that
        ``auto`` came to: plain values. A family gives ``sha256`` and what else it found; ``load`` adds the rest.
    rate
        Hz of the waveforms that :meth:`extract` takes; 1 where it takes text, whose samples are tokens.
    layers
        In order. Those above the cut are left out, by ``load`` where the family has not done so.
    source
        Licence and attribution of the weights, and the speakers that they were trained on.
    """

    medium: str = "audio"
    settings: dict[str, Any]
    rate: int = 1
    layers: tuple[Layer, ...]
    source: Source = Source("unknown")

    def frames(self, samples: int) -> tuple[int, ...]:
        """Return the number of frames of each layer for a waveform of so many samples, as their rates say."""
        return tuple(max(1, samples // self.hop(k)) for k in range(len(self.layers)))

    def extract(self, items: Sequence[Any], layers: Sequence[int]) -> list[Layers]:
        """Return, for each waveform (n,) at :attr:`rate` or text, the asked layers, each (frames, dims) float32.

        A clip's frames do not depend on the other clips of the batch (1e-4 relative in float32). Clips may be of
        any length: long waveforms are taken in windows (docs/encoders.md says which), short ones are padded. A
        text is a sequence of turns (``unheard.inputs.Turn``), oldest first; a long one loses its oldest tokens.

        Raises
        ------
        DataError
            A waveform holds NaN or infinity, or a text is empty.
        UsageError
            A layer that the encoder does not have.
        """
        bad = [k for k in layers if not 0 <= k < len(self.layers)]
        if bad:
            raise UsageError(f"encoder layer {bad[0]} is asked for; there are 0 … {len(self.layers) - 1}")
        self._check(items)
        return self._extract(items, layers) if len(layers) else [() for _ in items]

    def _check(self, items: Sequence[Any]) -> None:
        """Refuse clips that cannot be computed."""
        for item in items:
            if self.medium == "text" and not item:
                raise DataError("a text without any turn")
            if self.medium == "audio" and not np.isfinite(item).all():
                raise DataError(
                    f"a waveform holds {int((~np.isfinite(item)).sum())} values that are not finite"
                )

    def _extract(self, items: Sequence[Any], layers: Sequence[int]) -> list[Layers]:
        """Return what :meth:`extract` does, of clips that were checked and at least one layer."""
        computed = (self._compute(item) for item in items)
        return [tuple(states[k] for k in layers) for states in computed]

    def _compute(self, item: Any) -> Layers:
        """Return all layers of one clip."""
        raise NotImplementedError

    def hop(self, layer: int) -> int:
        """Return the samples from one frame of a layer to the next."""
        rate = self.layers[layer].rate
        assert rate is not None  # encoders give frames
        return round(self.rate / rate)

    def export(self, layers: Sequence[int]) -> Export:
        """Return the graph that gives these layers (ascending), which onnxruntime runs without this encoder.

        Raises
        ------
        UsageError
            No graph is known for this family: an encoder that does not override this cannot be in a bundle.
        """
        raise UsageError(f"the encoder {self.settings['name']!r} cannot be exported as a graph")

    def export_words(self, layers: Sequence[int]) -> TextExport:
        """Return the same of an encoder of words, with its tokenizer.

        Raises
        ------
        UsageError
            No graph is known for this network, or its tokenizer is of another kind than bundles take.
        """
        raise UsageError(f"the encoder {self.settings['name']!r} takes no words")

    def module(self) -> Any:
        """Return the torch module, for tuning; what is done to it, :meth:`extract` follows.

        Its call is ``module(waves, lengths, layers)``, padded waveforms (clips, samples), samples of each, and
        numbers of layers; it gives each layer (clips, frames, dims), and frames of each clip. It has ``layers``,
        ``checkpointing`` and ``time_mask``.

        Raises
        ------
        UsageError
            An encoder that does not override this has no layers that can be tuned.
        """
        raise UsageError(
            f"the encoder {self.settings['name']!r} has no layers that can be tuned; leave training out"
        )


def top_layer(cut: int | None, last: int, model: str) -> int:
    """Return the last layer to compute of a model whose last layer is ``last``.

    Raises
    ------
    UsageError
        The cut is above it.
    """
    if cut is not None and cut > last:
        raise UsageError(f"encoder.cut is {cut}, but {model or 'the model'} has the layers 0 … {last}")
    return last if cut is None else cut


def is_random(settings: Any) -> bool:
    """Return whether the weights learned nothing: such scores are stamped RANDOM WEIGHTS."""
    return bool(settings["weights"] != "pretrained")
