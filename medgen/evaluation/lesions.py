"""Whether a lesion is still what it was: contrast, volume by one and the same rule, and place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from medgen.evaluation.without_reference import MAD

RIM = 4.0  #: mm around a lesion that count as its surroundings
GONE = 0.25  #: share of the contrast before: of what stands out by less, the rule would find noise


@dataclass(frozen=True)
class Lesion:
    """One lesion in one image: its contrast, and what the rule finds of it."""

    contrast: float  #: median in the mask minus median of the surroundings, in the image's units
    contrast_to_noise: float  #: the contrast in robust standard deviations of the surroundings
    volume: float  #: mm^3 found by the rule
    centre: tuple[float, ...]  #: of what was found, weighted by contrast, mm along the axes; NaN where nothing was found
    found: np.ndarray  #: true where the rule found it, in the part of the image that was looked at


@dataclass(frozen=True)
class Kept:
    """One lesion before and after."""

    mask_volume: float  #: mm^3 of the given mask
    contrast_before: float
    contrast_after: float
    contrast_kept: float  #: after / before: 1 kept, 0 gone, below 0 inverted
    cnr_before: float
    cnr_after: float
    volume_before: float  #: mm^3 by the rule
    volume_after: float  #: 0 where less than a quarter of the contrast is left: the lesion is lost
    volume_kept: float  #: after / before
    moved: float  #: mm between the centres; NaN where it is found no more
    dice: float  #: overlap of what was found before and after


def separate(mask: np.ndarray) -> list[np.ndarray]:
    """Return each lesion of a mask (nonzero) as a mask of its own: parts that touch by face, edge or corner are one."""
    numbers, count = label(mask != 0, np.ones((3,) * mask.ndim))
    return [numbers == number for number in range(1, count + 1)]


def lesion(image: np.ndarray, mask: np.ndarray, spacing: Sequence[float], others: np.ndarray | None = None) -> Lesion:
    """Measure one lesion in one image.

    The rule of the volume is that of half contrast (the 50 % isocontour): within the mask and its surroundings, the voxels
    nearer to the median inside the mask than to that of the surroundings, those that hang together with the mask. It looks
    at one image alone, so before and after each have a threshold of their own, and a lesion that only faded keeps its volume. Where the contrast
    is under about 3 times the noise, noise decides what is found: look at `contrast_to_noise` first.

    Args:
        image: (X, Y, Z), any unit.
        mask: true in the lesion.
        spacing: voxel size in mm.
        others: true where other lesions are, which are no surroundings.

    Raises ValueError for an empty mask, or where nothing but the mask is within 4 mm of it.
    """
    inside = np.asarray(mask, bool)
    if not inside.any():
        raise ValueError("the lesion's mask is empty")
    part = _around(inside, spacing)
    values, inside = image[part].astype(np.float64), inside[part]
    near = distance_transform_edt(~inside, spacing) <= RIM
    if others is not None:
        near &= inside | ~np.asarray(others[part], bool)
    rim = near & ~inside
    if not rim.any():
        raise ValueError(f"there is nothing but the lesion within {RIM:g} mm of it")
    core, surroundings = float(np.median(values[inside])), float(np.median(values[rim]))
    contrast = core - surroundings
    noise = MAD * float(np.median(np.abs(values[rim] - surroundings)))
    found = near & ((values - surroundings) / contrast > 0.5) if contrast else np.zeros_like(near)
    numbers, _ = label(found)  # by faces, so that noise at the rim hangs on less
    found = np.isin(numbers, np.setdiff1d(numbers[inside], 0))
    weights = (values[found] - surroundings) / contrast if contrast else np.zeros(0)
    where = np.argwhere(found) + [axis.start for axis in part]
    centre = np.average(where, axis=0, weights=weights) * np.asarray(spacing) if len(where) else [math.nan] * inside.ndim
    ratio = contrast / noise if noise else math.copysign(math.inf, contrast) if contrast else 0.0
    return Lesion(contrast, ratio, float(found.sum() * np.prod(spacing)), tuple(map(float, centre)), found)


def kept(
    before: np.ndarray, after: np.ndarray, mask: np.ndarray, spacing: Sequence[float], others: np.ndarray | None = None
) -> Kept:
    """Return what became of one lesion; the arguments and errors are those of `lesion`, and unequal shapes are one."""
    if not before.shape == after.shape == mask.shape:
        raise ValueError(f"the shapes before, after and of the mask differ: {before.shape}, {after.shape}, {mask.shape}")
    first, second = (lesion(image, mask, spacing, others) for image in (before, after))
    left = _ratio(second.contrast, first.contrast)
    if left < GONE:
        second = replace(second, volume=0.0, centre=(math.nan,) * mask.ndim, found=np.zeros_like(second.found))
    both = int(first.found.sum() + second.found.sum())
    return Kept(
        mask_volume=float(np.count_nonzero(mask) * np.prod(spacing)),
        contrast_before=first.contrast,
        contrast_after=second.contrast,
        contrast_kept=left,
        cnr_before=first.contrast_to_noise,
        cnr_after=second.contrast_to_noise,
        volume_before=first.volume,
        volume_after=second.volume,
        volume_kept=_ratio(second.volume, first.volume),
        moved=math.dist(first.centre, second.centre),
        dice=2 * int((first.found & second.found).sum()) / both if both else math.nan,
    )


def _ratio(after: float, before: float) -> float:
    return after / before if before else math.nan


def _around(inside: np.ndarray, spacing: Sequence[float]) -> tuple[slice, ...]:
    """Return the box of a mask and its surroundings."""
    box = []
    for axis, step in enumerate(spacing):
        there = np.flatnonzero(inside.any(axis=tuple(i for i in range(inside.ndim) if i != axis)))
        margin = math.ceil(RIM / step) + 1
        box.append(slice(max(int(there[0]) - margin, 0), int(there[-1]) + margin + 1))
    return tuple(box)
