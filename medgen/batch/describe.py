"""What scans show, in words: every case read, labelled by the segmenter or a given map, and measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
        labels: a label map on the grid of the one case, in any order of axes; by default `SEGMENTER` labels each.
        outlines: take the outlines of the label map's lesions from the scan.
        language: "en" or "zh".

    Raises `ScanError` for a label map with several cases, or one that cannot be read.
    """
    if labels is not None and len(cases) != 1:
        raise ScanError(labels, f"is one label map for {len(cases)} scans", "give it with one scan")
    given = _read_map(labels, permissive) if labels is not None else Segmenter(SEGMENTER, device)
    for case in cases:
        try:
            found = _describe(read(case, permissive=permissive), given, outlines)
        except ScanError as error:
            yield {"name": case.name, "problem": str(error)}
        else:
            by = "label map" if labels is not None else SEGMENTER
            yield {"name": case.name, "text": found.text(language), "labelled_by": by, **found.told()}


def _describe(scan: Scan, given: tuple[Case, Scan] | Segmenter, outlines: bool) -> Description:
    if scan.modality not in ("", "MR"):
        raise ScanError(scan.source, f"is {scan.modality}, and no MR scan of a brain", "choose an MR scan")
    image, affine = scan.image[0].numpy(), scan.image.affine.numpy()
    try:
        if isinstance(given, Segmenter):
            return describe(image, affine, given.classes(image, affine), segmented=True)
        labels = _on_grid(*given, scan).image[0].numpy()
        return describe(image, affine, np.rint(labels).astype(np.int32), outlines=outlines)
    except ValueError as error:
        raise ScanError(scan.source, str(error), "choose an MR scan of a brain, and its own label map") from None


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
