"""The licence notice of the default model: said once to each user, on standard error."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from unheard.cli.terminal import say
from unheard.errors import MachineError

if TYPE_CHECKING:
    from unheard.bundle.schema import Description


def notice_once(description: Description) -> None:
    """Print the licences of a model by layer, unless this user has been told of these before.

    A marker in the cache folder remembers it. Where that cannot be written, the notice comes again next time.
    """
    from unheard.files import cache_folder, digest, write_text

    text = notice(description)
    marker = cache_folder() / "notices" / f"{digest(text)[:16]}.txt"
    if os.path.isfile(marker):  # noqa: PTH113 - Path.is_file raises where a folder may not be entered
        return
    for line in text.split("\n"):
        say(line)
    with suppress(OSError, MachineError):
        write_text(marker, text + "\n")


def notice(description: Description) -> str:
    """Return the licences by layer, and what the predictions are not."""
    layers = [
        f"  {layer}: {'; '.join(map(str, said)) if isinstance(said, list) else said}"
        for layer, said in description.licences.items()
    ]
    return "\n".join(
        [
            f"The default model ({description.name}) has licences of its own:",
            *layers,
            "  The combination is our reading: unheard/models/LICENSE-WEIGHTS.md. It says which expression is",
            "  perceived, not what somebody feels; not to be used at work or in education in the EU (card.md).",
            "  It was trained on acted speech; on other corpora it is right far less often.",
            "  This is said once.",
        ]
    )
