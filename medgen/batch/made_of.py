"""What a scan to order was made of: its sidecar, and the label map that it was painted from, which lies beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medgen.scans import Case
from medgen.scans.find import case_name

FOLDER = ".labels"  #: hidden, so that nothing that takes a folder takes its label maps for scans


def map_of(sidecar: Path) -> Path:
    """Return the place of the label map of the scan with this sidecar."""
    return sidecar.parent / FOLDER / f"{sidecar.stem}_labels.nii.gz"


def sidecar_of(case: Case) -> tuple[Path, dict[str, Any]] | None:
    """Return the sidecar of a synthetic scan that medgen wrote, and its content; None for any other scan."""
    file = case.files[0].absolute()
    image = file.parent if case.kind == "dicom" else file
    path = image.with_name(f"{case_name(image.name)}.json")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        made = about["synthetic"] is True and about["outputs"]["image"] == image.name and isinstance(about["report"], dict)
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return (path, about) if made else None


def labels_of(case: Case) -> Path | None:
    """Return the label map that a scan was painted from, where its sidecar names one and it is there."""
    found = sidecar_of(case)
    if found is None or "label_map" not in found[1]["report"]:
        return None
    place = map_of(found[0])
    return place if place.is_file() else None


def age_and_sex(case: Case) -> tuple[float, str] | None:
    """Return the age in years and the sex that a synthetic scan was made for, said or drawn."""
    found = sidecar_of(case)
    edits = found[1]["report"].get("edits") if found else None
    drawn = edits[0] if isinstance(edits, list) and edits and isinstance(edits[0], dict) else {}
    age, sex = drawn.get("age_years"), drawn.get("sex")
    return (float(age), sex) if isinstance(age, (int, float)) and isinstance(sex, str) else None
