"""Loss of tissue: grey and white matter shrink, sulci and ventricles widen."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import Edited, Room, Unreachable, motion, spacing_of, warp, warp_by_field
from medgen.anatomy.places import place_mask
from medgen.anatomy.sides import LATERAL, check_sides, millilitres, side_mask, within_skull

GRADES = {"none": 0.0, "mild": 0.03, "moderate": 0.06, "severe": 0.1}  #: part of the tissue that is lost
TISSUE = (1, 2, 4, 5, 6, 7)  #: classes that shrink: all of the brain but the brainstem
VENTRICLES = 0.1  #: part of the lost volume that is given to the lateral ventricles; the fluid around the brain gets the rest
TOLERANCE = 0.005  #: of the tissue's volume


def lose_tissue(
    labels: np.ndarray, affine: np.ndarray, scheme: str, loss: float, *, side: str | None = None, place: str | None = None
) -> Edited:
    """Deform a label map until its grey and white matter, or that of a place and side, has lost a part of its volume.

    The tissue shrinks evenly; what it loses, the lateral ventricles and the fluid around the brain take over.
    The skull stays. Volumes are counted in the new labels, within half a percent of the tissue.

    Args:
        labels: (X, Y, Z) whole numbers of `scheme`, "freesurfer" or "dlmuse".
        affine: of the grid, mm.
        loss: 0 to 0.3 of the tissue's volume; `GRADES` has that of a word.
        side: "left", "right", or None or "bilateral" for both.
        place: see `places.PLACES`; None for all of the brain.

    Raises ValueError for a loss out of range, for a map without fluid, or where no more can be lost, with what can.
    """
    check_sides(scheme)
    if not 0 <= loss <= 0.3:
        raise ValueError(f"a loss of {loss:g} of the tissue is outside of 0 to 0.3")
    classes, inside = classes_of(labels, scheme), within_skull(labels, scheme)
    tissue = np.isin(classes, TISSUE) & side_mask(labels, affine, scheme, side)
    if place is not None:
        tissue &= place_mask(labels, affine, scheme, place)
    before = millilitres(tissue, affine)
    if not before:
        raise ValueError(f"the map has no tissue in the {' '.join(filter(None, (side, place))) or 'brain'}")
    lateral, outside = np.isin(labels, sum(LATERAL[scheme], ())), classes == 9
    if not lateral.any() or not outside.any():
        raise ValueError("the map has no fluid that could take the room of the tissue: it needs ventricles and the space around the brain")
    room = Room(inside, spacing_of(affine))
    if place is not None or side in ("left", "right"):  # fluid near to it takes its room
        near = np.exp(-_distance(tissue, affine) / 10)
        lateral, outside = lateral * near, outside * near
    own, voxel = room.crop(tissue), millilitres(np.ones(1), affine)
    within, around = room.crop(lateral), room.crop(outside)

    def flow(shift: Tensor) -> Tensor:
        shrinks, inner, outer = (warp(image, shift, "nearest")[0].numpy() for image in (own, within, around))
        gain = VENTRICLES * inner / inner.sum() + (1 - VENTRICLES) * outer / outer.sum()
        return room.velocity(gain - shrinks / shrinks.sum())

    target = (1 - loss) * before
    try:
        shift = room.follow(flow, lambda u: float(warp(own, u, "nearest").sum()) * voxel, target)
    except Unreachable as end:
        raise ValueError(f"no {loss:.1%} of the tissue can be lost here, only {1 - end.value / before:.1%}") from None
    field = room.field(shift, affine)
    new = warp_by_field(labels, field, affine, "nearest")
    obtained = millilitres(warp_by_field(tissue.astype(np.uint8), field, affine, "nearest"), affine)
    if abs(obtained - target) > TOLERANCE * before:
        raise ValueError(f"the tissue comes to {obtained:.4g} ml and not to {target:.4g} ml; use smaller voxels")
    fluid = {name: (millilitres(f(labels), affine), millilitres(f(new), affine)) for name, f in (
        ("lateral_ventricles", lambda a: np.isin(a, sum(LATERAL[scheme], ()))), ("outer_fluid", lambda a: classes_of(a, scheme) == 9),
    )}  # fmt: skip
    report = {
        "edit": "atrophy", "side": side or "bilateral", "place": place or "brain", "requested_loss": loss, "obtained_loss": round(1 - obtained / before, 5),
        "before_ml": round(before, 3), "requested_ml": round(target, 3), "obtained_ml": round(obtained, 3),
        **{f"{name}_{when}_ml": round(ml, 3) for name, pair in fluid.items() for when, ml in zip(("before", "after"), pair)},
        **motion(field, affine),
    }  # fmt: skip
    return Edited(new, field, report)


def _distance(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return np.asarray(distance_transform_edt(~mask, spacing_of(affine)), dtype=np.float32)
