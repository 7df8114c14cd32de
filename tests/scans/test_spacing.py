from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medgen.scans import read
from medgen.scans.spacing import is_thick, spacing_of


def test_the_spacing_is_that_of_the_scan_read(tmp_path: Path) -> None:
    """Of an oblique grid in microns, with the qform of another."""
    turn = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([900.0, 1000.0, 5000.0])
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), affine)
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "a.nii.gz")
    assert spacing_of(tmp_path / "a.nii.gz") == pytest.approx((0.9, 1.0, 5.0), rel=1e-5)
    assert spacing_of(tmp_path / "a.nii.gz") == pytest.approx(read(tmp_path / "a.nii.gz").spacing, rel=1e-5)
    assert is_thick(tmp_path / "a.nii.gz")


def test_other_formats_are_read(tmp_path: Path) -> None:
    header = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\nElementSpacing = 1 1 1.2\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(header.encode() + np.arange(8, dtype="<i2").tobytes())
    assert spacing_of(tmp_path / "a.mha") == pytest.approx((1.0, 1.0, 1.2))
    assert not is_thick(tmp_path / "a.mha")
