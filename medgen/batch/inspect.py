"""What is there: every scan under some paths, read to its last voxel, so that what is listed as sound is sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from medgen.batch.sidecar import describe
from medgen.scans import Case, ScanError, read
from medgen.scans.dicom_parsing import silent

PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate")


def inspect(cases: Sequence[Case], *, permissive: bool = False, show_patient: bool = False) -> Iterator[dict[str, Any]]:
    """Yield for each case its name, format, files and what it is, or the problem for which it is refused.

    Nothing of the patient is told unless `show_patient`.
    """
    for case in cases:
        row: dict[str, Any] = {"name": case.name, "format": case.kind, "files": len(case.files)}
        try:
            scan = read(case, permissive=permissive, four_d=True)
        except ScanError as error:
            yield {**row, "problem": str(error)}
            continue
        row.update(describe(scan))
        if show_patient and scan.slices:
            with silent():
                row["patient"] = {keyword: str(scan.slices[0].get(keyword, "")) for keyword in PATIENT}
        yield row


def table(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print rows of `inspect` as a table, then patients, warnings and problems, a line each."""
    grid = Table(box=None)
    for head in ("scan", "format", "what", "shape", "mm", "axes", "units"):
        grid.add_column(head, overflow="fold", no_wrap=head in ("scan", "shape", "mm"))
    for row in rows:
        cells = [row["name"], f"{row['format']} ({row['files']})" if row["files"] > 1 else row["format"]]
        if "problem" in row:
            cells.append("refused")
        else:
            oblique = f" {row['oblique_degrees']:.0f}° oblique" if row["oblique_degrees"] >= 0.5 else ""
            times = f" x {row['volumes']} volumes" if row["volumes"] > 1 else ""
            cells += [row["modality"] or "?", "x".join(map(str, row["shape"])) + times]
            cells += ["x".join(f"{v:.3g}" for v in row["spacing_mm"]), row["orientation"] + oblique, row["units"]]
        grid.add_row(*cells)
    console.print(grid)
    for row in rows:
        if "patient" in row:
            console.print(f"{row['name']}: patient: {', '.join(filter(None, row['patient'].values()))}", markup=False)
        for warning in row.get("warnings", []):
            console.print(f"{row['name']}: warning: {warning}", markup=False)
        if "problem" in row:
            console.print(f"refused: {row['problem']}", markup=False)
