"""A frame that heads are laid in by their deep structures, so that places and shapes can be compared."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from medgen.anatomy.sides import check_sides

#: Structures that both schemes have, (left, right) in each; their centres are the landmarks.
_PAIRED: dict[str, tuple[tuple[int, ...], ...]] = {
    "freesurfer": ((10, 49), (11, 50), (12, 51), (13, 52), (17, 53), (18, 54), (8, 47), (7, 46), (4, 43)),
    "dlmuse": ((60, 59), (37, 36), (58, 57), (56, 55), (48, 47), (32, 31), (39, 38), (41, 40), (52, 51)),
}
_SINGLE = {"freesurfer": (14, 15, 16), "dlmuse": (4, 11, 35)}
#: Halves of cortex with white matter, left and right.
_HALVES = {
    "freesurfer": ((2, 3, *range(1000, 1036)), (41, 42, *range(2000, 2036))),
    "dlmuse": ((*range(82, 95, 2), *range(101, 208, 2)), (*range(81, 95, 2), *range(100, 208, 2))),
}
#: Made by tests/benchmarks/frame.py of DLMUSE maps: the landmarks' mean places (mm, RAS), and the lobes around them.
FRAME = Path(__file__).with_name("frame.npz")


@cache
def frame() -> dict[str, np.ndarray]:
    """Return the frame: "landmarks" (23, 3) in mm, "lobes" (x, y, z) by number (`places.LOBES`), and their "affine"."""
    with np.load(FRAME) as stored:
        return {name: stored[name] for name in stored.files}


def landmarks(labels: np.ndarray, affine: np.ndarray, scheme: str) -> np.ndarray:
    """Return the centres in world mm of the structures that all schemes with sides share, (23, 3); NaN for a missing one."""
    check_sides(scheme)
    single = [(number,) for number in _SINGLE[scheme]]
    paired = [(number,) for pair in _PAIRED[scheme] for number in pair]
    groups = [*paired, *single, *_HALVES[scheme]]
    table = np.zeros(max(int(labels.max()), max(map(max, groups))) + 1, np.intp)
    for index, group in enumerate(groups, 1):
        table[list(group)] = index
    which = table[labels].ravel()
    counts = np.bincount(which, minlength=len(groups) + 1)[1:]
    axes = np.ogrid[tuple(slice(n) for n in labels.shape)]
    sums = np.stack([np.bincount(which, np.broadcast_to(axis, labels.shape).ravel(), len(groups) + 1)[1:] for axis in axes], 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts[:, None] @ affine[:3, :3].T + affine[:3, 3])


def to_frame(labels: np.ndarray, affine: np.ndarray, scheme: str) -> np.ndarray:
    """Return the affine (4, 4) from a map's world to the frame: the best one in least squares of the landmarks.

    Raises ValueError where fewer than 8 of the 23 structures are there.
    """
    own = landmarks(labels, affine, scheme)
    there = np.isfinite(own).all(1)
    if there.sum() < 8:
        raise ValueError(f"the label map has {there.sum()} of the 23 structures that it is laid by; 8 are needed")
    return fit(own[there], frame()["landmarks"][there])


def fit(points: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Return the affine (4, 4) that takes points (n, 3) nearest to others, in least squares."""
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(np.c_[points, np.ones(len(points))], to, rcond=None)[0].T
    return matrix
