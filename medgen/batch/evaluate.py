"""Measure scans, alone or against references of the same name, and write what was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from medgen.batch import tables
from medgen.batch.pairing import is_map, on_grid_of, pair
from medgen.batch.protocol import Protocol, Regions, slice_axis
from medgen.batch.quality import ALONE, PAIRED, SHARED, Row, measure_alone, measure_pair
from medgen.evaluation.statistics import summarise
from medgen.evaluation.without_reference import foreground
from medgen.scans import Case, ScanError, find, read

INTERVAL = (
    "95 % bootstrap interval of the mean over subjects (percentile, 9,999 resamples, seed 0); scans of one subject are "
    "averaged first"
)


def evaluate(
    candidate: Path, reference: Path | None, protocol: Protocol, output: Path | None, console: Console,
    before: Path | None = None,
) -> int:  # fmt: skip
    """Measure candidates, against references of the same name where there are any; print a table, write results.csv and
    .json in `output`. What the candidates were made from, `before`, is measured too, for the JSON.

    Returns the number of failures."""
    regions = Regions(protocol)
    rows, failures = _measure(candidate, reference, regions)
    earlier, more = _measure(before, reference, regions) if before else ([], [])
    failures += [f"before: {line}" for line in more if line not in failures]
    _print(rows, failures, protocol, reference is not None, console)
    content = content_of(rows, protocol, reference is not None, failures, earlier)
    report = {key: value for key, value in content.items() if key != "rows"}
    return len(failures) + (save(output, "results", rows, report, console) if rows else 0)


def content_of(
    rows: list[Row], protocol: Protocol, paired: bool, failures: list[str], before: list[Row] | None = None
) -> dict[str, Any]:
    """Return all that results.json holds of rows, but the versions."""
    content = {
        "definitions": SHARED | (PAIRED if paired else ALONE), "protocol": protocol.told(), "interval": INTERVAL,
        "summary": summaries(rows), "failures": failures, **({"before": before} if before else {}), "rows": rows,
    }  # fmt: skip
    return dict(tables.finite(content))


def _measure(candidate: Path, reference: Path | None, regions: Regions) -> tuple[list[Row], list[str]]:
    if reference is not None:
        return against(candidate, reference, regions)
    cases, errors, _ = find(candidate)
    failures = [str(error) for error in errors] + regions.failures
    images = [case for case in cases if len(cases) == 1 or not is_map(case)]
    return each(images, failures, lambda case: alone(case, regions)), failures


def against(candidate: Path, reference: Path, regions: Regions) -> tuple[list[Row], list[str]]:
    """Return a row for each pair and region, and a line for each failure."""
    pairs, failures = pair(candidate, reference)
    if not pairs and not failures:
        failures.append(f"{candidate}: holds uncertainty maps only; give the images")
    failures += regions.failures
    truths = {mine: truth for mine, truth in pairs}
    return each(list(truths), failures, lambda mine: together(mine, truths[mine], regions)), failures


def together(mine: Case, truth: Case, regions: Regions) -> list[Row]:
    """Measure one pair."""
    reference = read(truth)
    candidate = on_grid_of(mine, read(mine), reference)
    image, target = np.asarray(candidate.image[0]), np.asarray(reference.image[0])
    given = regions.protocol.data_range
    span = float(target.max()) - float(target.min()) if given is None else given
    if given is None and span == 0:
        raise ScanError(truth.files[0], "is constant, so it has no data range", "state one with --data-range")
    where, background = regions.of(truth, reference)
    axis = slice_axis(reference, regions.protocol)
    found = measure_pair(image, target, span, where, reference.spacing, axis, background)
    head = {"case": mine.name, "reference": truth.name, "subject": regions.protocol.subject_of(truth.name)}
    return [{**head, "region": name, "data_range": span, "slice_axis": axis, **row} for name, row in found.items()]


def alone(case: Case, regions: Regions) -> list[Row]:
    """Measure one scan without a reference: as a whole, its foreground, and the regions of the protocol."""
    scan = read(case)
    image, axis = np.asarray(scan.image[0]), slice_axis(scan, regions.protocol)
    where, background = regions.of(case, scan)
    found = measure_alone(image, {"image": None, "foreground": foreground(image), **where}, axis, background)
    head = {"case": case.name, "subject": regions.protocol.subject_of(case.name)}
    return [{**head, "region": name, "slice_axis": axis, **row} for name, row in found.items()]


def summaries(rows: list[Row]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the mean with its interval over subjects, by region and measure; of MS-SSIM only where all scales are equal."""
    measures = [name for name in PAIRED | ALONE if name != "worst_slice" and any(name in row for row in rows)]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for region in dict.fromkeys(str(row["region"]) for row in rows):
        here = [row for row in rows if row["region"] == region]
        mixed = len({row.get("ms_ssim_scales") for row in here}) > 1
        for name in measures:
            known = [row for row in here if row[name] is not None and not (mixed and name == "ms_ssim")]
            if known:
                values = [float(row[name]) for row in known]  # type: ignore[arg-type]
                found.setdefault(region, {})[name] = summarise(values, subjects=[str(row["subject"]) for row in known])
    return found


