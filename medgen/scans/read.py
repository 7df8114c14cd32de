"""One door for all formats."""

from __future__ import annotations

from pathlib import Path

from medgen.scans.dicom_series import read_series
from medgen.scans.find import Case, find
from medgen.scans.itk import read_itk
from medgen.scans.nifti import read_nifti
from medgen.scans.scan import Reading, Scan, ScanError


def read(case: Case | Path, *, permissive: bool = False, four_d: bool = False, repair: bool = False) -> Scan:
    """Read a case, or a path that holds exactly one scan; a `ScanError` where that is not certain.

    `permissive` turns the refusals that have a stated way out into `Scan.warnings`; `four_d` reads all volumes of a 4D
    image as channels, and `repair` a DICOM series that lacks slices, where these are refused otherwise (see `Reading`).
    """
    if not isinstance(case, Case):
        cases, errors, _ = find(case, four_d=four_d)
        if errors:
            raise errors[0]
        if len(cases) != 1:
            names = ", ".join([*(found.name for found in cases[:5]), *(["..."] if len(cases) > 5 else [])])
            raise ScanError(case, f"holds {len(cases)} scans ({names})", "name one of them")
        case = cases[0]
    reading = Reading(permissive, four_d, repair)
    for note in case.notes:
        reading.note(note)
    if case.kind == "dicom":
        return read_series(case.files, reading, case.parts, case.headers)
    return read_nifti(case.files[0], reading) if case.kind == "nifti" else read_itk(case.files[0], reading)
