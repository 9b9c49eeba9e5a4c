"""The forms of other programs, each read back by a reader that knows nothing of its writer."""

from __future__ import annotations

import base64
import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from unheard import presenting
from unheard.presenting.shown import Shown

sys.path.insert(0, str(Path(__file__).parents[1] / "audio"))
from signals import RATE, voice

CLASSES = ("happy", "sad", "Ärger <&>")


def step(start: float, end: float, shares: tuple[float, ...], label: str | None, *flags: str, **more: object):
    probabilities = dict(zip(CLASSES, shares, strict=True)) if shares else None
    return {
        "start": start, "end": end, "label": label, "probabilities": probabilities, "flags": list(flags), **more
    }  # fmt: skip


SUMMARY = {
    "seconds": 8.0, "answered": 5.0, "shares": dict(zip(CLASSES, (0.5, 0.3, 0.2), strict=True)),
    "flags": ["noisier"],
}  # fmt: skip
TIMELINE = [
    step(1.0, 2.5, (0.7, 0.2, 0.1), "happy"),
    step(2.5, 4.0, (0.4, 0.35, 0.25), None, "unsure", "shorter"),
    step(5.0, 7.0, (0.1, 0.1, 0.8), "Ärger <&>"),
    step(7.25, 7.5, (), None, "no_features"),
]
WORDS = 'I said: "no" --> <b>never</b>\n\nagain'
SEGMENTS = [
    step(
        5.0,
        7.0,
        (0.1, 0.1, 0.8),
        "Ärger <&>",
        speaker='A "x" > y',
        text='I said: "no" --> <b>never</b>\n\nagain',
    ),
    step(1.0, 2.5, (0.7, 0.2, 0.1), "happy", speaker="B\n2", text="hello & welcome"),
    step(2.0, 6.0, (), None, "no_speech", speaker="B\n2", text="(noise)"),
]


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shown") / "a <call> & more.wav"
    wave = np.concatenate([np.zeros(4 * RATE, np.float32), voice(4.0)])
    soundfile.write(path, np.clip(wave, -1, 1), RATE)
    return path


@pytest.fixture
def timeline(wav: Path) -> Shown:
    row = {"path": str(wav), "timeline": TIMELINE, "summary": SUMMARY}
    return Shown.of(str(wav), row, model="small")


@pytest.fixture
def segments(wav: Path) -> Shown:
    speakers = {each["speaker"]: SUMMARY for each in SEGMENTS[:2]}
    row = {"path": str(wav), "segments": SEGMENTS, "summary": SUMMARY, "speakers": speakers}
    return Shown.of(str(wav), row, model="small")


def text(shown: Shown, form: str) -> str:
    return presenting.content(shown, form).decode()


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def cues(content: str) -> list[tuple[float, float, str]]:
    """Read the cues of SRT or WebVTT: blocks parted by empty lines, of which one line has an arrow."""
    found = []
    for block in re.split(r"\n\n+", content.strip()):
        lines = block.split("\n")
        arrows = [k for k, line in enumerate(lines) if "-->" in line]
        if arrows:
            assert len(arrows) == 1
            start, end = lines[arrows[0]].split(" --> ")
            found.append((seconds(start), seconds(end), "\n".join(lines[arrows[0] + 1 :])))
    return found


def test_subtitles_of_a_timeline(timeline: Shown) -> None:
    srt = text(timeline, ".srt")
    assert cues(srt) == [
        (1.0, 2.5, "happy 70 %"), (2.5, 4.0, "unsure (happy 40 %)"), (5.0, 7.0, "Ärger <&> 80 %")
    ]  # fmt: skip
    assert re.findall(r"^\d+$", srt, re.MULTILINE) == ["1", "2", "3"]
    assert re.fullmatch(r"\d\d:\d\d:\d\d,\d\d\d --> \d\d:\d\d:\d\d,\d\d\d", srt.split("\n")[1])
    vtt = text(timeline, ".vtt")
    assert vtt.startswith("WEBVTT\n\n") and "00:00:05.000 --> 00:00:07.000\nÄrger &lt;&amp;&gt; 80 %\n" in vtt


