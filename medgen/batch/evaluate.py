"""Pair candidates with references, measure each pair, and write what was found."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from medgen import __version__
from medgen.batch.pairing import pair, same_grid
from medgen.evaluation.image_quality import measure
from medgen.evaluation.statistics import summarise
from medgen.scans import Case, ScanError, find, read

DEFINITIONS = {
    "psnr": "dB, 10 log10(data_range^2 / MSE) over all voxels in 3D; empty where the pair is identical",
    "ssim": "3D, Gaussian window 11, sigma 1.5, K1 0.01, K2 0.03, reflected borders, outer 5 voxels left out",
    "mae": "mean absolute error in the units of the images",
    "region": "image: all voxels; mask: voxels where the mask is not 0",
}


@dataclass(frozen=True)
class Row:
    """One pair, measured in one region."""

    case: str
    region: str
    voxels: int
    data_range: float
    psnr: float
    ssim: float
    mae: float


def evaluate(
    candidate: Path, reference: Path, mask: Path | None, data_range: float | None, output: Path | None, console: Console
) -> int:
    """Measure candidates against references of the same name; print a table, write results.csv and .json in `output`.

    `data_range` is maximum minus minimum of each reference where it is None. Returns the number of failures.
    """
    rows: list[Row] = []
    pairs, failures = pair(candidate, reference)
    if not pairs and not failures:
        failures.append(f"{candidate}: holds uncertainty maps only; give the images")
    masks: dict[str, Case] = {}
    if mask is not None:
        found, errors, _ = find(mask)
        failures += [str(error) for error in errors]
        masks = {case.name: case for case in found}
    for mine, truth in pairs:
        try:
            masking = None
            if mask is not None:
                masking = masks.get(truth.name) or (next(iter(masks.values()), None) if mask.is_file() else None)
                if masking is None:
                    raise ScanError(mask, f"has no mask named {truth.name}", "add it, or leave --mask out")
            rows += _measure(mine, truth, masking, data_range)
        except (ScanError, ValueError) as error:
            failures.append(str(error) if isinstance(error, ScanError) else f"{mine.files[0]}: {error}")
    _print(rows, failures, data_range, console)
    if output is not None and rows:
        try:
            for path in write(rows, failures, output):
                console.print(f"written: {path}", markup=False)
        except OSError as error:
            failures.append(f"{output}: cannot be written ({error.strerror}); choose another folder")
            console.print(f"failed: {failures[-1]}", markup=False)
    return len(failures)


def _measure(mine: Case, truth: Case, masking: Case | None, data_range: float | None) -> list[Row]:
    candidate, reference = read(mine), read(truth)
    same_grid(mine, candidate, reference)
    image, target = np.asarray(candidate.image[0]), np.asarray(reference.image[0])
    span = float(target.max()) - float(target.min()) if data_range is None else data_range
    if data_range is None and span == 0:
        raise ScanError(truth.files[0], "is constant, so it has no data range", "state one with --data-range")
    regions: dict[str, np.ndarray | None] = {"image": None}
    if masking is not None:
        region = read(masking)
        same_grid(masking, region, reference)
        regions["mask"] = np.asarray(region.image[0]) != 0
    return [
        Row(mine.name, name, target.size if inside is None else int(inside.sum()), span, **measure(image, target, span, inside))
        for name, inside in regions.items()
    ]


def write(rows: list[Row], failures: list[str], folder: Path) -> list[Path]:
    """Write results.csv (a row a pair and region) and results.json (with definitions, means and intervals)."""
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.DictWriter(table, list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    plain = [{k: None if isinstance(v, float) and math.isinf(v) else v for k, v in asdict(row).items()} for row in rows]
    writer.writerows(plain)
    report = {
        "medgen": __version__,
        "definitions": DEFINITIONS,
        "summary": _summaries(rows),
        "interval": "95 % bootstrap interval of the mean over cases",
        "rows": plain,
        "failures": failures,
    }
    paths = [folder / "results.csv", folder / "results.json"]
    for path, text in zip(paths, [table.getvalue(), json.dumps(report, indent=2) + "\n"]):
        temporary = path.with_name(path.name + ".part")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    return paths


def _summaries(rows: list[Row]) -> dict[str, dict[str, dict[str, float | int | None]]]:
    return {
        region: {name: summarise([getattr(r, name) for r in rows if r.region == region]) for name in ("psnr", "ssim", "mae")}
        for region in sorted({row.region for row in rows})
    }


def _print(rows: list[Row], failures: list[str], data_range: float | None, console: Console) -> None:
    table = Table("case", "region", "PSNR (dB)", "SSIM", "MAE", "data range", box=None)
    for row in rows:
        level = "identical" if math.isinf(row.psnr) else f"{row.psnr:.2f}"
        table.add_row(row.case, row.region, level, f"{row.ssim:.4f}", f"{row.mae:.4g}", f"{row.data_range:.6g}")
    for region, summary in _summaries(rows).items():
        cells = []
        for name, digits in (("psnr", 2), ("ssim", 4), ("mae", 4)):
            s = summary[name]
            text = "-" if s["mean"] is None else f"{s['mean']:.{digits}f}"
            cells.append(text if s["low"] is None else f"{text} [{s['low']:.{digits}f}, {s['high']:.{digits}f}]")
        table.add_row(f"mean, n={summary['mae']['n']}", region, *cells, "")
    if rows:
        console.print(table)
        how = "maximum minus minimum of each reference" if data_range is None else "as given"
        console.print(f"data range: {how}; [..]: 95 % bootstrap interval over cases", markup=False)
    for failure in failures:
        console.print(f"failed: {failure}", markup=False)
