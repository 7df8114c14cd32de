"""Damage of whole volumes (air 0, bright 1) at a stated level, to train and to check feature extractors with."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.random import RandomState
from scipy.fft import fftn, ifftn
from scipy.ndimage import gaussian_filter

from medgen.transforms.degrade import rician_noise

__all__ = ["blur", "lesions", "motion", "rician_noise", "shuffle"]


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian of `sigma` voxels."""
    return gaussian_filter(image, sigma, truncate=3.0) if sigma > 0 else image


def motion(image: np.ndarray, voxels: float, rng: RandomState) -> np.ndarray:
    """Return what is seen of a head that moves 2 to 5 times during the scan, each time by about `voxels`.

    Along one random axis, each stretch of k-space lines comes from the image shifted by the position of that time; that of
    the centre is the position that counts.
    """
    if voxels <= 0:
        return image
    axis = int(rng.randint(3))
    length = image.shape[axis]
    space = np.fft.fftshift(fftn(image.astype(np.float32)), axes=axis)
    frequencies = [np.fft.fftfreq(n) for n in image.shape]
    frequencies[axis] = np.fft.fftshift(frequencies[axis])
    waves = np.meshgrid(*frequencies, indexing="ij", sparse=True)
    times = np.sort(rng.randint(1, length, size=rng.randint(2, 6)))
    edges = [0, *times, length]
    for start, stop in pairwise(edges):
        shift = voxels * rng.standard_normal(3)
        if start <= length // 2 < stop:
            continue
        lines = tuple(slice(start, stop) if a == axis else slice(None) for a in range(3))
        local = [w[tuple(slice(start, stop) if a == axis and n > 1 else slice(None) for a, n in enumerate(w.shape))] for w in waves]
        phase = sum(s * w for s, w in zip(shift, local))
        space[lines] *= np.exp(-2j * np.pi * phase).astype(np.complex64)
    return np.abs(ifftn(np.fft.ifftshift(space, axes=axis))).astype(np.float32)


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
