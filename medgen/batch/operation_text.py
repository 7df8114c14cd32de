"""What a sentence means to `simulate`: lesions of the label map, or regions and lesions of its sides, number and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import spacing_of
from medgen.anatomy.lesions import KINDS, OEDEMA, OEDEMA_MM, longest, place_lesion
from medgen.anatomy.places import place_mask
from medgen.anatomy.sides import millilitres, side_mask
from medgen.synthesis.halves import TISSUE
from medgen.synthesis.order import sides_of
from medgen.text.parse import parse
from medgen.text.spec import Lesion

NUMBERS = tuple(sorted({shape.number for shape in KINDS.values()}))  #: of lesions, oedema not among them
CAVITY = 905
TOUCHING = np.ones((3, 3, 3), bool)  #: voxels that share a face, edge or corner are of one lesion
TOLERANCE = 2.0  #: mm, and a voxel more: how far a lesion of the map may be from the size that is said
MASK = "or give --remove MASK"


@dataclass
class Named:
    """What is to be removed: its mask, what it is made of (JSON), and what the sentence left open."""

    mask: np.ndarray
    told: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """A lesion of the label map: its number among them, longest diameter in mm, and the side that most of it is on."""

    number: int
    mm: float
    side: str


def lesions_of(text: str) -> tuple[list[Lesion], list[str]]:
    """Return the lesions of a sentence, and warnings; what it says besides is among these as not used."""
    parsed = parse(text)
    if not parsed.spec.lesions:
        raise ValueError("the text names no lesion; say its kind, side, place and size, such as '30 mm tumour in the left temporal lobe'")
    others = [name for name in parsed.spec.model_dump(exclude_none=True) if name != "lesions"]
    if parsed.ignored:  # counted and not quoted: the report holds nothing that may be a name
        others.append(f"{len(parsed.ignored)} words")
    unused = [f"of the text, this was not used: {', '.join(others)}"] if others else []
    return parsed.spec.lesions, parsed.warnings + unused


def parts_of(lesion: Lesion, rng: RandomState) -> list[tuple[str | None, float]]:
    """Return side and diameter in mm of each lesion that one entry stands for, as an order of a scan has them.

    Raises ValueError for a size that was not said, or is open at one end.
    """
    size = lesion.diameter_mm
    if size is None:
        raise ValueError("say the lesion's size, such as 12 mm")
    if size.low is None or size.high is None:
        raise ValueError(f"a size of {size} mm is open at one end; say one, such as '{size.low or size.high:g} mm', or both, such as '8 to 12 mm'")
    return [(side, float(rng.uniform(size.low, size.high))) for side in sides_of(lesion, rng)]


def place_apart(
    labels: np.ndarray, affine: np.ndarray, scheme: str, mm: float, *, lesion: Lesion, side: str | None, oedema_mm: float | None, seed: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:  # fmt: skip
    """Return where a lesion is placed that touches none of those there, where its oedema is, and the report of it."""
    there = np.isin(labels, (*NUMBERS, CAVITY))
    closed = np.where(binary_dilation(there, TOUCHING), CAVITY, labels) if there.any() else labels
    made = place_lesion(closed, affine, scheme, mm, kind=lesion.kind, side=side, place=lesion.place, oedema_mm=oedema_mm, seed=seed)
    new, rim = ((made.labels == number) & (closed != number) for number in (KINDS[lesion.kind].number, OEDEMA))
    return new, rim, made.report


def named(
    wanted: Sequence[Lesion], labels: np.ndarray, affine: np.ndarray, scheme: str, *, seed: int, oedema: bool, known: bool = True
) -> Named:  # fmt: skip
    """Return what is to be removed: for each entry the map's lesions there, else regions of its size, else the whole place.

    Args:
        labels: (X, Y, Z) of `scheme`, which has sides.
        oedema: whether that of a lesion goes with it, where the sentence says nothing of it.
        known: whether the map tells of lesions where there are some.

    Raises ValueError for a number, side or size that the map's lesions there do not have, with those that they have.
    """
    found, rng = Named(np.zeros(labels.shape, bool)), RandomState(seed)
    for lesion in wanted:
        parts, pieces = _pieces(lesion, labels, affine, scheme)
        if pieces:
            for piece in _fitting(lesion, pieces, float(spacing_of(affine).mean()), found.warnings):
                mask = parts == piece.number
                around = oedema_of(mask, labels, affine) & (oedema if lesion.oedema is None else lesion.oedema)
                found.mask |= mask | around
                found.told.append({
                    "edit": "lesion of the map", "side": piece.side, "diameter_mm": round(piece.mm, 3),
                    "ml": round(millilitres(mask, affine), 4), "oedema_ml": round(millilitres(around, affine), 4),
                })  # fmt: skip
                if lesion.oedema and not around.any():
                    found.warnings.append("the label map has no oedema around what was removed")
        elif not known and lesion.diameter_mm is None:
            raise ValueError(f"without a label map it is not known where the scan's lesions are; give --labels, {MASK}, or say a size")
        elif lesion.diameter_mm is not None:
            found.warnings.append(f"the label map has no {_what(lesion)}: what is removed was drawn there, of the size that was said")
            one = lesion.model_copy(update={"kind": "tumour-like"}) if lesion.kind == "unspecified" else lesion
            for side, mm in parts_of(lesion, rng):
                held, rim = np.where(found.mask, CAVITY, labels), reach_of(lesion, mm) or 0.0
                new, around, report = place_apart(held, affine, scheme, mm, lesion=one, side=side, oedema_mm=rim, seed=seed + len(found.told))
                found.mask |= new | around
                found.told.append(report)
        elif lesion.place is None or (lesion.count is not None and (lesion.count.low or 1) > 1):
            raise ValueError(f"the label map has no {_what(lesion)}; say another place, or a size to remove, {MASK}")
        else:
            whole = place_mask(labels, affine, scheme, lesion.place) & side_mask(labels, affine, scheme, lesion.side)
            found.mask |= whole
            found.told.append({"edit": "whole place", "side": lesion.side, "place": lesion.place, "ml": round(millilitres(whole, affine), 4)})
            found.warnings.append(f"the label map has no {_what(lesion)}, and no size was said: the whole place was removed")
    return found


def oedema_of(lesions: np.ndarray, labels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the oedema of some lesions of a label map: what is nearer to them than to its other lesions."""
    around, all_ = labels == OEDEMA, np.isin(labels, NUMBERS)
    if not around.any() or not (lesions & all_).any():
        return np.zeros(labels.shape, bool)
    _, nearest = distance_transform_edt(~all_, spacing_of(affine), return_indices=True)
    return np.asarray(around & lesions[tuple(nearest)])


