"""What a page found, in plain words: the sentences that stand before every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from unheard.comparison.compare import Comparison
from unheard.comparison.wording import describe, unequal_training
from unheard.metrics.blocks import stored_dimensions
from unheard.metrics.categorical import confusion, per_class
from unheard.metrics.dimensional import MEAN
from unheard.metrics.formatting import counted, interval, number, percent
from unheard.metrics.speakers import per_speaker
from unheard.report.comparisons import Compared
from unheard.report.figures.confusion import commonest_confusion
from unheard.report.published import references
from unheard.report.system import System
from unheard.report.wording import gain, gain_interval, listed, meaning, points, printable


@dataclass(frozen=True)
class Finding:
    """One statement: ``kind`` is the word that stands before it, ``grave`` what no reader may miss."""

    kind: str
    text: str
    grave: bool = False


def findings(
    systems: Sequence[System], groups: Sequence[Compared], gaps: Sequence[Comparison]
) -> list[Finding]:
    """Return all statements of the page: what must be known first, then scores, then comparisons."""
    found: list[Finding] = []
    for system in systems:
        name = f"{printable(system.name)}: " if len(systems) > 1 else ""
        found += [Finding("warning", name + text, grave=True) for text in _doubts(system)]
        found += [Finding("stamp", f"{name}{s}: {meaning(s) or 'see the documentation'}.", grave=True)
                  for s in system.stamps]  # fmt: skip
        said = (_score(system), _dimensions(system), _distribution(system), _held_back(system))
        found += [Finding("score", name + text) for text in said if text]
        found += [Finding("weakest", name + text) for text in [_weakest(system)] if text]
        passed = certificate_of(system) == "passed"
        if not passed or len(systems) == 1:
            found.append(Finding("audit", name + _split(system), grave=not passed))
        # Of several systems these stand in their sections alone.
        found += [*_published(system), *remarks(system)] if len(systems) == 1 else []
    clips = {system.name: system.training_clips for system in systems}
    found += [Finding("leakage", _leakage_gap(c, clips.get(c.a), clips.get(c.b))) for c in gaps]
    found += [Finding("comparison", text) for group in groups for text in _compared(group)]
    if len(systems) > 1 and len({s.protocol_hash for s in systems}) > 1:
        found.append(
            Finding("note", "Scores of different protocols stand here side by side and are not compared.")
        )
    # A number and its sign stay on one line.
    return [replace(f, text=f.text.replace(" %", "\u00a0%")) for f in found]


def _published(system: System) -> list[Finding]:
    return [Finding("published", other.words) for other in references(system)]


def remarks(system: System) -> list[Finding]:
    """Return the statements of the second rank: women and men, where scores vary, probabilities."""
    said = {
        "fusion": _fusion(system),
        "gender": _gender(system),
        "spread": _variance(system),
        "probabilities": _calibration(system),
    }
    return [Finding(kind, text) for kind, text in said.items() if text]


def certificate_of(system: System) -> str:
    """State the certificate in two or three words."""
    if system.certificate is None:
        return "none"
    return "passed" if system.certificate.get("passed") else "failed"


def baseline(system: System, which: str, metric: str) -> float | None:
    """Read a baseline, ``chance`` or ``majority``, stored as a number, as scores, or as estimates of scores."""
    value: Any = (system.results.get("baselines") or {}).get(which)
    if isinstance(value, Mapping):
        value = value.get(metric)
    elif metric != "accuracy":
        value = None
    if isinstance(value, Mapping):
        value = value.get("pooled")
    if value is None and which == "chance" and system.rows.classes:
        value = 1 / len(system.rows.classes)
    return None if value is None else float(value)


def _score(system: System) -> str | None:
    if system.metric("accuracy") is None:
        return None
    clips = system.labelled.frame["id"].n_unique()
    ends = interval(system.metric("accuracy", "low"), system.metric("accuracy", "high"))
    sure, who = _sure(system, ends), _who(system)
    majority = baseline(system, "majority", "accuracy")
    against = f"chance is {percent(baseline(system, 'chance', 'accuracy'))} %"
    against += f", always giving the commonest class {percent(majority)} %" if majority is not None else ""
    return (
        f"{percent(system.metric('accuracy'))} % of {counted(clips, 'clip')} by {who} are predicted correctly "
        f"({sure}); {against}. UAR is {percent(system.metric('uar'))} % "
        f"{interval(system.metric('uar', 'low'), system.metric('uar', 'high'))}."
    )


def _weakest(system: System) -> str | None:
    """Name the class and the speaker that are recognised least, and the commonest confusion."""
    rows = system.labelled
    if not len(rows.label):
        return None
    counts = confusion(rows.label, rows.predicted, len(rows.classes)).astype(np.float64)
    scores = per_class(counts)
    spoken = [c for c in range(len(rows.classes)) if scores.support[c] > 0]
    worst = min(spoken, key=lambda c: scores.recall[c])
    clips = scores.support[worst] / system.seeds
    text = (
        f"Recognised least: {printable(rows.classes[worst])} ({percent(scores.recall[worst])} % of "
        f"{clips:,.0f} clips)"
    )
    speakers = per_speaker(system.clean)
    if len(speakers) > 1:
        least = speakers.sort("accuracy", "speaker").row(0, named=True)
        text += (
            f" and speaker {printable(least['speaker'])} ({percent(least['accuracy'])} % of "
            f"{counted(least['n'], 'clip')})"
        )
    mistake = commonest_confusion(counts, rows.classes)
    return text + "." + ("" if mistake is None else f" The commonest confusion: {mistake.words}.")


def _dimensions(system: System) -> str | None:
    """Return how well dimensions are predicted: the mean CCC with its interval, and each."""
    names = stored_dimensions(system.results)
    if not names:
        return None
    mean = f"{MEAN}.ccc"
    ends = interval(system.metric(mean, "low"), system.metric(mean, "high"), in_percent=False)
    each = listed(f"{name} {number(system.metric(f'{name}.ccc'))}" for name in names)
    absolute = listed(f"{name} {number(system.metric(f'{name}.mae'))}" for name in names)
    of = "The mean CCC of dimensions" if len(names) > 1 else f"CCC of {names[0]}"
    return (
        f"{of} over {counted(system.rows.frame['id'].n_unique(), 'clip')} by {_who(system)} is "
        f"{number(system.metric(mean))} ({_sure(system, ends)})"
        + (f": {each}" if len(names) > 1 else "")
        + f". The mean absolute error on a scale from 0 to 1 is {absolute}."
    )


def _distribution(system: System) -> str | None:
    """Return how far the probabilities are from the shares of the graders' votes."""
    if system.metric("kl") is None:
        return None
    ends = interval(system.metric("kl", "low"), system.metric("kl", "high"), in_percent=False)
    return (
        f"Against the shares of the graders' votes, the KL divergence of the probabilities is "
        f"{number(system.metric('kl'))} ({_sure(system, ends)}; smaller is better) and their cosine "
        f"{number(system.metric('cosine'))}."
    )


