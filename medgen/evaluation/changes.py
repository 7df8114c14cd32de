"""Where an image was changed by more than its noise explains."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

LIMIT = 4.0  #: standard deviations; of white noise alone, 6 voxels in 100,000 are beyond
WIDTH = 1.0  #: sigma in voxels of the filter by which changes of several voxels stand out from noise


def change_map(before: np.ndarray, after: np.ndarray, noise: float | np.ndarray, width: float = WIDTH) -> np.ndarray:
    """Return after minus before in standard deviations of what removing all noise would change, float32.

    A denoiser that takes away white noise and nothing else changes each voxel by about `noise`. Both images are smoothed by
    a Gaussian of `width` voxels first, which leaves that noise with a known part of its standard deviation and leaves
    what is larger: a lesion that faded is many times beyond it. Outside the image counts as unchanged. Values of this map have standard deviation 1 where noise
    alone went, and 0 where nothing was changed.

    Args:
        before, after: (X, Y, Z), of one shape and unit.
        noise: the standard deviation of the noise before, in the images' units; a number, or one a voxel.
        width: sigma in voxels; 0 for voxel by voxel.

    Raises ValueError for unequal shapes, or a noise that is not above 0.
    """
    if before.shape != after.shape:
        raise ValueError(f"the shape before, {before.shape}, is not that after, {after.shape}")
    if not np.all(np.asarray(noise) > 0):
        raise ValueError("the noise level must be above 0")
    difference = np.subtract(after, before, dtype=np.float64)
    if width == 0:
        return np.asarray(difference / noise, np.float32)
    radius = int(4 * width + 0.5)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    left = float(np.square(gaussian_filter(impulse, width, truncate=4)).sum()) ** (difference.ndim / 2)
    return np.asarray(gaussian_filter(difference, width, truncate=4, mode="constant") / (left * noise), np.float32)


def beyond(changes: np.ndarray, limit: float = LIMIT, mask: np.ndarray | None = None) -> tuple[float, float]:
    """Return the fraction of voxels whose change is beyond `limit` either way, and the fraction expected of noise alone."""
    values = changes if mask is None else changes[np.asarray(mask, bool)]
    return float((np.abs(values) > limit).mean()), float(2 * norm.sf(limit))
