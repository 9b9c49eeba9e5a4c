"""Pages of the site that stand elsewhere in the repository, or are written from the code; MkDocs calls this."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
#: What the reference shows: what is called by users, and what they get back.
REFERENCE = (
    "unheard",
    "unheard.bundle.runtime.Bundle",
    "unheard.bundle.prediction.Prediction",
    "unheard.bundle.timeline.Timeline",
    "unheard.bundle.voice.VoiceProfile",
    "unheard.errors",
)


def on_files(files: Files, config: Any) -> Files:
    """Add the start page, the page on security and the reference."""
    index = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8").replace("](docs/", "](")
    reference = "# Reference\n\n" + "\n".join(f"::: {name}\n" for name in REFERENCE)
    for name, text in (("index.md", index), ("security.md", security), ("reference.md", reference)):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to the page on security, and leave words of those to files that are no pages."""
    markdown = markdown.replace("](../SECURITY.md", "](security.md").replace("](SECURITY.md", "](security.md")
    return re.sub(
        r"\[([^\]]*)\]\((?:LICENSE|CONTRIBUTING\.md|CHANGELOG\.md|CITATION\.cff)\)", r"\1", markdown
    )
