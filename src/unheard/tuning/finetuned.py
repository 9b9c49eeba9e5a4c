"""A pretrained encoder and a head behind it, trained together: a head whose features are waveforms.

torch is imported when it fits or predicts, so that its settings can be read and checked without.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from unheard import encoders
from unheard.errors import DataError, MachineError, UsageError, need
from unheard.files import canonical_json, digest
from unheard.formats import json_text
from unheard.heads.networks.network_head import seeded
from unheard.heads.one_input import input_of
from unheard.heads.rows import check_examples
from unheard.inputs import Features
from unheard.settings import construct, plain
from unheard.training.examples import Examples
from unheard.tuning.heads import check_head, objective_of
from unheard.tuning.settings import Settings

if TYPE_CHECKING:
    from unheard.tuning.network import TunedNetwork


@dataclass
class FineTuned:
    """A head on waveforms (samples,) float32 at the encoder's rate; see :class:`Settings` for how it is trained.

    Parameters
    ----------
    training, encoder, head
        Settings of the training, and of the two parts.
    seed, threads
        The same seed, threads, device and machine give the same logits.
    folder
        Where training writes its state after every epoch, and finds it after a kill; None: nowhere.
    """

    name: ClassVar[str] = "finetuned"

    training: Settings
    encoder: dict[str, Any]
    head: dict[str, Any]
    seed: int = 0
    threads: int = 1
    folder: Path | None = None
    chosen_: dict[str, Any] = field(init=False, repr=False)
    history_: list[dict[str, Any]] = field(init=False, repr=False)
    classes_: int = field(init=False, repr=False)
    dimensions_: int = field(init=False, repr=False)
    #: Hz of the waveforms.
    rate_: int = field(init=False, repr=False)
    network_: TunedNetwork = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_head(self.head, self.training)
        layer, cut = self.training.layer, self.encoder.get("cut")
        if isinstance(layer, int):
            if cut is not None and layer > cut:
                raise UsageError(f"training.layer is {layer}, and the encoder is cut at {cut}")
            self.encoder = {**self.encoder, "cut": layer}
        # Mixed precision, and the device, are the training's.
        self.encoder = encoders.checked({**self.encoder, "precision": "float32", "device": "cpu"})

    @property
    def learned_(self) -> dict[str, list[float]]:
        """Weight of each layer where the head weighs them; they sum to 1."""
        head: Any = self.network_.head
        return {"layer_weights": head.shares().tolist()} if hasattr(head, "shares") else {}

    def fit(self, train: Examples, val: Examples | None = None) -> Self:
        """Train, stop early by the metric on validation rows, and keep the best epoch.

        Raises
        ------
        DataError
            No validation rows, rows that do not fit, or a loss that is not finite (:class:`DivergenceError`).
        MachineError
            A package is missing, there is no GPU where one is asked for, or not enough memory.
        """
        if val is None or not len(val):
            raise DataError(
                "fine-tuning chooses its epoch on validation speakers, and this fold has none; "
                "make the protocol with some (--val speakers, validation='speakers' in Python)"
            )
        best = self._learn(train, val, self.training.epochs, "fit")
        self.chosen_ = {"epochs": best + 1}
        return self

    def refit(self, rows: Examples) -> Self:
        """Return a new model trained on ``rows`` for the chosen number of epochs."""
        model = copy(self)
        model.chosen_ = dict(self.chosen_)
        model._learn(rows, None, self.chosen_["epochs"], "refit")
        return model

    def outputs(self, inputs: Mapping[str, Features]) -> NDArray[np.float64]:
        """Return class scores and dimensions, shape (n, classes + dimensions), of waveforms.

        Of long ones only as much is taken as training took of any.
        """
        if not hasattr(self, "network_"):
            raise UsageError("the fine-tuned model is not fitted")
        features = input_of(inputs, None, self.name)
        if not len(features):
            return np.zeros((0, self.classes_ + self.dimensions_))
        from unheard.tuning.inference import outputs_of

        network, rows = self.network_.to(self.training.device), range(len(features))
        with seeded(self.threads, self.seed):
            found = outputs_of(network, features, rows, self.training, self.rate_, self.training.batch)
        return found.double().cpu().numpy()

    def settings(self) -> dict[str, Any]:
        """Return plain values from which ``tuning.build`` makes the same unfitted model."""
        return {
            "name": self.name,
            "training": plain(self.training),
            "encoder": dict(self.encoder),
            "head": dict(self.head),
            "seed": self.seed,
            "threads": self.threads,
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that was learned and set: the head and what moved of the encoder, under ``network.``.

        What stayed frozen is not in it, but the encoder's settings with the digest of its weights are.
        """
        arrays = {f"network.{name}": value.cpu().numpy() for name, value in self.network_.moving().items()}
        return {
            "settings": np.array(canonical_json(self.settings())),
            "chosen": np.array(canonical_json(self.chosen_)),
            "classes": np.array(self.classes_),
            "dimensions": np.array(self.dimensions_),
            **arrays,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]], encoder: Mapping[str, Any] | None = None) -> Self:
        """Make the fitted model again; the encoder's frozen rest is loaded anew.

        ``encoder`` says where the encoder's weights are now, if not where they were; they must be the same ones.
        """
        torch = need("torch", "train")
        try:
            settings = json_text.parse_object(str(state["settings"]), "settings")
            chosen = json_text.parse_object(str(state["chosen"]), "chosen")
            classes = int(state["classes"])
        except (KeyError, ValueError, TypeError, DataError) as error:
            raise DataError(f"not the state of a fine-tuned model: {error}") from error
        if settings.get("name") != cls.name:
            raise DataError(
                f"this is the state of a head {settings.get('name')!r}, not of a fine-tuned model"
            )
        place = {key: encoder[key] for key in ("model", "revision") if key in encoder} if encoder else {}
        model = cls(
            construct(Settings, settings["training"], "training"),
            {**settings["encoder"], **place},
            settings["head"],
            settings["seed"],
            settings["threads"],
        )
        model.chosen_, model.history_ = chosen, []
        with seeded(model.threads, model.seed):
            model.network_ = model._network(classes, int(state.get("dimensions", np.array(0))))
        arrays = {
            name.removeprefix("network."): torch.from_numpy(np.array(value))
            for name, value in state.items()
            if name.startswith("network.")
        }
        try:
            model.network_.move(arrays)
        except (KeyError, RuntimeError) as error:
            raise DataError(f"the state does not fit its own settings: {error}") from error
        return model

    def _learn(self, rows: Examples, val: Examples | None, epochs: int, task: str) -> int:
        """Train, set what was learned, and return the number of the epoch that was kept."""
        check_examples(rows)
        objective = objective_of(self.head)
        if self.training.devices > 1 and not objective.is_sum(rows.classes, len(rows.target.dimensions)):
            raise UsageError(
                f"training.devices is {self.training.devices}, and CCC is computed over all clips of a step, "
                "which the devices share; take head.objective.dimensions=mse, cross_entropy, or one device"
            )
        torch = need("torch", "train")
        if self.training.device == "cuda" and torch.cuda.device_count() < self.training.devices:
            raise MachineError(
                f"training.device is 'cuda' with training.devices={self.training.devices}, and torch finds "
                f"{torch.cuda.device_count()} here; take training.device=cpu, or fewer devices"
            )
        from unheard.tuning.loop import Plan
        from unheard.tuning.train import train

        with seeded(self.threads, self.seed):
            self.network_ = self._network(rows.classes, len(rows.target.dimensions))
            identity = digest(
                {
                    **self.settings(),
                    "encoder": encoders.key(self.encoder),
                    "epochs": epochs,
                    "rows": _plain(rows),
                    "val": _plain(val),
                }
            )
            plan = Plan(
                self.training,
                epochs,
                self.rate_,
                self.seed,
                self.threads,
                identity,
                objective,
            )
            folder = None if self.folder is None else self.folder / task
            progress = train(self.network_, rows, val, plan, folder)
        self.history_ = progress.history
        return len(progress.history) - 1 if progress.best is None else progress.best

    def _network(self, classes: int, dimensions: int = 0) -> TunedNetwork:
        """Load the encoder, put the head behind it, and set free what is to move. The caller has seeded torch."""
        from unheard.tuning.heads import head_network
        from unheard.tuning.network import TunedNetwork
        from unheard.tuning.parameters import set_free

        loaded = encoders.load(self.encoder)
        module = loaded.module()
        self.encoder, self.rate_ = dict(loaded.settings), loaded.rate
        last = len(loaded.layers) - 1
        stacked = self.training.layer == "weighted"
        layers = tuple(range(last + 1)) if stacked else (last,)
        head = head_network(self.head, loaded.layers[last].dims, len(layers), classes, dimensions)
        set_free(module, self.training)
        network = TunedNetwork(
            module,
            head,
            layers,
            stacked=stacked,
            whole=self.training.tune == "all",
            precision=self.training.precision,
        )
        self.classes_, self.dimensions_ = classes, dimensions
        return network.eval()


def _plain(rows: Examples | None) -> Any:
    """Return what tells one set of rows from another without reading their waveforms."""
    return (
        None
        if rows is None
        else [sha256(rows.targets.tobytes()).hexdigest(), rows.speakers.tolist(), asdict(rows.target)]
    )
