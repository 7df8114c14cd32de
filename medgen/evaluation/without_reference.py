"""Image quality where there is no truth: noise, sharpness, and whether the slices belong together."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import correlate1d, maximum_filter, minimum_filter
from skimage.filters import threshold_otsu
from skimage.measure import blur_effect

MAD = 1.482602218505602  #: makes the median absolute deviation of a normal distribution its standard deviation
SECOND = (1.0, -2.0, 1.0)  #: its square sums to 6: two of them turn noise of sigma into 6 sigma


def noise_level(image: np.ndarray, slice_axis: int, mask: np.ndarray | None = None) -> float:
    """Return an estimate of the standard deviation of white noise, in the units of the image.

    In each slice the second difference along both axes, which removes all that is smooth along either, and the median of
    its absolute value: Immerkaer's (1996) kernel with Donoho's (1994) robust scale. Areas of the least or the greatest
    value (padding, clipping) and their rims are left out. Noise that is correlated, as after interpolation, is underestimated, and
    so is Rician noise in air.

    Args:
        image: (X, Y, Z).
        slice_axis: the axis across the slices.
        mask: true where to measure; everywhere by default.

    Raises ValueError for slices of fewer than 3 voxels along an axis, values that are not finite, and for an image or mask
    without a voxel to go by.
    """
    _check(image)
    axes = [axis for axis in range(3) if axis != slice_axis]
    if min(image.shape[axis] for axis in axes) < 3:
        raise ValueError(f"slices of {[image.shape[axis] for axis in axes]} voxels are too small to estimate noise")
    response = image.astype(np.float64)
    for axis in axes:
        response = correlate1d(response, SECOND, axis, mode="nearest")
    inner = tuple(slice(1, -1) if axis in axes else slice(None) for axis in range(3))
    chosen = _varied(image, axes)
    if mask is not None:
        chosen &= np.asarray(mask, bool)
    values = response[inner][chosen[inner]]
    if not values.size:
        raise ValueError("there is nothing here but areas of one value")
    return float(MAD * np.median(np.abs(values)) / 6)


def sharpness(image: np.ndarray, slice_axis: int) -> tuple[float, float]:
    """Return the sharpness in the slices and across them, each from 0 to 1: 1 minus the blur metric of Crete et al. 2007.

    It says how much an image loses when it is blurred once more: about 0.3 for smooth scans, near 1 for noise, so compare it
    only where the noise is alike. It is in voxels, not in mm. NaN along an axis of fewer than 11 voxels.

    Args:
        image: (X, Y, Z).
        slice_axis: the axis across the slices.

    Raises ValueError for values that are not finite, or a constant image.
    """
    _check(image)
    if np.ptp(image) == 0:
        raise ValueError("the image is constant, so it has no sharpness")
    thin = [n < 11 for n in image.shape]
    padded = np.pad(image, [(0, 11 - n if few else 0) for n, few in zip(image.shape, thin)], mode="edge")
    blur = [math.nan if few else float(b) for few, b in zip(thin, blur_effect(padded.astype(np.float32), reduce_func=None))]
    within = [1 - b for axis, b in enumerate(blur) if axis != slice_axis]
    return sum(within) / len(within), 1 - blur[slice_axis]


def slice_consistency(image: np.ndarray, slice_axis: int, mask: np.ndarray | None = None) -> tuple[float, float, int]:
    """Return how well slices go with their neighbours, how far the worst stands out, and which that is.

    The first is the mean Pearson correlation of neighbouring slices (1: alike). For the second, each inner slice has the
    mean of its absolute difference from the mean of both neighbours; the worst's distance from the median of these, in
    robust standard deviations of them. A slice of another brightness, a shifted or a spoiled one stands out by tens.

    Args:
        image: (X, Y, Z).
        slice_axis: the axis across the slices.
        mask: true where to measure; everywhere by default.

    Raises ValueError for values that are not finite, or fewer than 5 slices with anything in them.
    """
    _check(image)
    slices = np.moveaxis(image, slice_axis, 0).astype(np.float64)
    inside = np.ones(slices.shape, bool) if mask is None else np.moveaxis(np.asarray(mask, bool), slice_axis, 0)
    correlations, steps = [], {}
    for k in range(len(slices) - 1):
        both = inside[k] & inside[k + 1]
        a, b = slices[k][both], slices[k + 1][both]
        if a.size > 2 and a.std() > 0 and b.std() > 0:
            correlations.append(float(np.corrcoef(a, b)[0, 1]))
        all_three = inside[k] & inside[k - 1] & inside[k + 1] if k else np.zeros_like(both)
        if all_three.any():
            steps[k] = float(np.abs(slices[k] - (slices[k - 1] + slices[k + 1]) / 2)[all_three].mean())
    if len(steps) < 3 or not correlations:
        raise ValueError("fewer than 5 slices here have anything in them")
    values = np.array(list(steps.values()))
    centre = float(np.median(values))
    spread = max(MAD * float(np.median(np.abs(values - centre))), 1e-6 * float(np.abs(image).max()), 1e-300)
    worst = max(steps, key=lambda k: steps[k])
    return float(np.mean(correlations)), (steps[worst] - centre) / spread, worst


def foreground(image: np.ndarray) -> np.ndarray:
    """Return where the image is brighter than Otsu's (1979) threshold: of a scan, the body; all of a constant image."""
    _check(image)
    if np.ptp(image) == 0:
        return np.ones(image.shape, bool)
    return np.asarray(image > threshold_otsu(image))


def _varied(image: np.ndarray, axes: list[int]) -> np.ndarray:
    """Return where no neighbour in the slice, 3 x 3, lies in an area of the image's least or greatest value."""
    size = [3 if axis in axes else 1 for axis in range(3)]
    varied = (maximum_filter(image, size) > image.min()) & (minimum_filter(image, size) < image.max())
    return np.asarray(minimum_filter(varied, size))


def _check(image: np.ndarray) -> None:
    if image.ndim != 3:
        raise ValueError(f"the image must be (X, Y, Z), not of shape {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError("the image holds NaN or infinite values")
