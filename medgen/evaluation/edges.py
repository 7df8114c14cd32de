"""Whether edges are kept: how steep they are, and how alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import laplace

from medgen.evaluation.pairs import check


def gradient_kept(
    candidate: np.ndarray, reference: np.ndarray, spacing: Sequence[float], mask: np.ndarray | None = None
) -> float:
    """Return how much of the reference's gradient the candidate has: 1 all of it, below 1 blurred, above 1 sharpened.

    The slope of the regression of the candidate's gradient on the reference's, through 0, over all voxels and axes:
    sum(grad c . grad r) / sum |grad r|^2, by central differences. Noise of the candidate that has nothing to do with the
    reference does not change it in the mean; noise of the reference lowers it, as noise that is gone counts as gradient.

    Args:
        candidate, reference: of one shape.
        spacing: voxel size along each axis, mm.
        mask: true where to measure; everywhere by default.

    Raises ValueError as `pairs.check`, and where the reference has no gradient.
    """
    check(candidate, reference, mask)
    product = energy = 0.0
    for axis, step in enumerate(spacing):
        if reference.shape[axis] < 3:
            continue
        mine, truth = (_slope(image, axis) / (2 * step) for image in (candidate, reference))
        if mask is not None:
            inside = np.asarray(np.moveaxis(mask, axis, 0)[1:-1], bool)
            mine, truth = mine[inside], truth[inside]
        product += float(np.vdot(mine, truth))
        energy += float(np.vdot(truth, truth))
    if energy == 0:
        raise ValueError("the reference has no gradient here")
    return product / energy


def edges_kept(candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the edge preservation index: the correlation of the Laplacians, 1 for equal edges (Sattar et al. 1997).

    It falls with blur and with noise alike. Arguments as `gradient_kept`. Raises ValueError as `pairs.check`, and where
    either image has no edges.
    """
    check(candidate, reference, mask)
    where = ... if mask is None else np.asarray(mask, bool)
    mine, truth = (laplace(image, output=np.float64)[where].ravel() for image in (candidate, reference))
    mine -= mine.mean()
    truth -= truth.mean()
    energy = float(np.vdot(mine, mine)) * float(np.vdot(truth, truth))
    if energy == 0:
        raise ValueError("one of the images has no edges here")
    return float(np.vdot(mine, truth)) / energy**0.5


def _slope(image: np.ndarray, axis: int) -> np.ndarray:
    """Return the difference of both neighbours along an axis, which comes first; ends are left out."""
    moved = np.moveaxis(image, axis, 0)
    return np.subtract(moved[2:], moved[:-2], dtype=np.float64)
