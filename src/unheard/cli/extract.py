"""``unheard extract``: a corpus through an encoder into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unheard.cli.terminal import bars, number_list, say, show


def extract(
    data: Annotated[
        Path, typer.Option("--data", "-d", help="Corpus folder, prepared table, or list of files.")
    ],
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", "-e", help="Family: wavlm, hubert, wav2vec2, whisper, transformers, onnx."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", "-r", help="Instead: just what this recipe's `run` will look for."),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "--weights", "-w", help="Folder, file or hub name of the weights.")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--form", "--keep", help="pooled (mean, sd of each clip), frames of one layer, or layers."
        ),
    ] = "pooled",
    layers: Annotated[
        str | None, typer.Option("--layers", "--entries", help="9-12 or 0,4,8; default: all.")
    ] = None,
    kind: Annotated[
        str, typer.Option("--type", help="Type of stored frames: float32, float16 or int8.")
    ] = "float32",
    average: Annotated[int, typer.Option("--average", help="Average so many frames in time.")] = 1,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change one setting: encoder.trim=30, encoder.cut=12.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of stores; default: the cache, where `run` looks."),
    ] = None,
    corpus: Annotated[str | None, typer.Option("--corpus", help="Reader; default: generic.")] = None,
    channel: Annotated[int | None, typer.Option("--channel", min=0, help="Take one channel.")] = None,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Take what is there of files that end early.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Threads that decode; the result is the same.")
    ] = None,
    max_bad: Annotated[
        float, typer.Option("--max-bad", min=0, max=1, help="Share of unusable recordings.")
    ] = 0.01,
) -> None:
    """Compute what an encoder gives for every clip, once; training then reads it as often as it likes."""
    from unheard.corpora.source import utterances
    from unheard.errors import UsageError, unknown
    from unheard.extraction.extract import Storage
    from unheard.inputs import Form
    from unheard.recipe_inputs import extracting
    from unheard.recipes import recipe as recipes
    from unheard.recipes.changes import parse_changes, settings_below

    if (encoder is None) == (recipe is None):
        raise UsageError("name an encoder (--encoder wavlm) or a recipe that has one (--recipe probe)")
    changed = parse_changes(changes or [])
    table = utterances(data, corpus)
    with bars() as advance:
        options: dict[str, Any] = {
            "folder": out, "jobs": jobs, "channel": channel, "allow_truncated": allow_truncated,
            "progress": advance, "say": say,
        }  # fmt: skip
        if recipe is not None:
            stated = recipes.load(recipe, changed | ({"encoder.model": model} if model else {}))
            stored = extracting.of_recipe(stated, table, **options)
        else:
            forms = [one.value for one in Form if one is not Form.ROW]
            if form not in forms:
                raise unknown("--form", form, forms)
            numbers = number_list(layers)
            # Frames of several layers are the form layers, however they are asked for.
            several = form == "frames" and (numbers is None or len(numbers) > 1)
            chosen = Form.LAYERS if several else Form(form)
            storage = Storage(chosen, None if numbers is None else tuple(numbers), kind, average)
            settings = {"name": encoder, "model": model, "precision": "auto"}
            stored = extracting.of_encoder(
                settings | settings_below("encoder", changed), storage, table, **options
            )
    show(f"{len(stored.features)} clips in {stored.folder}")
    show(f"encoder.sha256: {stored.settings['sha256']}")
    cosines = stored.cosines
    if cosines is not None:
        worst = int(cosines.argmin())
        show(f"stored: mean cosine to what was computed {cosines.mean():.6f}, "
             f"smallest {cosines[worst]:.6f} (layer {stored.layers[worst].name})")  # fmt: skip
    extracting.refuse_too_many_bad(stored.errors, len(stored.features) + len(stored.errors), max_bad)
