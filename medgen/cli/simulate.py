"""The command that operates on a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from medgen.cli.app import Device, app, fail


@app.command()
def simulate(
    scan: Annotated[Path, typer.Argument(help="one MR scan: NIfTI, or a DICOM folder")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
    remove: Annotated[Optional[Path], typer.Option(help="mask (nonzero) of what to remove, on the scan's grid")] = None,
    text: Annotated[Optional[str], typer.Option(help="the lesion or place to remove, or with --insert lesion to insert")] = None,
    labels: Annotated[Optional[Path], typer.Option(help="label map of the scan: FreeSurfer, SynthSeg or DLMUSE; for --text else a network's")] = None,
    fill: Annotated[str, typer.Option(help="fluid, or healthy: by a bundle for repair")] = "fluid",
    bundle: Annotated[Optional[str], typer.Option(help="the bundle for --fill healthy; by default the one for such scans")] = None,
    shift: Annotated[float, typer.Option(min=0, max=40, help="mm that the brain sinks into the cavity")] = 0,
    insert: Annotated[Optional[str], typer.Option(help="lesion, electrode or void (no signal, as of metal or air)")] = None,
    at: Annotated[Optional[str], typer.Option(help="R,A,S in mm: centre of what is inserted, tip of an electrode")] = None,
    entry: Annotated[Optional[str], typer.Option(help="R,A,S in mm: where an electrode comes through")] = None,
    size: Annotated[Optional[float], typer.Option(min=0.5, max=120, help="mm: diameter of what is inserted")] = None,
    kind: Annotated[str, typer.Option(help="of a lesion inserted with --at: ms-like, stroke-like or tumour-like")] = "ms-like",
    steps: Annotated[int, typer.Option(min=1, max=50, help="parts that the shift is shown in")] = 4,
    fluid: Annotated[Optional[float], typer.Option(help="intensity of fluid; by default that of the scan's ventricles")] = None,
    seed: Annotated[int, typer.Option(help="of shapes and noise")] = 0,
    device: Device = None,
) -> None:
    """Operate on a scan: remove, let the brain shift, insert; writes before, after, steps (4D), the field and a report.

    Example: medgen simulate head.nii.gz -o out/ --labels head_labels.nii.gz --text "30 mm tumour in the left temporal lobe" --shift 5

    All of it is synthetic and says so. The field is the shift's, in mm of world RAS: what is at x came from x + field(x).
    """
    import json

    from medgen.batch.operation import INSERTS, Operation
    from medgen.batch.simulate import simulate as operate
    from medgen.bundles import BundleError
    from medgen.scans import ScanError
    from medgen.text.parse import TextError

    if insert is not None and insert not in INSERTS:
        raise fail(f"'{insert}' cannot be inserted; choose from: {', '.join(INSERTS)}")
    operation = Operation(text, fill, bundle, shift, insert, _point("--at", at), _point("--entry", entry), size, kind, steps, fluid, seed, device)
    try:
        report = operate(scan, output, operation, remove=remove, labels=labels)
    except (ScanError, BundleError, TextError, ValueError) as error:
        raise fail(str(error)) from None
    for name in ("fluid", "named", "removed", "shift", "inserted"):
        if name in report:
            print(f"{name + ':':10}{json.dumps(report[name])}")
    for warning in report["warnings"]:
        print(f"warning:  {warning}")
    print(f"synthetic scans and their report are in {output}")


def _point(option: str, text: str | None) -> tuple[float, float, float] | None:
    """Read R,A,S in mm."""
    if text is None:
        return None
    try:
        r, a, s = (float(part) for part in text.split(","))
    except ValueError:
        raise fail(f"{option} {text}: three numbers are needed, R,A,S in mm, such as 12,-30.5,8") from None
    return r, a, s
