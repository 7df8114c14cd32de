"""What scans show, in words: every case read, labelled by a given map, its own or the segmenter, and measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from medgen.batch.made_of import age_and_sex, labels_of
from medgen.batch.pairing import on_grid_of
from medgen.evaluation.segmenter import Segmenter
from medgen.scans import Case, Scan, ScanError, find, read
from medgen.synthesis.describe import Description, describe

SEGMENTER = "brain-any"


def descriptions(
    cases: Sequence[Case], *, labels: Path | None = None, outlines: bool = False, language: str = "en", device: str = "cpu",
    permissive: bool = False,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yield for each case its name and what it shows: "text" and the measurements, or the problem for which it is refused.

    Args:
        labels: a label map on the grid of the one case, in any order of axes; by default a scan that was made to order is labelled by
            the map that it was painted from (`medgen.batch.made_of`), and any other by `SEGMENTER`.
        outlines: take the outlines of the label map's lesions from the scan.
        language: "en" or "zh".

    Raises `ScanError` for a label map with several cases, or one that cannot be read.
    """
    if labels is not None and len(cases) != 1:
        raise ScanError(labels, f"is one label map for {len(cases)} scans", "give it with one scan")
    given = _read_map(labels, permissive) if labels is not None else None
    segmenter = cache(lambda: Segmenter(SEGMENTER, device))
    for case in cases:
        own = labels_of(case) if given is None else None
        try:
            by = given or (_read_map(own, permissive) if own else segmenter())
            found = _describe(case, read(case, permissive=permissive), by, outlines)
        except ScanError as error:
            yield {"name": case.name, "problem": str(error)}
        else:
            told = {"labelled_by": "label map" if given else SEGMENTER}
            if own:
                told = {"labelled_by": "the label map that it was painted from", "label_map": f"{own.parent.name}/{own.name}"}
            yield {"name": case.name, "text": found.text(language), **told, **found.told()}


def _describe(case: Case, scan: Scan, by: tuple[Case, Scan] | Segmenter, outlines: bool) -> Description:
    if scan.modality not in ("", "MR"):
        raise ScanError(scan.source, f"is {scan.modality}, and no MR scan of a brain", "choose an MR scan")
    image, affine = scan.image[0].numpy(), scan.image.affine.numpy()
    known = age_and_sex(case) or in_header(scan)
    try:
        if isinstance(by, Segmenter):
            return describe(image, affine, by.classes(image, affine), segmented=True, age_and_sex=known)
        labels = _on_grid(*by, scan).image[0].numpy()
        return describe(image, affine, np.rint(labels).astype(np.int32), outlines=outlines, age_and_sex=known)
    except ValueError as error:
        raise ScanError(scan.source, str(error), "choose an MR scan of a brain, and its own label map") from None


def in_header(scan: Scan) -> tuple[float, str] | None:
    """Return the age in years and the sex that DICOM headers tell, where they tell both."""
    header: Any = scan.slices[0] if scan.slices else {}
    age = re.fullmatch(r"(\d{3})Y", str(header.get("PatientAge", "")).strip())
    sex = {"F": "female", "M": "male"}.get(str(header.get("PatientSex", "")).strip())
    return (float(age[1]), sex) if age and sex else None


def _on_grid(case: Case, labels: Scan, scan: Scan) -> Scan:
    try:
        return on_grid_of(case, labels, scan)
    except ScanError as error:
        why = f"lies on another grid than the scan ({error.reason})"
        raise ScanError(labels.source, why, "resample it to the scan's grid, nearest neighbour") from None


def _read_map(path: Path, permissive: bool) -> tuple[Case, Scan]:
    cases = find([path])[0]
    if len(cases) != 1:
        raise ScanError(path, f"has {len(cases)} scans", "give one label map")
    return cases[0], read(cases[0], permissive=permissive)
