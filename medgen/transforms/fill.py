"""The smooth fill of a hole: the linear guess that a network starts from."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import find_objects

STIFFNESS = 8.0  #: of the fill: weight of curvature to slope, in voxels squared
SWEEPS = 16  #: of conjugate gradients, on each level


def smooth_fill(image: np.ndarray, hole: np.ndarray, stiffness: float = STIFFNESS, sweeps: int = SWEEPS) -> np.ndarray:
    """Return `image` (X, Y, Z) with the voxels of `hole` (boolean) replaced by what bends least between the known ones.

    Minimises the integral of |grad u|^2 + stiffness * (Laplacian u)^2 in the hole: between harmonic and biharmonic
    inpainting, and the conditional mean of a random field whose spectrum falls as k^-2 at large scales and as k^-4 at
    small ones, as that of anatomy does. Solved from coarse to fine by conjugate gradients. Of a hole without an end the
    fill is the mean of what is known; where nothing is known, 0.

    Args:
        stiffness: in voxels squared.
        sweeps: of conjugate gradients on each level of the pyramid.
    """
    out = np.array(image, dtype=np.float32)
    if not hole.any():
        return out
    if hole.all():
        return np.zeros_like(out)
    box = _around(hole, 3 + 2 * int(np.ceil(np.sqrt(stiffness))))
    mine = hole[box]
    start = _guess(out[box], mine, np.ones(3), stiffness, sweeps)
    out[box] = np.where(mine, start, out[box])
    return out


def _around(hole: np.ndarray, margin: int) -> tuple[slice, ...]:
    found = find_objects(hole.astype(np.uint8))[0]
    return tuple(slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in zip(found, hole.shape))


def _guess(image: np.ndarray, hole: np.ndarray, weights: np.ndarray, stiffness: float, sweeps: int) -> np.ndarray:
    """Return the fill of one level, started from that of the next coarser one."""
    known = np.where(hole, 0, image)
    halved = [axis for axis in range(3) if weights[axis] > weights.max() / 3 and image.shape[axis] > 4]
    if hole.sum() <= 64 or not halved:
        return _relax(np.where(hole, known.sum() / max((~hole).sum(), 1), image), hole, weights, stiffness, 3 * sweeps)
    total, share = known, (~hole).astype(np.float32)
    coarse_weights = weights.copy()
    for axis in halved:
        total, share = _halve(total, axis), _halve(share, axis)
        coarse_weights[axis] /= 4
    missing = share == 0
    scale = coarse_weights.max()
    if missing.all():
        start = np.full_like(image, known.sum() / max((~hole).sum(), 1))
    else:
        coarse = np.where(missing, 0, total / np.maximum(share, 1e-6)).astype(np.float32)
        if missing.any():
            coarse = _guess(coarse, missing, coarse_weights / scale, stiffness * scale, sweeps)
        start = _double(coarse, image.shape)
    return _relax(np.where(hole, start, image), hole, weights, stiffness, sweeps)


def _halve(x: np.ndarray, axis: int) -> np.ndarray:
    """Return sums of pairs along an axis; an odd last plane stands alone."""
    return np.add.reduceat(x, np.arange(0, x.shape[axis], 2), axis=axis)


def _double(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    for axis, n in enumerate(shape):
        if coarse.shape[axis] == n:
            continue
        at = (np.arange(n) - 0.5) / 2
        low = np.clip(np.floor(at).astype(int), 0, coarse.shape[axis] - 1)
        high = np.minimum(low + 1, coarse.shape[axis] - 1)
        part = np.clip(at - low, 0, 1).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        coarse = coarse.take(low, axis) * (1 - part) + coarse.take(high, axis) * part
    return coarse


def _slope(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return minus the weighted Laplacian, symmetric, with no flow through the border."""
    out = np.zeros_like(x)
    for axis, weight in enumerate(weights):
        if x.shape[axis] < 2:
            continue
        flow = np.float32(weight) * np.diff(x, axis=axis)
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        out[low] -= flow
        out[high] += flow
    return out


def _relax(image: np.ndarray, hole: np.ndarray, weights: np.ndarray, stiffness: float, sweeps: int) -> np.ndarray:
    """Improve the fill by conjugate gradients."""
    free = hole.astype(np.float32)

    def energy_gradient(x: np.ndarray) -> np.ndarray:
        y = _slope(x, weights)
        if stiffness:
            y = y + np.float32(stiffness) * _slope(y, weights)
        return y * free

    x = image.astype(np.float32)
    residual = -energy_gradient(x)
    direction = residual.copy()
    before = start = float(np.vdot(residual, residual))
    for _ in range(sweeps):
        if before <= 1e-7 * start or before == 0:
            break
        curved = energy_gradient(direction)
        step = before / max(float(np.vdot(direction, curved)), 1e-30)
        x += np.float32(step) * direction
        residual -= np.float32(step) * curved
        after = float(np.vdot(residual, residual))
        direction = residual + np.float32(after / before) * direction
        before = after
    return x
