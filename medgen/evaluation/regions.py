"""Regions of interest: tissues of a CT, contrast between regions, noise in them."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import binary_erosion

#: Hounsfield windows of tissues that hardly mix, in HU; bounds belong to them
TISSUES = {"air": (-1100, -950), "lung": (-925, -700), "fat": (-130, -60), "soft tissue": (10, 90), "bone": (300, 2500)}


def tissues(reference: np.ndarray) -> dict[str, np.ndarray]:
    """Return where each of `TISSUES` is, by name: voxels whose value, and that of all face neighbours, is in its window.

    The neighbours keep out the rims, where a window says nothing of the tissue. The choice is by the reference alone: where
    that is noisy the voxels chosen lean to the middle of their window, and so does the bias of any smoother image.

    Args:
        reference: (X, Y, Z), HU.
    """
    found = {}
    for name, (low, high) in TISSUES.items():
        inside = binary_erosion((reference >= low) & (reference <= high), border_value=1)
        if inside.any():
            found[name] = inside
    return found


def contrast_to_noise(image: np.ndarray, region: np.ndarray, background: np.ndarray) -> float:
    """Return |mean - mean| / sqrt((variance + variance) / 2) of two regions; infinity where both are flat and differ.

    Args:
        image: in any units.
        region, background: true inside; of the image's shape.

    Raises ValueError for a region of fewer than 2 voxels, or two flat ones of equal value.
    """
    parts = [np.asarray(image[np.asarray(where, bool)], np.float64) for where in (region, background)]
    if min(part.size for part in parts) < 2:
        raise ValueError("contrast to noise wants at least 2 voxels in both regions")
    contrast = abs(float(parts[0].mean()) - float(parts[1].mean()))
    noise = math.sqrt((float(parts[0].var(ddof=1)) + float(parts[1].var(ddof=1))) / 2)
    if noise == 0 and contrast == 0:
        raise ValueError("both regions are flat and equal, so they have neither contrast nor noise")
    return contrast / noise if noise else math.inf
