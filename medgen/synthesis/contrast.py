"""Which contrast an MR image of the brain has: told by how bright its tissues are, against each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medgen.text.spec import Contrast

LEAST = 50  #: voxels of a class whose brightness counts
FLUID_BRIGHT = 1.3  #: ventricles against white matter: T2 above
GREY_BRIGHT = 0.93  #: cortex against white matter: T1 below, FLAIR above
FLUID_DARK = 0.9  #: ventricles against white matter: T1 below
ENHANCED = 1.75  #: the brightest thousandth within the skull against white matter: vessels and lesions after an agent above
BRIGHTEST = 99.9


@dataclass(frozen=True)
class Brightness:
    """Medians against that of cerebral white matter, and the contrast that they speak for.

    Attributes:
        contrast: None where they speak for none.
        grey: cerebral cortex.
        fluid: ventricles.
        brightest: the brightest thousandth of brain and fluid.
        margin: by which factor the deciding brightness is away from its bound, 1 or more; near 1 is a near call.
    """

    contrast: Contrast | None
    grey: float
    fluid: float
    brightest: float
    margin: float


def contrast_of(image: np.ndarray, classes: np.ndarray) -> Brightness:
    """Tell T1, T1 after a contrast agent, T2 and FLAIR apart by the brightness of cortex, ventricles and vessels.

    The bounds are rules of thumb of MR physics, checked on real scans and never on generated ones (README): fluid is bright in
    T2 alone; cortex is darker than white matter in T1, brighter in FLAIR. Medians stand a segmentation that is half wrong.
    T1 before and after an agent differ by vessels and lesions alone, so that this is told less well.

    Args:
        image: (X, Y, Z), any unit.
        classes: of `medgen.anatomy.classes`, same shape.

    Raises ValueError where there is too little white matter, cortex or ventricle.
    """
    levels = {}
    for name, number in (("white matter", 2), ("cortex", 1), ("ventricles", 3)):
        values = image[classes == number]
        if len(values) < LEAST:
            raise ValueError(f"there are {len(values)} voxels of {name}; the contrast is told from {LEAST} on")
        levels[name] = float(np.median(values))
    white = levels["white matter"]
    if white <= 0:
        raise ValueError(f"white matter has a brightness of {white:g}; above 0 is needed")
    grey, fluid = levels["cortex"] / white, levels["ventricles"] / white
    within = np.isin(classes, (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16))
    brightest = float(np.percentile(image[within], BRIGHTEST)) / white
    if fluid > FLUID_BRIGHT:
        return Brightness("T2", grey, fluid, brightest, fluid / FLUID_BRIGHT)
    if grey < GREY_BRIGHT and fluid < FLUID_DARK:
        agent = brightest > ENHANCED
        apart = max(brightest / ENHANCED, ENHANCED / max(brightest, 1e-6))
        return Brightness("T1c" if agent else "T1", grey, fluid, brightest, min(apart, GREY_BRIGHT / max(grey, 1e-6)))
    if grey > GREY_BRIGHT:
        return Brightness("FLAIR", grey, fluid, brightest, min(grey / GREY_BRIGHT, FLUID_BRIGHT / max(fluid, 1e-6)))
    return Brightness(None, grey, fluid, brightest, 1.0)
