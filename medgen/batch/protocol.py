"""What decides the numbers of an evaluation besides the images: regions, subjects, axes; written beside the numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medgen.batch.pairing import on_grid_of
from medgen.evaluation.regions import TISSUES, tissues
from medgen.scans import Case, Scan, ScanError, find, read

SUBJECT = r"sub-[A-Za-z0-9]+"  #: as BIDS names them


@dataclass(frozen=True)
class Protocol:
    """What decides the numbers besides the images; it is written beside them."""

    data_range: float | None = None  #: maximum minus minimum of each reference where it is None
    mask: Path | None = None  #: one mask, or a folder of them named like the references
    labels: Path | None = None  #: one label map, or a folder of them
    background: int | None = None  #: the label that contrast-to-noise ratios are against
    slice_axis: int | None = None  #: of the widest spacing, the last among equals, where it is None
    hu: bool = False  #: values are HU, though the file does not say so: adds the tissues
    subject: str = SUBJECT  #: the part of a case's name that says whose it is; a name without it is a subject of its own

    def subject_of(self, case: str) -> str:
        """Return the subject of a case."""
        found = re.search(self.subject, case)
        return found.group(found.lastindex or 0) if found else case

    def told(self) -> dict[str, Any]:
        """Return the protocol in words and numbers."""
        return {
            "data_range": self.data_range if self.data_range is not None else "maximum minus minimum of each reference",
            "mask": None if self.mask is None else self.mask.name,
            "labels": None if self.labels is None else self.labels.name,
            "background": self.background,
            "slice_axis": self.slice_axis if self.slice_axis is not None else "of the widest spacing, the last among equals",
            "tissues": TISSUES if self.hu else f"{TISSUES}, of scans in HU",
            "subject": self.subject,
        }


class Regions:
    """Where to measure: the masks and label maps of a protocol, found once and read for each case."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.failures: list[str] = []
        self._found: dict[Path, list[Case]] = {}
        for path in filter(None, (protocol.mask, protocol.labels)):
            self._found[path], errors, _ = find(path)
            self.failures += [str(error) for error in errors]

    def of(self, case: Case, scan: Scan) -> tuple[dict[str, np.ndarray | None], np.ndarray | None]:
        """Return the regions of a case by name, on the grid of its scan, and the background label's place.

        Raises `ScanError` where a mask or label map is missing, lies on another grid, or has no such label.
        """
        regions: dict[str, np.ndarray | None] = {"image": None}
        background = None
        if self.protocol.mask is not None:
            regions["mask"] = self._read(self.protocol.mask, "mask", case, scan) != 0
            if not np.any(regions["mask"]):
                raise ScanError(self.protocol.mask, f"is empty for {case.name}", "check the mask, or leave it out")
        if self.protocol.labels is not None:
            labels = self._read(self.protocol.labels, "label map", case, scan)
            regions |= {f"label {value:g}": labels == value for value in np.unique(labels) if value != 0}
            if self.protocol.background is not None:
                background = labels == self.protocol.background
                if not background.any():
                    reason = f"has no label {self.protocol.background} for {case.name}"
                    raise ScanError(self.protocol.labels, reason, "choose another --background")
        if self.protocol.hu or scan.units == "HU":
            regions |= {f"tissue {name}": inside for name, inside in tissues(np.asarray(scan.image[0])).items()}
        return regions, background

    def _read(self, path: Path, what: str, case: Case, scan: Scan) -> np.ndarray:
        found = self._found[path]
        named = [one for one in found if one.name == case.name or one.name.startswith(case.name + "_")]
        one = min(named, key=lambda other: len(other.name), default=found[0] if found and path.is_file() else None)
        if one is None:
            raise ScanError(path, f"has no {what} named {case.name}", f"add it, or leave the {what} out")
        return np.asarray(on_grid_of(one, read(one), scan).image[0])


def slice_axis(scan: Scan, protocol: Protocol) -> int:
    """Return the axis across the slices: the protocol's, else that of the widest spacing, the last among equals."""
    if protocol.slice_axis is not None:
        return protocol.slice_axis
    widest = max(scan.spacing)
    return max(axis for axis, step in enumerate(scan.spacing) if step > 0.999 * widest)
