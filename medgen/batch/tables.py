"""Results as files: one CSV for people's tools, one JSON with all that the numbers mean; and cells for the screen."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medgen.batch.sidecar import versions
from medgen.scans.whole import whole_file


def write(folder: Path, name: str, rows: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> list[Path]:
    """Write NAME.csv with the rows, and NAME.json with versions, `report` and the rows; each whole or not at all.

    Values that are no finite numbers are empty cells, and null. Raises `ScanError` where the folder cannot be written to.
    """
    plain = [finite(row) for row in rows]
    content = {"versions": versions(), **finite(report), "rows": plain}
    paths = [folder / f"{name}.csv", folder / f"{name}.json"]
    for path, text in zip(paths, [csv_text(plain), json.dumps(content, indent=2, allow_nan=False) + "\n"]):
        with whole_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return paths


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, with all columns that any of them has."""
    table = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def finite(value: Any) -> Any:
    """Return the value with None for each infinity and NaN in it, however deep."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cell(value: Any, form: str = ".4g") -> str:
    """Return a value as the text of a table's cell; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return format(value, form) if isinstance(value, (int, float)) else str(value)


def interval(summary: Mapping[str, Any], form: str = ".4g") -> str:
    """Return the mean of a summary with its interval, such as "31.20 [30.10, 32.40]"."""
    mean = cell(summary["mean"], form)
    return mean if summary["low"] is None else f"{mean} [{cell(summary['low'], form)}, {cell(summary['high'], form)}]"


def by_measure(rows: Sequence[Mapping[str, Any]], score: str) -> tuple[list[str], dict[str, dict[str, Mapping[str, Any]]]]:
    """Return the views of the rows of distributions, and by a measure's title (of the Fréchet distance its `score`) the row of each view."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        title = score if row["measure"] == "frechet" else row["measure"].replace("_", " ")
        found.setdefault(title, {})[row["view"]] = row
    return list(dict.fromkeys(row["view"] for row in rows)), found
