"""Recipes, and records of runs, in the form that they had before inputs were named.

There a recipe described its only input at the top level (``features`` or ``encoder``, ``layer``, ``store``,
``speeds``, ``noises``), an encoder could have the row of features ``beside`` its frames, and the heads of a
``committee`` took ranges of the joined ``dims``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unheard.errors import UsageError
from unheard.files import canonical_json
from unheard.formats import json_text

#: Fields that described the input.
FIELDS = ("features", "encoder", "layer", "store", "speeds", "noises")
#: Settings of heads that have other names now.
RENAMED = {"entries": "layers", "variants": "augmented", "members": "of"}
SECOND = "functionals"


def modern(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe of either form in the form with named inputs.

    Raises
    ------
    UsageError
        Its heads take parts of joined dims that are no inputs, or it mixes both forms.
    """
    result = dict(plain)
    if isinstance(plain.get("head"), Mapping):
        result["head"] = _head(plain["head"])
    if "inputs" in plain:
        old = [name for name in FIELDS if name in plain]
        if old:
            raise UsageError(
                f"recipe {plain.get('recipe', '')!r}: {', '.join(old)} is of the form before inputs were named; "
                "put what it says into one of the inputs"
            )
        return result
    given = {name: result.pop(name) for name in FIELDS if name in result}
    given = {name: value for name, value in given.items() if value not in (None, [], ())}
    inputs = {_name(given): _input(given)} if given else {}
    encoder = given.get("encoder")
    if isinstance(encoder, Mapping) and "beside" in encoder:
        own = {key: value for key, value in encoder.items() if key != "beside"}
        inputs["voice"]["encoder"] = own
        if encoder["beside"] is not None:
            inputs[SECOND] = _second(encoder["beside"], own.get("trim"), inputs["voice"])
    if "head" in result:
        result["head"] = _with_inputs(result["head"], inputs)
    order = [name for name in ("recipe", "about", "corpus", "protocol") if name in result]
    return {
        **{name: result[name] for name in order},
        **({"inputs": inputs} if inputs else {}),
        **{name: value for name, value in result.items() if name not in order},
    }


def modern_choice(chosen: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a fold of a run chose under the names of today.

    ``config`` is the recipe as the run wrote it. A layer that was chosen before the head is
    named by its input now.
    """
    result = {".".join(_renamed(part) for part in key.split(".")): value for key, value in chosen.items()}
    if "inputs" not in config and config.get("layer") == "salient" and "layer" in chosen:
        result["voice.layer"] = result.pop("layer")
    return result


def modern_state(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the stored arrays of a head under the names of today; a state of today is returned as it is.

    Enough for linear heads. Networks of that time did not store the sizes of their inputs; they are trained again.
    """
    result = {("layers_" if name == "entries_" else name): array for name, array in state.items()}
    if not {"settings", "chosen"} <= result.keys():
        return result
    said = {name: json_text.parse_object(str(result[name]), name) for name in ("settings", "chosen")}
    result["settings"] = np.array(canonical_json(_head(said["settings"])))
    result["chosen"] = np.array(canonical_json(modern_choice(said["chosen"], {})))
    return result


def _renamed(part: str) -> str:
    return "layer" if part == "entry" else part


def _name(given: Mapping[str, Any]) -> str:
    features = given.get("features")
    return "face" if isinstance(features, Mapping) and features.get("name") == "precomputed" else "voice"


def _input(given: Mapping[str, Any]) -> dict[str, Any]:
    names = {"features": "features", "encoder": "encoder", "layer": "layer", "store": "storage"}
    made = {names[name]: value for name, value in given.items() if name in names}
    speeds, noises = given.get("speeds", ()), given.get("noises", ())
    if isinstance(speeds, list | tuple) and isinstance(noises, list | tuple):
        augment = [{"speed": speed} for speed in speeds] + [_noise(noise) for noise in noises]
    else:
        augment = [speeds or noises]
    return {**made, "augment": augment} if augment else made


def _noise(noise: Any) -> Any:
    if not isinstance(noise, Mapping):
        return noise
    named = {("noise" if key == "kind" else key): value for key, value in noise.items()}
    return {key: "babble" if value == "voices" else value for key, value in named.items()}


def _second(beside: Any, trim: Any, first: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input that stood beside the frames of an encoder: of the same cut and augmented clips."""
    settings = {"name": beside} if isinstance(beside, str) else dict(beside)
    made: dict[str, Any] = {"features": {**settings, "trim": trim}}
    return {**made, "augment": first["augment"]} if "augment" in first else made


def _head(settings: Mapping[str, Any]) -> dict[str, Any]:
    head = {RENAMED.get(key, key): value for key, value in settings.items()}
    if head.get("name") == "committee":
        head["name"] = "ensemble"
    if isinstance(head.get("of"), list | tuple):
        head["of"] = [_head(one) if isinstance(one, Mapping) else one for one in head["of"]]
    return head


def _with_inputs(head: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the head with the input that each range of joined dims is now; an input without a head is dropped."""
    if head.get("name") == "ensemble" and isinstance(head.get("of"), list):
        if "encoder" in inputs.get("voice", {}):
            # Its heads took the frames of the last layer, whatever each asks for alone.
            inputs["voice"].setdefault("layer", "last")
        of = [_of_range(one, inputs) for one in head["of"]]
        if SECOND in inputs and not any(isinstance(one, dict) and one.get("input") == SECOND for one in of):
            del inputs[SECOND]
        return {**head, "of": of}
    if len(inputs) > 1:
        raise UsageError(
            f"head: {head.get('name')!r} took the frames of an encoder joined with a row of features; name two "
            "inputs, and an ensemble whose heads take one each"
        )
    return head


def _of_range(head: Any, inputs: Mapping[str, Any]) -> Any:
    if not isinstance(head, Mapping):
        return head
    dims = head.get("dims")
    if (dims is None) == (len(inputs) > 1):
        raise UsageError(
            f"head: {head.get('name')!r} took {'all' if dims is None else dims} of the joined dims; name the "
            "inputs apart, and for each head its own with 'input'"
        )
    if dims is None:
        return dict(head)
    own = {key: value for key, value in head.items() if key != "dims"}
    return {**own, "input": "voice" if dims[0] == 0 else SECOND}