def reach_of(lesion: Lesion, mm: float) -> float | None:
    """Return how far oedema reaches around a lesion of this diameter, in mm; None where nothing was said of it."""
    return None if lesion.oedema is None else min(mm / 2, OEDEMA_MM) if lesion.oedema else 0.0


def _pieces(lesion: Lesion, labels: np.ndarray, affine: np.ndarray, scheme: str) -> tuple[np.ndarray, list[Piece]]:
    """Return the map's lesions, numbered, and those of the kind that have most of them on the side and in the place."""
    parts, count = label(np.isin(labels, [shape.number for kind, shape in KINDS.items() if lesion.kind in (kind, "unspecified")]), TOUCHING)
    if not count:
        return parts, []
    left, inside = side_mask(labels, affine, scheme, "left"), np.ones(labels.shape, bool)
    if lesion.place is not None:  # a lesion hides the labels of its place: the nearest tissue tells it
        tissue = np.isin(classes_of(labels, scheme), TISSUE)
        _, (x, y, z) = distance_transform_edt(~tissue, spacing_of(affine), return_indices=True)
        inside = place_mask(labels, affine, scheme, lesion.place)[x, y, z]
    found = []
    for number, box in enumerate(find_objects(parts), 1):
        mask = parts[box] == number
        side = "left" if left[box][mask].mean() >= 0.5 else "right"
        if lesion.side in (None, "bilateral", side) and inside[box][mask].mean() >= 0.5:
            found.append(Piece(number, longest(mask, affine), side))
    return parts, found


def _fitting(lesion: Lesion, pieces: list[Piece], voxel: float, warnings: list[str]) -> list[Piece]:
    """Return the lesions of the map that a sentence means: of its size within `TOLERANCE` and a voxel, as many as it says.

    Of more than it says, the nearest in size are meant, where they are nearer by half a voxel. Raises ValueError with all sizes
    where it cannot be told which ones are.
    """
    size, count = lesion.diameter_mm, lesion.count
    low, high = (-np.inf, np.inf) if size is None else (size.low or -np.inf, size.high or np.inf)
    exact = low == high
    slack = TOLERANCE + voxel if exact else 0.0

    def off(piece: Piece) -> float:
        return abs(piece.mm - low) if exact else 0.0

    fitting = sorted((piece for piece in pieces if low - slack <= piece.mm <= high + slack), key=off)
    least = int(count.low or 1) if count else 1
    most = int(count.high or len(fitting)) if count else len(fitting)
    chosen, rest = fitting[:most], fitting[most:]
    why = None
    if len(fitting) < max(least, 1):
        why = f"{len(fitting) or 'none'} of them fit{'s' if len(fitting) == 1 else ''}"
    elif (rest and off(rest[0]) - off(chosen[-1]) <= voxel / 2) or (exact and count is None and np.ptp([p.mm for p in chosen]) > voxel / 2):
        why = f"{len(fitting)} of them fit, and which are meant is not told"
    elif lesion.side == "bilateral" and len({piece.side for piece in chosen}) < 2:
        why = f"what fits is on the {chosen[0].side} alone"
    if why:
        there = ", ".join(f"{piece.mm:.3g} mm {piece.side}" for piece in sorted(pieces, key=lambda piece: piece.mm))
        raise ValueError(f"the text says {_what(lesion)}; the label map has there: {there}; {why}. Say number, side and size as they are, {MASK}")
    if count is None and len(chosen) > (2 if lesion.side == "bilateral" else 1):
        warnings.append(f"{len(chosen)} lesions of the label map are {_what(lesion)}: all of them were removed")
    return chosen


def _what(lesion: Lesion) -> str:
    """Return an entry of a specification in words of its own."""
    kind = "" if lesion.kind == "unspecified" else lesion.kind
    words = (str(lesion.count or ""), lesion.side, lesion.place, kind, "lesions" if lesion.count is None else "lesion(s)")
    return " ".join(filter(None, words)) + (f" of {lesion.diameter_mm} mm" if lesion.diameter_mm else "")
