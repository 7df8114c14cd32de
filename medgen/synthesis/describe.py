"""A scan in words: what it shows, measured, as the specification that would ask for one like it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import find_objects

from medgen.anatomy.classes import classes_of, scheme_of
from medgen.anatomy.generator import AGES, usual_ventricles
from medgen.anatomy.sides import PAIRS
from medgen.synthesis.acquisition import Acquisition, acquisition
from medgen.synthesis.contrast import Brightness, contrast_of
from medgen.synthesis.halves import with_sides, without_lesions
from medgen.synthesis.lesions import Measured, measure_lesions, said
from medgen.synthesis.ventricles import BRAIN, NORMAL, Ventricles, outlined, ventricles
from medgen.synthesis.wording import sentence
from medgen.text.spec import ScanSpec


@dataclass(frozen=True)
class Description:
    """What a scan shows.

    Attributes:
        spec: as a sentence would ask for it: words for sizes, lesions that are alike together.
        acquisition: of the grid.
        brightness: what the contrast was told by; None where it could not be told.
        ventricles: in ml.
        lesions: one by one, the largest first.
        usual_ml: of both lateral ventricles, what they are compared with: of the age and sex, or of a brain of this size.
        of_age: whether it is of the age and sex.
    """

    spec: ScanSpec
    acquisition: Acquisition
    brightness: Brightness | None
    ventricles: Ventricles
    lesions: list[Measured]
    usual_ml: float
    of_age: bool

    def text(self, language: str = "en") -> str:
        """Return the specification in words ("en" or "zh"), which `medgen.text.parse` reads back to it."""
        return sentence(self.spec, self.acquisition.orientation, language)

    def told(self) -> dict[str, Any]:
        """Return the specification and all measurements, for JSON; nothing in it is of the patient but of the image."""
        band = self.spec.age_years
        ml = self.ventricles.ml
        size = {"lateral_ml": ml, "factor": ml / self.usual_ml, "usual_ml": self.usual_ml, **asdict(self.ventricles)}
        usual_of = "age and sex" if self.of_age else "healthy heads of 50 to 74 years"
        return {
            "spec": self.spec.model_dump(exclude_none=True),
            "acquisition": asdict(self.acquisition),
            "brightness": asdict(self.brightness) if self.brightness else None,
            "ventricles": {**{name: round(value, 3) for name, value in size.items()}, "usual_of": usual_of},
            "age_years": {"low": band.low, "high": band.high, "holds_for": "nine of ten healthy heads of 50 to 74 years"} if band else None,
            "lesions": [asdict(one) for one in self.lesions],
        }


def describe(
    image: np.ndarray, affine: np.ndarray, labels: np.ndarray, *, segmented: bool = False, outlines: bool = False,
    age_and_sex: tuple[float, str] | None = None,
) -> Description:  # fmt: skip
    """Measure what an MR image of a brain shows, with a map of what is where.

    Args:
        image: (X, Y, Z), any unit.
        affine: of the grid, RAS+ mm.
        labels: same shape: FreeSurfer, DLMUSE, or the classes of `medgen.anatomy.classes`, which have no sides (the plane of
            symmetry tells them).
        segmented: the labels are a network's classes: the outlines of ventricles are taken from the image, and nothing is said of
            lesions, which medgen's networks see where there are none, and miss.
        outlines: take lesions' outlines from the image also where the labels are given: these then say only where to look,
            and how large a lesion is comes from the image.
        age_and_sex: years, and "female" or "male", where they are known: ventricles are compared with what is usual then, as an order
            of that age and sex has it. Otherwise, and for ages that no order takes, with the median of 27 healthy heads.

    Raises ValueError for a label map of another shape or without a brain.
    """
    if image.shape != labels.shape or image.ndim != 3:
        raise ValueError(f"the image has the shape {image.shape} and the label map {labels.shape}; two equal 3D grids are needed")
    scheme = scheme_of(labels)
    grid, classes = acquisition(affine), classes_of(labels, scheme)
    if not np.isin(classes, BRAIN).any():
        raise ValueError("the label map has no brain")
    box = tuple(slice(max(s.start - 2, 0), s.stop + 2) for s in find_objects(np.isin(classes, BRAIN).astype(int))[0])
    image, labels, classes = image[box], labels[box], classes[box]
    affine = affine @ np.block([[np.eye(3), np.array([[s.start] for s in box])], [np.zeros(3), 1]])
    if segmented:
        classes = outlined(image, classes, affine)
    if scheme in PAIRS:
        sided = without_lesions(labels, classes, affine)
    else:
        sided, scheme = with_sides(classes, affine), "freesurfer"
    try:
        brightness = contrast_of(image, classes)
    except ValueError:
        brightness = None
    size = ventricles(sided, affine, scheme)
    of_age = age_and_sex is not None and AGES[0] <= age_and_sex[0] <= AGES[1]
    usual_ml = usual_ventricles(*age_and_sex) if age_and_sex is not None and of_age else NORMAL * size.brain_ml
    compared = replace(size, brain_ml=usual_ml / NORMAL)  # in a brain of which that would be the median
    lesions = [] if segmented else measure_lesions(classes, sided, affine, scheme, image=image if outlines else None)
    spec = ScanSpec(
        plane=grid.plane, contrast=brightness.contrast if brightness else None, voxel_mm=list(grid.voxel_mm), age_years=size.age(),
        ventricles=compared.said(), lesions=None if segmented else said(lesions),
    )  # fmt: skip
    return Description(spec, grid, brightness, size, lesions, usual_ml, of_age)
