"""What the grid of a scan tells of its acquisition: plane, voxels, orientation."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np

from medgen.anatomy.flow import spacing_of
from medgen.text.spec import Plane

THICK = 1.4  #: a slice against the next larger side of a voxel; what is less is a 3D scan
PLANES: tuple[Plane, ...] = ("sagittal", "coronal", "axial")  #: that are stacked along R, A and S


@dataclass(frozen=True)
class Acquisition:
    """Plane of the slices, or None of a 3D scan; voxel in mm, across the slices last; where the stored axes point to."""

    plane: Plane | None
    voxel_mm: tuple[float, float, float]
    orientation: str  #: such as "RAS"
    oblique_degrees: float  #: between slices (of a 3D scan, its axes) and the plane


def acquisition(affine: np.ndarray) -> Acquisition:
    """Return what an affine (4, 4) to RAS+ mm tells; slices lie across the axis that is by far the coarsest."""
    spacing = spacing_of(affine)
    order = np.argsort(spacing, kind="stable")
    axes = np.abs(affine[:3, :3] / spacing)
    turn = nib.orientations.io_orientation(affine)
    thick = bool(spacing[order[2]] >= THICK * spacing[order[1]])
    along = order[2] if thick else None
    across = int(axes[:, along].argmax()) if along is not None else None
    straight = axes[across, along] if along is not None else min(axes[int(to), n] for n, to in enumerate(turn[:, 0]))
    size = spacing[[*(n for n in range(3) if n != along), along]] if along is not None else spacing[np.argsort(turn[:, 0])]
    voxel = tuple(round(float(v), 2) for v in size)
    return Acquisition(
        PLANES[across] if across is not None else None, (voxel[0], voxel[1], voxel[2]), "".join(nib.orientations.ornt2axcodes(turn)),
        round(float(np.degrees(np.arccos(min(straight, 1.0)))), 1),
    )  # fmt: skip