def _sure(system: System, ends: str) -> str:
    over = "" if system.results.get("n_speakers") else " over clips"
    return f"95 % interval{over} {ends}" if ends.startswith("[") else "no interval, for want of speakers"


def _who(system: System) -> str:
    speakers = system.results.get("n_speakers")
    return counted(speakers, "speaker") if speakers else "speakers who are unknown"


def _split(system: System) -> str:
    trained = system.results.get("n_train_speakers")
    refit = ", validation speakers included" if system.results.get("refit") == "val" else ""
    how = (
        f"Protocol {printable(system.protocol) or 'unknown'}, "
        f"{counted(trained, 'training speaker') if trained else 'an unknown number of training speakers'}{refit}. "
    )
    certificate = system.certificate
    if certificate is None:
        return how + "There is no certificate: nothing has checked this split."
    notes = [f for f in certificate.get("findings") or () if f.get("severity") != "information"]
    said = listed(f"{printable(f.get('code'))} ({f.get('severity')}, {f.get('count')})" for f in notes[:6])
    if certificate.get("passed"):
        rest = f" It found {said}." if said else ""
        return how + "The audit of table and split passed." + rest
    return how + f"The audit of table and split failed: {said or 'see the findings below'}."


def _doubts(system: System) -> list[str]:
    """Return what would make a careful reader stop."""
    found = []
    answered = system.rows.answered
    if not answered.all():
        silent = system.rows.frame["id"].filter(~answered).n_unique()
        found.append(
            f"{counted(silent, 'clip')} got no prediction (unreadable recordings): each counts as an error."
        )
    missing = system.results.get("incomplete") or ()
    if missing:
        said = listed(printable(m, 80) for m in list(missing)[:3])
        found.append(f"This run is incomplete: {said}{' and more' if len(missing) > 3 else ''}.")
    right = system.labelled.frame.group_by("seed").agg(pl.col("right").mean())["right"].mean()
    stored = system.metric("accuracy")
    if stored is not None and isinstance(right, float) and abs(right - stored) > 1e-6:
        found.append(
            f"The stored results do not fit the predictions: accuracy {percent(stored)} % is stored, "
            f"{percent(right)} % follows from the predictions. Score the run again."
        )
    leaky = "LEAKY" in system.stamps
    if system.certificate is not None and system.certificate.get("passed") and leaky:
        found.append(
            "The score is stamped LEAKY but the stored certificate passed; one of them is out of date."
        )
    return found


