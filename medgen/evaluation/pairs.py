"""What every metric of a pair of images asks of it."""

from __future__ import annotations

import math

import numpy as np


def check(
    candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None, data_range: float | None = None
) -> None:
    """Raise ValueError for unequal shapes, an empty mask or one of another shape, values that are not finite, or a data
    range that is not above 0 or whose square is not finite."""
    if candidate.shape != reference.shape:
        raise ValueError(f"the candidate's shape {candidate.shape} is not the reference's {reference.shape}")
    if mask is not None and (mask.shape != reference.shape or not np.any(mask)):
        raise ValueError(f"the mask (shape {mask.shape}) is empty, or not of the reference's shape {reference.shape}")
    if data_range is not None and not (data_range > 0 and 0 < data_range * data_range < math.inf):  # its square is used
        raise ValueError(f"the data range must be above 0 and finite, not {data_range}")
    if not (np.isfinite(candidate).all() and np.isfinite(reference).all()):
        raise ValueError("the images hold NaN or infinite values")


def difference(candidate: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return candidate minus reference in float64, in the mask as a flat array; integers do not wrap around."""
    if mask is None:
        return np.subtract(candidate, reference, dtype=np.float64)
    inside = np.asarray(mask, bool)
    return np.subtract(candidate[inside], reference[inside], dtype=np.float64)
