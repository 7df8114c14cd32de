"""The numbers of a report: measured where no command wrote them yet, before against after, uncertainty against error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medgen.batch.evaluate import alone, content_of, each, together
from medgen.batch.protocol import Protocol, Regions
from medgen.batch.quality import Row
from medgen.batch.report_cases import Shown
from medgen.evaluation.statistics import compare, of_subjects, summarise

NORMAL_90 = 1.645  #: standard deviations that hold 90 % of a normal distribution
COVERED = (
    f"fraction of the foreground's voxels whose error (result - reference) is within {NORMAL_90:g} of the uncertainty map's standard "
    "deviations: 0.90 for an uncertainty that is right and normal"
)


def measure(cases: Sequence[Shown], protocol: Protocol) -> dict[str, Any]:
    """Measure results, and inputs where there are any, against references where all have one; the content of results.json."""
    regions = Regions(protocol)
    failures: list[str] = list(regions.failures)
    paired = bool(cases) and all("reference" in one.scans for one in cases)

    def of(which: str, failures: list[str]) -> list[Row]:
        here = [one.scans for one in cases if which in one.scans]
        if paired:
            truths = {scans[which]: scans["reference"] for scans in here}
            return each(list(truths), failures, lambda case: together(case, truths[case], regions))
        return each([scans[which] for scans in here], failures, lambda case: alone(case, regions))

    rows = of("result", failures)
    unmeasured: list[str] = []  # an input on another grid than its reference is not measured, and is no failure of the result
    return content_of(rows, protocol, paired, failures, of("input", unmeasured))


def earlier(content: Mapping[str, Any], cases: Sequence[Shown]) -> list[Row]:
    """Return the rows of the inputs under the names of their results: those of the inputs may be nobody's business."""
    rows: dict[str, list[Row]] = {}
    for row in content.get("before", []):
        rows.setdefault(str(row["case"]), []).append({k: v for k, v in row.items() if k not in ("reference", "subject")})
    inputs = [(one.name, one.scans["input"].name) for one in cases if "input" in one.scans]
    return [{**row, "case": name} for name, source in inputs for row in rows.get(source, [])]


def changes(content: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return by region and measure "before", "after" and their "change", over the subjects that have both.

    Args:
        content: what results.json holds, with rows "before" under the names of the results.
    """
    sources = {(row["case"], row["region"]): row for row in content["before"]}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for region, measures in content["summary"].items():
        both = [(row, sources.get((row["case"], region), {})) for row in content["rows"] if row["region"] == region]
        for name in measures:
            values = [(b[name], a[name], str(a["subject"])) for a, b in both if _finite(a[name]) and _finite(b.get(name))]
            if not values:
                continue
            before, after, subjects = (list(column) for column in zip(*values))
            change = compare(list(of_subjects(after, subjects)), list(of_subjects(before, subjects)))
            found.setdefault(region, {})[name] = {
                "before": summarise(before, subjects=subjects),
                "after": summarise(after, subjects=subjects),
                "change": {"n": change["n"], "mean": change["difference"], "low": change["low"], "high": change["high"]},
            }
    return found


def against_error(deviation: np.ndarray, error: np.ndarray, inside: np.ndarray) -> dict[str, Any]:
    """Return how an uncertainty map, (X, Y, Z), tells the error: in ten equal parts of the voxels inside by rising
    uncertainty its root mean square and that of the error; and the fraction of voxels that its 90 % interval covers.

    Where the map is 0, as where a repair kept the input, nothing is uncertain, and nothing counts.
    """
    inside = inside & (deviation > 0) if (deviation > 0).any() else inside
    spread, wrong = (image[inside].astype(np.float64) for image in (deviation, error))
    order = np.argsort(spread, kind="stable")
    parts = [part for part in np.array_split(order, 10) if len(part)]
    rms = [[float(np.sqrt(np.mean(values[part] ** 2))) for part in parts] for values in (spread, wrong)]
    return {"uncertainty": rms[0], "error": rms[1], "covered": float(np.mean(np.abs(wrong) <= NORMAL_90 * spread))}


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
