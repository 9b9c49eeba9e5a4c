"""What a run extracted, written by the process that did it and read by its workers.

Workers load no encoder, hash no file and check no clip again: they read where everything lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unheard.audio.medium import AudioMedium
from unheard.encoders import LazyEncoder
from unheard.extraction.extract import Extracted, Storage, extract
from unheard.extraction.extracted import BadClip
from unheard.features.contract import Spec
from unheard.files import digest
from unheard.formats import sealed_json
from unheard.inputs import Clip
from unheard.recipe_inputs.waves import Waves, read_waves


class Indexes:
    """Extractions of one run.

    Parameters
    ----------
    folder
        Folder of the indexes; None to write none.
    read
        Whether an index that is there is read, as in workers, instead of being made anew.
    """

    def __init__(self, folder: Path | None, *, read: bool = False) -> None:
        self.folder, self.read = folder, read

    def extract(
        self,
        clips: Sequence[Clip],
        extractor: Spec | LazyEncoder,
        storage: Storage | None,
        *,
        jobs: int | None = None,
        progress: Any = None,
        say: Any = None,
        digests: Any = None,
        transcript: str = "owner",
        **options: Any,
    ) -> Extracted:
        """Return what :func:`unheard.extraction.extract.extract` does, or what its index says.

        ``transcript`` tells inputs apart that read other words of the same clips.
        """
        settings = dict(extractor.settings)
        settings.pop("cut", None)  # the storage says which layers
        words = [] if transcript == "owner" else [transcript]
        path = self._path([settings, None if storage is None else storage.plain(), _plain(options), *words])
        if path is not None and self.read and path.is_file():
            return Extracted.read(path)
        found = extract(
            clips, extractor, storage, jobs=jobs, progress=progress, say=say, digests=digests, **options
        )
        if path is not None:
            found.write(path)
        return found

    def waves(
        self, clips: Sequence[Clip], medium: AudioMedium, *, jobs: int = 1, progress: Any = None
    ) -> tuple[Waves, Sequence[BadClip]]:
        """Return waveforms that are decoded when they are asked for, and the clips that cannot be decoded."""
        path = self._path("waves")
        if path is not None and self.read and path.is_file():
            bad = [BadClip(**one) for one in sealed_json.read(path)]
        else:
            bad = read_waves(clips, medium, jobs=jobs, progress=progress)
            if path is not None:
                sealed_json.write(path, [asdict(one) for one in bad])
        unusable = {one.id for one in bad}
        return Waves([clip for clip in clips if clip.id not in unusable], medium), bad

    def _path(self, of: Any) -> Path | None:
        return None if self.folder is None else self.folder / f"{digest(of)[:32]}.json"


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    noise = options.get("noise")
    return {**options, "noise": None if noise is None else noise.key()}
