"""``card.md``: what a bundle is, for whoever is about to use it.

Written from ``bundle.json`` alone. What the score has is shown; what it lacks is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unheard.bundle.encoder_schema import EncoderDescription, NetworkDescription
from unheard.bundle.schema import Description, Input
from unheard.bundle.text_schema import TextEncoderDescription
from unheard.errors import first_five
from unheard.inputs import Form
from unheard.protocols.fold_assignment import LEAVE_CORPUS

_NAMES = {
    "accuracy": "accuracy",
    "uar": "UAR",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "ece": "ECE",
    "nll": "NLL",
    "brier": "Brier",
    "recall": "recall",
    "precision": "precision",
    "f1": "F1",
    "n": "clips",
    "n_clips": "clips",
    "n_speakers": "speakers",
}
_PLAIN = ("ece", "nll", "brier", "n")

#: Of the recipe, what a reader of the card should know.
_TOLD = {"about": "Recipe", "teacher": "Teacher of the encoder", "command": "Made by the command"}

_USE = """\
## Intended use

Research on and teaching about expressed emotion; software in which people choose to have their own
recordings analysed and can see, correct and delete the result. The prediction is the **perceived expression**
that listeners or actors gave recordings like those of the training corpus. It is **not inner state**: it
does not say what somebody feels, means, intends or is.

## Not to be used

- **At work or in education.** Article 5(1)(f) of Regulation (EU) 2024/1689 (AI Act) prohibits, since
  2 February 2025, placing on the market, putting into service for this purpose, or using AI systems that
  infer emotions of persons in the areas of workplace and education institutions, except for medical or
  safety reasons. Call centres, job interviews, examinations, and the monitoring of employees or pupils are
  such areas. Elsewhere in the Union emotion recognition from voices counts as high-risk (Annex III, 1(c)),
  and people exposed to it must be told (Article 50(3)). Data protection law applies besides. This is no
  legal advice.
- For decisions about people: hiring, policing, migration, credit, insurance, lie detection, diagnosis.
- On people who have not agreed, or who cannot know that it happens.
"""

_KNOWN = """
- By known-clips.npz the recordings that it was trained on are known again under any name, and a score on one of
  them says so. Of each the file keeps up to 48 landmarks in 192 bytes (hashes of peaks of its spectrum, and their
  times): no samples, no names, and no sound can be made of them. To whoever has a recording it does tell whether
  that was among them."""

_READING = """

Which licences weights take over from the recordings and networks that they were made of, and that these licences
go together, is our reading, and no legal advice."""

_LIMITS = """\
## Limits

- Scores hold for people, languages, recordings and ways of acting like those of the corpus. Acted emotion
  is clearer than everyday speech. On other corpora scores are lower, down to chance, and probabilities
  may promise more than is kept there: score it on recordings like yours first (unheard score).
- The labels are not the range of human expression: whatever is said, one of them is predicted.
- Recordings that are silent, constant, shorter than 0.1 s or not finite get no label. Noise, rooms,
  telephones and clipping change predictions; what is seen of them in a recording is flagged.
