from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from medgen.synthesis.acquisition import acquisition
from tests.synthesis.test_halves import turned


@pytest.mark.parametrize(("plane", "spacing"), [("sagittal", (4, 1, 1)), ("coronal", (0.9, 5, 0.9)), ("axial", (0.7, 0.7, 3)), (None, (1, 1, 1.2))])
@pytest.mark.parametrize("code", ["RAS", "LPS", "PSR", "IAL"])
def test_the_plane_is_across_the_coarsest_axis_however_it_is_stored(plane: str | None, spacing: tuple[float, ...], code: str) -> None:
    affine = np.eye(4)
    for stored, (axis, flip) in enumerate(nib.orientations.axcodes2ornt(code).astype(int)):
        affine[:3, stored] = np.eye(3)[axis] * flip * spacing[axis]
    found = acquisition(turned(affine, (0, 0, 12)))
    assert (found.plane, found.orientation) == (plane, code)
    assert sorted(found.voxel_mm) == sorted(spacing) and (plane is None or found.voxel_mm[2] == max(spacing))
    if plane != "axial":  # it was turned about the axis of axial slices
        assert found.oblique_degrees == pytest.approx(12, abs=0.2)


def test_voxels_are_rounded() -> None:
    assert acquisition(np.diag([0.9375, 0.9375, 1.2, 1])).voxel_mm == (0.94, 0.94, 1.2)
