"""What makes a grid sound: voxels of a size, and axes at right angles."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medgen.scans.scan import Reading, ScanError

USUAL = 1e-3, 100.0  #: mm along an axis of a voxel, from light-sheet microscopy to a scout


def check_grid(path: Path, affine: np.ndarray, reading: Reading) -> None:
    """Raise `ScanError` for an affine that is singular, not finite, or sheared by more than 0.1 degrees or so.

    A voxel size in mm that no scanner has is noted: its unit may be wrong.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and np.isfinite(spacing).all()) or spacing.min() <= 1e-6:
        raise ScanError(path, "its voxel size is zero or not a number", "export it again from its source")
    axes = affine[:3, :3] / spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > 2e-3:
        raise ScanError(path, "its grid is sheared", "resample it to a right-angled grid first")
    if spacing.min() < USUAL[0] or spacing.max() > USUAL[1]:
        reading.note(f"its voxel size is unusual ({'x'.join(f'{mm:.3g}' for mm in spacing)} mm): check its unit")


def apart(one: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Return by how many of its smallest voxel sides two affines of a grid lie apart, at the worst corner."""
    corners = np.array([(*corner, 1) for corner in itertools.product(*[(0, size - 1) for size in shape])])
    gap = np.linalg.norm(corners @ (one - other).T, axis=1).max()
    return float(gap / np.linalg.norm(one[:3, :3], axis=0).min())
