"""The page: a recording in, the answer and its timeline out; a voice that is known while the page is open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from unheard.audio.longest import check_length
from unheard.bundle.runtime import Bundle
from unheard.bundle.voice import VoiceProfile
from unheard.demo import answers
from unheard.errors import UnheardError
from unheard.presenting.drawing import svg
from unheard.presenting.shown import Shown

#: Megabytes of a file, seconds of a recording, clips of a voice.
MEGABYTES, SECONDS, CLIPS = 32, 600.0, 20
#: Seconds after which a file is removed, and from one look to the next.
KEPT, SWEEP = 600, 60
#: Seconds for which a voice is known at most, and people who wait at most.
VOICE_SECONDS, WAITING = 3600, 32
#: A page of Gradio, which has no types that can be relied on.
Page = Any
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "Consolas", "monospace")


def build(bundle: Bundle, examples: Sequence[Path] = ()) -> Page:
    """Return the page of a bundle.

    Parameters
    ----------
    bundle
        What answers; shared by all who look at the page.
    examples
        Recordings to try.
    """
    with gr.Blocks(
        title="unheard: perceived emotion in speech", analytics_enabled=False, delete_cache=(SWEEP, KEPT)
    ) as page:
        profile = gr.State(None, time_to_live=VOICE_SECONDS)
        gr.Markdown("# unheard\nThe expression that listeners would perceive in a recording of speech.")
        recording = gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label="Recording",
            elem_id="recording",
            buttons=[],
        )
        ask = gr.Button("Answer", variant="primary", elem_id="ask")
        answer = gr.HTML(elem_id="answer")
        strip = gr.HTML(elem_id="timeline")
        if examples:
            gr.Examples(
                [[str(path)] for path in examples],
                recording,
                label="Synthetic speech to try (nobody's voice)",
                example_labels=[path.stem.replace("-", " ") for path in examples],
            )

        def answered(path: str | None, known: VoiceProfile | None) -> tuple[str, str]:
            return answer_to(bundle, path, known)

        ask.click(answered, [recording, profile], [answer, strip], api_visibility="private")
        if bundle.adapts:
            with gr.Accordion("Know the voice", open=False, elem_id="voice"):
                gr.Markdown(
                    "A few clips of one person, of different moods or of none, without labels. The person must "
                    "have agreed. The voice is forgotten with this page."
                )
                clips = gr.File(
                    file_count="multiple", file_types=["audio"], label="Clips of one person", elem_id="clips"
                )
                with gr.Row():
                    know = gr.Button("Get to know the voice", elem_id="know")
                    forget = gr.Button("Forget the voice", elem_id="forget")
                told = gr.HTML(elem_id="told")

            def enrolled(paths: list[str] | None) -> tuple[VoiceProfile | None, str]:
                return enrol(bundle, paths)

            def forgotten() -> tuple[None, None, str]:
                return None, None, "<p role='status'>The voice is forgotten.</p>"

            know.click(enrolled, clips, [profile, told], api_visibility="private").then(
                answered, [recording, profile], [answer, strip], api_visibility="private"
            )
            forget.click(forgotten, None, [profile, clips, told], api_visibility="private").then(
                answered, [recording, profile], [answer, strip], api_visibility="private"
            )
        gr.Markdown(answers.about(bundle.description, bundle.adapts))
    page.queue(default_concurrency_limit=2, max_size=WAITING, api_open=False)
    return page


def answer_to(bundle: Bundle, path: str | None, profile: VoiceProfile | None) -> tuple[str, str]:
    """Return the answer to a recording and its timeline as HTML, or a sentence about what is wrong with it."""
    if path is None:
        return answers.sentence("Choose or record something first."), ""
    try:
        check_length(path, SECONDS)
        found = bundle.predict_file(path)
        if profile is None:
            told = answers.whole(found, "Answer")
        else:
            told = answers.pair(found, bundle.predict_file(path, profile=profile), profile.clips)
        line = bundle.timeline(path, profile=profile).as_dict()
        shown = Shown.of(path, {"path": "Over time", **line}, model=bundle.description.name)
        return told, answers.strip(svg(shown)) if shown.spans else ""
    except UnheardError as error:
        return answers.sentence(_about(error, path)), ""


def enrol(bundle: Bundle, paths: list[str] | None) -> tuple[VoiceProfile | None, str]:
    """Return the profile of a few clips and what is said of it; None and a sentence where there is none."""
    if not paths:
        return None, answers.sentence("Choose a few clips of one person first.")
    if len(paths) > CLIPS:
        return None, answers.sentence(f"{len(paths)} clips; at most {CLIPS} are taken.")
    try:
        for path in paths:
            check_length(path, SECONDS)
        profile = bundle.enrol(paths)
    except UnheardError as error:
        return None, answers.sentence(_about(error, *paths))
    return profile, answers.voice(profile)


@contextmanager
def served(page: Page, host: str, port: int, *, share: bool = False) -> Iterator[str]:
    """Serve a page, and yield its address."""
    _, local, public = page.launch(
        server_name=host,
        server_port=port,
        share=share,
        quiet=True,
        inbrowser=False,
        prevent_thread_lock=True,
        show_error=False,
        max_file_size=MEGABYTES * 2**20,
        footer_links=[],
        ssr_mode=False,
        enable_monitoring=False,
        theme=_theme(),
        css=answers.STYLE,
    )
    try:
        yield public or local
    finally:
        page.close(verbose=False)


def _theme() -> Any:
    """Return a theme whose letters are those of the system: nothing is fetched from elsewhere."""
    return gr.themes.Base(font=_FONT, font_mono=_MONO)


def _about(error: UnheardError, *paths: str) -> str:
    """Return what is wrong without where files lie on this machine."""
    said = str(error)
    for path in paths:
        said = said.replace(f"{path}: ", "").replace(path, Path(path).name)
    return f"{said[:1].upper()}{said[1:]}."
