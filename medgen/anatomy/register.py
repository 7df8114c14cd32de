"""Where each point of a frame lies in a head: registration of label maps by log-domain demons (Vercauteren et al. 2008)."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

from medgen.anatomy.classes import classes_of
from medgen.anatomy.flow import warp
from medgen.anatomy.frame import to_frame

#: What is laid on each other: classes of `classes.NAMES`; infarcts and other lesions count for nothing.
TISSUES = ((0, 10, 11, 12), (1,), (2,), (3,), (4,), (5,), (6, 7), (8,), (9,))
FINE = 2.0  #: mm of the frame's fine grid; velocities are on one of twice that
LOW, SIZE = np.array([-82.0, -118.0, -90.0]), (82, 112, 96)  #: mm and voxels of the fine grid
#: Stages: rounds, and the voxels of the coarse grid that velocities and their updates are smoothed by.
STAGES = ((12, 0.75, 1.0), (12, 0.5, 0.8))
WEIGHTS = np.array([1, 1, 1, 2, 1.5, 1.5, 1, 1, 1], np.float32)  #: of `TISSUES`: small ones count for more


def fine_grid() -> np.ndarray:
    """Return the affine of the frame's fine grid, mm in RAS of the frame."""
    affine = np.diag([FINE, FINE, FINE, 1.0])
    affine[:3, 3] = LOW
    return affine


def into_frame(labels: np.ndarray, affine: np.ndarray, scheme: str) -> np.ndarray:
    """Return a label map on the frame's fine grid, laid there by its landmarks."""
    through = np.linalg.inv(affine) @ np.linalg.inv(to_frame(labels, affine, scheme)) @ fine_grid()
    index = np.indices(SIZE, dtype=np.float32)
    where = np.tensordot(through[:3, :3], index, 1) + through[:3, 3, None, None, None]
    return np.asarray(map_coordinates(labels, where, order=0))


def soft(fine: np.ndarray, scheme: str) -> np.ndarray:
    """Return how much of each of `TISSUES` is in each voxel of the coarse grid (9, x, y, z), a little blurred."""
    classes = classes_of(fine, scheme)
    x, y, z = (n // 2 for n in classes.shape)
    parts = [np.isin(classes, group).reshape(x, 2, y, 2, z, 2).mean((1, 3, 5)) for group in TISSUES]
    return np.stack([gaussian_filter(part, 0.7) for part in parts]).astype(np.float32)


def integrate(velocity: Tensor, steps: int = 6) -> Tensor:
    """Return the displacement (3, x, y, z) in voxels of following a steady velocity for a time of 1 (scaling and squaring)."""
    shift = velocity / 2**steps
    for _ in range(steps):
        shift = shift + warp(shift, shift)
    return shift


def register(fixed: np.ndarray, moving: np.ndarray, stages: tuple[tuple[int, float, float], ...] = STAGES) -> np.ndarray:
    """Return the velocity v (3, x, y, z), in voxels, for which moving(x + exp(v)(x)) is like fixed; both (9, x, y, z)."""
    weights = WEIGHTS[:, None, None, None]
    still, moves = fixed * weights, torch.from_numpy(moving * weights)
    velocity = np.zeros((3, *fixed.shape[1:]), np.float32)
    for rounds, smooth, update in stages:
        for _ in range(rounds):
            now = warp(moves, integrate(torch.from_numpy(velocity))).numpy()
            slope = np.stack(np.gradient(now, axis=(1, 2, 3)))  # (3, channels, x, y, z)
            gap = still - now
            force = (slope * gap).sum(1) / ((slope**2).sum((0, 1)) + 0.25 * (gap**2).sum(0) + 1e-4)
            force = np.stack([gaussian_filter(f, update) for f in force])
            velocity = np.stack([gaussian_filter(v, smooth) for v in velocity + force])
    return velocity
