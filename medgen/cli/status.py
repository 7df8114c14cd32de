"""The command that tells how a run stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from medgen.cli.app import app, console, fail


@app.command()
def status(
    output: Annotated[Path, typer.Argument(help="the output folder of a run, while it works or later")],
    extrapolate: Annotated[Optional[int], typer.Option(min=1, help="what so many scans would take, by those that are done")] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
) -> None:
    """Tell how a run stands: done, failed and why, rate, time left. Example: medgen status out/"""
    from medgen.batch import status as standing
    from medgen.bundles import BundleError

    try:
        about = standing.status(output)
        if extrapolate:
            about = standing.extrapolate(output, extrapolate)
    except BundleError as error:
        raise fail(str(error)) from None
    if json_lines:
        print(json.dumps(about))
    else:
        (standing.show_extrapolation if extrapolate else standing.show)(about, console())
