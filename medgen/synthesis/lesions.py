"""Lesions of a brain as measurements: how many, of what kind, where, how large."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import spacing_of
from medgen.anatomy.lesions import longest
from medgen.anatomy.places import BY_CLASS, BY_LABEL, JOINED, JOINT, JUXTACORTICAL, LOBES, PERIVENTRICULAR, lobe_map
from medgen.anatomy.sides import LATERAL, millilitres, side_mask
from medgen.evaluation.lesions import lesion as by_half_contrast
from medgen.text.spec import Kind, Lesion, Place, Range, Side

KINDS: dict[int, Kind] = {13: "ms-like", 14: "stroke-like", 15: "tumour-like"}
OEDEMA = 16
ONE_SIDE = 0.6  #: least share of a lesion on the side that it is said to be on
MOST = 0.5  #: least share of a lesion in the place that it is said to be in
WHOLLY = 0.8  #: share in one lobe from which no region between two lobes is named
#: Places in the order that they are asked in; the first that holds most of a lesion is named.
_STRUCTURES = (*BY_LABEL, "brainstem", "cerebellum", "insula")
_BESIDE = ("periventricular", "juxtacortical", "white matter")
LEAST_MM = 0.5  #: diameter from which a lesion counts
GROUPS = 12  #: entries of lesions that a sentence has at most; with more, places are left out


@dataclass(frozen=True)
class Measured:
    """One lesion.

    Attributes:
        kind: by its class.
        side: None where it lies across the midline.
        place: the one that is named, None where none holds most of it.
        places: share of the lesion in each place that holds some of it; places overlap.
        diameter_mm: the longest.
        oedema: whether some touches it; None for other kinds than tumours without.
    """

    kind: Kind
    side: Side | None
    place: Place | None
    diameter_mm: float
    volume_ml: float
    centre_mm: tuple[float, float, float]  #: world, RAS
    oedema: bool | None
    places: dict[str, float] = field(default_factory=dict)


def measure_lesions(
    classes: np.ndarray, labels: np.ndarray, affine: np.ndarray, scheme: str, *, image: np.ndarray | None = None
) -> list[Measured]:
    """Measure each lesion, the largest first. Parts that touch by face, edge or corner are one lesion.

    Args:
        classes: (X, Y, Z) of `medgen.anatomy.classes`, of which 13 to 16 are lesions and oedema.
        labels: of `scheme`, with sides, without lesions: under them lies the tissue they are in.
        affine: of the grid, mm.
        image: if given, a lesion's outline is where the image is halfway between it and what surrounds it.
    """
    parts, count = label(np.isin(classes, list(KINDS)), np.ones((3, 3, 3)))
    if not count:
        return []
    left = side_mask(labels, affine, scheme, "left")
    box = find_objects((parts > 0).astype(int))[0]
    where = places_around(labels, affine, scheme, box)
    found = []
    for number in range(1, count + 1):
        mask = parts == number
        outline = mask if image is None else _outline(image, mask, parts, affine)
        diameter = longest(outline, affine)
        if diameter < LEAST_MM:
            continue
        of_classes = np.bincount(classes[mask], minlength=16)
        kind = KINDS[int(of_classes[13:16].argmax()) + 13]
        on_left = float(left[mask].mean())
        shares = {place: round(float(m[mask[box]].mean()), 3) for place, m in where.items()}
        centre = np.argwhere(mask).mean(0) @ affine[:3, :3].T + affine[:3, 3]
        touched = bool((classes[binary_dilation(mask, iterations=2)] == OEDEMA).any())
        found.append(Measured(
            kind, "left" if on_left >= ONE_SIDE else "right" if on_left <= 1 - ONE_SIDE else None, _named(shares),
            round(diameter, 1), round(millilitres(outline, affine), 3), tuple(round(float(v), 1) for v in centre),  # type: ignore[arg-type]
            True if touched else False if kind == "tumour-like" else None, {place: s for place, s in shares.items() if s > 0},
        ))  # fmt: skip
    return sorted(found, key=lambda one: -one.diameter_mm)


def said(found: list[Measured]) -> list[Lesion]:
    """Return lesions as a specification has them: those of one kind, side, place and oedema as one entry."""
    alike = _grouped(found, True)
    return alike if len(alike) <= GROUPS else _grouped(found, False)


def _grouped(found: list[Measured], with_place: bool) -> list[Lesion]:
    groups: dict[tuple[Kind, Side | None, Place | None, bool | None], list[float]] = {}
    for one in found:
        groups.setdefault((one.kind, one.side, one.place if with_place else None, one.oedema), []).append(min(max(one.diameter_mm, 0.5), 120))
    return [
        Lesion(kind=kind, side=side, place=place, oedema=oedema, diameter_mm=Range(low=min(sizes), high=max(sizes)),
               count=Range(low=min(len(sizes), 100), high=len(sizes) if len(sizes) <= 100 else None))
        for (kind, side, place, oedema), sizes in groups.items()
    ]  # fmt: skip


def _outline(image: np.ndarray, mask: np.ndarray, parts: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the lesion by half contrast, in a box around it; the mask itself where nothing is found so."""
    try:
        outline = by_half_contrast(image, mask, tuple(spacing_of(affine)), (parts > 0) & ~mask).found
    except ValueError:
        return mask
    return outline if outline.any() else mask


def places_around(labels: np.ndarray, affine: np.ndarray, scheme: str, box: tuple[slice, ...]) -> dict[str, np.ndarray]:
    """Return the masks of `medgen.anatomy.places.place_mask`, all at once and in a box alone: of the places that are there."""
    wide = tuple(slice(max(s.start - int(JOINT / step) - 1, 0), s.stop + int(JOINT / step) + 1) for s, step in zip(box, spacing_of(affine)))
    inner = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, wide))
    lobes, part = lobe_map(labels, affine, scheme)[wide], labels[wide]
    classes = classes_of(part, scheme)

    def far(mask: np.ndarray) -> np.ndarray:
        return distance_transform_edt(~mask, spacing_of(affine)) if mask.any() else np.full(mask.shape, np.inf)

    near = {lobe: (lobes == number, far(lobes == number) <= JOINT) for number, lobe in enumerate(LOBES, 1)}
    masks = {lobe: own for lobe, (own, _) in near.items()}
    masks |= {place: (near[a][0] & near[b][1]) | (near[b][0] & near[a][1]) for place, (a, b) in JOINED.items()}
    masks |= {place: np.isin(classes, numbers) for place, numbers in BY_CLASS.items()}
    masks |= {place: np.isin(part, numbers.get(scheme, ())) for place, numbers in BY_LABEL.items()}
    masks["periventricular"] = (classes == 2) & (far(np.isin(part, sum(LATERAL[scheme], ()))) <= PERIVENTRICULAR)
    masks["juxtacortical"] = (classes == 2) & (far(classes == 1) <= JUXTACORTICAL)
    return {place: mask[inner] for place, mask in masks.items() if mask[inner].any()}


def _named(shares: dict[str, float]) -> Place | None:
    """Return the structure, else lobe, else region between lobes, else kind of white matter, that holds most of a lesion."""
    lobes = [lobe for lobe in LOBES if shares.get(lobe, 0) >= WHOLLY]
    for places in (_STRUCTURES, lobes, tuple(JOINED), LOBES, _BESIDE):
        best = max(places, key=lambda place: shares.get(place, 0), default=None)
        if best is not None and shares.get(best, 0) >= MOST:
            return best  # type: ignore[return-value]
    return None
