"""What an operation leaves in an image: a cavity with fluid, tissue that sinks into it, and things that were put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, binary_fill_holes, distance_transform_edt, gaussian_filter, label
from torch import Tensor

from medgen.anatomy.flow import Room, Unreachable, spacing_of, warp
from medgen.anatomy.sides import world

MAD = 1.4826  #: times the median absolute deviation: the standard deviation of a normal distribution
EDGE = 0.6  #: voxels that an edge is blurred by: what lies in part in a voxel is in part seen
SCALP = 15.0  #: mm below the skin where the inside of the skull is taken to be, without labels
DEEP, BELOW = 30.0, 85.0  #: mm below the skin, and below the vertex, within which fluid is looked for without labels
#: How far an inserted lesion goes from its surroundings towards fluid (1), which long T1 and T2 times do to it.
TOWARDS_FLUID = {901: 0.5, 902: 0.6, 903: 0.45, 904: 0.3}


@dataclass(frozen=True)
class Fluid:
    """How fluid looks in a scan: its intensity and the scan's noise, in the scan's units, and where they were taken from."""

    value: float
    noise: float
    source: str


def head_of(image: np.ndarray) -> np.ndarray:
    """Return the head in a scan (bool): the largest piece that is brighter than air, its holes filled."""
    from skimage.filters import threshold_otsu

    bright = gaussian_filter(image, 1.0) > 0.5 * threshold_otsu(image)
    pieces, count = label(bright)
    if not count:
        raise ValueError("the scan has no head in it: nothing is brighter than air")
    largest = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(binary_fill_holes(largest))


def noise_of(image: np.ndarray, where: np.ndarray) -> float:
    """Return the standard deviation of a scan's noise where a mask is: by its second differences along each axis."""
    found = []
    for axis in range(3):
        values, mask = np.moveaxis(image, axis, 0), np.moveaxis(where, axis, 0)
        inside = mask[:-2] & mask[1:-1] & mask[2:]
        if np.count_nonzero(inside) >= 20:
            found.append(MAD * float(np.median(np.abs(values[:-2] - 2 * values[1:-1] + values[2:])[inside])) / 6**0.5)
    return min(found, default=0.0)


def fluid_of(image: np.ndarray, affine: np.ndarray, ventricles: np.ndarray | None = None, value: float | None = None) -> Fluid:
    """Return how fluid looks in a scan.

    Args:
        ventricles: where they are; their median is it, away from their walls where they are wide enough.
        value: what the user says it is.

    Without either it is the darkest hundredth of the depth of the head, which holds for T1 and FLAIR and not for T2.
    """
    if ventricles is not None and ventricles.any():
        core = binary_erosion(ventricles)
        where = core if np.count_nonzero(core) >= 50 else ventricles
        noise = noise_of(image, where)
        return Fluid(float(np.median(image[where])) if value is None else value, noise, "ventricles" if value is None else "given")
    head = head_of(image)
    depth = distance_transform_edt(np.pad(head, 1), spacing_of(affine))[1:-1, 1:-1, 1:-1]
    height = world(affine, image.shape)[..., 2]
    deep = (depth > DEEP) & (height > np.percentile(height[head], 99.9) - BELOW)  # above sinuses and throat
    if not deep.any():
        deep = depth > 0.5 * depth.max()
    noise = noise_of(image, deep)
    if value is not None:
        return Fluid(value, noise, "given")
    darkest = float(np.percentile(gaussian_filter(image, 0.5)[deep], 1))
    return Fluid(darkest, noise, "the darkest hundredth of the depth of the head (fluid is dark: T1, FLAIR)")


def put(image: np.ndarray, mask: np.ndarray, value: np.ndarray | float, noise: float, seed: int) -> np.ndarray:
    """Return the image with a value and noise in a mask, and an edge that is as soft as voxels are; nothing changes beyond it."""
    near = np.argwhere(mask)
    if not len(near):
        return image.copy()
    box = tuple(slice(max(a - 4, 0), b + 5) for a, b in zip(near.min(0), near.max(0)))
    part = gaussian_filter(mask[box].astype(np.float32), EDGE)
    part[part < 0.02] = 0
    drawn = np.random.default_rng(seed).normal(0, noise, part.shape) if noise else 0.0
    fill = np.broadcast_to(value, image.shape)[box] if isinstance(value, np.ndarray) else value
    out = image.astype(np.float32)
    out[box] = out[box] * (1 - part) + (fill + drawn) * part
    return np.asarray(np.maximum(out, min(0.0, float(image.min()))))


