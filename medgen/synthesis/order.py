"""What a specification orders, built as a label map: an anatomy drawn by age, sex and ventricles, then edited step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import RandomState

from medgen.anatomy.atrophy import GRADES, lose_tissue
from medgen.anatomy.flow import Edited
from medgen.anatomy.frame import to_frame
from medgen.anatomy.generator import Shape, generate, usual_ventricles
from medgen.anatomy.head import regular, with_mean_head
from medgen.anatomy.lesions import place_lesion
from medgen.anatomy.midline import shift_midline
from medgen.anatomy.sides import LATERAL, millilitres, side_mask
from medgen.anatomy.sinuses import with_sinuses
from medgen.anatomy.ventricles import scale_ventricles
from medgen.text.spec import Lesion, Range, ScanSpec

SPACING = 2.0  #: mm of the anatomy, unless finer voxels are ordered
AGES = (55.0, 70.0)  #: years, of those of whom no age was said: where the generator's training lies
SLICE = 3.0  #: mm of the slices of a plane whose thickness was not said
#: What the grades of artefacts mean: SD of the noise as a share of white matter, range of the bias field, SD of the shifts in mm.
NOISE = {"none": 0.0, "mild": 0.05, "moderate": 0.09, "severe": 0.16}
BIAS = {"none": 0.0, "mild": 0.15, "moderate": 0.3, "severe": 0.45}
MOTION = {"none": 0.0, "mild": 1.0, "moderate": 2.0, "severe": 4.0}
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  #: of RAS+, that a plane's slices are stacked along


@dataclass(frozen=True)
class Ordered:
    """What was built for a specification.

    Attributes:
        classes: (X, Y, Z) of `medgen.anatomy.classes`, the brain within a head, RAS+.
        affine: of their grid, mm.
        style: the settings of the bundle that paints it: contrast, field_t, noise, bias.
        finish: what the finished image is given: "motion" in mm, "voxel_mm" along each axis of RAS+.
        report: what was ordered and what was obtained, edit by edit.
        frame: from the anatomy's world to the frame's (`medgen.anatomy.frame`), by which the head was laid around it.
        lesions: where each lesion was grown from and to: (R, A, S, diameter), mm.
    """

    classes: np.ndarray
    affine: np.ndarray
    style: dict[str, Any]
    finish: dict[str, Any]
    report: dict[str, Any] = field(default_factory=dict)
    frame: np.ndarray = field(default_factory=lambda: np.eye(4))
    lesions: tuple[tuple[float, float, float, float], ...] = ()


#: Each thing that is drawn has random numbers of its own, so that to say one of them leaves the others as they were.
_DRAWS = {name: number for number, name in enumerate(("age", "sex", "shift", "lesions"))}


def order(spec: ScanSpec, seed: int = 0, *, like: Ordered | None = None, shape: Shape | None = None) -> Ordered:
    """Return the label map that a specification asks for, and how it is to be painted; what it leaves open is drawn by `seed`.

    Args:
        like: another order of the same sequence, of the same lesions in the same number: the head is laid as it was there, on the
            same grid, and each lesion is at the same place, a stage of that one.
        shape: of the brain, instead of that of the seed.

    Raises ValueError where something does not fit, such as a lesion that is larger than its place.
    """
    voxel = voxels(spec)
    age = _drawn(spec.age_years, _stream(seed, "age"), *AGES)
    sex = spec.sex or ("female" if _stream(seed, "sex").uniform() < 0.5 else "male")
    drawn, affine = generate(age, sex, seed=seed, shape=shape)
    scheme = "dlmuse"
    labels, affine = regular(drawn.labels, affine, SPACING)  # that of the scan, so that what is edited in is there voxel by voxel
    laterals = millilitres(np.isin(labels, sum(LATERAL[scheme], ())), affine)
    edits: list[dict[str, Any]] = [drawn.report | {"ventricles_obtained_ml": round(laterals, 3)}]

    def keep(edited: Edited) -> np.ndarray:
        edits.append(edited.report)
        return edited.labels

    if spec.atrophy is not None and spec.atrophy.grade != "none":
        labels = keep(lose_tissue(labels, affine, scheme, GRADES[spec.atrophy.grade], side=spec.atrophy.side, place=spec.atrophy.place))
    if spec.ventricles is not None:  # times what is usual at that age, whatever was drawn
        side: str | None = None if spec.ventricles.side == "bilateral" else spec.ventricles.side
        own = millilitres(np.isin(labels, sum(LATERAL[scheme], ())) & side_mask(labels, affine, scheme, side), affine)
        wanted = spec.ventricles.factor * usual_ventricles(age, sex) / (2 if side else 1)
        labels = keep(scale_ventricles(labels, affine, scheme, wanted / own, side))
    shift = spec.midline_shift
    if shift is not None and (shift.mm is None or shift.mm.high != 0):
        rng = _stream(seed, "shift")
        toward = shift.toward or _away(spec.lesions or []) or ("left" if rng.uniform() < 0.5 else "right")
        labels = keep(shift_midline(labels, affine, scheme, _drawn(shift.mm, rng, 5.0, 10.0), toward))
    frame = to_frame(labels, affine, scheme) if like is None else like.frame
    rng, grown = _stream(seed, "lesions"), list[tuple[float, float, float, float]]()
    for lesion in sorted(spec.lesions or [], key=lambda one: -(one.diameter_mm.high or 0 if one.diameter_mm else 0)):
        for side in sides_of(lesion, rng):
            diameter = _drawn(lesion.diameter_mm, rng, 5.0, 15.0)
            *centre, last = like.lesions[len(grown)] if like is not None else (None,)
            labels = keep(place_lesion(
                labels, affine, scheme, diameter, kind=lesion.kind, side=side, place=lesion.place, centre_mm=centre or None, grows_to=last,
                oedema_mm=None if lesion.oedema is None else (10.0 if lesion.oedema else 0.0), seed=rng.randint(2**31),
            ))  # fmt: skip
            r, a, s = edits[-1]["grown_from_mm"]
            grown.append((r, a, s, diameter))
    classes, grid = with_mean_head(labels, affine, scheme, min(SPACING, *(max(v, 1.0) for v in voxel)), frame)
    classes = with_sinuses(classes, grid, middle=float(np.linalg.inv(frame)[0, 3]))
    style: dict[str, Any] = {"contrast": spec.contrast or "T1"}
    if spec.field_t is not None:
        style["field_t"] = spec.field_t
    if spec.noise is not None:
        style["noise"] = NOISE[spec.noise]
    if spec.bias is not None:
        style["bias"] = BIAS[spec.bias]
    finish = {"motion": MOTION[spec.motion or "none"], "voxel_mm": voxel}
    report = {"spec": spec.model_dump(exclude_none=True), "seed": seed, "edits": edits}
    return Ordered(classes, grid, style, finish, report, frame, tuple(grown))


def _stream(seed: int, draw: str) -> RandomState:
    return RandomState([seed, _DRAWS[draw]])


def voxels(spec: ScanSpec) -> tuple[float, float, float]:
    """Return the voxel size in mm along R, A and S that a specification asks for, or that goes with its plane."""
    axis = AXES.get(spec.plane or "", 2)
    if spec.voxel_mm is None:
        size = [SPACING] * 3
        if spec.plane is not None or spec.slice_mm is not None:
            size[axis] = spec.slice_mm or SLICE
            size = [min(v, size[axis]) for v in size]
        return size[0], size[1], size[2]
    thick = spec.slice_mm or max(spec.voxel_mm)
    rest = list(spec.voxel_mm)
    rest.remove(thick)
    rest.insert(axis, thick)
    return rest[0], rest[1], rest[2]


def _drawn(wanted: Range | None, rng: RandomState, low: float, high: float) -> float:
    """Return a number within a range; ends that are open, or all of it where it is None, are closed by `low` and `high`."""
    first = low if wanted is None or wanted.low is None else wanted.low
    last = high if wanted is None or wanted.high is None else wanted.high
    if first > last and wanted is not None:  # the end that is told lies beyond what is usual: a quarter more, or less
        first, last = (first, 1.25 * first) if wanted.high is None else (0.8 * last, last)
    return float(rng.uniform(first, last))


def _away(lesions: list[Lesion]) -> str | None:
    """Return the side that lesions push the midline to: the other one, where all are said to be on one side."""
    sides = {lesion.side for lesion in lesions}
    return "right" if sides == {"left"} else "left" if sides == {"right"} else None


def sides_of(lesion: Lesion, rng: RandomState) -> list[str | None]:
    """Return the side of each lesion that one entry of a specification stands for."""
    least = 2 if lesion.side == "bilateral" else 1
    count = least if lesion.count is None else round(_drawn(lesion.count, rng, least, 6))
    if lesion.side == "bilateral":
        return [("left", "right")[number % 2] for number in range(max(count, 2))]
    return [lesion.side] * count
