"""Which contrast an MR image of the brain has: told by how bright its tissues are, against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medgen.anatomy.sides import WITHIN_SKULL
from medgen.text.spec import Contrast

LEAST = 50  #: voxels of a class whose brightness counts
GREY = 0.94  #: cortex against white matter: T1 below, T2 and FLAIR above
FLUID = 1.95  #: the brightest fiftieth within the skull against white matter: T2, where fluid is bright, above; FLAIR below
ENHANCED = 1.57  #: the brightest 200th against white matter: T1 with vessels and lesions after an agent above
FIFTIETH, TWO_HUNDREDTH = 98.0, 99.5  #: percentiles


@dataclass(frozen=True)
class Brightness:
    """How bright tissues are against cerebral white matter, and the contrast that this speaks for.

    Attributes:
        grey: median of the cerebral cortex.
        fluid: brightest fiftieth of brain and fluid.
        vessels: brightest 200th of them.
        margin: by which factor the nearest deciding brightness is away from its bound, 1 or more; near 1 is a near call.
    """

    contrast: Contrast
    grey: float
    fluid: float
    vessels: float
    margin: float


def contrast_of(image: np.ndarray, classes: np.ndarray) -> Brightness:
    """Tell T1, T1 after a contrast agent, T2 and FLAIR apart by the brightness of cortex, fluid and vessels.

    The rules are those of MR physics, their bounds from real scans and never from generated ones (README): cortex is darker
    than white matter in T1 alone; of the others, fluid is bright in T2. A segmentation that is half wrong will do. T1 before
    and after an agent differ by vessels and lesions alone, so that this is told less well.

    Args:
        image: (X, Y, Z), any unit, air about 0.
        classes: of `medgen.anatomy.classes`, same shape.

    Raises ValueError where there is too little white matter or cortex.
    """
    white, grey = (image[classes == number] for number in (2, 1))
    if min(len(white), len(grey)) < LEAST:
        raise ValueError(f"there are {len(white)} voxels of white matter and {len(grey)} of cortex; the contrast is told from {LEAST} on")
    level = float(np.median(white))
    if level <= 0:
        raise ValueError(f"white matter has a brightness of {level:g}; above 0 is needed")
    within = image[np.isin(classes, WITHIN_SKULL)]
    fluid, vessels = (float(v) / level for v in np.percentile(within, (FIFTIETH, TWO_HUNDREDTH)))
    cortex = float(np.median(grey)) / level
    contrast: Contrast = ("T1c" if vessels > ENHANCED else "T1") if cortex < GREY else "T2" if fluid > FLUID else "FLAIR"
    second = vessels / ENHANCED if cortex < GREY else fluid / FLUID
    return Brightness(contrast, cortex, fluid, vessels, min(_apart(cortex / GREY), _apart(second)))


def _apart(ratio: float) -> float:
    return max(ratio, 1 / max(ratio, 1e-6))
