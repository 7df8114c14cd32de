"""How unlike the scans of the training a scan is: a few cheap numbers of it against theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter

NAMES = (
    "spacing", "anisotropy", "below zero", "air", "10th percentile", "median", "90th percentile", "brightest",
    "gradient", "gradient of the smoothed", "noise",
)  # fmt: skip
FLOORS = np.array([0.3, 0.3, 0.02, 0.05, 0.04, 0.04, 0.04, 0.04, 0.01, 0.01, 0.01])  #: least spread of each
MARGIN = 1.5  #: between the score of the training's own oddest scan, left out, and the limit


def features(image: np.ndarray, spacing: Sequence[float], scale: float | None = None) -> np.ndarray:
    """Return the numbers of `NAMES` for an image (X, Y, Z), in fractions of its scale.

    Args:
        spacing: voxel size in mm.
        scale: what counts as bright, such as 1000 HU; by default the image's robust maximum, for units without meaning.
    """
    image = _middle(np.asarray(image, dtype=np.float32))
    if scale is None:
        scale = float(np.percentile(image[image > 0], 99.5)) if (image > 0).any() else 1.0
    x = np.nan_to_num(image / max(scale, 1e-12))
    inside = x > (0.1 if x.min() >= -0.05 else -0.5)  # of CT, all but air and lung
    low, middle, high = np.percentile(x[inside], (10, 50, 90)) if inside.any() else (0.0, 0.0, 0.0)
    smooth = uniform_filter(x, 3)
    rough = (x - smooth)[inside]
    mm = np.asarray(spacing, dtype=float)
    return np.array([
        np.log2(mm.min()), np.log2(mm.max() / mm.min()), float((x < -0.1).mean()), 1 - float(inside.mean()), low, middle, high,
        float(np.percentile(x, 99.5)), _gradient(x, inside), _gradient(smooth, inside),
        float(np.median(np.abs(rough - np.median(rough)))) if rough.size else 0.0,
    ])  # fmt: skip


def fit(scans: Sequence[np.ndarray], scale: float | None) -> dict[str, Any]:
    """Return what a bundle keeps of the features of its training scans (at least 3): JSON-able, for `score`."""
    table = np.stack(scans)
    left_out = [_score(row, *_centre(np.delete(table, number, 0))) for number, row in enumerate(table)]
    centre, spread = _centre(table)
    return {
        "scale": scale,
        "centre": [round(float(v), 5) for v in centre],
        "spread": [round(float(v), 5) for v in spread],
        "limit": round(max(1.0, MARGIN * max(left_out)), 3),
    }


def score(found: np.ndarray, known: Mapping[str, Any]) -> tuple[float, str]:
    """Return how unlike the training a scan is (about 1 for a usual one), and the name of its oddest feature."""
    centre, spread = np.array(known["centre"]), np.array(known["spread"])
    return _score(found, centre, spread), NAMES[int(np.argmax(np.abs(found - centre) / spread))]


def _centre(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return table.mean(0), np.maximum(table.std(0, ddof=1), FLOORS)


def _score(row: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> float:
    return float(np.sqrt(np.mean(((row - centre) / spread) ** 2)))


def _middle(image: np.ndarray, most: int = 160) -> np.ndarray:
    """Return the middle of the image, at most so many voxels a side: cheap, and at its own resolution."""
    return image[tuple(slice(max(n // 2 - most // 2, 0), n // 2 + most // 2 + 1) for n in image.shape)]


def _gradient(x: np.ndarray, inside: np.ndarray) -> float:
    total = 0.0
    for axis in range(x.ndim):
        if x.shape[axis] > 1 and inside.any():
            step = np.abs(np.diff(x, axis=axis))
            total += float(step[np.delete(inside, -1, axis)].mean()) if np.delete(inside, -1, axis).any() else 0.0
    return total / 3
