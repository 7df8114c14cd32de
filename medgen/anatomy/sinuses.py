"""The venous sinuses of the dura, which label maps of the brain leave out: by them a contrast agent is seen first."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

SINUS = 17  #: class
TISSUE = tuple(range(1, 9))  #: classes of the brain
FLUID, BONE = 9, 10
CORTEX, CEREBELLUM = 1, 6
WIDTH = 4.0  #: mm that the superior sagittal sinus reaches from the midplane to each side
DEPTH = 4.5  #: mm that sinuses lie from the inner table of the skull at most
TENTORIUM = 8.0  #: mm from the cortex and from the cerebellum within which a transverse sinus runs
OCCIPUT = 40.0  #: mm behind the brain's centre from which the sagittal sinus goes down to the tentorium


def with_sinuses(classes: np.ndarray, affine: np.ndarray, middle: float = 0.0) -> np.ndarray:
    """Return a head's classes with the superior sagittal and the transverse sinuses as `SINUS`.

    Both lie between the brain and the skull: one along the midplane over the vault, from the forehead to the occiput, the
    others where the tentorium meets the skull. They take the place of fluid and of the bone's innermost voxels.

    Args:
        classes: (X, Y, Z) of `medgen.anatomy.classes`, RAS+, a brain within its skull.
        affine: of the grid, mm; its axes are the world's.
        middle: x of the midplane in mm.
    """
    spacing = np.abs(np.diag(affine)[:3])
    x, y, z = (affine[a, 3] + affine[a, a] * np.arange(n) for a, n in enumerate(classes.shape))
    brain = np.isin(classes, TISSUE)
    if not brain.any():
        return classes
    within = distance_transform_edt(~brain, sampling=spacing) <= DEPTH
    outside = np.isin(classes, (FLUID, BONE)) & within & (distance_transform_edt(classes != BONE, sampling=spacing) <= DEPTH)

    def far(number: int) -> np.ndarray:
        return np.asarray(distance_transform_edt(classes != number, sampling=spacing)) if (classes == number).any() else np.full(classes.shape, np.inf)

    centre = np.argwhere(brain).mean(0) * spacing + affine[:3, 3]
    behind = (y < centre[1] - OCCIPUT)[None, :, None]
    vault = (np.abs(x - middle) <= WIDTH)[:, None, None] & ((z > centre[2])[None, None, :] | (behind & (far(CEREBELLUM) > TENTORIUM)))
    tent = (far(CORTEX) <= TENTORIUM) & (far(CEREBELLUM) <= TENTORIUM) & (y < centre[1])[None, :, None]
    return np.where(outside & (vault | tent), np.uint8(SINUS), classes)
