"""The command that tells how a run stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from medgen.cli.app import app, console, fail


@app.command()
def status(
    output: Annotated[Path, typer.Argument(help="the output folder of a run, while it works or later")],
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False,
) -> None:
    """Tell how a run stands: done, failed and why, rate, time left. Example: medgen status out/"""
    from medgen.batch.status import show
    from medgen.batch.status import status as of
    from medgen.bundles import BundleError

    try:
        about = of(output)
    except BundleError as error:
        raise fail(str(error)) from None
    if json_lines:
        print(json.dumps(about))
    else:
        show(about, console())