def insert_lesion(image: np.ndarray, painted: np.ndarray, number: int, fluid: Fluid) -> np.ndarray:
    """Return the image with a lesion where a mask is: the tissue's own texture, moved towards fluid as its kind does."""
    moved = image + TOWARDS_FLUID[number] * (fluid.value - image)
    return put(image, painted, moved, 0.0, 0)


def rod(affine: np.ndarray, shape: tuple[int, ...], tip: Sequence[float], entry: Sequence[float], diameter: float) -> np.ndarray:
    """Return the mask of a rod from its tip through an entry point to the grid's edge; points in mm of world RAS.

    Raises ValueError for points that are the same, or a tip outside of the grid.
    """
    start, along = np.asarray(tip, float), np.asarray(entry, float) - np.asarray(tip, float)
    if np.linalg.norm(along) < 1e-6:
        raise ValueError("the tip and the entry point are the same; an electrode needs two points")
    check_inside(affine, shape, tip)
    along /= np.linalg.norm(along)
    from_tip = world(affine, shape) - start
    height = from_tip @ along
    aside = np.linalg.norm(from_tip - height[..., None] * along, axis=-1)
    return np.asarray((aside <= max(diameter, float(spacing_of(affine).max())) / 2) & (height >= 0))


def ball(affine: np.ndarray, shape: tuple[int, ...], centre: Sequence[float], diameter: float) -> np.ndarray:
    """Return the mask of a ball around a point of world RAS (mm). Raises ValueError for a centre outside of the grid."""
    check_inside(affine, shape, centre)
    return np.asarray(np.linalg.norm(world(affine, shape) - np.asarray(centre, float), axis=-1) <= diameter / 2)


def check_inside(affine: np.ndarray, shape: tuple[int, ...], point: Sequence[float]) -> None:
    """Raise ValueError for a point of world RAS that is outside of a grid."""
    index = np.linalg.inv(affine) @ [*point, 1.0]
    if (index[:3] < -0.5).any() or (index[:3] > np.array(shape) - 0.5).any():
        low, high = affine[:3, 3], (affine @ [*(np.array(shape) - 1.0), 1.0])[:3]
        ends = ", ".join(f"{min(a, b):.0f} to {max(a, b):.0f}" for a, b in zip(low, high))
        raise ValueError(f"the point {', '.join(f'{v:g}' for v in point)} mm is outside of the scan ({ends} mm, R A S)")


def within(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return where the inside of the skull is taken to be without labels: some way below the skin, or a skull-stripped brain."""
    head = head_of(image)
    depth = distance_transform_edt(np.pad(head, 1), spacing_of(affine))[1:-1, 1:-1, 1:-1]
    stripped = np.mean(image[~head] == image.min()) > 0.98  # nothing but zeros around it, where air has noise
    return np.asarray(depth > (0 if stripped else SCALP))


def sink(room: Room, cavity: np.ndarray, gains: np.ndarray, mm: float, steps: int) -> list[Tensor]:
    """Return the displacements (3, x, y, z) of a brain that sinks into a cavity, in equal steps to `mm` at the most moved point.

    Args:
        cavity: (X, Y, Z) what shrinks.
        gains: (X, Y, Z) what takes its room, such as the fluid around the brain; where it is empty, all the rest.
        mm: largest movement of what is not cavity.
        steps: how many displacements to return; the last is the whole.

    Raises ValueError where the cavity closes before, with how far it came.
    """
    hole, filler = room.crop(cavity), room.crop(gains & ~cavity)
    spacing = np.asarray(room.spacing, np.float32)

    def flow(shift: Tensor) -> Tensor:
        shrinks, grows = (warp(mask, shift, "nearest")[0].numpy() > 0.5 for mask in (hole, filler))
        if not shrinks.any():
            raise Unreachable(moved(shift))
        grows = grows & room.mask if grows.any() else room.mask & ~shrinks
        return room.velocity(grows / grows.sum() - shrinks / shrinks.sum())

    def moved(shift: Tensor) -> float:
        outside = warp(hole, shift, "nearest")[0].numpy() < 0.5
        return float(np.linalg.norm(shift.numpy() * spacing[:, None, None, None], axis=0)[outside].max())

    shifts: list[Tensor] = []
    for step in range(1, steps + 1):
        try:
            shifts.append(room.follow(flow, moved, mm * step / steps, start=shifts[-1] if shifts else None))
        except Unreachable as end:
            raise ValueError(f"the brain cannot shift by {mm:g} mm into this cavity: it comes to {end.value:.2g} mm") from None
    return shifts
