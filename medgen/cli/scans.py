"""Commands on scans as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medgen.cli.app import Permissive, app, console, fail


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="scans, DICOM folders, or folders of them")],
    permissive: Permissive = False,
    show_patient: Annotated[bool, typer.Option("--show-patient", help="also tell who it is")] = False,
    json_rows: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
) -> None:
    """Show what is there: series, geometry, units, and what would be refused. Example: medgen inspect scans/

    Every scan is read to its last voxel. Exit code 1 where one is refused.
    """
    import json

    from medgen.batch.inspect import inspect as look
    from medgen.batch.inspect import table
    from medgen.scans import find

    cases, errors, skipped = find(paths, four_d=True)
    rows = list(look(cases, permissive=permissive, show_patient=show_patient))
    if json_rows:
        print(json.dumps({"scans": rows, "errors": [str(error) for error in errors], "skipped": skipped}, indent=2))
    else:
        screen = console()
        table(rows, screen)
        for line in (*(f"refused: {error}" for error in errors), *(f"skipped: {line}" for line in skipped)):
            screen.print(line, markup=False)
    raise typer.Exit(1 if errors or any("problem" in row for row in rows) else 0)


@app.command()
def convert(
    paths: Annotated[list[Path], typer.Argument(help="scans, DICOM folders, or folders of them")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the NIfTI files")],
    permissive: Permissive = False,
    four_d: Annotated[bool, typer.Option("--4d", help="write a series of volumes as one 4D file")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="do again what is there")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON line a case, for machines")] = False,
) -> None:
    """Convert scans to NIfTI, one file a volume, with a JSON sidecar. Example: medgen convert dicom/ -o nifti/"""
    from medgen.batch.progress import follow_conversion, prepare_output
    from medgen.bundles import BundleError
    from medgen.scans import find

    found = find(paths, four_d=True)
    try:
        prepare_output(output)
    except BundleError as error:
        raise fail(str(error)) from None
    failed = follow_conversion(found, output, console(), permissive, four_d, overwrite, json_lines)
    raise typer.Exit(1 if failed else 0)
