"""From a template and plain values to the text of a page, every string escaped and made printable."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

from unheard.errors import need
from unheard.report.places import without_places
from unheard.report.wording import printable


def render(name: str, *, paths: bool = False, **values: Any) -> str:
    """Fill a template of this room; every page gets the style sheet as ``css``.

    Without ``paths`` only the last parts of a machine's paths are shown.
    """
    jinja2 = need("jinja2", "eval")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable if paths else _shared,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["digest"] = lambda value: re.fullmatch("[0-9a-f]{32,128}", str(value)) is not None
    text: str = environment.get_template(name).render(css=_read("page.css"), **values)
    return text


def _read(name: str) -> str:
    return files("unheard.report").joinpath(name).read_text(encoding="utf-8")


def _shared(value: Any) -> Any:
    """Make plain strings printable, without the folders of the machine that made the page."""
    return printable(without_places(value)) if type(value) is str else value


def _printable(value: Any) -> Any:
    """Make plain strings printable; what is marked as HTML (the drawings) stays as it is."""
    return printable(value) if type(value) is str else value
