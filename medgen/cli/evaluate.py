"""Commands that measure: quality, methods compared, agreement, safety, speed; and the report on all of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from medgen.cli.app import Device, app, console, fail

if TYPE_CHECKING:
    from medgen.batch.protocol import Protocol

Reference = Annotated[Path, typer.Option(help="the truth: a scan or a folder, paired by name")]
Mask = Annotated[Optional[Path], typer.Option(help="a mask (nonzero is inside) or a folder of them")]
Labels = Annotated[Optional[Path], typer.Option(help="a label map or a folder of them: each label is measured too")]
Background = Annotated[Optional[int], typer.Option(help="the label that contrast-to-noise ratios are against")]
DataRange = Annotated[
    Optional[float], typer.Option(help="the range for PSNR and SSIM; maximum minus minimum of each reference by default")
]
SliceAxis = Annotated[
    Optional[int], typer.Option(min=0, max=2, help="the axis across the slices; that of the widest spacing by default")
]
Hu = Annotated[bool, typer.Option("--hu", help="values are HU, though the files do not say so: measures tissues too")]
Subject = Annotated[Optional[str], typer.Option(help="regular expression: whose a scan is, by its name (BIDS: sub-01)")]
Output = Annotated[Optional[Path], typer.Option("--output", "-o", help="folder for the tables (CSV, JSON)")]


@app.command()
def evaluate(
    candidate: Annotated[Path, typer.Argument(help="a scan or a folder of scans")],
    reference: Annotated[Optional[Path], typer.Option(help="the truth: a scan or a folder, paired by name")] = None,
    mask: Mask = None,
    labels: Labels = None,
    background: Background = None,
    data_range: DataRange = None,
    slice_axis: SliceAxis = None,
    hu: Hu = False,
    subject: Subject = None,
    output: Output = None,
    before: Annotated[Optional[Path], typer.Option(help="what the scans were made from, named alike: is measured too")] = None,
    report: Annotated[bool, typer.Option("--report", help="also write report.html in the output folder")] = False,
) -> None:
    """Measure image quality against a reference, or without one (noise, sharpness, consistency of slices).

    Example: medgen evaluate denoised/ --reference clean/ -o report/
    """
    from medgen.batch import report as reports
    from medgen.batch.evaluate import evaluate as measure_all
    from medgen.scans import ScanError

    protocol = _protocol(mask, labels, background, data_range, slice_axis, hu, subject)
    _exist(candidate, reference, mask, labels, before)
    if reference is None and data_range is not None:
        raise fail("--data-range is for PSNR and SSIM, which want a --reference")
    if report and output is None:
        raise fail("--report is written in the output folder, so it wants --output")
    try:
        if report and output is not None:
            reports.check(output / "report.html")
        failed = measure_all(candidate, reference, protocol, output, console(), before)
        if report and output is not None and (output / "results.json").is_file():
            reports.of_evaluation(candidate, output, console(), before=before, reference=reference)
    except (ScanError, reports.ReportError) as error:
        raise fail(str(error)) from None
    raise typer.Exit(1 if failed else 0)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="output folders of run, evaluate, compare, safety, agreement, speed")],
    before: Annotated[Optional[Path], typer.Option(help="what the results were made from, named alike (a, a_restored)")] = None,
    reference: Annotated[Optional[Path], typer.Option(help="the truth, named alike: measured where no results.json is there")] = None,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="the page; report.html in the first folder by default")] = None,
    pictures: Annotated[int, typer.Option(min=0, help="how many cases are pictured")] = 24,
    viewer: Annotated[int, typer.Option(min=0, help="how many cases are in the 3D viewer")] = 3,
) -> None:
    """Write one page that opens offline: tables, plots, pictures, a 3D viewer; JSON, CSV and Markdown beside it.

    Example: medgen report out/ --before scans/ --reference clean/ -o report.html
    """
    from medgen.batch import report as reports
    from medgen.bundles import BundleError
    from medgen.scans import ScanError

    _exist(*folders, before, reference)
    first = folders[0] if folders[0].is_dir() else folders[0].parent
    page = output or first / "report.html"
    page = page / "report.html" if page.is_dir() else page
    try:
        reports.of_folders(folders, page, console(), before=before, reference=reference, pictures=pictures, viewer=viewer)
    except (BundleError, ScanError, reports.ReportError) as error:
        raise fail(str(error)) from None


@app.command()
def compare(
    methods: Annotated[list[Path], typer.Argument(help="two or more folders of results (or scans), one a method")],
    reference: Reference,
    measure: Annotated[list[str], typer.Option(help="what to test; again for more")] = ["psnr", "ssim", "mae"],  # noqa: B006
    mask: Mask = None,
    labels: Labels = None,
    background: Background = None,
    data_range: DataRange = None,
    slice_axis: SliceAxis = None,
    hu: Hu = False,
    subject: Subject = None,
    output: Output = None,
) -> None:
    """Compare methods on the same subjects: Wilcoxon, effect size, Holm's correction.

    Example: medgen compare gaussian/ bm4d/ vae/ --reference clean/ -o report/
    """
    from medgen.batch.compare import compare as compare_all
    from medgen.batch.quality import PAIRED

    protocol = _protocol(mask, labels, background, data_range, slice_axis, hu, subject)
    _exist(*methods, reference, mask, labels)
    unknown = [name for name in measure if name not in PAIRED]
    if unknown:
        raise fail(f"--measure must be of {', '.join(PAIRED)}, not {', '.join(unknown)}")
    names = [path.resolve().name for path in methods]
    if len(set(names)) < len(names):
        names = [str(path) for path in methods]
    if len(set(names)) < max(len(names), 2):
        raise fail("give two methods or more, each once")
    failed = compare_all(dict(zip(names, methods)), reference, protocol, measure, output, console())
    raise typer.Exit(1 if failed else 0)


@app.command()
def agreement(
    before: Annotated[Path, typer.Argument(help="label maps before: a folder or a scan")],
    after: Annotated[Path, typer.Argument(help="label maps after, named like those before (a, a_restored)")],
    subject: Subject = None,
    output: Output = None,
) -> None:
    """Tell whether volumes of labels agree before and after: Bland and Altman's limits.

    Example: medgen agreement labels_of_scans/ labels_of_denoised/ -o report/
    """
    from medgen.batch.agreement import agreement as agree

    _exist(before, after)
    protocol = _protocol(subject=subject)
    raise typer.Exit(1 if agree(before, after, protocol, output, console()) else 0)


@app.command()
def safety(
    after: Annotated[Path, typer.Argument(help="results: a scan or a folder")],
    before: Annotated[Path, typer.Option(help="what they were made from, named alike (a, a_restored)")],
    lesions: Annotated[Optional[Path], typer.Option(help="a lesion mask or label map, or a folder of them")] = None,
    slice_axis: SliceAxis = None,
    output: Output = None,
) -> None:
    """Check that lesions kept contrast, volume and place; map changes beyond the noise; list what to look at first.

    Example: medgen safety denoised/ --before scans/ --lesions masks/ -o report/
    """
    from medgen.batch.safety import safety as check

    _exist(after, before, lesions)
    protocol = _protocol(slice_axis=slice_axis)
    raise typer.Exit(1 if check(after, before, lesions, output, protocol, console()) else 0)


@app.command()
def speed(
    bundle: Annotated[str, typer.Argument(help="a bundle's name (medgen bundles) or folder")],
    paths: Annotated[list[Path], typer.Argument(help="scans, DICOM folders, or folders of them")],
    repeats: Annotated[int, typer.Option(min=1, help="times that each scan is run; the median counts")] = 3,
    mask: Annotated[Optional[Path], typer.Option(help="where to work (nonzero), for repair: a mask, or a folder of them")] = None,
    device: Device = None,
    output: Output = None,
) -> None:
    """Measure time, voxels a second, throughput and memory of a bundle on this machine.

    Example: medgen speed BUNDLE scans/ -o report/
    """
    from medgen.batch.speed import speed as time_all
    from medgen.bundles import BundleError, open_bundle
    from medgen.scans import ScanError, find

    try:
        opened = open_bundle(bundle, device)
        cases, errors, _ = find(paths)
        if errors:
            raise errors[0]
        opened.network  # noqa: B018  a missing or altered checkpoint stops here
        failed = time_all(opened, cases, repeats, mask, output, console())
    except (BundleError, ScanError) as error:
        raise fail(str(error)) from None
    raise typer.Exit(1 if failed else 0)


def _exist(*paths: Path | None) -> None:
    for path in paths:
        if path is not None and not path.exists():
            raise fail(f"{path}: there is no such file or folder; check the path")


def _protocol(
    mask: Path | None = None, labels: Path | None = None, background: int | None = None, data_range: float | None = None,
    slice_axis: int | None = None, hu: bool = False, subject: str | None = None,
) -> Protocol:  # fmt: skip
    import re

    from medgen.batch.protocol import SUBJECT, Protocol

    if data_range is not None and not data_range > 0:
        raise fail(f"--data-range must be above 0, not {data_range}")
    if background is not None and labels is None:
        raise fail("--background names a label, so it wants --labels")
    try:
        re.compile(SUBJECT if subject is None else subject)
    except re.error as error:
        raise fail(f"--subject is no regular expression: {error}") from None
    return Protocol(data_range, mask, labels, background, slice_axis, hu, SUBJECT if subject is None else subject)
