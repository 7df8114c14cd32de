"""Which part of the body a scan shows, by its voxels: a few sizes and shares, coarse but hard to fool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_fill_holes, label
from skimage.filters import threshold_otsu

from medgen.evaluation.sampling import block_means

STEP = 4.0  #: mm, about which the image is averaged first
SKIN, LUNG, BONE = -300.0, -500.0, 300.0  #: HU: the body is above, lung (within the body) below, bone above
SMALL = 60.0  #: cm2, a cross-section below which nothing is told; brains without skull had 83 and more
HEAD, TRUNK = 330.0, 450.0  #: cm2, to which and from which it is plain; of 38 heads the largest had 257
LUNGS, NO_LUNGS = 0.1, 0.03  #: shares of the body; chests had 0.19 and more, abdomens 0.02 and less
SKULL, NO_SKULL = 0.08, 0.06


class Body(NamedTuple):
    """What is measured of a body, in axial slices with all that they enclose."""

    area: float = 0.0  #: cm2, of the middle one of the slices by size
    lung: float = 0.0  #: share of the body that is lung or other air, of CT
    bone: float = 0.0  #: share of the body that is bone, of CT

    def __str__(self) -> str:
        return f"cross-section {self.area:.0f} cm2, lung {self.lung:.0%}, bone {self.bone:.0%}"


def measure(image: np.ndarray, spacing: Sequence[float], modality: str) -> Body:
    """Return the sizes of the body in an image (X, Y, Z) whose axes are left-right, front-back and head-foot.

    Args:
        spacing: voxel size in mm.
        modality: "CT", in HU, or "MR", where the body is what Otsu's threshold finds bright: less of it, where it is noisy.
    """
    step = [max(1, min(round(STEP / mm), size)) for mm, size in zip(spacing, image.shape)]
    coarse = block_means(image, step)
    if np.ptp(coarse) == 0:
        return Body()
    parts, _ = label(coarse > (SKIN if modality == "CT" else threshold_otsu(coarse)))
    sizes = np.bincount(parts.reshape(-1))[1:]
    if not sizes.size:
        return Body()
    largest = parts == 1 + sizes.argmax()
    body = np.stack([binary_fill_holes(largest[..., z]) for z in range(coarse.shape[2])], -1)
    areas = body.sum((0, 1)) * (step[0] * spacing[0] * step[1] * spacing[1] / 100)
    lung, bone = (float(where[body].mean()) if modality == "CT" else 0.0 for where in (coarse < LUNG, coarse > BONE))
    return Body(float(np.median(areas[areas > 0])), lung, bone)


def part_of(body: Body, modality: str) -> str:
    """Return "head", "chest", "abdomen" or, of MR, "trunk"; "" where it is not plain. A limb on MR may pass for a head."""
    if body.area < SMALL:
        return ""
    if modality == "MR":
        return "head" if body.area < HEAD else "trunk" if body.area > TRUNK else ""
    if body.lung > LUNGS:
        return "chest"
    if body.lung < NO_LUNGS:
        return "abdomen" if body.bone < NO_SKULL else "head" if body.bone > SKULL and body.area < TRUNK else ""
    return ""
