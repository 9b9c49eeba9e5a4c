"""Heads: what turns named inputs into class scores and dimensions. One file a head, one contract for all.

A head learns from :class:`~unheard.training.examples.Examples` of training speakers, and may choose with those of
validation speakers; it never sees a test row, a fold or a protocol. Its constructor only stores; what it
learned ends in an underscore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

from numpy.typing import NDArray

from unheard.inputs import Features, Form
from unheard.settings import construct, resolve
from unheard.targets import Floats
from unheard.training.examples import Examples

__all__ = ["HEADS", "Examples", "Features", "Head", "Model", "State", "build"]

State = dict[str, NDArray[Any]]

#: Name to module and class; a head's module is imported when the head is built.
HEADS = {
    "alignment": ("unheard.heads.networks.several_inputs", "Alignment"),
    "ensemble": ("unheard.heads.ensemble", "Ensemble"),
    "concatenation": ("unheard.heads.networks.several_inputs", "Concatenation"),
    "convolutional": ("unheard.heads.networks.convolutional", "Convolutional"),
    "cross_attention": ("unheard.heads.networks.several_inputs", "CrossAttention"),
    "emobox": ("unheard.heads.networks.emobox", "EmoBox"),
    "gates": ("unheard.heads.networks.several_inputs", "Gates"),
    "mean": ("unheard.heads.networks.mean", "Mean"),
    "probe": ("unheard.heads.linear.probe", "Probe"),
    "spectrogram_cnn": ("unheard.heads.networks.cnn", "SpectrogramCNN"),
    "svm": ("unheard.heads.linear.svm", "SVM"),
    "tcgru": ("unheard.heads.networks.tcgru", "TCGRU"),
    "waveform_cnn": ("unheard.heads.networks.cnn", "WaveformCNN"),
    "weighted": ("unheard.heads.networks.weighted", "Weighted"),
}


class Model(Protocol):
    """What learns from examples and predicts: a head, or an encoder that is tuned together with one."""

    name: ClassVar[str]
    seed: int
    threads: int
    #: Number of class scores among the outputs, which come first; the rest are dimensions.
    classes_: int
    #: What fitting chose (``{"C": 0.01}``, ``{"epochs": 17}``); plain values.
    chosen_: dict[str, Any]
    #: One record per epoch or candidate; plain values.
    history_: list[dict[str, Any]]

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Choose and learn; returns itself.

        Raises
        ------
        DataError
            Rows that do not fit together, or a class or dimension without any.
        UsageError
            Targets of a kind that the head cannot learn.
        """

    def refit(self, rows: Examples) -> Self:
        """Return a new one that learned from ``rows`` with ``chosen_``, choosing nothing."""

    def outputs(self, inputs: Mapping[str, Features]) -> Floats:
        """Return class scores before softmax and dimensions on [0, 1], shape (n, classes + dimensions).

        A clip's do not depend on the others.
        """

    def settings(self) -> dict[str, Any]:
        """Return plain values from which the same can be made, unfitted."""

    def state(self) -> State:
        """Return everything that was learned and set, as arrays without objects, for ``numpy.savez``."""


class Head(Model, Protocol):
    """What every head promises (checked for each of them in ``tests/contracts``)."""

    #: The form in which it asks for the output of an encoder with several layers.
    form: ClassVar[Form]

    def check_target(self, of: str, dimensions: Sequence[str]) -> None:
        """Raise :class:`UsageError` where the head cannot learn a target (``unheard.targets.Target``).

        ``of`` is ``label``, ``votes``, or ``none`` for dimensions alone.
        """

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Make the fitted head again from :meth:`state`."""


def build(settings: Mapping[str, Any]) -> Head:
    """Make an unfitted head from its settings, such as ``{"name": "probe", "statistics": "mean"}``.

    Raises
    ------
    UsageError
        Unknown head or setting (with near matches), or a value of the wrong kind or out of range.
    """
    head: Head = construct(resolve(HEADS, settings, "head"), settings, "head")
    return head
