"""What a head that moves during the scan looks like."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.random import RandomState
from scipy.fft import fftn, ifftn


def motion(image: np.ndarray, voxels: float, rng: RandomState) -> np.ndarray:
    """Return what is seen of a head that moves 2 to 5 times during the scan, each time by about `voxels`.

    Args:
        image: (X, Y, Z).
        voxels: SD of each shift along each axis; 0 changes nothing.
        rng: where the times and shifts come from.

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
