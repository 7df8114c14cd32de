"""How unlike the scans of the training a scan is: a few cheap numbers of it, group by group, against theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes, distance_transform_edt, uniform_filter

from medgen.evaluation.sampling import block_means

#: What is looked at, and by which numbers: each with the difference that means little.
GROUPS: dict[str, dict[str, float]] = {
    "voxels": {"spacing": 0.5, "anisotropy": 0.5},  # log2 mm, log2
    "background": {"below zero": 0.05, "air": 0.1, "level of air": 0.03, "spread of air": 0.03, "brightest": 0.04},
    "intensities": {"10th percentile": 0.04, "25th percentile": 0.04, "median": 0.04, "75th percentile": 0.04, "90th percentile": 0.04},
    "contrast": {
        "bright to middle": 0.1, "middle half": 0.1, "middle to dark": 0.1, "skewness": 0.15, "tail": 0.2, "peak": 0.03,
    },
    "surface": {"surface to core": 0.05, "order by depth": 0.1},
    "texture": {"gradient": 0.01, "gradient of the smoothed": 0.01, "noise": 0.01, "fineness": 0.3, "likeness of neighbours": 0.03},
}  # fmt: skip
NAMES = tuple(name for group in GROUPS.values() for name in group)
FLOORS = np.array([unit for group in GROUPS.values() for unit in group.values()])  #: least spread of each
KEPT = 120  #: rows of the training that a bundle keeps, at most
USUAL = 96.0  #: percent of the left-out training that lies within the limit in each group
WIDEST = 2.5  #: limit at most: a few scans that differ much do not make everything usual


def features(image: np.ndarray, spacing: Sequence[float], scale: float | None = None) -> np.ndarray:
    """Return the numbers of `NAMES` for an image (X, Y, Z), in fractions of its scale.

    Args:
        spacing: voxel size in mm.
        scale: what counts as bright, such as 1000 HU; by default the image's robust maximum, for units without meaning.
    """
    image = _middle(np.asarray(image, dtype=np.float32), 160)
    least, lowest = (0.1, 0.0) if scale is None else (-0.5, -1.0)  # of CT, tissue is all but air and lung
    if scale is None:
        scale = float(np.percentile(image[image > 0], 99.5)) if (image > 0).any() else 1.0
    x = np.nan_to_num(image / max(scale, 1e-12))
    inside = x > least
    tissue = _some(x[inside]) if inside.any() else np.zeros(1)
    air = _some(x[~inside]) if not inside.all() else np.zeros(1)
    levels = np.percentile(tissue, (10, 25, 50, 75, 90, 99.5))
    low, quarter, middle, three, high, top = (float(v) for v in levels)
    ratio = [float(v) for v in np.log2(np.maximum(levels - lowest, 0.05))]  # of CT, of densities
    counts = np.histogram(tissue, np.arange(-1.5, 3, 0.025))[0]
    mm = np.asarray(spacing, dtype=float)
    return np.array([
        np.log2(mm.min()), np.log2(mm.max() / mm.min()),
        float((x < -0.1).mean()), 1 - float(inside.mean()), float(np.median(air)), float(np.ptp(np.percentile(air, (10, 90)))),
        float(np.percentile(_some(x.reshape(-1)), 99.5)),
        low, quarter, middle, three, high,
        ratio[4] - ratio[2], ratio[3] - ratio[1], ratio[2] - ratio[0], (high + low - 2 * middle) / max(high - low, 0.02),
        np.log2(max(top - middle, 0.01) / max(high - middle, 0.01)), (counts[1:] + counts[:-1]).max() / tissue.size,
        *_surface(x, mm, least), *_texture(_middle(x, 96), _middle(inside, 96)),
    ])  # fmt: skip


def fit(scans: Sequence[np.ndarray], scale: float | None) -> dict[str, Any]:
    """Return what a bundle keeps of the features of its training scans (at least 3): JSON-able, for `score`.

    Args:
        scans: for each scan its features, or rows of them (N, numbers): as it is, and as a scan of the bundle's may be, such
            as noisier or of thicker slices. Each scan's rows are held against those of the others to find the limits.
    """
    tables = [np.atleast_2d(scan) for scan in scans]
    left_out = [_distances(table, _cover(np.concatenate(tables[:i] + tables[i + 1 :]))) for i, table in enumerate(tables)]
    kept = _cover(np.concatenate(tables))
    return {
        "scale": scale,
        "limits": [round(float(v), 3) for v in np.percentile(np.concatenate(left_out), USUAL, axis=0).clip(1, WIDEST)],
        "rows": [" ".join(f"{v:.4g}" for v in row) for row in kept],
        "limit": 1.0,
    }


def score(found: np.ndarray, known: Mapping[str, Any]) -> tuple[float, str]:
    """Return how unlike the training a scan is (1 at the limit), and in what most: the group, and its oddest number.

    In each group of numbers the distance to the nearest row of the training counts, as a fraction of the group's limit.
    """
    rows = np.array([[float(v) for v in row.split()] for row in known["rows"]])
    parts = _distances(found[None], rows)[0] / np.array(known["limits"])
    worst = int(parts.argmax())
    at = _columns()[worst]
    off = np.abs(rows[:, at] - found[at]) / FLOORS[at]
    nearest = off[int((off**2).sum(1).argmin())]
    return float(parts[worst]), f"{list(GROUPS)[worst]} ({NAMES[at][int(nearest.argmax())]})"


def _columns() -> list[slice]:
    ends = np.cumsum([len(group) for group in GROUPS.values()])
    return [slice(int(end) - len(group), int(end)) for end, group in zip(ends, GROUPS.values())]


def _distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each row, in each group, the root mean square distance to the nearest of the others (rows, groups)."""
    off = ((rows[:, None] - others[None]) / FLOORS) ** 2
    return np.stack([np.sqrt(off[..., at].mean(-1)).min(1) for at in _columns()], 1)