- Probabilities hold no better than the calibration measured above.
- People differ: the mean over people hides that some are recognised far less well.
"""


def card(description: Description, *, knows_clips: bool = False) -> str:
    """Return the card in Markdown; ``knows_clips`` says that the bundle keeps ``known-clips.npz``."""
    d = description
    parts = [
        f"# {_plain(d.name)}",
        _about(d),
        _data(d) + (_KNOWN if knows_clips else ""),
        _score(d.score),
        _USE.rstrip(),
        _LIMITS.rstrip(),
        "## Licences\n\n" + "\n".join(_licence(layer, text) for layer, text in d.licences.items()) + _READING,
        "## Made with\n\n" + "\n".join(f"- {_plain(k)} {_plain(v)}" for k, v in d.versions.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _about(d: Description) -> str:
    classes, dimensions = (", ".join(map(_plain, names)) for names in (d.target.classes, d.target.dimensions))
    said = []
    if classes:
        said.append(
            f"one of {len(d.target.classes)} labels for a recording, with probabilities that were calibrated on "
            f"{_calibrated_on(d)}. Labels, in the order of probabilities: {classes}."
        )
    if dimensions:
        said.append(f"{'Also ' if classes else ''}values on [0, 1] of: {dimensions}.")
    if d.target.of == "votes":
        said.append("Probabilities are the shares of listeners who would choose a label.")
    return "Speech emotion recognition: " + " ".join(said)


def _calibrated_on(d: Description) -> str:
    if (d.score or {}).get("protocol") == LEAVE_CORPUS:
        return "corpora from which the models of the folds had learned nothing"
    return "validation speakers of its corpus"


def _data(d: Description) -> str:
    speakers: Sequence[str] = d.training["speakers"]
    listed = f" ({_plain(first_five(speakers))}; all are in bundle.json)" if speakers else ", or unknown ones"
    lines = [
        f"- Corpus: {_plain(d.training.get('corpus') or 'unknown')}",
        f"- Speakers that it was trained on: {len(speakers)}{listed}. A score on any of them is contaminated.",
        *_others(d.training.get("others", {})),
        *(_input(name, each) for name, each in d.inputs.items()),
        *(["- A clip that lacks an input is answered from the others."] if d.missing else []),
        *([f"- Temperature: {d.temperature:.4g}"] if d.target.classes else []),
        *(_threshold(d.thresholds) if d.target.classes else []),
        *(f"- {label}: {_plain(d.recipe[key])}" for key, label in _TOLD.items() if d.recipe.get(key)),
        *_changed(d.recipe.get("changed")),
        *_training_range(d.training_range),
        *_adaptation(list(d.adaptation)),
    ]
    if d.weights != "float32":
        lines.append(f"- Weights: stored as {d.weights}, computed with as float32")
    if d.channel is not None:
        lines.append(
            f"- Of recordings with several channels the one numbered {d.channel} is taken, counted from 0."
        )
    return "\n".join(["## Data", "", *lines])


def _adaptation(inputs: Sequence[str]) -> list[str]:
    if not inputs:
        return []
    named = _plain(", ".join(inputs))
    said = (
        f"- Gets to know a voice from a few clips without labels (unheard enrol): {named} measured by what is "
        "usual of the speaker, and not of the training speakers. The scores of this card know nobody.\n"
        "- A profile of a voice holds no sound, and is biometric data all the same: make one only of people who "
        "have agreed, and delete it when they ask."
    )
    return [said]


def _changed(fields: Any) -> list[str]:
    """Say which fields of the named recipe were changed, so that its description is not taken for this model."""
    if not isinstance(fields, Mapping) or not fields:
        return []
    return [f"- Changed in that recipe: {_plain(', '.join(fields))}"]


def _others(corpora: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"- Of {_plain(corpus)} too, {len(known)} speakers ({_plain(first_five(known))}): this model, an "
        "encoder or earlier training was trained on them. A score on any of them is contaminated."
        for corpus, known in corpora.items()
    ]


def _threshold(thresholds: Mapping[str, float]) -> list[str]:
    if "confidence" not in thresholds:
        return ["- Predictions are given however unsure."]
    share = (
        f": {100 * thresholds['coverage']:.3g} % of the clips that it was calibrated on did"
        if "coverage" in thresholds
        else ""
    )
    required = f"{100 * thresholds['confidence']:.1f} %"
    return [f"- A prediction is withheld unless its probability reaches {required}{share}."]


def _training_range(ranges: Mapping[str, tuple[float | None, float | None]]) -> list[str]:
    if not ranges:
        return ["- No recording is warned of for being unlike those of the training."]
    units = {"bandwidth": " Hz", "snr": " dB", "speech": " of the time", "seconds": " s"}
    words = []
    for name, ends in ranges.items():
        bounds = zip(("from", "to"), ends, strict=True)
        said = [f"{word} {end:g}{units[name]}" for word, end in bounds if end is not None]
        words.append(f"{name} {' '.join(said)}")
    return [
        f"- Warns of recordings outside these ranges of the training clips (1 to 99 %): {'; '.join(words)}."
    ]


def _input(name: str, each: Input) -> str:
    if each.words is not None:
        return _words(name, each, each.words)
    if each.encoder is not None:
        return _encoder(name, each, each.encoder)
    shape = "one row a recording" if each.form is Form.ROW else "frames"
    features = _plain((each.features or {}).get("name"))
    return f"- Input {name}, features: {features}, {each.dims} dims, {shape}, from {each.rate} Hz mono"


def _encoder(name: str, each: Input, e: EncoderDescription) -> str:
    taken_from = "the waveform" if e.frontend is None else f"{_plain(e.frontend.get('name'))} frames"
    return _network(name, each, e, f"{taken_from} of {e.rate} Hz mono")


def _words(name: str, each: Input, e: TextEncoderDescription) -> str:
    before = f" and up to {e.context} turns before it" if e.context else ""
    return _network(name, each, e, f"what was said{before}, at most {e.longest} tokens")


def _network(name: str, each: Input, e: NetworkDescription, taken_from: str) -> str:
    weights = f"**RANDOM WEIGHTS** ({e.weights}: it has learned nothing)" if e.random else "pretrained"
    taken = "mean and deviation over frames" if each.form is Form.POOLED else "the frames"
    used = ", ".join(e.layers[k] for k in e.needed)
    cut = "" if e.cut is None else f"; nothing above layer {e.cut} is there"
    return (
        f"- Input {name}, a frozen encoder: {_plain(e.source)} (family {_plain(e.name)}), {weights}, "
        f"{_millions(e.parameters)} parameters{cut}. It takes {taken_from}; the head takes "
        f"{taken} of: {_plain(used)}.\n"
        f"- SHA-256 of the weights of {name}: {_plain(e.sha256 or 'unknown')}"
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:.3g} million" if count >= 10_000 else str(count)


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "## Score\n\nNot scored: nothing is known about how often this model is right."
    stamps = ", ".join(f"**{_plain(stamp)}**" for stamp in score.get("stamps", ()))
    count = score.get("n_train_speakers")
    protocol, refit = _plain(score.get("protocol", "unknown")), _plain(score.get("refit", "unknown"))
    trained_on = f"{count} speakers" if count else "an unknown number of speakers"
    # A stamp changes what was measured, and the sentence must not say otherwise.
    others = "tested on others"
    if "UNVERIFIED" in stamps:
        others = "tested on clips of speakers nobody knows: they may have been trained on"
    if "LEAKY" in stamps:
        others = (
            "tested on speakers of whom other clips were trained on: it says nothing about unheard people"
        )
    measured = (
        f"Protocol {protocol} (hash {_plain(score.get('protocol_hash', 'unknown'))[:12]}), refit: {refit}. This "
        f"is the score of the models of the folds, each trained on {trained_on} and {others}; the model in "
        "this bundle may have been trained on more (above)."
    )
    lines = ["## Score", measured]
    if stamps:
        lines.append(f"Stamps: {stamps}. A stamped score does not compare with one without.")
    metrics = score.get("metrics") or {}
    rows = [
        (
            _NAMES.get(name, name),
            _number(name, m.get("pooled")),
            _interval(name, m),
            _number(name, m.get("mean")),
            _number(name, m.get("sd")),
        )
        for name, m in metrics.items()
        if isinstance(m, Mapping)
    ]
    headings = (
        "metric",
        "over all test clips",
        "95 % of it, over speakers",
        "mean over folds",
        "sd over folds",
    )
    lines.append(_table(headings, rows))
    for title, groups in _groupings(score):
        lines.append(f"### By {_plain(title)}")
        lines.append(_group_table(title, groups))
    if not any(title == "emotion" for title, _ in _groupings(score)):
        lines.append("Scores by emotion: unknown.")
    return "\n\n".join(lines)


def _groupings(score: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return tables of scores by emotion and by whatever groups the results have (gender)."""
    found = []
    if isinstance(score.get("per_class"), Mapping):
        found.append(("emotion", score["per_class"]))
    for name, groups in (score.get("groups") or {}).items():
        if isinstance(groups, Mapping) and groups:
            found.append((name, groups))
    return found


