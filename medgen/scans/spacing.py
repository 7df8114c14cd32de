"""The voxel size of a scan, without its voxels where the format allows."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError

from medgen.scans.nifti import MILLIMETRES
from medgen.scans.read import read


def spacing_of(path: str | Path) -> tuple[float, float, float]:
    """Return the voxel size in mm along X, Y, Z of a scan as `read` gives it; of NIfTI from the header alone.

    A NIfTI file is not checked further; other formats are read, and a `ScanError` tells where they are not sound.
    """
    try:
        image = nib.load(path)
    except ImageFileError:
        image = None
    if not isinstance(image, nib.Nifti1Image):
        return read(Path(path)).spacing
    unit = MILLIMETRES.get(int(image.header["xyzt_units"]) & 7, 1.0)
    x, y, z = (float(v) * unit for v in voxel_sizes(image.affine))
    return x, y, z


def is_thick(path: str | Path) -> bool:
    """Return whether a scan is of thick slices: its largest voxel side is more than 1.3 times its smallest."""
    mm = spacing_of(path)
    return max(mm) > 1.3 * min(mm)
