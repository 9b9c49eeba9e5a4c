"""Make the pictures of the documents anew: run the commands of their pages, and photograph what these wrote.

It needs chromium for pages in a browser: ``make pictures``, or ``python tools/pictures.py tutorial`` for one page.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from page_commands import run_page

DOCUMENTS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Picture:
    """A picture in ``docs/images``, from a file that the commands of a page write; ``size`` of a browser's."""

    page: str
    name: str
    source: str
    size: tuple[int, int] | None = None


PICTURES = (
    Picture("tutorial", "tutorial-report.png", "report.html", (1200, 1000)),
    Picture("calls", "call-page.png", "call.html", (1100, 1180)),
    Picture("calls", "call.svg", "call.svg"),
)


def main(pages: list[str]) -> None:
    """Make the pictures of some pages, or of all."""
    for page in pages or sorted({picture.page for picture in PICTURES}):
        with tempfile.TemporaryDirectory() as folder:
            run_page(DOCUMENTS / f"{page}.md", Path(folder))
            for picture in (each for each in PICTURES if each.page == page):
                take(picture, Path(folder) / picture.source)


def take(picture: Picture, source: Path) -> None:
    """Copy a picture, or photograph a page."""
    target = DOCUMENTS / "images" / picture.name
    if picture.size is None:
        shutil.copyfile(source, target)
        return
    width, height = picture.size
    call = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    subprocess.run(
        [*call, f"--screenshot={target}", f"--window-size={width},{height}", source.resolve().as_uri()],
        check=True,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