def _group_table(title: str, groups: Mapping[str, Any]) -> str:
    flat = {group: _flat(scores) for group, scores in groups.items() if isinstance(scores, Mapping)}
    columns = list(dict.fromkeys(name for scores in flat.values() for name in scores))
    rows = [(group, *(_number(name, scores.get(name)) for name in columns)) for group, scores in flat.items()]
    return _table((title, *(_NAMES.get(name, name) for name in columns)), rows)


def _flat(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return one number for each metric: the score over all test clips where an estimate has several."""
    return {
        name: value.get("pooled", value.get("mean")) if isinstance(value, Mapping) else value
        for name, value in scores.items()
    }


def _number(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else str(value)
    if name in _PLAIN or name.startswith("n_"):
        return f"{value:g}" if isinstance(value, int) else f"{value:.3f}"
    return f"{100 * value:.1f} %"


def _interval(name: str, metric: Mapping[str, Any]) -> str:
    # The interval of the calibration error lies too high (docs/metrics.md): the error may be outside it.
    if name == "ece":
        return "-"
    low, high = metric.get("low"), metric.get("high")
    return "-" if low is None or high is None else f"{_number(name, low)} … {_number(name, high)}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(header)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _licence(layer: str, text: Any) -> str:
    texts = text if isinstance(text, list) else [text]
    return f"- {_plain(layer)}: {_plain('; '.join(map(str, texts)) or 'unknown')}"


def _plain(value: object) -> str:
    """Return text that cannot break a table or become markup."""
    text = " ".join(str(value).split())
    for mark in ("\\", "|", "`", "<", ">", "[", "]"):
        text = text.replace(mark, "\\" + mark) if mark not in "<>`" else text.replace(mark, " ")
    return text
