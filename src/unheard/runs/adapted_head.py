"""A head whose inputs are standardised by what is usual of their speaker (:mod:`unheard.adaptation`).

It learns from training speakers of whom none, some or all clips are known, drawn at random, so that one model
serves every number of known clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard.adaptation.draws import Adapted, Known, draw
from unheard.adaptation.profile import Population, Priors, population
from unheard.errors import DataError
from unheard.heads import Head
from unheard.inputs import Features, Form
from unheard.targets import Floats
from unheard.training.examples import Examples

#: A clip is learned from so many times, each time with other clips of its speaker known.
COPIES = 4
#: Numbers of known clips at which validation clips choose the epoch: the mean of both figures decides.
VALIDATED: tuple[int | None, ...] = (0, 8)
#: Before the name of an input in the state of a head.
STATE = "adaptation."


class AdaptedHead:
    """A head over inputs that are standardised by speaker.

    Parameters
    ----------
    head
        Unfitted; it learns from the standardised inputs. One that can do without augmentations must be told to
        learn from them, since the further copies of a clip reach it as such.
    priors
        Priors of each adapted input; the other inputs are not changed.
    """

    name: ClassVar[str] = "adapted"

    def __init__(self, head: Head, priors: Mapping[str, Priors]) -> None:
        self.head, self.priors = head, dict(priors)
        self.seed, self.threads = head.seed, head.threads
        #: Of the training speakers, by input.
        self.populations_: dict[str, Population] = {}

    @property
    def classes_(self) -> int:
        """Number of class scores."""
        return self.head.classes_

    @classes_.setter
    def classes_(self, value: int) -> None:
        self.head.classes_ = value

    @property
    def chosen_(self) -> dict[str, Any]:
        """What fitting chose."""
        return self.head.chosen_

    @chosen_.setter
    def chosen_(self, value: dict[str, Any]) -> None:
        self.head.chosen_ = value

    @property
    def history_(self) -> list[dict[str, Any]]:
        """One record an epoch or candidate."""
        return self.head.history_

    @history_.setter
    def history_(self, value: list[dict[str, Any]]) -> None:
        self.head.history_ = value

    def __getattr__(self, name: str) -> Any:
        """Return what only some heads have, such as learned layer weights."""
        if name in ("head", "__setstate__"):
            raise AttributeError(name)
        return getattr(self.head, name)

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Choose and learn.

        Raises
        ------
        DataError
            An adapted input is missing, or what the head itself refuses.
        """
        self._take_population(train)
        self.head = self.head.fit(self._drawn(train), None if val is None else self._validated(val))
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new one that learned from ``rows`` with what was chosen."""
        fitted = copy(self)
        fitted._take_population(rows)
        fitted.head = self.head.refit(fitted._drawn(rows))
        return fitted

    def outputs(self, inputs: Mapping[str, Features]) -> Floats:
        """Return the outputs for clips of whose speakers nothing is known, shape (n, classes + dimensions)."""
        count = len(next(iter(inputs.values())))
        names = [""] * count
        return self.outputs_knowing(inputs, names, {"": Known((), None)})

    def outputs_knowing(
        self,
        inputs: Mapping[str, Features],
        speakers: Sequence[str],
        known: Mapping[str, Known],
        asked: Sequence[int] | None = None,
    ) -> Floats:
        """Return the outputs for clips of whose speakers some clips are known.

        Parameters
        ----------
        inputs
            One array a clip, by input; the known clips are among them.
        speakers
            Speaker of each clip.
        known
            Rows of ``inputs`` that are known, by speaker.
        asked
            Rows for which the outputs are asked; None asks for all.
        """
        adapted = self.standardised(inputs, speakers, known)
        if asked is not None:
            adapted = {name: [features[row] for row in asked] for name, features in adapted.items()}
        return self.head.outputs(adapted)

    def standardised(
        self, inputs: Mapping[str, Features], speakers: Sequence[str], known: Mapping[str, Known]
    ) -> dict[str, Features]:
        """Return the inputs as the head takes them."""
        return {
            name: features
            if name not in self.priors
            else Adapted(
                features,
                speakers,
                known,
                self.populations_[name],
                self.priors[name],
                self._form(features),
            )
            for name, features in inputs.items()
        }

    def settings(self) -> dict[str, Any]:
        """Plain settings of the head."""
        return self.head.settings()

    def state(self) -> dict[str, NDArray[Any]]:
        """State of the head, and the populations."""
        arrays = self.head.state()
        for name, own in self.populations_.items():
            arrays |= {f"{STATE}{name}.mean": own.mean, f"{STATE}{name}.variance": own.variance}
        return arrays

    def from_state(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Return the fitted head again, of an unfitted one with the same settings.

        Raises
        ------
        DataError
            The state holds no population of an adapted input.
        """
        fitted = copy(self)
        try:
            fitted.populations_ = {
                name: Population(
                    np.asarray(state[f"{STATE}{name}.mean"], dtype=np.float64),
                    np.asarray(state[f"{STATE}{name}.variance"], dtype=np.float64),
                )
                for name in self.priors
            }
        except KeyError as error:
            raise DataError(f"not the state of a head that adapts to speakers: no {error}") from error
        own = {key: value for key, value in state.items() if not key.startswith(STATE)}
        fitted.head = self.head.from_state(own)
        return fitted

    def _take_population(self, rows: Examples) -> None:
        for name in self.priors:
            if name not in rows.inputs:
                raise DataError(f"the input {name!r} is to be adapted, and these clips do not have it")
        speakers = rows.speakers.tolist()
        self.populations_ = {
            name: population(rows.inputs[name], speakers, self._form(rows.inputs[name]))
            for name in self.priors
        }

    def _drawn(self, rows: Examples) -> Examples:
        """Return the clips and their augmentations, each under several draws of what is known of its speaker."""
        rng = np.random.default_rng([self.seed, 2])
        speakers = rows.speakers.tolist()
        draws = [draw(speakers, rng) for _ in range(COPIES)]
        versions = [
            {
                name: features if number == 0 else rows.augmented[name][number - 1]
                for name, features in rows.inputs.items()
            }
            for number in range(1 + min(map(len, rows.augmented.values()), default=0))
        ]
        first, *others = [self.standardised(one, speakers, known) for known in draws for one in versions]
        return Examples(
            first,
            rows.targets,
            rows.target,
            rows.speakers,
            {name: tuple(other[name] for other in others) for name in first},
        )

    def _validated(self, rows: Examples) -> Examples:
        """Return the validation clips once for each number of known clips."""
        if not len(rows):
            return rows
        rng = np.random.default_rng([self.seed, 3])
        speakers = rows.speakers.tolist()
        several = [
            Examples(
                self.standardised(rows.inputs, speakers, draw(speakers, rng, (count,))),
                rows.targets,
                rows.target,
                rows.speakers,
            )
            for count in VALIDATED
        ]
        together = several[0]
        for other in several[1:]:
            together = together + other
        return together

    def _form(self, features: Features) -> Form:
        axes = features[0].ndim
        if axes == Form.LAYERS.axes and self.head.form is Form.LAYERS:
            return Form.LAYERS
        return {form.axes: form for form in (Form.ROW, Form.FRAMES, Form.POOLED)}[axes]
