"""A scan in memory, and the one error that reading or writing it may raise."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from monai.data import MetaTensor

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


class ScanError(Exception):
    """A scan cannot be read or written for certain: which file, what is wrong, what to do, in one line."""

    def __init__(self, path: str | os.PathLike[str], reason: str, remedy: str) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}; {remedy}")
        self.path, self.reason, self.remedy = os.fspath(path), reason, remedy


class Reading:
    """How strictly one scan is read, and what was doubtful about it.

    Strict, every doubt is a `ScanError`. Permissive, the doubts that have a name and a stated way out become warnings,
    which end up in `Scan.warnings`; what has no way out is an error all the same.

    Args:
        permissive: take the stated way out instead of refusing.
        four_d: read all volumes of a 4D image (a time series, echoes, b-values) as channels, instead of refusing it.
        repair: read for what changes a part and keeps the rest bit for bit. A 3D DICOM series that lacks slices is read on its
            whole grid, those slices empty (`Scan.missing`), instead of refused; values that float32 rounds are kept as they
            are too (`Scan.exact`; not of DICOM).
    """

    def __init__(self, permissive: bool = False, four_d: bool = False, repair: bool = False) -> None:
        self.permissive, self.four_d, self.repair = permissive, four_d, repair
        self.warnings: list[str] = []

    def doubt(self, path: str | os.PathLike[str], reason: str, remedy: str, instead: str) -> None:
        """Refuse the scan, or if `permissive` note what is done `instead` and go on.

        Raises `ScanError`, whose remedy names --permissive too.
        """
        if not self.permissive:
            raise ScanError(path, reason, f"{remedy}, or use --permissive ({instead})")
        self.note(f"{reason}: {instead}")

    def note(self, warning: str) -> None:
        """Note what was repaired for certain, or is odd but harmless, once; no patient data."""
        if warning not in self.warnings:
            self.warnings.append(warning)


@dataclass(frozen=True)
class Scan:
    """A volume with its geometry, its units and where it came from.

    Attributes:
        image: (1, X, Y, Z) float32 in physical units (HU for CT, as stored after rescale for MR); its affine maps voxel
            indices to RAS+ millimetres. Of a 4D image that was asked for, (T, X, Y, Z).
        units: "HU", "arbitrary", or what the file says (such as "BQML").
        modality: "CT", "MR", "PT" ... or "" where the file does not say.
        dtype: what the file stored, after rescale; what is written back.
        source: file or folder.
        sha256: of the input's bytes, files in sorted order.
        slices: of DICOM, the header of each slice without pixels in the order of Z (see `dicom_headers`), of 4D volume after
            volume, for what is derived from them; else empty.
        warnings: what was repaired, or is accepted though doubtful; without patient data.
        codes: of NIfTI, sform_code and qform_code, which say what space the affine leads to; kept when written.
        missing: of DICOM that was read with `Reading.repair`, the indices along Z of the slices that no file holds; they have
            the lowest value, and a header without what is one image's own (UID, position).
        exact: of what was read with `Reading.repair`, the values as `image` would have them if float32 did not round them;
            None where it rounds none.
    """

    image: MetaTensor
    units: str
    modality: str
    dtype: np.dtype
    source: Path
    sha256: str
    slices: tuple[Dataset, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()
    codes: tuple[int, int] = (1, 1)
    missing: tuple[int, ...] = ()
    exact: np.ndarray | None = field(default=None, repr=False)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along X, Y and Z."""
        x, y, z = np.linalg.norm(self.image.affine.numpy()[:3, :3], axis=0)
        return float(x), float(y), float(z)

    def volumes(self) -> list[Scan]:
        """Return the volumes of a 4D scan as scans of their own, in order; of a 3D scan, itself."""
        if len(self.image) == 1:
            return [self]
        depth = self.image.shape[-1]
        return [
            replace(self, image=MetaTensor(self.image[t : t + 1]), slices=self.slices[t * depth : (t + 1) * depth])
            for t in range(len(self.image))
        ]
