"""``unheard audit``: whether a table and its folds hold up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from unheard.cli.terminal import bars, print_json, say, show


def audit(
    table: Annotated[Path, typer.Argument(help="Prepared table (.parquet), corpus folder or list of files.")],
    protocol: Annotated[
        str | None, typer.Option("--protocol", "-p", help="Folds to audit; none: the table alone.")
    ] = None,
    corpus: Annotated[str | None, typer.Option("--corpus", help="Reader for a folder (see prepare).")] = None,
    speakers: Annotated[
        str | None, typer.Option("--speakers", help="merge: nearly equal names are one person; or OLD=NEW,…")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Number of processes that read the audio.")
    ] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the certificate to a file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Look for leaks, duplicates, labels that give themselves away, and broken files.

    Ends with 0 where nothing is wrong, 1 where an error was found, 2 where the call is off.
    """
    from unheard import protocols
    from unheard.auditing import audit as audit_table
    from unheard.auditing.splits import protocol_refused
    from unheard.corpora.source import utterances
    from unheard.errors import ProtocolError
    from unheard.files import new_output, write_json
    from unheard.metrics.formatting import counted

    if out is not None:
        new_output(out, force)
    rows = utterances(table, corpus, speakers=speakers, say=say)
    folds, refused = None, []
    try:
        # A leaky split must come out as a finding, not as a refusal to look at it.
        folds = None if protocol is None else protocols.make(protocol, rows, declare_leaky=True)
    except ProtocolError as error:
        refused = [protocol_refused(error)]
    with bars() as advance:
        certificate = audit_table(
            rows, folds, jobs=jobs, progress=lambda done, total: advance("audio", done, total)
        )
    certificate = replace(certificate, findings=(*certificate.findings, *refused))
    if out is not None:
        write_json(out, certificate.as_dict())
    if as_json:
        print_json(certificate.as_dict())
    else:
        for finding in certificate.findings:
            show(f"{finding.severity.upper():11}  {finding.code} ({finding.count}): {finding.message}")
            for example in finding.examples[:5]:
                show(f"             {example}")
            if len(finding.examples) > 5:
                show(f"             and {len(finding.examples) - 5} more")
        show(
            f"{'passed' if certificate.passed else 'FAILED'}: {counted(len(rows), 'clip')}"
            + (f", {protocol}" if protocol else "")
        )
    raise typer.Exit(0 if certificate.passed else 1)
