"""Commands that run bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from medgen.cli.app import Device, LogJson, Permissive, app, console, fail

Format = Annotated[str, typer.Option(help="nifti, dicom, bids, or same as the input; auto: bids of a BIDS dataset, else nifti")]


@app.command()
def bundles(json_rows: Annotated[bool, typer.Option("--json", help="one JSON list, for machines")] = False) -> None:
    """List the bundles that are here. Example: medgen bundles"""
    from rich.table import Table

    from medgen.bundles import BundleError, available, read_metadata
    from medgen.slicer.tasks import mask_of, takes_labels

    try:
        known = {name: read_metadata(root) for name, root in available().items()}
    except BundleError as error:
        raise fail(str(error)) from None
    if json_rows:
        keys = {"version": "", "task": "", "settings": {}, "uncertainty": False, "text": False, "synthetic": False}
        told = {name: {key: about.get(key, default) for key, default in keys.items()} for name, about in known.items()}
        taken = {name: {"mask": mask_of(about), "labels": takes_labels(about)} for name, about in known.items()}
        print(json.dumps([{"name": name, **one, **taken[name]} for name, one in told.items()]))
        return
    table = Table("bundle", "version", "what it does", box=None)
    for name, about in known.items():
        table.add_row(name, about.get("version", "?"), about.get("task", ""))
    console().print(table)


@app.command()
def info(bundle: str) -> None:
    """Tell what a bundle is for, what it was trained on, and where it lies. Example: medgen info BUNDLE"""
    from medgen.bundles import BundleError, folder_of, read_metadata

    try:
        root = folder_of(bundle)
        metadata = read_metadata(root)
    except BundleError as error:
        raise fail(str(error)) from None
    keys = ("version", "task", "description", "intended_use", "data_source", "weights_sha256")
    for key, value in [("bundle", bundle), ("folder", root), *((k, metadata.get(k, "")) for k in keys)]:
        print(f"{key + ':':16}{value}")
    for name, about in metadata.get("settings", {}).items():
        print(f"--set {name}={json.dumps(about['default'])}: {about['help']}")


@app.command()
def run(
    bundle: Annotated[str, typer.Argument(help="a bundle's name (medgen bundles) or folder")],
    output: Annotated[str, typer.Option("--output", "-o", help="folder for the results; of --engine dask, a URL too")],
    paths: Annotated[Optional[list[str]], typer.Argument(help="scans, DICOM folders, or folders of them; of --engine dask, URLs too")] = None,
    text: Annotated[Optional[str], typer.Option(help="what to make, in words, for bundles that make scans to order")] = None,
    spec: Annotated[Optional[Path], typer.Option(help="instead of --text: a file with what medgen parse --json printed")] = None,
    count: Annotated[int, typer.Option("-n", min=1, help="with --text or --spec: how many scans, of as many seeds")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="with --text or --spec: the first seed")] = 0,
    suggest: Annotated[bool, typer.Option("--suggest", help="with --text: offer known words for those not understood")] = False,
    uncertainty: Annotated[bool, typer.Option("--uncertainty", help="also write a standard deviation map")] = False,
    fills: Annotated[int, typer.Option(min=0, max=64, help="for repair: also write so many ways to fill it, as one 4D NIfTI")] = 0,
    setting: Annotated[list[str], typer.Option("--set", help="NAME=VALUE of a setting of the bundle (medgen info)")] = [],  # noqa: B006
    mask: Annotated[Optional[Path], typer.Option(help="where to work (nonzero), for repair: a mask, or a folder of them")] = None,
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="do again what is there")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="try again what failed")] = False,
    workers: Annotated[int, typer.Option(min=1, help="processes; one keeps 2 cores or a GPU busy")] = 1,
    engine: Annotated[str, typer.Option(help="local: this machine; dask: the workers of --scheduler")] = "local",
    scheduler: Annotated[Optional[str], typer.Option(help="dask's: address (tcp://HOST:8786), or its --scheduler-file")] = None,
    ledger: Annotated[Optional[Path], typer.Option(help="folder for the ledger, where -o is a URL")] = None,
    format: Format = "auto",
    deidentify: Annotated[bool, typer.Option("--deidentify", help="no patient data in results or their names")] = False,
    permissive: Permissive = False,
    memory: Annotated[Optional[float], typer.Option(help="GiB that one scan may take at most; the tiles shrink to it")] = None,
    report: Annotated[bool, typer.Option("--report", help="also write report.html in the output folder")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be run, and stop")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON line a case, for machines")] = False,
    log_json: LogJson = None,
) -> None:
    """Run a bundle over scans. Example: medgen run BUNDLE head.nii.gz dicom/ -o out/ --uncertainty

    A bundle that makes scans to order: medgen run BUNDLE --text "Axial T1, 12 mm lesion in the left frontal lobe" -n 8 -o out/

    The same command again goes on where it stopped, and does again what changed; two at once share the work.
    """
    _check_format(format)
    from medgen.bundles import BundleError, folder_of, open_bundle

    try:
        folder_of(bundle)  # a slip of the pen is told before the seconds that torch and MONAI take
    except BundleError as error:
        raise fail(str(error)) from None
    from dataclasses import replace

    from medgen.batch import progress
    from medgen.batch import report as reports
    from medgen.batch.apply import repairs
    from medgen.batch.derivative import bids_of, describe_derivative
    from medgen.batch.ledger import RunStopped
    from medgen.batch.logs import write_json_lines
    from medgen.batch.object_store import Objects, as_path, find_all, is_url
    from medgen.batch.run import Options, without_results
    from medgen.batch.sources import enter_sources, keep_names
    from medgen.cli.order import make
    from medgen.scans import ScanError

    url = output if is_url(output) else None
    _check_engine(engine, scheduler, workers, [place for place in (*(paths or ()), output) if is_url(place)])
    if (url is None) != (ledger is None):
        raise fail("--ledger FOLDER goes with a URL as -o: that keeps the results, the folder keeps the ledger")
    if url and (report or dry_run):
        raise fail("--report and --dry-run look at files here, and take no URL")
    try:
        folder = ledger or Path(output)
        if report:
            reports.check(folder / "report.html")
        if log_json:
            write_json_lines(log_json)
        opened = open_bundle(bundle, "cpu" if scheduler else device, _settings(setting))
        if text is not None or spec is not None:
            if text is not None and spec is not None:
                raise BundleError("--text and --spec both say what to make: give one of them")
            if suggest and text is None:
                raise BundleError("--suggest looks at the words of --text; --spec has none")
            if paths or url:
                raise BundleError("--text and --spec make scans, here: leave the paths out, and name a folder")
            options = Options(folder, overwrite=overwrite, format="nifti" if format == "auto" else format, memory=memory, seed=seed)
            raise typer.Exit(1 if make(opened, spec or text or "", count, options, json_lines, suggest) else 0)
        if (fills or mask) and not repairs(opened):
            raise BundleError(f"the bundle '{bundle}' repairs nothing: --mask and --fills are for those that do (medgen bundles)")
        if not paths:
            raise BundleError("no scans were named; name files or folders, or give --text or --spec to a bundle that takes them")
        bids = bids_of([Path(place) for place in paths], format, deidentify) if not (url or any(map(is_url, paths))) else None
        if bids and fills:
            raise BundleError("BIDS has no name for --fills: leave it away, or give --format nifti")
        cases, errors, skipped = find_all(paths)
        cases = without_results(cases, [as_path(place) for place in paths], as_path(output), opened)
        if not cases:
            raise BundleError("; ".join(map(str, errors)) or "no scans were found")
        options = Options(folder, uncertainty, overwrite, fills=fills, format=format, deidentify=deidentify, permissive=permissive, bids=bids,
                          mask=mask, memory=memory, retry=retry, workers=workers, scheduler=scheduler, url=url)  # fmt: skip
        cases = keep_names(opened, cases, options)
        screen = console()
        for note in skipped if bids and not json_lines else ():
            screen.print(note, markup=False)
        if dry_run:
            failed = progress.plan(opened, cases, errors, options, screen)
        else:
            opened.network  # noqa: B018  a missing or altered checkpoint stops here, before the first scan
            if bids:
                describe_derivative(folder, bids, opened)
            progress.prepare_output(folder)
            if url:
                Objects(url).prove()
            if scheduler:
                opened = replace(opened, device=device or "")  # the workers' to check
            enter_sources(opened, cases, errors, [as_path(place) for place in paths], options)
            failed = progress.follow(opened, cases, errors, options, screen, json_lines)
            if report:
                screen.quiet = json_lines  # what is printed is for machines then
                reports.of_run(opened, cases, options, screen, errors)
    except RunStopped as error:
        fail(str(error))
        raise typer.Exit(1) from None
    except (BundleError, ScanError, reports.ReportError) as error:
        raise fail(str(error)) from None
    raise typer.Exit(1 if failed else 0)


@app.command()
def doctor(json_lines: Annotated[bool, typer.Option("--json", help="one JSON object, for machines")] = False) -> None:
    """Print what a bug report needs: versions, device, codecs, bundles and hashes. Example: medgen doctor"""
    from medgen.batch import doctor as examination

    about = examination.doctor()
    if json_lines:
        print(json.dumps(about, indent=2))
    else:
        examination.show(about, console())
    raise typer.Exit(1 if about["problems"] else 0)


def _check_engine(engine: str, scheduler: str | None, workers: int, urls: list[str]) -> None:
    if engine not in ("local", "dask"):
        raise fail(f"--engine must be local or dask, not {engine}")
    if (engine == "dask") != (scheduler is not None):
        raise fail("--engine dask goes with --scheduler ADDRESS, such as tcp://HOST:8786 (dask scheduler prints it)")
    if engine == "dask" and workers > 1:
        raise fail("--workers is for --engine local; dask has its own (dask worker)")
    if engine == "local" and urls:
        raise fail(f"{urls[0]}: URLs are read and written by --engine dask only")


def _check_format(format: str) -> None:
    if format not in ("auto", "nifti", "dicom", "bids", "same"):
        raise fail(f"--format must be auto, nifti, dicom, bids or same, not {format}")


def _settings(given: list[str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as a dictionary, values as JSON where they are."""
    chosen: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise fail(f"--set wants NAME=VALUE, not {text}")
        lower = {"none": "null"}.get(value.lower(), value.lower())  # as Python writes them
        word = value if '"' in value else lower  # a string has its own case
        try:
            chosen[name] = json.loads(word)
        except ValueError:
            chosen[name] = value
    return chosen


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
        failed = show(output, data, device, console())
    except BundleError as error:
        raise fail(str(error)) from None
    raise typer.Exit(1 if failed else 0)
