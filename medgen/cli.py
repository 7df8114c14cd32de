"""The commands; no logic. Heavy imports happen inside them, so that --help is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: threads that spin stall beside another busy process

app = typer.Typer(
    help="Generative medical imaging on MONAI: enhance, denoise and repair 3D CT and MR, and measure what was done.\n\n"
    "Example: medgen run BUNDLE scans/ -o restored/ (medgen bundles lists them)",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Device = Annotated[Optional[str], typer.Option(help="cpu, cuda or cuda:N; CUDA where there is one by default.")]
Permissive = Annotated[
    bool, typer.Option("--permissive", help="take doubtful scans where there is a way out, with a warning")
]


def _fail(message: str) -> typer.Exit:
    print(f"medgen: {message}", file=sys.stderr)
    return typer.Exit(2)


def _console():  # type: ignore[no-untyped-def]
    from rich.console import Console

    return Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 160)


@app.command()
def bundles() -> None:
    """List the bundles that are here. Example: medgen bundles"""
    from rich.table import Table

    from medgen.bundles import BundleError, available, read_metadata

    table = Table("bundle", "version", "what it does", box=None)
    try:
        for name, root in available().items():
            metadata = read_metadata(root)
            table.add_row(name, metadata.get("version", "?"), metadata.get("task", ""))
    except BundleError as error:
        raise _fail(str(error)) from None
    _console().print(table)


@app.command()
def info(bundle: str) -> None:
    """Tell what a bundle is for, what it was trained on, and where it lies. Example: medgen info BUNDLE"""
    from medgen.bundles import BundleError, find, read_metadata

    try:
        root = Path(find(bundle))
        metadata = read_metadata(root)
    except BundleError as error:
        raise _fail(str(error)) from None
    keys = ("version", "task", "description", "intended_use", "data_source", "weights_sha256")
    for key, value in [("bundle", bundle), ("folder", root), *((k, metadata.get(k, "")) for k in keys)]:
        print(f"{key + ':':16}{value}")


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
        console = _console()
        table(rows, console)
        for line in (*(f"refused: {error}" for error in errors), *(f"skipped: {line}" for line in skipped)):
            console.print(line, markup=False)
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
        raise _fail(str(error)) from None
    failed = follow_conversion(found, output, _console(), permissive, four_d, overwrite, json_lines)
    raise typer.Exit(1 if failed else 0)


@app.command()
def run(
    bundle: Annotated[str, typer.Argument(help="a bundle's name (medgen bundles) or folder")],
    paths: Annotated[list[Path], typer.Argument(help="scans, DICOM folders, or folders of them")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
    uncertainty: Annotated[bool, typer.Option("--uncertainty", help="also write a standard deviation map")] = False,
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="do again what is there")] = False,
    format: Annotated[str, typer.Option(help="nifti, dicom, or same: DICOM where the input was DICOM")] = "nifti",
    deidentify: Annotated[bool, typer.Option("--deidentify", help="no patient data in results or their names")] = False,
    permissive: Permissive = False,
    memory: Annotated[Optional[float], typer.Option(help="GiB that one scan may take at most; the tiles shrink to it")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be run, and stop")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON line a case, for machines")] = False,
) -> None:
    """Run a bundle over scans. Example: medgen run BUNDLE head.nii.gz dicom/ -o out/ --uncertainty"""
    if format not in ("nifti", "dicom", "same"):
        raise _fail(f"--format must be nifti, dicom or same, not {format}")
    from medgen.batch import progress
    from medgen.batch.run import Options
    from medgen.bundles import BundleError, open_bundle
    from medgen.scans import ScanError, find

    try:
        opened = open_bundle(bundle, device)
        cases, errors, _ = find(paths)
        if not cases:
            raise BundleError("; ".join(map(str, errors)) or "no scans were found")
        options = Options(output, uncertainty, overwrite, format=format, deidentify=deidentify, permissive=permissive, memory=memory)
        console = _console()
        if dry_run:
            failed = progress.plan(opened, cases, errors, options, console)
        else:
            opened.network  # noqa: B018  a missing or altered checkpoint stops here, before the first scan
            progress.prepare_output(output)
            failed = progress.follow(opened, cases, errors, options, console, json_lines)
    except (BundleError, ScanError) as error:
        raise _fail(str(error)) from None
    raise typer.Exit(1 if failed else 0)


@app.command()
def evaluate(
    candidate: Annotated[Path, typer.Argument(help="a scan or a folder of scans")],
    reference: Annotated[Path, typer.Option(help="the truth: a scan or a folder, paired by name")],
    mask: Annotated[Optional[Path], typer.Option(help="a mask (nonzero is inside) or a folder of them")] = None,
    data_range: Annotated[
        Optional[float], typer.Option(help="the range for PSNR and SSIM; maximum minus minimum of each reference by default")
    ] = None,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="folder for results.csv and results.json")] = None,
) -> None:
    """Measure PSNR, SSIM and MAE against a reference. Example: medgen evaluate denoised/ --reference clean/ -o report/"""
    from medgen.batch.evaluate import evaluate as measure_all

    for path in (candidate, reference, *([mask] if mask else [])):
        if not path.exists():
            raise _fail(f"{path}: there is no such file or folder; check the path")
    if data_range is not None and not data_range > 0:
        raise _fail(f"--data-range must be above 0, not {data_range}")
    failed = measure_all(candidate, reference, mask, data_range, output, _console())
    raise typer.Exit(1 if failed else 0)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")] = Path("medgen_demo"),
    data: Annotated[Optional[Path], typer.Option(help="folder of sample scans; sample_data/ by default")] = None,
    device: Device = None,
) -> None:
    """Add noise to the sample scans, denoise them, measure and picture it. Example: medgen demo"""
    from medgen.batch.demo import demo as show
    from medgen.bundles import BundleError

    try:
        failed = show(output, data, device, _console())
    except BundleError as error:
        raise _fail(str(error)) from None
    raise typer.Exit(1 if failed else 0)


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
        raise _fail(f"{path}: there is no such file or folder; check the path")
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
        raise _fail("say what to fetch: --study, --series or --patient")
    where = None if listen is None else (bind, listen)
    try:
        server = Pacs(host, port, aet, my_aet)
        folders = pacs.fetch(server, output, study=study, series=series, patient=patient, modality=modality, listen=where)
        print(*folders, sep="\n")
    except (PacsError, ScanError) as error:
        print(f"medgen: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
