"""A shift of the midline, as a mass in one half of the brain makes it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medgen.anatomy.flow import Edited, Room, Unreachable, motion, spacing_of, warp, warp_by_field
from medgen.anatomy.sides import midplane, rightward, within_skull


def shift_midline(labels: np.ndarray, affine: np.ndarray, scheme: str, mm: float, toward: str) -> Edited:
    """Deform a label map until its midplane bulges by `mm` towards a side: most in the middle, not at all at the skull.

    The pull is that of a membrane held at the skull under even load (laplace w = -1), along the midplane's normal. What was
    obtained is measured in the result: how far the old midplane's farthest point lies from where it was.

    Args:
        labels: (X, Y, Z) whole numbers of `scheme`, "freesurfer" or "dlmuse".
        affine: of the grid, mm.
        mm: 0 to 30.
        toward: "left" or "right".

    Raises ValueError for another side or amount, or where the skull is too narrow for it.
    """
    if toward not in ("left", "right"):
        raise ValueError(f"there is no side '{toward}'; choose from: left, right")
    if not 0 <= mm <= 30:
        raise ValueError(f"a midline shift of {mm:g} mm is outside of 0 to 30")
    normal, _ = midplane(labels, affine, scheme)
    sign = -1.0 if toward == "left" else 1.0
    room = Room(within_skull(labels, scheme), spacing_of(affine))
    pull = _membrane(room) * room.ramp
    direction = np.linalg.inv(affine[:3, :3]) @ (-sign * normal)  # things come from the other side; voxels a mm
    velocity = torch.from_numpy((pull[None] * direction[:, None, None, None]).astype(np.float32))
    velocity /= float(velocity.abs().max())
    distance = rightward(labels, affine, scheme) * sign
    near = room.crop(distance)

    def bulge(shift: Tensor) -> float:
        """Return how far towards the side the old midplane reaches: its crossings between neighbours along each axis."""
        old = warp(near, shift)[0]
        farthest = 0.0
        for axis in range(3):
            a, b = old.narrow(axis, 0, old.shape[axis] - 1), old.narrow(axis, 1, old.shape[axis] - 1)
            c, d = near[0].narrow(axis, 0, old.shape[axis] - 1), near[0].narrow(axis, 1, old.shape[axis] - 1)
            crossed = (a < 0) != (b < 0)
            if crossed.any():
                part = a[crossed] / (a[crossed] - b[crossed])
                farthest = max(farthest, float((c[crossed] + part * (d[crossed] - c[crossed])).max()))
        return farthest

    if mm == 0:
        return Edited(labels.copy(), np.zeros((*labels.shape, 3), np.float32), _report(toward, mm, 0.0))
    try:
        shift = room.follow(lambda _: velocity, bulge, mm)
    except Unreachable as end:
        raise ValueError(f"the midline cannot be shifted by {mm:g} mm here: it comes to {end.value:.3g} mm") from None
    field = room.field(shift, affine)
    return Edited(warp_by_field(labels, field, affine, "nearest"), field, _report(toward, mm, bulge(shift)) | dict(motion(field, affine)))


def _report(toward: str, mm: float, obtained: float) -> dict[str, object]:
    return {"edit": "midline shift", "toward": toward, "requested_mm": mm, "obtained_mm": round(obtained, 3)}


def _membrane(room: Room) -> np.ndarray:
    """Return w of laplace w = -1 in the room and w = 0 outside, with 1 as its maximum, by the rule d(2R - d) of a sphere.

    d is the depth below the skull and R the greatest depth: the exact solution in a sphere, and smooth enough in a head.
    """
    deepest = float(room.depth.max())
    return np.asarray(room.depth * (2 * deepest - room.depth) / deepest**2)
