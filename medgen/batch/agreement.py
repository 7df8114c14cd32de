"""Volumes of labels before and after: whether what people measure still agrees."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from medgen.batch import tables
from medgen.batch.evaluate import save
from medgen.batch.pairing import pair
from medgen.batch.protocol import Protocol
from medgen.batch.quality import Row
from medgen.evaluation.agreement import bland_altman
from medgen.evaluation.statistics import of_subjects
from medgen.scans import Case, ScanError, read

DEFINITIONS = {
    "before_ml, after_ml": "volume of the label, number of voxels x voxel volume, ml; 0 where the map has none of it",
    "bias": "mean over subjects of after minus before, ml, with its 95 % confidence interval (t)",
    "lower, upper": "95 % limits of agreement, bias -+ 1.96 SD of the differences (Bland and Altman 1986), each with its 95 % "
    "confidence interval",
    "trend": "slope of the difference on the mean of both; with a small trend_p the bias depends on size",
}


def agreement(before: Path, after: Path, protocol: Protocol, output: Path | None, console: Console) -> int:
    """Measure each label's volume in label maps before and after, paired by name (a, a_restored), and print the limits of
    agreement of each label; write agreement.csv and .json in `output`. Returns the number of failures."""
    pairs, failures = pair(after, before)
    rows: list[Row] = []
    for second, first in pairs:
        try:
            volumes = [_volumes(case) for case in (first, second)]
        except ScanError as error:
            failures.append(str(error))
            continue
        for value in sorted(set().union(*volumes)):
            a, b = (found.get(value, 0.0) for found in volumes)
            head: Row = {"case": first.name, "subject": protocol.subject_of(first.name), "label": value}
            rows.append({**head, "before_ml": a, "after_ml": b, "difference_ml": b - a})
    limits = {}
    for value in sorted({int(row["label"]) for row in rows if row["label"] is not None}):
        here = [row for row in rows if row["label"] == value]
        subjects = [str(row["subject"]) for row in here]
        first_, second_ = (of_subjects([float(row[k]) for row in here], subjects) for k in ("before_ml", "after_ml"))  # type: ignore[arg-type]
        limits[value] = bland_altman(list(first_), list(second_)) if len(first_) >= 3 else None
    _print(rows, limits, failures, console)
    report = {
        "definitions": DEFINITIONS, "protocol": {"subject": protocol.subject},
        "agreement": {str(value): found for value, found in limits.items()}, "failures": failures,
    }  # fmt: skip
    return len(failures) + (save(output, "agreement", rows, report, console) if rows else 0)


def _volumes(case: Case) -> dict[int, float]:
    """Return the volume of each label in ml; a `ScanError` where the values are no labels."""
    scan = read(case)
    labels = np.asarray(scan.image[0])
    if not np.array_equal(labels, np.rint(labels)):
        raise ScanError(case.files[0], "holds values between whole numbers", "give label maps")
    values, counts = np.unique(labels, return_counts=True)
    voxel = float(np.prod(scan.spacing)) / 1000
    return {int(value): float(count * voxel) for value, count in zip(values, counts) if value != 0}


def _print(rows: list[Row], limits: dict[int, dict[str, float | int | None] | None], failures: list[str], console: Console) -> None:
    table = Table("label", "n", "mean before (ml)", "bias (ml)", "limits of agreement (ml)", "trend", box=None)
    for value, found in limits.items():
        before = float(np.mean([row["before_ml"] for row in rows if row["label"] == value]))  # type: ignore[arg-type]
        if found is None:
            table.add_row(str(value), "< 3", tables.cell(before), "-", "-", "-")
            continue
        bias = tables.interval({"mean": found["bias"], "low": found["bias_low"], "high": found["bias_high"]}, ".3g")
        known = found["trend_p"] is not None and math.isfinite(found["trend_p"])
        trend = "-" if not known else f"{found['trend']:+.3f} (p {found['trend_p']:.2g})"
        table.add_row(
            str(value), str(found["n"]), tables.cell(before), bias, f"{found['lower']:.3g} to {found['upper']:.3g}", trend
        )
    if rows:
        console.print(table)
        console.print("after - before; [..]: 95 % confidence interval (t); limits: bias -+ 1.96 SD", markup=False)
    for failure in failures:
        console.print(f"failed: {failure}", markup=False)
