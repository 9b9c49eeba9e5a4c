"""Writes a bundle: graph, golden vectors, description, card and manifest, checked before it takes its name."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from unheard import features as feature_room
from unheard.audio.resample import RATE
from unheard.bundle import golden
from unheard.bundle.card import card
from unheard.bundle.graph import graph_of
from unheard.bundle.manifest import FILES, MANIFEST, listed_files, write_manifest
from unheard.bundle.runtime import Bundle, load
from unheard.bundle.schema import Description, to_plain
from unheard.errors import BundleError, UnheardError, UsageError, first_five
from unheard.files import write_bytes, write_json, write_text

#: Largest difference of a logit between head and graph, times max(1, |logit|).
TOLERANCE = 1e-4
#: Of ``results.json``, what is of no use without the run.
LEFT_OUT = ("folds", "variance", "held_back")
#: Licences of what computes the features, where it is not our own code.
_OPENSMILE = "openSMILE by audEERING: non-commercial use only, unless they license more"
FEATURE_LICENCES = {"egemaps": _OPENSMILE, "compare": _OPENSMILE}


def export(
    head: Any,
    features: Mapping[str, Any],
    classes: Sequence[str],
    out: str | os.PathLike[str],
    *,
    temperature: float,
    training_speakers: Sequence[str],
    corpus: str,
    scores: Mapping[str, Any] | None,
    recipe: Mapping[str, Any],
    licences: Mapping[str, Any],
    thresholds: Mapping[str, float] | None = None,
    force: bool = False,
) -> Path:
    """Write the bundle of a fitted head into the folder ``out``.

    Parameters
    ----------
    head
        Fitted, with a graph in ``bundle/graph.py``.
    features
        Settings of the features that it was fitted on.
    classes
        In the order of its logits.
    temperature, thresholds
        From validation rows; ``{"confidence": 0.5}`` flags less sure answers.
    training_speakers, corpus
        Whom the model has heard.
    scores
        ``results.json`` of its run, None where it was not scored.
    recipe, licences
        As recorded: settings of the run; layer (``weights``, …) to licence.
    force
        Replace an older bundle. A folder with anything else in it is never touched.

    Raises
    ------
    UsageError
        ``out`` exists, or these features or this head cannot be exported.
    BundleError
        The graph does not agree with the head within 1e-4.
    """
    target = Path(out)
    _check_target(target, force)
    if features.get("name") == "precomputed":
        raise UsageError(
            "features 'precomputed' were read from files and cannot be computed from a recording, so nothing "
            "could be predicted; export a run with features such as 'functionals'"
        )
    spec = feature_room.build(features)
    waves = golden.synthetic_waves()
    inputs = tuple(np.asarray(spec.compute(wave), dtype=np.float32) for wave in waves)
    stored = golden.Golden(waves, inputs, head.logits(inputs))
    kind = "utterance" if inputs[0].ndim == 1 else "frames"
    description = Description(
        name=str(recipe.get("recipe", corpus)),
        labels=tuple(map(str, classes)),
        features=feature_room.settings(spec),
        kind=kind,
        dims=inputs[0].shape[-1],
        sample_rate=RATE,
        temperature=float(temperature),
        thresholds=dict(thresholds or {}),
        training={"corpus": corpus, "speakers": sorted(map(str, training_speakers))},
        score=None if scores is None else {k: v for k, v in scores.items() if k not in LEFT_OUT},
        recipe=recipe,
        licences=_licences(str(features.get("name")), licences),
        versions=_versions(spec),
    )
    if stored.logits.shape[1] != len(description.labels):
        raise UsageError(
            f"the head gives {stored.logits.shape[1]} logits, and there are {len(description.labels)} classes"
        )
    model = graph_of(head, kind, description.dims)
    _check_agreement(Bundle(description, spec, model), stored)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:100]}."))
    try:
        _write(part, description, model, stored)
        # Whatever a user's machine would refuse is refused here first.
        load(part)
        part.chmod(0o755)
        _put(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _check_target(target: Path, force: bool) -> None:
    """Refuse an existing folder, with ``force`` unless it is a bundle and nothing else, or empty."""
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise UsageError(f"{target} exists; choose another name or give --force")
    if target.is_symlink() or not target.is_dir():
        raise UsageError(f"{target} is not a folder; choose another name")
    there = sorted(path.name for path in target.iterdir())
    if not there:
        return
    try:
        ours = {MANIFEST, *listed_files(target)}
    except UnheardError as error:
        raise UsageError(f"{target} is not a bundle, so --force does not replace it: {error}") from error
    strange = [name for name in there if name not in ours]
    if strange:
        raise UsageError(
            f"{target} holds what no bundle has ({first_five(strange)}), so --force does not replace it; "
            "choose another name"
        )


def _check_agreement(bundle: Bundle, stored: golden.Golden) -> None:
    """Compare graph and head, clip by clip and together."""
    alone = np.concatenate([bundle.logits([x]) for x in stored.features])
    for found, how in ((bundle.logits(stored.features), "together"), (alone, "alone")):
        far = golden.difference(found, stored.logits)
        if far > TOLERANCE:
            raise BundleError(
                f"the graph gives other logits than the head, by {far:.2g} for clips {how} "
                f"(at most {TOLERANCE:g}); nothing was written"
            )


def _write(folder: Path, description: Description, model: bytes, stored: golden.Golden) -> None:
    plain = to_plain(description)
    try:
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"a bundle's description holds plain finite values only: {error}") from error
    write_bytes(folder / "model.onnx", model)
    write_bytes(folder / "golden.npz", golden.pack(stored))
    write_json(folder / "bundle.json", plain)
    write_text(folder / "card.md", card(description))
    write_manifest(folder)


def _put(part: Path, target: Path) -> None:
    """Give the finished folder its name; an older bundle makes way for it, and comes back if that fails."""
    if not target.exists():
        part.rename(target)
        return
    aside = part.with_name(f"{part.name}.old")
    target.rename(aside)
    try:
        part.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    # File by file: had anything else got in meanwhile, it would stay, and so would the folder.
    for name in (MANIFEST, *FILES):
        (aside / name).unlink(missing_ok=True)
    aside.rmdir()


def _licences(features: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": "Apache-2.0",
        "features": FEATURE_LICENCES.get(features, "Apache-2.0 (own code)"),
        **given,
    }


def _versions(spec: Any) -> dict[str, str]:
    packages = ("unheard", "numpy", "onnx", "onnxruntime")
    found = {name: metadata.version(name) for name in packages}
    return {**found, "features": str(spec.version), "python": platform.python_version()}
