"""What lies around a brain: classes of the head's tissues from a T1-weighted scan and the classes of its brain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_closing, binary_fill_holes, distance_transform_edt, gaussian_filter, label

BONE, SOFT, FAT, FLUID = 10, 11, 12, 9
#: Of bright (the white matter's median): below is bone, air or fluid, above is fat. Of T1-weighted scans.
DARK, BRIGHT = 0.4, 1.0


def with_head(classes: np.ndarray, image: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the classes (X, Y, Z) with the tissues around the brain told by a T1-weighted image of the same grid.

    The head is what is brighter than air, its holes filled. In it, but outside of the brain: dark is fluid within 4 mm of the
    brain, else bone or air in sinuses; the rest is soft tissue or, brighter than white matter, fat. A scan without its
    skull gains nothing but fluid. Raises ValueError where there is no white matter to compare with.
    """
    inside = classes > 0
    if not (classes == 2).any():
        raise ValueError("the label map has no cerebral white matter, by which the head's tissues are told")
    smooth = gaussian_filter(image.astype(np.float32), [0.7 * 2 / s for s in spacing]) if max(spacing) < 1.5 else image
    white = float(np.median(image[classes == 2]))
    head = _largest(smooth > 0.15 * white) | inside
    head = binary_fill_holes(binary_closing(np.pad(head, 4), iterations=3))[4:-4, 4:-4, 4:-4] | inside
    for axis in range(3):  # a neck that is cut off leaves cavities open towards the border
        head |= np.stack([binary_fill_holes(part) for part in np.moveaxis(head, axis, 0)], axis)
    out = np.where(head & ~inside, np.uint8(SOFT), classes.astype(np.uint8))
    around = out == SOFT
    near = distance_transform_edt(~inside, sampling=spacing) <= 4
    dark = around & (smooth < DARK * white)
    out[dark] = BONE
    out[dark & near] = FLUID
    out[around & (smooth > BRIGHT * white)] = FAT
    return out


def _largest(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part."""
    parts, count = label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()
