"""Compare methods on the same subjects against one reference."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medgen.batch import tables
from medgen.batch.evaluate import INTERVAL, against, save, summaries
from medgen.batch.protocol import Protocol, Regions
from medgen.batch.quality import PAIRED, SHARED, Row
from medgen.evaluation.statistics import compare as compare_values
from medgen.evaluation.statistics import holm, of_subjects

DEFINITIONS = {
    "difference": "mean over subjects of first minus second; low, high: " + INTERVAL,
    "n": "subjects that both methods have a finite value for; scans of one subject are averaged first",
    "p": "Wilcoxon signed-rank test, two-sided, equal pairs dropped; none for fewer than 6 pairs that differ",
    "p_holm": "p corrected for all tests of this table (Holm 1979)",
    "effect": "matched-pairs rank-biserial correlation (Kerby 2014): -1 second higher in every subject, 1 first higher",
}


def compare(
    methods: dict[str, Path], reference: Path, protocol: Protocol, measures: list[str], output: Path | None, console: Console
) -> int:
    """Measure each method's scans against the references and test each pair of methods; return the number of failures.

    Only cases that all methods have are compared; those that one lacks are failures, and named.
    """
    regions = Regions(protocol)
    rows: list[Row] = []
    failures: list[str] = []
    for name, path in methods.items():
        found, errors = against(path, reference, regions)
        rows += [{"method": name, **row} for row in found]
        failures += [f"{name}: {error}" for error in errors]
    rows, lacking = _common(rows, list(methods))
    failures += lacking
    tests = test(rows, list(methods), measures)
    _print(tests, failures, console)
    report = {
        "definitions": DEFINITIONS | SHARED | {name: PAIRED[name] for name in measures},
        "protocol": protocol.told(),
        "methods": {name: path.name for name, path in methods.items()},
        "summary": {name: summaries([row for row in rows if row["method"] == name]) for name in methods},
        "cases": rows,
        "failures": failures,
    }
    return len(failures) + (save(output, "comparison", tests, report, console) if tests else 0)


def test(rows: list[Row], methods: list[str], measures: list[str]) -> list[Row]:
    """Return one row for each region, measure and pair of methods, with p values corrected for their number."""
    tests: list[Row] = []
    for region in dict.fromkeys(row["region"] for row in rows):
        for measure in measures:
            for first, second in combinations(methods, 2):
                mine, other = (_values(rows, method, region, measure) for method in (first, second))
                both = [case for case in mine if case in other]  # cases, and with them whose they are
                subjects = [subject for _, subject in both]
                a, b = (list(of_subjects([side[case] for case in both], subjects)) for side in (mine, other))
                found = compare_values(a, b)
                tests.append({"region": region, "measure": measure, "first": first, "second": second, **found})
    for row, p in zip(tests, holm([row["p"] for row in tests])):  # type: ignore[misc]
        row["p_holm"] = p
    return tests


def _values(rows: list[Row], method: str, region: Any, measure: str) -> dict[tuple[str, str], float]:
    """Return the finite values of a method by case and subject; several candidates of one reference count by their mean."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        value = row.get(measure)
        if row["method"] == method and row["region"] == region and isinstance(value, (int, float)) and math.isfinite(value):
            found.setdefault((str(row["reference"]), str(row["subject"])), []).append(value)
    return {case: sum(values) / len(values) for case, values in found.items()}


def _common(rows: list[Row], methods: list[str]) -> tuple[list[Row], list[str]]:
    cases = {name: {row["reference"] for row in rows if row["method"] == name} for name in methods}
    everywhere = set.intersection(*cases.values())
    lacking = [
        f"{name}: has no result for {case}; it is left out of the comparison"
        for name in methods
        for case in sorted(map(str, set.union(*cases.values()) - cases[name]))
    ]
    return [row for row in rows if row["reference"] in everywhere], lacking


def _print(tests: list[Row], failures: list[str], console: Console) -> None:
    table = Table("region", "measure", "first - second", "n", "difference", "effect", "p", "p (Holm)", box=None)
    for row in tests:
        difference = tables.interval({"mean": row["difference"], "low": row["low"], "high": row["high"]}, ".3g")
        table.add_row(
            str(row["region"]), str(row["measure"]), f"{row['first']} - {row['second']}", str(row["n"]), difference,
            *(tables.cell(row[name], form) for name, form in (("effect", "+.2f"), ("p", ".2g"), ("p_holm", ".2g"))),
        )  # fmt: skip
    if tests:
        console.print(table)
        console.print(
            "[..]: 95 % bootstrap interval over subjects; p: Wilcoxon; effect: rank-biserial; Holm: for all rows here", markup=False
        )
    for failure in failures:
        console.print(f"failed: {failure}", markup=False)
