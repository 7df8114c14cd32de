"""From a scan to what a feature extractor sees of it: slices of three planes (2.5D) and crops (3D), always cut the same way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

PLANES = ("sagittal", "coronal", "axial")  #: across the axes X, Y and Z of a volume in RAS+


@dataclass(frozen=True)
class Sampling:
    """How scans become slices and crops; with the extractor's hash it makes a score repeatable.

    Raises ValueError for what is out of range.
    """

    spacing: float = 2.0  #: mm, of the grid that every scan is brought to
    side: int = 112  #: voxels a side of the cube around the middle of the body, and of its slices
    hu: tuple[float, float] = (-1000.0, 1000.0)  #: of scans in HU, what becomes 0 and 1
    percentile: float = 99.5  #: of other scans, the percentile of the voxels above 0 that becomes 1
    planes: tuple[str, ...] = PLANES  #: none for no 2.5D features
    slices: int = 16  #: of each plane, evenly spaced over the middle 70 % of the body
    crop: int = 64  #: voxels a side of the 8 crops, one in each corner of the cube (`side`: one, the whole); 0 for no 3D features

    def __post_init__(self) -> None:
        wrong = [plane for plane in self.planes if plane not in PLANES]
        if wrong or len(set(self.planes)) < len(self.planes):
            raise ValueError(f"planes must be of {', '.join(PLANES)}, each once, not {', '.join(self.planes)}")
        if not (self.spacing > 0 and self.side >= 16 and self.slices >= 1 and 0 <= self.crop <= self.side):
            raise ValueError(
                f"spacing must be above 0, side at least 16, slices at least 1 and crop from 0 to side, "
                f"not {self.spacing}, {self.side}, {self.slices}, {self.crop}"
            )
        if not (self.hu[0] < self.hu[1] and 0 < self.percentile <= 100):
            raise ValueError(f"hu must rise and percentile lie in (0, 100], not {self.hu} and {self.percentile}")
        if not self.planes and not self.crop:
            raise ValueError("there are neither planes nor crops; name one of them")

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Sampling:
        """Return the sampling that `told` describes. Raises ValueError for unknown names and values out of range."""
        unknown = set(told) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"a sampling has no {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"a value of the sampling has the wrong type ({error})") from None

    def told(self) -> dict[str, Any]:
        """Return what `of` takes, for JSON."""
        return json.loads(json.dumps(asdict(self)))


def block_means(image: np.ndarray, step: Sequence[int]) -> np.ndarray:
    """Return the means of blocks of `step` voxels along each axis of an image (X, Y, Z); what fills no block at the end is left out."""
    n, m, o = (size // k for size, k in zip(image.shape, step))
    whole = image[: n * step[0], : m * step[1], : o * step[2]]
    return np.asarray(whole.reshape(n, step[0], m, step[1], o, step[2]).mean((1, 3, 5)))


def cube(image: np.ndarray, affine: np.ndarray, is_hu: bool, how: Sampling) -> np.ndarray:
    """Return the cube around the middle of the body: RAS+, at `how.spacing`, scaled (0 air, 1 bright), float32.

    Args:
        image: (X, Y, Z), finite.
        affine: RAS+ of the image, mm.
        is_hu: the values are HU.
    """
    turn = nib.orientations.io_orientation(affine)
    grid = nib.orientations.apply_orientation(np.asarray(image, np.float32), turn)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
    for step in spacing:  # each pass resamples the first axis and moves it to the end
        grid = np.tensordot(grid, _resampling(len(grid), float(step), how.spacing).T, axes=(0, 0))
    if is_hu:
        grid = (grid - how.hu[0]) / (how.hu[1] - how.hu[0])
    elif (grid > 0).any():
        grid = grid / max(float(np.percentile(grid[grid > 0], how.percentile)), 1e-12)
    grid = grid.clip(0, 2)
    return _window(grid, [(low + high) / 2 for low, high in extent(grid)], how.side)


def extent(grid: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and last index of the body along each axis; of all where nothing stands out.

    The body is what is brighter than air after smoothing by 3 voxels (noise does not count); 1 % of it at each end is left out.
    """
    smooth = gaussian_filter(grid, 3.0, truncate=2.0)
    low, high = np.percentile(smooth, (2, 98))
    inside = smooth > low + (high - low) / 4
    found: list[tuple[int, int]] = []
    for axis, length in enumerate(grid.shape):
        along = np.cumsum(inside.sum(axis=tuple(other for other in range(grid.ndim) if other != axis)))
        if along[-1] == 0:
            found.append((0, length - 1))
        else:
            found.append((int(np.searchsorted(along, along[-1] * 0.01)), int(np.searchsorted(along, along[-1] * 0.99))))
    return found


def slices(volume: np.ndarray, how: Sampling) -> dict[str, np.ndarray]:
    """Return the slices of each plane of a `cube`: (slices, side, side)."""
    found = {}
    for plane in how.planes:
        axis = PLANES.index(plane)
        low, high = extent(volume)[axis]
        margin = 0.15 * (high - low)
        places = np.rint(np.linspace(low + margin, high - margin, how.slices)).astype(int)
        found[plane] = np.moveaxis(np.take(volume, places, axis), axis, 0)
    return found


def crops(volume: np.ndarray, how: Sampling) -> np.ndarray:
    """Return the crops in the corners of a `cube`: (8, crop, crop, crop); of a whole cube, the one."""
    starts = [slice(start, start + how.crop) for start in sorted({0, how.side - how.crop})]
    return np.stack([volume[x, y, z] for x in starts for y in starts for z in starts])


def _resampling(length: int, step: float, wanted: float) -> np.ndarray:
    """Return the matrix that brings `length` samples `step` apart to others `wanted` apart, over the same span.

    Linear interpolation; where the new grid is coarser, the mean under a triangle as wide as its voxels (no aliasing).
    """
    ratio = wanted / step
    count = max(1, round(length / ratio))
    places = (np.arange(count) - (count - 1) / 2) * ratio + (length - 1) / 2
    weights = np.maximum(0, 1 - np.abs(np.arange(length) - places[:, None]) / max(ratio, 1.0))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _window(grid: np.ndarray, centre: list[float], side: int) -> np.ndarray:
    out = np.zeros((side,) * 3, np.float32)
    starts = [round(c) - side // 2 for c in centre]
    source = tuple(slice(max(s, 0), min(s + side, n)) for s, n in zip(starts, grid.shape))
    target = tuple(slice(part.start - s, part.stop - s) for part, s in zip(source, starts))
    out[target] = grid[source]
    return out
