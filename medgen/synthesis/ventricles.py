"""How large the lateral ventricles are, and what that is called."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import spacing_of
from medgen.anatomy.sides import LATERAL, millilitres
from medgen.text.spec import Range, Side
from medgen.text.spec import Ventricles as Said

BRAIN = (1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16)  #: classes of the brain with its ventricles
#: Median of the lateral ventricles' share of the brain, standard deviation of its logarithm, and the logarithm of left over
#: right, in the DLMUSE maps of 27 heads of 50 to 74 years (tests/benchmarks/describe.py).
NORMAL, SPREAD, LEFT_OVER_RIGHT = 0.01558, 0.506, 0.085
UNEQUAL = 0.6  #: of the logarithm of left over right, beyond what is normal, from which one side is named; none of the 27 has it
WORDS = (0.6, 1.0, 1.5, 2.0, 3.0)  #: factors that a word stands for (medgen/text/README.md)
#: Years = AGE[0] + AGE[1] * ln(share); right within AGE_ERROR years in nine of ten of those heads, R2 0.31 when left out.
AGE, AGE_ERROR, SHARES = (92.9, 7.54), 8.2, (0.0045, 0.0358)
FLUID, AROUND = 3, (1, 2, 4, 5)  #: classes of the ventricles, and of what they lie in
OFF, RIM = 5.0, (4.0, 8.0)  #: mm that a network may miss their outline by, and where what surrounds them is looked at


@dataclass(frozen=True)
class Ventricles:
    """Volumes of the lateral ventricles in ml, of the brain with all ventricles, and times the normal volume."""

    left_ml: float
    right_ml: float
    brain_ml: float

    @property
    def ml(self) -> float:
        return self.left_ml + self.right_ml

    @property
    def factor(self) -> float:
        """Times the normal volume of a brain of this size."""
        return self.ml / (NORMAL * self.brain_ml)

    def said(self) -> Said | None:
        """Return them in words: the nearest factor that has one; of one side where the two are unequal. None without ventricles."""
        if not self.ml:
            return None
        unequal = math.log(max(self.left_ml, 1e-3) / max(self.right_ml, 1e-3)) - LEFT_OVER_RIGHT
        if abs(unequal) < UNEQUAL:
            return Said(factor=nearest(self.factor))
        left, right = (2 * ml / (NORMAL * self.brain_ml) for ml in (self.left_ml, self.right_ml))
        side: Side = "left" if abs(math.log(max(left, 1e-3))) > abs(math.log(max(right, 1e-3))) else "right"
        return Said(factor=nearest(left if side == "left" else right), side=side)

    def age(self) -> Range | None:
        """Return the band of age that nine of ten heads lie in with ventricles like these, if they are of 50 to 74 years.

        None where the ventricles are outside of what those heads have: then nothing is known.
        """
        share = self.ml / self.brain_ml
        if not SHARES[0] <= share <= SHARES[1]:
            return None
        years = AGE[0] + AGE[1] * math.log(share)
        return Range(low=round(years - AGE_ERROR), high=round(years + AGE_ERROR))


def outlined(image: np.ndarray, classes: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return a network's class map with the ventricles' outline put where the image is halfway between fluid and tissue.

    Networks find ventricles, but draw them too wide or too narrow by a voxel, which doubles the volume of small ones. Fluid is the median
    of what is beyond halfway of the map's ventricles, tissue that of the grey and white matter 4 to 8 mm from them; an outline moves
    by 5 mm at most, and what is no ventricle any more becomes the nearest tissue. A map without ventricles, or without contrast
    to their surroundings, is returned as it is.

    Args:
        image: (X, Y, Z), any unit and any contrast.
        classes: same shape, of `medgen.anatomy.classes`.
        affine: of the grid, mm.
    """
    seen, around, spacing = classes == FLUID, np.isin(classes, AROUND), spacing_of(affine)
    if not seen.any():
        return classes
    away = distance_transform_edt(~seen, spacing)
    rim = (away > RIM[0]) & (away <= RIM[1]) & around
    if not rim.any():
        return classes
    values = image[seen].astype(np.float64)
    tissue = float(np.median(image[rim]))
    dark, bright = np.percentile(values, (5, 95))
    fluid = float(bright if bright - tissue > tissue - dark else dark)  # most of a map that is too wide may be tissue
    if not max(bright - tissue, tissue - dark) > 0:
        return classes
    for _ in range(10):  # the brightest of a bright fluid are few
        beyond = values[(values - tissue) / (fluid - tissue) > 0.5]
        fluid = float(np.median(beyond))
    near = (away <= OFF) & (seen | around)
    parts, _ = label(near & ((image - tissue) / (fluid - tissue) > 0.5))
    found = np.isin(parts, np.setdiff1d(parts[seen], 0))
    nearest = distance_transform_edt(~around, spacing, return_distances=False, return_indices=True)
    new = np.where(seen, classes[tuple(nearest)], classes)
    new[found] = FLUID
    return np.asarray(new, classes.dtype)


def ventricles(labels: np.ndarray, affine: np.ndarray, scheme: str) -> Ventricles:
    """Measure the lateral ventricles of a label map with sides; ValueError where it has no brain."""
    left, right = (millilitres(np.isin(labels, numbers), affine) for numbers in LATERAL[scheme])
    brain = millilitres(np.isin(classes_of(labels, scheme), BRAIN), affine)
    if not brain:
        raise ValueError("the label map has no brain")
    return Ventricles(left, right, brain)


def nearest(factor: float) -> float:
    """Return the factor that has a word and is nearest to another one, in ratio."""
    return min(WORDS, key=lambda word: abs(math.log(max(factor, 1e-6) / word)))
