"""Commands that talk to a PACS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from medgen.cli.app import app, fail

Host = Annotated[str, typer.Argument(help="the PACS's host name or address")]
Port = Annotated[int, typer.Argument(help="its DICOM port")]
Called = Annotated[str, typer.Option("--aet", help="its AE title")]
Calling = Annotated[str, typer.Option("--my-aet", help="this side's AE title")]


@app.command()
def send(
    path: Annotated[Path, typer.Argument(help="a DICOM file, or a folder of them")],
    host: Host,
    port: Port,
    aet: Called = "ANY-SCP",
    my_aet: Calling = "MEDGEN",
) -> None:
    """Send DICOM files to a PACS. Example: medgen send out/ pacs.local 104 --aet PACS

    User name and password, where it wants them, from MEDGEN_PACS_USER and MEDGEN_PACS_PASSWORD.
    """
    from medgen.batch import pacs
    from medgen.batch.association import Pacs, PacsError

    if not path.exists():
        raise fail(f"{path}: there is no such file or folder; check the path")
    try:
        print(f"{pacs.send(Pacs(host, port, aet, my_aet), path)} sent to {aet}")
    except PacsError as error:
        print(f"medgen: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def fetch(
    host: Host,
    port: Port,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the series; new, or of an earlier fetch")],
    study: Annotated[str, typer.Option(help="StudyInstanceUID")] = "",
    series: Annotated[str, typer.Option(help="SeriesInstanceUID")] = "",
    patient: Annotated[str, typer.Option(help="PatientID")] = "",
    modality: Annotated[str, typer.Option(help="only this modality, such as MR")] = "",
    aet: Called = "ANY-SCP",
    my_aet: Calling = "MEDGEN",
    listen: Annotated[Optional[int], typer.Option(help="C-MOVE to this port; by default C-GET, without a port")] = None,
    bind: Annotated[str, typer.Option(help="address to listen on, with --listen")] = "127.0.0.1",
) -> None:
    """Fetch series from a PACS. Example: medgen fetch pacs.local 104 -o scans/ --study 1.2.3 --aet PACS

    User name and password, where it wants them, from MEDGEN_PACS_USER and MEDGEN_PACS_PASSWORD.
    """
    from medgen.batch import pacs
    from medgen.batch.association import Pacs, PacsError
    from medgen.scans import ScanError

    if not (study or series or patient):
        raise fail("say what to fetch: --study, --series or --patient")
    where = None if listen is None else (bind, listen)
    try:
        server = Pacs(host, port, aet, my_aet)
        folders = pacs.fetch(server, output, study=study, series=series, patient=patient, modality=modality, listen=where)
        print(*folders, sep="\n")
    except (PacsError, ScanError) as error:
        print(f"medgen: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
