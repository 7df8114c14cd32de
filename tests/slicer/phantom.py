"""A phantom without any symmetry, in every orientation that scans come in; needs numpy only."""

from __future__ import annotations

import numpy as np

SHAPE = (34, 30, 26)
SPACING = (1.0, 1.2, 1.5)
NOISE = 60.0


def _rotation(angle: float, tilt: float) -> np.ndarray:
    c, s, d, t = np.cos(angle), np.sin(angle), np.cos(tilt), np.sin(tilt)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]])


#: Columns lead to RAS: what the voxel axes of each storage are.
STORAGES = {
    "RAS": np.diag([1.0, 1, 1]),
    "LAS": np.diag([-1.0, 1, 1]),
    "LPS": np.diag([-1.0, -1, 1]),
    "RAI": np.diag([1.0, 1, -1]),
    "PIR": np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]),
    "oblique": _rotation(0.3, 0.2) @ np.diag([-1.0, 1, 1]),
}


def affine(storage: str) -> np.ndarray:
    """Return the affine of a storage, the phantom's middle at (12, -20, 35)."""
    made = np.eye(4)
    made[:3, :3] = STORAGES[storage] * SPACING
    made[:3, 3] = np.array([12, -20, 35]) - made[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return made


def points(where: np.ndarray) -> np.ndarray:
    """Return the voxel centres of a grid in RAS, (N, 3) in C order."""
    index = np.indices(SHAPE).reshape(3, -1)
    return (where[:3, :3] @ index).T + where[:3, 3]


def clean(world: np.ndarray) -> np.ndarray:
    """Return the phantom at points of world space (N, 3): blobs off the middle, of different heights."""
    x, y, z = (world - [12, -20, 35]).T
    body = 600.0 * ((x / 14) ** 2 + (y / 15) ** 2 + (z / 16) ** 2 < 1)
    for place, height, size in (((6, 2, -3), 400, 5), ((-5, 6, 5), -300, 4), ((1, -8, 4), 250, 3)):
        body = body + height * (((x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2) < size**2)
    return np.maximum(body, 0)


def scan(storage: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the phantom in Rician noise as (X, Y, Z) int16 in a storage, and its affine."""
    where, rng = affine(storage), np.random.RandomState(seed)
    truth = clean(points(where)).reshape(SHAPE)
    noisy = np.hypot(truth + NOISE * rng.standard_normal(SHAPE), NOISE * rng.standard_normal(SHAPE))
    return noisy.astype(np.int16), where


#: Height of the phantom: number of FreeSurfer (cortex, white matter, ventricle, thalamus).
NUMBERS = {600: 3, 1000: 2, 300: 4, 850: 10}


def labels(storage: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the phantom's blobs as a label map (X, Y, Z) int16 in FreeSurfer's numbers in a storage, and its affine."""
    where = affine(storage)
    heights = clean(points(where)).reshape(SHAPE)
    made = np.zeros(SHAPE, np.int16)
    for height, number in NUMBERS.items():
        made[heights == height] = number
    return made, where
