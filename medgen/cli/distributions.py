"""The command that compares sets of scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from medgen.cli.app import Device, app, console, fail


@app.command()
def distributions(
    generated: Annotated[Path, typer.Argument(help="the generated scans: a folder")],
    real: Annotated[Path, typer.Option(help="real scans that nothing was trained on: a folder; no pairs are needed")],
    train: Annotated[Optional[Path], typer.Option(help="the training scans: adds a check for copies of them")] = None,
    protocol: Annotated[Optional[Path], typer.Option(help="a distributions.json, or its protocol, to repeat exactly")] = None,
    extractor: Annotated[Optional[str], typer.Option(help="medgen-v1 (shipped), inception-fid, radimagenet-resnet50 or medicalnet-resnet50")] = None,
    weights: Annotated[Optional[Path], typer.Option(help="the published weights of an extractor that is not shipped")] = None,
    hu: Annotated[Optional[bool], typer.Option("--hu", help="values are HU, though the files do not say so")] = None,
    subject: Annotated[Optional[str], typer.Option(help="regular expression: whose a scan is, by its name (BIDS: sub-01)")] = None,
    device: Device = None,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="folder for the tables (CSV, JSON, Markdown)")] = None,
) -> None:
    """Compare generated scans with real ones, without pairs: Fréchet and kernel distance, precision, recall, diversity, copies.

    Example: medgen distributions generated/ --real held_out/ --train training/ -o report/
    """
    import re

    for path in (generated, real, train, protocol, weights):
        if path is not None and not path.exists():
            raise fail(f"{path}: there is no such file or folder; check the path")
    if protocol is not None and (extractor is not None or hu is not None or subject is not None):
        raise fail("--protocol settles --extractor, --hu and --subject; leave them out, or edit a copy of it")
    try:
        re.compile(subject or "")
    except re.error as error:
        raise fail(f"--subject is no regular expression: {error}") from None

    from dataclasses import replace

    from medgen.batch.distributions import DistributionProtocol
    from medgen.batch.distributions import distributions as compare_sets
    from medgen.evaluation.features import Extractor
    from medgen.scans import ScanError

    try:
        how = DistributionProtocol.read(protocol) if protocol is not None else DistributionProtocol()
        given = {"extractor": extractor, "hu": hu, "subject": subject}
        how = replace(how, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        opened = Extractor(how.extractor, weights, device or "cpu")
        failed = compare_sets(generated, real, train, opened, how, output, console())
    except (ScanError, ValueError) as error:
        raise fail(str(error)) from None
    raise typer.Exit(1 if failed else 0)
