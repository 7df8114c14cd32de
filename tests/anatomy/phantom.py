"""A head made of ellipsoids, whose numbers, sides and volumes are known."""

from __future__ import annotations

import numpy as np

from medgen.anatomy.sides import PAIRS, world

#: centre on the left (mm), half axes (mm), number on the left in FreeSurfer and in DLMUSE; painted in this order
SIDED = (
    ((0, 0, 15), (62, 78, 55), 3, 143), ((0, 0, 15), (56, 72, 49), 2, 82), ((-17, -52, -32), (22, 20, 18), 8, 39),
    ((-17, -52, -32), (12, 12, 10), 7, 41), ((-13, 0, 22), (8, 24, 9), 4, 52), ((-12, -6, 6), (8, 10, 7), 10, 60),
    ((-18, 20, 12), (4, 9, 6), 11, 37), ((-28, 8, 6), (6, 12, 8), 12, 58), ((-21, 4, 2), (4, 7, 5), 13, 56),
    ((-27, -16, -12), (6, 12, 5), 17, 48), ((-22, 6, -14), (6, 6, 6), 18, 32),
)  # fmt: skip
SINGLE = (((0, -2, 4), (3, 8, 6), 14, 4), ((0, -32, -26), (4, 5, 5), 15, 11), ((0, -20, -30), (10, 8, 18), 16, 35))
AXES = {"RAS": np.diag([1, 1, 1]), "PSR": np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]), "LPS": np.diag([-1, -1, 1])}


def head(scheme: str = "freesurfer", mm: float = 3.0, axes: str = "RAS") -> tuple[np.ndarray, np.ndarray]:
    """Return labels (int16) and affine of the head; axes that are stored in that order and direction."""
    turn = AXES[axes].astype(float)
    half = np.array([84, 102, 84]) / mm
    shape = tuple(2 * int(n) for n in np.abs(turn.T @ half))  # even: no voxel lies on the midplane
    affine = np.eye(4)
    affine[:3, :3] = turn * mm
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2) + [3.0, -5.0, 7.0]  # off the origin
    where = world(affine, shape) - [3.0, -5.0, 7.0]
    column = 2 if scheme == "freesurfer" else 3
    labels = np.zeros(shape, np.int16)

    def ball(centre: tuple[int, ...], radii: tuple[int, ...]) -> np.ndarray:
        return np.asarray((((where - centre) / radii) ** 2).sum(-1) <= 1)

    if scheme == "freesurfer":
        labels[ball((0, -6, 4), (80, 98, 80))] = 515
    labels[ball((0, -6, 4), (70, 88, 70))] = 24 if scheme == "freesurfer" else 1
    other = dict(PAIRS[scheme])
    for centre, radii, *numbers in SIDED:
        left = numbers[column - 2]
        for sign, number in ((1, left), (-1, other[left])):
            here = ball((sign * centre[0], *centre[1:]), radii)
            labels[here & (where[..., 0] * sign <= 0)] = number
    for centre, radii, *numbers in SINGLE:
        labels[ball(centre, radii)] = numbers[column - 2]
    return labels, affine