def save(output: Path | None, name: str, rows: Sequence[Row], report: dict[str, Any], console: Console) -> int:
    """Write results where an output folder is given, and say where; return 1 where that failed."""
    if output is None:
        return 0
    try:
        for path in tables.write(output, name, rows, report):
            console.print(f"written: {path}", markup=False)
    except ScanError as error:
        console.print(f"failed: {error}", markup=False)
        return 1
    return 0


def each(cases: list[Case], failures: list[str], measure: Callable[[Case], list[Row]]) -> list[Row]:
    """Return the rows of all cases; those that cannot be measured are a line each in `failures`."""
    rows: list[Row] = []
    for case in cases:
        try:
            rows += measure(case)
        except (ScanError, ValueError) as error:
            failures.append(line_of(case, error))
    return rows


def line_of(case: Case, error: Exception) -> str:
    """Return what went wrong with a case in one line that names its file."""
    return str(error) if isinstance(error, ScanError) else f"{case.files[0]}: {error}".splitlines()[0]


SHOWN = {"psnr": ".2f", "ssim": ".4f", "mae": ".4g", "bias": ".3g", "gradient_kept": ".3f"}
SHOWN_ALONE = {
    "noise": ".4g", "snr": ".3g", "sharpness_in_slices": ".3f", "slice_correlation": ".3f", "slice_outlier": ".1f", "worst_slice": "d"
}  # fmt: skip


def _print(rows: list[Row], failures: list[str], protocol: Protocol, paired: bool, console: Console) -> None:
    shown = SHOWN if paired else SHOWN_ALONE
    table = Table("case", "region", *(name.replace("_", " ") for name in shown), box=None)
    for row in rows:
        cells = ["identical" if row[name] == math.inf else tables.cell(row[name], form) for name, form in shown.items()]
        if row["region"] in ("image", "mask", "foreground"):
            table.add_row(str(row["case"]), str(row["region"]), *cells)
    for region, summary in summaries(rows).items():
        n = max(measure["n"] for measure in summary.values())
        cells = [tables.interval(summary[name], form) if name in summary else "" for name, form in shown.items()]
        table.add_row(f"mean, n={n}", region, *cells)
    if rows:
        console.print(table)
        if paired:
            console.print(f"PSNR in dB, MAE and bias in the images' units; data range: {_range(protocol)}", markup=False)
        console.print("[..]: 95 % bootstrap interval over subjects; --output has all measures, and what they mean", markup=False)
    for failure in failures:
        console.print(f"failed: {failure}", markup=False)


def _range(protocol: Protocol) -> str:
    return "maximum minus minimum of each reference" if protocol.data_range is None else f"as given, {protocol.data_range:g}"