def test_subtitles_with_speakers_and_words(segments: Shown) -> None:
    assert cues(text(segments, ".srt"))[0] == (1.0, 2.5, "B 2: happy 70 %\nhello & welcome")
    found = cues(text(segments, ".vtt"))
    assert found[1] == (2.0, 6.0, "<v B 2>no prediction\n(noise)")
    assert found[2][2] == (
        '<v A "x" &gt; y>Ärger &lt;&amp;&gt; 80 %\nI said: "no" → &lt;b&gt;never&lt;/b&gt; again'
    )


def tiers(content: str) -> dict[str, list[tuple[float, float, str]]]:
    """Read a TextGrid as Praat does: numbers and quoted texts in their order, whatever stands between them."""
    tokens = re.findall(r'"(?:[^"]|"")*"|(?<![\w\[])-?\d+(?:\.\d+)?(?![\w\]])|<exists>', content)
    values = iter(tokens)

    def quoted() -> str:
        return next(values)[1:-1].replace('""', '"')

    assert (quoted(), quoted()) == ("ooTextFile", "TextGrid")
    whole = float(next(values)), float(next(values))
    assert next(values) == "<exists>"
    found = {}
    for _ in range(int(next(values))):
        assert quoted() == "IntervalTier"
        name = quoted()
        assert (float(next(values)), float(next(values))) == whole
        found[name] = [(float(next(values)), float(next(values)), quoted()) for _ in range(int(next(values)))]
    assert next(values, None) is None
    return found


def test_a_text_grid_covers_the_recording(timeline: Shown, segments: Shown) -> None:
    assert tiers(text(timeline, ".TextGrid")) == {
        "emotion": [
            (0, 1, ""), (1, 2.5, "happy 70 %"), (2.5, 4, "unsure (happy 40 %)"), (4, 5, ""),
            (5, 7, "Ärger <&> 80 %"), (7, 7.25, ""), (7.25, 7.5, "no prediction"), (7.5, 8, ""),
        ]
    }  # fmt: skip
    found = tiers(text(segments, ".TextGrid"))
    assert list(found) == ["B 2", "B 2 words", 'A "x" > y', 'A "x" > y words']
    # Two pieces of one speaker overlap: the later one begins where the first ends.
    assert [row[:2] for row in found["B 2"]] == [(0, 1), (1, 2.5), (2.5, 6), (6, 8)]
    assert found['A "x" > y words'][1] == (5, 7, 'I said: "no" --> <b>never</b> again')
    longer = replace(segments, spans=(*segments.spans, replace(segments.spans[0], start=7, end=8.2)))
    assert [rows[-1][1] for rows in tiers(text(longer, ".TextGrid")).values()] == [8.2] * 4


def test_labels_of_audacity(segments: Shown) -> None:
    rows = [line.split("\t") for line in text(segments, ".labels.txt").splitlines()]
    assert [(float(start), float(end)) for start, end, _ in rows] == [(1, 2.5), (2, 6), (5, 7)]
    assert rows[0][2] == "B 2: happy 70 % · hello & welcome"
    assert rows[1][2] == "B 2: no prediction (no_speech) · (noise)"


