"""Heads over several named inputs: cross-attention, alignment, concatenation and gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, overload

import numpy as np

from unheard.errors import UsageError, unknown
from unheard.heads.networks.network_head import NetworkHead, Size
from unheard.heads.rows import check_frames, moments
from unheard.inputs import Array, Features, Form
from unheard.settings import Within
from unheard.training.examples import Examples

if TYPE_CHECKING:
    from unheard.heads.networks.several_inputs_network import SeveralInputsNetwork


@dataclass(kw_only=True)
class SeveralInputs(NetworkHead):
    """A network over the frames of several inputs; an input with one row a clip has one frame.

    Parameters
    ----------
    inputs
        Names of the inputs that it takes; none takes all there are.
    hidden
        Values of a frame after the linear map that every input has of its own.
    dropout
        Probability of dropout before the output.
    drop_inputs
        Probability with which an input of a clip is taken away in training (modality dropout).
    missing
        Whether a clip that lacks an input is answered from the others, in training as in use. Without it such a
        clip has no answer.
    patience
        Epochs without anything better on validation rows after which training stops.
    weight_decay
        Weight decay of AdamW.
    """

    form: ClassVar[Form] = Form.FRAMES
    #: Features with one row a clip are taken, too.
    takes_rows: ClassVar[bool] = True
    metric: ClassVar[str | None] = "uar"

    inputs: tuple[str, ...] = ()
    hidden: Annotated[int, Within(1, 8192)] = 512
    dropout: Annotated[float, Within(0, 0.95)] = 0.2
    drop_inputs: Annotated[float, Within(0, 0.95)] = 0.0
    missing: bool = False
    epochs: Annotated[int, Within(1, 10_000)] = 30
    patience: Annotated[int, Within(1, 10_000)] = 5
    batch: Annotated[int, Within(1, 65_536)] = 32
    learning_rate: Annotated[float, Within(1e-8, 10)] = 1e-3
    weight_decay: Annotated[float, Within(0, 10)] = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input is not None:
            raise UsageError(f"the head {self.name!r} takes several inputs: name them with head.inputs")
        if len(set(self.inputs)) < len(self.inputs):
            raise UsageError(f"head.inputs names the same input twice: {', '.join(self.inputs)}")

    def network(self, sizes: Mapping[str, Size], classes: int, dimensions: int = 0) -> SeveralInputsNetwork:
        """See :mod:`~unheard.heads.networks.several_inputs_network`."""
        dims = {name: size.dims for name, size in sizes.items()}
        made: SeveralInputsNetwork = self.kind()(dims, classes, dimensions=dimensions, **self.shape())
        return made

    def kind(self) -> Any:
        """Return the class of the network."""
        raise NotImplementedError

    def shape(self) -> dict[str, Any]:
        """Return the settings of the network."""
        return {"hidden": self.hidden, "dropout": self.dropout, "drop_inputs": self.drop_inputs}

    def prepare(self, network: Any, inputs: Mapping[str, Features]) -> None:
        """Give the network mean and standard deviation of the training frames of each input."""
        import torch

        for name, features in inputs.items():
            mean, scale = moments(features)
            getattr(network, f"mean_{name}").copy_(torch.from_numpy(mean))
            getattr(network, f"scale_{name}").copy_(torch.from_numpy(scale))

    def examples(self, rows: Examples) -> Examples:
        """Return the rows with one frame for a row."""
        several = {name: tuple(map(AsFrames, clips)) for name, clips in rows.augmented.items()}
        return replace(rows, inputs=self._taken(rows.inputs), augmented=several)

    def _names(self, inputs: Mapping[str, Features]) -> tuple[str, ...]:
        for name in self.inputs:
            if name not in inputs:
                raise unknown(f"input of the head {self.name!r}", name, inputs)
        return self.inputs or tuple(inputs)

    def _taken(self, inputs: Mapping[str, Features]) -> dict[str, Features]:
        return {name: AsFrames(inputs[name]) for name in self._names(inputs)}

    def _check(self, features: Features) -> list[int]:
        return check_frames(features, empty=self.missing)


@dataclass(kw_only=True)
class CrossAttention(SeveralInputs):
    """The frames of each input attend to those of the others.

    Parameters
    ----------
    attention_heads
        Number of heads of the attention; it divides ``hidden``.
    """

    name: ClassVar[str] = "cross_attention"

    attention_heads: Annotated[int, Within(1, 64)] = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden % self.attention_heads:
            raise UsageError(
                f"head.hidden is {self.hidden}, which {self.attention_heads} attention heads do not divide"
            )

    def kind(self) -> Any:
        """Return the class of the network."""
        from unheard.heads.networks.several_inputs_network import CrossAttentionNetwork

        return CrossAttentionNetwork

    def shape(self) -> dict[str, Any]:
        """Return the settings of the network."""
        return {**super().shape(), "attention_heads": self.attention_heads}


@dataclass(kw_only=True)
class Alignment(SeveralInputs):
    """Each frame of the first input attends to those of the others, and a recurrent layer reads what it found.

    Parameters
    ----------
    recurrent
        Units of the recurrent layer, for each direction.
    """

    name: ClassVar[str] = "alignment"

    recurrent: Annotated[int, Within(1, 4096)] = 128

    def kind(self) -> Any:
        """Return the class of the network."""
        from unheard.heads.networks.several_inputs_network import AlignmentNetwork

        return AlignmentNetwork

    def shape(self) -> dict[str, Any]:
        """Return the settings of the network."""
        return {**super().shape(), "recurrent": self.recurrent}

    def shares(self, inputs: Mapping[str, Features]) -> list[Array]:
        """Return, for each clip, how each frame of the first input divides its attention over those of the others.

        Shape (frames, frames of the others) each; rows sum to 1. It is where in the recording each word is found.
        """
        import torch

        from unheard.training.batches import padded

        taken = self._taken(inputs)
        self._check_sizes(taken)
        found = []
        with torch.inference_mode():
            for clip in zip(*taken.values(), strict=True):
                batch = {name: padded([values]) for name, values in zip(taken, clip, strict=True)}
                tensors = {name: tensor for name, (tensor, _) in batch.items()}
                lengths = {name: length for name, (_, length) in batch.items()}
                found.append(self.network_.shares(tensors, lengths)[0].numpy())
        return found


@dataclass(kw_only=True)
class Concatenation(SeveralInputs):
    """The means of the inputs side by side."""

    name: ClassVar[str] = "concatenation"

    def kind(self) -> Any:
        """Return the class of the network."""
        from unheard.heads.networks.several_inputs_network import ConcatenationNetwork

        return ConcatenationNetwork


@dataclass(kw_only=True)
class Gates(SeveralInputs):
    """The means of the inputs, weighed by gates that see all of them."""

    name: ClassVar[str] = "gates"

    def kind(self) -> Any:
        """Return the class of the network."""
        from unheard.heads.networks.several_inputs_network import GatesNetwork

        return GatesNetwork


class AsFrames(Features):
    """Features of clips, in which a row (dims,) is one frame (1, dims); each is read when it is asked for."""

    def __init__(self, clips: Features) -> None:
        self.clips = clips
        # A clip that lacks the input is without frames, and does not tell.
        first = next((clip for clip in clips if clip.size), None)
        self.rows = first is not None and first.ndim == 1

    def __len__(self) -> int:
        return len(self.clips)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...
    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        clip = self.clips[index]
        return np.asarray(clip[None]) if self.rows and clip.ndim == 1 else clip
