"""What lies around a brain: the head's tissues as a T1-weighted scan shows them, or those of a mean head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import (
    affine_transform,
    binary_closing,
    binary_fill_holes,
    distance_transform_edt,
    gaussian_filter,
    label,
)

from medgen.anatomy.classes import classes_of
from medgen.anatomy.frame import to_frame

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


#: Made by tests/benchmarks/head_template.py of the training heads: classes in the frame, and their affine.
TEMPLATE = Path(__file__).with_name("head.npz")
SKULL = 5.0  #: mm that bone reaches around the brain's fluid at least


@cache
def _template() -> tuple[np.ndarray, np.ndarray]:
    with np.load(TEMPLATE) as stored:
        head, affine = stored["head"], stored["affine"]
    return np.where(head == 255, 0, head).astype(np.uint8), affine


def with_mean_head(
    labels: np.ndarray, affine: np.ndarray, scheme: str, spacing: float = 2.0, frame: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of a brain within a mean head, and their affine: a grid of its own, RAS+, that holds all of it.

    The mean head is laid around the brain by the deep structures; where the two do not meet there is bone, and next to the
    brain a skull of `SKULL` mm. Finer grids than the labels' own get smooth outlines; labels on a `regular` grid of this spacing
    keep every voxel.

    Args:
        labels: (X, Y, Z) whole numbers of `scheme`, which has sides.
        affine: of their grid, mm.
        spacing: mm of the new grid.
        frame: from the labels' world to the frame's, where that is known; lesions hide structures that it would be found by.

    Raises ValueError where the map has too few structures to lay it by.
    """
    head, grid = _template()
    frame = to_frame(labels, affine, scheme) if frame is None else frame
    corners = np.array(np.meshgrid(*((0, n - 1) for n in head.shape))).reshape(3, -1)
    box = (np.linalg.inv(frame) @ grid @ np.r_[corners, np.ones((1, 8))])[:3]
    low = box.min(1)
    shape = tuple(int(n) for n in np.ceil(np.ptp(box, axis=1) / spacing) + 2)
    new = np.diag([spacing, spacing, spacing, 1.0])
    new[:3, 3] = affine[:3, 3] + np.floor((low - affine[:3, 3]) / spacing) * spacing  # voxels of such a grid lie on voxels
    classes = _sampled(classes_of(labels, scheme), np.linalg.inv(affine) @ new, shape)
    around = _sampled(head, np.linalg.inv(grid) @ frame @ new, shape)
    inside = classes > 0
    away = distance_transform_edt(~inside, sampling=spacing)
    around[(around > 0) & (around <= FLUID)] = BONE
    around[(away <= SKULL) & (away > 0)] = BONE
    return np.where(inside, classes, around), new


def regular(labels: np.ndarray, affine: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a label map, whose axes are R, A and S, on the grid of the multiples of `spacing` mm, and that grid's affine."""
    first = np.floor(affine[:3, 3] / spacing)
    last = np.ceil((affine[:3, 3] + np.diag(affine)[:3] * (np.array(labels.shape) - 1)) / spacing)
    new = np.diag([spacing, spacing, spacing, 1.0])
    new[:3, 3] = first * spacing
    shape = tuple(int(n) for n in last - first + 1)
    return _sampled(labels, np.linalg.inv(affine) @ new, shape), new


def _sampled(classes: np.ndarray, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the classes on another grid: of each voxel the one with the largest share in it."""
    if np.abs(np.linalg.det(matrix[:3, :3])) > 0.5:  # voxels of about the same size
        return affine_transform(classes, matrix, output_shape=shape, order=0)
    best, found = np.full(shape, 1e-3, np.float32), np.zeros(shape, np.uint8)
    for number in np.unique(classes)[1:]:
        share = affine_transform((classes == number).astype(np.float32), matrix, output_shape=shape, order=1)
        nearer = share > best
        found[nearer], best[nearer] = number, share[nearer]
    outside = affine_transform((classes == 0).astype(np.float32), matrix, output_shape=shape, order=1, cval=1.0)
    found[outside >= best] = 0
    return found