def test_a_picture_has_the_probabilities_in_place(timeline: Shown, segments: Shown) -> None:
    root = ElementTree.fromstring(text(timeline, ".svg"))
    name = "{http://www.w3.org/2000/svg}"
    spans = [each for each in root.iter(f"{name}rect") if each.get("class") == "span"]
    assert [(float(each.get("x")), float(each.get("width"))) for each in spans] == [
        (125, 187.5), (312.5, 187.5), (625, 250), (906.25, 31.25)
    ]  # fmt: skip
    assert spans[1][0].text == "0:02.5: unsure (happy 40 %) (shorter)"
    paths = {each.get("fill"): each.get("d") for each in root.iter(f"{name}path") if each.get("fill")}
    heights = [float(height) for height in re.findall(r"h187\.50v([\d.]+)", paths["#e6b800"])]
    assert heights == pytest.approx([63, 11, 36, 11])  # 70 % and 40 % of 90, and the bands of both labels
    assert len([each for each in root.iter(f"{name}rect") if each.get("fill") == "url(#unsure)"]) == 1
    wave = next(each for each in root.iter(f"{name}path") if each.get("class") == "wave")
    upper = [float(y) for y in re.findall(r"\d+ ([\d.]+)", wave.get("d"))[:1000]]
    assert np.ptp(upper[:490]) == 0 and min(upper[510:]) == 2.0  # silence, then the loudest reaches the top
    assert len([each for each in ElementTree.fromstring(text(segments, ".svg")).iter(f"{name}rect")
                if each.get("class") == "pause"]) == 2  # fmt: skip


def test_a_bitmap(segments: Shown) -> None:
    pytest.importorskip("matplotlib")
    import matplotlib.image

    pixels = matplotlib.image.imread(io.BytesIO(presenting.content(segments, ".png")))
    assert pixels.shape[1] == 1600 and len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of those that are asked for."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self._cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.cells[-1][-1] += data


def test_a_page_holds_everything_and_loads_nothing(segments: Shown) -> None:
    page = text(segments, ".html")
    elements = Elements(page)
    assert elements.cells[0] == ["from", "to", "speaker", "answer", "words", "flags"]
    assert elements.cells[3] == [
        "0:05.0", "0:07.0", 'A "x" > y', "Ärger <&> 80 %", 'I said: "no" --> <b>never</b> again', ""
    ]  # fmt: skip
    sources = [value for _, each in elements.found for name, value in each.items() if name in ("src", "href")]
    (sound,) = sources
    assert sound is not None and sound.startswith("data:audio/mpeg;base64,")
    decoded, rate = soundfile.read(io.BytesIO(base64.b64decode(sound.partition(",")[2])))
    assert rate == RATE and 8.0 <= len(decoded) / rate < 8.2
    assert not re.search(r"https?://(?!www\.w3\.org)|@import|url\((?!#)", page)
    assert "default-src 'none'" in page
    assert len(page) - len(sound) < 60_000
    buttons = [each for tag, each in elements.found if tag == "button"]
    assert [each["aria-label"] for each in buttons] == [
        "listen from 0:01.0", "listen from 0:02.0", "listen from 0:05.0"
    ]  # fmt: skip
    assert "b <never" not in page and "<b>never" not in page


def test_a_model_of_dimensions_and_a_recording_without_speech(wav: Path) -> None:
    spans = [{**step(1.0, 3.0, (), None), "dimensions": {"arousal": 0.75, "valence": 0.25}}]
    summary = {**SUMMARY, "shares": None, "dimensions": {"arousal": 0.75, "valence": 0.25}}
    shown = Shown.of(str(wav), {"path": "x", "timeline": spans, "summary": summary}, model="small")
    empty = {"path": "x", "timeline": [], "summary": {**SUMMARY, "shares": None, "answered": 0.0}}
    nothing = Shown.of(str(wav), empty, model="small")
    assert cues(text(shown, ".vtt")) == [(1.0, 3.0, "arousal 0.75, valence 0.25")]
    assert cues(text(nothing, ".srt")) == [] and text(nothing, ".labels.txt") == ""
    assert tiers(text(nothing, ".TextGrid")) == {"emotion": [(0, 8, "")]}
    for each in (shown, nothing):
        ElementTree.fromstring(text(each, ".svg"))
        assert "</html>" in text(each, ".html")
    assert "no prediction" in text(nothing, ".html")


def test_endings() -> None:
    assert [presenting.ending(name) for name in ("a.HTML", "b.textgrid", "c.labels.TXT", "d.txt", "e")] == [
        ".html", ".TextGrid", ".labels.txt", None, None
    ]  # fmt: skip
