"""Lateral ventricles larger or smaller by a factor."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from medgen.anatomy.flow import Edited, Room, Unreachable, motion, spacing_of, warp, warp_by_field
from medgen.anatomy.sides import LATERAL, check_sides, millilitres, within_skull

TOLERANCE = 0.02  #: of the volume that was asked for


def scale_ventricles(labels: np.ndarray, affine: np.ndarray, scheme: str, factor: float, side: str | None = None) -> Edited:
    """Deform a label map until the lateral ventricles of a side (None: of both) have `factor` times their volume.

    The ventricles grow from within, the rest within the skull gives way evenly; the other side's ventricle is pushed aside
    and not squeezed. The inferior horns count with the ventricles. Volumes are counted in the new labels, within 2 %.

    Args:
        labels: (X, Y, Z) whole numbers of `scheme`, "freesurfer" or "dlmuse".
        affine: of the grid, mm.
        factor: 0.2 to 10.
        side: "left", "right", or None or "bilateral" for both.

    Raises ValueError for a factor out of range or that this head has no room for, with what can be had.
    """
    check_sides(scheme)
    if not 0.2 <= factor <= 10:
        raise ValueError(f"a factor of {factor:g} is outside of 0.2 to 10")
    left, right = LATERAL[scheme]
    chosen = {"left": left, "right": right, "bilateral": left + right, None: left + right}.get(side)
    if chosen is None:
        raise ValueError(f"there is no side '{side}'; choose from: left, right, bilateral")
    own = np.isin(labels, chosen)
    before = millilitres(own, affine)
    if not before:
        raise ValueError(f"the map has no lateral ventricle there (labels {', '.join(map(str, chosen))})")
    room = Room(within_skull(labels, scheme), spacing_of(affine))
    part, others = room.crop(own), room.crop(np.isin(labels, left + right) & ~own)
    voxel, sign = millilitres(np.ones(1), affine), 1 if factor > 1 else -1

    def flow(shift: Tensor) -> Tensor:
        grows, keeps = (warp(mask, shift, "nearest")[0].numpy() > 0 for mask in (part, others))
        if not grows.any():
            raise Unreachable(0)
        gives = room.mask & ~grows & ~keeps
        return room.velocity(sign * (grows / grows.sum() - gives / gives.sum()))

    try:
        shift = room.follow(flow, lambda u: float(warp(part, u, "nearest").sum()) * voxel, factor * before)
    except Unreachable as end:
        raise ValueError(
            f"the ventricles cannot be scaled by {factor:g} here: they end at {end.value / before:.3g} times their volume"
        ) from None
    field = room.field(shift, affine)
    new = warp_by_field(labels, field, affine, "nearest")
    obtained = millilitres(np.isin(new, chosen), affine)
    if abs(obtained / (factor * before) - 1) > TOLERANCE:
        raise ValueError(f"the ventricles come to {obtained:.3g} ml and not to {factor * before:.3g} ml; use smaller voxels")
    report = {
        "edit": "ventricles", "side": side or "bilateral", "requested_factor": factor, "obtained_factor": round(obtained / before, 4),
        "before_ml": round(before, 3), "requested_ml": round(factor * before, 3), "obtained_ml": round(obtained, 3), **motion(field, affine),
    }  # fmt: skip
    return Edited(new, field, report)