def _cover(rows: np.ndarray) -> np.ndarray:
    """Return rows that all others are near to: the first, then again and again the one farthest from those taken."""
    taken = [0]
    gap = _spans(rows, rows[0])
    while len(taken) < min(KEPT, len(rows)) and gap.max() > 0.25:
        taken.append(int(gap.argmax()))
        gap = np.minimum(gap, _spans(rows, rows[taken[-1]]))
    return rows[taken]


def _spans(rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.asarray(_distances(rows, row[None]).max(1))


def _middle(image: np.ndarray, most: int) -> np.ndarray:
    """Return the middle of the image, at most so many voxels a side: cheap, and at its own resolution."""
    return image[tuple(slice(max(n // 2 - most // 2, 0), n // 2 + most // 2 + 1) for n in image.shape)]


def _some(values: np.ndarray, most: int = 200_000) -> np.ndarray:
    return values[:: max(1, values.size // most)]


def _surface(x: np.ndarray, mm: np.ndarray, least: float) -> tuple[float, float]:
    """Return how much brighter the body's outer quarter is than its core, and how its brightness goes with depth (rank correlation)."""
    step = [max(1, round(n / 48)) for n in x.shape]
    coarse = block_means(x, step)
    body = binary_fill_holes(coarse > least)
    if body.all() or not body.any():
        return 0.0, 0.0
    depth, value = distance_transform_edt(body, sampling=mm * step)[body], coarse[body]
    outer, core = np.percentile(depth, (25, 60))
    ranks = [v.argsort().argsort() for v in (depth, value)]
    order = float(np.corrcoef(*ranks)[0, 1]) if len(value) > 2 and np.ptp(value) > 1e-6 else 0.0
    return float(np.median(value[depth <= outer]) - np.median(value[depth >= core])), order


def _texture(x: np.ndarray, inside: np.ndarray) -> tuple[float, ...]:
    smooth = uniform_filter(x, 3)
    if not inside.any():
        return 0.0, 0.0, 0.0, 0.0, 0.0
    rough = (x - smooth)[inside]
    noise = float(np.median(np.abs(rough - np.median(rough))))
    fineness = np.log2((noise + 0.002) / (float(np.median(np.abs(smooth - uniform_filter(smooth, 5))[inside])) + 0.002))
    both = inside[1:] & inside[:-1]
    one, next_one = x[1:][both], x[:-1][both]
    flat = one.size < 3 or min(np.ptp(one), np.ptp(next_one)) < 1e-6
    neighbours = 0.0 if flat else float(np.corrcoef(one, next_one)[0, 1])
    return _gradient(x, inside), _gradient(smooth, inside), noise, float(fineness), neighbours


def _gradient(x: np.ndarray, inside: np.ndarray) -> float:
    total = 0.0
    for axis in range(x.ndim):
        if x.shape[axis] > 1 and inside.any():
            step = np.abs(np.diff(x, axis=axis))
            total += float(step[np.delete(inside, -1, axis)].mean()) if np.delete(inside, -1, axis).any() else 0.0
    return total / 3