def _held_back(system: System) -> str | None:
    held = system.results.get("held_back")
    score = ((held or {}).get("metrics") or {}).get("accuracy")
    if not held or not score:
        return None
    return (
        f"On the {len(held['speakers'])} speakers on whom development was evaluated least, accuracy is "
        f"{percent(score.get('pooled'))} % {interval(score.get('low'), score.get('high'))}."
    )


def _fusion(system: System) -> str | None:
    """Say how often the fusion was at least as good as its best system on test, and by how much."""
    fusion = system.results.get("fusion")
    if not fusion:
        return None
    how = {
        "fitted": "Weights and temperatures are fitted on the validation speakers of each fold, where it is never "
        "less accurate than its best system.",
        "equal": "Weights are equal, fixed in advance; nothing is fitted.",
    }.get(fusion["weights"], "Weights and temperatures are fitted on the test rows of other folds.")
    if "method" in fusion and fusion["weights"] == "fitted":
        how = "It is fitted on the validation speakers of each fold."
    systems = listed(printable(name) for name in fusion["members"])
    by = "validation" if fusion["chosen_by"] == "validation" else "test, which favours it"
    held = (
        f"On test it was at least as accurate as its best system (the best by {by}) in {fusion['held']} of "
        f"{fusion['of']} folds and seeds."
    )
    paired = printable(" ".join(describe(Comparison.from_dict(fusion["comparison"])).splitlines()[:2]))
    method = f" by the method {printable(fusion['method'])}" if "method" in fusion else ""
    said = [f"A late fusion of {systems}{method}.", how, held, paired]
    gaps = [
        f"{printable(name)} gave no prediction to {counted(clips, 'clip')}"
        for name, clips in fusion["unanswered"].items()
    ]
    if gaps:
        said.append(f"{listed(gaps)}; there the others predict by themselves.")
    return " ".join(said)


def _gender(system: System) -> str | None:
    groups = (system.results.get("groups") or {}).get("gender") or {}
    gap = (groups.get("difference") or {}).get("accuracy")
    if not gap or gap.get("pooled") is None:
        return None
    women, men = (percent(groups[g]["accuracy"]["pooled"]) for g in ("female", "male"))
    low, high = gap.get("low"), gap.get("high")
    text = f"Women {women} %, men {men} %: a difference of {points(gap['pooled'])} points"
    if low is None or high is None:
        return f"{text}, without an interval."
    zero = "which excludes 0" if low > 0 or high < 0 else "which includes 0"
    return f"{text}, 95 % interval [{points(low)}, {points(high)}], {zero}."


def _variance(system: System) -> str | None:
    parts = system.results.get("variance") or {}
    names = (("speaker", "speakers"), ("fold", "folds"), ("seed", "seeds"))
    said = [
        f"{percent(parts[key] ** 0.5)} between {name}" for key, name in names if parts.get(key) is not None
    ]
    return f"Standard deviation of accuracy, in points: {listed(said)}." if said else None


def _calibration(system: System) -> str | None:
    if system.metric("ece") is None:
        return None
    return (
        f"ECE {number(system.metric('ece'))}, NLL {number(system.metric('nll'))}, "
        f"Brier {number(system.metric('brier'))} (smaller is better)."
    )


def _compared(group: Compared) -> list[str]:
    """Return the verdict of each pair; of more than six pairs, their number and the supported ones."""
    where = f"On {printable(group.protocol)}: "
    if len(group.pairs) <= 6:
        return [where + printable(" ".join(describe(c).splitlines()[:2])) for c in group.pairs]
    shown = [c for c in group.pairs if c.supported]
    said = [f"{where}{len(shown)} of {len(group.pairs)} differences are supported."]
    return said + [where + printable(describe(c).splitlines()[0]) for c in shown]


def _leakage_gap(c: Comparison, leaky: float | None, independent: float | None) -> str:
    ends = "without an interval" if c.low is None else f"95 % interval {gain_interval(c)}"
    unit = " points" if c.metric == "accuracy" else ""
    return (
        f"{printable(c.a)}, which was trained on its test speakers, scores {gain(c, c.difference)}{unit} against "
        f"{printable(c.b)}, which was not: {ends}. "
        + (
            "That much of the leaky score is no skill with unheard people."
            if c.low is not None and c.low > 0
            else "A leakage gap is not shown."
        )
        + (f" {said}" if (said := unequal_training(leaky, independent)) else "")
    )
