"""The figure of what knowing a voice brings, and its table."""

from __future__ import annotations

from unheard.report.figures.enrolment import enrolment_chart


def row(kind: str, clips: int | None, value: float, gain: float | None) -> dict[str, object]:
    whole = {"pooled": value, "low": value - 0.05, "high": value + 0.05}
    difference = {"value": gain, "low": (gain or 0) - 0.01, "high": (gain or 0) + 0.01}
    more = {} if gain is None else {"difference": difference, "before": value - gain}
    return {
        "kind": kind,
        "clips": clips,
        "n_speakers": 4,
        "n_clips": 90,
        "accuracy": whole,
        "uar": whole,
        **more,
    }


def test_every_number_of_known_clips_is_drawn_told_and_tabled() -> None:
    found = [row("clips", 0, 0.5, None), row("clips", 8, 0.625, 0.125), row("all", None, 0.75, 0.25)]
    chart = enrolment_chart("s0-enrolment", found)
    assert chart is not None
    assert [cells[0] for cells in chart.rows] == ["0", "8", "all"]
    assert "+12.5 [+11.5, +13.5]" in chart.rows[1]
    assert "any clips, 8: 62.5 percent." in chart.alt
    assert "the scored clips, all: 75.0 percent." in chart.alt
    assert chart.svg.count("<svg") == 1 and "neutral" not in chart.alt
    alone = enrolment_chart("s0-enrolment", found[-1:])
    assert alone is not None and len(alone.rows) == 1


def test_a_run_that_does_not_adapt_has_no_figure() -> None:
    assert enrolment_chart("s0-enrolment", []) is None
