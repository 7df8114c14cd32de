"""Damage of whole volumes (air 0, bright 1) at a stated level, to train and to check feature extractors with."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

from medgen.transforms.degrade import rician_noise
from medgen.transforms.motion import motion

__all__ = ["blur", "lesions", "motion", "rician_noise", "shuffle", "turn"]


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian of `sigma` voxels."""
    return gaussian_filter(image, sigma, truncate=3.0) if sigma > 0 else image


def turn(degrees: np.ndarray) -> np.ndarray:
    """Return the matrix (3, 3) that turns about the first axis, then the second, then the third."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        a, b = (i for i in range(3) if i != axis)
        one = np.eye(3)
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        matrix = one @ matrix
    return matrix


def lesions(white_matter: np.ndarray, share: float, rng: RandomState, size: float = 1.2) -> np.ndarray:
    """Return the mask of blobs about `size` voxels in radius that fill the `share` of the white matter."""
    field = gaussian_filter(rng.standard_normal(white_matter.shape).astype(np.float32), size)
    if share <= 0 or not white_matter.any():
        return np.zeros(white_matter.shape, bool)
    return white_matter & (field > np.quantile(field[white_matter], 1 - share))


def shuffle(image: np.ndarray, labels: np.ndarray, share: float, rng: RandomState) -> np.ndarray:
    """Return the image with the mean intensities of the `share` of its labels (0 stays) exchanged at random."""
    names, where = np.unique(labels, return_inverse=True)
    where = where.reshape(labels.shape)
    means = np.bincount(where.ravel(), image.ravel()) / np.bincount(where.ravel())
    chosen = rng.permutation(np.arange(1, len(names)))[: round(share * (len(names) - 1))]
    change = np.zeros(len(names))
    change[chosen] = means[rng.permutation(chosen)] - means[chosen]
    return np.clip(image + change[where], 0, 2).astype(np.float32)
