"""A scan in memory, and the one error that reading or writing it may raise."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Scan:
    """A volume with its geometry, its units and where it came from.

    Attributes:
        image: (1, X, Y, Z) float32 in physical units (HU for CT, as stored after rescale for MR); its affine maps voxel
            indices to RAS+ millimetres.
        units: "HU", "arbitrary", or what the file says (such as "BQML").
        modality: "CT", "MR", "PT" ... or "" where the file does not say.
        dtype: what the file stored, after rescale; what is written back.
        source: file or folder.
        sha256: of the input's bytes, files in sorted order.
        slices: of DICOM, the headers without pixels in the order of Z, for what is derived from them; else empty.
    """

    image: MetaTensor
    units: str
    modality: str
    dtype: np.dtype
    source: Path
    sha256: str
    slices: tuple[Dataset, ...] = field(default=(), repr=False)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along X, Y and Z."""
        x, y, z = np.linalg.norm(self.image.affine.numpy()[:3, :3], axis=0)
        return float(x), float(y), float(z)
